"""The frontier: the smoothest networks that fit, found by minimising the certificate subject to the fit."""

from lawjax.frontier.finish import EXACT, interpolating, shrunk
from lawjax.frontier.resize import resized
from lawjax.frontier.search import Frontier, FrontierConfig, Problem, search, search_all

__all__ = [
    "EXACT",
    "Frontier",
    "FrontierConfig",
    "Problem",
    "interpolating",
    "resized",
    "search",
    "search_all",
    "shrunk",
]
