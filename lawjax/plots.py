"""Figures of the paper from sweep tables: Figure 2, Figures 1 and 3, and the unstated choices as swept factors.

A table has one row per network asked for. Only fitted networks are plotted; the caption under each figure counts the
others, so that no network is dropped silently. Every figure is a `matplotlib.figure.Figure` of its own, independent of
pyplot.
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
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from lawjax.errors import UserError
from lawjax.fits import AffineFit, affine, power_law

DPI = 160
N_PROBES = 1000  # T of section 5
_IDENTITY = ("n", "d", "k", "seed", "factor", "setting")

# What each column measures, and on which side of Lip(f) it lies.
_MEASURES = {
    "proxy": ("maximum random gradient", "lower estimates of"),
    "ascent": ("largest gradient norm found by ascent", "lower bounds on"),
    "certificate": ("certified upper bound on Lip(f)", "upper bounds on"),
    "spectral_product": ("spectral product $L\\,\\|a\\|\\,\\|W\\|_{op}$", "upper bounds on"),
    "path_product": ("path product $L\\,\\Sigma|a_l|\\,\\|w_l\\|$", "upper bounds on"),
}


class _Rule(NamedTuple):
    """How one width rule of Experiment 2 is drawn; `power` is the law's exponent in sqrt(d)."""

    label: str
    colour: str
    marker: str
    dash: Literal["-", "--"]
    power: int
    shape: str


_RULES = {
    "k = n": _Rule("$k = n$", "#0072B2", "o", "--", 0, "constant"),
    "k = 10n/d": _Rule("$k = 10\\,n/d$", "#D55E00", "^", "-", 1, "$\\propto\\sqrt{d}$"),
}
_DEFAULT_COLOUR = "#000000"
_SETTING_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito, without black
_SETTING_MARKERS = ("s", "^", "D", "v", "P", "X")

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


_FITTED = pl.col("fitted").fill_null(False)


def _is_number(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Float64).is_finite().fill_null(False)


@contextmanager
def style() -> Iterator[None]:
    """The house style as a context: matplotlib's parameters are what they were afterwards."""
    with matplotlib.rc_context(_STYLE):
        yield


def _check(table: pl.DataFrame, measure: str, *columns: str) -> None:
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


def _usable(table: pl.DataFrame, measure: str) -> pl.DataFrame:
    """The fitted networks whose measure is a number, in an order that does not depend on that of the rows."""
    kept = table.filter(_FITTED & _is_number(measure))
    if kept.is_empty():
        raise UserError(
            f"None of the {len(table)} networks can be plotted ({_counts(table, measure)}): raise the step limit, "
            "lower the learning rate or ask for wider networks."
        )
    return kept.sort([c for c in ("n", "d", "k", "seed", measure) if c in kept.columns])


def _counts(table: pl.DataFrame, measure: str) -> str:
    """For example "8 fitted, 1 step limit, 1 diverged": how the networks asked for ended."""
    n_fitted = int(table["fitted"].sum())
    parts = [f"{n_fitted} fitted"]
    if "status" in table.columns:
        others = table.filter(~_FITTED)["status"]
        named = ["step limit", "diverged"]
        named += sorted(set(others.drop_nulls().to_list()) - set(named))
        parts += [f"{int((others == name).sum())} {name}" for name in named]
    unmeasured = table.filter(_FITTED & ~_is_number(measure))
    if len(unmeasured):
        parts.append(f"{len(unmeasured)} of the fitted not plotted for want of a finite {_title(measure)}")
    return ", ".join(parts)


def _title(measure: str) -> str:
    return _MEASURES.get(measure, (measure, ""))[0]


def _axis_label(measure: str) -> str:
    title, side = _MEASURES.get(measure, (measure, ""))
    if measure == "proxy":
        return f"{title}  $\\max_{{i\\leq T}}\\|\\nabla f(z_i)\\|$"
    return f"{title} ({side.split()[0]} {side.split()[1][:-1]})" if side.startswith("lower") else title


def _listed(table: pl.DataFrame, column: str) -> str:
    values = sorted(table[column].drop_nulls().unique().to_list())
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"


