"""The memorisation phase diagram: the share of networks that fit, over kd/n and n/d."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from lawjax.errors import UserError
from lawjax.plots.base import listed, one_two_five, style, write_caption

_COLUMNS = {"d", "n", "k", "n_over_d", "kd_over_n", "tried", "fitted", "share", "low", "high"}


def capacity(cells: pl.DataFrame) -> Figure:
    """For each d, the share that fit over (kd/n, n/d), and below it the same with intervals over kd/n.

    Args:
        cells: one row for each (d, n, k): columns d, n, k, n_over_d, kd_over_n, tried, fitted, share, low, high.

    Raises:
        UserError: a missing column, or no rows.
    """
    missing = _COLUMNS - set(cells.columns)
    if missing or cells.is_empty():
        raise UserError(f"The table lacks {', '.join(sorted(missing)) or 'rows'}; run experiments/capacity.py.")
    dimensions = sorted(cells["d"].unique())
    with style():
        figure = Figure(figsize=(5.6 * len(dimensions) + 0.8, 8.0), layout="constrained")
        panels = figure.subplots(2, len(dimensions), squeeze=False, sharex="col")
        colours = ScalarMappable(Normalize(0, 1), "cividis")
        for column, d in enumerate(dimensions):
            rows = cells.filter(d=d)
            _draw_map(panels[0, column], rows, colours)
            _draw_shares(panels[1, column], rows)
            panels[0, column].set_title(f"d = {d}")
        figure.colorbar(colours, ax=panels[0].tolist(), label="share of networks that fit", pad=0.02)
        write_caption(
            figure,
            f"{cells['tried'].sum():,} networks, {listed(cells, 'tried')} for each (n, d, k), trained by Adam. Line: "
            "k = n/d, below which no network fits generic data up to a constant. Bars: 95 % intervals.",
            60 * len(dimensions) + 20,
        )
    return figure


def _draw_map(axes: Axes, rows: pl.DataFrame, colours: ScalarMappable) -> None:
    x, y, share = (rows[name].to_numpy() for name in ("kd_over_n", "n_over_d", "share"))
    axes.scatter(x, y, c=colours.to_rgba(share), s=240, marker="s", edgecolors="0.6", linewidths=0.5)
    for at, height, fitted, tried in rows.select("kd_over_n", "n_over_d", "fitted", "tried").iter_rows():
        light = fitted < 0.6 * tried
        axes.text(at, height, str(fitted), ha="center", va="center", fontsize=7, color="white" if light else "black")
    axes.axvline(1.0, color="#D55E00", linewidth=1.4)
    axes.set(xscale="log", yscale="log", ylabel="n/d   (points per dimension)")
    axes.set_ylim(y.min() / math.sqrt(2), y.max() * math.sqrt(2))
    one_two_five(axes.xaxis)
    one_two_five(axes.yaxis)


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
    axes.legend(loc="lower right")
