"""Neurons on one hyperplane are switched together: their generators are one.

Where w_i = t w_j and b_i = t b_j, a piecewise-linear psi has its kink for both at the same points, and the slopes of
the two are tied: r_i = sign(t) r_j in the sums of `lawjax.lipschitz.upper.zonotope`. So are those of equal neurons for
every psi. Which are tied is decided in exact fractions.

>>> ties_of(TwoLayer(W=[[1.0, 2.0], [-3.0, -6.0], [1.0, 2.0]], b=[0.5, -1.5, 0.6], a=[1.0, 1.0, 1.0]))
[(1, 0, -1)]
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lawjax.lipschitz.upper.zonotope import Zonotope
from lawjax.network import TwoLayer
from lawjax.vectors import lengths

Tie = tuple[int, int, int]
_ALIKE = 1e-9  # of unit vectors, within which they are looked at more closely


def ties_of(network: TwoLayer) -> list[Tie]:
    """(neuron, the other one, sign of their r) for every neuron on the hyperplane of one before it."""
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    has_kink = network.activation.has_kink
    live = np.flatnonzero((a != 0) & W.any(1))
    rows = np.concatenate([W, b[:, None]], 1)[live]
    if has_kink:
        pivots = rows[np.arange(len(rows)), np.abs(rows[:, :-1]).argmax(1)] if len(rows) else np.zeros(0)
        sizes = lengths(rows) * np.where(pivots < 0, -1.0, 1.0)
        rows = rows / np.where(sizes != 0, sizes, 1.0)[:, None]
    found: list[Tie] = []
    for alike in _alike(rows):
        different: list[int] = []
        for i in live[alike].tolist():
            signs = ((other, _sign_of_tie(W, b, i, other, has_kink)) for other in different)
            other, sign = next(((other, sign) for other, sign in signs if sign), (i, 0))
            if sign:
                found.append((i, other, sign))
            else:
                different.append(i)
    return found


def _alike(rows: np.ndarray) -> list[np.ndarray]:
    """Sets of rows that may be equal but for rounding: those whose products with a random vector are near."""
    if len(rows) < 2:
        return []
    with np.errstate(over="ignore", invalid="ignore"):
        values = rows @ np.random.default_rng(6).standard_normal(rows.shape[1])
    order = np.argsort(values, kind="stable")
    gaps = np.diff(values[order])
    breaks = np.flatnonzero(~(gaps <= _ALIKE * (1.0 + np.abs(values[order][1:])))) + 1
    return [np.sort(near) for near in np.split(order, breaks) if len(near) > 1]


def _sign_of_tie(W: np.ndarray, b: np.ndarray, i: int, j: int, has_kink: bool) -> int:
    """The sign of t with (w_i, b_i) = t (w_j, b_j), or 0 where there is none; t = 1 alone without kinks."""
    one, other = (*W[i].tolist(), float(b[i])), (*W[j].tolist(), float(b[j]))
    if one == other or not has_kink:
        return int(one == other)
    pivot = int(np.abs(W[j]).argmax())
    p, q = Fraction(one[pivot]), Fraction(other[pivot])
    if p == 0 or any(Fraction(v) * q != Fraction(w) * p for v, w in zip(one, other, strict=True)):
        return 0
    return 1 if (p > 0) == (q > 0) else -1


def tied(zonotope: Zonotope, ties: Sequence[Tie]) -> Zonotope:
    """The zonotope of all neurons with the generators of tied ones added up."""
    if not ties:
        return zonotope
    vectors, errors = (array.copy() for array in zonotope)
    for neuron, other, sign in ties:
        vectors[1 + other] += sign * vectors[1 + neuron]
        errors[1 + other] += errors[1 + neuron] + 2.0**-52 * float(np.abs(vectors[1 + other]).sum())
    left = np.setdiff1d(np.arange(len(vectors)), [1 + neuron for neuron, _, _ in ties])
    return Zonotope(vectors[left], errors[left])
