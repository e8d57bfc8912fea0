"""The caps that kinks cut off a sphere, and the parts into which caps that are apart divide it.

On the ball and the sphere of radius R around 0, the kink of a neuron of a piecewise-linear psi cuts the sphere into two
caps. The smaller one is called the neuron's cap: inside it the neuron has one known slope, outside it the other. Two
caps that are apart are never entered at once, and who is in a cap inside another is in both. So the sphere falls into
parts: for some leading neurons in order, the points of the cap of this leader that are in no cap of a leader before it,
and at the end the points in no leader's cap. In each part the slopes of many neurons are known. What is apart on the
sphere is apart in the ball, too (docs/certificates.md).

    >>> f = TwoLayer(W=[[1.0, 0.0], [0.0, 1.0]], b=[-0.9, -0.9], a=[1.0, 1.0])
    >>> [part.leader for part in parts(f)], [part.alpha.tolist() for part in parts(f)]
    ([0, 1, None], [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from lawjax.domains import Domain, Sphere
from lawjax.lipschitz import doubled, verified
from lawjax.lipschitz.upper.slopes import slope_intervals
from lawjax.network import TwoLayer

_MARGIN = 1e-9  # by which caps must be apart, or inside each other, to count: far above the rounding of inner products
_SLACK = 1e-9  # of the size of the terms, taken off a lower bound for what they add up to
_LARGEST = 6000  # neurons up to which pairs are looked at
_THIN = 0.25  # sine of the angle of a cap that is called thin


def thin_caps(
    network: TwoLayer, sphere: Sphere
) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
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


class Part(NamedTuple):
    """A part of the sphere on which slopes are known.

    Attributes:
        leader: the neuron in whose cap it lies, None for the points in no leader's cap.
        alpha: (k,), least slopes there.
        beta: (k,), largest slopes there.
        along: |grad f(x) . x| / R >= along there: the part of the gradient that does not lie along the sphere.
    """

    leader: int | None
    alpha: Float[np.ndarray, " k"]
    beta: Float[np.ndarray, " k"]
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

    normals: Float[np.ndarray, "k d"]
    heights: Float[np.ndarray, " k"]
    exist: Bool[np.ndarray, " k"]
    inside: Float[np.ndarray, " k"]
    outside: Float[np.ndarray, " k"]


def parts(network: TwoLayer, domain: Domain = Sphere()) -> list[Part]:
    """The parts that pairs of caps make, in order; none where no two caps are apart.

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


def _known(network: TwoLayer, domain: Domain, caps: Caps, leaders: np.ndarray, on_cap: np.ndarray) -> Iterator[Part]:
    alpha, beta = slope_intervals(network, domain)
    own = np.where(on_cap > 0, caps.inside, caps.outside)
    low, high = np.where(on_cap == 0, alpha, own), np.where(on_cap == 0, beta, own)
    along = _least_along(network, domain.radius, caps, leaders, low[:-1], high[:-1])
    for place, leader in enumerate(leaders):
        yield Part(int(leader), low[place], high[place], float(along[place]))
    yield Part(None, low[-1], high[-1], 0.0)


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
