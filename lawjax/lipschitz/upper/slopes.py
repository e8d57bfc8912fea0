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
from jaxtyping import Float

from lawjax.domains import Domain, Space
from lawjax.lipschitz import verified
from lawjax.network import TwoLayer

_TANGENT = 1e-12  # relative distance of a kink from tangency that is decided exactly
_ROUNDING = 1e-15  # of the sizes of w . x and b, far above that of their sum


def slope_intervals(
    network: TwoLayer, domain: Domain = Space()
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Float64 vectors alpha, beta (k,) with alpha_l <= psi' <= beta_l wherever neuron l gets on the domain.

    On the ball and the sphere it is the interval of psi' over the pre-activations that occur: a neuron with |b_l| >=
    R ||w_l|| never crosses a kink at 0, so its slope is known. Infinite where psi' is unbounded. A neuron that never
    counts, with a_l = 0 or w_l = 0, has one slope.
    """
    psi = network.activation
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    if isinstance(domain, Space):
        low, high = (np.full(len(b), end) for end in (-math.inf, math.inf))
    else:
        low, high = pre_activations(W, b, domain.radius, psi.kinks if psi.is_piecewise_linear else ())
    alpha, beta = psi.slopes_over(low, high)
    if psi.slope_interval is not None:
        dead = (a == 0) | ~W.any(1)
        alpha[dead] = beta[dead] = psi.slope_interval[0]
    return alpha, beta


def pre_activations(
    W: Float[np.ndarray, "k d"], b: Float[np.ndarray, " k"], radius: float, kinks: tuple[float, ...] = ()
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Intervals (low, high) that hold w_l . x + b_l in the open ball of radius R, rounded outwards.

    They end at a kink that the ball does not cross.
    """
    with np.errstate(over="ignore"):
        reach = verified.up(radius * verified.row_norms(W))
        rounding = _ROUNDING * (np.abs(b) + reach)
        low, high = b - reach - rounding, b + reach + rounding
    for kink in kinks:
        sides = sides_of_ball(W, b, radius, kink)
        low, high = np.where(sides > 0, np.maximum(low, kink), low), np.where(sides < 0, np.minimum(high, kink), high)
    return low, high


def sides_of_ball(
    W: Float[np.ndarray, "k d"], b: Float[np.ndarray, " k"], radius: float, kink: float = 0.0
) -> Float[np.ndarray, " k"]:
    """(k,): 1 or -1 where w_l . x + b_l is above or below the kink in the whole open ball, 0 where it crosses it.

    Where rounding leaves |b_l - kink| >= R ||w_l|| open, as where the ball touches the kink, it is decided in exact
    fractions.
    """
    reach, offset = radius * verified.row_norms(W), b - kink
    sides = np.where(np.abs(offset) >= reach * (1.0 + 4.0 * _ROUNDING), np.sign(offset), 0.0)
    for i in np.flatnonzero((sides == 0) & (np.abs(offset) >= reach * (1.0 - _TANGENT)) & (offset != 0)):
        square = sum(Fraction(w) ** 2 for w in W[i].tolist())
        if (Fraction(float(b[i])) - Fraction(kink)) ** 2 >= Fraction(radius) ** 2 * square:
            sides[i] = np.sign(offset[i])
    return sides
