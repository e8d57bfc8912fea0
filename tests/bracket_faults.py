"""What a bracket of a small network may be blamed for: the checks that tests and benchmarks/structured.py share."""

import math
from typing import NamedTuple

import numpy as np
from exact_oracles import PIECEWISE_LINEAR, exact, norm_at, path, sampled, visible

from lawjax import Bracket, TwoLayer, activations

QUESTIONS = (("space", False), ("ball", False), ("sphere", False), ("sphere", True))  # domain, tangential
CLOSE = 1e-9  # what a value may be off by, relative
_ON_DOMAIN = 1e-12  # of the radius, off which a witness may be
_PROOF = 1e-15  # what the oracle's own rounding leaves unsure of a bound that is proved
_LEAST = 5e-324


def in_words(domain: str, tangential: bool) -> str:
    """A question."""
    return "along the sphere" if tangential else "R^d" if domain == "space" else domain


class Truth(NamedTuple):
    """A supremum, as `exact_oracles.exact` has it, and what of it a point in float64 can show."""

    surely: float
    possibly: float
    visible: float


def truth(network: TwoLayer, domain: str, radius: float, tangential: bool, lower: float = math.inf) -> Truth:
    """The exact supremum, or for smooth psi what samples reach.

    What is visible is only asked for if a lower bound falls short, and in d <= 2.
    """
    if network.activation.name not in PIECEWISE_LINEAR:
        value = sampled(network, domain, radius, tangential)
        return Truth(value, math.inf, value)
    true = exact(network, domain, radius, tangential)
    if network.dimension > 2 or not is_short(network, lower, true.surely):
        return Truth(true.surely, true.possibly, true.surely)
    return Truth(true.surely, true.possibly, visible(network, domain, radius, tangential))


def is_short(network: TwoLayer, lower: float, value: float) -> bool:
    """Whether a lower bound is further below a value than it may be; no float reaches one beyond floats."""
    return lower < value < math.inf and lower < value * (1.0 - CLOSE) - rounding(network)


def path_of(network: TwoLayer) -> float:
    """The path product, at any size."""
    return path(network, activations.get(network.activation).lipschitz)


def rounding(network: TwoLayer) -> float:
    """What float64 leaves of sums that cancel exactly: some units of the path product, or of the smallest number."""
    return (network.n_neurons + 10.0) * max(2.0**-51 * min(path_of(network), 1e300), _LEAST)


def faults(network: TwoLayer, domain: str, radius: float, tangential: bool, found: Bracket, true: Truth) -> list[str]:
    """Names of what is wrong."""
    lower, upper, allowed = found.lower, found.upper, rounding(network)
    is_sampled = network.activation.name not in PIECEWISE_LINEAR
    is_exact = not is_sampled and network.dimension <= 2
    short = is_short(network, lower, true.visible)
    question = domain, radius, tangential
    checks = {
        "NaN": math.isnan(lower) or math.isnan(upper),
        "lower > exact": lower > true.possibly * (1.0 + CLOSE) + allowed,
        "upper < exact": upper < true.surely * (1.0 - _PROOF) - (allowed if is_sampled else _LEAST),
        "lower > upper": lower > upper * (1.0 + _ON_DOMAIN) + _LEAST,
        "(0, 0)": lower == upper == 0.0 and true.surely > allowed,
        "upper > path": upper > path_of(network) * (1.0 + CLOSE) + network.n_neurons * _LEAST,
        "witness off its domain": not is_on(found.witness, network.dimension, domain, radius),
        "not attained": not is_attained(network, tangential, found, allowed)
        and not is_hidden(network, question, found),
        "lower, d <= 2": is_exact and short,
        "upper, d <= 2": is_exact and upper > true.possibly * (1.0 + CLOSE) + allowed,
        "lower < samples": is_sampled and short,
    }
    return [fault for fault, holds in checks.items() if holds]


def is_on(point: np.ndarray, d: int, domain: str, radius: float) -> bool:
    """Whether a point lies on its domain, to a few roundings."""
    if point.shape != (d,) or not np.isfinite(point).all():
        return False
    off = float(np.linalg.norm(point / radius)) - 1.0
    return domain == "space" or (abs(off) if domain == "sphere" else off) <= _ON_DOMAIN


def is_attained(network: TwoLayer, tangential: bool, found: Bracket, allowed: float) -> bool:
    """Whether there is a gradient at the witness, on no kink, and it is that large."""
    if found.lower <= allowed:
        return True
    if not np.isfinite(found.witness).all() or (tangential and not found.witness.any()):
        return False
    if network.activation.name in PIECEWISE_LINEAR:
        there = norm_at(network, found.witness, tangential)
    else:
        there = sampled(network, tangential=tangential, points=found.witness[None])
    return there is not None and math.isclose(there, found.lower, rel_tol=CLOSE, abs_tol=allowed)


def is_hidden(network: TwoLayer, question: tuple[str, float, bool], found: Bracket) -> bool:
    """Whether, in d <= 2, no float lies in the cell of the lower bound: its witness is next to it, and it is exact."""
    if network.activation.name not in PIECEWISE_LINEAR or network.dimension > 2:
        return False
    return visible(network, *question) < found.lower * (1.0 - CLOSE)


def ratios(network: TwoLayer, found: Bracket, true: Truth) -> tuple[float, float, float]:
    """lower / exact, upper / exact and upper / lower; what is below rounding counts as that."""
    least = rounding(network)
    lower, upper, shown, low = (max(value, least) for value in (found.lower, found.upper, true.visible, true.surely))
    high = max(true.possibly, least) if true.possibly < math.inf else low
    return lower / min(max(lower, shown), high), upper / min(max(upper, low), high), upper / lower
