"""The frontier: the smoothest networks that fit, found by minimising the certificate subject to the fit."""

from lawjax.frontier.config import Descent, FrontierConfig, Newton, Starts, epsilon_of
from lawjax.frontier.deep import DeepFrontier, ThreeLayer, search_deep
from lawjax.frontier.finish import EXACT, interpolating, shrunk
from lawjax.frontier.resize import resized
from lawjax.frontier.search import Frontier, search, search_all
from lawjax.frontier.starts import Problem

__all__ = [
    "EXACT",
    "Descent",
    "DeepFrontier",
    "Frontier",
    "FrontierConfig",
    "Newton",
    "Problem",
    "Starts",
    "ThreeLayer",
    "epsilon_of",
    "interpolating",
    "resized",
    "search",
    "search_all",
    "search_deep",
    "shrunk",
]
