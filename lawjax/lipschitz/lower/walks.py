"""Walks from cell to cell: from a point along lines to the best cell met, until none is better.

Where psi is piecewise linear, the gradient is constant on the cells that the kinks cut out, and along a line it
changes by one a_l w_l at each kink: all k + 1 cells that a line meets cost no more than a few products with W. On a
sphere the lines are great circles.

    >>> from lawjax.lipschitz.lower.evaluate import gradient_norms
    >>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
    >>> point = walk(f, np.array([[-1.0, -1.0]]))[0]
    >>> float(gradient_norms(f, point[None])[0])
    5.0
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lawjax.domains import Ball, Domain, Space, Sphere
from lawjax.lipschitz.lower.effort import Walks
from lawjax.lipschitz.lower.evaluate import scaled_norms
from lawjax.network import TwoLayer

_USUAL = Walks()
_NARROW = (1e-9, 1e-14)  # relative widths of cells: below the first rounding may not find it again, below the second no
_FARTHEST = 1e150  # of a kink along a line; a line that only touches the ball has no length, over less than 1/this


def walk(
    network: TwoLayer,
    starts: Float[np.ndarray, "m d"],
    domain: Domain = Space(),
    rounds: int | None = None,
    tuning: Walks = _USUAL,
) -> Float[np.ndarray, "m d"]:
    """The points to which walks across neighbouring cells lead from each start.

    Args:
        network: one network of ordinary size; with a smooth psi its starts come back.
        starts: (m, d), moved into the domain along their rays.
        domain: on which the walks stay.
        rounds: moves of one walk, at most; those of the tuning unless given.
        tuning: how hard to look.
    """
    starts = domain.project(np.asarray(starts, np.float64))
    if not network.activation.has_kink:
        return starts
    neurons = _Neurons.of(network)
    rounds = tuning.rounds if rounds is None else rounds
    return np.array([_end(neurons, start, domain, rounds, tuning) for start in starts])


class _Neurons(NamedTuple):
    """The neurons that count.

    Attributes:
        network: of these alone, in float64, c = 0.
        V: (k, d), rows a_l w_l.
        low: slope of psi below its kink.
        high: and above.
    """

    network: TwoLayer
    V: np.ndarray
    low: float
    high: float

    @classmethod
    def of(cls, network: TwoLayer) -> _Neurons:
        """Those of a network."""
        W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
        used = W.any(1) & (a != 0)
        W, b, a = W[used], b[used], a[used]
        plain = network if not len(a) else TwoLayer(W, b, a, 0.0, network.activation)
        return cls(plain, a[:, None] * W, *network.activation.sides)

    def on(self, point: np.ndarray) -> np.ndarray:
        """(k,), the neurons that are above their kink at a point."""
        return self.network.W @ point + self.network.b > 0


def _end(neurons: _Neurons, point: np.ndarray, domain: Domain, rounds: int, tuning: Walks) -> np.ndarray:
    """Where one walk ends."""
    network, V, low, high = neurons
    if not len(V):
        return point
    W, a, squares = network.W, network.a, (V**2).sum(1)
    k, d = W.shape
    random = np.random.default_rng(k * 1000003 + d)
    best = scaled_norms(network, point[None], domain)[0]
    failures = 0
    for _ in range(rounds):
        on = neurons.on(point)
        change = np.where(on, low - high, high - low)
        gradient = (np.where(on, high, low) * a) @ W
        gain = 2.0 * change * (V @ gradient) + change**2 * squares  # of the squared norm, by this kink alone
        promising = W[np.argsort(-gain)[: tuning.lines // 2]]
        directions = np.concatenate([promising, random.standard_normal((tuning.lines - len(promising), d))])
        tried = [_best_along(neurons, point, along / np.linalg.norm(along), domain) for along in directions]
        ends = domain.project(np.concatenate(tried))
        norms = scaled_norms(network, ends, domain)
        winner = int(norms.argmax())
        if norms[winner] > best * (1.0 + 1e-12):
            point, best, failures = ends[winner], norms[winner], 0
        elif (failures := failures + 1) == tuning.patience:
            break
    return point


class _Line(NamedTuple):
    """A line or great circle through a point, and the kinks that it crosses within the domain.

    Attributes:
        origins: (2, d); at place t lies origins[0] + t origins[1], or cos(t) origins[0] + sin(t) origins[1].
        is_circle: which of the two.
        edges: (m + 2,), where it begins, the kinks in order, and where it ends.
        neurons: (m,), those whose kinks these are.
        again: (c,), which of the kinks are a neuron's second, on a circle.
    """

    origins: np.ndarray
    is_circle: bool
    edges: np.ndarray
    neurons: np.ndarray
    again: np.ndarray

    def at(self, places: np.ndarray) -> np.ndarray:
        """(m, d) points."""
        first, second = self.origins
        if self.is_circle:
            return np.multiply.outer(np.cos(places), first) + np.multiply.outer(np.sin(places), second)
        return first + np.multiply.outer(places, second)


def _straight(network: TwoLayer, point: np.ndarray, direction: np.ndarray, domain: Domain) -> _Line:
    """The line through a point, as far as it lies in the domain."""
    W, b = network.W, network.b
    at_point, slope = W @ point + b, W @ direction
    crosses = np.abs(slope) * _FARTHEST > np.abs(at_point)
    places = -at_point[crosses] / slope[crosses]
    neurons = np.flatnonzero(crosses)
    ends = _chord(point, direction, domain.radius) if isinstance(domain, Ball) else None
    if ends is not None:
        within = (places > ends[0]) & (places < ends[1])
        places, neurons = places[within], neurons[within]
    order = np.argsort(places)
    places, neurons = places[order], neurons[order]
    first, last = ends if ends is not None else _beyond(places)
    edges = np.concatenate([[first], places, [last]])
    return _Line(np.stack([point, direction]), False, edges, neurons, order[:0])


def _great_circle(network: TwoLayer, point: np.ndarray, direction: np.ndarray, sphere: Sphere) -> _Line | None:
    """The great circle through a point; None where the direction leads away from the sphere."""
    W, b = network.W, network.b
    across = direction - (direction @ point) / (point @ point) * point
    size = np.linalg.norm(across)
    if size < 1e-12:
        return None
    across = across * (sphere.radius / size)
    cosine, sine = W @ point, W @ across
    reach = np.hypot(cosine, sine)
    cut = np.flatnonzero(np.abs(b) < reach)
    middle, opening = np.arctan2(sine[cut], cosine[cut]), np.arccos(-b[cut] / reach[cut])
    places = np.concatenate([middle - opening, middle + opening]) % (2.0 * np.pi)
    order = np.argsort(places)
    places, neurons = places[order], cut[order % max(1, len(cut))]
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    again = np.maximum(*rank.reshape(2, -1))
    edges = np.concatenate([[0.0], places, [2.0 * np.pi]])
    return _Line(np.stack([point, across]), True, edges, neurons, again)


def _best_along(neurons: _Neurons, point: np.ndarray, direction: np.ndarray, domain: Domain) -> np.ndarray:
    """(m, d) points of the best cells that a line or great circle meets: of the wide ones, and of all."""
    there = neurons.network, point, direction
    line = _great_circle(*there, domain) if isinstance(domain, Sphere) else _straight(*there, domain)
    if line is None:
        return point[None]
    edges, low, high = line.edges, neurons.low, neurons.high
    middles = 0.5 * (edges[:-1] + edges[1:])
    on = neurons.on(line.at(middles[:1])[0])
    started = np.where(on, high, low)
    # A kink is crossed upwards by a neuron that was off before; each is crossed once or, on a circle, twice.
    before = on[line.neurons]
    before[line.again] = ~before[line.again]
    gradients = np.empty((len(before) + 1, len(point)))  # the largest arrays of a walk: no copies
    gradients[0] = started @ neurons.V
    np.multiply(neurons.V[line.neurons], np.where(before, low - high, high - low)[:, None], out=gradients[1:])
    np.cumsum(gradients, axis=0, out=gradients)
    squares = np.einsum("ij,ij->i", gradients, gradients)
    if domain.tangential:
        squares = squares - (gradients * line.at(middles)).sum(1) ** 2 / (point @ point)
    widths = np.diff(edges) / np.maximum(np.abs(middles), np.abs(edges).max() * 1e-6 + 1.0 / _FARTHEST)
    winners = {int(np.where(widths > narrow, squares, -1.0).argmax()) for narrow in _NARROW}
    return line.at(middles[sorted(winners)])


def _chord(point: np.ndarray, direction: np.ndarray, radius: float) -> tuple[float, float]:
    """Where a line enters and leaves the ball."""
    along = float(point @ direction)
    root = float(np.sqrt(max(along**2 + radius**2 - point @ point, 0.0)))
    return -along - root, -along + root


def _beyond(places: np.ndarray) -> tuple[float, float]:
    """Two places before the first and behind the last kink."""
    if not len(places):
        return -1.0, 1.0
    length = float(places[-1] - places[0]) + float(np.abs(places).max()) + 1.0
    return float(places[0]) - length, float(places[-1]) + length
