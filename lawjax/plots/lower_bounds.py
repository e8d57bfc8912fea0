"""Proved lower bounds against what networks that fit have."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lawjax.errors import UserError
from lawjax.plots.base import medians, one_two_five, style, write_caption

_QUADRATIC = (  # column, colour, marker, dash, label
    ("least_frobenius", "#56B4E9", "^", "-", "exact fit of least Frobenius norm"),
    ("theorem2", "#0072B2", "s", "-", "Theorem 2's tensor (approximate fit)"),
    ("least_norm", "#009E73", "v", "-", "exact fit of least operator norm"),
    ("theorem7", "#000000", "", "--", "Theorem 7 on this data, k = d: no form that fits is below"),
)


_LAW = r"$\sqrt{n/k}$ (Conjecture 1, c = 1)"


def lower_bounds(table: pl.DataFrame) -> Figure:
    """Left, Theorem 4 and the data floor over k beside trained networks; right, Theorem 7 beside quadratic networks.

    Args:
        table: what experiments/lower_bounds.py measured: kind, n, d, k, seed, fitted and a column for each bound.

    Raises:
        UserError: a missing column, or no rows of one kind.
    """
    missing = {"kind", "theorem4", "theorem7", "least_norm", "fitted"} - set(table.columns)
    if missing or table.is_empty():
        raise UserError(f"The table lacks {', '.join(sorted(missing)) or 'rows'}; run experiments/lower_bounds.py.")
    trained, quadratic = table.filter(kind="trained"), table.filter(kind="quadratic")
    with style():
        figure = Figure(figsize=(11.5, 4.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_trained(left, trained)
        _draw_quadratic(right, quadratic)
        seeds = table["seed"].n_unique()
        dropped = int((~trained["fitted"]).sum())
        write_caption(
            figure,
            f"Left: Gaussian data, n = {trained['n'][0]:,}, d = {trained['d'][0]}; {dropped} of {len(trained)} trained "
            f"networks did not fit. Right: sphere data, d = k = {quadratic['d'][0]}. Medians over {seeds} seeds.",
            150,
        )
    return figure


def _draw_trained(axes: Axes, rows: pl.DataFrame) -> None:
    k = rows["k"].to_numpy()
    fitted = rows.filter("fitted")
    if len(fitted):
        at, low, high = (fitted[name].to_numpy() for name in ("k", "lower", "upper"))
        axes.vlines(at, low, high, color="#E69F00", linewidth=2.0)
        axes.scatter(at, low, s=28, color="#E69F00", marker="h", label="trained by Adam: lower bound to certificate")
    axes.plot(*medians(k, rows["theorem4"].to_numpy()), "--", color="#000000", label="Theorem 4 on this data")
    axes.plot(*medians(k, rows["floor"].to_numpy()), ":", color="#0072B2", label="floor of this data, any function")
    axes.plot(
        k,
        np.sqrt(rows["n"] / rows["k"]),
        "-.",
        color="#999999",
        linewidth=1.1,
        label=_LAW,
    )
    axes.set(xscale="log", yscale="log", xlabel="k   (neurons)", ylabel=r"Lip(f) on $R^d$")
    _finish(axes)


def _draw_quadratic(axes: Axes, rows: pl.DataFrame) -> None:
    x = np.sqrt((rows["n"] / rows["d"]).to_numpy())
    for column, colour, marker, dash, label in _QUADRATIC:
        axes.plot(*medians(x, rows[column].to_numpy()), dash, marker=marker or None, color=colour, label=label)
    axes.plot(np.unique(x), np.unique(x), "-.", color="#999999", linewidth=1.1, label=_LAW)
    axes.set(xscale="log", yscale="log", xlabel=r"$\sqrt{n/d}$", ylabel=r"$2\,\|T\|_{op}$ = Lip(f) on the unit ball")
    _finish(axes)


def _finish(axes: Axes) -> None:
    one_two_five(axes.xaxis)
    one_two_five(axes.yaxis)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 3.0)  # room for the legend
    axes.legend(loc="upper left" if axes.get_xlabel() != "k   (neurons)" else "upper right", fontsize=8)
