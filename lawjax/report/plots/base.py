"""What all figures share: the house style, captions that count what was dropped, fits in legends, and saving.

Every figure is a `matplotlib.figure.Figure` of its own, independent of pyplot.
"""

from __future__ import annotations

import io
import math
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from lawjax import arguments
from lawjax.errors import UserError
from lawjax.report.fits import AffineFit, affine
from lawjax.report.plots.settings import USUAL, changed, plain, said
from lawjax.report.plots.tables import FITTED, check_known, checked, is_number

DPI = 160
SPACE = "$R^d$"
_HOLD = "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"  # so that no line of a caption ends within n = 100
_NARROW = 1.05  # a logarithmic axis spans at least this factor
_LEAST = 1e-100  # of what a logarithmic axis shows, and the inverse of the largest
_MOST_COLUMNS = 4  # of a legend
_IDENTITY = ("n", "d", "k", "seed", "factor", "setting")

# What each column measures, and on which side of Lip(f) it lies.
MEASURES = {
    "proxy": ("maximum random gradient", "lower estimates of"),
    "ascent": ("largest gradient norm found by ascent", "lower bounds on"),
    "certificate": ("certified upper bound on Lip(f)", "upper bounds on"),
    "spectral_product": ("spectral product $L\\,\\|a\\|\\,\\|W\\|_{op}$", "upper bounds on"),
    "path_product": ("path product $L\\,\\Sigma|a_l|\\,\\|w_l\\|$", "upper bounds on"),
}


class Rule(NamedTuple):
    """How one width rule of Experiment 2 is drawn; `power` is the law's exponent in sqrt(d)."""

    label: str
    colour: str
    marker: str
    dash: Literal["-", "--"]
    power: int
    shape: str


RULES = {
    "k = n": Rule("$k = n$", "#0072B2", "o", "--", 0, "constant"),
    "k = 10n/d": Rule("$k = 10\\,n/d$", "#D55E00", "^", "-", 1, "$\\propto\\sqrt{d}$"),
}
DEFAULT_COLOUR = "#000000"

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


def usable_rows(table: pl.DataFrame, measure: str) -> pl.DataFrame:
    """The fitted networks whose measure is a number, in an order that does not depend on that of the rows."""
    kept = table.filter(FITTED & is_number(measure))
    if kept.is_empty():
        raise UserError(
            f"None of the {len(table)} networks can be plotted ({count_text(table, measure)}): raise the step limit, "
            "lower the learning rate or ask for wider networks."
        )
    return kept.sort([c for c in ("n", "d", "k", "seed", measure) if c in kept.columns])


def count_text(table: pl.DataFrame, measure: str) -> str:
    """For example "8 fitted, 1 step limit, 1 diverged": how the networks asked for ended."""
    n_fitted = int(table["fitted"].sum())
    parts = [f"{n_fitted:,} fitted"]
    if "status" in table.columns:
        others = table.filter(~FITTED)["status"]
        named = ["step limit", "diverged"]
        named += sorted(set(others.drop_nulls().to_list()) - set(named))
        parts += [f"{int((others == name).sum()):,} {plain(name)}" for name in named]
        unknown = others.null_count()
    else:
        unknown = len(table) - n_fitted
    if unknown:
        parts.append(f"{unknown:,} did not fit")
    unmeasured = table.filter(FITTED & ~is_number(measure))
    if len(unmeasured):
        parts.append(f"{len(unmeasured):,} of the fitted not plotted for want of a finite {measure_title(measure)}")
    return ", ".join(parts)


def measure_title(measure: str) -> str:
    """The measure in words."""
    return MEASURES.get(measure, (plain(measure), ""))[0]


def axis_label(measure: str) -> str:
    """The measure in words, with the side of Lip(f) on which it lies."""
    title, side = MEASURES.get(measure, (plain(measure), ""))
    if measure == "proxy":
        return f"{title}  $\\max_{{i\\leq T}}\\|\\nabla f(z_i)\\|$"
    return f"{title} ({side.split()[0]} {side.split()[1][:-1]})" if side.startswith("lower") else title


def listed(table: pl.DataFrame, column: str) -> str:
    """For example "100 to 2,000": the range of a column."""
    values = sorted(table[column].drop_nulls().unique().to_list())
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"


def counted(number: int, thing: str) -> str:
    """For example "1 seed" or "3 seeds"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def caption_of(
    table: pl.DataFrame,
    measure: str,
    *extra: str,
    intervals: bool = False,
    probed: bool = False,
    configured: pl.DataFrame | None = None,
) -> str:
    """How many networks were asked for and how they ended, epsilon, seeds, T, anything extra, and changed settings.

    Args:
        table: of the figure.
        measure: what it shows.
        extra: further settings, in words.
        intervals: whether it has bootstrap intervals.
        probed: whether it shows the proxy, too, where that is not the measure.
        configured: the rows whose settings are said, where these are not all.
    """
    if "k" in table.columns:  # a network of both width rules is one network
        table = table.unique([name for name in _IDENTITY if name in table.columns], maintain_order=True)
    configured = table if configured is None else configured
    probed = probed or measure == "proxy"
    n_seeds = table["seed"].n_unique()
    points = (said(configured, "points") or f"T = {USUAL['points']} random points per network") if probed else None
    known = [said(configured, "epsilon"), counted(n_seeds, "seed"), points, said(configured, "step_limit"), *extra]
    parts = [f"{counted(len(table), 'network')} asked for: {count_text(table, measure)}."]
    parts.append("; ".join(words for words in known if words) + ".")
    parts.append(changed(configured, {"epsilon", "step_limit", *(["points"] if probed else [])}))
    if intervals and n_seeds > 1:
        narrow = ", too narrow with fewer than five" if n_seeds < 5 else ""
        parts.append(f"Intervals: 95 % bootstrap over seeds{narrow}.")
    return " ".join(part for part in parts if part)


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


def affine_fit(x: np.ndarray, y: np.ndarray, seeds: np.ndarray) -> AffineFit | None:
    """The affine fit, or None where all points share one x."""
    return affine(x, y, seeds) if np.ptp(x) > 0 else None


def number_text(value: float, decimals: int | None = None) -> str:
    """`value` with so many decimals, or with three significant digits; a true minus sign."""
    text = f"{value:#.3g}".rstrip(".") if decimals is None else f"{value:.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def with_interval(value: float, interval: tuple[float, float]) -> str:
    """For example "3.01 [2.93, 3.08]", to two digits of the interval's width; the value alone where there is none."""
    width = interval[1] - interval[0]
    if not math.isfinite(width):
        return number_text(value)
    decimals = min(max(1 - math.floor(math.log10(width)), 0), 4) if width > 0 else 4
    return (
        f"{number_text(value, decimals)} [{number_text(interval[0], decimals)}, {number_text(interval[1], decimals)}]"
    )


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


