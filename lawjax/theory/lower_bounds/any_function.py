"""The least Lipschitz constant of any function that fits, whatever its kind."""

from __future__ import annotations

import math
import sys

import numpy as np
import scipy.optimize
import scipy.spatial

from lawjax import arguments, data
from lawjax.data import Dataset
from lawjax.theory.lower_bounds.record import MARGIN, LowerBound, exponent_of, that_fit, times_two_to_the

_SQUARES_VANISH = 1e-140  # distances below are taken once more, with care
_BISECTIONS = 10_000  # at most: enough from any float64 to any other


def floor(dataset: Dataset, epsilon: float = 0.0) -> LowerBound:
    """The least Lipschitz constant of any function that fits, on any set with the points.

    Exactly: max 2 / |x_i - x_j| over opposite labels (`lawjax.data.floor`). With mean square error epsilon: errors at
    two points of opposite labels add up to 2 - Lip |x_i - x_j| or more. So over disjoint pairs, here nearest first,
    sum (2 - Lip |x_i - x_j|)_+^2 / 2 <= n epsilon.

    Args:
        dataset: points and labels.
        epsilon: mean square error that is allowed.

    Raises:
        UserError: a negative epsilon.
    """
    arguments.not_negative("epsilon", epsilon)
    dataset = data.checked(dataset)
    value = data.floor(dataset) if epsilon == 0 else _approximate_floor(*data.float64(dataset), epsilon)
    one_label = len(np.unique(np.asarray(dataset.y))) == 1
    return LowerBound(
        "data floor",
        "two points of opposite labels",
        None if one_label else value * MARGIN,
        "Lip on any set with the points",
        that_fit("all", epsilon),
        True,
        "only one label occurs" if one_label else "",
    )


def _approximate_floor(x: np.ndarray, y: np.ndarray, epsilon: float) -> float:
    around = x - (data.centre(x) if np.abs(x).max() < 2.0**900 else 0.0)
    exponent = exponent_of(around)
    z = np.ldexp(around, -exponent) if exponent else x
    positive, negative = np.flatnonzero(y > 0), np.flatnonzero(y < 0)
    far = scipy.spatial.distance.cdist(z[positive], z[negative])
    order = np.argsort(far, axis=None, kind="stable")
    free = np.ones(len(positive), bool), np.ones(len(negative), bool)
    matched: list[tuple[int, int]] = []
    for i, j in zip(*np.unravel_index(order, far.shape), strict=True):
        if free[0][i] and free[1][j]:
            free[0][i] = free[1][j] = False
            matched.append((int(i), int(j)))
    if not matched:
        return 0.0
    first, second = np.array(matched).T
    pairs, exact = far[first, second], data.distances(x[positive[first]], x[negative[second]])
    equal = exact == 0
    rounded = pairs < _SQUARES_VANISH if exponent == 0 else True
    pairs = np.where(rounded, np.maximum(np.ldexp(exact, -exponent), sys.float_info.min), pairs)

    def excess(lipschitz: float) -> float:
        return float(np.sum(np.maximum(2.0 - lipschitz * pairs, 0.0) ** 2)) / 2.0 - epsilon * len(y)

    if excess(0.0) <= 0:
        return 0.0
    if 2.0 * np.sum(equal) > epsilon * len(y):  # points of opposite labels
        return math.inf
    pairs[equal] = 0.0
    found = scipy.optimize.brentq(excess, 0.0, 2.0 / pairs[~equal].min(), rtol=1e-12, maxiter=_BISECTIONS)
    found = float(found) * (1.0 - 1e-11)
    while excess(found) < 0:  # its absolute tolerance may be more than that
        found *= 0.999
    return times_two_to_the(found, -exponent)
