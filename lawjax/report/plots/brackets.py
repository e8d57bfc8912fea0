"""How far the probes and the products are from the truth, over the shapes of networks."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from lawjax.quantiles import quantiles
from lawjax.report.plots.base import drawing, finish, log_axes, one_two_five
from lawjax.report.plots.captions import caption_of, listed
from lawjax.report.plots.rows import usable_rows
from lawjax.report.plots.tables import checked, is_number

_PANELS = (
    ("proxy", "lower_space", "maximum random gradient / lower bound"),
    ("upper_space", "lower_space", "certificate / lower bound"),
    ("spectral_product", "upper_space", "Theorem 3's product / certificate"),
)


def ratios(table: Any) -> Figure:
    """Medians of proxy/lower, upper/lower and spectral product/upper over (k/n, d/n), one panel each.

    Bounds are on R^d. A dot is the median over all networks that share k/n and d/n; the line is k = d, from where on
    not every sign pattern of the neurons can occur.

    Args:
        table: one row per network asked for, of Polars or pandas; columns n, d, k, seed, fitted, proxy,
            spectral_product, lower_space and upper_space.

    Raises:
        UserError: no table, a column that is missing or of another kind, no rows, or no fitted network with a bracket.
    """
    numbers = ("proxy", "spectral_product", "lower_space", "upper_space")
    table = checked(table, "experiment1", sizes=("n", "d", "k"), counts=["seed"], flags=["fitted"], numbers=numbers)
    rows = usable_rows(table, "upper_space").with_columns(
        pl.col("k").truediv(pl.col("n")).alias("k/n"), pl.col("d").truediv(pl.col("n")).alias("d/n")
    )
    with drawing(14.5, 4.6) as figure:
        crossed = False
        for axes, (top, bottom, title) in zip(figure.subplots(1, 3, sharey=True), _PANELS, strict=True):
            measured = rows.with_columns(ratio=pl.col(top).truediv(pl.col(bottom)))
            cells = measured.group_by("k/n", "d/n").agg(pl.col("ratio").median()).sort("k/n", "d/n")
            crossed |= _panel(figure, axes, cells.filter(is_number("ratio")))
            axes.set_title(f"{title}\n{_spread(measured['ratio'])}")
            axes.yaxis.set_tick_params(labelleft=True)
        extra = [f"n = {listed(table, 'n')}", *(["dashed line: k = d"] if crossed else [])]
        finish(figure, caption_of(table, "upper_space", *extra, probed=True), 170)
    return figure


def _spread(ratio: pl.Series) -> str:
    low, middle, high = quantiles(ratio)
    undrawn = len(ratio) - ratio.is_finite().sum()
    without = f" ({undrawn} not finite)" if undrawn else ""
    return f"median {middle:.2f}, nine in ten between {low:.2f} and {high:.2f}{without}"


def _panel(figure: Figure, axes: Axes, cells: pl.DataFrame) -> bool:
    """One ratio in colours, and k = d where it passes between the points; returns whether it does."""
    axes.set(xlabel="k/n   (neurons per point)", ylabel="d/n   (dimensions per point)")
    if cells.is_empty():
        return False
    x, y, ratio = (cells[name].to_numpy() for name in ("k/n", "d/n", "ratio"))
    wide = ratio.max() > 3.0 * ratio.min() > 0.0
    norm = LogNorm(ratio.min(), ratio.max() * 1.001) if wide else Normalize(ratio.min(), ratio.max())
    colours = ScalarMappable(norm, "cividis")
    axes.scatter(x, y, c=colours.to_rgba(ratio), s=42, linewidths=0)
    bar = figure.colorbar(colours, ax=axes, pad=0.02)
    if wide:
        one_two_five(bar.ax.yaxis)
    low, high = max(x.min(), y.min()), min(x.max(), y.max())
    if low < high:
        axes.plot([low, high], [low, high], "--", color="#D55E00", linewidth=1.1, zorder=0.9, label="_k = d")
    log_axes(axes)
    return bool(low < high)
