"""Randomness from identity: every key is derived from (n, d, k, seed) alone, never from a slot, an order or a device.

Networks of the same (n, d, seed) share their data set, so that widths are compared on the same points.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np

Array = Any
GENERATOR = "threefry2x32"  # named, so that numbers do not hang on a JAX default

_DATA, _WEIGHTS, _PROBES = range(3)


def _from_identity(seed: int, *rest: int) -> jax.Array:
    return _folded(jax.random.key(seed, impl=GENERATOR), np.array(rest, np.uint32))


@jax.jit
def _folded(key: Array, numbers: Array) -> Array:
    for i in range(numbers.shape[0]):
        key = jax.random.fold_in(key, numbers[i])
    return key


def data_key(n: int, d: int, seed: int) -> jax.Array:
    """The key of the data set that all networks (n, d, ., seed) are trained on."""
    return _from_identity(seed, n, d, _DATA)


def weights_key(n: int, d: int, seed: int) -> jax.Array:
    """The key under which `training.memorize` initialises and batches the networks (n, d, ., seed)."""
    return _from_identity(seed, n, d, _WEIGHTS)


def probe_key(n: int, d: int, k: int, seed: int) -> jax.Array:
    """The key of the points at which network (n, d, k, seed) is probed, fresh of everything else."""
    return _from_identity(seed, n, d, _PROBES, k)


_BLOCKS = (64, 256)  # rows drawn at once: drawing compiles twice for a dimension, not for each number of rows


@functools.partial(jax.jit, static_argnames=("d", "dtype"))
def _normal_rows(key: Array, index: Array, d: int, dtype: Any) -> Array:
    return jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), (d,), dtype))(index)


def normal_blocks(key: Array, rows: int, d: int, dtype: Any) -> list[Array]:
    """Standard normal rows in blocks (64 or 256, d), row i drawn from fold_in(key, i); the last may hold extra rows."""
    block = next((size for size in _BLOCKS if rows <= size), _BLOCKS[-1])
    return [
        _normal_rows(key, np.arange(start, start + block, dtype=np.uint32), d, dtype) for start in range(0, rows, block)
    ]
