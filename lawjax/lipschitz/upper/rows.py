"""The rows whose signed sums are a network's gradients, and the bound that weights prove for them, in float64.

A row of weight 0 is added by its length: ||sum_l r_l v_l|| is at most what the weights prove for the other rows plus
the lengths of these. So rows of zeros and nearly so cost nothing, and with no weights at all that is the path bound.

>>> rows = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
>>> round(proved_bound(rows, np.zeros(3), np.array([0.0, 0.36, 0.64])), 9), round(path_bound(rows, np.zeros(3)), 9)
(5.0, 7.0)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from lawjax.lipschitz import doubled, verified
from lawjax.network import TwoLayer

_CANCELS = 1e-6  # of the size of its terms, below which a sum is taken in doubled precision


def centred_rows(network: TwoLayer, alpha: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows v'_0, ..., v'_k in float64, shape (k + 1, d), and (k + 1,) bounds on the norms of their errors."""
    everyone = np.arange(network.n_neurons)
    ((rows, errors),) = rows_of_cases(network, alpha[None], beta[None], [everyone])
    return rows, errors


def rows_of_cases(
    network: TwoLayer, alpha: np.ndarray, beta: np.ndarray, neurons: Sequence[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each case v'_0 and the rows of the neurons named, all that have alpha < beta; and bounds on their errors.

    Args:
        network: a single one.
        alpha: (m, k), least slopes in each case.
        beta: (m, k), largest slopes.
        neurons: indices for each case.
    """
    W, a = np.asarray(network.W, np.float64), np.asarray(network.a, np.float64)
    products = a[:, None] * W
    middle = np.where(alpha == beta, alpha, 0.5 * alpha + 0.5 * beta)
    half = np.where(alpha == beta, 0.0, verified.up(np.maximum(beta - middle, middle - alpha)))
    first = middle @ products
    size = verified.row_norms(np.abs(middle) @ np.abs(products))
    rounding = verified.gamma(len(a) + 4) * size
    for cancelling in np.flatnonzero((np.linalg.norm(first, axis=1) < _CANCELS * size) & (size > 0)):
        first[cancelling], rounding[cancelling] = _doubled_sum(middle[cancelling], a, W, size[cancelling])
    for place, own in enumerate(neurons):
        rows = np.concatenate([first[place][None, :], half[place, own][:, None] * products[own]])
        errors = verified.gamma(4) * verified.row_norms(rows)
        errors[0] = rounding[place]
        yield rows, errors * (1.0 + verified.gamma(4))


def _doubled_sum(slopes: np.ndarray, a: np.ndarray, W: np.ndarray, size: float) -> tuple[np.ndarray, float]:
    """Sum_l s_l a_l w_l of terms that nearly cancel, and a bound on its error."""
    coefficients = doubled.times(slopes, a)
    high, low = doubled.weighted_sum(coefficients, W)
    return high, float(verified.row_norms(low[None])[0] + (len(a) + 8) * 2.0**-98 * size)


def path_bound(rows: np.ndarray, errors: np.ndarray) -> float:
    """The lengths of all rows added up, rounded upwards."""
    return verified.total([*verified.row_norms(rows), *errors])


def proved_bound(rows: np.ndarray, errors: np.ndarray, weights: np.ndarray) -> float:
    """sqrt(sum lambda) * ||Lambda^(-1/2) V'||_op, rounded upwards, for rows V' that are wrong by at most `errors`.

    Rows of weight 0 are added by their lengths, and so are all errors.
    """
    heavy = (weights > 0) & (np.abs(rows).max(1, initial=0.0) > 0)
    beside = path_bound(rows[~heavy], errors)
    rows, weights = rows[heavy], weights[heavy]
    if len(rows) <= 1:
        return verified.total([*verified.row_norms(rows), beside])
    scale = 1.0 / np.sqrt(weights)
    scaled = rows * scale[:, None]
    # Three roundings of every entry.
    row_errors = verified.gamma(4) * verified.row_norms(scaled) * (1.0 + verified.gamma(6))
    error = float(verified.row_norms(row_errors[None, :])[0])
    length = verified.up(math.sqrt(verified.total(weights)))
    return verified.total([verified.up(verified.spectral_norm(scaled, error) * length), beside])
