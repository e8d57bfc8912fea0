"""The steepest cell of an arrangement of lines in the plane or in a disc around 0.

Every cell has an edge on some line. The crossings of each line with the others are sorted along it, in floats with
bounds on their errors, and in fractions where these overlap; then the gradients on either side of its edges are sums.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lawjax.lipschitz.lower.lines import Lines

_EPS = float(np.finfo(np.float64).eps)
_CANDIDATES = 4000  # edges whose gradients are computed exactly, where floats cannot tell which is the largest
_KEPT = 64  # lines of which the edges are kept before the worse ones are dropped
_SURE = 1e-13  # relative error of a gradient's length in floats that is good enough
_OUTWARDS = (1, 2**10, 2**30, 2**50)  # along an edge without end, in units of its distance
_FARTHEST = Fraction(10) ** 300  # that a witness may lie from 0
_STEPS = (0.3, 0.03, 0.6)  # off an edge into the cell beside it, in units of the distance to the nearest other line


class _Along(NamedTuple):
    """The edges of one line.

    Attributes:
        starts: (m,), which other lines' plus sides the first edge lies on.
        order: (c,), the lines crossed.
        last: (g,), the place in `order` of the last line of each crossing; several may cross in one point.
        places: (g,), of the crossings, in floats, from the line's point nearest to 0 in multiples of its direction.
    """

    starts: np.ndarray
    order: np.ndarray
    last: np.ndarray
    places: np.ndarray


def steepest(lines: Lines, radius: Fraction | None) -> tuple[tuple[Fraction, Fraction], Float[np.ndarray, "m 2"]]:
    """The largest squared gradient norm over all cells, from below and above, and points (m, 2) where it may be.

    Args:
        lines: of the network.
        radius: of the disc; None for the plane.
    """
    floats = _Floats(lines, radius)
    cutting = [i for i in range(len(lines.n)) if radius is None or floats.cuts[i]]
    if not cutting:
        plus = np.array([c > 0 for c in lines.c], bool)
        square = lines.norm(lines.gradient(plus))
        return (square, square), np.array([[0.31, 0.17]]) * (1.0 if radius is None else float(radius))
    jumps, base, size, scale = lines.floats()
    error = 4.0 * (len(lines.n) + 8) * _EPS * float(np.hypot(*size))
    found: list[tuple[float, int, _Along, np.ndarray]] = []  # lines with edges that may be the best
    largest = 0.0
    for i in cutting:
        along = floats.along(i)
        norms = _norms(along, jumps, base, i)
        largest = max(largest, float(norms.max()))
        found.append((float(norms.max()), i, along, norms))
        if len(found) > _KEPT:
            found = [one for one in found if one[0] >= largest - 2.0 * error]
    is_sure = error <= _SURE * largest
    edges = _edges(found, largest if is_sure else largest - 2.0 * error)
    chosen = list(itertools.islice(edges, 1 if is_sure else _CANDIDATES + 1))
    best, where = max(
        ((_exact_square(lines, *edge), edge) for edge in chosen[:_CANDIDATES]), key=operator.itemgetter(0)
    )
    upper = best
    if is_sure or len(chosen) > _CANDIDATES:
        upper = max(best, Fraction(largest + error) ** 2 * Fraction(2) ** (2 * scale))
    return (best, upper), _points(lines, radius, *where)


def _edges(found: list[tuple[float, int, _Along, np.ndarray]], least: float) -> Iterator[tuple[int, _Along, int, bool]]:
    """The edges of lines and their sides where the gradient's length in floats is at least some number."""
    for _, i, along, norms in sorted(found, key=lambda one: -one[0]):
        for side, edge in np.argwhere(norms >= least).tolist():
            yield i, along, edge, bool(side)


def _exact_square(lines: Lines, i: int, along: _Along, edge: int, side: bool) -> Fraction:
    """The squared gradient norm beside an edge of line i."""
    plus = _plus_side(along, edge)
    plus[i] = side
    return lines.norm(lines.gradient(plus))


def _plus_side(along: _Along, edge: int) -> np.ndarray:
    """(m,): the lines on whose plus sides an edge lies."""
    plus = along.starts.copy()
    crossed = along.order[: along.last[edge - 1] + 1] if edge else along.order[:0]
    plus[crossed] = ~plus[crossed]
    return plus


