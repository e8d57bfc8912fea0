"""The steepest arc of a circle around 0 that lines cut, for the whole gradient or for its part along the circle.

The points where lines meet the circle are sorted by their angles, in floats with a bound on their errors, and where
these overlap by the sign of a cross product of algebraic numbers, computed in integers with as many bits as it takes.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from lawjax.lipschitz.lower.lines import Lines, Pair

_EPS = float(np.finfo(np.float64).eps)
_ANGLE = 64 * _EPS  # a bound on the error of an angle in floats
_BITS = 256  # after the point, at first
_SURE = 1e-13  # relative error of a value in floats that is good enough
_CANDIDATES = 4000  # arcs whose values are computed exactly, where floats cannot tell which is the largest
_OFFSETS = (1e-12, 1e-10, 1e-8, 1e-7, 1e-6, 1e-5)  # from the end of an arc to points within it


class _Kink(NamedTuple):
    """A point y of length one on the line N . y + C = 0: (-C N + side sqrt(D) U) / |N|^2, where U is N turned left.

    Attributes:
        N: the line's normal, times the radius.
        C: the line's offset.
        D: |N|^2 - C^2 > 0.
        side: 1 or -1.
    """

    N: Pair
    C: int
    D: int
    side: int

    def numerator(self, bits: int) -> Pair:
        """|N|^2 2^bits times the point, each coordinate wrong by at most |N|."""
        root = self.side * math.isqrt(self.D << (2 * bits))
        return (-self.C * self.N[0] << bits) - root * self.N[1], (-self.C * self.N[1] << bits) + root * self.N[0]


class _Arcs(NamedTuple):
    """The arcs of the circle of radius one between the points where lines cut it.

    Attributes:
        kinks: where the plus side of each line that cuts begins and ends, one after the other.
        first: (arcs,), a kink at the beginning of each arc; empty where no line cuts.
        ends: (arcs, 2), angles.
        cutting: (c,), the lines that cut.
        enters: (c,), the arc with which each one's plus side begins.
        leaves: (c,), and the one before which it ends.
        outside: (m,), the lines that do not cut and on whose plus sides the circle lies.
    """

    kinks: list[_Kink]
    first: np.ndarray
    ends: np.ndarray
    cutting: np.ndarray
    enters: np.ndarray
    leaves: np.ndarray
    outside: np.ndarray

    def plus(self, arc: int) -> Bool[np.ndarray, " m"]:
        """The lines on whose plus sides the arc lies."""
        begins, stops = self.enters <= arc, arc < self.leaves
        plus = self.outside.copy()
        plus[self.cutting[np.where(self.enters > self.leaves, begins | stops, begins & stops)]] = True
        return plus

    def gradients(self, jumps: Float[np.ndarray, "m 2"], base: Float[np.ndarray, " 2"]) -> Float[np.ndarray, "arcs 2"]:
        """(arcs, 2) in floats, for jumps (m, 2) and the gradient (2,) where all lines are on their minus sides."""
        wraps = self.cutting[self.enters > self.leaves]
        changes = np.zeros((len(self.ends), 2))
        np.add.at(changes, self.enters, jumps[self.cutting])
        np.add.at(changes, self.leaves, -jumps[self.cutting])
        return base + jumps[self.outside].sum(0) + jumps[wraps].sum(0) + changes.cumsum(0)

    def exact_square(self, lines: Lines, arc: int, gradient: np.ndarray, tangential: bool) -> Fraction:
        """The squared gradient norm, or the largest of its part along the circle; `gradient` is it in floats."""
        exact = lines.gradient(self.plus(arc))
        if not tangential or not len(self.first) or _excess(gradient[None], self.ends[[arc]])[0] == 0.0:
            return lines.norm(exact)
        at_ends = [_along_at(exact, self.kinks[self.first[i % len(self.first)]]) for i in (arc, arc + 1)]
        return max(at_ends) * Fraction(2) ** (-2 * lines.exponent)


def steepest(
    lines: Lines, radius: Fraction, tangential: bool
) -> tuple[tuple[Fraction, Fraction], Float[np.ndarray, "m 2"]]:
    """The largest squared gradient norm over all arcs, from below and above, and points (m, 2) where it may be."""
    arcs = _arcs(lines, radius)
    jumps, base, size, scale = lines.floats()
    gradients = arcs.gradients(jumps, base)
    norms = np.hypot(*gradients.T)
    slack = 4.0 * (2 * len(lines.n) + 8) * _EPS * float(np.hypot(*size)) + 2.0 * _ANGLE * norms * tangential
    values = _along(gradients, arcs.ends) if tangential else norms
    largest = float((values - slack).max())
    found = np.flatnonzero(values + slack >= largest)
    found = found[np.argsort(-values[found], kind="stable")]
    most = float((values[found] + slack[found]).max())
    is_sure = most <= largest * (1.0 + _SURE)
    chosen = found[: 1 if is_sure else _CANDIDATES].tolist()
    best, arc = max((arcs.exact_square(lines, arc, gradients[arc], tangential), arc) for arc in chosen)
    upper = best
    if len(chosen) < len(found):
        upper = max(best, Fraction(most) ** 2 * Fraction(2) ** (2 * scale))
    return (best, upper), float(radius) * _points(gradients[arc], arcs.ends[arc], tangential)


def _arcs(lines: Lines, radius: Fraction) -> _Arcs:
    kinks, angles, cut = _kinks(lines, radius)
    outside = np.array([not is_cut and c > 0 for is_cut, c in zip(cut, lines.c, strict=True)], bool)
    order, point = _sorted(kinks, angles)
    rank = np.empty(len(order), int)
    rank[order] = point
    first = order[np.searchsorted(point, np.arange(point[-1] + 1))] if len(order) else order
    ends = _ends(angles[order], point)
    return _Arcs(kinks, first, ends, np.flatnonzero(cut), rank[0::2], rank[1::2], outside)


def _kinks(lines: Lines, radius: Fraction) -> tuple[list[_Kink], np.ndarray, np.ndarray]:
    """For each line that cuts the circle where its plus side begins and ends; their angles; which lines these are."""
    kinks: list[_Kink] = []
    angles: list[float] = []
    cut = np.zeros(len(lines.n), bool)
    for i, (n, c) in enumerate(zip(lines.n, lines.c, strict=True)):
        N, C = (n[0] * radius.numerator, n[1] * radius.numerator), c * radius.denominator
        square = N[0] ** 2 + N[1] ** 2
        D = square - C * C
        if D <= 0:
            continue
        cut[i] = True
        scale = max(map(abs, N))
        towards = math.atan2(N[1] / scale, N[0] / scale)
        opening = math.atan2(math.sqrt(Fraction(D, scale * scale)), -_clipped(C, scale))
        for side in (-1, 1):
            kinks.append(_Kink(N, C, D, side))
            angles.append((towards + side * opening) % (2 * math.pi))
    return kinks, np.array(angles), cut


def _clipped(numerator: int, denominator: int) -> float:
    return float(Fraction(numerator, denominator))


def _sorted(kinks: list[_Kink], angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kinks in the order of their angles, from somewhere on, and for each place the number of its point."""
    if not len(angles):
        return np.zeros(0, int), np.zeros(0, int)
    order = np.argsort(angles, kind="stable")
    gaps = np.diff(np.append(angles[order], angles[order[0]] + 2 * np.pi))
    start = int(gaps.argmax()) + 1  # behind the widest gap, so that no cluster goes through the beginning
    order = np.roll(order, -start)
    gaps = np.roll(gaps, -start)
    key: Callable[[int], Any] = functools.cmp_to_key(lambda i, j: _compare(kinks[i], kinks[j]))
    clusters = np.split(order, np.flatnonzero(gaps[:-1] > 2 * _ANGLE) + 1)
    found: list[int] = []
    point: list[int] = []
    for cluster in clusters:
        exact: list[int] = sorted(cluster.tolist(), key=key)
        for place, i in enumerate(exact):
            is_new = place == 0 or _compare(kinks[exact[place - 1]], kinks[i]) != 0
            point.append((point[-1] if point else -1) + is_new)
            found.append(i)
    return np.array(found, int), np.array(point, int)


