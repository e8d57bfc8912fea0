"""Randomness from identity: every key is derived from (n, d, k, seed) alone, never from a slot, an order or a device.

Networks of the same (n, d, seed) share their data set, so that widths are compared on the same points. What a key draws
hangs on settings of JAX, too, which JAX_ENABLE_X64, JAX_THREEFRY_PARTITIONABLE and others change: `settled` is around
every drawing, so that the same identity has the same data and networks under all of them.
"""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Iterator

import jax
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

from lawjax.errors import UserError

GENERATOR = "threefry2x32"  # named, so that numbers do not hang on a JAX default

_DATA, _WEIGHTS, _PROBES = range(3)
_LARGEST = 2**32 - 1  # a key is made of 32-bit words


@contextlib.contextmanager
def settled(x64: bool | None = None) -> Iterator[None]:
    """JAX as it draws by default, whatever the process was told, for JAX calls of this thread.

    Args:
        x64: whether float64 is on, as it decides how many bits a draw takes; None leaves that as it is.
    """
    with contextlib.ExitStack() as settings:
        settings.enter_context(jax.threefry_partitionable(True))
        if x64 is not None:
            settings.enter_context(jax.enable_x64(x64))
        yield


def is_double(dtype: DTypeLike) -> bool:
    """Whether a precision is float64."""
    return np.dtype(dtype) == np.float64


def from_seed(seed: int) -> PRNGKeyArray:
    """The key of a seed, as `jax.random.key` makes it by default.

    Raises:
        UserError: the seed is no whole number between 0 and 2^32 - 1.
    """
    words = np.array([0, _checked("seed", seed)], np.uint32)
    return jax.random.wrap_key_data(jax.numpy.asarray(words), impl=GENERATOR)


def _checked(name: str, value: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number <= _LARGEST:
        raise UserError(f"{name} must be a whole number from 0 to {_LARGEST}, not {value}.")
    return number


def _from_identity(purpose: int, seed: int, **sizes: int) -> PRNGKeyArray:
    """The purpose stands after n and d, and before k."""
    n, d, *k = (_checked(name, size) for name, size in sizes.items())
    return _folded(from_seed(seed), np.array([n, d, purpose, *k], np.uint32))


@jax.jit
def _folded(key: PRNGKeyArray, numbers: UInt32[Array | np.ndarray, " sizes"]) -> PRNGKeyArray:
    for i in range(numbers.shape[0]):
        key = jax.random.fold_in(key, numbers[i])
    return key


def data_key(n: int, d: int, seed: int) -> PRNGKeyArray:
    """The key of the data set that all networks (n, d, ., seed) are trained on."""
    return _from_identity(_DATA, seed, n=n, d=d)


def weights_key(n: int, d: int, seed: int) -> PRNGKeyArray:
    """The key under which `training.memorize` initialises and batches the networks (n, d, ., seed)."""
    return _from_identity(_WEIGHTS, seed, n=n, d=d)


def probe_key(n: int, d: int, k: int, seed: int) -> PRNGKeyArray:
    """The key of the points at which network (n, d, k, seed) is probed, fresh of everything else."""
    return _from_identity(_PROBES, seed, n=n, d=d, k=k)


_BLOCKS = (64, 256)  # rows drawn at once: drawing compiles twice for a dimension, not for each number of rows


@functools.partial(jax.jit, static_argnames=("d", "dtype"))
def _normal_rows(
    key: PRNGKeyArray, index: UInt32[Array | np.ndarray, " rows"], d: int, dtype: DTypeLike
) -> Float[Array, "rows d"]:
    return jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), (d,), dtype))(index)


def normal_blocks(key: PRNGKeyArray, rows: int, d: int, dtype: DTypeLike) -> list[Float[Array, "_ d"]]:
    """Standard normal rows in blocks (64 or 256, d), row i drawn from fold_in(key, i); the last may hold extra rows."""
    block = next((size for size in _BLOCKS if rows <= size), _BLOCKS[-1])
    with settled(is_double(dtype)):
        return [
            _normal_rows(key, np.arange(start, start + block, dtype=np.uint32), d, dtype)
            for start in range(0, rows, block)
        ]
