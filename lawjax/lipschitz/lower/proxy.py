"""The paper's proxy (section 5): the largest gradient norm of a network at random points.

It is a lower estimate of Lip on R^d, and a weak one: on the caps of section 3.2 it returns 0.

    >>> f = TwoLayer(W=[[3.0, 4.0]], b=[0.0], a=[1.0], activation="identity")
    >>> float(max_random_gradient(f, jax.random.key(0)).maximum)
    5.0
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from lawjax import arguments
from lawjax.domains import check_network
from lawjax.errors import UserError
from lawjax.network import TwoLayer

Scalar = int | float | Float[Array, ""] | Integer[Array, ""]
_BATCH_ENTRIES = 2**22  # entries of the (points, k) and (points, d) intermediates of one batch: 16 MiB each in float32
_ROOM = 2.0**-20  # of the largest number: what sums over points and neurons may grow by


class RandomGradients(NamedTuple):
    """Gradients of one network at random points, summed up; with leading axes for a stack under `jax.vmap`.

    Attributes:
        maximum: (), max_i ||grad f(z_i)||, the maximum random gradient.
        witness: (d,), the z_i that attains it.
        linear_part: (), the norm of the mean gradient over the points.
        residual: (), max_i ||grad f(z_i) - mean gradient||.
    """

    maximum: Float[Array, ""]
    witness: Float[Array, " d"]
    linear_part: Float[Array, ""]
    residual: Float[Array, ""]


def as_single_network(network: TwoLayer) -> TwoLayer:
    """The network with JAX leaves of the one precision that W has on this device, or of float32 if that is lower.

    Raises:
        UserError: the network is a stack, or its gradients may be too large or too small for that precision.
    """
    check_network(network)
    if network.W.ndim != 2:
        raise UserError(f"This is a stack of shape {network.W.shape[:-2]}; use jax.vmap over networks and keys.")
    own = jax.dtypes.canonicalize_dtype(network.W.dtype)
    dtype = own if own.itemsize >= 4 else jnp.dtype(jnp.float32)
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(network)):
        _check_room(network, dtype)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf).astype(dtype), network)


def _check_room(network: TwoLayer, dtype: DTypeLike) -> None:
    W, b, a = (np.abs(np.asarray(leaf, np.float64)) for leaf in (network.W, network.b, network.a))
    with np.errstate(over="ignore", under="ignore"):
        steepest = float((a @ W).max())
        largest = max(steepest, float(b.max()), float(a.max()), float(W.sum(1).max()))
    if not largest < _ROOM * float(jnp.finfo(dtype).max) or 0 < steepest < float(jnp.finfo(dtype).tiny) / _ROOM:
        remedy = ", or set JAX_ENABLE_X64=1 for float64" if dtype == jnp.float32 else ""
        raise UserError(
            f"Gradients up to {steepest:.1e} of weights and biases up to {largest:.1e} have no room in {dtype}: "
            f"rescale the network{remedy}."
        )


def norms(rows: Float[Array, "m d"]) -> Float[Array, " m"]:
    """Euclidean norms of rows, for which no square overflows and no row's vanishes.

    Rows are divided by powers of two, so that those of ordinary size have the bits of `jnp.linalg.norm`. What is not
    finite counts as 0: it shows nothing.
    """
    limits = jnp.finfo(rows.dtype)
    largest = jnp.clip(jnp.abs(rows).max(axis=1), 4.0 * limits.tiny, 0.25 * limits.max)
    scale = jax.lax.reduce_precision(largest, limits.nexp, 0)  # to a power of two
    found = jnp.linalg.norm(rows / scale[:, None], axis=1) * scale
    return jnp.where(jnp.isfinite(found), found, jnp.zeros_like(found))


def check_dimension(network: TwoLayer, dimension: Scalar | None) -> Scalar:
    """The number of coordinates that are no padding: `dimension`, or all of the network's where it is None.

    Raises:
        UserError: a concrete `dimension` below one or above the network's.
    """
    if dimension is None:
        return network.dimension
    if not isinstance(dimension, jax.core.Tracer):
        number = arguments.number("dimension", dimension)
        if not (number.is_integer() and 1 <= number <= network.dimension):
            raise UserError(f"dimension must be a whole number from 1 to {network.dimension}, not {number:g}.")
    return dimension


def normal_points(
    key: PRNGKeyArray, n_points: int, padded_dimension: int, dimension: Scalar, dtype: DTypeLike
) -> Float[Array, "{n_points} {padded_dimension}"]:
    """(n_points, padded_dimension): N(0, I) in the first `dimension` coordinates, zero in the padded ones.

    Point i comes from `fold_in(key, i)`, and with JAX's counter-based generator a shorter draw is the beginning of a
    longer one: so neither padding nor the number of points changes a point.
    """
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.arange(n_points))
    points = jax.vmap(lambda point_key: jax.random.normal(point_key, (padded_dimension,), dtype))(keys)
    real = jnp.arange(padded_dimension, dtype=jnp.int32) < jnp.asarray(dimension, jnp.int32)
    return jnp.where(real[None, :], points, jnp.zeros_like(points))


@functools.partial(jax.jit, static_argnames="n_points")
def _max_random_gradient(network: TwoLayer, key: PRNGKeyArray, n_points: int, dimension: Scalar) -> RandomGradients:
    k, d = network.W.shape
    points = normal_points(key, n_points, d, dimension, network.W.dtype)
    points = points * jax.lax.rsqrt(jnp.asarray(dimension, network.W.dtype))
    n_batches = math.ceil(n_points * max(k, d) / _BATCH_ENTRIES)
    with jax.default_matmul_precision("float32"):  # the default on GPUs rounds the factors to TF32
        gradients = jax.lax.map(jax.grad(network), points, batch_size=math.ceil(n_points / n_batches))
    mean = gradients.mean(0)[None, :]
    lengths = norms(gradients)
    best = lengths.argmax()
    return RandomGradients(lengths[best], points[best], norms(mean)[0], norms(gradients - mean).max())


def max_random_gradient(
    network: TwoLayer, key: PRNGKeyArray, n_points: int = 1000, dimension: Scalar | None = None
) -> RandomGradients:
    """The maximum random gradient of section 5: max ||grad f(z_i)|| over z_i i.i.d. N(0, I_d/d), i <= n_points.

    A lower estimate of Lip on R^d, in float32 or, for such networks under JAX_ENABLE_X64, float64. Works under
    `jax.jit` and, for stacks of networks and keys, under `jax.vmap`. Besides 16 MiB blocks of intermediates it holds
    n_points x d gradients per network.

    Args:
        network: one network.
        key: a JAX key; draw it apart from that of data and training, the probes are to be fresh of everything else.
        n_points: T in the paper.
        dimension: the true d, a number or a scalar array, where the network carries zero columns as padding (`padded`);
            the probes are then those of the network without them. All of W's columns unless given.

    Raises:
        UserError: a stack without `jax.vmap`, fewer than one point, a dimension the network does not have, gradients
            that may be too large or too small for the precision.
    """
    arguments.whole("n_points", n_points)
    arguments.key(key)
    network = as_single_network(network)
    return _max_random_gradient(network, key, n_points, check_dimension(network, dimension))
