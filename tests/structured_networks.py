"""Structured networks, as people bring them: sums that cancel, kinks that coincide, touch or nearly do, odd sizes.

Random weights (`lipschitz_networks.random_network`) never cancel and put no kink through a point that matters. Each
kind here is a function (rng, d, k, activation) -> TwoLayer for d = 1, 2, 3; it takes about k neurons, and the kinds
that know a domain mean the unit ball and sphere. `structured` draws from all kinds.

>>> structured(1)
Structured(kind='hats', network=TwoLayer(k=33, d=2, activation='leaky_relu', float64), radius=1.0)
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lawjax import Dataset, TwoLayer, constructions

SMOOTH = ("tanh", "gelu", "softplus")
_ACTIVATIONS = (*("relu",) * 5, *("leaky_relu",) * 2, *("abs",) * 2, "identity")
_RADII = (*(1.0,) * 6, 0.5, 2.0, 0.3, 1e-3, 1e3)
_MOST = {1: 40, 2: 40, 3: 16}  # neurons
# Points of the unit circle and sphere with fractions for coordinates: numerators, denominator.
_RATIONAL: dict[int, list[tuple[tuple[int, ...], int]]] = {
    1: [((1,), 1)],
    2: [((1, 0), 1), ((3, 4), 5), ((5, 12), 13), ((8, 15), 17), ((7, 24), 25)],
    3: [((1, 0, 0), 1), ((3, 4, 0), 5), ((5, 12, 0), 13), ((1, 2, 2), 3), ((2, 3, 6), 7), ((1, 4, 8), 9)],
}

KINDS: dict[str, Callable[..., TwoLayer]] = {}
ROUGH: set[str] = set()  # kinds whose sizes leave smooth psi without anything to say


class Structured(NamedTuple):
    """A network of a kind, and a radius for which it is one."""

    kind: str
    network: TwoLayer
    radius: float


def structured(seed: int, smooth: bool = False) -> Structured:
    """The network of a seed: kinds come in turn; everything else is drawn."""
    names = [name for name in KINDS if not (smooth and name in ROUGH)]
    kind, rng = names[seed % len(names)], np.random.default_rng([seed, smooth])
    d = int(rng.integers(1, 4))
    k = int(np.ceil(_MOST[d] ** rng.uniform(0.2, 1.0)))
    activation = str(rng.choice(SMOOTH if smooth else _ACTIVATIONS))
    radius = float(rng.choice(_RADII))
    network = KINDS[kind](rng, d, k, activation)
    if radius != 1.0:  # every kink where it was, in units of the radius
        network = TwoLayer(network.W, network.b * network.b.dtype.type(radius), network.a, 0.0, activation)
    return Structured(kind, network, radius)


def _kind(function: Callable[..., TwoLayer]) -> Callable[..., TwoLayer]:
    KINDS[function.__name__] = function
    return function


def _rough(function: Callable[..., TwoLayer]) -> Callable[..., TwoLayer]:
    ROUGH.add(function.__name__)
    return _kind(function)


def _row(rng, d):
    """A vector that is not 0: at random, of small integers, or along an axis."""
    way = rng.integers(3)
    if way == 0:
        return rng.standard_normal(d)
    axis = np.eye(d)[rng.integers(d)] * rng.choice([-1.0, 1.0])
    if way == 1:
        return axis
    row = rng.integers(-3, 4, d).astype(float)
    return row if row.any() else axis


def _rows(rng, k, d):
    return np.array([_row(rng, d) for _ in range(k)])


def _number(rng):
    """A height that is not 0."""
    return float(rng.choice([-2.0, -1.0, 1.0, 3.0])) if rng.random() < 0.5 else float(rng.standard_normal()) or 1.0


def _place(rng):
    """Where along a direction: an eighth, or anywhere."""
    return float(rng.integers(-8, 9)) / 8.0 if rng.random() < 0.5 else float(rng.uniform(-1, 1))


def _width(rng):
    return float(rng.choice([0.125, 0.25, 0.5, 1.0])) if rng.random() < 0.7 else float(rng.uniform(0.01, 1.0))


def _stacked(parts, activation):
    """One network of many (W, b, a)."""
    W, b, a = (np.concatenate([np.asarray(part[i], float) for part in parts]) for i in range(3))
    return TwoLayer(W, b, a, 0.0, activation)


def _along(u, places, heights):
    """Neurons heights[i] psi(u . x - places[i])."""
    return np.tile(u, (len(places), 1)), -np.array(places), np.array(heights)


def _unit(rng, k, d):
    rows = rng.standard_normal((k, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _random(rng, d, k, activation):
    b = rng.standard_normal(k) * rng.choice([0.1, 0.5, 1.0])
    return TwoLayer(rng.standard_normal((k, d)), b, rng.standard_normal(k), 0.0, activation)


def _points_of_rim(rng, k, d):
    """k integer vectors p (k, d), and their lengths, which are integers."""
    drawn = [_RATIONAL[d][rng.integers(len(_RATIONAL[d]))] for _ in range(k)]
    points = np.array([rng.permutation(point) * rng.choice([-1, 1], d) for point, _ in drawn], float)
    return points, np.array([size for _, size in drawn], float)


@_kind
def gaussian(rng, d, k, activation):
    return _random(rng, d, k, activation)


# Sums that cancel.


@_kind
def hats(rng, d, k, activation):
    parts = []
    for _ in range(max(1, k // 3)):
        at, s, h = _place(rng), _width(rng), _number(rng)
        parts.append(_along(_row(rng, d), [at - s, at, at + s], [h, -2.0 * h, h]))
    return _stacked(parts, activation)


@_kind
def ramps(rng, d, k, activation):
    parts = []
    for _ in range(max(1, k // 2)):
        at, s, h = _place(rng), _width(rng), _number(rng)
        parts.append(_along(_row(rng, d), [at, at + s], [h / s, -h / s]))
    return _stacked(parts, activation)


@_kind
def clips(rng, d, k, activation):
    """Ramps whose two neurons are scaled by different powers of two."""
    parts = []
    for _ in range(max(1, k // 2)):
        at, s, h = _place(rng), _width(rng), _number(rng)
        W, b, a = _along(_row(rng, d), [at, at + s], [h, -h])
        scale = 2.0 ** rng.integers(-9, 10, 2)
        parts.append((W * scale[:, None], b * scale, a / scale))
    return _stacked(parts, activation)


@_kind
def absolute(rng, d, k, activation):
    """|u . x + t| as psi(u . x + t) + psi(-u . x - t)."""
    parts = []
    for _ in range(max(1, k // 2)):
        u, at, h = _row(rng, d), _place(rng), _number(rng)
        parts.append(([u, -u], [at, -at], [h, h]))
    return _stacked(parts, activation)


@_kind
def manhattan(rng, d, k, activation):
    """sum_i c_i |x_i|, along the axes or turned; whole or without some of its neurons."""
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0] if rng.random() < 0.3 else np.eye(d)
    c = np.array([_number(rng) for _ in range(d)])
    b = np.array([_place(rng) if rng.random() < 0.3 else 0.0 for _ in range(d)])
    W, b, a = np.concatenate([axes, -axes]), np.concatenate([b, -b]), np.concatenate([c, c])
    kept = slice(None) if rng.random() < 0.8 else slice(0, max(1, 2 * d - 1))
    return TwoLayer(W[kept], b[kept], a[kept], 0.0, activation)


@_kind
def zero_function(rng, d, k, activation):
    """Equal neurons with opposite a."""
    half = _random(rng, d, max(1, k // 2), activation)
    order = rng.permutation(2 * len(half.a))
    W, b, a = (np.concatenate(pair)[order] for pair in ((half.W, half.W), (half.b, half.b), (half.a, -half.a)))
    return TwoLayer(W, b, a, 0.0, activation)


@_kind
def cancelling(rng, d, k, activation):
    """sum a_l w_l = 0 exactly, in integers."""
    W, a = rng.integers(-4, 5, (k, d)).astype(float), rng.integers(-4, 5, k).astype(float)
    W = np.concatenate([W, [a @ W]])
    b = rng.integers(-4, 5, k + 1) / rng.choice([1.0, 4.0])
    return TwoLayer(W, b, np.append(a, -1.0), 0.0, activation)


@_kind
def nearly_cancelling(rng, d, k, activation):
    """The same or hats, and a neuron that is 1e-8, 1e-14 or 1e-17 of the rest."""
    f = (cancelling, hats, ramps)[rng.integers(3)](rng, d, k, activation)
    small = _random(rng, d, 1, activation)
    size = rng.choice([1e-8, 1e-14, 1e-17])
    return _stacked([(f.W, f.b, f.a), (small.W * size, small.b * size, small.a)], activation)


@_kind
def linear_pairs(rng, d, k, activation):
    """psi(t) - psi(-t), which is t for ReLU, and sometimes a neuron besides."""
    u = _rows(rng, max(1, k // 2), d)
    b = rng.standard_normal(len(u)) * rng.choice([0.0, 1.0])
    a = np.array([_number(rng) for _ in u])
    parts = [(np.concatenate([u, -u]), np.concatenate([b, -b]), np.concatenate([a, -a]))]
    if rng.random() < 0.5:
        parts.append(([_row(rng, d)], [_place(rng)], [_number(rng)]))
    return _stacked(parts, activation)


@_kind
def sawtooth(rng, d, k, activation):
    """Slopes 1, -1, 1, ... along a direction."""
    places = np.cumsum(np.full(k, _width(rng) / 4.0)) - 1.0
    heights = np.where(np.arange(k) % 2 == 0, 2.0, -2.0)
    heights[0] = 1.0
    W, b, a = _along(_row(rng, d), places, heights)
    return TwoLayer(W, b, a, 0.0, activation)


@_kind
def tents(rng, d, k, activation):
    """Hats around points of the sphere."""
    parts, s = [], float(rng.choice([0.1, 0.25, 0.5]))
    for u in _unit(rng, max(1, k // 3), d):
        h = float(rng.choice([-1.0, 1.0])) / s
        parts.append(_along(u, [1.0 - s, 1.0, 1.0 + s], [h, -2.0 * h, h]))
    return _stacked(parts, activation)


def _sphere_data(rng, n, d):
    return Dataset(_unit(rng, n, d), rng.choice([-1.0, 1.0], n))


@_kind
def built_ramps(rng, d, k, activation):
    f = constructions.ramps(_sphere_data(rng, max(1, k // 2), d), float(rng.choice([0.1, 0.25, 0.9]))).network
    return TwoLayer(f.W, f.b, f.a, 0.0, activation)


@_kind
def built_caps(rng, d, k, activation):
    f = constructions.caps(_sphere_data(rng, k, d), float(rng.choice([0.5, 0.9, 0.99]))).network
    return TwoLayer(f.W, f.b, f.a, 0.0, activation)


@_kind
def built_groups(rng, d, k, activation):
    dataset = _sphere_data(rng, 2 * k, d)
    f = constructions.grouped_caps(dataset, min(2 * k, max(2, k))).network
    return TwoLayer(f.W, f.b, f.a, 0.0, activation)


# Small integers, and kinks through points that matter.


@_kind
def integers(rng, d, k, activation):
    W, b, a = (rng.integers(-2, 3, shape).astype(float) for shape in ((k, d), k, k))
    return TwoLayer(W, b, a, 0.0, activation)


@_kind
def rim(rng, d, k, activation):
    """Kinks that meet in a few points of the unit sphere."""
    points, sizes = _points_of_rim(rng, int(rng.integers(1, 4)), d)
    normals = rng.integers(-3, 4, (k, d)).astype(float)
    chosen = rng.integers(len(points), size=k)
    b = -(normals * points[chosen]).sum(1)
    return TwoLayer(normals * sizes[chosen, None], b, rng.integers(-3, 4, k).astype(float), 0.0, activation)


@_kind
def pencil(rng, d, k, activation):
    """All kinks through one point."""
    at = rng.integers(-2, 3, d) / 4.0 if rng.random() < 0.7 else 0.5 * rng.standard_normal(d)
    W = _rows(rng, k, d)
    return TwoLayer(W, -(W * at).sum(1), rng.standard_normal(k), 0.0, activation)


@_kind
def through_zero(rng, d, k, activation):
    return TwoLayer(_rows(rng, k, d), np.zeros(k), rng.standard_normal(k), 0.0, activation)


@_kind
def one_hot(rng, d, k, activation):
    W = np.eye(d)[rng.integers(d, size=k)] * rng.choice([-2.0, -1.0, 1.0, 1.0, 0.5], (k, 1))
    return TwoLayer(W, rng.integers(-4, 5, k) / 4.0, rng.integers(-3, 4, k).astype(float), 0.0, activation)


@_kind
def symmetric(rng, d, k, activation):
    """Equal caps around the directions of a polygon or cube."""
    if d == 2:
        angles = 2.0 * np.pi * np.arange(k) / k
        W = np.stack([np.cos(angles), np.sin(angles)], 1)
    else:
        W = np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=d)))
        W = rng.permutation(W[W.any(1)])[:k]
        W = W / np.linalg.norm(W, axis=1, keepdims=True)
    heights = np.ones(len(W)) if rng.random() < 0.5 else rng.choice([-1.0, 1.0], len(W))
    return TwoLayer(W, np.full(len(W), -float(rng.uniform(0, 1))), heights, 0.0, activation)


@_kind
def parallel(rng, d, k, activation):
    """All rows along one or two directions."""
    along = _rows(rng, int(rng.integers(1, 3)), d)
    scale = rng.standard_normal(k) if rng.random() < 0.5 else rng.choice([-2.0, -1.0, 1.0, 3.0], k)
    W = along[rng.integers(len(along), size=k)] * scale[:, None]
    return TwoLayer(W, scale * rng.integers(-6, 7, k) / 4.0, rng.standard_normal(k), 0.0, activation)


@_kind
def duplicates(rng, d, k, activation):
    """Few different neurons, each many times: equal, scaled, or the other way round."""
    f = _random(rng, d, max(1, k // 3), activation)
    own, scale = rng.integers(len(f.a), size=k), rng.choice([1.0, 1.0, 2.0, -1.0, 0.1], k)
    a = rng.standard_normal(k) if rng.random() < 0.5 else f.a[own] * rng.choice([-1.0, 1.0], k)
    return TwoLayer(f.W[own] * scale[:, None], f.b[own] * scale, a, 0.0, activation)


# Neurons that do nothing.


@_kind
def with_zeros(rng, d, k, activation):
    f = _random(rng, d, k, activation)
    kept = rng.random((3, k)) < 0.7
    return TwoLayer(f.W * kept[0][:, None], f.b * kept[1], f.a * kept[2], 0.0, activation)


@_kind
def pruned(rng, d, k, activation):
    f = _random(rng, d, k, activation)
    return TwoLayer(f.W * (rng.random((k, d)) < rng.choice([0.1, 0.3])), f.b, f.a, 0.0, activation)


@_kind
def sparse_readout(rng, d, k, activation):
    """More than half of the a_l are zero, and caps of all heights."""
    W = _rows(rng, k, d)
    b = -np.linalg.norm(W, axis=1) * rng.uniform(0.3, 1.0, k) * rng.choice([1.0, 1.0, -1.0], k)
    a = rng.standard_normal(k) * 10.0 ** float(rng.choice([0, 0, 5, 100]))
    a[rng.permutation(k)[: k // 2 + 1]] = 0.0
    return TwoLayer(W, b, a, 0.0, activation)


@_kind
def dead(rng, d, k, activation):
    """Most kinks pass by the unit ball."""
    f = _random(rng, d, k, activation)
    beyond = np.linalg.norm(f.W, axis=1) * rng.uniform(1.0 + 1e-9, 3.0, k) * rng.choice([-1.0, 1.0], k)
    return TwoLayer(f.W, np.where(rng.random(k) < 0.7, beyond, f.b), f.a, 0.0, activation)


@_kind
def tiny_rows(rng, d, k, activation):
    """Neurons that are 1e-17 or 1e-300 of the rest, by their rows, biases with them or not, or by a."""
    f = (_random, hats, integers)[rng.integers(3)](rng, d, k, activation)
    W, b, a = f.W.copy(), f.b.copy(), f.a.copy()
    for own in np.flatnonzero(rng.random(len(a)) < 0.5):
        size, way = rng.choice([1e-17, 1e-300]), rng.integers(3)
        W[own] *= size if way < 2 else 1.0
        b[own] *= size if way == 1 else 1.0
        a[own] *= size if way == 2 else 1.0
    return TwoLayer(W, b, a, 0.0, activation)


# Caps that touch, and cells that hardly exist.


@_kind
def tangent(rng, d, k, activation):
    """Some kinks touch the unit sphere, exactly."""
    f = _random(rng, d, k, activation)
    W, sizes = _points_of_rim(rng, k, d)
    scale, some = 2.0 ** rng.integers(-3, 4, k), rng.random(k) < 0.7
    b = np.where(some, sizes * scale * rng.choice([-1.0, 1.0], k), f.b)
    return TwoLayer(np.where(some[:, None], W * scale[:, None], f.W), b, f.a, 0.0, activation)


@_kind
def nearly_tangent(rng, d, k, activation):
    """The same up to 1e-16 to 1e-3 of the bias, on either side."""
    f = (tangent, _random)[rng.integers(2)](rng, d, k, activation)
    off = 1.0 + rng.choice([-1.0, 1.0], k) * 10.0 ** rng.uniform(-16, -3, k)
    b = np.linalg.norm(f.W, axis=1) * np.where(f.b > 0, off, -off)
    return TwoLayer(f.W, np.where(rng.random(k) < 0.8, b, f.b), f.a, 0.0, activation)


@_kind
def thin_caps(rng, d, k, activation):
    """Caps of heights 1e-10 to 0.1 around nearly the same direction, so that many overlap."""
    height = 10.0 ** rng.uniform(-10, -1)
    W = _row(rng, d)
    W = W / np.linalg.norm(W) + np.sqrt(height) * rng.uniform(0, 2) * rng.standard_normal((k, d))
    b = -np.linalg.norm(W, axis=1) * (1.0 - height * rng.uniform(0.1, 2.0, k))
    a = rng.standard_normal(k) if rng.random() < 0.5 else np.abs(rng.standard_normal(k))
    return TwoLayer(W, b, a, 0.0, activation)


@_kind
def slivers(rng, d, k, activation):
    """Two kinks of opposite sign 1e-13 to 1e-3 apart; between them the gradient is large."""
    parts = []
    for _ in range(max(1, k // 2)):
        at, s, h = _place(rng), 10.0 ** rng.uniform(-13, -3), _number(rng)
        parts.append(_along(_row(rng, d), [at, at + s], [h, -h]))
    return _stacked(parts, activation)


@_kind
def clusters(rng, d, k, activation):
    """Hyperplanes that are equal up to 1e-14 to 1e-6."""
    f = _random(rng, d, max(1, k // 5), activation)
    own, off = rng.integers(len(f.a), size=k), 10.0 ** rng.uniform(-14, -6)
    W = f.W[own] + off * rng.standard_normal((k, d))
    a = rng.standard_normal(k) if rng.random() < 0.5 else rng.choice([-1.0, 1.0], k)
    return TwoLayer(W, f.b[own] + off * rng.standard_normal(k), a, 0.0, activation)


@_kind
def scales(rng, d, k, activation):
    """Kinks at distances of 1e-6 to 1e6 from 0, with gradients of any size."""
    f = _random(rng, d, k, activation)
    b = f.b * 10.0 ** rng.uniform(-6, 6, k)
    return TwoLayer(f.W, b, f.a * 10.0 ** rng.uniform(-1, 1, k), 0.0, activation)


@_kind
def line(rng, d, k, activation):
    """d = 1, many neurons."""
    k = int(rng.integers(10, 41))
    return (_random, integers, sawtooth)[rng.integers(3)](rng, 1, k, activation)


@_rough
def dense_line(rng, d, k, activation):
    """d = 1, up to 3000 neurons, sums that grow in either direction."""
    k = int(100.0 * 30.0 ** rng.uniform() ** 2)
    W = rng.standard_normal((k, 1)) if rng.random() < 0.5 else rng.choice([-1.0, 1.0], (k, 1))
    b = -W[:, 0] * rng.uniform(-1.5, 1.5, k)
    a = rng.standard_normal(k) if rng.random() < 0.5 else rng.choice([-1.0, 1.0], k)
    return TwoLayer(W, b, a, 0.0, activation)


# Precisions and sizes.


@_kind
def mixed_precision(rng, d, k, activation):
    f = (_random, hats, integers, ramps)[rng.integers(4)](rng, d, k, activation)
    kinds = ("float16", "float32", "float64")
    W, b, a = (array.astype(rng.choice(kinds)) for array in (f.W, f.b, f.a))
    if rng.random() < 0.3:
        W = np.round(4.0 * f.W).astype(np.int8)
    return TwoLayer(W, b, a, np.zeros((), rng.choice(kinds)), activation)


@_rough
def extreme(rng, d, k, activation):
    """A factor of 1e-320 to 1e300 on a, on W and b, or on both."""
    f = (_random, hats, integers)[rng.integers(3)](rng, d, k, activation)
    of_a, of_w = (10.0 ** rng.uniform(-320, 300) if rng.random() < 0.7 else 1.0 for _ in range(2))
    return TwoLayer(f.W * of_w, f.b * of_w, f.a * of_a, 0.0, activation)


@_rough
def balanced_extremes(rng, d, k, activation):
    """Each neuron's row and a by factors that cancel, of up to 1e300."""
    f = (_random, integers)[rng.integers(2)](rng, d, k, activation)
    scale = 10.0 ** (float(rng.choice([10, 150, 300])) * rng.uniform(-1, 1, k))
    return TwoLayer(f.W * scale[:, None], f.b * scale, f.a / scale, 0.0, activation)


@_rough
def denormals(rng, d, k, activation):
    """Weights that are a few times the smallest number."""
    f = integers(rng, d, k, activation)
    least, way = 5e-324, rng.integers(3)
    W, b, a = (f.W * least, f.b * least, f.a) if way == 0 else (f.W, f.b, f.a * least)
    return TwoLayer(W, b, a * 2.0**1000 if way == 2 else a, 0.0, activation)
