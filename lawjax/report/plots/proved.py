"""Proved lower bounds against what networks that fit have."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lawjax.errors import UserError
from lawjax.report.plots.base import SPACE, draw_medians, drawing, finish, log_axes
from lawjax.report.plots.captions import counted
from lawjax.report.plots.tables import FITTED, check_known, checked, is_number

_QUADRATIC = (  # column, colour, marker, dash, label
    ("least_frobenius", "#56B4E9", "^", "-", "exact fit of least Frobenius norm"),
    ("theorem2", "#0072B2", "s", "-", "Theorem 2's tensor (approximate fit)"),
    ("least_norm", "#009E73", "v", "-", "exact fit of least operator norm"),
    ("theorem7", "#000000", "", "--", "Theorem 7 on this data, k = d: no form that fits is below"),
)
_EXACT = {"least_frobenius", "least_norm"}
_LAW = r"$\sqrt{n/k}$ (Conjecture 1, c = 1)"


def lower_bounds(table: Any, settings: str = "") -> Figure:
    """Left, Theorem 4 and the data floor over k beside trained networks; right, Theorem 7 beside quadratic networks.

    Args:
        table: what experiments/lower_bounds.py measured, of Polars or pandas: kind, n, d, k, seed, fitted and a column
            for each bound.
        settings: a sentence for the caption on what was changed, such as `lawjax.report.changed` gives.

    Raises:
        UserError: no table, a column that is missing or of another kind, or no rows of one kind.
    """
    names = ("theorem4", "floor", "lower", "upper", "theorem7", "least_norm", "least_frobenius", "theorem2")
    kinds: dict[str, Any] = {"words": ["kind"], "sizes": ("n", "d", "k"), "counts": ["seed"], "flags": ["fitted"]}
    table = checked(table, "lower_bounds", numbers=names, **kinds)
    check_known(table, "kind", ("trained", "quadratic"), "kind(s)")
    trained, quadratic = table.filter(kind="trained"), table.filter(kind="quadratic")
    if trained.is_empty() or quadratic.is_empty():
        kind = "trained" if trained.is_empty() else "quadratic"
        raise UserError(f"The table has no {kind} networks; run experiments/lower_bounds.py for both kinds.")
    with drawing(11.5, 5.4) as figure:
        left, right = figure.subplots(1, 2)
        _draw_trained(left, trained)
        _draw_quadratic(right, quadratic)
        dropped, forms = (int((~rows["fitted"]).sum()) for rows in (trained, quadratic))
        finish(
            figure,
            f"Left: Gaussian data, n = {trained['n'][0]:,}, d = {trained['d'][0]}; {dropped} of {len(trained)} trained "
            f"networks did not fit. Right: sphere data, d = k = {quadratic['d'][0]}; {forms} of {len(quadratic)} exact "
            "fits failed. Medians over "
            f"{counted(table['seed'].n_unique(), 'seed')}. {settings}".strip(),
            150,
        )
    return figure


def _draw_trained(axes: Axes, rows: pl.DataFrame) -> None:
    k = rows["k"].to_numpy()
    fitted = rows.filter(FITTED & is_number("lower") & is_number("upper"))
    if len(fitted):
        at, low, high = (fitted[name].to_numpy() for name in ("k", "lower", "upper"))
        axes.vlines(at, low, high, color="#E69F00", linewidth=2.0)
        axes.scatter(at, low, s=28, color="#E69F00", marker="h", label="trained by Adam: lower bound to certificate")
    for column, dash, colour, label in (
        ("theorem4", "--", "#000000", "Theorem 4 on this data"),
        ("floor", ":", "#0072B2", "floor of this data, any function"),
    ):
        draw_medians(axes, k, rows[column].to_numpy(), dash, color=colour, label=label)
    draw_medians(axes, k, np.sqrt((rows["n"] / rows["k"]).to_numpy()), "-.", color="#999999", linewidth=1.1, label=_LAW)
    axes.set(xlabel="k   (neurons)", ylabel=f"Lip(f) on {SPACE}")
    log_axes(axes)


def _draw_quadratic(axes: Axes, rows: pl.DataFrame) -> None:
    x, fitted = np.sqrt((rows["n"] / rows["d"]).to_numpy()), rows["fitted"].to_numpy()
    for column, colour, marker, dash, label in _QUADRATIC:
        y = rows[column].to_numpy()
        y = np.where(fitted, y, np.nan) if column in _EXACT else y
        draw_medians(axes, x, y, dash, marker=marker or None, color=colour, label=label)
    draw_medians(axes, x, x, "-.", color="#999999", linewidth=1.1, label=_LAW)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=r"$\sqrt{n/d}$   (n points, d dimensions)",
        ylabel=r"$2\,\|T\|_{op}$ = Lip(f) on the unit ball",
    )
    log_axes(axes)
