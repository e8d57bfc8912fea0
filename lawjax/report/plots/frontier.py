"""The frontier: the smoothest networks that a search found, beside Adam's and what no network can be below."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lawjax.errors import UserError
from lawjax.report.plots.base import (
    SPACE,
    counted,
    draw_medians,
    finish,
    listed,
    log_axes,
    number_text,
    style,
)
from lawjax.report.plots.settings import plain
from lawjax.report.plots.tables import FITTED, check_known, checked, is_number

_EPSILON = "\N{GREEK SMALL LETTER EPSILON}"
_WORDS = ("source", "model", "activation", "fit", "domain")
_BOUNDS = ("lower", "upper")
_PLOTTED = FITTED & is_number("lower") & is_number("upper") & (pl.col("upper") > 0)
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKERS = ("o", "^", "s", "v", "D", "h", "P", "X")
_KINDS = {
    "adam": ("#E69F00", "h", "trained by Adam: bracket, mark at the certificate"),
    "frontier": ("#0072B2", "o", "smoothest found: bracket, mark at the certificate"),
    "ramps": ("#CC79A7", "v", "ramps, k = 2n"),
    "caps": ("#D55E00", "^", "caps of section 3.2, k = n"),
    "form": ("#000000", "s", "smoothest quadratic form, k = d"),
}
_DASHES = ("-", ":", "-.")
_PROVED = r"proved for exact fits without biases, $k \leq d$, W of full rank"
_ROOT = r"$\sqrt{n/k}$"
_ROOT_LABEL = f"{_ROOT}   (n points, k neurons)"
USUAL = {"model": "gaussian", "activation": "relu", "fit": "0.02", "domain": "space", "effort": 1}


def usual(table: Any, **changes: str | int) -> pl.DataFrame:
    """The rows of ReLU networks on Gaussian data with epsilon = 0.02, bounded on R^d; or with these changes.

    Raises:
        UserError: no table, a column that is missing or of another kind, no rows, or a change that no row can have.
    """
    table = _read(table)
    unknown = sorted(set(changes) - set(table.columns))
    if unknown:
        raise UserError(f"The table lacks the column(s) {', '.join(unknown)} that were to have other values.")
    for name, value in changes.items():
        words = table[name].dtype == pl.String
        if isinstance(value, bool) or not isinstance(value, str if words else int | float):
            raise UserError(f"The column {name} holds {'words' if words else 'numbers'}, and none is {value!r}.")
    return table.filter(**{**USUAL, **changes})


def frontier_law(table: Any, settings: str = "") -> Figure:
    """Brackets of the smoothest and of Adam's networks over sqrt(n/k); Lip sqrt(k/n) over k/n; Lip sqrt(d/n) over k/d.

    Args:
        table: what experiments/frontier.py measured, of Polars or pandas.
        settings: a sentence for the caption on what was changed, such as `lawjax.report.changed` gives.

    Raises:
        UserError: no table, a column that is missing or of another kind, or no networks that fit.
    """
    asked = usual(table)
    rows = asked.filter(_PLOTTED)
    found = _found(rows)
    n, d = _most_widths(rows)
    with style():
        figure = Figure(figsize=(15.5, 5.8), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        _draw_one_size(left, rows.filter(n=n, d=d))
        _draw_collapse(middle, found, "n")
        _draw_collapse(right, found, "d")
        k_over_d = np.geomspace(*_range(found["k"] / found["d"]), 50)
        right.plot(k_over_d, np.maximum(1.0, k_over_d**-0.5), "-.", color="#999999", label=r"$\sqrt{d/\min(k,d)}$")
        finish(
            figure,
            f"Gaussian data, {_EPSILON} = 0.02, Lip(f) on {SPACE}. Left: n = {n:,}, d = {d}; lines "
            f"from a gradient at a point up to a certificate. Middle and right: certificates of the smoothest found, "
            f"medians over {counted(found['seed'].n_unique(), 'seed')}. Middle: the law says that none is below a "
            "constant. Right: in these units the sizes fall together, and what bends them is k = d. "
            f"{_left_out(asked, rows)} {settings}".strip(),
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
    n = _flat_n(_found(asked.filter(_PLOTTED)))
    asked = asked.filter((pl.col("k") == pl.col("n")) | (pl.col("k") == _tenfold()), n=n)
    rows = asked.filter(_PLOTTED)
    with style():
        figure = Figure(figsize=(7.2, 5.6), layout="constrained")
        axes = figure.subplots()
        for (label, width, colour, marker), (source, name, dash, face) in (
            (rule, kind)
            for rule in (("k = n", pl.col("n"), _COLOURS[0], "o"), ("k = 10 n/d", _tenfold(), _COLOURS[1], "^"))
            for kind in (("frontier", "smoothest found", "-", None), ("adam", "trained by Adam", ":", "white"))
        ):
            own = rows.filter(pl.col("k") == width, source=source)
            if len(own):
                x, low, high = (own[column].to_numpy().astype(float) for column in ("d", "lower", "upper"))
                axes.vlines(x, low, high, colors=colour, linewidth=1.5)
                looks = {"marker": marker, "color": colour, "markersize": 5, "markerfacecolor": face or colour}
                draw_medians(axes, x, high, dash, label=f"{label}, {name}", **looks)
        floor = rows.filter(source="frontier")
        draw_medians(
            axes,
            floor["d"].to_numpy().astype(float),
            floor["floor"].to_numpy(),
            "--",
            color="#000000",
            linewidth=1.2,
            label="floor of this data: no function is below",
        )
        axes.set(xlabel="d   (dimension)", ylabel=f"Lip(f) on {SPACE}")
        log_axes(axes)
        axes.set_xticks(sorted(rows["d"].unique()), [str(d) for d in sorted(rows["d"].unique())])
        finish(
            figure,
            f"Gaussian data, n = {n:,}, {_EPSILON} = 0.02. Lines from a gradient at a point to a certificate; curves "
            f"through the medians of certificates over {counted(rows['seed'].n_unique(), 'seed')}. The law: constant "
            f"at k = n, like the root of d at k = 10 n/d. {_left_out(asked, rows)} {settings}".strip(),
            100,
        )
    return figure


def _tenfold() -> pl.Expr:
    """k = 10n/d, as `WIDTH_RULES` rounds it."""
    return (10 * pl.col("n") / pl.col("d")).round().cast(pl.Int64)


def frontier_factors(table: Any, settings: str = "") -> Figure:
    """What the frontier hangs on: how close the fit is; the activation; the data; each against sqrt(n/k).

    Args:
        table: what experiments/frontier.py measured, of Polars or pandas.
        settings: a sentence for the caption on what was changed, such as `lawjax.report.changed` gives.

    Raises:
        UserError: no table, a column that is missing or of another kind, or no networks that fit.
    """
    searched = _read(table).filter(source="frontier", effort=1)
    rows = _found(searched.filter(_PLOTTED))
    counts = rows.group_by("n", "d").agg(settings=pl.struct("fit", "activation", "model").n_unique())
    n, d = counts.sort("settings", "n", "d").select("n", "d").row(-1)
    base = {**USUAL, "n": n, "d": d}
    panels = (("fit", "How close the fit is"), ("activation", "Activation"), ("model", "Data"))
    shown = []
    with style():
        figure = Figure(figsize=(13.0, 5.6), layout="constrained")
        for axes, (factor, title) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
            others = {name: value for name, value in base.items() if name not in (factor, "n", "d")}
            asked = searched.filter((pl.col("d") == d) | pl.col("model").str.starts_with("digits"), n=n, **others)
            shown.append(asked)
            for i, (value, part) in enumerate(_by(asked.filter(_PLOTTED), factor)):
                x = np.sqrt((part["n"] / part["k"]).to_numpy())
                draw_medians(axes, x, part["upper"].to_numpy(), "-", label=_setting(factor, value), **_nested(i))
            axes.set(xlabel=_ROOT_LABEL, title=title)
            log_axes(axes)
            axes.yaxis.set_tick_params(labelleft=True)
        figure.axes[0].set_ylabel(f"certified Lip(f) on {SPACE}, smoothest found")
        every = pl.concat(shown).unique(maintain_order=True)
        finish(
            figure,
            f"n = {n:,}, d = {d} (digits: 64 pixels); {_EPSILON} = 0.02, ReLU, Gaussian data unless said. Data sets "
            "have mean squared length one. Medians over seeds of certificates of networks that fit. "
            f"{_left_out(every, every.filter(_PLOTTED))} {settings}".strip(),
            170,
        )
    return figure


def frontier_constructions(table: Any, settings: str = "") -> Figure:
    """The frontier on the sphere beside the paper's constructions, Adam's networks and what no network can be below.

    Args:
        table: what experiments/frontier.py measured, of Polars or pandas.
        settings: a sentence for the caption on what was changed, such as `lawjax.report.changed` gives.

    Raises:
        UserError: no table, a column that is missing or of another kind, or no networks on the sphere that fit.
    """
    asked = usual(table, model="sphere", domain="sphere")
    n, d = _most_widths(asked.filter(_PLOTTED))
    forms = usual(table, model="sphere", domain="sphere", activation="power:2", fit="exact")
    asked = pl.concat([asked, forms]).filter(n=n, d=d)
    check_known(asked, "source", _KINDS, "source(s)")
    rows = asked.filter(_PLOTTED)
    with style():
        figure = Figure(figsize=(7.2, 6.4), layout="constrained")
        axes = figure.subplots()
        _draw_one_size(axes, rows)
        axes.set_ylabel("Lip(f) near the unit sphere")
        finish(
            figure,
            f"n = {n:,} points on the sphere, d = {d}, {_EPSILON} = 0.02; constructions fit exactly. Lines from a "
            "gradient at a point of the sphere up to a certificate, "
            f"{counted(rows['seed'].n_unique(), 'seed')}. {_left_out(asked, rows)} {settings}".strip(),
            100,
        )
    return figure


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
    table = checked(table, "depth", sizes=sizes, counts=["seed"], flags=["fitted"], numbers=_BOUNDS)
    check_known(table, "layers", (1, 2), "number(s) of layers")
    rows = _fitted(table)
    with style():
        figure = Figure(figsize=(7.2, 5.2), layout="constrained")
        axes = figure.subplots()
        for layers, colour, marker, label in (
            (1, _COLOURS[0], "o", "one hidden layer"),
            (2, _COLOURS[1], "^", "two hidden layers of half as many each"),
        ):
            own = rows.filter(layers=layers)
            if len(own):
                x, low, high = (own[column].to_numpy().astype(float) for column in ("neurons", "lower", "upper"))
                axes.vlines(x, low, high, colors=colour, linewidth=1.5)
                draw_medians(axes, x, high, "-", marker=marker, color=colour, markersize=5, label=label)
        axes.set(xlabel="neurons in all hidden layers", ylabel=f"Lip(f) on {SPACE}")
        log_axes(axes)
        finish(
            figure,
            f"Smoothest networks found, Gaussian data, n = {listed(table, 'n')}, d = {listed(table, 'd')}, "
            f"{_EPSILON} = {epsilon:g}. Lines from a gradient at a point to a certificate, curves through medians of "
            f"certificates over {counted(table['seed'].n_unique(), 'seed')}. {_left_out(table, rows)} "
            f"{settings}".strip(),
            100,
        )
    return figure


def frontier_constant(table: Any, settings: str = "") -> Figure:
    """The least Lip sqrt(k/n) found at each n, for every n/d and closeness of the fit.

    Args:
        table: what experiments/constant.py measured, of Polars or pandas.
        settings: a sentence for the caption on what was changed, such as `lawjax.report.changed` gives.

    Raises:
        UserError: no table, a column that is missing or of another kind, or no networks that fit.
    """
    kinds: dict[str, Any] = {"words": ["fit"], "sizes": ("ratio", "n", "d", "k"), "counts": ["seed"]}
    table = checked(table, "constant", flags=["fitted"], numbers=_BOUNDS, **kinds)
    fitted = _fitted(table)
    root = (pl.col("k") / pl.col("n")).sqrt()
    rows = fitted.with_columns(low=pl.col("lower") * root, high=pl.col("upper") * root)
    medians_ = rows.group_by("fit", "ratio", "n", "k").agg(pl.col("high").median())
    least = medians_.sort("high", "k").group_by("fit", "ratio", "n", maintain_order=True).first()
    rows = rows.join(least.select(pl.exclude("high")), on=["fit", "ratio", "n", "k"]).sort("n", "seed")
    with style():
        figure = Figure(figsize=(7.2, 5.8), layout="constrained")
        axes = figure.subplots()
        fits = sorted(rows["fit"].unique())
        for i, ratio in enumerate(sorted(rows["ratio"].unique())):
            for place, fit in enumerate(fits):
                own = rows.filter(ratio=ratio, fit=fit)
                if own.is_empty():
                    continue
                x, low, high = (own[column].to_numpy().astype(float) for column in ("n", "low", "high"))
                colour, face = _look(i)["color"], "white" if place % 2 else _look(i)["color"]
                axes.vlines(x, low, high, colors=colour, linewidth=1.5)
                axes.scatter(x, high, s=9, color=colour)
                label = f"n/d = {ratio}, {_setting('fit', fit)}"
                looks = {**_look(i), "markersize": 5, "markerfacecolor": face, "zorder": 3}
                draw_medians(axes, x, high, _DASHES[place % len(_DASHES)], **looks, label=label)
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
            f"{_left_out(table, fitted)} {settings}".strip(),
            100,
        )
    return figure


def _read(table: Any) -> pl.DataFrame:
    kinds: dict[str, Any] = {"words": _WORDS, "sizes": ("effort", "n", "d", "k"), "counts": ["seed"]}
    table = checked(table, "frontier", flags=["fitted"], numbers=(*_BOUNDS, "floor", "theorem4"), **kinds)
    check_known(table, "source", _KINDS, "source(s)")
    return table


def _fitted(table: pl.DataFrame) -> pl.DataFrame:
    rows = table.filter(_PLOTTED)
    if rows.is_empty():
        raise UserError("None of the networks fits; ask for more steps or neurons.")
    return rows


def _left_out(asked: pl.DataFrame, rows: pl.DataFrame) -> str:
    """A sentence on the networks that are not drawn."""
    unfitted = len(asked.filter(~FITTED))
    unbounded = len(asked) - len(rows) - unfitted
    more = f"; {unbounded} that fit have no finite bounds" if unbounded else ""
    return f"{unfitted} of {counted(len(asked), 'network')} asked for did not fit{more}."


def _found(rows: pl.DataFrame) -> pl.DataFrame:
    found = rows.filter(source="frontier")
    if found.is_empty():
        raise UserError("No network on the frontier fits; ask for more steps or wider networks.")
    return found


def _most_widths(rows: pl.DataFrame) -> tuple[int, int]:
    """The (n, d) with the most widths; of several, the one whose points are the fewest."""
    counts = (
        _found(rows)
        .group_by("n", "d")
        .agg(pl.col("k").n_unique())
        .sort(["k", "n", "d"], descending=[True, False, False])
    )
    return int(counts["n"][0]), int(counts["d"][0])


def _flat_n(found: pl.DataFrame) -> int:
    """The n whose k = n networks have the most dimensions."""
    counts = found.filter(pl.col("k") == pl.col("n")).group_by("n").agg(pl.col("d").n_unique()).sort("d", "n")
    if counts.is_empty():
        raise UserError("No network with k = n fits; run experiments/frontier.py.")
    return int(counts["n"][-1])


def _draw_one_size(axes: Axes, rows: pl.DataFrame) -> None:
    for source, (colour, marker, label) in _KINDS.items():
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
        label = f"the law through the narrow ones: {number_text(constant)} {_ROOT}"
        axes.plot(ends, constant * ends, "-.", color="#999999", linewidth=1.3, label=label)
    for column, dash, colour, label in (
        ("theorem4", "--", "#000000", "Theorem 4 with this error: none is below"),
        ("floor", ":", "#009E73", "floor of this data: no function is below"),
    ):
        draw_medians(axes, x, own[column].to_numpy(), dash, color=colour, linewidth=1.2, label=label)
    axes.set(xlabel=_ROOT_LABEL, ylabel=f"Lip(f) on {SPACE}")
    log_axes(axes)


def _draw_collapse(axes: Axes, found: pl.DataFrame, by: Literal["n", "d"]) -> None:
    """Lip sqrt(k/n) against k/n, or Lip sqrt(d/n) against k/d, marks for every (n, d), joined from three widths on."""
    sizes = found.group_by("n", "d").agg(pl.col("k").n_unique()).sort("n", "d")
    for i, (n, d, widths) in enumerate(sizes.iter_rows()):
        own = found.filter(n=n, d=d)
        k = own["k"].to_numpy()
        scaled = own["upper"].to_numpy() * np.sqrt((k if by == "n" else d) / n)
        dash = "-" if widths > 2 else "none"
        draw_medians(axes, k / (n if by == "n" else d), scaled, dash, **_look(i), label=f"n = {n:,}, d = {d}")
    factor = r"\sqrt{k/n}" if by == "n" else r"\sqrt{d/n}"
    per = "point" if by == "n" else "dimension"
    axes.set(xlabel=f"k/{by}   (neurons per {per})", ylabel=rf"certified Lip(f) $\cdot\,{factor}$, smoothest found")
    log_axes(axes)


def _look(i: int) -> dict[str, Any]:
    """Marker and colour of curve i."""
    return {"marker": _MARKERS[i % len(_MARKERS)], "color": _COLOURS[i % len(_COLOURS)]}


def _nested(i: int) -> dict[str, Any]:
    """The look of curve i, the later the finer, so that one below another that is nearly equal shows beside it."""
    return {**_look(i), "linewidth": max(2.8 - 0.4 * i, 1.0), "markersize": max(8.0 - i, 3.5)}


def _range(values: pl.Series) -> tuple[float, float]:
    low, high = values.to_numpy().min(), values.to_numpy().max()
    return float(low), float(high)


def _by(rows: pl.DataFrame, factor: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each setting, the steepest first, so that the legend has the order of the curves."""
    order = rows.group_by(factor).agg(pl.col("upper").median()).sort("upper", factor, descending=[True, False])
    return ((value, rows.filter(pl.col(factor) == value)) for value in order[factor])


def _setting(factor: str, value: str) -> str:
    if factor == "fit":
        return "exact fit" if value == "exact" else f"{_EPSILON} = {plain(value)}"
    names = {"leaky_relu": "leaky ReLU", "relu": "ReLU", "gaussian": "Gaussian", "low-rank": "Gaussian of rank d/5"}
    names |= {"clustered": "n/20 clusters", "digits": "digits, labels at random", "digits-true": "digits, odd or even"}
    return names.get(value, plain(value))