def _caption(table: pl.DataFrame, measure: str, *extra: str, intervals: bool = False) -> str:
    if "k" in table.columns:  # a network of both width rules is one network
        table = table.unique([name for name in _IDENTITY if name in table.columns], maintain_order=True)
    parts = [f"{len(table)} networks asked for: {_counts(table, measure)}."]
    settings = []
    if "epsilon" in table.columns and table["epsilon"].drop_nulls().len():
        settings.append(f"\N{GREEK SMALL LETTER EPSILON} = {_listed(table, 'epsilon')}")
    n_seeds = table["seed"].n_unique()
    settings.append(f"{n_seeds} seed{'s' if n_seeds > 1 else ''}")
    if measure == "proxy":
        points = _listed(table, "points") if "points" in table.columns else str(N_PROBES)
        settings.append(f"T = {points} random points per network")
    parts.append("; ".join([*settings, *extra]) + ".")
    if intervals and n_seeds > 1:
        narrow = ", too narrow with fewer than five" if n_seeds < 5 else ""
        parts.append(f"Intervals: 95 % bootstrap over seeds{narrow}.")
    return " ".join(parts)


def _write_caption(figure: Figure, caption: str, width: int) -> None:
    """Under the axes, where the constrained layout makes room for it, in lines of about equal length up to `width`."""
    n_lines = math.ceil(len(caption) / width)
    lines = textwrap.wrap(caption, min(width, len(caption) // n_lines + 8))
    figure.supxlabel("\n".join(lines), fontsize=8.5, color="0.25")


def _fit(x: np.ndarray, y: np.ndarray, seeds: np.ndarray) -> AffineFit | None:
    """The affine fit, or None where all points share one x."""
    return affine(x, y, seeds) if np.ptp(x) > 0 else None


def _number(value: float, decimals: int | None = None) -> str:
    """`value` with so many decimals, or with three significant digits; a true minus sign."""
    text = f"{value:#.3g}".rstrip(".") if decimals is None else f"{value:.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    """For example "3.01 [2.93, 3.08]", to two digits of the interval's width; the value alone where there is none."""
    width = interval[1] - interval[0]
    if not math.isfinite(width):
        return _number(value)
    decimals = min(max(1 - math.floor(math.log10(width)), 0), 4) if width > 0 else 4
    return f"{_number(value, decimals)} [{_number(interval[0], decimals)}, {_number(interval[1], decimals)}]"


def _one_two_five(axis: Axis) -> None:
    """Ticks of a logarithmic axis at 1, 2, 5, 10, ..., written out."""
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _draw_line(axes: Axes, x: np.ndarray, fit: AffineFit, **style_: Any) -> None:
    ends = np.array([x.min(), x.max()])
    axes.plot(ends, fit(ends), **style_)


def figure2(table: pl.DataFrame, measure: str = "proxy") -> Figure:
    """Figure 2 (Experiment 1): sqrt(n/k) against the maximum random gradient, coloured by dimension.

    Drawn beside the points: the affine fit with its bootstrap interval over seeds, and the shape of Conjecture 1,
    c sqrt(n/k), with the largest c that leaves no point below it. For a lower estimate such as the proxy that c serves
    Lip(f) of all plotted networks; it is no statement about the networks that training did not find.

    Args:
        table: one row per network asked for; columns n, d, k, seed, fitted and `measure`; status, epsilon and points
            are read for the caption where they are there.
        measure: the column on the y axis.

    Raises:
        UserError: a missing column, no rows, or no fitted network with a finite measure.
    """
    _check(table, measure, "n", "d", "k", "seed", "fitted")
    rows = _usable(table, measure)
    n, d, k = (rows[column].to_numpy().astype(np.float64) for column in ("n", "d", "k"))
    x, y, seeds = np.sqrt(n / k), rows[measure].to_numpy().astype(np.float64), rows["seed"].to_numpy()
    with style():
        figure = Figure(figsize=(7.2, 5.6), layout="constrained")
        axes = figure.add_subplot()
        # A margin of two per cent, so that a table of a single dimension has a colour scale too.
        norm = LogNorm(d.min() / 1.02, d.max() * 1.02)
        points = axes.scatter(x, y, c=d, norm=norm, cmap="viridis", s=16, alpha=0.8, linewidths=0, label="_points")
        bar = figure.colorbar(points, ax=axes, label="dimension d", pad=0.02)
        if bar.solids is not None:
            bar.solids.set_alpha(1.0)  # the colours as they are, not as thinned for the points
        _one_two_five(bar.ax.yaxis)
        fit = _fit(x, y, seeds)
        if fit is not None:
            slope = _with_interval(fit.slope, fit.slope_interval)
            label = f"affine fit: slope {slope}, intercept {_number(fit.intercept)}, $R^2$ = {fit.r_squared:.2f}"
            _draw_line(axes, x, fit, color=_DEFAULT_COLOUR, label=label)
        c = float((y / x).min())
        side = _MEASURES.get(measure, ("", ""))[1]
        side = f";\nthe points are {side} Lip(f)" if side else ""
        label = f"shape of Conjecture 1, $c\\sqrt{{n/k}}$: c = {_number(c)}, the largest below all points{side}"
        axes.plot([0.0, x.max()], [0.0, c * x.max()], "--", color="#D55E00", label=label)
        axes.set_xlim(0.0, 1.03 * x.max())
        axes.set_ylim(0.0, 1.28 * y.max() or 1.0)  # head room for the legend
        axes.set_xlabel("$\\sqrt{n/k}$   (n points, k neurons)")
        axes.set_ylabel(_axis_label(measure))
        axes.legend(loc="upper left")
        _write_caption(figure, _caption(table, measure, f"n = {_listed(table, 'n')}", intervals=True), 100)
    return figure


def _by_rule(table: pl.DataFrame, measure: str) -> dict[str, pl.DataFrame]:
    """The plottable rows of each width rule asked for, in the order of the legend."""
    unknown = sorted({str(rule) for rule in table["width_rule"].unique().to_list()} - set(_RULES))
    if unknown:
        raise UserError(f"Unknown width rule(s) {', '.join(unknown)}: the figure knows {' and '.join(_RULES)}.")
    rows = _usable(table, measure)
    asked = set(table["width_rule"].to_list())
    return {rule: rows.filter(pl.col("width_rule") == rule) for rule in _RULES if rule in asked}


def _sqrt_d_panel(axes: Axes, by_rule: dict[str, pl.DataFrame], measure: str) -> None:
    """Points, affine fit and the law's shape for each width rule; the legend carries slopes and exponents."""
    top = 0.0
    for name, rows in by_rule.items():
        rule = _RULES[name]
        if rows.is_empty():
            axes.plot([], [], rule.marker, color=rule.colour, label=f"{rule.label}: no network fitted")
            continue
        x, y = np.sqrt(rows["d"].to_numpy().astype(np.float64)), rows[measure].to_numpy().astype(np.float64)
        seeds = rows["seed"].to_numpy()
        top = max(top, float(y.max()))
        axes.scatter(x, y, c=rule.colour, marker=rule.marker, s=24, alpha=0.75, linewidths=0, label=f"_{name}")
        handle: dict[str, Any] = {"color": rule.colour, "marker": rule.marker, "markevery": [], "markersize": 5}
        fit = _fit(x, y, seeds)
        if fit is None:
            axes.plot(
                [], [], rule.marker, color=rule.colour, markersize=5, label=f"{rule.label}: one dimension, no fit"
            )
            continue
        label = f"{rule.label}: slope {_with_interval(fit.slope, fit.slope_interval)}"
        if y.min() > 0:
            law = power_law(x, y, seeds)
            label += f",\nexponent in $\\sqrt{{d}}$ {_with_interval(law.exponent, law.exponent_interval)}"
        _draw_line(axes, x, fit, label=label, **handle)
        ends = np.array([x.min(), x.max()])
        shape = float(np.median(y / x**rule.power)) * ends**rule.power
        axes.plot(
            ends, shape, "--", color=rule.colour, linewidth=0.9, label=f"law's shape for {rule.label}: {rule.shape}"
        )
    axes.set_xlim(left=0.0)
    axes.set_ylim(0.0, 1.45 * top or 1.0)  # head room for the legend
    axes.set_xlabel("$\\sqrt{d}$   (d: dimension)")
    axes.set_ylabel(_axis_label(measure))
    axes.legend(loc="upper left")


def _decomposition_panel(axes: Axes, by_rule: dict[str, pl.DataFrame]) -> None:
    """The norm of the mean gradient and the largest deviation from it: points, and lines through medians over seeds."""
    kinds = (
        ("linear_part", "norm of the mean gradient", ":", None),
        ("residual", "largest deviation from it", "-", "none"),
    )
    for name, rows in by_rule.items():
        rule = _RULES[name]
        for column, words, dash, face in kinds:
            kept = rows.filter(_is_number(column))
            if kept.is_empty():
                continue
            looks: dict[str, Any] = {"color": rule.colour, "marker": rule.marker, "markersize": 4}
            looks["markerfacecolor"] = rule.colour if face is None else face
            x, y = np.sqrt(kept["d"].to_numpy().astype(np.float64)), kept[column].to_numpy().astype(np.float64)
            axes.plot(x, y, linestyle="none", alpha=0.7, label=f"_{name} {column}", **looks)
            curve_x, curve_y = _medians(x, y)
            axes.plot(curve_x, curve_y, dash, color=rule.colour, linewidth=1.1, label=f"_{name} {column} median")
            axes.plot([], [], linestyle=dash, label=f"{rule.label}: {words}", **looks)
    axes.set_xlim(left=0.0)
    axes.set_xlabel("$\\sqrt{d}$   (d: dimension)")
    axes.set_ylabel("norm of each part of the gradient")
    axes.legend(loc="upper left")


def _medians(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct x in order, and the median of y at each."""
    distinct = np.unique(x)
    return distinct, np.array([np.median(y[x == value]) for value in distinct])


def _rule_caption(table: pl.DataFrame, by_rule: dict[str, pl.DataFrame], measure: str) -> str:
    counts = ", ".join(
        f"{len(rows)} of {int((table['width_rule'] == name).sum())} for {name}" for name, rows in by_rule.items()
    )
    return _caption(table, measure, f"plotted: {counts}", f"n = {_listed(table, 'n')}", intervals=True)


def figure1(table: pl.DataFrame, measure: str = "proxy") -> Figure:
    """Figure 1 (Experiment 2): sqrt(d) against the maximum random gradient for the widths k = n and k = 10n/d.

    Conjectures 1 and 2 give sqrt(n/k) = 1 for k = n and sqrt(d/10) for k = 10n/d: a constant, and a line in sqrt(d).
    Thin dashed lines have these shapes, scaled through the median of the points; thick lines are affine fits. The
    exponents in the legend are of the power law in sqrt(d), where the law says 0 and 1.

    Args:
        table: one row per network asked for; columns n, d, seed, fitted, width_rule ("k = n" or "k = 10n/d") and
            `measure`; status, epsilon and points are read for the caption where they are there.
        measure: the column on the y axis.

    Raises:
        UserError: a missing column, no rows, an unknown width rule, or no fitted network with a finite measure.
    """
    _check(table, measure, "n", "d", "seed", "fitted", "width_rule")
    by_rule = _by_rule(table, measure)
    with style():
        figure = Figure(figsize=(6.8, 5.4), layout="constrained")
        _sqrt_d_panel(figure.add_subplot(), by_rule, measure)
        _write_caption(figure, _rule_caption(table, by_rule, measure), 95)
    return figure


def figure3(table: pl.DataFrame, measure: str = "proxy") -> Figure:
    """Figure 3 (Experiment 2): `figure1` with a second panel that takes the gradient apart.

    The right panel shows, for the same networks, the norm of the mean gradient over the random points (the linear part
    of the network) and the largest deviation from that mean.

    Args:
        table: the columns of `figure1`, linear_part and residual.
        measure: the column on the y axis of the left panel.

    Raises:
        UserError: as `figure1`.
    """
    _check(table, measure, "n", "d", "seed", "fitted", "width_rule", "linear_part", "residual")
    by_rule = _by_rule(table, measure)
    with style():
        figure = Figure(figsize=(12.0, 5.4), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _decomposition_panel(right, by_rule)
        _sqrt_d_panel(left, by_rule, measure)
        right.yaxis.set_tick_params(labelleft=True)
        _write_caption(figure, _rule_caption(table, by_rule, measure), 170)
    return figure


def factors(table: pl.DataFrame, measure: str = "proxy") -> Figure:
    """The choices that the paper leaves open, one panel each: sqrt(d) against the median over seeds of the measure.

    One line per setting and width rule: solid for k = 10n/d, dashed for k = n, black for the default setting. A setting
    of which some networks did not fit says so in its legend entry; medians are over the seeds that fitted. Both axes
    are logarithmic (the law's lines then have slopes 1 and 0, and both width rules can be read), unless a value is not
    positive.

    Args:
        table: one row per network asked for; columns factor, setting, is_default, width_rule, d, seed, fitted and
            `measure`; status, epsilon and points are read for the caption where they are there.
        measure: the column on the y axes, which all panels share.

    Raises:
        UserError: a missing column, no rows, an unknown width rule, or no fitted network with a finite measure.
    """
    _check(table, measure, "factor", "setting", "is_default", "width_rule", "d", "seed", "fitted")
    by_rule = _by_rule(table, measure)
    names = table["factor"].unique(maintain_order=True).to_list()
    n_columns = 2 if len(names) == 4 else min(3, len(names))
    n_rows = math.ceil(len(names) / n_columns)
    with style():
        figure = Figure(figsize=(3.9 * n_columns + 0.4, 3.1 * n_rows + 1.1), layout="constrained")
        panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
        for axes, name in zip(panels.flat, names, strict=False):
            _factor_panel(axes, table.filter(pl.col("factor") == name), by_rule, measure)
            axes.set_title(name)
        for axes in panels.flat[len(names) :]:
            axes.remove()
        for column in range(n_columns):  # the lowest panel of each column carries the label
            lowest = max(index for index in range(column, len(names), n_columns))
            panels.flat[lowest].set_xlabel("$\\sqrt{d}$")
            panels.flat[lowest].xaxis.set_tick_params(labelbottom=True)
        top = max(float(rows[measure].max()) for rows in by_rule.values() if len(rows))  # type: ignore[arg-type]
        low = min(float(rows[measure].min()) for rows in by_rule.values() if len(rows))  # type: ignore[arg-type]
        if low > 0:
            panels[0, 0].set(xscale="log", yscale="log", ylim=(0.7 * low, 1.2 * top * (top / low) ** 0.35))
            for axis in (panels[0, 0].xaxis, panels[0, 0].yaxis):
                _one_two_five(axis)
        else:
            panels[0, 0].set(xlim=(0.0, None), ylim=(min(0.0, low), 1.35 * top or 1.0))
        figure.supylabel(f"{_title(measure)}, median over seeds", fontsize=11)
        lines = [Line2D([], [], color="0.3", linestyle=_RULES[rule].dash, label=_RULES[rule].label) for rule in by_rule]
        lines.append(Line2D([], [], color=_DEFAULT_COLOUR, marker="o", markersize=4, label="default setting"))
        figure.legend(handles=lines, loc="outside upper center", ncols=len(lines), fontsize=9.5)
        _write_caption(figure, _caption(table, measure), 60 * n_columns)
    return figure


def _factor_panel(axes: Axes, asked: pl.DataFrame, by_rule: dict[str, pl.DataFrame], measure: str) -> None:
    factor = asked["factor"][0]
    settings = asked.select("setting", "is_default").unique(maintain_order=True).sort("is_default", descending=True)
    n_colours = 0
    for setting, is_default in settings.iter_rows():
        if is_default:
            looks: dict[str, Any] = {"color": _DEFAULT_COLOUR, "marker": "o", "markersize": 4}
        else:
            index = n_colours % len(_SETTING_COLOURS)
            looks = {"color": _SETTING_COLOURS[index], "marker": _SETTING_MARKERS[index], "markersize": 4}
            n_colours += 1
        chosen = (pl.col("factor") == factor) & (pl.col("setting") == setting) & (pl.col("is_default") == is_default)
        n_fitted = 0
        for name, plottable in by_rule.items():
            rows = plottable.filter(chosen)
            if len(rows):
                n_fitted += len(rows)
                x, y = np.sqrt(rows["d"].to_numpy().astype(np.float64)), rows[measure].to_numpy().astype(np.float64)
                axes.plot(*_medians(x, y), _RULES[name].dash, linewidth=1.3, label=f"_{setting} {name}", **looks)
        n_asked = len(asked.filter(chosen))
        missing = f" ({n_fitted or 'none'} of {n_asked} fitted)" if n_fitted < n_asked else ""
        axes.plot([], [], linewidth=1.3, label=f"{setting}{missing}", **looks)
    axes.legend(loc="upper left", fontsize=8, handlelength=1.8, labelspacing=0.3)


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
