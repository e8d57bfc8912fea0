"""Upper bounds that are theorems: float64 on the host, every rounding counted.

With u = 2^-53, n roundings in a row, and an inner product of length n in any order, with or without fused products,
have a relative error of at most gamma_n = nu / (1 - nu) (Higham, Accuracy and Stability of Numerical Algorithms,
section 3.1). A Cholesky factorisation that runs to its end proves its matrix positive semidefinite up to a margin
(Rump, Verification of positive definiteness, BIT 46, 2006).

    >>> bool(up(1.0) > 1.0), spectral_norm(np.diag([3.0, 4.0])) >= 4.0
    (True, True)
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import scipy.sparse.linalg
from jaxtyping import Float
from numpy.typing import ArrayLike

_UNIT = 2.0**-53
TINY = 1e-300  # far above what underflow can lose, far below every rounding, in matrices scaled to entries of order 1
_LANCZOS_TOLERANCE = 1e-6  # of an eigenvector; the eigenvalue is nearer
MORE = 1.0 + 2.0**-20  # covers products of errors, and lengths of rows that are one but for rounding
LANCZOS_FROM = 300  # rows from which Lanczos finds the ends of a spectrum sooner than all of it is found

_Value = TypeVar("_Value", float, np.ndarray)


def up(value: _Value) -> _Value:
    """The next larger float64."""
    return np.nextafter(value, np.inf)


def gamma(n: int) -> float:
    """gamma_n = nu / (1 - nu), rounded up."""
    return float(up(up(n * _UNIT) / (1.0 - 2.0 * n * _UNIT)))


def total(values: ArrayLike) -> float:
    """An upper bound on the sum of floats."""
    return float(up(math.fsum(np.asarray(values, np.float64))))


def leg(hypotenuse: float, other: float) -> float:
    """An upper bound on sqrt(hypotenuse^2 - other^2) for an upper bound and a lower bound on the two; 0 at least."""
    scale = float(_power_of_two(hypotenuse))
    hypotenuse, other = hypotenuse / scale, other / scale
    return float(up(math.sqrt(max(float(up(up(hypotenuse**2) - np.nextafter(other**2, 0.0))), 0.0))) * scale)


def restored(bound: float, exponent: int) -> float:
    """2^exponent times a bound, rounded upwards; infinite where it is beyond the largest float."""
    if bound in (0.0, math.inf):
        return bound
    with np.errstate(over="ignore"):
        value = float(np.ldexp(bound, exponent))
    return value if 1e-290 < value < math.inf else float(up(value))  # exact, but for the smallest


def row_norms(rows: Float[np.ndarray, "m d"]) -> Float[np.ndarray, " m"]:
    """Upper bounds on the Euclidean norms of rows; rows of zeros have norm 0."""
    rows = np.asarray(rows, np.float64)
    largest = np.abs(rows).max(axis=1, initial=0.0)
    scale = _power_of_two(largest)
    norms = np.sqrt(((rows / scale[:, None]) ** 2).sum(1)) * (1.0 + gamma(rows.shape[1] + 4)) + TINY
    return np.where(largest > 0, up(up(norms) * scale), 0.0)


def spectral_norm(matrix: Float[np.ndarray, "m p"], error: float = 0.0) -> float:
    """An upper bound on ||A + E||_op for the matrix A of floats and every E with Frobenius norm at most `error`.

    The smaller Gram matrix is formed, its largest eigenvalue is guessed and the guess proved; a power iteration alone
    would bound it from below. Costs O(m^2 (m + p)) for shape (m, p) with m <= p.
    """
    A = np.asarray(matrix, np.float64)
    A = A if A.shape[0] <= A.shape[1] else A.T
    largest = np.abs(A).max(initial=0.0)
    if not np.isfinite(largest):
        return math.inf
    if largest == 0.0:
        return error
    scale = float(_power_of_two(largest))
    A = A / scale  # exact, but for entries far below the rounding of the others
    m, p = A.shape
    gram = mirrored(A @ A.T)
    # Each entry is wrong by at most gamma_p (|A||A|')_ij; the norm of that matrix is at most its largest row sum.
    magnitudes = np.abs(A)
    row_sum = float((magnitudes @ magnitudes.sum(0)).max()) * (1.0 + gamma(m + p + 4))
    squared = up(largest_eigenvalue(gram) + up(gamma(p) * row_sum)) + m * p * TINY
    return float(up(up(up(math.sqrt(squared)) * scale) + error))


def mirrored(matrix: np.ndarray) -> np.ndarray:
    """The symmetric matrix with the lower triangle of a matrix that would be symmetric but for rounding."""
    return np.tril(matrix) + np.tril(matrix, -1).T


def largest_eigenvalue(symmetric: Float[np.ndarray, "m m"]) -> float:
    """An upper bound on the largest eigenvalue of a symmetric positive semidefinite matrix of floats of order one."""
    S = np.asarray(symmetric, np.float64)
    m = len(S)
    guess = max(_largest_eigenvalue_estimate(S), float(S.diagonal().max()))

    def shifted(margin: float) -> tuple[float, np.ndarray]:
        mu = guess * (1.0 + margin)
        B = -S
        np.fill_diagonal(B, np.nextafter(mu - S.diagonal(), -np.inf))
        return mu, B

    too_little, margin = 0.0, 4.0 * m * _UNIT
    while not _has_cholesky(shifted(margin)[1]):
        too_little, margin = margin, 8.0 * margin
    while margin > 2.0 * too_little > 0.0:  # a Lanczos estimate can be well below
        middle = math.sqrt(too_little * margin)
        too_little, margin = (too_little, middle) if _has_cholesky(shifted(middle)[1]) else (middle, margin)
    mu, B = shifted(margin)
    # With a factor at hand, B + g/(1-g) tr(B) I is positive semidefinite for g = gamma_{m+1}; and B <= mu I - S.
    g = gamma(m + 1)
    slack = g / (1.0 - g) * total(B.diagonal()) * (1.0 + gamma(4)) + m * m * TINY
    return float(up(mu + up(slack)))


def _power_of_two(values: float | np.ndarray) -> Any:
    """Powers of two just above the positive values, 1 for 0."""
    return np.ldexp(1.0, np.clip(np.frexp(np.where(values > 0, values, 0.5))[1], -1021, 1023))


def _has_cholesky(matrix: np.ndarray) -> bool:
    try:
        return bool(np.isfinite(np.linalg.cholesky(matrix)).all())
    except np.linalg.LinAlgError:
        return False


def _largest_eigenvalue_estimate(S: np.ndarray) -> float:
    if len(S) < LANCZOS_FROM:
        return float(np.linalg.eigvalsh(S)[-1])
    try:
        start = np.random.default_rng(0).standard_normal(len(S))
        # At the relaxation's optimum the largest eigenvalues come in a cluster: to tell them apart would take long.
        options = {"tol": _LANCZOS_TOLERANCE, "v0": start, "return_eigenvectors": False}
        return float(scipy.sparse.linalg.eigsh(S, k=1, which="LA", **options)[0])
    except scipy.sparse.linalg.ArpackError:
        return float(np.linalg.eigvalsh(S)[-1])
