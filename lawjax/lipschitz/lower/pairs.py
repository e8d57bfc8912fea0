"""A lower bound in closed form: the steepest pair of data points.

>>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
>>> bound, i, j = pair_bound(f, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
>>> round(bound, 6), (i, j)
(4.0, (0, 2))
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from lawjax import activations, arguments
from lawjax.domains import check_single
from lawjax.network import TwoLayer

_EPS = float(np.finfo(np.float64).eps)
BLOCK_ENTRIES = 2**22  # of the arrays that are in memory together
_ROUNDINGS = 8.0  # to each there is, in squared distances


class PairBound(NamedTuple):
    """The steepest pair of points.

    Attributes:
        value: |f(x_i) - f(x_j)| / ||x_i - x_j||, less what rounding can have made of it; 0 where nothing is left.
        i: row of the one point.
        j: row of the other, i < j; or i = j = 0, where the value is 0.
    """

    value: float
    i: int
    j: int


def pair_bound(network: TwoLayer, x: ArrayLike) -> PairBound:
    """max_ij |f(x_i) - f(x_j)| / ||x_i - x_j|| in float64: a lower bound on Lip on every set that holds the points.

    So on R^d, on a convex set with the points, and for points of a sphere on that sphere, distances taken in R^d: it
    then bounds Lip_{S^{d-1}} and no gradient along the sphere. For data that f fits with labels -1 and 1 it is at
    least the floor max 2 / ||x_i - x_j|| over pairs of different labels, which holds for every function that fits.

    Equal points are passed over. From each difference is taken what rounding can have made of it, so that two points
    next to each other prove nothing. Time O(n^2 d), memory some 32 MiB blocks.

    Args:
        network: one network, of any activation.
        x: (n, d).

    Raises:
        UserError: a stack, points of another shape, or with NaN or infinite entries.
    """
    check_single(network)
    points = arguments.numbers("x", x, (None, network.dimension))
    values, errors = values_with_errors(network, points)
    _, of_x = math.frexp(float(np.abs(points).max(initial=0.0)))
    _, of_values = math.frexp(float(np.abs(values).max(initial=0.0)))
    points, values, errors = (
        np.ldexp(points, -of_x),
        np.ldexp(values, -of_values),
        np.ldexp(errors, -of_values),
    )  # for squares
    best = PairBound(0.0, 0, 0)
    for rows, columns in _blocks_of_pairs(len(points)):
        left, right = _promising(points, values, errors, rows, columns, best.value)
        step = max(1, BLOCK_ENTRIES // points.shape[1])
        for start in range(0, len(left), step):
            i, j = left[start : start + step], right[start : start + step]
            slopes = _slopes(points, values, errors, i, j)
            winner = int(slopes.argmax())
            if slopes[winner] > best.value:
                best = PairBound(float(slopes[winner]), int(i[winner]), int(j[winner]))
    return PairBound(float(np.ldexp(best.value, of_values - of_x)), best.i, best.j)


def values_with_errors(
    network: TwoLayer, x: Float[np.ndarray, "n d"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """f(x_i) without c, shape (n,), and bounds on what rounding makes it wrong by; 0 and infinity after overflow."""
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    psi = network.activation
    k, d = W.shape
    values, errors = np.zeros(len(x)), np.zeros(len(x))
    step = max(1, BLOCK_ENTRIES // k)
    for start in range(0, len(x), step):
        some = slice(start, start + step)
        points = x[some]
        with np.errstate(over="ignore", invalid="ignore"):
            largest = np.abs(points) @ np.abs(W).T + np.abs(b)
            # d + 1 roundings of |x| |w| + |b| in t, which psi carries on; a few in psi, and k in the sum over neurons.
            wrong = (d + 4) * largest * _steepest(psi, largest) + (k + 8) * _size(psi, largest)
            values[some] = psi(points @ W.T + b) @ a
            errors[some] = _EPS * (wrong @ np.abs(a))
    known = np.isfinite(values) & np.isfinite(errors)
    return np.where(known, values, 0.0), np.where(known, errors, np.inf)


def _steepest(psi: activations.Activation, t: np.ndarray) -> np.ndarray:
    """A bound on |psi'| within [-t, t], t >= 0."""
    if psi.slope_interval is not None or psi.coefficients is None:
        return np.full_like(t, psi.lipschitz)
    return _absolute(tuple(q * abs(c) for q, c in enumerate(psi.coefficients))[1:], t)


def _size(psi: activations.Activation, t: np.ndarray) -> np.ndarray:
    """A bound on |psi| within [-t, t] and, for polynomials, on its roundings, one for each degree; t >= 0."""
    if psi.coefficients is None:
        return abs(float(psi(np.float64(0.0)))) + t * (1.0 + psi.lipschitz)
    return _absolute(tuple((q + 1) * abs(c) for q, c in enumerate(psi.coefficients)), t)


def _absolute(coefficients: tuple[float, ...], t: np.ndarray) -> np.ndarray:
    value = np.zeros_like(t)
    for coefficient in reversed(coefficients):
        value = value * t + coefficient
    return value


def _blocks_of_pairs(n: int) -> Iterator[tuple[slice, slice]]:
    side = math.isqrt(BLOCK_ENTRIES)
    for start in range(0, n, side):
        for other in range(start, n, side):
            yield slice(start, min(start + side, n)), slice(other, min(other + side, n))


def _promising(
    x: np.ndarray, values: np.ndarray, errors: np.ndarray, rows: slice, columns: slice, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs i < j of a block whose slope may exceed all those that certainly occur, and `least`: by one product.

    ||x_i||^2 + ||x_j||^2 - 2 x_i . x_j cancels for points near each other; what it may be wrong by is allowed for, and
    the few pairs left are measured by their differences.
    """
    middle = x[rows].mean(0)  # near points cancel less far out
    left, right = x[rows] - middle, x[columns] - middle
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :]
    distances = squares - 2.0 * (left @ right.T)
    spread = np.abs(x[rows]).max(initial=0.0) + np.abs(x[columns]).max(initial=0.0)  # of what centring rounds off
    rounding = _ROUNDINGS * _EPS * (x.shape[1] + 2) * (squares + spread**2)
    differences = np.abs(values[rows][:, None] - values[columns][None, :])
    differences = np.maximum(differences * (1.0 - 4 * _EPS) - errors[rows][:, None] - errors[columns][None, :], 0.0)
    differences[np.add.outer(np.arange(len(left)) + rows.start, -np.arange(len(right)) - columns.start) >= 0] = 0.0
    certain = np.maximum(distances, 0.0) + rounding
    least = max(least, float((differences / np.sqrt(certain, where=certain > 0, out=np.ones_like(certain))).max()))
    i, j = np.nonzero((differences > 0) & (differences**2 >= least**2 * (distances - rounding) * (1.0 - 1e-12)))
    return i + rows.start, j + columns.start


def _slopes(x: np.ndarray, values: np.ndarray, errors: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Slopes of pairs (m,), each rounded downwards; 0 for points that are equal."""
    steps = x[i] - x[j]
    scale = np.abs(steps).max(1, initial=0.0)
    safe = np.where(scale > 0, scale, 1.0)
    lengths = np.linalg.norm(steps / safe[:, None], axis=1) * safe * (1.0 + (x.shape[1] + 8) * _EPS)
    differences = np.abs(values[i] - values[j]) * (1.0 - 4 * _EPS) - errors[i] - errors[j]
    return np.where(scale > 0, np.maximum(differences, 0.0) / np.where(scale > 0, lengths, 1.0), 0.0) * (1.0 - 4 * _EPS)
