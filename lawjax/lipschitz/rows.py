"""The rows whose signed sums are a network's gradients, and the bound that weights prove for them, in float64."""

from __future__ import annotations

import math

import numpy as np

from lawjax.lipschitz import verified
from lawjax.network import TwoLayer


def centred_rows(network: TwoLayer, alpha: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows v'_0, ..., v'_k in float64, shape (k + 1, d), and (k + 1,) bounds on the norms of their errors."""
    W, a = np.asarray(network.W, np.float64), np.asarray(network.a, np.float64)
    middle = 0.5 * alpha + 0.5 * beta
    half = np.where(alpha == beta, 0.0, verified.up(np.maximum(beta - middle, middle - alpha)))
    middle = np.where(alpha == beta, alpha, middle)
    products = a[:, None] * W
    rows = np.concatenate([(middle @ products)[None, :], half[:, None] * products])
    magnitudes = np.abs(middle) @ np.abs(products)
    errors = verified.gamma(4) * verified.row_norms(rows)
    errors[0] = verified.gamma(len(a) + 4) * float(verified.row_norms(magnitudes[None, :])[0])
    return rows, errors * (1.0 + verified.gamma(4))


def proved_bound(rows: np.ndarray, errors: np.ndarray, weights: np.ndarray) -> float:
    """sqrt(sum lambda) * ||Lambda^(-1/2) V'||_op, rounded upwards, for rows V' that are wrong by at most `errors`."""
    used = (np.abs(rows).max(1, initial=0.0) > 0) | (errors > 0)
    if not used.any():
        return 0.0
    rows, errors, weights = rows[used], errors[used], weights[used]
    scale = 1.0 / np.sqrt(weights)
    scaled = rows * scale[:, None]
    # Three roundings of every entry, and what the rows themselves are wrong by.
    row_errors = (verified.gamma(4) * verified.row_norms(scaled) + errors * scale) * (1.0 + verified.gamma(6))
    error = float(verified.row_norms(row_errors[None, :])[0])
    total = verified.total(weights)
    return float(verified.up(verified.spectral_norm(scaled, error) * verified.up(math.sqrt(total))))
