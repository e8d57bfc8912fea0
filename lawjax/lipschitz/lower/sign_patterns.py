"""Sign patterns r in {-1, 1}^k for which the gradient v'_0 + sum_l r_l v'_l is large, and points that come near them.

The v'_l are those of certificates (`lawjax.lipschitz.upper.zonotope`), and the patterns begin with the largest
directions of a certificate's weights. Which patterns occur in the domain is not asked: points only come near them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from lawjax.lipschitz.lower.effort import Patterns
from lawjax.network import TwoLayer

_LEAST_WEIGHT = 1e-12  # of a neuron beside the largest one, in directions to start from


def sign_patterns(
    network: TwoLayer, weights: Float[np.ndarray, " k"], tuning: Patterns
) -> Float[np.ndarray, "k patterns"]:
    """Signs for which the gradient is large: fixed points of rounding to signs, then single signs flipped.

    Args:
        network: in float64, of size one.
        weights: lambda_l of its certificate, without the constant part's.
        tuning: how many, and how hard to try.
    """
    W, a = network.W, network.a
    psi = network.activation
    low, high = psi.sides if psi.has_kink else (-1.0, 1.0)
    rows = 0.5 * (high - low) * a[:, None] * W
    rows = rows / max(np.abs(rows).max(), 1e-300)
    weights = np.maximum(weights / max(weights.max(), 1e-300), _LEAST_WEIGHT)
    scaled = rows / np.sqrt(weights)[:, None]
    scaled = scaled / max(np.abs(scaled).max(), 1e-300)
    middle = (high + low) / (high - low) * rows.sum(0)
    directions = np.random.default_rng(1).standard_normal((W.shape[1], tuning.count // 2))
    for _ in range(tuning.tilts):
        directions = scaled.T @ (scaled @ directions)
        directions /= np.maximum(np.linalg.norm(directions, axis=0), 1e-300)
    gradients = np.concatenate([directions, -directions], axis=1)
    patterns = np.zeros((len(rows), gradients.shape[1]))
    for _ in range(tuning.rounds):
        before, patterns = patterns, np.where(rows @ gradients >= 0, 1.0, -1.0)
        gradients = middle[:, None] + rows.T @ patterns
        if (before == patterns).all():
            break
    return _flipped(rows, gradients, patterns, tuning.flips)


def _flipped(rows: np.ndarray, gradients: np.ndarray, patterns: np.ndarray, flips: int) -> np.ndarray:
    """Patterns (k, p) of gradients (d, p) after flips of single signs, each the one that gains most."""
    squares = (rows**2).sum(1)[:, None]
    columns = np.arange(patterns.shape[1])
    for _ in range(flips):
        gain = squares - patterns * (rows @ gradients)  # of the squared norm, over 4
        worst = gain.argmax(0)
        flip = gain[worst, columns] > 1e-12 * squares.max()
        if not flip.any():
            break
        flipped = np.where(flip, patterns[worst, columns], 0.0)
        gradients = gradients - 2.0 * rows[worst].T * flipped
        patterns[worst, columns] -= 2.0 * flipped
    return patterns


def preimages(W: Float[np.ndarray, "k d"], asked: Float[np.ndarray, "k m"]) -> Float[np.ndarray, "m d"]:
    """Rows z with W z near the columns of `asked`, by regularised normal equations."""
    k, d = W.shape
    gram = W @ W.T if k <= d else W.T @ W
    gram[np.diag_indices(len(gram))] += 1e-12 * float(gram.trace()) or 1.0
    if k <= d:
        return np.linalg.solve(gram, asked).T @ W
    return np.linalg.solve(gram, W.T @ asked).T
