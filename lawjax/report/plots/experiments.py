"""Figure 2 of Experiment 1, and Figures 1 and 3 of Experiment 2."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from lawjax.report.fits import power_law
from lawjax.report.plots.base import (
    DEFAULT_COLOUR,
    SPACE,
    affine_fit,
    draw_brackets,
    draw_line,
    drawing,
    finish,
    medians,
    one_two_five,
)
from lawjax.report.plots.captions import MEASURES, axis_label, caption_of, listed, number_text, with_interval
from lawjax.report.plots.rows import RULES, has_brackets, rows_by_rule, usable_rows
from lawjax.report.plots.tables import check_measure, checked, is_number

_LOOSE = 3.0  # certificates over lower bounds from which they do not set the height of a figure
_ROOM = 1.05  # of the y axis above the highest point
_FEW = 8  # dimensions that the colour bar names one by one
_BESIDE = {"k = n": -0.006, "k = 10n/d": 0.006}  # shares of the largest x by which brackets are moved apart


def figure2(table: Any, measure: str = "proxy") -> Figure:
    """Figure 2 (Experiment 1): sqrt(n/k) against the maximum random gradient, coloured by dimension.

    Drawn beside the points: the affine fit with its bootstrap interval over seeds, and the shape of Conjecture 1,
    c sqrt(n/k), with the largest c that leaves no point below it. For a lower estimate such as the proxy that c serves
    Lip(f) of all plotted networks; it is no statement about the networks that training did not find.

    Where the table has brackets (lower_space, upper_space), a second panel shows for the same networks the lower bound
    on Lip(f) on R^d, a gradient norm at a point, as dots and what is left below the certificate as lines; its c is one
    for which Lip(f) >= c sqrt(n/k) is proved for all of them.

    Args:
        table: one row per network asked for, of Polars or pandas; columns n, d, k, seed, fitted and `measure`; status
            and columns named like fields of the configuration are read for the caption where they are there.
        measure: the column on the y axis.

    Raises:
        UserError: no table, a column that is missing or of another kind, no rows, or no fitted network with a finite
            measure.
    """
    check_measure(measure)
    table = checked(table, "experiment1", sizes=("n", "d", "k"), counts=["seed"], flags=["fitted"], numbers=[measure])
    rows = usable_rows(table, measure)
    bracketed = has_brackets(table)
    d = rows["d"].to_numpy().astype(np.float64)
    with drawing(12.4 if bracketed else 7.2, 6.0) as figure:
        panels = figure.subplots(1, 2 if bracketed else 1, sharey=True, squeeze=False)[0]
        # A margin of two per cent, so that a table of a single dimension has a colour scale too.
        colours = ScalarMappable(LogNorm(d.min() / 1.02, d.max() * 1.02), "viridis")
        _root_panel(panels[0], rows, measure, colours)
        highest, lowest = float(rows[measure].max()), float(rows[measure].min())  # type: ignore[arg-type]
        if bracketed:
            both = usable_rows(rows, "upper_space")
            _bracket_panel(panels[1], both, colours)
            highest = max(highest, float(both["upper_space"].max()))  # type: ignore[arg-type]
            panels[1].yaxis.set_tick_params(labelleft=True)
        _limit(panels[0], lowest, highest)
        _one_bar(figure, panels, colours, sorted(rows["d"].unique()))
        extra = f"n = {listed(table, 'n')}"
        finish(figure, caption_of(table, measure, extra, intervals=True), 170 if bracketed else 100)
    return figure


def _one_bar(figure: Figure, panels: Any, colours: ScalarMappable, dimensions: list[int]) -> None:
    bar = figure.colorbar(colours, ax=list(panels), label="dimension d", pad=0.02)
    one_two_five(bar.ax.yaxis)
    if len(dimensions) <= _FEW:
        bar.ax.set_yticks(dimensions, [f"{d:,}" for d in dimensions])


def _root_panel(axes: Axes, rows: pl.DataFrame, measure: str, colours: ScalarMappable) -> None:
    """A measure against sqrt(n/k), with its affine fit and the law's shape below it."""
    x, y, d = _roots(rows), *(rows[column].to_numpy().astype(np.float64) for column in (measure, "d"))
    looks: dict[str, Any] = {"norm": colours.norm, "cmap": colours.cmap, "linewidths": 0}
    axes.scatter(x, y, c=d, s=16, alpha=0.8, label="_points", **looks)
    _draw_fit(axes, x, y, rows["seed"].to_numpy())
    side = MEASURES.get(measure, ("", ""))[1]
    side = f";\nthe points are {side} Lip(f)" if side else ""
    _draw_law(axes, x, y, f"the largest below all points{side}")
    axes.set_ylabel(axis_label(measure))


