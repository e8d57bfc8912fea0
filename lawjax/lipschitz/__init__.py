"""Lipschitz constants of two-layer networks: lower bounds with a witness, upper bounds with a proof, and brackets."""

from lawjax.lipschitz.ascent import Ascent, ascend
from lawjax.lipschitz.brackets import Bracket, bracket, brackets
from lawjax.lipschitz.certificate import Certificate, certify
from lawjax.lipschitz.domains import Ball, Space, Sphere
from lawjax.lipschitz.exact import exact_circle, exact_space
from lawjax.lipschitz.gradients import RandomGradients, max_random_gradient
from lawjax.lipschitz.pairs import KinkBound, PairBound, kink_bound, pair_bound
from lawjax.lipschitz.polynomial import PolynomialBound, polynomial_bound
from lawjax.lipschitz.products import path_product, spectral_product
from lawjax.lipschitz.witness import Search

__all__ = [
    "Ascent",
    "Ball",
    "Bracket",
    "Certificate",
    "KinkBound",
    "PairBound",
    "PolynomialBound",
    "RandomGradients",
    "Search",
    "Space",
    "Sphere",
    "ascend",
    "bracket",
    "brackets",
    "certify",
    "exact_circle",
    "exact_space",
    "kink_bound",
    "max_random_gradient",
    "pair_bound",
    "path_product",
    "polynomial_bound",
    "spectral_product",
]
