"""The zonotope that holds a network's gradients, and the bound that weights prove for it, in float64.

Every gradient on a domain is v'_0 + sum_l r_l v'_l with |r_l| <= 1: a point of the zonotope with centre v'_0 and
generators v'_l. A generator of weight 0 is added by its length: ||sum_l r_l v'_l|| is at most what the weights prove
for the others plus the lengths of these. So generators that are 0 or nearly so cost nothing, and with no weights at all
that is the path bound.

>>> both = Zonotope(np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]), np.zeros(3))
>>> round(proved_bound(both, np.array([0.0, 0.36, 0.64])), 9), round(path_bound(both), 9)
(5.0, 7.0)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lawjax.lipschitz import doubled, verified
from lawjax.network import TwoLayer

_CANCELS = 1e-6  # of the size of its terms, below which a sum is taken in doubled precision


class Zonotope(NamedTuple):
    """{v'_0 + sum_l r_l v'_l : |r_l| <= 1}, up to rounding.

    Attributes:
        vectors: the centre v'_0, then the generators.
        errors: bounds on the lengths of what rounding changed in them.
    """

    vectors: Float[np.ndarray, "vectors d"]
    errors: Float[np.ndarray, " vectors"]


def zonotope_of(network: TwoLayer, alpha: Float[np.ndarray, " k"], beta: Float[np.ndarray, " k"]) -> Zonotope:
    """The zonotope of all gradients whose slopes psi' are between alpha and beta; k generators."""
    return next(zonotopes_of(network, alpha[None], beta[None], [np.arange(network.n_neurons)]))


def zonotopes_of(
    network: TwoLayer,
    alpha: Float[np.ndarray, "parts k"],
    beta: Float[np.ndarray, "parts k"],
    neurons: Sequence[Int[np.ndarray, " _"]],
) -> Iterator[Zonotope]:
    """For each part of a domain the zonotope of its gradients, with the generators of the neurons named alone.

    Args:
        network: a single one.
        alpha: least slopes in each part.
        beta: largest slopes.
        neurons: for each part all that have alpha < beta, or more.
    """
    W, a = np.asarray(network.W, np.float64), np.asarray(network.a, np.float64)
    products = a[:, None] * W
    middle = np.where(alpha == beta, alpha, 0.5 * alpha + 0.5 * beta)
    half = np.where(alpha == beta, 0.0, verified.up(np.maximum(beta - middle, middle - alpha)))
    centres = middle @ products
    size = verified.row_norms(np.abs(middle) @ np.abs(products))
    rounding = verified.gamma(len(a) + 4) * size
    for cancelling in np.flatnonzero((np.linalg.norm(centres, axis=1) < _CANCELS * size) & (size > 0)):
        centres[cancelling], rounding[cancelling] = _doubled_sum(middle[cancelling], a, W, size[cancelling])
    for place, own in enumerate(neurons):
        vectors = np.concatenate([centres[place][None, :], half[place, own][:, None] * products[own]])
        errors = verified.gamma(4) * verified.row_norms(vectors)
        errors[0] = rounding[place]
        yield Zonotope(vectors, errors * (1.0 + verified.gamma(4)))


def _doubled_sum(slopes: np.ndarray, a: np.ndarray, W: np.ndarray, size: float) -> tuple[np.ndarray, float]:
    """Sum_l s_l a_l w_l of terms that nearly cancel, and a bound on its error."""
    coefficients = doubled.times(slopes, a)
    high, low = doubled.weighted_sum(coefficients, W)
    return high, float(verified.row_norms(low[None])[0] + (len(a) + 8) * 2.0**-98 * size)


def path_bound(zonotope: Zonotope) -> float:
    """The lengths of the centre and of all generators added up, rounded upwards."""
    return verified.total([*verified.row_norms(zonotope.vectors), *zonotope.errors])


def proved_bound(zonotope: Zonotope, weights: Float[np.ndarray, " vectors"]) -> float:
    """sqrt(sum lambda) * ||Lambda^(-1/2) V'||_op, rounded upwards: no point of the zonotope is longer.

    Vectors of weight 0 are added by their lengths, and so are all errors.
    """
    vectors, errors = zonotope
    heavy = (weights > 0) & (np.abs(vectors).max(1, initial=0.0) > 0)
    beside = path_bound(Zonotope(vectors[~heavy], errors))
    vectors, weights = vectors[heavy], weights[heavy]
    if len(vectors) <= 1:
        return verified.total([*verified.row_norms(vectors), beside])
    scale = 1.0 / np.sqrt(weights)
    scaled = vectors * scale[:, None]
    # Three roundings of every entry.
    row_errors = verified.gamma(4) * verified.row_norms(scaled) * (1.0 + verified.gamma(6))
    error = float(verified.row_norms(row_errors[None, :])[0])
    length = verified.up(math.sqrt(verified.total(weights)))
    return verified.total([verified.up(verified.spectral_norm(scaled, error) * length), beside])