def draw_line(axes: Axes, x: np.ndarray, fit: AffineFit, **style_: Any) -> None:
    """The fit over the range of x."""
    ends = np.array([x.min(), x.max()])
    axes.plot(ends, fit(ends), **style_)


def rows_by_rule(table: pl.DataFrame, measure: str) -> dict[str, pl.DataFrame]:
    """The plottable rows of each width rule asked for, in the order of the legend."""
    check_known(table, "width_rule", RULES, "width rule(s)")
    rows = usable_rows(table, measure)
    asked = set(table["width_rule"].to_list())
    return {rule: rows.filter(pl.col("width_rule") == rule) for rule in RULES if rule in asked}


def has_brackets(table: Any) -> bool:
    """Whether some fitted network has a finite bracket on R^d.

    Args:
        table: one row per network asked for, with a column fitted.

    Raises:
        UserError: it is no table, or without rows or a column fitted.
    """
    table = checked(table, "experiment1", flags=["fitted"])
    columns = ("lower_space", "upper_space")
    if not set(columns) <= set(table.columns):
        return False
    return not table.filter(FITTED & is_number(columns[0]) & is_number(columns[1])).is_empty()


def draw_brackets(axes: Axes, x: np.ndarray, rows: pl.DataFrame, ticks: bool = False, **looks: Any) -> None:
    """A vertical line from the lower to the upper bound on Lip(f) on R^d at each x, with ticks at its ends if asked."""
    low, high = (rows[column].to_numpy().astype(np.float64) for column in ("lower_space", "upper_space"))
    axes.vlines(x, low, high, **looks)
    if ticks:
        for ends in (low, high):
            axes.plot(x, ends, "_", color=looks["colors"], markersize=8, markeredgewidth=1.4, label="_ticks")


def draw_medians(axes: Axes, x: np.ndarray, y: np.ndarray, dash: str, **looks: Any) -> None:
    """A line through the medians of y at each x; a short bar where it has no markers and there is a single x."""
    at, middle = medians(x, y)
    if len(at) <= 1 and not looks.get("marker"):
        looks |= {"marker": "_", "markersize": 14}
    axes.plot(at, middle, linestyle=dash, **looks)


def medians(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct x in order, and the median of y at each; entries that are NaN are left out."""
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    distinct = np.unique(x)
    return distinct, np.array([np.median(y[x == value]) for value in distinct])


def save(figure: Figure, path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write `figure` as PNG (160 dots per inch) and as PDF beside it, making the folders on the way.

    Each file is written whole under another name and then renamed, so that a reader never sees half a figure.

    Args:
        figure: any figure of this module.
        path: where to; an ending .png or .pdf is replaced, any other is kept as part of the name.

    Returns:
        The paths of the PNG and of the PDF.

    Raises:
        UserError: it is no figure or no path, or the files cannot be written, for example because the disk is full.
    """
    if not isinstance(figure, Figure):
        raise UserError(f"save takes a figure, as lawjax.plots makes them, not {type(figure).__name__}.")
    try:
        path = Path(os.fsdecode(path))
    except Exception:  # whatever a stranger raises
        raise UserError(f"A figure is saved under a path, such as figure2.png, not {arguments.shown(path)}.") from None
    if path.name in ("", "..") or "\0" in path.name:
        raise UserError(f"A figure is saved under a file's name, such as figure2.png, not {str(path)!r}.")
    stem = path.name[:-4] if path.suffix.lower() in (".png", ".pdf") else path.name
    targets = (path.with_name(f"{stem}.png"), path.with_name(f"{stem}.pdf"))
    metadata: tuple[dict[str, Any], ...] = ({"Software": None}, {"CreationDate": None})  # equal figures, equal files
    temporary = [target.with_name(f".{target.name}.{os.getpid()}.tmp") for target in targets]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, unfinished, about in zip(targets, temporary, metadata, strict=True):
            image = io.BytesIO()
            with style():
                figure.savefig(image, format=target.suffix[1:], dpi=DPI, metadata=about)
            unfinished.write_bytes(image.getvalue())
        for target, unfinished in zip(targets, temporary, strict=True):
            os.replace(unfinished, target)
    except OSError as error:
        raise UserError(f"Cannot write the figure {targets[0]}: {error.strerror or error}.") from error
    finally:
        for unfinished in temporary:
            try:
                unfinished.unlink(missing_ok=True)
            except OSError:  # the parent is not a folder: nothing was written
                continue
    return targets