def _bracket_panel(axes: Axes, rows: pl.DataFrame, colours: ScalarMappable) -> None:
    x, low = _roots(rows), rows["lower_space"].to_numpy().astype(np.float64)
    dots = colours.to_rgba(rows["d"].to_numpy().astype(np.float64))
    draw_brackets(axes, x, rows, colors=dots, alpha=0.45, linewidth=1.1, label="_brackets")
    axes.scatter(x, low, c=dots, s=12, alpha=0.9, linewidths=0, label="_lower bounds")
    _draw_fit(axes, x, low, rows["seed"].to_numpy(), "affine fit of the lower bounds")
    _draw_law(axes, x, low, "the largest below all lower bounds;\nit holds for every network shown")
    axes.set_ylabel(f"Lip(f) on {SPACE}: lower bound (dot), certificate (end of line)")


def _limit(axes: Axes, lowest: float, highest: float) -> None:
    """A y axis from 0, or from below what is negative, to a little above the highest point."""
    axes.set_ylim(_ROOM * min(0.0, lowest), _ROOM * max(0.0, highest) or 1.0)


def _roots(rows: pl.DataFrame) -> np.ndarray:
    """sqrt(n/k)."""
    return np.sqrt(rows["n"].to_numpy().astype(np.float64) / rows["k"].to_numpy())


def _draw_fit(axes: Axes, x: np.ndarray, y: np.ndarray, seeds: np.ndarray, name: str = "affine fit") -> None:
    fit = affine_fit(x, y, seeds)
    if fit is not None:
        slope = with_interval(fit.slope, fit.slope_interval)
        label = f"{name}: slope {slope},\nintercept {number_text(fit.intercept)}, $R^2$ = {fit.r_squared:.2f}"
        draw_line(axes, x, fit, color=DEFAULT_COLOUR, label=label)


def _draw_law(axes: Axes, x: np.ndarray, y: np.ndarray, words: str) -> None:
    c = float((y / x).min())
    label = f"shape of Conjecture 1, $c\\sqrt{{n/k}}$:\nc = {number_text(c)}, {words}"
    axes.plot([0.0, x.max()], [0.0, c * x.max()], "--", color="#D55E00", label=label)
    axes.set_xlim(0.0, 1.03 * x.max())
    axes.set_xlabel("$\\sqrt{n/k}$   (n points, k neurons)")


def _sqrt_d_panel(axes: Axes, by_rule: dict[str, pl.DataFrame], measure: str) -> None:
    """Points, affine fit and the law's shape for each width rule; the legend carries slopes and exponents."""
    top, low, bracketed = 0.0, 0.0, False
    ends_of_lines = [0.0]
    for name, rows in by_rule.items():
        rule = RULES[name]
        if rows.is_empty():
            axes.plot([], [], rule.marker, color=rule.colour, label=f"{rule.label}: no network fitted")
            continue
        x, y = np.sqrt(rows["d"].to_numpy().astype(np.float64)), rows[measure].to_numpy().astype(np.float64)
        seeds = rows["seed"].to_numpy()
        top, low = max(top, float(y.max())), min(low, float(y.min()))
        if has_brackets(rows):
            beside = x + _BESIDE[name] * x.max()
            looks: dict[str, Any] = {"colors": rule.colour, "alpha": 0.45, "linewidth": 2.4}
            draw_brackets(axes, beside, rows, ticks=True, label=f"_{name} brackets", **looks)
            bracketed = True
            ends_of_lines += rows["upper_space"].drop_nulls().to_list()
            tight = rows.filter(pl.col("upper_space") <= _LOOSE * pl.col("lower_space"))
            top = max([top, *rows["lower_space"].drop_nulls(), *tight["upper_space"]])
        axes.scatter(x, y, c=rule.colour, marker=rule.marker, s=24, alpha=0.75, linewidths=0, label=f"_{name}")
        handle: dict[str, Any] = {"color": rule.colour, "marker": rule.marker, "markevery": [], "markersize": 5}
        fit = affine_fit(x, y, seeds)
        if fit is None:
            axes.plot(
                [], [], rule.marker, color=rule.colour, markersize=5, label=f"{rule.label}: one dimension, no fit"
            )
            continue
        label = f"{rule.label}: slope {with_interval(fit.slope, fit.slope_interval)}"
        if y.min() > 0:
            law = power_law(x, y, seeds)
            label += f",\nexponent in $\\sqrt{{d}}$ {with_interval(law.exponent, law.exponent_interval)}"
        draw_line(axes, x, fit, label=label, **handle)
        ends = np.array([x.min(), x.max()])
        shape = float(np.median(y / x**rule.power)) * ends**rule.power
        axes.plot(
            ends, shape, "--", color=rule.colour, linewidth=0.9, label=f"law's shape for {rule.label}: {rule.shape}"
        )
    _roots_of_d(axes, by_rule)
    if bracketed:
        words = f"vertical lines, same networks: from\na lower bound on Lip(f) on {SPACE} to its\ncertificate"
        if max(ends_of_lines) > _ROOM * top:
            words += f"; the highest that leaves the\nfigure ends at {number_text(max(ends_of_lines))}"
        axes.plot([], [], "-", color="0.6", linewidth=2.4, label=words)
    _limit(axes, low, top)
    axes.set_ylabel(axis_label(measure))


