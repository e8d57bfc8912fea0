"""Lower bounds with a witness in float64: a search from cell to cell, and the gradient norm at a point, proved.

Where psi is piecewise linear, the gradient is constant on the cells that the kinks cut out, and along a line it
changes by one a_l w_l at each kink: all k + 1 cells that a line meets cost no more than a few products with W. From a
point, the search looks along lines and moves to the best cell met, until none is better. On a sphere the lines are
great circles.

    >>> from lawjax.lipschitz.lower.evaluate import gradient_norms
    >>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
    >>> point = climb(f, np.array([[-1.0, -1.0]]))[0]
    >>> float(gradient_norms(f, point[None])[0])
    5.0
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from lawjax import activations
from lawjax.domains import Ball, Domain, Space, Sphere
from lawjax.lipschitz.lower.evaluate import scaled_norms
from lawjax.network import TwoLayer
from lawjax.vectors import lengths

Array = Any
ROUNDS = 100
LINES = 24  # looked along from a point: towards the most promising kinks, and at random
_NARROW = (1e-9, 1e-14)  # relative widths of cells: below the first rounding may not find it again, below the second no
_FARTHEST = 1e150  # of a kink along a line; a line that only touches the ball has no length, over less than 1/this
_AROUND = 64  # points around a corner, at most, one in each cell
_AT_RANDOM = 16  # points around it besides
_PATIENCE = 4  # rounds in a row without a better cell, after which a search ends


def climb(network: TwoLayer, starts: Array, domain: Domain = Space(), rounds: int = ROUNDS) -> np.ndarray:
    """The points to which a search across neighbouring cells leads from each start; shape (m, d).

    Args:
        network: one network of ordinary size; with a smooth psi its starts come back.
        starts: (m, d), moved into the domain along their rays.
        domain: on which the search stays.
        rounds: moves of one search, at most.
    """
    starts = domain.project(np.asarray(starts, np.float64))
    psi = network.activation
    if not psi.has_kink:
        return starts
    return np.array([_climb_one(network, psi, start, domain, rounds) for start in starts])


def _float64(network: TwoLayer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    return W, b, a


def corner_points(network: TwoLayer, count: int, domain: Domain = Space()) -> np.ndarray:
    """(m, d) points near corners, where as many kinks as can meet: small cells have corners as large ones do.

    In R^d and in the ball d kinks meet in a corner, on the sphere d - 1 of them meet the sphere in two.
    """
    W, b, a = _float64(network)
    used = W.any(1) & (a != 0)
    W, b = W[used], b[used]
    k, d = W.shape
    meeting = d - isinstance(domain, Sphere)
    if k < meeting or meeting == 0:
        return np.zeros((0, d))
    norms = np.linalg.norm(W, axis=1)
    W, b = W / norms[:, None], b / norms
    random = np.random.default_rng(k * 1000003 + d)
    if math.comb(k, meeting) <= count:
        chosen = np.array(list(itertools.combinations(range(k), meeting)))
    else:
        chosen = random.random((count, k)).argsort(1)[:, :meeting]
    left, sizes, right = np.linalg.svd(W[chosen])
    independent = sizes[:, -1] > 1e-6
    chosen, left, sizes, right = chosen[independent], left[independent], sizes[independent], right[independent]
    inverse = np.einsum("njd,nj,nij->ndi", right[:, :meeting], 1.0 / sizes, left)  # of the meeting rows
    corners = -np.einsum("ndi,ni->nd", inverse, b[chosen])
    # Into the cells around a corner, all of them or as many at random; more of them where more kinks meet by chance.
    sides = np.array(list(itertools.product((-1.0, 1.0), repeat=meeting))) if 2**meeting <= _AROUND else None
    sides = random.choice((-1.0, 1.0), (_AROUND, meeting)) if sides is None else sides
    at_random = np.broadcast_to(random.standard_normal((_AT_RANDOM, 1, d)), (_AT_RANDOM, *corners.shape))
    away = np.concatenate([np.einsum("ndi,si->snd", inverse, sides), at_random])
    if isinstance(domain, Sphere):
        with np.errstate(over="ignore"):
            rest = domain.radius**2 - (corners**2).sum(1)
        met = rest > 0
        corners, line, rest, away = corners[met], right[met, -1], np.sqrt(rest[met])[:, None], away[:, met]
        corners, away = np.concatenate([corners + rest * line, corners - rest * line]), np.tile(away, (1, 2, 1))
    elif isinstance(domain, Ball):
        met = lengths(corners) < domain.radius
        corners, away = corners[met], away[:, met]
    if not len(corners):
        return corners
    # To the nearest kink that does not belong to the corner; where none does, any distance will do.
    distances = np.abs(corners @ W.T + b)
    distances = np.where(distances > 1e-9 * (1.0 + np.abs(corners).max(1, keepdims=True)), distances, np.inf)
    nearest = distances.min(1, keepdims=True)
    room = np.where(np.isfinite(nearest), nearest, 1.0 + np.abs(corners).max(1, keepdims=True))
    away = away / np.linalg.norm(away, axis=-1, keepdims=True)
    return domain.project((corners + 0.4 * room * away).reshape(-1, d))


def _climb_one(
    network: TwoLayer,
    psi: activations.Activation,
    point: np.ndarray,
    domain: Domain,
    rounds: int,
) -> np.ndarray:
    W, b, a = _float64(network)
    used = W.any(1) & (a != 0)
    W, b, a = W[used], b[used], a[used]
    k, d = W.shape
    if not k:
        return point
    V = a[:, None] * W
    low, high = psi.sides
    random = np.random.default_rng(k * 1000003 + d)
    counting = TwoLayer(W, b, a, 0.0, network.activation)
    best = scaled_norms(counting, point[None], domain)[0]
    failures = 0
    for _ in range(rounds):
        on = W @ point + b > 0
        change = np.where(on, low - high, high - low)
        gradient = (np.where(on, high, low) * a) @ W
        gain = 2.0 * change * (V @ gradient) + change**2 * (V**2).sum(1)  # of the squared norm, by this kink alone
        promising = W[np.argsort(-gain)[: LINES // 2]]
        directions = np.concatenate([promising, random.standard_normal((LINES - len(promising), d))])
        ends = np.concatenate(
            [
                _along(W, b, V, low, high, point, direction / np.linalg.norm(direction), domain)
                for direction in directions
            ]
        )
        ends = domain.project(ends)
        norms = scaled_norms(counting, ends, domain)
        winner = int(norms.argmax())
        if norms[winner] > best * (1.0 + 1e-12):
            point, best, failures = ends[winner], norms[winner], 0
        elif (failures := failures + 1) == _PATIENCE:
            break
    return point


def _along(
    W: np.ndarray,
    b: np.ndarray,
    V: np.ndarray,
    low: float,
    high: float,
    point: np.ndarray,
    direction: np.ndarray,
    domain: Domain,
) -> np.ndarray:
    """(m, d) points of the best cells that a line or great circle meets: of the wide ones, and of all."""
    if not isinstance(domain, Sphere):
        at_point, slope = W @ point + b, W @ direction
        crosses = np.abs(slope) * _FARTHEST > np.abs(at_point)
        places = -at_point[crosses] / slope[crosses]
        neurons = np.flatnonzero(crosses)
        ends = _chord(point, direction, domain.radius) if isinstance(domain, Ball) else None
        if ends is not None:
            within = (places > ends[0]) & (places < ends[1])
            places, neurons = places[within], neurons[within]
        order = np.argsort(places)
        places, neurons, again = places[order], neurons[order], order[:0]
        first, last = ends if ends is not None else _beyond(places)
        edges = np.concatenate([[first], places, [last]])

        def at(place: np.ndarray) -> np.ndarray:
            return point + np.multiply.outer(place, direction)

    else:
        across = direction - (direction @ point) / (point @ point) * point
        size = np.linalg.norm(across)
        if size < 1e-12:
            return point[None]
        across = across * (domain.radius / size)
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

        def at(place: np.ndarray) -> np.ndarray:
            return np.multiply.outer(np.cos(place), point) + np.multiply.outer(np.sin(place), across)

    middles = 0.5 * (edges[:-1] + edges[1:])
    on = W @ at(middles[:1])[0] + b > 0
    started = np.where(on, high, low)
    # A kink is crossed upwards by a neuron that was off before; each is crossed once or, on a circle, twice.
    before = on[neurons]
    before[again] = ~before[again]
    jumps = np.where(before, low - high, high - low)[:, None] * V[neurons]
    gradients = np.concatenate([(started @ V)[None, :], jumps]).cumsum(0)
    squares = np.einsum("ij,ij->i", gradients, gradients)
    if domain.tangential:
        squares = squares - (gradients * at(middles)).sum(1) ** 2 / (point @ point)
    widths = np.diff(edges) / np.maximum(np.abs(middles), np.abs(edges).max() * 1e-6 + 1.0 / _FARTHEST)
    winners = {int(np.where(widths > narrow, squares, -1.0).argmax()) for narrow in _NARROW}
    return at(middles[sorted(winners)])


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
