"""Networks with a polynomial psi: proved upper bounds on the ball and the sphere, and points that come near them.

With psi of degree p, f is a polynomial in x. Expanded around the biases it is f(x) = sum_q <T_q, x^(q)> with symmetric
tensors T_q = sum_l a_l psi^(q)(b_l)/q! w_l^(q), v^(q) being the q-fold tensor product of v, and its gradient is
sum_q q T_q[x^(q-1), .] (section 3.4 and appendix A). The part of degree two is bounded exactly, each tensor of order
three and more by its flattenings to matrices, whose norms are found through (k, k) or (d, d) matrices: no d^q entries
are ever formed. Proofs and the count of roundings are in docs/certificates.md.

    >>> f = TwoLayer(W=[[1.0, 0.0], [0.0, 1.0]], b=[0.0, 0.0], a=[2.0, -1.0], activation="power:2")
    >>> round(polynomial_bound(f).upper, 9), round(polynomial_bound(f, "sphere", tangential=True).upper, 9)
    (4.0, 3.0)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
import scipy.sparse.linalg

from lawjax import activations
from lawjax.errors import UserError
from lawjax.lipschitz import verified
from lawjax.lipschitz.domains import check_domain, check_single
from lawjax.network import TwoLayer

Array = Any

_TINY = 1e-300  # far above what underflow can lose, in quantities scaled to order one
_MORE = 1.0 + 2.0**-20  # covers products of errors, and lengths of rows that are one but for rounding
_ABSENT = -(10**9)  # the exponent of a zero
_FLATTENED = 8  # tensors that are flattened, those of the largest path bounds; the rest keep these
_HIGHEST = 256  # order of a tensor that is flattened, so that multinomial coefficients stay in range
_WIDEST = 4096  # rows and columns of the square matrices that are factorised
_LANCZOS_FROM = 300  # rows from which Lanczos finds the ends of a spectrum sooner than all of it is found
_BLOCK_ENTRIES = 2**22
_BUDGET = 1e12  # multiplications for one flattening, above which it is passed over
_STARTS = 16
_ITERATIONS = 100
_CANDIDATES = 32


class PolynomialBound(NamedTuple):
    """An upper bound for a polynomial network, and points at which a lower bound may be looked for.

    Attributes:
        upper: sup ||grad f|| on the domain, or of its part along the sphere, is at most this; a theorem.
        candidates: (m, d) points of the domain, m >= 1, the most promising first; up to rounding with maximisers
            among them where the degree is at most two.
    """

    upper: float
    candidates: np.ndarray


class _Expansion(NamedTuple):
    """f(R y) = constant + 2^exponent sum_q sum_l coefficients[q, l] (directions_l . y)^q, up to errors.

    Attributes:
        directions: (k, d), rows of length at most one, up to a rounding.
        coefficients: (p + 1, k), of order one at most; row 0 is not used.
        errors: (p + 1,) bounds on the Frobenius norm of the exact T_q less the one of these floats.
        present: (p + 1,), whether T_q has any term.
        exponent: of the power of two taken out.
    """

    directions: np.ndarray
    coefficients: np.ndarray
    errors: np.ndarray
    present: np.ndarray
    exponent: int

    def path(self, q: int) -> float:
        """Sum_l |coefficient|, which with the error bounds every norm of T_q."""
        return verified.total(
            [verified.total(np.abs(self.coefficients[q])) * (1.0 + verified.gamma(4)), self.errors[q]]
        )


def polynomial_bound(
    network: TwoLayer, domain: str = "ball", radius: float = 1.0, tangential: bool = False
) -> PolynomialBound:
    """A proved upper bound on sup ||grad f|| for a psi that is a polynomial, over the ball or sphere of a radius.

    Exact up to rounding for degree two at most (section 3.4: with f(x) = x' A x, the supremum along the unit sphere is
    lambda_max - lambda_min). For degrees of three and more p ||T||_op (lemma 1) is bounded by flattenings, whose norms
    are some sqrt(d) times too large for a random tensor, and the parts of different degrees are added.

    Args:
        network: one network with `power:p`, `polynomial:c0,c1,...` or `identity`.
        domain: "ball" or "sphere" around 0, or "space" (R^d), where the bound is infinite unless f is affine.
        radius: R, of the ball or sphere.
        tangential: on the sphere, the gradient's part along it, whose supremum G_T has G_T <= Lip <= (pi/2) G_T. For
            d = 1 there is none, and the bound is 0.

    Raises:
        UserError: a stack, another activation, an unknown domain, a radius that is not positive and finite,
            `tangential` off the sphere.
    """
    check_single(network)
    check_domain(domain, radius, tangential)
    psi = activations.get(network.activation)
    if psi.coefficients is None:
        raise UserError(f"{network.activation!r} is no polynomial; use lawjax.bracket for its bounds.")
    # A zero column changes a sphere into a ball: nothing for the whole gradient, but something for its part along it.
    W = np.asarray(network.W, np.float64)
    used = np.logical_or(W.any(axis=0), tangential)
    if not used.any() or (tangential and network.dimension == 1):
        return PolynomialBound(0.0, _points(np.zeros((0, used.sum())), used, domain, radius))
    expansion = _expand(W[:, used], np.asarray(network.b), np.asarray(network.a), psi.coefficients, radius)
    degree = int(np.flatnonzero(expansion.present).max(initial=0))
    if degree == 0:
        return PolynomialBound(0.0, _points(np.zeros((0, used.sum())), used, domain, radius))
    upper, points = _affine_bound(expansion, tangential)
    if degree > 2:
        more, directions = _higher_bound(expansion, degree, tangential)
        upper = verified.total([upper, *more])
        points = np.concatenate([points, directions])
    if degree > 2 or tangential:
        points = _ascend(expansion, degree, points, domain == "ball", tangential)
    if domain == "space" and degree > 1:
        upper = math.inf
    return PolynomialBound(_rescaled(upper, expansion.exponent, radius), _points(points, used, domain, radius))


def _rescaled(bound: float, exponent: int, radius: float) -> float:
    """2^exponent / R times a bound on the gradient in y = x / R, rounded upwards."""
    if bound in (0.0, math.inf):
        return bound
    mantissa, of_radius = math.frexp(radius)
    value, of_value = math.frexp(float(verified.up(bound / mantissa)))
    with np.errstate(over="ignore"):
        return float(verified.up(np.ldexp(value, of_value + exponent - of_radius)))


def _points(points: np.ndarray, used: np.ndarray, domain: str, radius: float) -> np.ndarray:
    """Unit points in the columns used as points of the domain with all columns; one at least."""
    if not len(points):
        points = np.eye(1, int(used.sum()))
    if not points.size:
        points, used = np.ones((1, 1)), np.arange(len(used)) == 0
    if domain != "ball":
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
    placed = np.zeros((len(points), len(used)))
    placed[:, used] = points * radius
    return placed * (1.0 - 2.0**-50) if domain == "ball" else placed  # not outside by a rounding


# --- The expansion around the biases ---------------------------------------------------------------------------------


def _expand(W: Array, b: Array, a: Array, psi: tuple[float, ...], radius: float) -> _Expansion:
    """The tensors T_q of y -> f(R y) as float directions and coefficients, free of overflow at any scale.

    With w_l = n_l u_l and rho_l = R n_l the coefficients are sum_p a_l c_p binomial(p, q) rho_l^q b_l^(p-q). Mantissas
    and exponents are kept apart until the largest exponent of all terms is known.
    """
    live = (a != 0) & W.any(1)
    W, b, a = W[live], b[live].astype(np.float64), a[live].astype(np.float64)
    k, degree = len(a), len(psi) - 1
    _, of_rows = np.frexp(np.abs(W).max(1, initial=0.0))
    W = np.ldexp(W, -of_rows[:, None])  # exact, but for entries far below the rounding of the others
    lengths = verified.row_norms(W)  # upper bounds, so that w_l / n_l is no longer than one
    rho, of_rho = np.frexp(lengths * math.frexp(radius)[0])
    of_rho = of_rho.astype(np.int64) + of_rows + math.frexp(radius)[1]
    powers = list(_powers(rho, of_rho, degree)), list(_powers(*np.frexp(b), degree))
    exponent = max(
        (int(exponents.max(initial=_ABSENT)) for _, _, exponents in _terms(a, psi, *powers)), default=_ABSENT
    )
    coefficients, magnitudes = np.zeros((2, degree + 1, k))
    present = np.zeros(degree + 1, bool)
    for q, mantissas, exponents in _terms(a, psi, *powers):
        terms = np.ldexp(mantissas, np.maximum(exponents - exponent, -5000))
        coefficients[q] += terms
        magnitudes[q] += np.abs(terms)
        present[q] |= bool(mantissas.any())
    # At most 3 p + 12 roundings in a coefficient; one in each entry of the q directions multiplied.
    roundings = verified.gamma(8 * (degree + 4))
    errors = np.array([roundings * verified.total(row) * _MORE + k * (degree + 2) * _TINY for row in magnitudes])
    return _Expansion(W / lengths[:, None], coefficients, np.where(present, errors, 0.0), present, exponent)


def _powers(mantissas: np.ndarray, exponents: np.ndarray, highest: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Mantissas and exponents of the powers 0, ..., highest; power n has n - 1 roundings."""
    power, of_power = np.ones(len(mantissas)), np.zeros(len(mantissas), np.int64)
    for _ in range(highest + 1):
        yield power, of_power
        power, shift = np.frexp(power * mantissas)
        of_power = of_power + exponents + shift


