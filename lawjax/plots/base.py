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

from lawjax.errors import UserError
from lawjax.fits import AffineFit, affine

DPI = 160
N_PROBES = 1000  # T of section 5
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
    "legend.framealpha": 0.9,
    "legend.edgecolor": "0.8",
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


FITTED = pl.col("fitted").fill_null(False)


def is_number(column: str) -> pl.Expr:
    """Whether the column holds a finite number."""
    return pl.col(column).cast(pl.Float64).is_finite().fill_null(False)


@contextmanager
def style() -> Iterator[None]:
    """The house style as a context: matplotlib's parameters are what they were afterwards."""
    with matplotlib.rc_context(_STYLE):
        yield


def check_columns(table: pl.DataFrame, measure: str, *columns: str) -> None:
    """Raise a `UserError` unless the table has rows, these columns, and numbers in the measure."""
    columns = (*columns, measure)
    missing = [column for column in dict.fromkeys(columns) if column not in table.columns]
    if missing:
        raise UserError(
            f"The table lacks the column(s) {', '.join(missing)}: plot the results of the matching experiment."
        )
    if table.is_empty():
        raise UserError("The table has no rows to plot: run the experiment first.")
    if not (table[measure].dtype.is_numeric() or table[measure].dtype == pl.Null):
        raise UserError(f"The column {measure} holds no numbers to plot: name a measure such as proxy or ascent.")


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
    parts = [f"{n_fitted} fitted"]
    if "status" in table.columns:
        others = table.filter(~FITTED)["status"]
        named = ["step limit", "diverged"]
        named += sorted(set(others.drop_nulls().to_list()) - set(named))
        parts += [f"{int((others == name).sum())} {name}" for name in named]
    unmeasured = table.filter(FITTED & ~is_number(measure))
    if len(unmeasured):
        parts.append(f"{len(unmeasured)} of the fitted not plotted for want of a finite {measure_title(measure)}")
    return ", ".join(parts)


def measure_title(measure: str) -> str:
    """The measure in words."""
    return MEASURES.get(measure, (measure, ""))[0]


def axis_label(measure: str) -> str:
    """The measure in words, with the side of Lip(f) on which it lies."""
    title, side = MEASURES.get(measure, (measure, ""))
    if measure == "proxy":
        return f"{title}  $\\max_{{i\\leq T}}\\|\\nabla f(z_i)\\|$"
    return f"{title} ({side.split()[0]} {side.split()[1][:-1]})" if side.startswith("lower") else title


def listed(table: pl.DataFrame, column: str) -> str:
    """For example "100 to 2,000": the range of a column."""
    values = sorted(table[column].drop_nulls().unique().to_list())
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"


def caption_of(table: pl.DataFrame, measure: str, *extra: str, intervals: bool = False) -> str:
    """How many networks were asked for and how they ended, epsilon, seeds, T, and anything extra."""
    if "k" in table.columns:  # a network of both width rules is one network
        table = table.unique([name for name in _IDENTITY if name in table.columns], maintain_order=True)
    parts = [f"{len(table)} networks asked for: {count_text(table, measure)}."]
    settings = []
    if "epsilon" in table.columns and table["epsilon"].drop_nulls().len():
        settings.append(f"\N{GREEK SMALL LETTER EPSILON} = {listed(table, 'epsilon')}")
    n_seeds = table["seed"].n_unique()
    settings.append(f"{n_seeds} seed{'s' if n_seeds > 1 else ''}")
    if measure == "proxy":
        points = listed(table, "points") if "points" in table.columns else str(N_PROBES)
        settings.append(f"T = {points} random points per network")
    parts.append("; ".join([*settings, *extra]) + ".")
    if intervals and n_seeds > 1:
        narrow = ", too narrow with fewer than five" if n_seeds < 5 else ""
        parts.append(f"Intervals: 95 % bootstrap over seeds{narrow}.")
    return " ".join(parts)


def write_caption(figure: Figure, caption: str, width: int) -> None:
    """Under the axes, where the constrained layout makes room for it, in lines of about equal length up to `width`."""
    n_lines = math.ceil(len(caption) / width)
    lines = textwrap.wrap(caption, min(width, len(caption) // n_lines + 8))
    figure.supxlabel("\n".join(lines), fontsize=8.5, color="0.25")


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


def draw_line(axes: Axes, x: np.ndarray, fit: AffineFit, **style_: Any) -> None:
    """The fit over the range of x."""
    ends = np.array([x.min(), x.max()])
    axes.plot(ends, fit(ends), **style_)


def rows_by_rule(table: pl.DataFrame, measure: str) -> dict[str, pl.DataFrame]:
    """The plottable rows of each width rule asked for, in the order of the legend."""
    unknown = sorted({str(rule) for rule in table["width_rule"].unique().to_list()} - set(RULES))
    if unknown:
        raise UserError(f"Unknown width rule(s) {', '.join(unknown)}: the figure knows {' and '.join(RULES)}.")
    rows = usable_rows(table, measure)
    asked = set(table["width_rule"].to_list())
    return {rule: rows.filter(pl.col("width_rule") == rule) for rule in RULES if rule in asked}


def has_brackets(table: pl.DataFrame) -> bool:
    """Whether some fitted network has a finite bracket on R^d."""
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


def medians(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct x in order, and the median of y at each."""
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
        UserError: the files cannot be written, for example because the disk is full.
    """
    path = Path(path)
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
