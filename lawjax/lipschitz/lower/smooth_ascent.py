"""Ascent of the gradient norm itself, in x, for smooth psi: in R^d, on a sphere, or in a ball.

log ||grad f(x)|| has the gradient (Hessian) grad f / ||grad f||^2. Many starts first take steps along it: one that
leads downwards is taken back and the next is shorter, one that leads upwards makes the next longer. The maxima lie on
ridges, where such steps go to and fro; so the best ends are then followed to their maxima by SciPy's L-BFGS.

    >>> from lawjax.domains import Space
    >>> f = TwoLayer(W=[[1.0]], b=[-3.0], a=[2.0], activation="tanh")  # steepest at x = 3
    >>> with jax.enable_x64(True):
    ...     ends = followed(jax.tree.map(jnp.asarray, f), jnp.array([[2.0]]), Space(), 40)
    >>> ends.round(6).tolist()
    [[3.0]]
    >>> polished(f, np.array([[2.0]]), Space(), 40).round(6).tolist()
    [[3.0]]
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float, Integer

from lawjax.domains import Domain, Sphere
from lawjax.lipschitz.lower.effort import Following
from lawjax.lipschitz.padding import padded_size
from lawjax.network import TwoLayer
from lawjax.vectors import lengths, smooth_lengths

_USUAL = Following()
_TINY = 1e-300
_BLOCK = 4096  # points at which norms are computed together


@functools.partial(jax.jit, static_argnames=("steps", "tuning"))
def followed(
    network: TwoLayer, starts: Float[Array, "m d"], domain: Domain, steps: int, tuning: Following = _USUAL
) -> Float[Array, "m d"]:
    """The points to which steps along the gradient lead, none with a smaller gradient norm than its start.

    Args:
        network: one network of a smooth psi, with JAX leaves in float64.
        starts: (m, d), points of the domain.
        domain: where.
        steps: of each ascent.
        tuning: their lengths.
    """
    look = jax.vmap(jax.value_and_grad(lambda point: _log_norm(network, point, domain.tangential)))

    def step(_: Integer[Array, ""], carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        points, values, slopes, reach = carry
        if isinstance(domain, Sphere):
            normals = points / domain.radius
            slopes = slopes - (slopes * normals).sum(1, keepdims=True) * normals
        tried = domain.project(points + reach * slopes / smooth_lengths(slopes))
        found, next_slopes = look(tried)
        better = (found > values)[:, None]
        return (
            jnp.where(better, tried, points),
            jnp.maximum(found, values),
            jnp.where(better, next_slopes, slopes),
            reach * jnp.where(better, tuning.longer, tuning.shorter),
        )

    starts = domain.project(starts)
    values, slopes = look(starts)
    typical = jnp.sqrt((starts * starts).sum(1, keepdims=True)) + _TINY
    carry = (starts, values, slopes, tuning.first_step * typical)
    return jax.lax.fori_loop(0, steps, step, carry)[0]


def polished(
    network: TwoLayer, points: Float[np.ndarray, "m d"], domain: Domain, iterations: int
) -> Float[np.ndarray, "m d"]:
    """The points to which L-BFGS leads from each, which moves them along their rays into the domain.

    Args:
        network: one network of a smooth psi.
        points: (m, d), of the domain, not 0.
        domain: where.
        iterations: of L-BFGS from each point, at most.
    """
    options = {"maxiter": iterations}
    with jax.enable_x64(True):
        padded = to_jax(network)
        ends = np.pad(points, [(0, 0), (0, padded.dimension - network.dimension)])
        for i, scale in enumerate(lengths(points)):

            def descending(scaled: np.ndarray, scale: float = scale) -> tuple[float, np.ndarray]:
                value, slope = _descending(padded, scaled, scale, domain)
                return float(value), np.asarray(slope)

            found = scipy.optimize.minimize(descending, ends[i] / scale, jac=True, method="L-BFGS-B", options=options)
            if np.isfinite(found.x).all():
                ends[i] = scale * found.x
    return ends[:, : network.dimension]


def log_norms(network: TwoLayer, points: Float[np.ndarray, "m d"], domain: Domain) -> Float[np.ndarray, " m"]:
    """log ||grad f|| at points of a domain, or of its part along the sphere: quicker than by NumPy, with less care."""
    with jax.enable_x64(True):
        padded = to_jax(network)
        found = [np.zeros(0)]
        for start in range(0, len(points), _BLOCK):
            block = points[start : start + _BLOCK]
            block = np.pad(block, [(0, _BLOCK - len(block)), (0, padded.dimension - network.dimension)])
            found.append(np.asarray(_log_norms(padded, block, domain.tangential)))
    return np.concatenate(found)[: len(points)]


def to_jax(network: TwoLayer) -> TwoLayer:
    """With JAX leaves in float64, of a size that many networks share, for few compilations."""
    return jax.tree.map(jnp.asarray, network.padded(*padded_size(*network.W.shape)).astype(np.float64))


@functools.partial(jax.jit, static_argnames="tangential")
def _log_norms(network: TwoLayer, points: Array, tangential: bool) -> Array:
    return jax.vmap(lambda point: _log_norm(network, point, tangential))(points)


@jax.jit
def _descending(
    network: TwoLayer, scaled: Array, scale: float | Float[Array, ""], domain: Domain
) -> tuple[Array, Array]:
    """-log ||grad f|| at `scale` times a point, moved into the domain, and its gradient."""
    return jax.value_and_grad(lambda at: -_log_norm(network, domain.project(scale * at), domain.tangential))(scaled)


def _log_norm(network: TwoLayer, point: Array, tangential: bool) -> Array:
    gradient = network.gradient(point)
    if tangential:
        normal = point / jnp.sqrt((point * point).sum() + _TINY)
        gradient = gradient - (gradient * normal).sum() * normal
    return 0.5 * jnp.log((gradient * gradient).sum() + _TINY)