def _terms(
    a: np.ndarray, psi: tuple[float, ...], of_rho: list[Any], of_bias: list[Any]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(q, mantissas (k,), exponents (k,)) of a_l c_p binomial(p, q) rho_l^q b_l^(p-q) for all p >= q >= 1."""
    mantissa_a, exponent_a = np.frexp(a)
    for p, c in enumerate(psi):
        for q in range(1, p + 1) if c else ():
            binomial = math.comb(p, q)
            shift = max(binomial.bit_length() - 64, 0)  # a degree of more than a thousand goes beyond float64
            factor, of_factor = math.frexp(float(binomial >> shift) * math.frexp(c)[0])
            mantissas = mantissa_a * factor * of_rho[q][0] * of_bias[p - q][0]
            exponents = exponent_a + of_factor + shift + math.frexp(c)[1] + of_rho[q][1] + of_bias[p - q][1]
            yield q, mantissas, np.where(mantissas != 0, exponents, _ABSENT)


# --- Degree two: exact -----------------------------------------------------------------------------------------------


def _affine_bound(expansion: _Expansion, tangential: bool) -> tuple[float, np.ndarray]:
    """A bound on sup ||g + B y|| over ||y|| <= 1, g and B of the linear and quadratic part, and (m, d) maximisers.

    For weights nu > 0, ||g + B y||^2 <= (nu_0 + nu_1) || [g / sqrt(nu_0), B / sqrt(nu_1)] ||_op^2, and the best weights
    give equality, as maximising over a ball has no gap to its dual. Along the sphere s y may be taken off B y first,
    and the best s gives equality again.
    """
    U, C = expansion.directions, expansion.coefficients
    k, d = U.shape
    linear, quadratic = C[1], C[2] if len(C) > 2 else np.zeros(k)
    g = U.T @ linear
    B = 2.0 * ((U.T * quadratic) @ U)
    B = np.tril(B) + np.tril(B, -1).T
    rounding = verified.gamma(k + 8) * _MORE
    error_g = (rounding * verified.total(np.abs(linear)) + expansion.errors[1]) * _MORE
    error_B = (
        2.0 * (rounding * verified.total(np.abs(quadratic)) + (expansion.errors[2] if len(C) > 2 else 0.0)) * _MORE
    )
    path = [q * expansion.path(q) for q in range(1, min(len(C), 3)) if expansion.present[q]]
    bounds = [verified.total(path) * (1.0 + verified.gamma(4))]
    if not B.any():
        length = float(np.linalg.norm(g))
        points = g[None] / length if length else np.eye(1, d)
        if tangential and d > 1:  # a point at a right angle to g
            points = np.eye(d)[[int(np.abs(g).argmin())]]
            points = points - (points @ g)[:, None] * g / length**2 if length else points
        bounds.append(verified.total([verified.row_norms(g[None])[0], error_g, error_B]))
        return min(bounds), points
    values, vectors = np.linalg.eigh(B)
    h = vectors.T @ g
    shifts = _best_shifts(values, h) if tangential else [0.0]
    found = [_secular(values - shift, h) for shift in shifts]
    for shift, (_, nu, _) in zip(shifts, found, strict=True):
        bounds.append(_proved_affine(g, error_g, B, error_B, nu, shift))
    points = [vectors @ point for _, _, point in found]
    if tangential:
        low, high = vectors[:, 0], vectors[:, -1]
        points += [(high + low) / math.sqrt(2.0), (high - low) / math.sqrt(2.0)]
    return min(bounds), np.array(points)


def _best_shifts(values: np.ndarray, h: np.ndarray) -> list[float]:
    """Shifts s for which sup ||g + (B - s I) y|| is small: 0, the best without g, and the best; it is convex in s."""
    low, high = float(values[0]), float(values[-1])
    shifts = [0.0, 0.5 * (low + high)]
    if h.any() and high > low:
        best = scipy.optimize.minimize_scalar(
            lambda shift: _secular(values - shift, h)[0],
            bounds=(low, high),
            method="bounded",
            options={"xatol": 1e-10 * (high - low), "maxiter": 100},
        )
        shifts.append(float(best.x))
    return shifts


def _secular(values: np.ndarray, h: np.ndarray) -> tuple[float, tuple[float, float], np.ndarray]:
    """The largest ||g + B y|| over ||y|| = 1 in an eigenbasis of B, the best weights nu, and a maximiser (d,).

    A maximiser has (mu - B^2) y = B g with mu >= max lambda^2. Written in xi = mu - max lambda^2, nothing cancels.
    """
    sizes = np.abs(values)
    top = int(sizes.argmax())
    gaps = (sizes[top] - sizes) * (sizes[top] + sizes)
    push = values * h
    widest = float(np.linalg.norm(push))
    least = 1e-18 * max(widest, float(sizes[top]) ** 2)
    if least == 0.0:
        return float(np.linalg.norm(h)), (0.0, 0.0), np.eye(1, len(h))[0]

    def excess(log_xi: float) -> float:
        return float(np.linalg.norm(push / (math.exp(log_xi) + gaps))) - 1.0

    xi = least
    if widest > least and excess(math.log(least)) > 0.0:
        xi = math.exp(scipy.optimize.brentq(excess, math.log(least), math.log(widest) + 1.0, xtol=1e-13, rtol=1e-14))
    point = push / (xi + gaps)
    missing = 1.0 - float(point @ point)
    if missing > 0.0:  # where g has no part in the leading eigenspace, that fills up the length
        point[top] = math.copysign(math.sqrt(point[top] ** 2 + missing), push[top])
    mu = float(sizes[top]) ** 2 + xi
    nu = mu * float((h**2 / (xi + gaps)).sum())
    return math.sqrt(mu + nu), (nu, mu), point / np.linalg.norm(point)


def _proved_affine(
    g: np.ndarray, error_g: float, B: np.ndarray, error_B: float, nu: tuple[float, float], shift: float
) -> float:
    """A bound on sup ||g' + (B' - shift I) y|| for g', B' within the errors of g, B: by weights, or term by term."""
    B = B - shift * np.eye(len(g))
    error_B = (error_B + verified.gamma(2) * float(np.abs(B.diagonal()).max()) * math.sqrt(len(g))) * _MORE
    bound = verified.total([verified.row_norms(g[None])[0], error_g, verified.spectral_norm(B, error_B)])
    roots = math.sqrt(nu[0]), math.sqrt(nu[1])
    if min(roots) > 0.0:
        A = np.concatenate([g[:, None] / roots[0], B / roots[1]], 1)
        rounding = verified.gamma(6) * float(verified.row_norms(A.reshape(1, -1))[0])
        error = (rounding + error_g / roots[0] + error_B / roots[1]) * _MORE
        length = verified.up(math.sqrt(verified.total([roots[0] ** 2, roots[1] ** 2]) * (1.0 + verified.gamma(4))))
        bound = min(bound, float(verified.up(verified.spectral_norm(A, error) * length)))
    return bound


# --- Degree three and more: flattenings ------------------------------------------------------------------------------


def _higher_bound(expansion: _Expansion, degree: int, tangential: bool) -> tuple[list[float], np.ndarray]:
    """Bounds on the parts of degree 3, ..., p over ||y|| <= 1, and (m, d) directions in which they may be large."""
    d = expansion.directions.shape[1]
    orders = [q for q in range(3, degree + 1) if expansion.present[q]]
    bounds = {q: _slope_on_sphere(q, tangential) * expansion.path(q) * (1.0 + verified.gamma(4)) for q in orders}
    directions = [np.zeros((0, d))]
    for q in sorted(filter(_HIGHEST.__ge__, orders), key=lambda q: -bounds[q])[:_FLATTENED]:
        # A power of two makes the coefficients of order one again: those of this q may all be small.
        _, shift = math.frexp(float(np.abs(expansion.coefficients[q]).max()) or 1.0)
        c = np.ldexp(expansion.coefficients[q], -shift)
        flat, found = _flattened_bound(expansion.directions, c, q, tangential)
        directions.append(found)
        with np.errstate(over="ignore"):
            flat = verified.total([np.ldexp(flat, shift) + _TINY, q * expansion.errors[q] * (1.0 + verified.gamma(4))])
        bounds[q] = min(bounds[q], flat)
    return list(bounds.values()), np.concatenate(directions)


def _slope_on_sphere(q: int, tangential: bool) -> float:
    """Sup ||grad (u . y)^q|| over the unit sphere for a unit vector u, or of the part along it: at most."""
    along = math.sqrt(q) * ((q - 1) / q) ** ((q - 1) / 2)  # of q cos^(q-1) sin
    return min(along * (1.0 + 1e-12), float(q)) if tangential else float(q)


def _flattened_bound(U: np.ndarray, c: np.ndarray, q: int, tangential: bool) -> tuple[float, np.ndarray]:
    """A bound on sup ||grad F|| over the unit sphere for F(y) = sum_l c_l (u_l . y)^q, or of the part along it.

    Let N be the norm of the flattening d^j x d^(q-j). Then ||q T[y^(q-1)]|| <= q ||T||_op <= q N. Along a unit vector v
    at a right angle to y, the derivative of y^(j) has length sqrt(j), so that of F is at most (sqrt(j) + sqrt(q-j)) N.
    """
    norm, directions = _first_flattening(U, c, q)
    bounds = [norm * ((1.0 + math.sqrt(q - 1)) * (1.0 + 1e-14) if tangential else q)]
    half = q // 2
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
    gram = _mirrored(X.T @ products)
    # Each (u_l . u_m)^(q-1) is wrong by at most gamma_((q-1)(d+8)+8), and two products of length k follow; as rows have
    # length one, every such error is at most gamma (sum |c|)^2 in norm. Taken twice, it keeps the diagonal positive.
    rounding = verified.gamma((q - 1) * (d + 8) + 8) + verified.gamma(2 * k + 16)
    error = rounding * verified.total(np.abs(c)) ** 2 * _MORE + _TINY
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
    bounds = [math.inf]
    isotropic = -float(c.sum()) / (d * (d + 2.0))
    for t in (0.0, isotropic) if half == 2 else (0.0,):
        features = _features(U, half, with_identity=t != 0.0)
        if features is None or float(k) * features.width**2 > _BUDGET:
            break
        M = _flattening(U, c, features, features)
        if t:
            M += t * d * np.multiply.outer(features.identity, features.identity)
        M = _mirrored(M)
        shift = _middle_of_spectrum(M, features.singular) if spread else t
        M[np.diag_indices(len(M))] -= shift
        of_shift = verified.gamma(4) * math.sqrt(len(M)) * float(np.abs(M.diagonal()).max())
        norm = verified.spectral_norm(M, (_product_error(np.append(c, t * d), 2 * half) + of_shift) * _MORE)
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
    shift = 2.0 * n * (verified.gamma(power * (d + 8) + 8) + verified.gamma(n + 4)) * _MORE
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
    return verified.gamma(len(c) + 4 * q + 16) * verified.total(np.abs(c)) * _MORE + _TINY


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


def _mirrored(M: np.ndarray) -> np.ndarray:
    """The symmetric matrix with the lower triangle of M."""
    return np.tril(M) + np.tril(M, -1).T


def _leading(gram: np.ndarray) -> np.ndarray:
    return np.linalg.eigh(gram)[1][:, -2:].T


def _middle_of_spectrum(M: np.ndarray, with_zero: bool) -> float:
    """Half of lambda_max + lambda_min, about; `with_zero` counts 0 as an eigenvalue."""
    if len(M) < _LANCZOS_FROM:
        low, high = np.linalg.eigvalsh(M)[[0, -1]]
    else:
        start = np.random.default_rng(0).standard_normal(len(M))
        try:
            low, high = np.sort(scipy.sparse.linalg.eigsh(M, k=2, which="BE", v0=start, return_eigenvectors=False))
        except scipy.sparse.linalg.ArpackError:
            low, high = np.linalg.eigvalsh(M)[[0, -1]]
    return 0.5 * float(max(high, 0.0) + min(low, 0.0)) if with_zero else 0.5 * float(low + high)


# --- Points for the lower bound --------------------------------------------------------------------------------------


def _ascend(expansion: _Expansion, degree: int, points: np.ndarray, inside: bool, tangential: bool) -> np.ndarray:
    """(m, d): where ascents of the gradient's norm from the points, neurons and random starts end, the best first.

    With r the gradient's direction, the norm grows along (Hessian) r. A step is taken back where the norm falls, and
    the next one is shorter; without a shift of its own this is the symmetric higher-order power method.
    """
    U, C = expansion.directions, expansion.coefficients
    d = U.shape[1]
    random = np.random.default_rng(0)
    strongest = U[np.argsort(-np.abs(C[degree]), kind="stable")[: _STARTS // 2]]
    drawn = random.standard_normal((_STARTS, d))
    Y = np.concatenate([points, strongest, drawn])
    Y = Y / np.linalg.norm(Y, axis=1, keepdims=True)
    if inside:
        Y[-_STARTS // 2 :] *= random.uniform(size=(_STARTS // 2, 1))
    values, ascent = _norms_and_ascent(U, C, Y, inside, tangential)
    steps = np.ones((len(Y), 1))
    for _ in range(max(10, min(_ITERATIONS, 8 * _ITERATIONS // degree))):
        tried = Y + steps * ascent
        lengths = np.linalg.norm(tried, axis=1, keepdims=True)
        tried = tried / (np.maximum(lengths, 1.0) if inside else lengths)
        found, next_ascent = _norms_and_ascent(U, C, tried, inside, tangential)
        better = found > values
        Y[better], values[better], ascent[better] = tried[better], found[better], next_ascent[better]
        steps = np.where(better[:, None], np.minimum(1.7 * steps, 1e3), steps / 3.0)
    return Y[np.argsort(-values, kind="stable")[:_CANDIDATES]]


def _norms_and_ascent(
    U: np.ndarray, C: np.ndarray, Y: np.ndarray, inside: bool, tangential: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The gradient's norm (m,) at points (m, d), and directions (m, d) of length one at most in which it grows."""
    Z = Y @ U.T
    slope, curvature = np.zeros_like(Z), np.zeros_like(Z)
    for q in range(len(C) - 1, 0, -1):
        curvature = curvature * Z + slope  # Horner's scheme for psi'' beside that for psi'
        slope = slope * Z + q * C[q]
    gradients = slope @ U
    along = (gradients * Y).sum(1, keepdims=True)
    normals = gradients - along * Y if tangential else gradients
    norms = np.linalg.norm(normals, axis=1)
    normals = normals / np.where(norms > 0, norms, 1.0)[:, None]
    ascent = (curvature * (normals @ U.T)) @ U
    size = np.linalg.norm(ascent, axis=1, keepdims=True)
    if tangential:
        ascent = ascent - along * normals
        size = size + np.abs(along)
    if not inside:
        ascent = ascent - (ascent * Y).sum(1, keepdims=True) * Y
    return norms, ascent / np.where(size > 0, size, 1.0)
