"""Two upper bounds in closed form: the spectral product of Theorem 3 and the path product. NumPy float64 on the host.

>>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
>>> path_product(f), round(spectral_product(f), 6)
(7.0, 5.656854)
"""

from __future__ import annotations

import math

import numpy as np

from lawjax.domains import check_single
from lawjax.network import TwoLayer
from lawjax.vectors import lengths


def _float64_weights(network: TwoLayer) -> tuple[np.ndarray, np.ndarray, float]:
    """W, a in float64 and L."""
    check_single(network)
    lipschitz = network.activation.lipschitz
    return np.asarray(network.W, np.float64), np.asarray(network.a, np.float64), lipschitz


def _operator_norm(matrix: np.ndarray) -> float:
    """||W||_op, the root of the largest eigenvalue of the smaller Gram matrix (a power iteration would be lower)."""
    size = float(np.abs(matrix).max())
    if size == 0.0:
        return 0.0
    matrix = matrix / size  # so that squares neither overflow nor vanish
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return size * math.sqrt(np.linalg.eigvalsh(gram)[-1])


def spectral_product(network: TwoLayer) -> float:
    """L ||a|| ||W||_op, with L = sup |psi'|: an upper bound on Lip on R^d, up to rounding (Theorem 3, inequality (5)).

    Infinite where psi' is unbounded. It bounds nothing from below, and it is not rounded upwards: for a proof use a
    certificate.

    Raises:
        UserError: a stack of networks.
    """
    W, a, lipschitz = _float64_weights(network)
    if math.isinf(lipschitz):
        return math.inf
    with np.errstate(over="ignore", under="ignore"):
        return float(lipschitz * lengths(a[None])[0] * _operator_norm(W))


def path_product(network: TwoLayer) -> float:
    """L sum_l |a_l| ||w_l||, with L = sup |psi'|: an upper bound on Lip on R^d, up to rounding.

    It is the quantity between the two ends of Theorem 3's proof, which is at least sqrt(n) / L on generic fitted data.
    Unlike the spectral product it does not change when a neuron is rescaled. Infinite where psi' is unbounded.

    Raises:
        UserError: a stack of networks.
    """
    W, a, lipschitz = _float64_weights(network)
    if math.isinf(lipschitz):
        return math.inf
    with np.errstate(over="ignore", under="ignore"):
        return float(lipschitz * (np.abs(a) @ lengths(W)))
