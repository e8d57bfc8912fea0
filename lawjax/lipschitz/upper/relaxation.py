"""The best weights of a certificate, from its semidefinite relaxation, by products with one matrix alone.

The relaxation of max ||V'r|| over r with |r_l| = 1 is max ||V'U||_F over U with rows of length one. U <- V(V'U), rows
normalised, maximises in each step a linear lower bound of the convex ||V'U||_F^2, which therefore grows; extrapolation
makes it faster. At a maximiser lambda_l = ||(V V'U)_l|| are the best weights. Nothing has to be exact: whatever weights
come out, the bound is proved afterwards.

    >>> best_weights([np.array([[3.0, 0.0], [0.0, 4.0]])])[0].round(6).tolist()  # ||v_l||^2, of sum one
    [0.36, 0.64]
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lawjax.lipschitz.padding import padded_size

Array = Any

RANK = 32  # columns of the relaxation's factor; the optimum of r constraints has one of rank sqrt(2r)
STEPS = 3000  # of the relaxation's iteration, at most
_STEPS_BETWEEN_LOOKS = 50
_TOLERANCE = 1e-8  # relative growth of the primal value between looks at which the iteration ends
_EXTRAPOLATION = 0.8
_BATCH = 64  # networks solved side by side on an accelerator
_LIGHT = 1e-14  # of the longest row, up to which a row is added by its length
_FLOOR = 1e-9  # of the norm of a row, below which its weight is not let fall


def best_weights(rows: list[np.ndarray]) -> list[np.ndarray]:
    """Weights lambda >= 0 for each matrix of rows (k + 1, d), of sum one, nearly the best there are.

    Rows that are nearly 0 beside the others have weight 0: they are added by their lengths.
    """
    narrow = [_scaled(matrix) for matrix in rows]
    narrow = [matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix for matrix in narrow]
    groups: dict[tuple[int, int, bool], list[int]] = {}
    for i, matrix in enumerate(narrow):
        are_products = rows[i].shape[0] <= rows[i].shape[1]
        groups.setdefault((*padded_size(*matrix.shape), are_products), []).append(i)
    found: list[np.ndarray] = [np.zeros(0)] * len(rows)
    batch = 1 if jax.default_backend() == "cpu" else _BATCH
    for (height, width, are_products), everyone in groups.items():
        for first in range(0, len(everyone), batch):
            members = everyone[first : first + batch]
            stack = np.zeros((batch, height, width))
            for place, i in enumerate(members):
                stack[place, : narrow[i].shape[0], : narrow[i].shape[1]] = narrow[i]
            with jax.enable_x64(True), jax.default_matmul_precision("float32"):
                weights = np.asarray(_relaxations(jnp.asarray(stack), min(RANK, height), are_products, batch > 1))
            for place, i in enumerate(members):
                found[i] = _usable(weights[place, : len(rows[i])], rows[i])
    return found


def weights_of_quadratic(Q: np.ndarray) -> np.ndarray:
    """Nearly the best weights (n,) for max r'Qr over |r_l| = 1, where Q = V V' + a matrix of row and column 0 alone.

    A diagonal that outweighs the latter makes Q semidefinite for the iteration, and is taken off the weights again.
    """
    shift = np.abs(Q[0])
    shift[0] = shift[1:].sum()
    stack = np.zeros((1, *padded_size(*Q.shape)))
    stack[0, : len(Q), : len(Q)] = Q + np.diag(shift)
    scale = float(np.abs(stack).max()) or 1.0
    with jax.enable_x64(True), jax.default_matmul_precision("float32"):
        norms = np.asarray(_relaxations(jnp.asarray(stack / scale), min(RANK, stack.shape[1]), True, False))
    weights = norms[0, : len(Q)] * scale - shift
    return np.maximum(weights, _FLOOR * float(np.abs(weights).max()) + 1e-300)


def _scaled(rows: np.ndarray) -> np.ndarray:
    largest = np.abs(rows).max(initial=0.0)
    return rows / largest if 0 < largest < np.inf else np.zeros_like(rows)


def _usable(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The weights, positive also where the relaxation leaves none but a row counts, of sum one; 0 for other rows."""
    norms = np.linalg.norm(_scaled(rows), axis=1)
    counts = norms > _LIGHT * norms.max(initial=0.0)
    if not counts.any():
        return np.full(len(rows), 1.0 / len(rows))
    if not (np.isfinite(weights).all() and weights[counts].any()):
        weights = norms
    weights = np.where(counts, weights, 0.0)
    weights = np.maximum(weights / weights.sum(), np.where(counts, _FLOOR * norms / norms.sum(), 0.0))
    return weights / weights.sum()


@functools.partial(jax.jit, static_argnames=("rank", "are_products", "side_by_side"))
def _relaxations(stack: Array, rank: int, are_products: bool, side_by_side: bool) -> Array:
    of_one = functools.partial(_weights_of, rank=rank, are_products=are_products)
    return jax.vmap(of_one)(stack) if side_by_side else jax.lax.map(of_one, stack)


def _weights_of(V: Array, rank: int, are_products: bool) -> Array:
    """lambda_l = ||(V V'U)_l|| at a U with rows of length one that nearly maximises ||V'U||_F.

    Given are the rows V, or their inner products V V' where these are fewer numbers.
    """
    start = jax.random.normal(jax.random.key(0, impl="threefry2x32"), (V.shape[0], rank), V.dtype)

    def normalised(U: Array) -> Array:
        norms = jnp.linalg.norm(U, axis=1, keepdims=True)
        return U / jnp.where(norms > 0, norms, jnp.ones_like(norms))

    def product(U: Array) -> Array:
        return V @ U if are_products else V @ (V.T @ U)

    def step(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        U, previous = carry
        return normalised(product(U + _EXTRAPOLATION * (U - previous))), U

    def grows(carry: tuple[Array, Array, Array, Array, Array]) -> Array:
        _, _, value, before, steps = carry
        return (steps < STEPS) & (value > before * (1.0 + _TOLERANCE))

    def many(carry: tuple[Array, Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array, Array]:
        U, previous, value, _, steps = carry
        U, previous = jax.lax.fori_loop(0, _STEPS_BETWEEN_LOOKS, step, (U, previous))
        return U, previous, (U * product(U)).sum(), value, steps + _STEPS_BETWEEN_LOOKS

    U = normalised(start)
    zero = jnp.zeros((), V.dtype)
    U, *_ = jax.lax.while_loop(grows, many, (U, U, zero + 1e-300, zero, jnp.int32(0)))
    return jnp.linalg.norm(product(U), axis=1)
