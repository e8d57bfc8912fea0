"""Figures from tables: Figures 1 to 3 of the paper, brackets, unstated choices as swept factors, and the frontier.

A table has one row per network asked for, and comes from Polars, from pandas or from anything with Arrow's stream
interface. Only fitted networks are plotted; the caption under each figure counts the others, so that no network is
dropped silently, and says what of the configuration is not as in the paper.
"""

from lawjax.report.plots.base import DPI, has_brackets, save, style
from lawjax.report.plots.brackets import ratios
from lawjax.report.plots.capacity import capacity
from lawjax.report.plots.choices import factors
from lawjax.report.plots.constructions import constructions
from lawjax.report.plots.experiments import figure1, figure2, figure3
from lawjax.report.plots.frontier import (
    USUAL,
    frontier_constant,
    frontier_constructions,
    frontier_depth,
    frontier_factors,
    frontier_flat,
    frontier_law,
    usual,
)
from lawjax.report.plots.lower_bounds import lower_bounds
from lawjax.report.plots.settings import CONFIGURATION

__all__ = [
    "CONFIGURATION",
    "DPI",
    "USUAL",
    "capacity",
    "constructions",
    "factors",
    "figure1",
    "figure2",
    "figure3",
    "frontier_constant",
    "frontier_constructions",
    "frontier_depth",
    "frontier_factors",
    "frontier_flat",
    "frontier_law",
    "has_brackets",
    "lower_bounds",
    "ratios",
    "save",
    "style",
    "usual",
]