def _norms(along: _Along, jumps: np.ndarray, base: np.ndarray, i: int) -> np.ndarray:
    """(2, edges): the gradient norms on the minus and the plus side of line i."""
    first = base + jumps[along.starts].sum(0)
    signs = np.where(along.starts[along.order], -1.0, 1.0)
    sums = (signs[:, None] * jumps[along.order]).cumsum(0)
    gradients = np.concatenate([first[None], first + sums[along.last]])
    return np.stack([np.hypot(*gradients.T), np.hypot(*(gradients + jumps[i]).T)])


class _Floats:
    """The lines in floats, with exact answers where these are not sure."""

    def __init__(self, lines: Lines, radius: Fraction | None):
        self.lines, self.radius = lines, radius
        scales = [max(map(abs, n)) for n in lines.n]
        self.n = np.array([[v / scale for v in n] for n, scale in zip(lines.n, scales, strict=True)]).reshape(-1, 2)
        self.c = np.array([_ratio(c, scale) for c, scale in zip(lines.c, scales, strict=True)])
        directions: dict[tuple[int, int], int] = {}
        for n in lines.n:
            directions.setdefault(_direction(n), len(directions))
        self.direction = np.array([directions[_direction(n)] for n in lines.n], int)
        if radius is not None:
            self.cuts = [c * c < radius**2 * (n[0] ** 2 + n[1] ** 2) for n, c in zip(lines.n, lines.c, strict=True)]

    def along(self, i: int) -> _Along:
        """The crossings of line i with the others in order, within the disc."""
        n, c = self.n, self.c
        square = float(n[i] @ n[i])
        with np.errstate(all="ignore"):
            across, of_across = _determinant(n[i, 0], n[:, 1], n[i, 1], n[:, 0])
            value, of_value = c * square - c[i] * (n @ n[i]), 8 * _EPS * (np.abs(c) * square + 2 * np.abs(c[i]))
            place = -value / across
            error = np.abs(place) * (of_across / np.maximum(np.abs(across) - of_across, 0.0) + 4 * _EPS)
            error += of_value / np.maximum(np.abs(across) - of_across, 0.0)
            error = np.where(np.isfinite(place) & np.isfinite(error), error, np.inf)
        others = np.arange(len(n)) != i
        crosses = others & (self.direction != self.direction[i])
        if self.radius is not None:
            crosses &= self._is_inside(i, place, error, square)
        rises = across > 0  # the other line's plus side lies ahead
        unsure = np.flatnonzero(crosses & ~(np.abs(across) > of_across))
        rises[unsure] = [self._exact_across(i, int(j)) > 0 for j in unsure]
        starts = np.where(crosses, ~rises, value > 0)
        unsure = np.flatnonzero(others & ~crosses & ~(np.abs(value) > of_value))
        starts[unsure] = [self._exact_value(i, int(j)) > 0 for j in unsure]
        starts[i] = False
        order, last = self._sorted(i, np.flatnonzero(crosses), place, error)
        return _Along(starts, order, last, place[order][last])

    def _sorted(
        self, i: int, others: np.ndarray, place: np.ndarray, error: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The lines in the order of their crossings, and the places in it where one crossing ends."""
        with np.errstate(invalid="ignore"):
            low, high = place[others] - error[others], place[others] + error[others]
        low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
        first = np.argsort(low, kind="stable")
        others, low, high = others[first], low[first], high[first]
        reach = np.maximum.accumulate(high)
        breaks = np.flatnonzero(low[1:] > reach[:-1]) + 1
        order: list[int] = []
        last: list[int] = []
        for cluster in np.split(others, breaks):
            if len(cluster) > 1:
                exact = sorted((self._exact_place(i, int(j)), int(j)) for j in cluster)
                for (here, j), follower in zip(exact, [*exact[1:], None], strict=True):
                    order.append(j)
                    if follower is None or follower[0] != here:
                        last.append(len(order) - 1)
            elif len(cluster):
                order.append(int(cluster[0]))
                last.append(len(order) - 1)
        return np.array(order, int), np.array(last, int)

    def _is_inside(self, i: int, place: np.ndarray, error: np.ndarray, square: float) -> np.ndarray:
        """Whether crossings lie in the open disc."""
        assert self.radius is not None
        with np.errstate(all="ignore"):
            size = self.c[i] ** 2 + place**2
            limit = float(self.radius) ** 2 * square
            slack = 8 * _EPS * (size + limit) + 2.0 * np.abs(place) * error + error**2
            inside = size < limit
            unsure = ~(np.abs(size - limit) > slack) & (self.direction != self.direction[i])
        for j in np.flatnonzero(unsure):
            x, y, across = self._exact_point(i, int(j))
            inside[j] = x * x + y * y < self.radius**2 * across * across
        return np.asarray(inside)

    def _exact_across(self, i: int, j: int) -> int:
        n = self.lines.n
        return n[i][0] * n[j][1] - n[i][1] * n[j][0]

    def _exact_value(self, i: int, j: int) -> int:
        (p, q), (r, s) = self.lines.n[i], self.lines.n[j]
        return self.lines.c[j] * (p * p + q * q) - self.lines.c[i] * (p * r + q * s)

    def _exact_place(self, i: int, j: int) -> Fraction:
        return Fraction(-self._exact_value(i, j), self._exact_across(i, j))

    def _exact_point(self, i: int, j: int) -> tuple[int, int, int]:
        """x, y and D, the lines crossing at (x / D, y / D)."""
        (p, q), (r, s) = self.lines.n[i], self.lines.n[j]
        c, e = self.lines.c[i], self.lines.c[j]
        return q * e - s * c, r * c - p * e, p * s - q * r


def _ratio(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator
    except OverflowError:
        return float("nan")  # decided exactly


def _direction(n: tuple[int, int]) -> tuple[int, int]:
    divisor = int(np.gcd.reduce(np.array(n, object)))
    return n[0] // divisor, n[1] // divisor


def _determinant(p: float, s: np.ndarray, q: float, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p s - q r and a bound on its error, the roundings of p, q, r and s themselves among them."""
    return p * s - q * r, 4 * _EPS * (np.abs(p * s) + np.abs(q * r))


def _points(lines: Lines, radius: Fraction | None, i: int, along: _Along, edge: int, side: bool) -> np.ndarray:
    """(m, 2) points in the cell beside an edge of line i, computed in fractions."""
    (p, q), c = lines.n[i], lines.c[i]
    square = p * p + q * q
    exact = _Floats(lines, radius)
    lines_crossed = along.order[along.last] if len(along.last) else []
    low = exact._exact_place(i, int(lines_crossed[edge - 1])) if edge > 0 else None
    high = exact._exact_place(i, int(lines_crossed[edge])) if edge < len(along.last) else None
    # Places are in units in which x = (-c n + place u / 1) / |n|^2 for the integer normal n and u at a right angle.
    if radius is not None:
        half = _root_below(radius**2 * square - c * c)
        low, high = -half if low is None else low, half if high is None else high
    reach = 1 + abs(Fraction(c)) + max(abs(v or Fraction(0)) for v in (low, high))
    if low is not None and high is not None:
        middles = [(low + high) / 2]
    else:  # the farther out, the wider the cell may be
        inner, sign = (low, 1) if low is not None else (high or Fraction(0), -1)
        middles = [(inner or Fraction(0)) + sign * reach * far for far in _OUTWARDS]
    return np.concatenate([_beside(lines, radius, i, middle, side) for middle in middles])


def _beside(lines: Lines, radius: Fraction | None, i: int, middle: Fraction, side: bool) -> np.ndarray:
    """(m, 2) points beside a place on line i, nearer to it than any other line or the rim."""
    (p, q), c = lines.n[i], lines.c[i]
    square = p * p + q * q
    x, y = (-c * p - middle * q) / square, (-c * q + middle * p) / square
    room = [
        abs(r * x + s * y + e) / (abs(r) + abs(s))
        for j, ((r, s), e) in enumerate(zip(lines.n, lines.c, strict=True))
        if j != i
    ]
    if radius is not None:
        room.append((radius**2 - x * x - y * y) / (2 * radius))
    step = min([distance for distance in room if distance > 0] or [abs(x) + abs(y) + 1])
    step *= Fraction(1 if side else -1, max(abs(p), abs(q)))
    shares = [Fraction(share) * step for share in _STEPS]
    points = [[min(max(v, -_FARTHEST), _FARTHEST) for v in (x + share * p, y + share * q)] for share in shares]
    return np.array([[float(v) for v in point] for point in points])


def _root_below(square: Fraction) -> Fraction:
    """A positive fraction below a root, near it."""
    shift = 200 + 2 * max(0, square.denominator.bit_length() - square.numerator.bit_length())
    return Fraction(math.isqrt(int(square * 4**shift)), 2**shift)
