"""The frontier over n, d and k: the law, its flatness, and the paper's constructions beside it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lawjax.report.plots.base import SPACE, draw_medians, draw_up_to_certificates, drawing, finish, log_axes
from lawjax.report.plots.captions import counted, number_text
from lawjax.report.plots.frontier_rows import PLOTTED, flat_n, left_out, most_widths, of_search, tenfold, usual
from lawjax.report.plots.looks import COLOURS, EPSILON, KINDS, ROOT, ROOT_LABEL, look
from lawjax.report.plots.rows import floats
from lawjax.report.plots.tables import check_known


def frontier_law(table: Any, settings: str = "") -> Figure:
    """Brackets of the smoothest and of Adam's networks over sqrt(n/k); Lip sqrt(k/n) over k/n; Lip sqrt(d/n) over k/d.

    Args:
        table: what experiments/frontier.py measured, of Polars or pandas.
        settings: a sentence for the caption on what was changed, such as `lawjax.report.changed` gives.

    Raises:
        UserError: no table, a column that is missing or of another kind, or no networks that fit.
    """
    asked = usual(table)
    rows = asked.filter(PLOTTED)
    found = of_search(rows)
    n, d = most_widths(rows)
    with drawing(15.5, 5.8) as figure:
        left, middle, right = figure.subplots(1, 3)
        _draw_one_size(left, rows.filter(n=n, d=d))
        _draw_collapse(middle, found, "n")
        _draw_collapse(right, found, "d")
        k_over_d = np.geomspace(*_range(found["k"] / found["d"]), 50)
        right.plot(k_over_d, np.maximum(1.0, k_over_d**-0.5), "-.", color="#999999", label=r"$\sqrt{d/\min(k,d)}$")
        finish(
            figure,
            f"Gaussian data, {EPSILON} = 0.02, Lip(f) on {SPACE}. Left: n = {n:,}, d = {d}; lines "
            f"from a gradient at a point up to a certificate. Middle and right: certificates of the smoothest found, "
            f"medians over {counted(found['seed'].n_unique(), 'seed')}. Middle: the law says that none is below a "
            "constant. Right: in these units the sizes fall together, and what bends them is k = d. "
            f"{left_out(asked, rows)} {settings}".strip(),
            200,
        )
    return figure


def frontier_flat(table: Any, settings: str = "") -> Figure:
    """Figure 1 of the paper on the frontier: k = n and k = 10n/d against d, with Adam's networks behind.

    Args:
        table: what experiments/frontier.py measured, of Polars or pandas.
        settings: a sentence for the caption on what was changed, such as `lawjax.report.changed` gives.

    Raises:
        UserError: no table, a column that is missing or of another kind, or no networks that fit.
    """
    asked = usual(table)
    n = flat_n(of_search(asked.filter(PLOTTED)))
    asked = asked.filter((pl.col("k") == pl.col("n")) | (pl.col("k") == tenfold()), n=n)
    rows = asked.filter(PLOTTED)
    with drawing(7.2, 5.6) as figure:
        axes = figure.subplots()
        _draw_width_rules(axes, rows)
        axes.set(xlabel="d   (dimension)", ylabel=f"Lip(f) on {SPACE}")
        log_axes(axes)
        axes.set_xticks(sorted(rows["d"].unique()), [str(d) for d in sorted(rows["d"].unique())])
        finish(
            figure,
            f"Gaussian data, n = {n:,}, {EPSILON} = 0.02. Lines from a gradient at a point to a certificate; curves "
            f"through the medians of certificates over {counted(rows['seed'].n_unique(), 'seed')}. The law: constant "
            f"at k = n, like the root of d at k = 10 n/d. {left_out(asked, rows)} {settings}".strip(),
            100,
        )
    return figure


def _draw_width_rules(axes: Axes, rows: pl.DataFrame) -> None:
    """k = n and k = 10n/d, the smoothest found and Adam's, and the floor of the data."""
    for label, width, colour, marker in (
        ("k = n", pl.col("n"), COLOURS[0], "o"),
        ("k = 10 n/d", tenfold(), COLOURS[1], "^"),
    ):
        for source, name, dash, face in (
            ("frontier", "smoothest found", "-", colour),
            ("adam", "trained by Adam", ":", "white"),
        ):
            own = rows.filter(pl.col("k") == width, source=source)
            if len(own):
                looks: dict[str, Any] = {
                    "marker": marker,
                    "color": colour,
                    "markerfacecolor": face,
                    "label": f"{label}, {name}",
                }
                draw_up_to_certificates(axes, own, ("d", "lower", "upper"), dash, **looks)
    label = "floor of this data: no function is below"
    d, floor = floats(rows.filter(source="frontier"), "d", "floor")
    draw_medians(axes, d, floor, "--", color="#000000", linewidth=1.2, label=label)


