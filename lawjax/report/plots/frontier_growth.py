"""The frontier as something grows: the constant of Conjecture 1 with n and d, and two layers with their neurons."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lawjax.errors import UserError
from lawjax.report.plots.base import SPACE, draw_up_to_certificates, drawing, finish, log_axes
from lawjax.report.plots.captions import counted, listed
from lawjax.report.plots.frontier_rows import BOUNDS, left_out, plotted
from lawjax.report.plots.looks import COLOURS, EPSILON, look, setting_text
from lawjax.report.plots.rows import floats
from lawjax.report.plots.tables import check_known, checked

_DASHES = ("-", ":", "-.")
_PROVED = r"proved for exact fits without biases, $k \leq d$, W of full rank"


def frontier_constant(table: Any, settings: str = "") -> Figure:
    """The least Lip sqrt(k/n) found at each n, for every n/d and closeness of the fit.

    Args:
        table: what experiments/constant.py measured, of Polars or pandas.
        settings: a sentence for the caption on what was changed, such as `lawjax.report.changed` gives.

    Raises:
        UserError: no table, a column that is missing or of another kind, or no networks that fit.
    """
    kinds: dict[str, Any] = {"words": ["fit"], "sizes": ("ratio", "n", "d", "k"), "counts": ["seed"]}
    table = checked(table, "constant", flags=["fitted"], numbers=BOUNDS, **kinds)
    kept = plotted(table)
    rows = _least(kept)
    with drawing(7.2, 5.8) as figure:
        axes = figure.subplots()
        _draw_constants(axes, rows)
        axes.axhline(0.25, linestyle="--", color="#000000", linewidth=1.2, label=_PROVED)
        sizes = sorted(rows["n"].unique())
        axes.set(xscale="log", xlabel="n   (points)", ylabel=rf"least Lip(f) $\cdot\,\sqrt{{k/n}}$ on {SPACE}")
        axes.set_xticks(sizes, [f"{n:,}" for n in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylim(bottom=0.0)
        finish(
            figure,
            "Smoothest networks found, Gaussian data, each at the k of the least median. Lines from a gradient at a "
            "point to a certificate, curves through medians of certificates over "
            f"{counted(rows['seed'].n_unique(), 'seed')}. Conjecture 1: no network is below some c > 0. "
            f"{left_out(table, kept)} {settings}".strip(),
            100,
        )
    return figure


def _least(kept: pl.DataFrame) -> pl.DataFrame:
    """Bounds times sqrt(k/n), at the k with the least median certificate of each fit, n/d and n."""
    root = (pl.col("k") / pl.col("n")).sqrt()
    scaled = kept.with_columns(low=pl.col("lower") * root, high=pl.col("upper") * root)
    middle = scaled.group_by("fit", "ratio", "n", "k").agg(pl.col("high").median())
    least = middle.sort("high", "k").group_by("fit", "ratio", "n", maintain_order=True).first()
    return scaled.join(least.select(pl.exclude("high")), on=["fit", "ratio", "n", "k"]).sort("n", "seed")


def _draw_constants(axes: Axes, rows: pl.DataFrame) -> None:
    """A curve for each n/d, filled or open and dashed by the closeness of the fit."""
    fits = sorted(rows["fit"].unique())
    for i, ratio in enumerate(sorted(rows["ratio"].unique())):
        for place, fit in enumerate(fits):
            own = rows.filter(ratio=ratio, fit=fit)
            if own.is_empty():
                continue
            colour = look(i)["color"]
            sizes, certificates = floats(own, "n", "high")
            axes.scatter(sizes, certificates, s=9, color=colour)
            looks = {**look(i), "markerfacecolor": "white" if place % 2 else colour, "zorder": 3}
            label = f"n/d = {ratio}, {setting_text('fit', fit)}"
            dash = _DASHES[place % len(_DASHES)]
            draw_up_to_certificates(axes, own, ("n", "low", "high"), dash, **looks, label=label)


def frontier_depth(table: Any, epsilon: float, settings: str = "") -> Figure:
    """The smoothest networks of one and of two hidden layers against the number of neurons in all.

    Args:
        table: what experiments/depth.py measured, of Polars or pandas.
        epsilon: mean square error that was allowed.
        settings: a sentence for the caption on what was changed, such as `lawjax.report.changed` gives.

    Raises:
        UserError: no table, a column that is missing or of another kind, no networks that fit, or an epsilon that is no
            number.
    """
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float):
        raise UserError(f"epsilon is the mean square error that was allowed, such as 0.02, not {epsilon!r}.")
    sizes = ("layers", "neurons", "n", "d")
    table = checked(table, "depth", sizes=sizes, counts=["seed"], flags=["fitted"], numbers=BOUNDS)
    check_known(table, "layers", (1, 2), "number(s) of layers")
    rows = plotted(table)
    with drawing(7.2, 5.2) as figure:
        axes = figure.subplots()
        for layers, colour, marker, label in (
            (1, COLOURS[0], "o", "one hidden layer"),
            (2, COLOURS[1], "^", "two hidden layers of half as many each"),
        ):
            own = rows.filter(layers=layers)
            if len(own):
                columns = ("neurons", "lower", "upper")
                draw_up_to_certificates(axes, own, columns, marker=marker, color=colour, label=label)
        axes.set(xlabel="neurons in all hidden layers", ylabel=f"Lip(f) on {SPACE}")
        log_axes(axes)
        finish(
            figure,
            f"Smoothest networks found, Gaussian data, n = {listed(table, 'n')}, d = {listed(table, 'd')}, "
            f"{EPSILON} = {epsilon:g}. Lines from a gradient at a point to a certificate, curves through medians of "
            f"certificates over {counted(table['seed'].n_unique(), 'seed')}. {left_out(table, rows)} "
            f"{settings}".strip(),
            100,
        )
    return figure
