"""Two lower bounds in closed form: the steepest pair of data points, and the strongest kink that meets the sphere.

>>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
>>> bound, i, j = pair_bound(f, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
>>> round(bound, 6), (i, j), round(kink_bound(f).value, 6)
(4.0, (0, 2), 2.0)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lawjax import activations, arguments
from lawjax.domains import Sphere, along, check_single
from lawjax.lipschitz.lower.evaluate import gradient_norms
from lawjax.network import TwoLayer

Array = Any

_EPS = float(np.finfo(np.float64).eps)
_BLOCK_ENTRIES = 2**22
_ROUNDINGS = 8.0  # to each there is, in squared distances
_STEPS = np.array([-1e-7, 1e-7, -1e-10, 1e-10, -1e-13, 1e-13])  # to either side of a kink, relative to the radius
_TOGETHER = 1e-8  # distance of a kink from a point within which it belongs to the kinks crossed there
_ALONG = 1e-6  # of a random vector's length, left at a right angle to a normal, that is too little
_TRIED = 64  # kinks whose bound is checked, the largest ones


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


class KinkBound(NamedTuple):
    """The strongest kink that meets a sphere.

    Attributes:
        value: half the jump of the gradient along the sphere there; 0 without a kink.
        neuron: one whose kink it is; 0 without one.
        witness: (d,), a point of the sphere beside it where the gradient's part along the sphere is at least the value.
    """

    value: float
    neuron: int
    witness: np.ndarray


# --- Pairs -----------------------------------------------------------------------------------------------------------


def pair_bound(network: TwoLayer, x: Array) -> PairBound:
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
    x = arguments.numbers("x", x, (None, network.dimension))
    values, errors = values_with_errors(network, x)
    _, of_x = math.frexp(float(np.abs(x).max(initial=0.0)))
    _, of_values = math.frexp(float(np.abs(values).max(initial=0.0)))
    x, values, errors = np.ldexp(x, -of_x), np.ldexp(values, -of_values), np.ldexp(errors, -of_values)  # for squares
    best = PairBound(0.0, 0, 0)
    for rows, columns in _blocks_of_pairs(len(x)):
        left, right = _promising(x, values, errors, rows, columns, best.value)
        step = max(1, _BLOCK_ENTRIES // x.shape[1])
        for start in range(0, len(left), step):
            i, j = left[start : start + step], right[start : start + step]
            slopes = _slopes(x, values, errors, i, j)
            winner = int(slopes.argmax())
            if slopes[winner] > best.value:
                best = PairBound(float(slopes[winner]), int(i[winner]), int(j[winner]))
    return PairBound(float(np.ldexp(best.value, of_values - of_x)), best.i, best.j)


def values_with_errors(network: TwoLayer, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f(x_i) without c, shape (n,), and bounds on what rounding makes it wrong by; 0 and infinity after overflow."""
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    psi = network.activation
    k, d = W.shape
    values, errors = np.zeros(len(x)), np.zeros(len(x))
    step = max(1, _BLOCK_ENTRIES // k)
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
    side = math.isqrt(_BLOCK_ENTRIES)
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


# --- Kinks -----------------------------------------------------------------------------------------------------------


def kink_bound(network: TwoLayer, sphere: Sphere = Sphere()) -> KinkBound:
    """A lower bound on the gradient along a sphere around 0: half of its largest jump across a kink.

    Where only the kink of neuron l is crossed, the gradient jumps by (beta - alpha) a_l w_l, alpha and beta being the
    slopes of psi; one of its two values along the sphere is at least half of that in length. For distinct hyperplanes

        Lip_{S^{d-1}}(f) >= G_T >= (beta - alpha)/2 max_l |a_l| ||w_l|| sqrt(1 - t_l^2),   t_l = -b_l / (R ||w_l||)

    over those that cut the sphere, |t_l| < 1 (Shmalo 2026, d >= 3). Jumps of neurons on one hyperplane add up,
    whichever way each looks. Which neurons share one cannot be told from rounded weights, and on a circle two kinks can
    meet wherever they cut it. So a point of the sphere is drawn on each kink, the jumps of all kinks at that point are
    added, and the gradients on either side are evaluated: the value is never above what the witness attains. Time
    O(k^2 d).

    Args:
        network: one network; with a psi that is no ReLU, leaky ReLU or absolute value there are no kinks.
        sphere: of radius R. For d = 1 nothing lies along it, and the bound is 0.

    Raises:
        UserError: a stack, another domain.
    """
    check_single(network)
    arguments.instance("The sphere", sphere, Sphere, "such as lawjax.Sphere(1.0)")
    sphere = along(sphere)
    nothing = KinkBound(0.0, 0, sphere.project(np.eye(1, network.dimension))[0])
    psi = network.activation
    if not psi.has_kink or network.dimension == 1:
        return nothing
    normals, offsets, jumps, unit, neurons = _kinks(network, sphere.radius)
    if not len(neurons):
        return nothing
    jumps = jumps * (psi.sides[1] - psi.sides[0])
    points, across = _points_on(normals, offsets)
    if network.dimension == 2:  # the other of the two points where the line meets the circle
        mirrored = 2.0 * offsets[:, None] * normals - points
        points, across = np.concatenate([points, mirrored]), np.concatenate([across, _across(normals, mirrored)])
        neurons = np.concatenate([neurons, neurons])
    halves = 0.5 * _jumps_along(normals, offsets, jumps, points, across)
    best = nothing
    for place in np.argsort(-halves, kind="stable")[:_TRIED]:
        claimed = float(np.ldexp(halves[place], unit))
        if not claimed > best.value:
            break
        sides = sphere.project(points[place] + _STEPS[:, None] * across[place])
        attained = gradient_norms(network, sides, sphere)
        side = int(attained.argmax())
        if min(claimed, attained[side]) > best.value:
            best = KinkBound(min(claimed, float(attained[side])), int(neurons[place]), sides[side])
    return best


def _kinks(network: TwoLayer, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, np.ndarray]:
    """Unit normals (m, d), offsets t (m,), a ||w|| (m,) in units of a power of two, its exponent, and the neurons.

    Only those whose hyperplanes {n . x = t R} cut the sphere of radius R.
    """
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    neurons = np.flatnonzero(W.any(1) & (a != 0))
    W, b, a = W[neurons], b[neurons], a[neurons]
    _, of_rows = np.frexp(np.abs(W).max(1, initial=0.0))
    W = np.ldexp(W, -of_rows[:, None])  # so that nothing overflows
    lengths = np.linalg.norm(W, axis=1)
    mantissa, of_a = np.frexp(a)
    unit = int((of_a + of_rows).max(initial=-5000))
    with np.errstate(over="ignore"):
        offsets = -np.ldexp(b, -of_rows) / lengths / radius
    cut = np.abs(offsets) < 1.0 - 4.0 * _EPS
    jumps = np.ldexp(mantissa * lengths, of_a + of_rows - unit)
    return (W / lengths[:, None])[cut], offsets[cut], jumps[cut], unit, neurons[cut]


def _points_on(normals: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m, d) random points of the unit sphere, one on each hyperplane, and the directions that cross it there."""
    drawn = np.random.default_rng(0).standard_normal(normals.shape)
    for _ in range(2):  # the second time takes off what rounding left of the first
        drawn = drawn - (drawn * normals).sum(1, keepdims=True) * normals
        along = np.linalg.norm(drawn, axis=1) < _ALONG  # a normal may have been drawn in just this way
        drawn[along] = np.eye(normals.shape[1])[np.abs(normals[along]).argmin(1)]
        drawn = drawn - (drawn * normals).sum(1, keepdims=True) * normals
        drawn = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    points = offsets[:, None] * normals + np.sqrt((1.0 - offsets) * (1.0 + offsets))[:, None] * drawn
    return points, _across(normals, points)


def _across(normals: np.ndarray, points: np.ndarray) -> np.ndarray:
    along = normals - (normals * points).sum(1, keepdims=True) * points
    return along / np.linalg.norm(along, axis=1, keepdims=True)


def _jumps_along(
    normals: np.ndarray, offsets: np.ndarray, jumps: np.ndarray, points: np.ndarray, across: np.ndarray
) -> np.ndarray:
    """(m,): how far the gradient along the unit sphere jumps across all the kinks at each point."""
    sizes = np.zeros(len(points))
    step = max(1, _BLOCK_ENTRIES // max(normals.shape))
    for start in range(0, len(points), step):
        some = slice(start, start + step)
        here = np.abs(points[some] @ normals.T - offsets) <= _TOGETHER
        # Walking across, a neuron is switched on or off: its gradient changes by a w times the sign of the crossing.
        crossed = np.where(here, np.sign(across[some] @ normals.T), 0.0)
        jump = (crossed * jumps) @ normals
        jump = jump - (jump * points[some]).sum(1, keepdims=True) * points[some]
        sizes[some] = np.linalg.norm(jump, axis=1)
    return sizes
