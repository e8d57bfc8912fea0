"""What is known to bound Lipschitz constants from below (section 4, appendix D), as numbers for a data set at hand.

Each function takes data, and the width or order that the statement speaks of, and returns a `LowerBound`. *Certified*
ones are theorems about this data set, evaluated with a margin for rounding; the others hold for generic data, with an
unnamed constant that is left out (1), or with positive probability. `network_bounds` adds those of one network.

    >>> import jax
    >>> from lawjax import data
    >>> dataset = data.gaussian(jax.random.key(0), n=1000, d=100)
    >>> found = theorem4(dataset, k=5)
    >>> found.certified, found.value > theorem4(dataset, k=50).value > 1.0
    (True, True)
"""

from lawjax.theory.lower_bounds.any_function import floor
from lawjax.theory.lower_bounds.certified import markov_coefficient, theorem4, theorem5, theorem6, theorem7
from lawjax.theory.lower_bounds.overview import all, network_bounds
from lawjax.theory.lower_bounds.rates import bubeck_sellke, conjecture1, theorem3, theorem3_path
from lawjax.theory.lower_bounds.record import LowerBound, table

__all__ = [
    "LowerBound",
    "all",
    "bubeck_sellke",
    "conjecture1",
    "floor",
    "markov_coefficient",
    "network_bounds",
    "table",
    "theorem3",
    "theorem3_path",
    "theorem4",
    "theorem5",
    "theorem6",
    "theorem7",
]
