"""Where a search begins: sign patterns that a certificate's largest directions ask for, and points that come near them.

A network is first brought into the form in which it is searched: float64, rows of length one, and with fewer neurons
than coordinates in the span of the rows of W, where the sphere's points appear as those of the ball.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg

from lawjax.network import TwoLayer

PATTERNS = 8  # sign patterns of a network
LARGE = 2**10  # entries of W above which it is a matter of time what can be tried
_TILTS = 3  # products that turn random directions towards the certificate's largest
_FLIPS = 50  # of single signs in a pattern, at most
_LEAST_WEIGHT = 1e-12  # of a neuron beside the largest one, in directions to start from
_ORTHONORMAL = 1e-6  # what a basis may lack of it; it only serves the search


class Searched(NamedTuple):
    """A network as searches on any domain see it.

    Attributes:
        network: of size one, in float64, rows of length one where psi allows it, without neurons that never count.
        basis: (d, m), orthonormal; points of the search are coordinates in it. None for all of R^d.
        preimages: (2 * patterns, m), points that come near good sign patterns: without and with biases.
    """

    network: TwoLayer
    basis: np.ndarray | None
    preimages: np.ndarray


def prepare(network: TwoLayer, weights: np.ndarray, tangential: bool) -> Searched:
    """What searches on all domains share.

    Args:
        network: a single one, of size one (`lawjax.lipschitz.scale`).
        weights: (k + 1,), of its certificate on any domain.
        tangential: whether the gradient's part along a sphere is looked for, so that every coordinate counts.
    """
    counts = (network.a != 0) & network.W.any(1)
    if not counts.any():
        counts[0] = True
    W, b, a = network.W[counts], network.b[counts], network.a[counts]
    if network.activation.has_kink:
        norms = np.linalg.norm(W, axis=1)
        norms = np.where(norms > 0, norms, 1.0)
        W, b, a = W / norms[:, None], b / norms, a * norms
    basis = None
    if len(W) < W.shape[1] and not tangential:
        W, basis = _narrowed(W)
    plain = TwoLayer(W, b, a, 0.0, network.activation)
    patterns = _patterns(plain, weights[1:][counts])
    far = 10.0 * float(np.abs(b).max()) + typical_distance(plain)
    with np.errstate(over="ignore", invalid="ignore"):
        points = _preimages(W, np.concatenate([patterns, far * patterns - b[:, None]], axis=1))
        lengths = (points**2).sum(1, keepdims=True)
    fine = np.isfinite(lengths) & (lengths > 0)
    return Searched(plain, basis, np.where(fine, points, np.eye(1, W.shape[1])))


def typical_distance(network: TwoLayer) -> float:
    """The distance of a typical kink from 0, 1 where they pass through it."""
    norms = np.linalg.norm(network.W, axis=1)
    distances = np.abs(network.b[norms > 0]) / norms[norms > 0]
    return (float(np.median(distances)) if distances.size else 0.0) or 1.0


def _narrowed(W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W = R B' with B (d, k) orthonormal, for k < d: from Cholesky's factor of W W', the quickest, where it serves."""
    if W.size > LARGE:
        try:
            R = np.linalg.cholesky(W @ W.T)
        except np.linalg.LinAlgError:
            pass
        else:
            basis = scipy.linalg.solve_triangular(R, W, lower=True, check_finite=False).T
            if np.abs((basis**2).sum(0) - 1.0).max() < _ORTHONORMAL:
                return R, basis
    basis = np.linalg.qr(W.T)[0]
    return W @ basis, basis


def _patterns(network: TwoLayer, weights: np.ndarray) -> np.ndarray:
    """(k, PATTERNS) signs r for which v'_0 + sum_l r_l v'_l is large: its fixed points, then single signs flipped."""
    W, a = network.W, network.a
    psi = network.activation
    low, high = psi.sides if psi.has_kink else (-1.0, 1.0)
    rows = 0.5 * (high - low) * a[:, None] * W
    rows = rows / max(np.abs(rows).max(), 1e-300)
    weights = np.maximum(weights / max(weights.max(), 1e-300), _LEAST_WEIGHT)
    scaled = rows / np.sqrt(weights)[:, None]
    scaled = scaled / max(np.abs(scaled).max(), 1e-300)
    middle = (high + low) / (high - low) * rows.sum(0)
    block = np.random.default_rng(1).standard_normal((W.shape[1], PATTERNS // 2))
    for _ in range(_TILTS):
        block = scaled.T @ (scaled @ block)
        block /= np.maximum(np.linalg.norm(block, axis=0), 1e-300)
    gradients = np.concatenate([block, -block], axis=1)
    patterns = np.zeros((len(rows), gradients.shape[1]))
    for _ in range(20):
        before, patterns = patterns, np.where(rows @ gradients >= 0, 1.0, -1.0)
        gradients = middle[:, None] + rows.T @ patterns
        if (before == patterns).all():
            break
    squares = (rows**2).sum(1)[:, None]
    columns = np.arange(patterns.shape[1])
    for _ in range(_FLIPS):
        gain = squares - patterns * (rows @ gradients)  # of the squared norm, over 4
        worst = gain.argmax(0)
        flip = gain[worst, columns] > 1e-12 * squares.max()
        if not flip.any():
            break
        flipped = np.where(flip, patterns[worst, columns], 0.0)
        gradients = gradients - 2.0 * rows[worst].T * flipped
        patterns[worst, columns] -= 2.0 * flipped
    return patterns


def _preimages(W: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(m, d) rows z with W z near the columns of `asked` (k, m), by regularised normal equations."""
    k, d = W.shape
    gram = W @ W.T if k <= d else W.T @ W
    gram[np.diag_indices(len(gram))] += 1e-12 * float(gram.trace()) or 1.0
    if k <= d:
        return np.linalg.solve(gram, asked).T @ W
    return np.linalg.solve(gram, W.T @ asked).T