def _roots_of_d(axes: Axes, by_rule: dict[str, pl.DataFrame]) -> None:
    """An x axis from 0 to a little above the largest sqrt(d)."""
    largest = max(float(rows["d"].max()) for rows in by_rule.values() if len(rows))  # type: ignore[arg-type]
    axes.set_xlim(0.0, 1.04 * np.sqrt(largest))
    axes.set_xlabel("$\\sqrt{d}$   (d: dimension)")


def _decomposition_panel(axes: Axes, by_rule: dict[str, pl.DataFrame]) -> None:
    """The norm of the mean gradient and the largest deviation from it: points, and lines through medians over seeds."""
    kinds = (
        ("linear_part", "norm of the mean gradient", ":", None),
        ("residual", "largest deviation from it", "-", "none"),
    )
    for name, rows in by_rule.items():
        rule = RULES[name]
        for column, words, dash, face in kinds:
            kept = rows.filter(is_number(column))
            if kept.is_empty():
                continue
            looks: dict[str, Any] = {"color": rule.colour, "marker": rule.marker, "markersize": 4}
            looks["markerfacecolor"] = rule.colour if face is None else face
            x, y = np.sqrt(kept["d"].to_numpy().astype(np.float64)), kept[column].to_numpy().astype(np.float64)
            axes.plot(x, y, linestyle="none", alpha=0.7, label=f"_{name} {column}", **looks)
            curve_x, curve_y = medians(x, y)
            axes.plot(curve_x, curve_y, dash, color=rule.colour, linewidth=1.1, label=f"_{name} {column} median")
            axes.plot([], [], linestyle=dash, label=f"{rule.label}: {words}", **looks)
    _roots_of_d(axes, by_rule)
    axes.set_ylabel("norm of each part of the gradient")


def _rule_caption(table: pl.DataFrame, by_rule: dict[str, pl.DataFrame], measure: str) -> str:
    counts = ", ".join(
        f"{len(rows)} of {int((table['width_rule'] == name).sum())} for {name}" for name, rows in by_rule.items()
    )
    return caption_of(table, measure, f"plotted: {counts}", f"n = {listed(table, 'n')}", intervals=True)


def _of_rules(table: Any, measure: str, *numbers: str) -> pl.DataFrame:
    check_measure(measure)
    kinds: dict[str, Any] = {"sizes": ("n", "d"), "counts": ["seed"], "words": ["width_rule"], "flags": ["fitted"]}
    return checked(table, "experiment2", numbers=(measure, *numbers), **kinds)


def figure1(table: Any, measure: str = "proxy") -> Figure:
    """Figure 1 (Experiment 2): sqrt(d) against the maximum random gradient for the widths k = n and k = 10n/d.

    Conjectures 1 and 2 give sqrt(n/k) = 1 for k = n and sqrt(d/10) for k = 10n/d: a constant, and a line in sqrt(d).
    Thin dashed lines have these shapes, scaled through the median of the points; thick lines are affine fits. The
    exponents in the legend are of the power law in sqrt(d), where the law says 0 and 1.

    Args:
        table: one row per network asked for, of Polars or pandas; columns n, d, seed, fitted, width_rule ("k = n" or
            "k = 10n/d") and `measure`; status and columns named like fields of the configuration are read for the
            caption where they are there.
        measure: the column on the y axis.

    Raises:
        UserError: no table, a column that is missing or of another kind, no rows, an unknown width rule, or no fitted
            network with a finite measure.
    """
    table = _of_rules(table, measure)
    by_rule = rows_by_rule(table, measure)
    with drawing(6.8, 6.2) as figure:
        _sqrt_d_panel(figure.add_subplot(), by_rule, measure)
        finish(figure, _rule_caption(table, by_rule, measure), 95)
    return figure


def figure3(table: Any, measure: str = "proxy") -> Figure:
    """Figure 3 (Experiment 2): `figure1` with a second panel that takes the gradient apart.

    The right panel shows, for the same networks, the norm of the mean gradient over the random points (the linear part
    of the network) and the largest deviation from that mean.

    Args:
        table: the columns of `figure1`, linear_part and residual.
        measure: the column on the y axis of the left panel.

    Raises:
        UserError: as `figure1`.
    """
    table = _of_rules(table, measure, "linear_part", "residual")
    by_rule = rows_by_rule(table, measure)
    with drawing(12.8, 6.2) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        _decomposition_panel(right, by_rule)
        _sqrt_d_panel(left, by_rule, measure)
        right.yaxis.set_tick_params(labelleft=True)
        finish(figure, _rule_caption(table, by_rule, measure), 170)
    return figure
