"""What a point proves: the one rule by which gradients are read off, for searches, bounds and tests alike.

At a point x the slopes psi'(w_l . x + b_l) are read off, and the gradient norm is a lower bound, if

- x lies on the domain: within a few roundings of the sphere or ball, and then R x / |x| is the point that is meant;
- the slopes of a smooth psi are known there: far from 0 pre-activations are rounded, and what slopes may be off by is
  taken off the norm;
- x lies on no kink: the signs of all pre-activations there, computed in doubled precision where float64 does not
  settle them, are known, and the same at x and at the point that is meant. So the slopes are those of a cell that the
  domain meets.

Anything else proves nothing and counts 0.

>>> from lawjax.domains import Sphere
>>> f = TwoLayer(W=[[3.0, 4.0]], b=[-4.9], a=[1.0])
>>> gradient_norms(f, np.array([[0.6, 0.8], [1.0, 0.0], [6.0, 8.0]]), Sphere()).tolist()
[5.0, 0.0, 0.0]
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from lawjax.domains import OFF, Ball, Domain, Space
from lawjax.lipschitz import doubled
from lawjax.lipschitz.scale import Scaled, scaled
from lawjax.network import TwoLayer
from lawjax.vectors import lengths

_EPS = float(np.finfo(np.float64).eps)
_MARGIN = 8.0  # roundings of a pre-activation within which its sign is not sure
_SECOND_MARGIN = 2.0**-98  # of its terms, within which it is not sure in doubled precision, for each coordinate
_NEAR = 1e-11  # rounding of a pre-activation that changes the slopes of a smooth psi no more than their own rounding
_LARGE = 1e-6  # one within which a psi' of unknown turns is taken to turn no more than by its square
_CANCELS = 1e-4  # of the path bound, below which a gradient is summed up in doubled precision
_BLOCK = 2**17  # numbers of an array at a time, which the processor's cache holds
_FEWEST = 128  # points at a time


def gradient_norms(
    network: TwoLayer, points: Float[np.ndarray, "m d"], domain: Domain = Space()
) -> Float[np.ndarray, " m"]:
    """||grad f|| at points (m, d) of a domain in float64, or the norm of its part along the sphere; shape (m,).

    0 for a point that proves nothing: off the domain, on a kink, or where the norm is no finite number.
    """
    one = scaled(network)
    with np.errstate(over="ignore", under="ignore"):
        points = np.ldexp(np.asarray(points, np.float64), one.point_exponent)
    return one.restored(scaled_norms(one.network, points, domain.stretched(one.point_exponent)))


def scaled_norms(network: TwoLayer, points: Float[np.ndarray, "m d"], domain: Domain) -> Float[np.ndarray, " m"]:
    """The same for a network of size one (`lawjax.lipschitz.scale`), which is not scaled again."""
    step = max(_FEWEST, _BLOCK // max(network.W.shape))
    blocks = [points[start : start + step] for start in range(0, len(points), step)]
    return np.concatenate([np.zeros(0), *(scaled_gradients(network, block, domain)[0] for block in blocks)])


def scaled_gradients(
    network: TwoLayer, points: Float[np.ndarray, "m d"], domain: Domain
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, "m d"]]:
    """The norms (m,) and the gradients (m, d) themselves, which are not set to 0."""
    W, b, a = network.W, network.b, network.a
    psi = network.activation
    size = lengths(points)
    with np.errstate(over="ignore", invalid="ignore"):
        pre_activations = points @ W.T + b
        slopes, on_kink = _slopes(network, points, size, pre_activations, domain)
        gradients = (slopes * a) @ W
        if domain.tangential:
            normals = points / np.where(size > 0, size, 1.0)[:, None]
            gradients = gradients - (gradients * normals).sum(1, keepdims=True) * normals
        norms = lengths(gradients)
        if not psi.is_piecewise_linear:
            norms = np.maximum(norms - _of_rounding(network, size, pre_activations, domain), 0.0)
        fails = on_kink | ~np.isfinite(norms) | ~domain.has_lengths(size)
    return np.where(fails, 0.0, norms), gradients


def _slopes(
    network: TwoLayer, points: np.ndarray, size: np.ndarray, pre_activations: np.ndarray, domain: Domain
) -> tuple[np.ndarray, np.ndarray]:
    """The slopes (m, k) at the points that are meant, and (m,) which of these may lie on a kink."""
    W, b, a = network.W, network.b, network.a
    psi = network.activation
    on_kink = np.zeros(len(points), bool)
    if not psi.is_piecewise_linear:
        for kink in psi.kinks:
            near = np.abs(pre_activations - kink) <= _margins(lengths(W), b, W.shape[1], size, domain)
            on_kink |= (near & (a != 0) & W.any(1)).any(1)
        return psi.slope(pre_activations), on_kink
    passed = np.zeros(pre_activations.shape, np.int8)  # kinks
    for kink in psi.kinks:
        signs = _signs(W, b, a, points, size, pre_activations, domain, kink)
        if not signs.all():
            on_kink |= ((signs == 0) & ((a != 0) & W.any(1))).any(1)
        if psi.has_kink:
            return np.where(signs > 0, psi.sides[1], psi.sides[0]), on_kink
        passed += signs > 0
    return np.array(psi.sides)[passed], on_kink


def _margins(rows: np.ndarray, b: np.ndarray, d: int, size: np.ndarray, domain: Domain) -> np.ndarray:
    """(m, k): how far pre-activations at points of these lengths may be from those at the points that are meant.

    Args:
        rows: (k,) lengths of the rows of W.
        b: (k,).
        d: dimension.
        size: (m,) lengths of the points.
        domain: where.
    """
    reach = np.multiply.outer(size, rows)
    moved = 0.0 if isinstance(domain, Space) else OFF
    return _MARGIN * _EPS * d * (reach + np.abs(b)) + moved * reach


def _of_rounding(network: TwoLayer, size: np.ndarray, at: np.ndarray, domain: Domain) -> np.ndarray:
    """(m,) by how much a smooth psi's gradients may be off, since pre-activations far from 0 are rounded.

    Slopes lie between those at the ends of a margin and where psi' turns in it; where turns are not known, anywhere in
    the slope interval once the margin is large.
    """
    psi = network.activation
    rows = lengths(network.W)
    margin = _margins(rows, network.b, network.dimension, size, domain)
    off = np.zeros(len(at))
    far = (margin > _NEAR).any(1)
    if far.any():
        at, margin = at[far], margin[far]
        slopes = [psi.slope(at - margin), psi.slope(at), psi.slope(at + margin)]
        for turn in psi.turns or ():
            slopes.append(np.where(np.abs(at - turn) <= margin, psi.slope(np.full_like(at, turn)), slopes[1]))
        if psi.turns is None and psi.slope_interval is not None:
            slopes += [np.where(margin > _LARGE, end, slopes[1]) for end in psi.slope_interval]
        off[far] = np.ptp(slopes, axis=0) @ (np.abs(network.a) * rows)
    return off


def _signs(
    W: np.ndarray,
    b: np.ndarray,
    a: np.ndarray,
    points: np.ndarray,
    size: np.ndarray,
    pre_activations: np.ndarray,
    domain: Domain,
    kink: float = 0.0,
) -> np.ndarray:
    """(m, k) signs of w . x + b - kink at the points of the domain that are meant; 0 where they are not known."""
    beyond = pre_activations - kink if kink else pre_activations
    signs = np.sign(beyond)
    distances = np.abs(beyond)
    rows = lengths(W)
    widest = _margins(rows.max(keepdims=True), b[[np.abs(b).argmax()]], W.shape[1], size, domain)
    if (distances > widest).all():
        return signs
    unsure = (distances <= _margins(rows, b, W.shape[1], size, domain)) & ((a != 0) & W.any(1))
    signs[unsure] = _doubled_signs(W, b, points, size, np.argwhere(unsure), domain, kink)
    return signs


def _doubled_signs(
    W: np.ndarray, b: np.ndarray, points: np.ndarray, size: np.ndarray, pairs: np.ndarray, domain: Domain, kink: float
) -> np.ndarray:
    """The signs for pairs of a point and a neuron, in doubled precision; 0 where x and R x / |x| differ.

    On the sphere, w . (R x / |x|) + b has the sign of R (w . x) + b |x|.
    """
    found = np.zeros(len(pairs))
    step = max(1, _BLOCK // W.shape[1])
    for start in range(0, len(pairs), step):
        of_point, of_neuron = pairs[start : start + step].T
        scale = np.ldexp(1.0, np.frexp(np.where(size[of_point] > 0, size[of_point], 1.0))[1])
        x, bias, w = points[of_point] / scale[:, None], b[of_neuron] / scale, W[of_neuron]
        of_bias = doubled.plus(bias, -kink / scale)
        product = doubled.dot(x, w)
        of_terms = np.abs(bias) + np.abs(kink / scale)
        bound = W.shape[1] * _SECOND_MARGIN * (np.abs(x * w).sum(1) + of_terms)
        signs = _sure_signs(product, of_bias, bound)
        if not isinstance(domain, Space):
            length = doubled.root(doubled.dot(x, x))
            share = domain.radius / scale
            moved = doubled.multiply(product, (share, np.zeros_like(share)))
            far = W.shape[1] * _SECOND_MARGIN * (np.abs(x * w).sum(1) * share + of_terms)
            on_sphere = _sure_signs(moved, doubled.multiply(length, of_bias), far)
            inside = isinstance(domain, Ball) & (size[of_point] <= domain.radius * (1.0 - OFF))
            signs = np.where(inside | (signs == on_sphere), signs, 0.0)
        found[start : start + step] = signs
    return found


def _sure_signs(one: doubled.Doubled, other: doubled.Doubled, bound: np.ndarray) -> np.ndarray:
    """The signs of sums, 0 where they are within a bound of 0."""
    high, _ = doubled.add(one, other)
    return np.where(np.abs(high) > bound, np.sign(high), 0.0)


def norm_at(network: TwoLayer | Scaled, point: Float[np.ndarray, " d"], domain: Domain = Space()) -> float:
    """What one point proves, to a few roundings of itself, even where the neurons' parts nearly cancel.

    Args:
        network: one network, or, where that is at hand, what `lawjax.lipschitz.scale` makes of it.
        point: (d,), for the network itself.
        domain: where.
    """
    one = network if isinstance(network, Scaled) else scaled(network)
    with np.errstate(over="ignore", under="ignore"):
        x = np.ldexp(np.asarray(point, np.float64), one.point_exponent)[None]
    domain = domain.stretched(one.point_exponent)
    norms, _ = scaled_gradients(one.network, x, domain)
    W, b, a = one.network.W, one.network.b, one.network.a
    path = float(np.abs(a) @ lengths(W))
    if 0.0 < norms[0] < _CANCELS * path:
        psi = one.network.activation
        pre_activations = x @ W.T + b
        slopes, _ = _slopes(one.network, x, lengths(x), pre_activations, domain)
        coefficients = doubled.times(slopes[0], a)
        gradient = doubled.weighted_sum(coefficients, W)
        if domain.tangential:
            gradient = _doubled_tangential(gradient, x[0])
        norms = lengths(gradient[0][None])
        if not psi.is_piecewise_linear:
            norms = np.maximum(norms - _of_rounding(one.network, lengths(x), pre_activations, domain), 0.0)
    return float(one.restored(norms)[0])


def _doubled_tangential(gradient: doubled.Doubled, x: np.ndarray) -> doubled.Doubled:
    """g - (g . x) x / |x|^2 in doubled precision."""
    x = x / np.ldexp(1.0, np.frexp(np.abs(x).max())[1])
    exact_x = x, np.zeros_like(x)
    product = doubled.dot(gradient[0][None], x[None])
    product = doubled.plus(product[0], product[1] + float(gradient[1] @ x))
    square = doubled.dot(x[None], x[None])
    share = product[0] / square[0]
    rest = doubled.add(product, doubled.multiply((-share, np.zeros_like(share)), square))
    factor = doubled.plus(share, rest[0] / square[0])
    along = doubled.multiply((np.full_like(x, factor[0]), np.full_like(x, factor[1])), exact_x)
    return doubled.add(gradient, (-along[0], -along[1]))
