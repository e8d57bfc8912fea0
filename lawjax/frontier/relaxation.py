"""A relaxation of the largest gradient that follows the weights from step to step.

For a psi with bounded slopes every gradient is v'_0 + sum_l r_l v'_l, |r_l| <= 1 (`lipschitz.upper.zonotope`), and
the best certificate is max ||V'^T U||_F over U with rows of length one. The search minimises over the weights what it
maximises over U: each step of the one takes one step of the iteration of the other. So no eigenvalue is computed and no
lambda is a variable; the cost is that of two products with V'.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def start_of_relaxation(key: PRNGKeyArray, k: int, rank: int) -> Float[Array, "rows rank"]:
    """U (k + 1, rank) to begin with: random rows of length one."""
    return _normalised(jax.random.normal(key, (k + 1, rank)))


def relaxed(
    rows: Float[Array, "rows d"], U: Float[Array, "rows rank"]
) -> tuple[Float[Array, ""], Float[Array, "rows rank"]]:
    """The squared bound for rows v'_0, ..., v'_k, nearly, and U after one more step of the iteration."""
    U = jax.lax.stop_gradient(_normalised(rows @ (rows.T @ U)))
    return jnp.sum((rows.T @ U) ** 2), U


def centred_rows(V: Float[Array, "k d"], alpha: Float[Array, " k"], beta: Float[Array, " k"]) -> Float[Array, "rows d"]:
    """(k + 1, d) rows v'_0, ..., v'_k of gradients sum_l s_l v_l with slopes s_l from alpha_l to beta_l."""
    mean, half = (jax.lax.stop_gradient(part) for part in (0.5 * (alpha + beta), 0.5 * (beta - alpha)))
    return jnp.concatenate([(mean @ V)[None], half[:, None] * V])


def squared_norm(matrix: Float[Array, "m d"], squarings: int) -> Float[Array, ""]:
    """||matrix||_op^2, nearly and from above."""
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return largest_eigenvalue(gram, squarings)


def largest_eigenvalue(positive: Float[Array, "d d"], squarings: int) -> Float[Array, ""]:
    """Of a positive semidefinite matrix, nearly and from above: the root of the trace of its 2^squarings-th power."""
    size = jax.lax.stop_gradient(jnp.trace(positive)) + 1e-30
    power, logarithm = positive / size, jnp.zeros(())
    for _ in range(squarings):
        trace = jax.lax.stop_gradient(jnp.trace(power)) + 1e-30
        power, logarithm = (power / trace) @ (power / trace), 2.0 * (logarithm + jnp.log(trace))
    return size * jnp.exp((logarithm + jnp.log(jnp.trace(power) + 1e-30)) / 2.0**squarings)


def _normalised(U: Array) -> Array:
    return U / jnp.maximum(jnp.linalg.norm(U, axis=1, keepdims=True), 1e-30)
