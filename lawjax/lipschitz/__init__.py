"""Estimates of Lipschitz constants of two-layer networks: lower ones with a witness, upper ones in closed form."""

from lawjax.lipschitz.ascent import Ascent, ascend
from lawjax.lipschitz.gradients import RandomGradients, max_random_gradient
from lawjax.lipschitz.products import path_product, spectral_product

__all__ = [
    "Ascent",
    "RandomGradients",
    "ascend",
    "max_random_gradient",
    "path_product",
    "spectral_product",
]
