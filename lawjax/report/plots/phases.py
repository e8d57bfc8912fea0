"""The memorisation phase diagram: the share of networks that fit, over kd/n and n/d."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from lawjax.report.plots.base import drawing, finish, log_axes
from lawjax.report.plots.captions import listed
from lawjax.report.plots.settings import PROBES, changed, said
from lawjax.report.plots.tables import checked


def capacity(cells: Any) -> Figure:
    """For each d, the share that fit over (kd/n, n/d), and below it the same with intervals over kd/n.

    Args:
        cells: one row for each (d, n, k), of Polars or pandas: columns d, n, k, n_over_d, kd_over_n, tried, fitted,
            share, low, high; columns named like fields of the configuration are read for the caption.

    Raises:
        UserError: no table, a column that is missing or of another kind, or no rows.
    """
    ratios, shares = ("n_over_d", "kd_over_n"), ("share", "low", "high")
    sizes = ("d", "n", "k", "tried")
    cells = checked(cells, "capacity", sizes=sizes, counts=["fitted"], positive=ratios, numbers=shares)
    dimensions = sorted(cells["d"].unique())
    with drawing(5.6 * len(dimensions) + 0.8, 8.0) as figure:
        panels = figure.subplots(2, len(dimensions), squeeze=False, sharex="col")
        colours = ScalarMappable(Normalize(0, 1), "cividis")
        for column, d in enumerate(dimensions):
            rows = cells.filter(d=d)
            _draw_map(panels[0, column], rows, colours)
            _draw_shares(panels[1, column], rows)
            panels[0, column].set_title(f"d = {d}")
        figure.colorbar(colours, ax=panels[0].tolist(), label="share of networks that fit", pad=0.02)
        counts = f"{cells['tried'].sum():,} networks, {listed(cells, 'tried')} for each (n, d, k)"
        trained = "; ".join(words for name in ("epsilon", "step_limit") if (words := said(cells, name)))
        parts = [
            f"{counts}; {trained}." if trained else f"{counts}.",
            changed(cells, {"epsilon", "step_limit", *PROBES}),  # nothing is probed
            "Line: k = n/d, below which no network fits generic data up to a constant. Bars: 95 % intervals.",
        ]
        finish(figure, " ".join(part for part in parts if part), 60 * len(dimensions) + 20)
    return figure


def _draw_map(axes: Axes, rows: pl.DataFrame, colours: ScalarMappable) -> None:
    x, y, share = (rows[name].to_numpy() for name in ("kd_over_n", "n_over_d", "share"))
    axes.scatter(x, y, c=colours.to_rgba(share), s=240, marker="s", edgecolors="0.6", linewidths=0.5)
    for at, height, fitted, tried in rows.select("kd_over_n", "n_over_d", "fitted", "tried").iter_rows():
        light = fitted < 0.6 * tried
        axes.text(at, height, str(fitted), ha="center", va="center", fontsize=7, color="white" if light else "black")
    axes.axvline(1.0, color="#D55E00", linewidth=1.4, zorder=0.9)
    axes.set(ylabel="n/d   (points per dimension)")
    log_axes(axes)
    axes.set_ylim(y.min() / math.sqrt(2), y.max() * math.sqrt(2))


def _draw_shares(axes: Axes, rows: pl.DataFrame) -> None:
    points = sorted(rows["n_over_d"].unique())
    shades = colormaps["viridis"](np.linspace(0.0, 0.9, len(points)))
    for place, (ratio, colour) in enumerate(zip(points, shades, strict=True)):
        of_ratio = rows.filter(pl.col("n_over_d") == ratio)
        x, share, low, high = (of_ratio[name].to_numpy() for name in ("kd_over_n", "share", "low", "high"))
        beside = x * (1.0 + 0.012 * (place - len(points) / 2))
        axes.vlines(beside, low, high, color=colour, linewidth=0.9, alpha=0.7)
        axes.plot(beside, share, "o-", color=colour, markersize=4, linewidth=1.2, label=f"n/d = {ratio:g}")
    axes.axvline(1.0, color="#D55E00", linewidth=1.4, label="k = n/d")
    axes.set(ylim=(-0.03, 1.03), xlabel="kd/n   (capacity)", ylabel="share of networks that fit")
