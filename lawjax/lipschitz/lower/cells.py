"""Exact constants in one and two dimensions: the gradient on every cell that the kinks cut out of the domain.

For d <= 2 and a piecewise-linear psi the truth is a sort away. On a line the kinks are sorted. In the plane and in the
disc every cell has an edge on some line, so the crossings of each line with the others are sorted, and the cells on
either side of its edges are gone through, O(k^2 log k) in all; on the circle the arcs. Everything that rounding leaves
open is decided in integers: which kinks are one, which meet in one point, on which side of the rim they meet.

The upper bound is the largest gradient norm over all cells that meet the domain, rounded upwards. The witness is a
point of the best cell; where no float lies within it, one next to it.

    >>> hat = TwoLayer(W=[[1.0], [1.0], [1.0]], b=[1.0, 0.0, -1.0], a=[1.0, -2.0, 1.0])
    >>> steepest(hat).lower, steepest(hat).upper
    (1.0, 1.0)
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lawjax.domains import Domain, Space, Sphere
from lawjax.lipschitz.lower import circle, plane
from lawjax.lipschitz.lower.evaluate import gradient_norms
from lawjax.lipschitz.lower.lines import Lines, lines_of, root_down, root_up
from lawjax.network import TwoLayer

_LARGEST_IN_PLANE = 3000  # kinks, whose lines have that many squared crossings
_LARGEST = 100_000
_SHARES = (Fraction(1, 2), Fraction(1, 3), Fraction(2, 3))  # of an interval, where a point of it is tried
_FARTHEST = Fraction(10) ** 300  # that a witness may lie from 0
CLOSE = 1e-9  # relative distance of what the witness attains from the truth that counts as the same


class Steepest(NamedTuple):
    """The largest gradient norm over all cells.

    Attributes:
        lower: what the witness attains, if that is the truth up to 1e-9; otherwise the truth, rounded downwards, and
            the witness is the float next to a cell in which there is none.
        upper: the truth, rounded upwards.
        witness: (d,), a point of the domain.
    """

    lower: float
    upper: float
    witness: Float[np.ndarray, " d"]


def can_enumerate(network: TwoLayer, domain: Domain) -> bool:
    """Whether `steepest` knows the answer: piecewise-linear psi, and at most two coordinates that count."""
    psi = network.activation
    n_kinks = network.n_neurons * max(1, len(psi.kinks))
    if not psi.is_piecewise_linear or n_kinks > _LARGEST:
        return False
    if domain.tangential:
        return network.dimension <= 2
    used = int(_used(network).sum())
    on_circle = isinstance(domain, Sphere) and used == network.dimension
    return used < 2 or (used == 2 and (on_circle or n_kinks <= _LARGEST_IN_PLANE))


def _used(network: TwoLayer) -> np.ndarray:
    """(d,): the coordinates on which f depends."""
    a = np.asarray(network.a, np.float64)
    return np.asarray(network.W, np.float64)[a != 0].any(0)


def steepest(network: TwoLayer, domain: Domain = Space()) -> Steepest:
    """sup ||grad f|| over the domain, or of its part along the sphere, between two floats next to each other.

    A coordinate that f does not depend on makes the ball of the sphere. At a point of the sphere of d = 1 that is a
    kink there is no gradient, and it does not count; along that sphere there is none.

    Args:
        network: one for which `can_enumerate`.
        domain: where.
    """
    used = np.ones(network.dimension, bool) if domain.tangential else _used(network)
    if not _used(network).any() or (domain.tangential and network.dimension == 1):
        return Steepest(0.0, 0.0, domain.project(np.eye(1, network.dimension))[0])
    on_rim = isinstance(domain, Sphere) and bool(used.all())
    lines = lines_of(network, used)
    radius = None if isinstance(domain, Space) else Fraction(domain.radius)
    if used.sum() == 1:
        square, points = _on_line(lines, radius, on_rim)
        squares = square, square
    elif on_rim and radius is not None:
        squares, points = circle.steepest(lines, radius, domain.tangential)
    else:
        squares, points = plane.steepest(lines, radius)
    placed = _placed(points, used, domain)
    attained = gradient_norms(network, placed, domain)
    best = int(attained.argmax())
    lower, upper = root_down(squares[0]), root_up(squares[1])
    if attained[best] >= lower * (1.0 - CLOSE):
        lower = min(float(attained[best]), upper)
    return Steepest(lower, upper, placed[best])


def _placed(points: np.ndarray, used: np.ndarray, domain: Domain) -> np.ndarray:
    """Points (m, 1 or 2) of the coordinates in use as points (m, d) of the domain."""
    placed = np.zeros((len(points), len(used)))
    placed[:, used] = points
    if isinstance(domain, Sphere) and not used.all():
        sizes = np.linalg.norm(points, axis=1)
        rest = np.sqrt(np.maximum(domain.radius - sizes, 0.0) * (domain.radius + sizes))
        placed[:, np.flatnonzero(~used)[0]] = rest
    return domain.project(placed)


def _on_line(lines: Lines, radius: Fraction | None, two_points: bool) -> tuple[Fraction, np.ndarray]:
    """The largest squared slope over the line, the interval, or its two ends; and points (m, 1) where it may be."""
    kinks = sorted((Fraction(-c, n[0]), jump[0]) for n, c, jump in zip(lines.n, lines.c, lines.jumps, strict=True))
    places = [place for place, _ in kinks]
    if two_points and radius is not None:
        met = [[end] for end in (-radius, radius) if end not in places]
        slopes = [lines.base[0] + sum(jump for place, jump in kinks if place < end) for [end] in met]
    else:
        first = -radius if radius is not None else min([2 * place for place in places[:1]] + [Fraction(0)]) - 1
        last = radius if radius is not None else max([2 * place for place in places[-1:]] + [Fraction(0)]) + 1
        edges = [first, *(place for place in places if first < place < last), last]
        inside = [jump for place, jump in kinks if first < place < last]
        slopes = [lines.base[0] + sum(jump for place, jump in kinks if place <= first)]
        for jump in inside:
            slopes.append(slopes[-1] + jump)
        met = [[low + (high - low) * share for share in _SHARES] for low, high in itertools.pairwise(edges)]
    if not met:
        return Fraction(0), np.array([[float(radius or 1)]])
    best = max(range(len(slopes)), key=lambda i: abs(slopes[i]))
    points = np.array([[float(min(max(point, -_FARTHEST), _FARTHEST))] for point in met[best]])
    return lines.norm((slopes[best], 0)), points
