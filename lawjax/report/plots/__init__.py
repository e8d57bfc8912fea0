"""Figures from tables: Figures 1 to 3 of the paper, brackets, unstated choices as swept factors, and the frontier.

A table has one row per network asked for, and comes from Polars, from pandas or from anything with Arrow's stream
interface. Only fitted networks are plotted; the caption under each figure counts the others, so that no network is
dropped silently, and says what of the configuration is not as in the paper.
"""

from lawjax.report.plots.base import style
from lawjax.report.plots.brackets import ratios
from lawjax.report.plots.built import constructions
from lawjax.report.plots.choices import factors
from lawjax.report.plots.experiments import figure1, figure2, figure3
from lawjax.report.plots.frontier_growth import frontier_constant, frontier_depth
from lawjax.report.plots.frontier_rows import USUAL, usual
from lawjax.report.plots.frontier_settings import frontier_factors
from lawjax.report.plots.frontier_sizes import frontier_constructions, frontier_flat, frontier_law
from lawjax.report.plots.phases import capacity
from lawjax.report.plots.proved import lower_bounds
from lawjax.report.plots.rows import has_brackets
from lawjax.report.plots.saving import DPI, save
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
