"""The value: psi with its derivative and everything that bounds ask of it.

>>> hinge = Activation("hinge", lambda t: abs(t) - t, lambda t: np.where(t > 0, 0.0, -2.0), (-2.0, 0.0),
...                    kinks=(0.0,), is_piecewise_linear=True)
>>> hinge.sides, hinge.has_kink, hinge.lipschitz
((-2.0, 0.0), True, 2.0)
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from lawjax import arguments
from lawjax.errors import UserError

Numbers = Float[Any, "*shape"]  # an array of NumPy or of JAX
Ends = Float[np.ndarray, "*shape"]
_ROUNDING = 1e-12  # what a computed slope may be off by, of slopes up to 2; in proportion where psi is steeper


@dataclass(frozen=True)
class Activation:
    """A non-linearity psi: R -> R applied entry by entry.

    Attributes:
        name: the name under which `get` finds it, or another one for one's own.
        function: psi.
        slope: psi'; at a kink the slope from the left (as `jax.nn.relu` has it).
        slope_interval: (alpha, beta) with alpha <= psi' <= beta almost everywhere; None where psi' is unbounded on R.
        coefficients: (c_0, ..., c_p) of a polynomial psi, None for all others.
        turns: the points, besides kinks, at which psi' turns from growing to falling or back: between turns and kinks
            psi' is monotone. None where they are not known: on no interval is more known then than on R.
        kinks: the points at which psi' jumps.
        is_piecewise_linear: whether psi' is constant between kinks.
        is_homogeneous: whether psi(c t) = c psi(t) for c > 0.
        is_odd: whether psi(-t) = -psi(t).

    What is proved of a network holds if these statements are true of psi, and `slope` is right to 1e-12; `get` tries
    them at some thousand points.
    """

    name: str
    function: Callable[[Numbers], Numbers]
    slope: Callable[[Numbers], Numbers]
    slope_interval: tuple[float, float] | None
    coefficients: tuple[float, ...] | None = None
    turns: tuple[float, ...] | None = None
    kinks: tuple[float, ...] = ()
    is_piecewise_linear: bool = False
    is_homogeneous: bool = False
    is_odd: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without a computation; lists of numbers are taken as tuples."""
        arguments.instance("The name of an activation", self.name, str, "such as 'softsign'")
        if not (callable(self.function) and callable(self.slope)):
            raise UserError(f"{self.name}: function and slope must be functions of an array.")
        for name, length in (("slope_interval", 2), ("coefficients", None), ("turns", None), ("kinks", None)):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, tuple(arguments.numbers(name, given, (length,)).tolist()))
        object.__setattr__(self, "kinks", tuple(sorted(set(self.kinks))))
        for name in ("is_piecewise_linear", "is_homogeneous", "is_odd"):
            arguments.flag(name, getattr(self, name))

    def __str__(self) -> str:
        """Its name."""
        return self.name

    def __repr__(self) -> str:
        """Its name; the functions have none."""
        return f"Activation({self.name!r})"

    def __call__(self, t: Numbers) -> Numbers:
        """psi(t), of the shape of t."""
        return self.function(t)

    @property
    def lipschitz(self) -> float:
        """L = sup |psi'|, infinite for polynomials of degree two or more."""
        return math.inf if self.slope_interval is None else max(abs(s) for s in self.slope_interval)

    @functools.cached_property
    def sides(self) -> tuple[float, ...]:
        """The slopes of a piecewise-linear psi before, between and after its kinks."""
        if not self.is_piecewise_linear:
            raise ValueError(f"{self.name} is not piecewise linear.")
        ends = (self.kinks or (0.0,))[0] - 1.0, (self.kinks or (0.0,))[-1] + 1.0
        between = [0.5 * (one + other) for one, other in itertools.pairwise(self.kinks)]
        places = [ends[0], *between, ends[1]] if self.kinks else [0.0]
        return tuple(np.asarray(self.slope(np.array(places)), np.float64).tolist())

    @functools.cached_property
    def has_kink(self) -> bool:
        """Whether psi is linear on either side of 0, steeper on the right: its slopes are the ends of the interval.

        Caps, cells and walks from cell to cell are for such psi; any other piecewise-linear one is a sum of ReLUs
        (`lawjax.lipschitz.splitting`).
        """
        return self.is_piecewise_linear and self.kinks == (0.0,) and self.sides[0] < self.sides[1]

    def slopes_over(self, low: Ends, high: Ends) -> tuple[Ends, Ends]:
        """The interval of psi' over intervals of pre-activations: alpha <= psi'(t) <= beta for almost all t in them.

        Between kinks and turns psi' is monotone, so it is largest and least at the ends, at kinks and at turns. For a
        smooth psi the rounding of `slope` is added, and the interval of R is never left. An interval that ends at a
        kink has the slope of its own side there.

        Args:
            low: least pre-activations, in float64, possibly infinite.
            high: largest ones, low <= high.

        Returns:
            alpha, beta, of the same shape; infinite where psi' is unbounded on R.
        """
        low, high = np.broadcast_arrays(np.asarray(low, np.float64), np.asarray(high, np.float64))
        least, most = (-math.inf, math.inf) if self.slope_interval is None else self.slope_interval
        if self.slope_interval is not None and self.is_piecewise_linear:
            return self._sides_over(low, high)
        alpha, beta = np.full(low.shape, least), np.full(low.shape, most)
        if self.slope_interval is None or self.turns is None:
            return alpha, beta
        with np.errstate(all="ignore"):
            values = [self.slope(low), self.slope(high)]
            for place in (*self.turns, *self.kinks, *np.nextafter(self.kinks, np.inf)):
                inside = (low <= place) & (place <= high)
                values.append(np.where(inside, self.slope(np.full(low.shape, place)), values[0]))
            found = np.array(values)
            rounding = _ROUNDING * max(1.0, 0.5 * self.lipschitz)
            known = ~np.isnan(found).any(0)
            known &= (-math.inf < low) | (high < math.inf)
            alpha = np.where(known, np.maximum(found.min(0) - rounding, least), least)
            beta = np.where(known, np.minimum(found.max(0) + rounding, most), most)
        return alpha, beta

    def _sides_over(self, low: Ends, high: Ends) -> tuple[Ends, Ends]:
        """The least and the largest of the slopes of the pieces that meet (low, high), or touch it if low = high."""
        edges = (-math.inf, *self.kinks, math.inf)
        point = low == high
        alpha, beta = np.full(low.shape, math.inf), np.full(low.shape, -math.inf)
        for side, (first, last) in zip(self.sides, itertools.pairwise(edges), strict=True):
            meets = np.where(point, (first <= low) & (low <= last), (low < last) & (first < high))
            alpha, beta = np.where(meets, np.minimum(alpha, side), alpha), np.where(meets, np.maximum(beta, side), beta)
        return alpha, beta
