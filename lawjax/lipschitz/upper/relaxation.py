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
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lawjax.lipschitz.padding import padded_size

_LIGHT = 1e-14  # of the longest row, up to which a row is added by its length
_FLOOR = 1e-9  # of the norm of a row, below which its weight is not let fall


@dataclass(frozen=True)
class Relaxation:
    """How the semidefinite relaxation is solved.

    Attributes:
        rank: columns of its factor; the optimum of r constraints has one of rank sqrt(2r).
        steps: of the iteration, at most.
        steps_between_looks: after which the value is looked at.
        tolerance: relative growth of the value between looks at which the iteration ends.
        extrapolation: part of the last move that is added to the next.
        batch: networks solved side by side on an accelerator.
    """

    rank: int = 32
    steps: int = 3000
    steps_between_looks: int = 50
    tolerance: float = 1e-8
    extrapolation: float = 0.8
    batch: int = 64


USUAL = Relaxation()


def best_weights(
    rows: Sequence[Float[np.ndarray, "_ _"]], relaxation: Relaxation = USUAL
) -> list[Float[np.ndarray, " _"]]:
    """Weights lambda >= 0 for each matrix of rows (k + 1, d), of sum one, nearly the best there are.

    Rows that are nearly 0 beside the others have weight 0: they are added by their lengths.
    """
    narrow = [_scaled(matrix) for matrix in rows]
    narrow = [matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix for matrix in narrow]
    of_shape: dict[tuple[int, int, bool], list[int]] = {}
    for i, matrix in enumerate(narrow):
        are_products = rows[i].shape[0] <= rows[i].shape[1]
        of_shape.setdefault((*padded_size(*matrix.shape), are_products), []).append(i)
    found: list[np.ndarray] = [np.zeros(0)] * len(rows)
    batch = 1 if jax.default_backend() == "cpu" else relaxation.batch
    for (height, width, are_products), alike in of_shape.items():
        for first in range(0, len(alike), batch):
            together = alike[first : first + batch]
            stack = np.zeros((batch, height, width))
            for place, i in enumerate(together):
                stack[place, : narrow[i].shape[0], : narrow[i].shape[1]] = narrow[i]
            solve = _side_by_side if batch > 1 else _one_by_one
            weights = _solved(solve, stack, relaxation, are_products=are_products)
            for place, i in enumerate(together):
                found[i] = _usable(weights[place, : len(rows[i])], rows[i])
    return found


def weights_of_quadratic(Q: Float[np.ndarray, "n n"], relaxation: Relaxation = USUAL) -> Float[np.ndarray, " n"]:
    """Nearly the best weights for max r'Qr over |r_l| = 1, where Q = V V' + a matrix of row and column 0 alone.

    A diagonal that outweighs the latter makes Q semidefinite for the iteration, and is taken off the weights again.
    """
    shift = np.abs(Q[0])
    shift[0] = shift[1:].sum()
    stack = np.zeros((1, *padded_size(*Q.shape)))
    stack[0, : len(Q), : len(Q)] = Q + np.diag(shift)
    scale = float(np.abs(stack).max()) or 1.0
    norms = _solved(_one_by_one, stack / scale, relaxation, are_products=True)
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


def _solved(
    solve: Callable[..., Array], stack: np.ndarray, relaxation: Relaxation, *, are_products: bool
) -> np.ndarray:
    with jax.enable_x64(True), jax.default_matmul_precision("float32"):
        return np.asarray(solve(jnp.asarray(stack), relaxation, are_products))


@functools.partial(jax.jit, static_argnames=("relaxation", "are_products"))
def _one_by_one(stack: Array, relaxation: Relaxation, are_products: bool) -> Array:
    return jax.lax.map(functools.partial(_weights_of, relaxation=relaxation, are_products=are_products), stack)


@functools.partial(jax.jit, static_argnames=("relaxation", "are_products"))
def _side_by_side(stack: Array, relaxation: Relaxation, are_products: bool) -> Array:
    return jax.vmap(functools.partial(_weights_of, relaxation=relaxation, are_products=are_products))(stack)


def _weights_of(V: Array, *, relaxation: Relaxation, are_products: bool) -> Array:
    """lambda_l = ||(V V'U)_l|| at a U with rows of length one that nearly maximises ||V'U||_F.

    Given are the rows V, or their inner products V V' where these are fewer numbers.
    """
    start = jax.random.normal(
        jax.random.key(0, impl="threefry2x32"), (V.shape[0], min(relaxation.rank, V.shape[0])), V.dtype
    )

    def normalised(U: Array) -> Array:
        norms = jnp.linalg.norm(U, axis=1, keepdims=True)
        return U / jnp.where(norms > 0, norms, jnp.ones_like(norms))

    def product(U: Array) -> Array:
        return V @ U if are_products else V @ (V.T @ U)

    def step(_: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        U, previous = carry
        return normalised(product(U + relaxation.extrapolation * (U - previous))), U

    def grows(carry: tuple[Array, Array, Array, Array, Array]) -> Array:
        _, _, value, before, steps = carry
        return (steps < relaxation.steps) & (value > before * (1.0 + relaxation.tolerance))

    def many(carry: tuple[Array, Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array, Array]:
        U, previous, value, _, steps = carry
        U, previous = jax.lax.fori_loop(0, relaxation.steps_between_looks, step, (U, previous))
        return U, previous, (U * product(U)).sum(), value, steps + relaxation.steps_between_looks

    U = normalised(start)
    zero = jnp.zeros((), V.dtype)
    U, *_ = jax.lax.while_loop(grows, many, (U, U, zero + 1e-300, zero, jnp.int32(0)))
    return jnp.linalg.norm(product(U), axis=1)
