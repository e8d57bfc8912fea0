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
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse.linalg
from jaxtyping import Float

from lawjax.lipschitz import verified
from lawjax.lipschitz.verified import MORE, TINY


@dataclass(frozen=True)
class Flattenings:
    """What flattenings may cost.

    Attributes:
        widest: rows and columns of the square matrices that are factorised.
        block_entries: of an array held at a time.
        budget: multiplications for one flattening, above which it is passed over.
        dear: above which the flattening d x d^(q-1) is passed over where there are more balanced ones.
    """

    widest: int = 4096
    block_entries: int = 2**22
    budget: float = 1e12
    dear: float = 5e10


USUAL = Flattenings()


def flattened_bound(
    U: Float[np.ndarray, "k d"], c: Float[np.ndarray, " k"], q: int, *, tangential: bool, effort: Flattenings = USUAL
) -> tuple[float, Float[np.ndarray, "m d"]]:
    """A bound on sup ||grad F|| over the unit sphere for F(y) = sum_l c_l (u_l . y)^q, or of the part along it.

    Let N be the norm of the flattening d^j x d^(q-j). Then ||q T[y^(q-1)]|| <= q ||T||_op <= q N. Along a unit vector v
    at a right angle to y, the derivative of y^(j) has length sqrt(j), so that of F is at most (sqrt(j) + sqrt(q-j)) N.
    """
    half = q // 2
    bounds, directions = [math.inf], np.zeros((0, U.shape[1]))
    if half <= 1 or float(U.size) * _symmetric_dimension(U.shape[1], q - 1) <= effort.dear:
        norm, directions = first_flattening(U, c, q, effort)
        bounds = [norm * ((1.0 + math.sqrt(q - 1)) * (1.0 + 1e-14) if tangential else q)]
    if half > 1 and q == 2 * half:
        # v' M w <= (lambda_max - lambda_min) / 2 for unit vectors v, w at a right angle.
        slope = 2.0 * math.sqrt(half) if tangential else q
        bounds.append(square_flattening(U, c, half, spread=tangential, effort=effort) * slope * (1.0 + 1e-14))
    elif half > 1:
        norm = balanced_flattening(U, c, q, effort)
        bounds.append(norm * ((math.sqrt(half) + math.sqrt(half + 1)) * (1.0 + 1e-14) if tangential else q))
    return float(verified.up(min(bounds))), directions


def first_flattening(
    U: Float[np.ndarray, "k d"], c: Float[np.ndarray, " k"], q: int, effort: Flattenings = USUAL
) -> tuple[float, Float[np.ndarray, "m d"]]:
    """A bound on the norm of the flattening d x d^(q-1), and its two leading directions (2, d).

    Its Gram matrix is sum_lm c_l c_m (u_l . u_m)^(q-1) u_l u_m', of size d x d.
    """
    k, d = U.shape
    width = _symmetric_dimension(d, q - 1)
    if float(k) * d * min(width, 2 * k) > effort.budget:
        return math.inf, np.zeros((0, d))
    if width <= k:
        M = flattening(U, c, monomials(d, 1), monomials(d, q - 1), effort.block_entries)
        return verified.spectral_norm(M, _product_error(c, q)), _leading(M @ M.T)
    X = c[:, None] * U
    products = np.zeros((k, d))
    for block in _blocks(k, k, effort.block_entries):
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


def balanced_flattening(
    U: Float[np.ndarray, "k d"], c: Float[np.ndarray, " k"], q: int, effort: Flattenings = USUAL
) -> float:
    """A bound on the norm of the flattening d^((q-1)/2) x d^((q+1)/2), q odd; infinite where it is too large."""
    left, right = features(U, q // 2, effort.widest), features(U, q - q // 2, effort.widest)
    if left is None or right is None or float(len(c)) * left.width * right.width > effort.budget:
        return math.inf
    return verified.spectral_norm(flattening(U, c, left, right, effort.block_entries), _product_error(c, q))


def square_flattening(
    U: Float[np.ndarray, "k d"], c: Float[np.ndarray, " k"], half: int, *, spread: bool, effort: Flattenings = USUAL
) -> float:
    """A bound on ||T||_op, or on half the spread of the eigenvalues, by the flattening M of size d^(q/2) x d^(q/2).

    T[y^q] = v' M v with v = y^(q/2). For q = 4 also v' (M + t I I') v - t, as v' I I' v = ||y||^4 = 1 for I taken as a
    vector: that takes away M's part along I, by far its largest eigenvalue where the coefficients have one sign.
    """
    k, d = U.shape
    own = features(U, half, effort.widest, with_identity=half == 2)
    if own is None or float(k) * own.width**2 > effort.budget:
        return math.inf
    plain = flattening(U, c, own, own, effort.block_entries)
    bounds = []
    isotropic = -float(c.sum()) / (d * (d + 2.0))
    for t in (0.0, isotropic) if half == 2 and isotropic else (0.0,):
        M = verified.mirrored(plain + t * d * np.multiply.outer(own.identity, own.identity) if t else plain)
        shift = _middle_of_spectrum(M, with_zero=own.singular) if spread else t
        M[np.diag_indices(len(M))] -= shift
        of_shift = verified.gamma(4) * math.sqrt(len(M)) * float(np.abs(M.diagonal()).max())
        norm = verified.spectral_norm(M, (_product_error(np.append(c, t * d), 2 * half) + of_shift) * MORE)
        bounds.append(max(norm, abs(shift)) if own.singular else norm)
    return min(bounds)


class Features(NamedTuple):
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
    identity: Float[np.ndarray, " m"]


def features(U: Float[np.ndarray, "k d"], power: int, widest: int, *, with_identity: bool = False) -> Features | None:
    """Monomials or, where these are more than neurons, a factor of the Gram matrix; None where both are too many."""
    k, d = U.shape
    if _symmetric_dimension(d, power) <= min(k, widest):
        return monomials(d, power)
    return factor(U, power, with_identity=with_identity) if k <= widest else None


def monomials(d: int, power: int) -> Features:
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
    return Features(len(places), rows, False, identity)


def factor(U: Float[np.ndarray, "k d"], power: int, *, with_identity: bool) -> Features | None:
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

        return Features(n, rows, True, L[-1])
    return None


def flattening(
    U: Float[np.ndarray, "k d"], c: Float[np.ndarray, " k"], left: Features, right: Features, block_entries: int
) -> Float[np.ndarray, "m n"]:
    """Sum_l c_l phi_l phi'_l^T, a matrix of the widths of both features, a block of neurons at a time."""
    M = np.zeros((left.width, right.width))
    for block in _blocks(len(c), max(left.width, right.width), block_entries):
        M += left.rows(U, block).T @ (c[block, None] * right.rows(U, block))
    return M


def _product_error(c: np.ndarray, q: int) -> float:
    """A bound on the Frobenius norm of the rounding errors in `flattening`: |c_l| ||phi_l|| ||phi'_l|| gamma each."""
    return verified.gamma(len(c) + 4 * q + 16) * verified.total(np.abs(c)) * MORE + TINY


def _blocks(count: int, width: int, entries: int) -> list[slice]:
    step = max(1, entries // width)
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


def _middle_of_spectrum(M: np.ndarray, *, with_zero: bool) -> float:
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
