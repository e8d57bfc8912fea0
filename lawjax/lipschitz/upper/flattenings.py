"""Norms of symmetric tensors bounded by their flattenings to matrices: no d^q entries are ever formed.

For F(y) = sum_l c_l (u_l . y)^q the tensor T = sum_l c_l u_l^(q) is flattened to a matrix of size d^j x d^(q-j), whose
norm is at least ||T||_op. That norm is found through (d, d) or (k, k) matrices, or through monomials where these are
few. For a random tensor it is some sqrt(d) times too large. Proofs and the count of roundings: docs/certificates.md.

    >>> round(flattened_bound(np.eye(3), np.array([1.0, 2.0, -3.0]), 4, tangential=False)[0], 9)  # 4 max |c_l|
    12.0
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.sparse.linalg

from lawjax.lipschitz import verified
from lawjax.lipschitz.verified import MORE, TINY

_WIDEST = 4096  # rows and columns of the square matrices that are factorised
_BLOCK_ENTRIES = 2**22
_BUDGET = 1e12  # multiplications for one flattening, above which it is passed over
_DEAR = 5e10  # and above which the flattening d x d^(q-1) is passed over where there are more balanced ones


def flattened_bound(U: np.ndarray, c: np.ndarray, q: int, tangential: bool) -> tuple[float, np.ndarray]:
    """A bound on sup ||grad F|| over the unit sphere for F(y) = sum_l c_l (u_l . y)^q, or of the part along it.

    Let N be the norm of the flattening d^j x d^(q-j). Then ||q T[y^(q-1)]|| <= q ||T||_op <= q N. Along a unit vector v
    at a right angle to y, the derivative of y^(j) has length sqrt(j), so that of F is at most (sqrt(j) + sqrt(q-j)) N.
    """
    half = q // 2
    bounds, directions = [math.inf], np.zeros((0, U.shape[1]))
    if half <= 1 or float(U.size) * _symmetric_dimension(U.shape[1], q - 1) <= _DEAR:
        norm, directions = _first_flattening(U, c, q)
        bounds = [norm * ((1.0 + math.sqrt(q - 1)) * (1.0 + 1e-14) if tangential else q)]
    if half > 1 and q == 2 * half:
        # v' M w <= (lambda_max - lambda_min) / 2 for unit vectors v, w at a right angle.
        factor = 2.0 * math.sqrt(half) if tangential else q
        bounds.append(_square_flattening(U, c, half, tangential) * factor * (1.0 + 1e-14))
    elif half > 1:
        norm = _balanced_flattening(U, c, q)
        bounds.append(norm * ((math.sqrt(half) + math.sqrt(half + 1)) * (1.0 + 1e-14) if tangential else q))
    return float(verified.up(min(bounds))), directions


def _first_flattening(U: np.ndarray, c: np.ndarray, q: int) -> tuple[float, np.ndarray]:
    """A bound on the norm of the flattening d x d^(q-1), and its two leading directions (2, d).

    Its Gram matrix is sum_lm c_l c_m (u_l . u_m)^(q-1) u_l u_m', of size d x d.
    """
    k, d = U.shape
    width = _symmetric_dimension(d, q - 1)
    if float(k) * d * min(width, 2 * k) > _BUDGET:
        return math.inf, np.zeros((0, d))
    if width <= k:
        M = _flattening(U, c, _monomials(d, 1), _monomials(d, q - 1))
        return verified.spectral_norm(M, _product_error(c, q)), _leading(M @ M.T)
    X = c[:, None] * U
    products = np.zeros((k, d))
    for block in _blocks(k, k):
        products[block] = _entrywise_power(U[block] @ U.T, q - 1) @ X
    gram = verified.mirrored(X.T @ products)
    # Each (u_l . u_m)^(q-1) is wrong by at most gamma_((q-1)(d+8)+8), and two products of length k follow; as rows have
    # length one, every such error is at most gamma (sum |c|)^2 in norm. Taken twice, it keeps the diagonal positive.
    rounding = verified.gamma((q - 1) * (d + 8) + 8) + verified.gamma(2 * k + 16)
    error = rounding * verified.total(np.abs(c)) ** 2 * MORE + TINY
    gram[np.diag_indices(d)] += 2.0 * error
    _, shift = math.frexp(float(gram.diagonal().max()))
    largest = math.ldexp(verified.largest_eigenvalue(np.ldexp(gram, -shift)), shift)
    return float(verified.up(math.sqrt(verified.up(largest)))), _leading(gram)


def _balanced_flattening(U: np.ndarray, c: np.ndarray, q: int) -> float:
    """A bound on the norm of the flattening d^((q-1)/2) x d^((q+1)/2), q odd; infinite where it is too large."""
    left, right = _features(U, q // 2), _features(U, q - q // 2)
    if left is None or right is None or float(len(c)) * left.width * right.width > _BUDGET:
        return math.inf
    return verified.spectral_norm(_flattening(U, c, left, right), _product_error(c, q))


def _square_flattening(U: np.ndarray, c: np.ndarray, half: int, spread: bool) -> float:
    """A bound on ||T||_op, or on half the spread of the eigenvalues, by the flattening M of size d^(q/2) x d^(q/2).

    T[y^q] = v' M v with v = y^(q/2). For q = 4 also v' (M + t I I') v - t, as v' I I' v = ||y||^4 = 1 for I taken as a
    vector: that takes away M's part along I, by far its largest eigenvalue where the coefficients have one sign.
    """
    k, d = U.shape
    features = _features(U, half, with_identity=half == 2)
    if features is None or float(k) * features.width**2 > _BUDGET:
        return math.inf
    plain = _flattening(U, c, features, features)
    bounds = []
    isotropic = -float(c.sum()) / (d * (d + 2.0))
    for t in (0.0, isotropic) if half == 2 and isotropic else (0.0,):
        M = verified.mirrored(plain + t * d * np.multiply.outer(features.identity, features.identity) if t else plain)
        shift = _middle_of_spectrum(M, features.singular) if spread else t
        M[np.diag_indices(len(M))] -= shift
        of_shift = verified.gamma(4) * math.sqrt(len(M)) * float(np.abs(M.diagonal()).max())
        norm = verified.spectral_norm(M, (_product_error(np.append(c, t * d), 2 * half) + of_shift) * MORE)
        bounds.append(max(norm, abs(shift)) if features.singular else norm)
    return min(bounds)


class _Features(NamedTuple):
    """Vectors phi_l whose products are those of u_l^(j), or which span no smaller ellipsoid.

    Attributes:
        width: their length m.
        rows: from float rows u_l and their place to the rows phi_l; (n, d) to (n, m).
        singular: whether M on the tensors of order j may have the eigenvalue 0 besides those of the matrix of width m.
        identity: (m,), the features of I / sqrt(d), for j = 2.
    """

    width: int
    rows: Callable[[np.ndarray, slice], np.ndarray]
    singular: bool
    identity: np.ndarray


def _features(U: np.ndarray, power: int, with_identity: bool = False) -> _Features | None:
    """Monomials or, where these are more than neurons, a factor of the Gram matrix; None where both are too many."""
    k, d = U.shape
    if _symmetric_dimension(d, power) <= min(k, _WIDEST):
        return _monomials(d, power)
    return _factor(U, power, with_identity) if k <= _WIDEST else None


def _monomials(d: int, power: int) -> _Features:
    """u^(j) in the orthonormal basis of the symmetric tensors: monomials times roots of multinomial coefficients."""
    places = np.array(list(itertools.combinations_with_replacement(range(d), power)))
    counts = [math.prod(math.factorial(n) for n in np.unique(row, return_counts=True)[1].tolist()) for row in places]
    roots = np.sqrt([math.factorial(power) / count for count in counts])

    def rows(U: np.ndarray, block: slice) -> np.ndarray:
        product = np.broadcast_to(roots, (len(U[block]), len(roots)))
        for place in places.T:
            product = product * U[block][:, place]
        return product

    identity = np.where((places == places[:, :1]).all(1), 1.0 / math.sqrt(d), 0.0)
    return _Features(len(places), rows, False, identity)


def _factor(U: np.ndarray, power: int, with_identity: bool) -> _Features | None:
    """Rows of L with L L' >= K proved, K_lm = (u_l . u_m)^j: by a Cholesky factor of K, a little shifted.

    The products (u_l^(j) . v)_l with all tensors v of norm one at most fill an ellipsoid, and it lies inside of
    {L s : ||s|| <= 1}: so norms computed with L are not below those of the flattening.
    """
    k, d = U.shape
    products = U @ U.T
    K = _entrywise_power(products, power)
    if with_identity:
        beside = products.diagonal() / math.sqrt(d)
        K = np.block([[K, beside[:, None]], [beside[None, :], np.ones((1, 1))]])
    n = len(K)
    # K is wrong by at most n gamma_(j(d+8)+8), and L L' is off the matrix factorised by at most about gamma_(n+1) n.
    shift = 2.0 * n * (verified.gamma(power * (d + 8) + 8) + verified.gamma(n + 4)) * MORE
    while shift < 1e-7:
        try:
            L = np.linalg.cholesky(K + shift * np.eye(n))
        except np.linalg.LinAlgError:
            shift *= 8.0
            continue

        def rows(_: np.ndarray, block: slice, L: np.ndarray = L) -> np.ndarray:
            return L[:k][block]

        return _Features(n, rows, True, L[-1])
    return None


def _flattening(U: np.ndarray, c: np.ndarray, left: _Features, right: _Features) -> np.ndarray:
    """Sum_l c_l phi_l phi'_l^T, a matrix of the widths of both features, a block of neurons at a time."""
    M = np.zeros((left.width, right.width))
    for block in _blocks(len(c), max(left.width, right.width)):
        M += left.rows(U, block).T @ (c[block, None] * right.rows(U, block))
    return M


def _product_error(c: np.ndarray, q: int) -> float:
    """A bound on the Frobenius norm of the rounding errors in `_flattening`: |c_l| ||phi_l|| ||phi'_l|| gamma each."""
    return verified.gamma(len(c) + 4 * q + 16) * verified.total(np.abs(c)) * MORE + TINY


def _blocks(count: int, width: int) -> list[slice]:
    step = max(1, _BLOCK_ENTRIES // width)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def _symmetric_dimension(d: int, order: int) -> int:
    return math.comb(d + order - 1, order)


def _entrywise_power(K: np.ndarray, n: int) -> np.ndarray:
    """K^n entry by entry for n >= 1 by products alone, n - 1 roundings at most."""
    if n == 1:
        return K
    root = _entrywise_power(K, n // 2)
    return root * root * K if n % 2 else root * root


def _leading(gram: np.ndarray) -> np.ndarray:
    return np.linalg.eigh(gram)[1][:, -2:].T


def _middle_of_spectrum(M: np.ndarray, with_zero: bool) -> float:
    """Half of lambda_max + lambda_min, about; `with_zero` counts 0 as an eigenvalue."""
    if len(M) < verified.LANCZOS_FROM:
        low, high = np.linalg.eigvalsh(M)[[0, -1]]
    else:
        start = np.random.default_rng(0).standard_normal(len(M))
        try:
            low, high = np.sort(scipy.sparse.linalg.eigsh(M, k=2, which="BE", v0=start, return_eigenvectors=False))
        except scipy.sparse.linalg.ArpackError:
            low, high = np.linalg.eigvalsh(M)[[0, -1]]
    return 0.5 * float(max(high, 0.0) + min(low, 0.0)) if with_zero else 0.5 * float(low + high)
