"""The rows whose signed sums are a network's gradients, and the bound that weights prove for them, in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from lawjax.lipschitz import verified
from lawjax.network import TwoLayer


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
    rounding = verified.gamma(len(a) + 4) * verified.row_norms(np.abs(middle) @ np.abs(products))
    for place, own in enumerate(neurons):
        rows = np.concatenate([first[place][None, :], half[place, own][:, None] * products[own]])
        errors = verified.gamma(4) * verified.row_norms(rows)
        errors[0] = rounding[place]
        yield rows, errors * (1.0 + verified.gamma(4))


def proved_bound(rows: np.ndarray, errors: np.ndarray, weights: np.ndarray) -> float:
    """sqrt(sum lambda) * ||Lambda^(-1/2) V'||_op, rounded upwards, for rows V' that are wrong by at most `errors`."""
    used = (np.abs(rows).max(1, initial=0.0) > 0) | (errors > 0)
    if not used.any():
        return 0.0
    rows, errors, weights = rows[used], errors[used], weights[used]
    if len(rows) == 1:
        return float(verified.up(verified.row_norms(rows)[0] + errors[0]))
    scale = 1.0 / np.sqrt(weights)
    scaled = rows * scale[:, None]
    # Three roundings of every entry, and what the rows themselves are wrong by.
    row_errors = (verified.gamma(4) * verified.row_norms(scaled) + errors * scale) * (1.0 + verified.gamma(6))
    error = float(verified.row_norms(row_errors[None, :])[0])
    total = verified.total(weights)
    return float(verified.up(verified.spectral_norm(scaled, error) * verified.up(math.sqrt(total))))
