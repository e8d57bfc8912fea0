"""What is known of the slopes psi' on a domain: an interval for each neuron, and the cases that pairs of caps make.

On the ball and the sphere of radius R around 0, neuron l sees pre-activations within b_l +- R ||w_l|| alone. Where psi
is piecewise linear, the kink of a neuron cuts the sphere into two caps. The smaller one is called the neuron's cap:
inside it the neuron has one known slope, outside it the other. Two caps that are apart are never entered at once, and
who is in a cap inside another is in both. So the sphere falls into cases: for some leading neurons in order, the points
of the cap of this leader that are in no cap of a leader before it, and at the end the points in no leader's cap. In
each case the slopes of many neurons are known. What is apart on the sphere is apart in the ball, too
(docs/certificates.md).

    >>> f = TwoLayer(W=[[1.0, 0.0], [0.0, 1.0]], b=[-0.9, -0.9], a=[1.0, 1.0])
    >>> [case.leader for case in cases(f)], [case.alpha.tolist() for case in cases(f)]
    ([0, 1, -1], [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lawjax.domains import Domain, Space, Sphere
from lawjax.lipschitz import doubled, verified
from lawjax.network import TwoLayer

_MARGIN = 1e-9  # by which caps must be apart, or inside each other, to count: far above the rounding of inner products
_SLACK = 1e-9  # of the size of the terms, taken off a lower bound for what they add up to
_LARGEST = 6000  # neurons up to which pairs are looked at
_TANGENT = 1e-12  # relative distance of a kink from tangency that is decided exactly
_THIN = 0.25  # sine of the angle of a cap that is called thin
_ROUNDING = 1e-15  # of the sizes of w . x and b, far above that of their sum


def slope_intervals(
    network: TwoLayer, domain: Domain = Space()
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Float64 vectors alpha, beta (k,) with alpha_l <= psi' <= beta_l wherever neuron l gets on the domain.

    On the ball and the sphere it is the interval of psi' over the pre-activations that occur: a neuron with |b_l| >=
    R ||w_l|| never crosses a kink at 0, so its slope is known. Infinite where psi' is unbounded. A neuron that never
    counts, with a_l = 0 or w_l = 0, has one slope.
    """
    psi = network.activation
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    if isinstance(domain, Space):
        low, high = (np.full(len(b), end) for end in (-math.inf, math.inf))
    else:
        low, high = pre_activations(W, b, domain.radius, psi.kinks if psi.is_piecewise_linear else ())
    alpha, beta = psi.slopes_over(low, high)
    if psi.slope_interval is not None:
        dead = (a == 0) | ~W.any(1)
        alpha[dead] = beta[dead] = psi.slope_interval[0]
    return alpha, beta


