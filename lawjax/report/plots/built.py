"""The constructions of section 3 against the two rates that the paper proves and conjectures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lawjax.report.plots.base import drawing, finish, log_axes
from lawjax.report.plots.captions import counted
from lawjax.report.plots.tables import check_known, checked


class _Look(NamedTuple):
    colour: str
    marker: str
    label: str


_LOOKS = {  # colours of Okabe and Ito and one of Tol's, told apart by the colour-blind
    "grouped caps": _Look("#D55E00", "o", "grouped caps (Theorem 1)"),
    "clustered caps": _Look("#CC79A7", "D", "grouped caps, clustered"),
    "tensor": _Look("#0072B2", "s", "tensor, p = 2 (Theorem 2; approximate fit)"),
    "exact tensor": _Look("#56B4E9", "^", "tensor, p = 2, exact fit"),
    "partial tensor": _Look("#882255", "<", "partial tensor, p = 3"),
    "smoothest quadratic": _Look("#009E73", "v", "quadratic form of least norm"),
    "caps": _Look("#000000", "P", "caps (3.2)"),
    "ramps": _Look("#000000", "X", "ramps"),
    "linear": _Look("#000000", "*", "linear (3.1)"),
    "trained": _Look("#E69F00", "h", "trained by Adam"),
}
_GUIDES = ((1, "#666666", "--", r"slope of $\sqrt{n/k}$"), (2, "#666666", ":", r"slope of $n/k$"))


_MEASURE = r"Lipschitz constant near the unit sphere, $\sup\,\|\nabla f\|$"


def constructions(table: Any, settings: str = "") -> Figure:
    r"""Brackets of sup ||grad f|| near the unit sphere against sqrt(n/k); filled where the claim's conditions hold.

    A mark is the median lower bound over seeds, the line above it ends at the median certificate. Both axes are
    logarithmic, so that the law's sqrt(n/k) and Theorem 1's n/k are slopes.

    Args:
        table: one row per network, of Polars or pandas; columns construction, n, width, seed, conditions, lower_sphere
            and upper_sphere.
        settings: a sentence for the caption on what was changed, such as `lawjax.report.changed` gives.

    Raises:
        UserError: no table, a column that is missing or of another kind, no rows, or an unknown construction.
    """
    table = checked(
        table,
        "constructions",
        words=["construction"],
        sizes=("n", "width"),
        counts=["seed"],
        flags=["conditions"],
        numbers=("lower_sphere", "upper_sphere"),
    )
    check_known(table, "construction", _LOOKS, "construction(s)")
    rows = table.with_columns(x=(pl.col("n") / pl.col("width")).sqrt())
    middle = rows.group_by("construction", "x").agg(
        pl.col("lower_sphere").median(), pl.col("upper_sphere").median(), pl.col("conditions").all()
    )
    with drawing(10.6, 6.0) as figure:
        axes = figure.subplots()
        for name, look in _LOOKS.items():
            _draw(axes, middle.filter(construction=name).sort("x"), look)
        axes.set(xlabel=r"$\sqrt{n/k}$   (n points, k neurons)", ylabel=_MEASURE)
        _draw_guides(axes, middle)
        log_axes(axes)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8.5)
        seeds = counted(rows["seed"].n_unique(), "seed")
        failing = int((~rows["conditions"]).sum())
        caption = (
            f"{counted(len(rows), 'network')} on sphere data, medians over {seeds}. Mark: lower bound; upper end of "
            f"line: certificate. Open marks: {failing} for which a condition of the claim fails. Partial tensors "
            "have one (n, d), quadratic forms k = d; n and d differ between the others (see the summary)."
        )
        finish(figure, f"{caption} {settings}".strip(), 120)
    return figure


def _draw(axes: Axes, rows: pl.DataFrame, look: _Look) -> None:
    if rows.is_empty():
        return
    x, low, high = (rows[name].to_numpy() for name in ("x", "lower_sphere", "upper_sphere"))
    holds = rows["conditions"].to_numpy()
    axes.vlines(x, low, high, color=look.colour, linewidth=1.2)
    axes.plot(x, low, "-", color=look.colour, linewidth=0.8, alpha=0.5)
    axes.scatter(
        x[holds],
        low[holds],
        s=44,
        color=look.colour,
        marker=look.marker,
        label=look.label if holds.any() else None,
        zorder=3,
    )
    axes.scatter(
        x[~holds],
        low[~holds],
        s=44,
        facecolors="white",
        edgecolors=look.colour,
        marker=look.marker,
        label=None if holds.any() else look.label,
        zorder=3,
    )


def _draw_guides(axes: Axes, rows: pl.DataFrame) -> None:
    x = np.array([1.0, max(float(rows["x"].max()), 2.0)])  # type: ignore[arg-type]
    for power, colour, dash, label in _GUIDES:
        axes.plot(x, (2.0 if power == 1 else 4.0) * x**power, dash, color=colour, linewidth=1.1, label=label)
