"""What a lower bound is: a number, what it bounds, for which functions, and whether it is proved for given data."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lawjax import arguments

MARGIN = 1.0 - 1e-9  # far above the rounding of eigenvalues and sums in float64
_NEAR_ONE = 30  # exponents that points are left with: their squares, cubes, ... are far from over- and underflow


@dataclass(frozen=True)
class LowerBound:
    """A lower bound on a Lipschitz constant, or on what the paper has in its place.

    Attributes:
        name: what the bound is called.
        reference: where it is from.
        value: the bound; None where it says nothing.
        quantity: what it bounds.
        functions: of which functions.
        certified: whether it is a theorem about this data set; otherwise a rate without its constant, or a statement
            that holds with some probability.
        reason: why there is no value, or what the value lacks.
    """

    name: str
    reference: str
    value: float | None
    quantity: str
    functions: str
    certified: bool
    reason: str = ""


def table(bounds: Sequence[LowerBound]) -> str:
    """The bounds as a Markdown table."""
    for bound in arguments.sequence("bounds", bounds):
        arguments.instance("A bound", bound, LowerBound, "such as lower_bounds.all gives")
    lines = ["| bound | value | of | functions | certified | reference |", "| --- " * 6 + "|"]
    for bound in bounds:
        value = "none" if bound.value is None else f"{bound.value:.6g}"
        status = "yes" if bound.certified and bound.value is not None else "no"
        status += f": {bound.reason}" if bound.reason else ""
        lines.append(
            f"| {bound.name} | {value} | {bound.quantity} | {bound.functions} | {status} | {bound.reference} |"
        )
    return "\n".join(lines)


def that_fit(functions: str, epsilon: float) -> str:
    """The functions that a bound is about, with the error that is allowed."""
    return f"{functions} that fit" + (f" up to a mean square error of {epsilon:g}" if epsilon else "")


def exponent_of(x: Float[np.ndarray, "n d"]) -> int:
    """The exponent of a power of two near the largest entry; 0 where that is of a size near one."""
    exponent = int(np.frexp(float(np.abs(x).max()))[1])
    return exponent if abs(exponent) > _NEAR_ONE else 0


def times_two_to_the(value: float, exponent: int) -> float:
    """value 2^exponent for value >= 0, at most the largest number there is: what is finite stays so."""
    with np.errstate(over="ignore"):
        scaled = float(np.ldexp(value, exponent))
    return scaled if math.isinf(value) else min(scaled, sys.float_info.max)
