"""How far the probes and the products are from the truth, over the shapes of networks."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from lawjax.plots.base import (
    caption_of,
    check_columns,
    listed,
    one_two_five,
    style,
    usable_rows,
    write_caption,
)

_PANELS = (
    ("proxy", "lower_space", "maximum random gradient / lower bound"),
    ("upper_space", "lower_space", "certificate / lower bound"),
    ("spectral_product", "upper_space", "Theorem 3's product / certificate"),
)


def ratios(table: pl.DataFrame) -> Figure:
    """Medians of proxy/lower, upper/lower and spectral product/upper over (k/n, d/n), one panel each.

    Bounds are on R^d. A dot is the median over all networks that share k/n and d/n; the line is k = d, from where on
    not every sign pattern of the neurons can occur.

    Args:
        table: one row per network asked for; columns n, d, k, seed, fitted, proxy, spectral_product, lower_space and
            upper_space.

    Raises:
        UserError: a missing column, no rows, or no fitted network with a bracket.
    """
    names = ("n", "d", "k", "seed", "fitted", "proxy", "spectral_product", "lower_space")
    check_columns(table, "upper_space", *names)
    rows = usable_rows(table, "upper_space").with_columns(
        pl.col("k").truediv(pl.col("n")).alias("k/n"), pl.col("d").truediv(pl.col("n")).alias("d/n")
    )
    with style():
        figure = Figure(figsize=(13.5, 4.6), layout="constrained")
        for axes, (top, bottom, title) in zip(figure.subplots(1, 3, sharey=True), _PANELS, strict=True):
            ratio = pl.col(top).truediv(pl.col(bottom)).median().alias("ratio")
            _panel(figure, axes, rows.group_by("k/n", "d/n").agg(ratio).sort("k/n", "d/n"), title)
            overall = rows.select(pl.col(top).truediv(pl.col(bottom)))[top].to_numpy()
            low, middle, high = np.quantile(overall, (0.05, 0.5, 0.95))
            axes.set_title(f"{title}\nmedian {middle:.2f}, nine in ten between {low:.2f} and {high:.2f}")
            axes.yaxis.set_tick_params(labelleft=True)
        write_caption(figure, caption_of(table, "upper_space", f"n = {listed(table, 'n')}"), 170)
    return figure


def _panel(figure: Figure, axes: Axes, cells: pl.DataFrame, title: str) -> None:
    x, y, ratio = (cells[name].to_numpy() for name in ("k/n", "d/n", "ratio"))
    wide = ratio.max() > 3.0 * ratio.min()
    norm = LogNorm(ratio.min(), ratio.max() * 1.001) if wide else Normalize(ratio.min(), ratio.max())
    colours = ScalarMappable(norm, "cividis")
    axes.scatter(x, y, c=colours.to_rgba(ratio), s=42, linewidths=0)
    bar = figure.colorbar(colours, ax=axes, pad=0.02)
    if wide:
        one_two_five(bar.ax.yaxis)
    ends = np.array([max(x.min(), y.min()), min(x.max(), y.max())])
    axes.plot(ends, ends, "--", color="#D55E00", linewidth=1.1, label="k = d")
    axes.set(xscale="log", yscale="log", xlabel="k/n   (neurons per point)", ylabel="d/n   (dimensions per point)")
    axes.legend(loc="lower left")
