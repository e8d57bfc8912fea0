"""What the search minimises: a relaxation of the largest gradient that follows the weights from step to step.

For a psi with bounded slopes every gradient is v'_0 + sum_l r_l v'_l, |r_l| <= 1 (`lipschitz.upper.zonotope`), and
the best certificate is max ||V'^T U||_F over U with rows of length one. The search minimises over the weights what it
maximises over U: each step of the one takes one step of the iteration of the other. So no eigenvalue is computed and no
lambda is a variable; the cost is that of two products with V'.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lawjax import activations

Array = Any

_SQUARINGS = 8  # the largest eigenvalue is approached by the norm of all of order 2^8


class Params(NamedTuple):
    """The weights of f(x) = sum_l sign_l s_l psi(w_l . x + b_l) + c, sign_l = +-1/sqrt(k).

    Where psi is positively homogeneous s_l stays one: |a_l| and ||w_l|| are one number. In units in which the points
    have root-mean-square length one, the entries of W are then of order one at every width.

    Attributes:
        W: (k, d).
        b: (k,).
        s: (k,), sizes of the read-out weights.
        c: ().
        inner: matrix (k', d) and biases (k',) of a first hidden layer, if there is one; W is then (k, k') and acts on
            its values over sqrt(k'), so that these entries are of order one, too.
    """

    W: Array
    b: Array
    s: Array
    c: Array
    inner: tuple[Array, Array] | None = None


def outputs(params: Params, signs: Array, x: Array, activation: str) -> Array:
    """f at the points, (n,)."""
    psi = activations.get(activation)
    if params.inner is not None:
        x = psi(x @ params.inner[0].T + params.inner[1][None, :]) / math.sqrt(params.inner[1].shape[0])
    return psi(x @ params.W.T + params.b[None, :]) @ (signs * params.s) + params.c


def relaxed(
    params: Params, signs: Array, U: Array, radius: Array, activation: str, around: Array | None = None
) -> tuple[Array, Array]:
    """A smooth estimate of the squared bound, and U after one more step of the iteration.

    Args:
        params: of one network.
        signs: (k,).
        U: (k + 1, r), rows of length one; not used for psi = t^2.
        radius: (), of the sphere or ball on which the bound is to hold; infinite for R^d.
        activation: name of psi; with two hidden layers one of slopes in [-1, 1].
        around: (d,), the middle of the sphere or ball, 0 unless given.
    """
    if activations.get(activation).slope_interval is None:
        return _squared_form_norm(params.W, signs * params.s, radius), U
    rows = _centred_rows(params, signs, radius, activation, around)
    U = jax.lax.stop_gradient(_normalised(rows @ (rows.T @ U)))
    squared = jnp.sum((rows.T @ U) ** 2)
    if params.inner is not None:  # the first layer is no steeper than its matrix
        squared = squared * _largest_eigenvalue(_smaller_gram(params.inner[0])) / params.inner[1].shape[0]
    return squared, U


def start_of_relaxation(key: Array, k: int, rank: int) -> Array:
    """U to begin with: random rows of length one."""
    return _normalised(jax.random.normal(key, (k + 1, rank)))


def _centred_rows(params: Params, signs: Array, radius: Array, activation: str, around: Array | None) -> Array:
    low, high = activations.get(activation).slope_interval or (0.0, 0.0)
    alpha, beta = jnp.full_like(params.b, low), jnp.full_like(params.b, high)
    if params.inner is None and activations.get(activation).has_kink:  # neurons that never cross their kink
        reach = radius * jnp.linalg.norm(params.W, axis=1)
        middle = params.b if around is None else params.b + params.W @ around
        alpha, beta = jnp.where(middle >= reach, high, alpha), jnp.where(-middle >= reach, low, beta)
    V = (signs * params.s)[:, None] * params.W
    mean, half = (jax.lax.stop_gradient(part) for part in (0.5 * (alpha + beta), 0.5 * (beta - alpha)))
    return jnp.concatenate([(mean @ V)[None], half[:, None] * V])


def _normalised(U: Array) -> Array:
    return U / jnp.maximum(jnp.linalg.norm(U, axis=1, keepdims=True), 1e-30)


def _squared_form_norm(W: Array, a: Array, radius: Array) -> Array:
    """(2 R ||T||_op)^2 for T = sum_l a_l w_l w_l^T, nearly."""
    T = (W.T * a[None, :]) @ W
    return (2.0 * radius) ** 2 * _largest_eigenvalue(T @ T)


def _smaller_gram(matrix: Array) -> Array:
    return matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix


def _largest_eigenvalue(positive: Array) -> Array:
    """Of a positive semidefinite matrix, nearly and from above: the root of the trace of a high power."""
    size = jax.lax.stop_gradient(jnp.trace(positive)) + 1e-30
    power, logarithm = positive / size, jnp.zeros(())
    for _ in range(_SQUARINGS):
        trace = jax.lax.stop_gradient(jnp.trace(power)) + 1e-30
        power, logarithm = (power / trace) @ (power / trace), 2.0 * (logarithm + jnp.log(trace))
    return size * jnp.exp((logarithm + jnp.log(jnp.trace(power) + 1e-30)) / 2.0**_SQUARINGS)