def frontier_constructions(table: Any, settings: str = "") -> Figure:
    """The frontier on the sphere beside the paper's constructions, Adam's networks and what no network can be below.

    Args:
        table: what experiments/frontier.py measured, of Polars or pandas.
        settings: a sentence for the caption on what was changed, such as `lawjax.report.changed` gives.

    Raises:
        UserError: no table, a column that is missing or of another kind, or no networks on the sphere that fit.
    """
    asked = usual(table, model="sphere", domain="sphere")
    n, d = most_widths(asked.filter(PLOTTED))
    forms = usual(table, model="sphere", domain="sphere", activation="power:2", fit="exact")
    asked = pl.concat([asked, forms]).filter(n=n, d=d)
    check_known(asked, "source", KINDS, "source(s)")
    rows = asked.filter(PLOTTED)
    with drawing(7.2, 6.4) as figure:
        axes = figure.subplots()
        _draw_one_size(axes, rows)
        axes.set_ylabel("Lip(f) near the unit sphere")
        finish(
            figure,
            f"n = {n:,} points on the sphere, d = {d}, {EPSILON} = 0.02; constructions fit exactly. Lines from a "
            "gradient at a point of the sphere up to a certificate, "
            f"{counted(rows['seed'].n_unique(), 'seed')}. {left_out(asked, rows)} {settings}".strip(),
            100,
        )
    return figure


def _draw_one_size(axes: Axes, rows: pl.DataFrame) -> None:
    for source, (colour, marker, label) in KINDS.items():
        own = rows.filter(source=source)
        if own.is_empty():
            continue
        x, low, high = np.sqrt((own["n"] / own["k"]).to_numpy()), own["lower"].to_numpy(), own["upper"].to_numpy()
        axes.vlines(x, low, high, colors=colour, linewidth=2.0)
        axes.scatter(x, high, s=22, color=colour, marker=marker, label=label)
    own = rows.filter(source="frontier")
    x = np.sqrt((own["n"] / own["k"]).to_numpy())
    narrow = 4 * own["k"] <= own["n"]
    if narrow.any():
        constant = float((own["upper"] / x).filter(narrow).median())
        ends = np.array([1.0, x.max()])
        label = f"the law through the narrow ones: {number_text(constant)} {ROOT}"
        axes.plot(ends, constant * ends, "-.", color="#999999", linewidth=1.3, label=label)
    for column, dash, colour, label in (
        ("theorem4", "--", "#000000", "Theorem 4 with this error: none is below"),
        ("floor", ":", "#009E73", "floor of this data: no function is below"),
    ):
        draw_medians(axes, x, own[column].to_numpy(), dash, color=colour, linewidth=1.2, label=label)
    axes.set(xlabel=ROOT_LABEL, ylabel=f"Lip(f) on {SPACE}")
    log_axes(axes)


def _draw_collapse(axes: Axes, found: pl.DataFrame, by: Literal["n", "d"]) -> None:
    """Lip sqrt(k/n) against k/n, or Lip sqrt(d/n) against k/d, marks for every (n, d), joined from three widths on."""
    sizes = found.group_by("n", "d").agg(pl.col("k").n_unique()).sort("n", "d")
    for i, (n, d, widths) in enumerate(sizes.iter_rows()):
        own = found.filter(n=n, d=d)
        k = own["k"].to_numpy()
        scaled = own["upper"].to_numpy() * np.sqrt((k if by == "n" else d) / n)
        dash = "-" if widths > 2 else "none"
        draw_medians(axes, k / (n if by == "n" else d), scaled, dash, **look(i), label=f"n = {n:,}, d = {d}")
    factor = r"\sqrt{k/n}" if by == "n" else r"\sqrt{d/n}"
    per = "point" if by == "n" else "dimension"
    axes.set(xlabel=f"k/{by}   (neurons per {per})", ylabel=rf"certified Lip(f) $\cdot\,{factor}$, smoothest found")
    log_axes(axes)


def _range(values: pl.Series) -> tuple[float, float]:
    low, high = values.to_numpy().min(), values.to_numpy().max()
    return float(low), float(high)
