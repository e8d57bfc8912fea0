"""What is known of the slopes psi' on a domain: an interval for each neuron.

On the ball and the sphere of radius R around 0, neuron l sees pre-activations within b_l +- R ||w_l|| alone.

    >>> from lawjax.domains import Ball
    >>> f = TwoLayer(W=[[1.0, 0.0], [0.0, 1.0]], b=[-2.0, 0.5], a=[1.0, 1.0])
    >>> [bound.tolist() for bound in slope_intervals(f, Ball())]  # the first is off everywhere on the unit sphere
    [[0.0, 0.0], [0.0, 1.0]]
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from lawjax.domains import Domain, Space
from lawjax.lipschitz import verified
from lawjax.network import TwoLayer

_TANGENT = 1e-12  # relative distance of a kink from tangency that is decided exactly
_SMOOTH_SLACK = 1e-12  # added to slope intervals that are computed, and not known exactly


def slope_intervals(network: TwoLayer, domain: Domain = Space()) -> tuple[np.ndarray, np.ndarray]:
    """Float64 vectors alpha, beta (k,) with alpha_l <= psi' <= beta_l wherever neuron l gets on the domain.

    On the ball and the sphere a neuron with |b_l| >= R ||w_l|| never crosses its kink: its slope is known; with a
    smooth psi the interval is that of psi' over the pre-activations that occur. Infinite where psi' is unbounded. A
    neuron that never counts, with a_l = 0 or w_l = 0, has one slope.
    """
    psi = network.activation
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    low, high = (-math.inf, math.inf) if psi.slope_interval is None else psi.slope_interval
    alpha, beta = np.full(len(b), low), np.full(len(b), high)
    if psi.slope_interval is not None:
        beta[(a == 0) | ~W.any(1)] = low
    if isinstance(domain, Space):
        return alpha, beta
    if psi.has_kink:
        sides = sides_of_ball(W, b, domain.radius)
        return np.where(sides > 0, beta, alpha), np.where(sides < 0, alpha, beta)
    reach = verified.up(domain.radius * verified.row_norms(W))
    if psi.turns is not None:
        rounding = 1e-15 * (np.abs(b) + reach)
        ends = np.stack([b - reach - rounding, b + reach + rounding])
        values = [psi.slope(end) for end in ends]
        for turn in psi.turns:
            values.append(np.where((ends[0] <= turn) & (turn <= ends[1]), psi.slope(np.full(len(b), turn)), values[0]))
        alpha = np.maximum(np.min(values, axis=0) - _SMOOTH_SLACK, alpha)
        beta = np.minimum(np.max(values, axis=0) + _SMOOTH_SLACK, beta)
    return alpha, beta


def sides_of_ball(W: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """(k,): 1 or -1 where w_l . x + b_l has that sign in the whole open ball, 0 where it changes; tangent kinks too.

    Where rounding leaves |b_l| >= R ||w_l|| open, it is decided in exact fractions.
    """
    reach = radius * verified.row_norms(W)
    sides = np.where(np.abs(b) >= verified.up(reach), np.sign(b), 0.0)
    for i in np.flatnonzero((sides == 0) & (np.abs(b) >= reach * (1.0 - _TANGENT)) & (b != 0)):
        square = sum(Fraction(w) ** 2 for w in W[i].tolist())
        if Fraction(float(b[i])) ** 2 >= Fraction(radius) ** 2 * square:
            sides[i] = np.sign(b[i])
    return sides
