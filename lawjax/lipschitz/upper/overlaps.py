"""How many caps can overlap at a point of a sphere: a proof that knows where the point must lie.

Each neuron whose cap (`lawjax.lipschitz.upper.caps`) is entered, y_l = 1, pulls the point to its side:
y_l (n_l . z - h_l) >= 0 with z = x/R, |z| <= 1. With multipliers 2 rho kappa h_l for these and rho for the norm, and
the largest value over z put in, every gradient of the domain has, for all rho, kappa >= 0,

    ||grad f||^2 <= ||grad(y)||^2 + rho - 2 rho kappa sum_l h_l^2 y_l + rho kappa^2 ||sum_l h_l y_l n_l||^2,

a quadratic in the pattern y, to which weights lambda apply as before (docs/certificates.md). With orthogonal normals it
says that sum_l h_l^2 y_l <= 1; section 3.3's grouped caps need it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.optimize

from lawjax.lipschitz import verified
from lawjax.lipschitz.upper.caps import caps_of
from lawjax.lipschitz.upper.relaxation import weights_of_quadratic
from lawjax.lipschitz.upper.zonotope import zonotopes_of
from lawjax.network import TwoLayer

_LARGEST = 1500  # neurons up to which it is tried: it takes eigenvalues of matrices of that size
_LEAST_HEIGHTS = 1.0  # sum of squared heights below which nothing can be won: all neurons could be on together
_LEAST = 1e-12  # multiplier of the norm from which the search starts, in units of the longest row
_EVALUATIONS = 40  # of the search for rho and kappa


class Overlap(NamedTuple):
    """The numbers of such a proof.

    Attributes:
        rho: multiplier of the norm, in units of a squared gradient.
        kappa: of the pull, without unit.
        weights: (m + 1,), lambda of the constant part and of the m neurons whose slope is unknown.
    """

    rho: float
    kappa: float
    weights: np.ndarray


class Quadratic(NamedTuple):
    """||V'r||^2 + rho (1 - kappa sum h^2) - rho kappa sum pulls_l r_0 r_l + rho kappa^2 ||H'r||^2 / 4, |r_l| = 1.

    Attributes:
        rows: (m + 1, d), V'.
        errors: (m + 1,) bounds on the errors of their norms.
        normals: (m + 1, d), H: sum_l h_l n_l, then +-h_l n_l.
        pulls: (m,), +-h_l^2.
    """

    rows: np.ndarray
    errors: np.ndarray
    normals: np.ndarray
    pulls: np.ndarray


def quadratic(network: TwoLayer, alpha: np.ndarray, beta: np.ndarray, radius: float) -> Quadratic | None:
    """What the bound is about, over the neurons with alpha < beta; r_l = 1 where their slope is beta.

    None where nothing can be won, or it would take too long.
    """
    free = np.flatnonzero(alpha != beta)
    caps = caps_of(network, radius)
    heights = caps.heights[free]
    if (heights**2).sum() <= _LEAST_HEIGHTS or len(free) > _LARGEST:
        return None
    rows, errors = next(zonotopes_of(network, alpha[None], beta[None], [free]))
    signs = np.where(caps.inside == beta, 1.0, -1.0)[free]
    pulled = heights[:, None] * caps.normals[free]
    normals = np.concatenate([pulled.sum(0)[None], signs[:, None] * pulled])
    return Quadratic(rows, errors, normals, signs * heights**2)


def best_overlap(of: Quadratic) -> Overlap:
    """Good rho, kappa and weights by a direct search."""
    pulling = of.pulls != 0
    scale = float(np.abs(of.rows[1:]).max())
    V = of.rows / scale
    gram, normals = V @ V.T, of.normals @ of.normals.T
    typical = float(np.median(4.0 * np.diag(gram)[1:][pulling] / np.abs(of.pulls[pulling])))
    typical = max(typical, _LEAST)  # where half of the neurons hardly count
    best: tuple[float, Overlap] = (math.inf, Overlap(0.0, 0.0, np.zeros(0)))

    def value(at: np.ndarray) -> float:
        nonlocal best
        rho, kappa = math.exp(at[0]), abs(float(at[1]))
        Q = gram + 0.25 * rho * kappa**2 * normals
        Q[0, 1:] -= 0.5 * rho * kappa * of.pulls
        Q[1:, 0] = Q[0, 1:]
        weights = weights_of_quadratic(Q)
        inverse = 1.0 / np.sqrt(weights)
        top = float(np.linalg.eigvalsh(inverse[:, None] * Q * inverse)[-1])
        bound = rho - rho * kappa * float(np.abs(of.pulls).sum()) + float(weights.sum()) * top
        if bound < best[0]:
            best = bound, Overlap(rho * scale**2, kappa, weights)
        return bound

    start = np.array([math.log(2.5 * typical), 0.6])
    simplex = start + np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.25]])
    options = {"maxfev": _EVALUATIONS, "initial_simplex": simplex}
    scipy.optimize.minimize(value, start, method="Nelder-Mead", options=options)
    return best[1]


def proved_overlap_bound(of: Quadratic, overlap: Overlap) -> float:
    """The bound on sup ||grad f|| that rho, kappa and the weights prove, rounded upwards."""
    rho, kappa, weights = overlap
    scale = 2.0 ** math.frexp(float(np.abs(of.rows).max()))[1]
    rho = rho / scale**2
    k, d = len(of.pulls), of.rows.shape[1]
    inverse = 1.0 / np.sqrt(weights)
    both = np.concatenate([of.rows / scale, 0.5 * math.sqrt(rho) * kappa * of.normals], axis=1)
    A = both * inverse[:, None]
    # Roundings of every entry, of sums over k normals in the first row, and of the rows given.
    size = 0.5 * math.sqrt(rho) * kappa * float(np.sqrt(np.abs(of.pulls)).sum())
    row_errors = verified.gamma(2 * d + 40) * verified.row_norms(A) + of.errors / scale * inverse
    row_errors[0] += verified.gamma(k + 2 * d + 40) * size * inverse[0]
    error = float(verified.row_norms(row_errors[None, :])[0])
    arrow = -0.5 * rho * kappa * of.pulls * inverse[0] * inverse[1:]
    S = verified.mirrored(A @ A.T)
    S[0, 1:] += arrow
    S[1:, 0] += arrow
    magnitudes = np.abs(A)
    rounding = verified.gamma(2 * d + 4) * float((magnitudes @ magnitudes.sum(0)).max())
    rounding += verified.gamma(d + 60) * float(np.abs(arrow).sum())
    rounding += 4.0 * verified.gamma(1) * float(np.abs(S).sum(1).max())
    top = verified.largest_eigenvalue(S)
    norm = verified.spectral_norm(A, error)
    top = top + (rounding + (2.0 * norm + error) * error) * (1.0 + verified.gamma(k + 8))
    pulled = float(np.abs(of.pulls).sum())
    squared = math.fsum([rho, -rho * kappa * pulled, verified.total(weights) * top])
    squared += verified.gamma(k + d + 60) * (rho + rho * kappa * pulled + verified.total(weights) * abs(top))
    return float(verified.up(math.sqrt(max(squared, 0.0)) * (1.0 + verified.gamma(2))) * scale)