def _ends(angles: np.ndarray, point: np.ndarray) -> np.ndarray:
    """(points, 2): from each point to the next one, by angles in order from somewhere on."""
    if not len(angles):
        return np.array([[0.0, 2 * np.pi]])
    unwrapped = np.where(angles < angles[0] - 4 * _ANGLE, angles + 2 * np.pi, angles)
    starts = unwrapped[np.searchsorted(point, np.arange(point[-1] + 1))]
    return np.stack([starts, np.append(starts[1:], starts[0] + 2 * np.pi)], 1)


def _compare(one: _Kink, other: _Kink) -> int:
    """-1 where `one` comes first counter-clockwise, 1 where `other` does, 0 where they are one point; both are near."""
    if one is other or _are_equal(one, other):
        return 0
    bits = _BITS
    while True:
        (x, y), (u, v) = one.numerator(bits), other.numerator(bits)
        cross = x * v - y * u
        sizes = [max(map(abs, kink.N)) * 2 for kink in (one, other)]
        if abs(cross) > sizes[0] * (abs(u) + abs(v)) + sizes[1] * (abs(x) + abs(y)) + sizes[0] * sizes[1] * 2:
            return -1 if cross > 0 else 1
        bits *= 2


def _are_equal(one: _Kink, other: _Kink) -> bool:
    """Whether two lines cross on the circle, and there."""
    (p, q), (r, s) = one.N, other.N
    across = p * s - q * r
    if across == 0:
        return one.N == other.N and one.C == other.C and one.side == other.side
    x, y = q * other.C - s * one.C, r * one.C - p * other.C
    if x * x + y * y != across * across:
        return False
    sides = [(-kink.N[1] * x + kink.N[0] * y) * across for kink in (one, other)]
    return all(side * kink.side > 0 for side, kink in zip(sides, (one, other), strict=True))


