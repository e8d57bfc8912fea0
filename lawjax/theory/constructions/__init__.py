"""The paper's constructions (section 3) and some beyond it: networks that fit, with what is claimed of each.

Weights are computed in float64 and returned in the precision of the data. What a construction claims, and on which
conditions, is looked up on the data set at hand; a network is returned whether they hold or not.

    >>> import jax
    >>> from lawjax import data
    >>> dataset = data.sphere(jax.random.key(0), n=100, d=200)
    >>> built = caps(dataset)
    >>> built.network.n_neurons, built.holds, round(built.bound, 4)  # sqrt(19)
    (100, True, 4.3589)
"""

from lawjax.theory.constructions.forms import partial_tensor, smoothest_quadratic, tensor
from lawjax.theory.constructions.piecewise import caps, grouped_caps, linear, ramps
from lawjax.theory.constructions.record import Condition, Construction

__all__ = [
    "Condition",
    "Construction",
    "caps",
    "grouped_caps",
    "linear",
    "partial_tensor",
    "ramps",
    "smoothest_quadratic",
    "tensor",
]
