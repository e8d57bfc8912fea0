"""What the frontier hangs on: the closeness of the fit, the activation and the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from lawjax.report.plots.base import SPACE, draw_medians, drawing, finish, log_axes
from lawjax.report.plots.frontier_rows import PLOTTED, USUAL, left_out, of_search, read_frontier
from lawjax.report.plots.looks import EPSILON, ROOT_LABEL, look, setting_text


def frontier_factors(table: Any, settings: str = "") -> Figure:
    """What the frontier hangs on: how close the fit is; the activation; the data; each against sqrt(n/k).

    Args:
        table: what experiments/frontier.py measured, of Polars or pandas.
        settings: a sentence for the caption on what was changed, such as `lawjax.report.changed` gives.

    Raises:
        UserError: no table, a column that is missing or of another kind, or no networks that fit.
    """
    searched = read_frontier(table).filter(source="frontier", effort=1)
    rows = of_search(searched.filter(PLOTTED))
    counts = rows.group_by("n", "d").agg(settings=pl.struct("fit", "activation", "model").n_unique())
    n, d = counts.sort("settings", "n", "d").select("n", "d").row(-1)
    base = {**USUAL, "n": n, "d": d}
    panels = (("fit", "How close the fit is"), ("activation", "Activation"), ("model", "Data"))
    shown = []
    with drawing(13.0, 5.6) as figure:
        for axes, (factor, title) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
            others = {name: value for name, value in base.items() if name not in (factor, "n", "d")}
            asked = searched.filter((pl.col("d") == d) | pl.col("model").str.starts_with("digits"), n=n, **others)
            shown.append(asked)
            for i, (value, part) in enumerate(_by(asked.filter(PLOTTED), factor)):
                x = np.sqrt((part["n"] / part["k"]).to_numpy())
                draw_medians(axes, x, part["upper"].to_numpy(), "-", label=setting_text(factor, value), **_nested(i))
            axes.set(xlabel=ROOT_LABEL, title=title)
            log_axes(axes)
            axes.yaxis.set_tick_params(labelleft=True)
        figure.axes[0].set_ylabel(f"certified Lip(f) on {SPACE}, smoothest found")
        every = pl.concat(shown).unique(maintain_order=True)
        finish(
            figure,
            f"n = {n:,}, d = {d} (digits: 64 pixels); {EPSILON} = 0.02, ReLU, Gaussian data unless said. Data sets "
            "have mean squared length one. Medians over seeds of certificates of networks that fit. "
            f"{left_out(every, every.filter(PLOTTED))} {settings}".strip(),
            170,
        )
    return figure


def _by(rows: pl.DataFrame, factor: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each setting, the steepest first, so that the legend has the order of the curves."""
    order = rows.group_by(factor).agg(pl.col("upper").median()).sort("upper", factor, descending=[True, False])
    return ((value, rows.filter(pl.col(factor) == value)) for value in order[factor])


def _nested(i: int) -> dict[str, Any]:
    """The look of curve i, the later the finer, so that one below another that is nearly equal shows beside it."""
    return {**look(i), "linewidth": max(2.8 - 0.4 * i, 1.0), "markersize": max(8.0 - i, 3.5)}