def _excess(gradients: np.ndarray, arcs: np.ndarray) -> np.ndarray:
    """(m,): how far the arcs are from a point at a right angle to their gradient, as angles; 0 where they hold one."""
    towards = np.arctan2(gradients[:, 1], gradients[:, 0])[:, None] + np.pi * (np.arange(-2, 6) + 0.5)
    before, behind = arcs[:, :1] - towards, towards - arcs[:, 1:]
    return np.maximum(np.maximum(before, behind), 0.0).min(1)


def _along(gradients: np.ndarray, arcs: np.ndarray) -> np.ndarray:
    """(m,): the largest length of a gradient's part along the circle over an arc: |g| times a cosine."""
    return np.hypot(*gradients.T) * np.abs(np.cos(np.minimum(_excess(gradients, arcs), 0.5 * np.pi)))


def _along_at(gradient: Pair, kink: _Kink) -> Fraction:
    """The squared part of a gradient along the circle at a kink, to some 2^-200 of its length."""
    bits = _BITS + 2 * max(0, kink.N[0].bit_length(), kink.N[1].bit_length())
    x, y = kink.numerator(bits)
    return Fraction(gradient[1] * x - gradient[0] * y, (kink.N[0] ** 2 + kink.N[1] ** 2) << bits) ** 2


def _points(gradient: np.ndarray, arc: np.ndarray, tangential: bool) -> np.ndarray:
    """(m, 2) points of length one within an arc, near where the gradient has the largest part along it."""
    low, high = float(arc[0]), float(arc[1])
    angles = [0.5 * (low + high), low + 0.3 * (high - low)]
    if tangential:
        towards = math.atan2(gradient[1], gradient[0])
        normals = [towards + math.pi * (turn + 0.5) for turn in range(-2, 6)]
        angles += [angle for angle in normals if low < angle < high]
        for offset in itertools.chain(_OFFSETS, (0.01 * (high - low),)):
            angles += [low + min(offset, 0.4 * (high - low)), high - min(offset, 0.4 * (high - low))]
    return np.stack([np.cos(angles), np.sin(angles)], 1)
