"""Lipschitz constants of two-layer networks: lower bounds with a witness, upper bounds with a proof, and brackets."""

from lawjax.domains import Ball, Space, Sphere
from lawjax.lipschitz.bracketing import Bracket, bracket, brackets
from lawjax.lipschitz.lower.ascent import Ascent, ascend
from lawjax.lipschitz.lower.effort import Search
from lawjax.lipschitz.lower.exact import exact_circle, exact_space
from lawjax.lipschitz.lower.kinks import KinkBound, kink_bound
from lawjax.lipschitz.lower.pairs import PairBound, pair_bound
from lawjax.lipschitz.lower.proxy import RandomGradients, max_random_gradient
from lawjax.lipschitz.upper.polynomial import PolynomialBound, polynomial_bound
from lawjax.lipschitz.upper.products import path_product, spectral_product
from lawjax.lipschitz.upper.proofs import CellProof, DisjointCaps, FormProof, OverlappingCaps, Proof, SlopeProof
from lawjax.lipschitz.upper.proving import certify

__all__ = [
    "Ascent",
    "Ball",
    "Bracket",
    "CellProof",
    "DisjointCaps",
    "FormProof",
    "KinkBound",
    "OverlappingCaps",
    "PairBound",
    "PolynomialBound",
    "Proof",
    "RandomGradients",
    "Search",
    "SlopeProof",
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
