"""The kinks of a network in one or two dimensions as exact lines: integers, merged where neurons share a line.

A kink p of neuron l is the line {n . x + c = 0} with integers n, c proportional to w_l, b_l - p. Neurons on one line
jump together; lines across which nothing jumps are none.

>>> f = TwoLayer(W=[[1.0, 0.0], [2.0, 0.0], [-3.0, 0.0]], b=[0.5, 1.0, 0.0], a=[1.0, -0.5, 1.0])
>>> of = lines_of(f, np.array([True, True]))
>>> of.n, of.c, of.jumps, of.base, of.exponent  # the first two cancel: only the kink of the third is left, at x = 0
([(1, 0)], [0], [(3, 0)], (-3, 0), 0)
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from lawjax.network import TwoLayer

Pair = tuple[int, int]


class Lines(NamedTuple):
    """Distinct lines {n . x + c = 0}; in one dimension the second coordinate of n is 0.

    Attributes:
        n: m normals, of which the first coordinate that is not 0 is positive.
        c: m offsets.
        jumps: how the gradient changes from where n . x + c < 0 to the other side, times 2^exponent.
        base: the gradient where every n . x + c < 0, times 2^exponent, though there may be no such place.
        exponent: of the power of two that makes integers of them.
    """

    n: list[Pair]
    c: list[int]
    jumps: list[Pair]
    base: Pair
    exponent: int

    def gradient(self, plus: Bool[np.ndarray, " m"]) -> Pair:
        """The exact gradient where n . x + c > 0 for the lines in `plus` (m,), and < 0 for the others."""
        own = [self.jumps[i] for i in np.flatnonzero(plus)]
        return self.base[0] + sum(j[0] for j in own), self.base[1] + sum(j[1] for j in own)

    def floats(self) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, " 2"], Float[np.ndarray, " 2"], int]:
        """Jumps, base and the sum of their sizes, as rounded floats over 2^scale, and scale."""
        largest = max((abs(v) for pair in [*self.jumps, self.base] for v in pair), default=0)
        shift = max(largest.bit_length() - 900, 0)
        everything = np.array([[float(v >> shift) for v in pair] for pair in [*self.jumps, self.base]])
        scale = int(np.frexp(np.abs(everything).max())[1])
        everything = np.ldexp(everything, -scale)
        return everything[:-1], everything[-1], np.abs(everything).sum(0), scale + shift - self.exponent

    def norm(self, gradient: Pair) -> Fraction:
        """The exact squared length of the network's own gradient."""
        return Fraction(gradient[0] ** 2 + gradient[1] ** 2) * _power_of_two(-2 * self.exponent)


def lines_of(network: TwoLayer, used: Bool[np.ndarray, " d"]) -> Lines:
    """The lines of a network with at most two columns of W in use, and a piecewise-linear psi."""
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    kinks, sides = (list(map(Fraction, of)) for of in (network.activation.kinks, network.activation.sides))
    W = W[:, used]
    W = np.pad(W, [(0, 0), (0, 2 - W.shape[1])])
    jumps: dict[tuple[Pair, int], tuple[Fraction, Fraction]] = {}
    base = (Fraction(0), Fraction(0))
    for i in np.flatnonzero(W.any(1) & (a != 0)):
        row = [Fraction(v) for v in (*W[i].tolist(), float(b[i]))]
        gradient = (Fraction(float(a[i])) * row[0], Fraction(float(a[i])) * row[1])
        base = _plus(base, gradient, sides[0] if (row[0] or row[1]) > 0 else sides[-1])
        for kink, before, after in zip(kinks, sides, sides[1:], strict=False):
            key, side = _primitive([row[0], row[1], row[2] - kink])
            jumps[key] = _plus(jumps.get(key, (Fraction(0), Fraction(0))), gradient, (after - before) * side)
    jumps = {key: jump for key, jump in jumps.items() if any(jump)}
    exponent = max((v.denominator.bit_length() - 1 for jump in (base, *jumps.values()) for v in jump), default=0)
    scale = _power_of_two(exponent)

    def integers(pair: tuple[Fraction, Fraction]) -> Pair:
        return int(pair[0] * scale), int(pair[1] * scale)

    keys = list(jumps)
    return Lines([n for n, _ in keys], [c for _, c in keys], [*map(integers, jumps.values())], integers(base), exponent)


def _primitive(row: list[Fraction]) -> tuple[tuple[Pair, int], int]:
    """The smallest integers proportional to (w, b) whose first is positive, and the sign they were multiplied by."""
    common = math.lcm(*(v.denominator for v in row))
    n0, n1, c = (int(v * common) for v in row)
    side = 1 if (n0, n1) > (0, 0) else -1
    divisor = math.gcd(n0, n1, c) * side
    return ((n0 // divisor, n1 // divisor), c // divisor), side


def _plus(
    one: tuple[Fraction, Fraction], other: tuple[Fraction, Fraction], factor: Fraction
) -> tuple[Fraction, Fraction]:
    return one[0] + factor * other[0], one[1] + factor * other[1]


def _power_of_two(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


def root_up(square: Fraction) -> float:
    """An upper bound on a root, by a rounding or two; infinite beyond the largest float."""
    return _root(square, up=True)


def root_down(square: Fraction) -> float:
    """A lower bound on a root, by a rounding or two."""
    return _root(square, up=False)


def _root(square: Fraction, up: bool) -> float:
    if square == 0:
        return 0.0
    shift = 120 - (square.numerator.bit_length() - square.denominator.bit_length()) // 2
    target = square * _power_of_two(2 * shift)
    whole = math.isqrt(math.floor(target))  # some 120 bits
    bits = whole.bit_length() - 53
    mantissa = whole >> bits
    if up and (mantissa << bits) ** 2 != target:
        mantissa += 1
    try:
        value = math.ldexp(float(mantissa), bits - shift)
    except OverflowError:
        return math.inf if up else float(np.finfo(np.float64).max)
    if up and value < 1e-300:
        value = math.nextafter(value, math.inf)
    return value
