"""Networks with a polynomial psi: proved upper bounds on the ball and the sphere, and points that come near them.

With psi of degree p, f is a polynomial in x. Expanded around the biases it is f(x) = sum_q <T_q, x^(q)> with symmetric
tensors T_q = sum_l a_l psi^(q)(b_l)/q! w_l^(q), v^(q) being the q-fold tensor product of v, and its gradient is
sum_q q T_q[x^(q-1), .] (section 3.4 and appendix A). The part of degree two is bounded exactly, each tensor of order
three and more by its flattenings to matrices, whose norms are found through (k, k) or (d, d) matrices: no d^q entries
are ever formed. Proofs and the count of roundings are in docs/certificates.md.

    >>> from lawjax.domains import Sphere
    >>> f = TwoLayer(W=[[1.0, 0.0], [0.0, 1.0]], b=[0.0, 0.0], a=[2.0, -1.0], activation="power:2")
    >>> round(polynomial_bound(f).upper, 9), round(polynomial_bound(f, Sphere(tangential=True)).upper, 9)
    (4.0, 3.0)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.optimize
from jaxtyping import Float

from lawjax import arguments
from lawjax.domains import Ball, Domain, Space, as_domain, check_single
from lawjax.errors import UserError
from lawjax.lipschitz import verified
from lawjax.lipschitz.upper.expansion import Expansion, expand
from lawjax.lipschitz.upper.flattenings import Flattenings, flattened_bound
from lawjax.lipschitz.verified import MORE, TINY
from lawjax.network import TwoLayer


@dataclass(frozen=True)
class Forms:
    """What a polynomial's bound may cost.

    Attributes:
        flattened: tensors that are flattened, those of the largest path bounds; the rest keep these.
        highest: order of a tensor that is flattened, so that multinomial coefficients stay in range.
        flattenings: what these may cost.
        starts: of ascents for candidates, at random; half as many at neurons.
        iterations: of these ascents.
        candidates: that are returned.
    """

    flattened: int = 8
    highest: int = 256
    flattenings: Flattenings = Flattenings()
    starts: int = 16
    iterations: int = 100
    candidates: int = 32


_USUAL = Forms()


class PolynomialBound(NamedTuple):
    """An upper bound for a polynomial network, and points at which a lower bound may be looked for.

    Attributes:
        upper: sup ||grad f|| on the domain, or of its part along the sphere, is at most this; a theorem.
        candidates: (m, d) points of the domain, m >= 1, the most promising first; up to rounding with maximisers
            among them where the degree is at most two.
    """

    upper: float
    candidates: Float[np.ndarray, "m d"]


def polynomial_bound(
    network: TwoLayer, domain: Domain | str = Ball(), *, ascents: bool = True, effort: Forms = _USUAL
) -> PolynomialBound:
    """A proved upper bound on sup ||grad f|| for a psi that is a polynomial, over the ball or sphere of a radius.

    Exact up to rounding for degree two at most (section 3.4: with f(x) = x' A x, the supremum along the unit sphere is
    lambda_max - lambda_min). For degrees of three and more p ||T||_op (lemma 1) is bounded by flattenings, whose norms
    are some sqrt(d) times too large for a random tensor, and the parts of different degrees are added.

    Args:
        network: one network with `power:p`, `polynomial:c0,c1,...` or `identity`.
        domain: a ball or sphere of radius R, or R^d, where the bound is infinite unless f is affine. Along the sphere
            the supremum G_T has G_T <= Lip <= (pi/2) G_T; for d = 1 nothing lies along it, and the bound is 0.
        ascents: whether to look for candidates by ascents where they cannot be computed.
        effort: what all this may cost.

    Raises:
        UserError: a stack, another activation, an unknown domain.
    """
    check_single(network)
    domain = as_domain(domain)
    radius, tangential = 1.0 if isinstance(domain, Space) else domain.radius, domain.tangential
    arguments.flag("ascents", ascents)
    psi = network.activation
    if psi.coefficients is None:
        raise UserError(f"{network.activation.name!r} is no polynomial; use lawjax.bracket for its bounds.")
    # A zero column changes a sphere into a ball: nothing for the whole gradient, but something for its part along it.
    W = np.asarray(network.W, np.float64)
    used = np.logical_or(W.any(axis=0), tangential)
    if not used.any() or (tangential and network.dimension == 1):
        return PolynomialBound(0.0, _points(np.zeros((0, used.sum())), used, domain))
    expansion = expand(W[:, used], np.asarray(network.b), np.asarray(network.a), psi.coefficients, radius)
    degree = int(np.flatnonzero(expansion.present).max(initial=0))
    if degree == 0:
        return PolynomialBound(0.0, _points(np.zeros((0, used.sum())), used, domain))
    upper, points = _affine_bound(expansion, domain)
    if degree > 2:
        more, directions = _higher_bound(expansion, degree, domain, effort)
        upper = verified.total([upper, *more])
        points = np.concatenate([points, directions])
    if ascents and (degree > 2 or tangential):
        points = _ascend(expansion, degree, points, domain, effort)
    if isinstance(domain, Space) and degree > 1:
        upper = math.inf
    return PolynomialBound(_rescaled(upper, expansion.exponent, radius), _points(points, used, domain))


def _rescaled(bound: float, exponent: int, radius: float) -> float:
    """2^exponent / R times a bound on the gradient in y = x / R, rounded upwards."""
    if bound in (0.0, math.inf):
        return bound
    mantissa, of_radius = math.frexp(radius)
    value, of_value = math.frexp(float(verified.up(bound / mantissa)))
    with np.errstate(over="ignore"):
        return float(verified.up(np.ldexp(value, of_value + exponent - of_radius)))


def _points(points: np.ndarray, used: np.ndarray, domain: Domain) -> np.ndarray:
    """Unit points in the columns used as points of the domain with all columns; one at least."""
    if not len(points):
        points = np.eye(1, int(used.sum()))
    if not points.size:
        points, used = np.ones((1, 1)), np.arange(len(used)) == 0
    if not isinstance(domain, Ball):
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
    placed = np.zeros((len(points), len(used)))
    placed[:, used] = points if isinstance(domain, Space) else points * domain.radius
    return placed * (1.0 - 2.0**-50) if isinstance(domain, Ball) else placed  # not outside by a rounding


# --- Degree two: exact -----------------------------------------------------------------------------------------------


def _affine_bound(expansion: Expansion, domain: Domain) -> tuple[float, np.ndarray]:
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
    B = verified.mirrored(B)
    rounding = verified.gamma(k + 8) * MORE
    error_g = (rounding * verified.total(np.abs(linear)) + expansion.errors[1]) * MORE
    error_B = 2.0 * (rounding * verified.total(np.abs(quadratic)) + (expansion.errors[2] if len(C) > 2 else 0.0)) * MORE
    path = [q * expansion.path(q) for q in range(1, min(len(C), 3)) if expansion.present[q]]
    bounds = [verified.total(path) * (1.0 + verified.gamma(4))]
    if not B.any():
        length = float(np.linalg.norm(g))
        points = g[None] / length if length else np.eye(1, d)
        if domain.tangential and d > 1:  # a point at a right angle to g
            points = np.eye(d)[[int(np.abs(g).argmin())]]
            points = points - (points @ g)[:, None] * g / length**2 if length else points
        bounds.append(verified.total([verified.row_norms(g[None])[0], error_g, error_B]))
        return min(bounds), points
    values, vectors = np.linalg.eigh(B)
    h = vectors.T @ g
    shifts = _best_shifts(values, h) if domain.tangential else [0.0]
    found = [_secular(values - shift, h) for shift in shifts]
    for shift, (_, nu, _) in zip(shifts, found, strict=True):
        bounds.append(_proved_affine(g, error_g, B, error_B, nu, shift))
    points = [vectors @ point for _, _, point in found]
    if domain.tangential:
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
    error_B = (error_B + verified.gamma(2) * float(np.abs(B.diagonal()).max()) * math.sqrt(len(g))) * MORE
    bound = verified.total([verified.row_norms(g[None])[0], error_g, verified.spectral_norm(B, error_B)])
    roots = math.sqrt(nu[0]), math.sqrt(nu[1])
    if min(roots) > 0.0:
        A = np.concatenate([g[:, None] / roots[0], B / roots[1]], 1)
        rounding = verified.gamma(6) * float(verified.row_norms(A.reshape(1, -1))[0])
        error = (rounding + error_g / roots[0] + error_B / roots[1]) * MORE
        length = verified.up(math.sqrt(verified.total([roots[0] ** 2, roots[1] ** 2]) * (1.0 + verified.gamma(4))))
        bound = min(bound, float(verified.up(verified.spectral_norm(A, error) * length)))
    return bound


# --- Degree three and more: flattenings ------------------------------------------------------------------------------


def _higher_bound(expansion: Expansion, degree: int, domain: Domain, effort: Forms) -> tuple[list[float], np.ndarray]:
    """Bounds on the parts of degree 3, ..., p over ||y|| <= 1, and (m, d) directions in which they may be large."""
    d = expansion.directions.shape[1]
    orders = [q for q in range(3, degree + 1) if expansion.present[q]]
    bounds = {q: _slope_on_sphere(q, domain) * expansion.path(q) * (1.0 + verified.gamma(4)) for q in orders}
    directions = [np.zeros((0, d))]
    for q in sorted(filter(effort.highest.__ge__, orders), key=lambda q: -bounds[q])[: effort.flattened]:
        # A power of two makes the coefficients of order one again: those of this q may all be small.
        _, shift = math.frexp(float(np.abs(expansion.coefficients[q]).max()) or 1.0)
        c = np.ldexp(expansion.coefficients[q], -shift)
        flat, found = flattened_bound(
            expansion.directions, c, q, tangential=domain.tangential, effort=effort.flattenings
        )
        directions.append(found)
        with np.errstate(over="ignore"):
            flat = verified.total([np.ldexp(flat, shift) + TINY, q * expansion.errors[q] * (1.0 + verified.gamma(4))])
        bounds[q] = min(bounds[q], flat)
    return list(bounds.values()), np.concatenate(directions)


def _slope_on_sphere(q: int, domain: Domain) -> float:
    """Sup ||grad (u . y)^q|| over the unit sphere for a unit vector u, or of the part along it: at most."""
    along = math.sqrt(q) * ((q - 1) / q) ** ((q - 1) / 2)  # of q cos^(q-1) sin
    return min(along * (1.0 + 1e-12), float(q)) if domain.tangential else float(q)


# --- Points for the lower bound --------------------------------------------------------------------------------------


def _ascend(expansion: Expansion, degree: int, points: np.ndarray, domain: Domain, effort: Forms) -> np.ndarray:
    """(m, d): where ascents of the gradient's norm from the points, neurons and random starts end, the best first.

    With r the gradient's direction, the norm grows along (Hessian) r. A step is taken back where the norm falls, and
    the next one is shorter; without a shift of its own this is the symmetric higher-order power method.
    """
    U, C = expansion.directions, expansion.coefficients
    d = U.shape[1]
    inside, random = isinstance(domain, Ball), np.random.default_rng(0)
    strongest = U[np.argsort(-np.abs(C[degree]), kind="stable")[: effort.starts // 2]]
    drawn = random.standard_normal((effort.starts, d))
    Y = np.concatenate([points, strongest, drawn])
    Y = Y / np.linalg.norm(Y, axis=1, keepdims=True)
    if inside:
        Y[-effort.starts // 2 :] *= random.uniform(size=(effort.starts // 2, 1))
    values, ascent = _norms_and_ascent(U, C, Y, domain)
    steps = np.ones((len(Y), 1))
    for _ in range(max(10, min(effort.iterations, 8 * effort.iterations // degree))):
        tried = Y + steps * ascent
        lengths = np.linalg.norm(tried, axis=1, keepdims=True)
        tried = tried / (np.maximum(lengths, 1.0) if inside else lengths)
        found, next_ascent = _norms_and_ascent(U, C, tried, domain)
        better = found > values
        Y[better], values[better], ascent[better] = tried[better], found[better], next_ascent[better]
        steps = np.where(better[:, None], np.minimum(1.7 * steps, 1e3), steps / 3.0)
    return Y[np.argsort(-values, kind="stable")[: effort.candidates]]


def _norms_and_ascent(U: np.ndarray, C: np.ndarray, Y: np.ndarray, domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    """The gradient's norm (m,) at points (m, d), and directions (m, d) of length one at most in which it grows."""
    Z = Y @ U.T
    slope, curvature = np.zeros_like(Z), np.zeros_like(Z)
    for q in range(len(C) - 1, 0, -1):
        curvature = curvature * Z + slope  # Horner's scheme for psi'' beside that for psi'
        slope = slope * Z + q * C[q]
    gradients = slope @ U
    along = (gradients * Y).sum(1, keepdims=True)
    normals = gradients - along * Y if domain.tangential else gradients
    norms = np.linalg.norm(normals, axis=1)
    normals = normals / np.where(norms > 0, norms, 1.0)[:, None]
    ascent = (curvature * (normals @ U.T)) @ U
    size = np.linalg.norm(ascent, axis=1, keepdims=True)
    if domain.tangential:
        ascent = ascent - along * normals
        size = size + np.abs(along)
    if not isinstance(domain, Ball):
        ascent = ascent - (ascent * Y).sum(1, keepdims=True) * Y
    return norms, ascent / np.where(size > 0, size, 1.0)
