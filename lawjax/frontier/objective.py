"""What the search minimises: a relaxation of the largest gradient that follows the weights from step to step.

For a psi with bounded slopes every gradient is v'_0 + sum_l r_l v'_l, |r_l| <= 1 (`lawjax.lipschitz.certificate`), and
the best certificate is max ||V'^T U||_F over U with rows of length one. The search minimises over the weights what it
maximises over U: each step of the one takes one step of the iteration of the other. So no eigenvalue is computed and no
lambda is a variable; the cost is that of two products with V'.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lawjax import activations

Array = Any

_SQUARINGS = 8  # ||T||_op of a form is approached by the norm of its eigenvalues of order 2^9


class Params(NamedTuple):
    """The weights of f(x) = sum_l sign_l s_l psi(w_l . x + b_l) + c, sign_l = +-1/sqrt(k).

    Where psi is positively homogeneous s_l stays one: |a_l| and ||w_l|| are one number. In units in which the points
    have root-mean-square length one, the entries of W are then of order one at every width.

    Attributes:
        W: (k, d).
        b: (k,).
        s: (k,), sizes of the read-out weights.
        c: ().
    """

    W: Array
    b: Array
    s: Array
    c: Array


def outputs(params: Params, signs: Array, x: Array, activation: str) -> Array:
    """f at the points, (n,)."""
    psi = activations.get(activation)
    return psi(x @ params.W.T + params.b[None, :]) @ (signs * params.s) + params.c


def relaxed(params: Params, signs: Array, U: Array, radius: float | None, activation: str) -> tuple[Array, Array]:
    """A smooth estimate of the squared bound, and U after one more step of the iteration.

    Args:
        params: of one network.
        signs: (k,).
        U: (k + 1, r), rows of length one; not used for psi = t^2.
        radius: of the sphere or ball on which the bound is to hold; None for R^d.
        activation: name of psi.
    """
    if activations.get(activation).slope_interval is None:
        return _squared_form_norm(params.W, signs * params.s, radius or 1.0), U
    rows = _centred_rows(params, signs, radius, activation)
    U = jax.lax.stop_gradient(_normalised(rows @ (rows.T @ U)))
    return jnp.sum((rows.T @ U) ** 2), U


def start_of_relaxation(key: Array, k: int, rank: int) -> Array:
    """U to begin with: random rows of length one."""
    return _normalised(jax.random.normal(key, (k + 1, rank)))


def _centred_rows(params: Params, signs: Array, radius: float | None, activation: str) -> Array:
    low, high = activations.get(activation).slope_interval or (0.0, 0.0)
    alpha, beta = jnp.full_like(params.b, low), jnp.full_like(params.b, high)
    if radius is not None and activations.get(activation).has_kink:  # neurons that never cross their kink
        reach = radius * jnp.linalg.norm(params.W, axis=1)
        alpha, beta = jnp.where(params.b >= reach, high, alpha), jnp.where(-params.b >= reach, low, beta)
    V = (signs * params.s)[:, None] * params.W
    middle, half = (jax.lax.stop_gradient(part) for part in (0.5 * (alpha + beta), 0.5 * (beta - alpha)))
    return jnp.concatenate([(middle @ V)[None], half[:, None] * V])


def _normalised(U: Array) -> Array:
    return U / jnp.maximum(jnp.linalg.norm(U, axis=1, keepdims=True), 1e-30)


def _squared_form_norm(W: Array, a: Array, radius: float) -> Array:
    """(2 R ||T||_op)^2 for T = sum_l a_l w_l w_l^T, nearly: by the trace of a high power of T^2."""
    T = (W.T * a[None, :]) @ W
    size = jax.lax.stop_gradient(jnp.linalg.norm(T)) + 1e-30
    power, logarithm = (T / size) @ (T / size), jnp.zeros(())
    for _ in range(_SQUARINGS):
        trace = jax.lax.stop_gradient(jnp.trace(power))
        power, logarithm = (power / trace) @ (power / trace), 2.0 * (logarithm + jnp.log(trace))
    order = 2.0**_SQUARINGS
    return (2.0 * radius * size) ** 2 * jnp.exp((logarithm + jnp.log(jnp.trace(power))) / order)
