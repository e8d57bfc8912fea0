"""What all figures share: the house style, where captions and legends go, axes, curves and brackets.

Every figure is a `matplotlib.figure.Figure` of its own, independent of pyplot.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
import polars as pl
from jaxtyping import Real
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from lawjax.errors import UserError
from lawjax.report.fits import AffineFit, affine
from lawjax.report.plots.rows import floats

SPACE = "$R^d$"
DEFAULT_COLOUR = "#000000"
Numbers = Real[np.ndarray, " m"]
_HOLD = "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"  # so that no line of a caption ends within n = 100
_NARROW = 1.05  # a logarithmic axis spans at least this factor
_LEAST = 1e-100  # of what a logarithmic axis shows, and the inverse of the largest
_MOST_COLUMNS = 4  # of a legend

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "font.size": 10,
    "axes.labelsize": 11,
    "axes.titlesize": 11,
    "legend.fontsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # text stays text in the PDF
}


@contextmanager
def style() -> Iterator[None]:
    """The house style as a context: matplotlib's parameters are what they were afterwards."""
    with matplotlib.rc_context(_STYLE):
        yield


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A new figure of so many inches, in the house style as long as the block lasts."""
    with style():
        yield Figure(figsize=(width, height), layout="constrained")


def finish(figure: Figure, caption: str, width: int) -> None:
    """The caption under the axes, in lines of about equal length up to `width`, and the legends above them."""
    n_lines = math.ceil(len(caption) / width)
    lines = textwrap.wrap(caption.replace(" = ", _HOLD), min(width, len(caption) // n_lines + 8))
    figure.supxlabel("\n".join(lines).replace(_HOLD, " = "), fontsize=8.5, color="0.25")
    figure.draw_without_rendering()  # the layout, from which legends know how wide the axes are
    for axes in figure.axes:
        if axes.get_legend() is None and axes.get_legend_handles_labels()[0]:
            _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    """The legend above the axes, where it can hide nothing, as wide as these allow; it takes over their title."""
    title = axes.get_title()
    axes.set_title("")
    for columns in range(_MOST_COLUMNS, 0, -1):
        legend = axes.legend(
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=columns,
            title=title or None,
            title_fontsize=11,
            alignment="left",
            frameon=False,
            columnspacing=1.2,
        )
        if legend.get_window_extent().width <= axes.get_window_extent().width:
            return


def affine_fit(x: Numbers, y: Numbers, seeds: Numbers) -> AffineFit | None:
    """The affine fit, or None where all points share one x."""
    return affine(x, y, seeds) if np.ptp(x) > 0 else None


def one_two_five(axis: Axis) -> None:
    """Ticks of a logarithmic axis at 1, 2, 5, 10, ..., written out."""
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def log_axes(axes: Axes) -> None:
    """Both axes, once all is drawn, logarithmic, with ticks as `one_two_five` has them.

    Raises:
        UserError: the numbers drawn are of a size that no axis shows.
    """
    ends = np.array([axes.dataLim.minpos, axes.dataLim.max])
    if axes.has_data() and not ((ends > _LEAST) & (ends < 1.0 / _LEAST)).all():
        raise UserError(f"The table has sizes that no axis shows: they must lie between {_LEAST:g} and {1 / _LEAST:g}.")
    axes.set(xscale="log", yscale="log")
    for axis, set_limits in ((axes.xaxis, axes.set_xlim), (axes.yaxis, axes.set_ylim)):
        low, high = axis.get_view_interval()
        if low > 0.0 and high < _NARROW * low:  # values that are equal up to rounding
            set_limits(low / _NARROW, high * _NARROW)
        one_two_five(axis)


def draw_line(axes: Axes, x: Numbers, fit: AffineFit, **style_: Any) -> None:
    """The fit over the range of x."""
    ends = np.array([x.min(), x.max()])
    axes.plot(ends, fit(ends), **style_)


def draw_brackets(axes: Axes, x: Numbers, rows: pl.DataFrame, *, ticks: bool = False, **looks: Any) -> None:
    """A vertical line from the lower to the upper bound on Lip(f) on R^d at each x, with ticks at its ends if asked."""
    low, high = floats(rows, "lower_space", "upper_space")
    axes.vlines(x, low, high, **looks)
    if ticks:
        for ends in (low, high):
            axes.plot(x, ends, "_", color=looks["colors"], markersize=8, markeredgewidth=1.4, label="_ticks")


def draw_medians(axes: Axes, x: Numbers, y: Numbers, dash: str, **looks: Any) -> None:
    """A line through the medians of y at each x; a short bar where it has no markers and there is a single x."""
    at, middle = medians(x, y)
    if len(at) <= 1 and not looks.get("marker"):
        looks |= {"marker": "_", "markersize": 14}
    axes.plot(at, middle, linestyle=dash, **looks)


def draw_up_to_certificates(
    axes: Axes, rows: pl.DataFrame, columns: tuple[str, str, str], dash: str = "-", **looks: Any
) -> None:
    """A line from the lower to the upper bound of each network, and a curve through the medians of the upper ones.

    Args:
        axes: to draw on.
        rows: of the networks.
        columns: where x, the lower and the upper bound stand.
        dash: of the curve.
        looks: of the curve, its colour among them.
    """
    x, low, high = floats(rows, *columns)
    axes.vlines(x, low, high, colors=looks["color"], linewidth=1.5)
    draw_medians(axes, x, high, dash, **{"markersize": 5, **looks})


def medians(x: Numbers, y: Numbers) -> tuple[Real[np.ndarray, " p"], Real[np.ndarray, " p"]]:
    """The distinct x in order, and the median of y at each; entries that are NaN are left out."""
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    distinct = np.unique(x)
    return distinct, np.array([np.median(y[x == value]) for value in distinct])
