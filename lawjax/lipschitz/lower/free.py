"""Ascent of the gradient norm itself, in x, for smooth psi: free in R^d, on a sphere, or in a ball.

log ||grad f(x)|| has the gradient (Hessian) grad f / ||grad f||^2. Many starts first take steps along it: one that
leads downwards is taken back and the next is shorter, one that leads upwards makes the next longer. The maxima lie on
ridges, where such steps go to and fro; so the best ends are then followed to their maxima by SciPy's L-BFGS.

    >>> f = TwoLayer(W=[[1.0]], b=[-3.0], a=[2.0], activation="tanh")  # steepest at x = 3
    >>> with jax.enable_x64(True):
    ...     ends = ascend_freely(jax.tree.map(jnp.asarray, f), jnp.array([[2.0]]), Space(), 40)
    >>> ends.round(6).tolist()
    [[3.0]]
    >>> polished(f, np.array([[2.0]]), Space(), 40).round(6).tolist()
    [[3.0]]
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from lawjax.domains import Ball, Domain, Space, Sphere
from lawjax.lipschitz.padding import padded_size
from lawjax.network import TwoLayer
from lawjax.vectors import lengths

Array = Any
_FIRST_STEP = 0.1  # in units of the start's distance from 0 and the typical distance of a kink
_LONGER, _SHORTER = 1.7, 0.35
_TINY = 1e-300
_BLOCK = 4096  # points at which heights are computed together


@functools.partial(jax.jit, static_argnames="steps")
def ascend_freely(network: TwoLayer, starts: Array, domain: Domain, steps: int) -> Array:
    """The points (m, d) to which ascents lead, none with a smaller gradient norm than its start.

    Args:
        network: one network of a smooth psi, with JAX leaves.
        starts: (m, d), points of the domain.
        domain: where.
        steps: of each ascent.
    """
    look = jax.vmap(jax.value_and_grad(lambda point: _height(network, point, domain.tangential)))
    place = jax.vmap(lambda point: _placed(point, domain))

    def step(_: int, carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        points, values, slopes, lengths = carry
        if isinstance(domain, Sphere):
            normals = points / domain.radius
            slopes = slopes - (slopes * normals).sum(1, keepdims=True) * normals
        sizes = jnp.sqrt((slopes * slopes).sum(1, keepdims=True) + _TINY)
        tried = place(points + lengths * slopes / sizes)
        found, next_slopes = look(tried)
        better = (found > values)[:, None]
        return (
            jnp.where(better, tried, points),
            jnp.maximum(found, values),
            jnp.where(better, next_slopes, slopes),
            lengths * jnp.where(better, _LONGER, _SHORTER),
        )

    starts = place(starts)
    values, slopes = look(starts)
    typical = jnp.sqrt((starts * starts).sum(1, keepdims=True)) + _TINY
    carry = (starts, values, slopes, _FIRST_STEP * typical)
    return jax.lax.fori_loop(0, steps, step, carry)[0]


def polished(network: TwoLayer, points: np.ndarray, domain: Domain, iterations: int) -> np.ndarray:
    """The points (m, d) to which L-BFGS leads from each, which moves them along their rays into the domain.

    Args:
        network: one network of a smooth psi.
        points: (m, d), of the domain, not 0.
        domain: where.
        iterations: of L-BFGS from each point, at most.
    """
    options = {"maxiter": iterations}
    with jax.enable_x64(True):
        padded = _padded(network)
        ends = np.pad(points, [(0, 0), (0, padded.dimension - network.dimension)])
        for i, unit in enumerate(lengths(points)):

            def depth(scaled: np.ndarray, unit: float = unit) -> tuple[float, np.ndarray]:
                value, slope = _depth(padded, scaled, unit, domain)
                return float(value), np.asarray(slope)

            found = scipy.optimize.minimize(depth, ends[i] / unit, jac=True, method="L-BFGS-B", options=options)
            if np.isfinite(found.x).all():
                ends[i] = unit * found.x
    return ends[:, : network.dimension]


def heights(network: TwoLayer, points: np.ndarray, tangential: bool) -> np.ndarray:
    """log ||grad f|| (m,) at points (m, d), or of its part along the sphere: quicker than by NumPy, of less care."""
    with jax.enable_x64(True):
        padded = _padded(network)
        found = [np.zeros(0)]
        for start in range(0, len(points), _BLOCK):
            block = points[start : start + _BLOCK]
            block = np.pad(block, [(0, _BLOCK - len(block)), (0, padded.dimension - network.dimension)])
            found.append(np.asarray(_heights(padded, block, tangential)))
    return np.concatenate(found)[: len(points)]


def _padded(network: TwoLayer) -> TwoLayer:
    """With JAX leaves in float64, of a size that many networks share, for few compilations."""
    return jax.tree.map(jnp.asarray, network.padded(*padded_size(*network.W.shape)).astype(np.float64))


@functools.partial(jax.jit, static_argnames="tangential")
def _heights(network: TwoLayer, points: Array, tangential: bool) -> Array:
    return jax.vmap(lambda point: _height(network, point, tangential))(points)


@jax.jit
def _depth(network: TwoLayer, scaled: Array, unit: float, domain: Domain) -> tuple[Array, Array]:
    """-log ||grad f|| at a point moved into the domain, in units of `unit`, and its gradient."""
    return jax.value_and_grad(lambda at: -_height(network, _placed(unit * at, domain), domain.tangential))(scaled)


def _height(network: TwoLayer, point: Array, tangential: bool) -> Array:
    gradient = network.gradient(point)
    if tangential:
        normal = point / jnp.sqrt((point * point).sum() + _TINY)
        gradient = gradient - (gradient * normal).sum() * normal
    return 0.5 * jnp.log((gradient * gradient).sum() + _TINY)


def _placed(point: Array, domain: Domain) -> Array:
    """The point moved along its ray into the domain."""
    if isinstance(domain, Space):
        return point
    scale = domain.radius / jnp.sqrt((point * point).sum() + _TINY)
    return point * (jnp.minimum(scale, 1.0) if isinstance(domain, Ball) else scale)
