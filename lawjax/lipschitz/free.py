"""Gradient ascent of the gradient norm itself, in x, for smooth psi: free in R^d, on a sphere, or in a ball.

log ||grad f(x)|| has the gradient (Hessian) grad f / ||grad f||^2. From each start a step is taken along it; one that
leads downwards is taken back and the next is shorter, one that leads upwards makes the next longer.

    >>> f = TwoLayer(W=[[1.0]], b=[-3.0], a=[2.0], activation="tanh")  # steepest at x = 3
    >>> with jax.enable_x64(True):
    ...     ends = ascend_freely(jax.tree.map(jnp.asarray, f), jnp.array([[2.0]]), "space", 1.0, False, 40)
    >>> ends.round(6).tolist()
    [[3.0]]
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from lawjax.network import TwoLayer

Array = Any
_FIRST_STEP = 0.1  # in units of the start's distance from 0 and the typical distance of a kink
_LONGER, _SHORTER = 1.7, 0.35
_TINY = 1e-300


@functools.partial(jax.jit, static_argnames=("domain", "tangential", "steps"))
def ascend_freely(network: TwoLayer, starts: Array, domain: str, radius: Any, tangential: bool, steps: int) -> Array:
    """The points (m, d) to which ascents lead, none with a smaller gradient norm than its start.

    Args:
        network: one network of a smooth psi, with JAX leaves.
        starts: (m, d), points of the domain.
        domain: "space", "ball" or "sphere".
        radius: of the ball or sphere.
        tangential: ascend the gradient's part along the sphere.
        steps: of each ascent.
    """

    def height(point: Array) -> Array:
        gradient = network.gradient(point)
        if tangential:
            normal = point / jnp.sqrt((point * point).sum() + _TINY)
            gradient = gradient - (gradient * normal).sum() * normal
        return 0.5 * jnp.log((gradient * gradient).sum() + _TINY)

    def placed(points: Array) -> Array:
        if domain == "space":
            return points
        scale = radius / jnp.sqrt((points * points).sum(1, keepdims=True) + _TINY)
        return points * (jnp.minimum(scale, 1.0) if domain == "ball" else scale)

    look = jax.vmap(jax.value_and_grad(height))

    def step(_: int, carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        points, values, slopes, lengths = carry
        if domain == "sphere":
            normals = points / radius
            slopes = slopes - (slopes * normals).sum(1, keepdims=True) * normals
        sizes = jnp.sqrt((slopes * slopes).sum(1, keepdims=True) + _TINY)
        tried = placed(points + lengths * slopes / sizes)
        found, next_slopes = look(tried)
        better = (found > values)[:, None]
        return (
            jnp.where(better, tried, points),
            jnp.maximum(found, values),
            jnp.where(better, next_slopes, slopes),
            lengths * jnp.where(better, _LONGER, _SHORTER),
        )

    starts = placed(starts)
    values, slopes = look(starts)
    typical = jnp.sqrt((starts * starts).sum(1, keepdims=True)) + _TINY
    carry = (starts, values, slopes, _FIRST_STEP * typical)
    return jax.lax.fori_loop(0, steps, step, carry)[0]