def pre_activations(
    W: Float[np.ndarray, "k d"], b: Float[np.ndarray, " k"], radius: float, kinks: tuple[float, ...] = ()
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Intervals (low, high) that hold w_l . x + b_l in the open ball of radius R, rounded outwards.

    They end at a kink that the ball does not cross.
    """
    with np.errstate(over="ignore"):
        reach = verified.up(radius * verified.row_norms(W))
        rounding = _ROUNDING * (np.abs(b) + reach)
        low, high = b - reach - rounding, b + reach + rounding
    for kink in kinks:
        sides = sides_of_ball(W, b, radius, kink)
        low, high = np.where(sides > 0, np.maximum(low, kink), low), np.where(sides < 0, np.minimum(high, kink), high)
    return low, high


def sides_of_ball(
    W: Float[np.ndarray, "k d"], b: Float[np.ndarray, " k"], radius: float, kink: float = 0.0
) -> Float[np.ndarray, " k"]:
    """(k,): 1 or -1 where w_l . x + b_l is above or below the kink in the whole open ball, 0 where it crosses it.

    Where rounding leaves |b_l - kink| >= R ||w_l|| open, as where the ball touches the kink, it is decided in exact
    fractions.
    """
    reach, offset = radius * verified.row_norms(W), b - kink
    sides = np.where(np.abs(offset) >= reach * (1.0 + 4.0 * _ROUNDING), np.sign(offset), 0.0)
    for i in np.flatnonzero((sides == 0) & (np.abs(offset) >= reach * (1.0 - _TANGENT)) & (offset != 0)):
        square = sum(Fraction(w) ** 2 for w in W[i].tolist())
        if (Fraction(float(b[i])) - Fraction(kink)) ** 2 >= Fraction(radius) ** 2 * square:
            sides[i] = np.sign(offset[i])
    return sides


def thin_caps(network: TwoLayer, sphere: Sphere) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The neurons (m,) whose kinks cut thin caps off the sphere, bounds on the sines of their angles, slopes outside.

    In a cap of angle phi a neuron's own gradient has a part of at most |a_l| ||w_l|| sin phi along the sphere.
    """
    W, b = np.asarray(network.W, np.float64), np.asarray(network.b, np.float64)
    low, high = network.activation.sides
    radius = sphere.radius
    reach = radius * verified.row_norms(W)
    alpha, beta = slope_intervals(network, sphere)
    thin = np.flatnonzero((np.abs(b) >= math.sqrt(1.0 - _THIN**2) * reach) & (alpha < beta))
    zero = np.zeros(len(thin))
    square = doubled.multiply(doubled.dot(W[thin], W[thin]), doubled.times(zero + radius, zero + radius))
    less, rest = doubled.times(b[thin], b[thin])
    left = doubled.add(square, (-less, -rest))[0] / square[0]
    sines = np.sqrt(np.maximum(left, 0.0) * (1.0 + 1e-12) + 1e-28 * (W.shape[1] + 8.0))
    return thin, sines, np.where(b[thin] > 0, high, low)


class Case(NamedTuple):
    """A part of the sphere on which slopes are known.

    Attributes:
        leader: the neuron in whose cap the case lies, -1 for the points in no leader's cap.
        alpha: (k,), least slopes there.
        beta: (k,), largest slopes there.
        along: |grad f(x) . x| / R >= along there: the part of the gradient that does not lie along the sphere.
    """

    leader: int
    alpha: np.ndarray
    beta: np.ndarray
    along: float


class Caps(NamedTuple):
    """Every neuron's cap {R x : |x| = 1, normal . x > height}.

    Attributes:
        normals: (k, d), of length one.
        heights: (k,), in [0, 1).
        exist: (k,), whether the neuron counts and its kink cuts the sphere.
        inside: (k,), the neuron's slope in its cap.
        outside: (k,), and out of it.
    """

    normals: np.ndarray
    heights: np.ndarray
    exist: np.ndarray
    inside: np.ndarray
    outside: np.ndarray


def cases(network: TwoLayer, domain: Domain = Sphere()) -> list[Case]:
    """The cases that pairs of caps make, in order; none where no two caps are apart.

    Args:
        network: one network of a piecewise-linear psi.
        domain: a sphere, or a ball: what is apart on the one is apart in the other.
    """
    k = network.n_neurons
    if not network.activation.has_kink or k > _LARGEST:
        return []
    caps = caps_of(network, domain.radius)
    cosines = caps.normals @ caps.normals.T
    sines = np.sqrt(1.0 - caps.heights**2)
    both = np.multiply.outer(caps.exist, caps.exist)
    products, rest = np.multiply.outer(caps.heights, caps.heights), np.multiply.outer(sines, sines)
    apart = both & (cosines <= products - rest - _MARGIN)
    leaders = np.flatnonzero(apart.any(1))
    if not len(leaders):
        return []
    # cap i inside cap j: not farther apart than their radii differ, and i the smaller
    inside = both & (cosines >= products + rest + _MARGIN) & (caps.heights[:, None] > caps.heights[None, :])
    leaders = leaders[np.argsort(-apart[leaders].sum(1), kind="stable")]
    on_cap = np.zeros((len(leaders) + 1, k), np.int8)  # 1 in the cap, -1 out of it, 0 unknown
    for place, leader in enumerate(leaders):
        on_cap[place, inside[leader]] = 1
        on_cap[place, apart[leader]] = -1
        on_cap[place, leaders[:place]] = -1
        on_cap[place, leader] = 1
    on_cap[-1, leaders] = -1
    return list(_known(network, domain, caps, leaders, on_cap))


def caps_of(network: TwoLayer, radius: float) -> Caps:
    """The caps of all neurons; those without one have height 0."""
    W, b = np.asarray(network.W, np.float64), np.asarray(network.b, np.float64)
    low, high = network.activation.sides
    norms = verified.row_norms(W)
    scale = np.where(norms > 0, norms, 1.0)
    heights = -b / scale / radius
    a = np.asarray(network.a, np.float64)
    exist = (norms > 0) & (a != 0) & (np.abs(heights) < 1.0 - _MARGIN)
    side = np.where(heights >= 0, 1.0, -1.0)
    inside, outside = np.where(heights >= 0, high, low), np.where(heights >= 0, low, high)
    normals = W / scale[:, None] * side[:, None]
    return Caps(normals, np.where(exist, np.abs(heights), 0.0), exist, inside, outside)


def _known(network: TwoLayer, domain: Domain, caps: Caps, leaders: np.ndarray, on_cap: np.ndarray) -> Iterator[Case]:
    alpha, beta = slope_intervals(network, domain)
    own = np.where(on_cap > 0, caps.inside, caps.outside)
    low, high = np.where(on_cap == 0, alpha, own), np.where(on_cap == 0, beta, own)
    along = _least_along(network, domain.radius, caps, leaders, low[:-1], high[:-1])
    for place, leader in enumerate(leaders):
        yield Case(int(leader), low[place], high[place], float(along[place]))
    yield Case(-1, low[-1], high[-1], 0.0)


def _least_along(
    network: TwoLayer, radius: float, caps: Caps, leaders: np.ndarray, alpha: np.ndarray, beta: np.ndarray
) -> np.ndarray:
    """Lower bounds (m,) on |grad f(x) . x| / R over leaders' caps, from ranges of the known part and of each neuron."""
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    norms = verified.row_norms(W)
    known = alpha == beta
    fixed = (np.where(known, alpha, 0.0) * a) @ W
    left, right = network.activation.sides
    kink = -b / radius
    ends = a * np.stack([left * -norms, left * kink, right * kink, right * norms])
    others = np.where(known, 0.0, 1.0)
    slack = _SLACK * max(abs(left), abs(right)) * float(np.abs(a) @ norms)
    low, high = others @ ends.min(0) - slack, others @ ends.max(0) + slack
    for place, leader in enumerate(leaders):
        own_low, own_high = _range_on_cap(fixed[place], caps.normals[leader], caps.heights[leader])
        low[place], high[place] = low[place] + own_low, high[place] + own_high
    return np.maximum(np.maximum(low, -high), 0.0)


def _range_on_cap(vector: np.ndarray, normal: np.ndarray, height: float) -> tuple[float, float]:
    """The least and the largest vector . x over unit x with normal . x >= height."""
    along = float((vector * normal).sum())
    across = float(np.sqrt(((vector - along * normal) ** 2).sum()))
    length = math.hypot(along, across)
    rim = math.sqrt(1.0 - height**2)
    low = along * height - across * rim if along >= -height * length else -length
    high = along * height + across * rim if along <= height * length else length
    return low, high
