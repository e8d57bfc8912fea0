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
from lawjax.plots.base import FITTED, medians, number_text, one_two_five, style, write_caption

_COLUMNS = {
    "source",
    "model",
    "activation",
    "fit",
    "domain",
    "effort",
    "n",
    "d",
    "k",
    "seed",
    "fitted",
    "lower",
    "upper",
}
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
USUAL = {"model": "gaussian", "activation": "relu", "fit": "0.02", "domain": "space", "effort": 1}


def usual(table: pl.DataFrame, **changes: str | int) -> pl.DataFrame:
    """The rows of ReLU networks on Gaussian data with epsilon = 0.02, bounded on R^d; or with these changes."""
    _check(table)
    return table.filter(**{**USUAL, **changes})


def frontier_law(table: pl.DataFrame) -> Figure:
    """Brackets of the smoothest and of Adam's networks over sqrt(n/k); Lip sqrt(k/n) over k/n; Lip sqrt(d/n) over k/d.

    Args:
        table: what experiments/frontier.py measured.

    Raises:
        UserError: a missing column, or no networks that fit.
    """
    rows = usual(table).filter(FITTED)
    found = _found(rows)
    n, d = _most_widths(rows)
    with style():
        figure = Figure(figsize=(15.5, 5.0), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        _draw_one_size(left, rows.filter(n=n, d=d))
        _draw_collapse(middle, found, "n")
        _draw_collapse(right, found, "d")
        k_over_d = np.geomspace(*_range(found["k"] / found["d"]), 50)
        right.plot(k_over_d, np.maximum(1.0, k_over_d**-0.5), "-.", color="#999999", label=r"$\sqrt{d/\min(k,d)}$")
        right.set_ylim(bottom=0.9)
        right.legend(fontsize=8, loc="upper right", ncols=2)
        asked = usual(table)
        dropped = len(asked) - len(rows)
        write_caption(
            figure,
            f"Gaussian data, \N{GREEK SMALL LETTER EPSILON} = 0.02, Lip(f) on R^d. Left: n = {n:,}, d = {d}; lines "
            f"from a gradient at a point up to a certificate. Middle and right: the same {len(found)} certificates, "
            f"medians over {found['seed'].n_unique()} seeds. Middle: the law says that none is below a constant. "
            "Right: in these units the sizes fall together, and what bends them is k = d. "
            f"{dropped} of {len(asked)} networks asked for did not fit.",
            200,
        )
    return figure


def frontier_flat(table: pl.DataFrame) -> Figure:
    """Figure 1 of the paper on the frontier: k = n and k = 10n/d against d, with Adam's networks behind.

    Raises:
        UserError: a missing column, or no networks that fit.
    """
    rows = usual(table).filter(FITTED)
    n = _flat_n(_found(rows))
    rows = rows.filter(n=n)
    with style():
        figure = Figure(figsize=(7.2, 5.0), layout="constrained")
        axes = figure.subplots()
        for (label, width, colour, marker), (source, name, dash) in (
            (rule, kind)
            for rule in (("k = n", n, _COLOURS[0], "o"), ("k = 10 n/d", None, _COLOURS[1], "^"))
            for kind in (("frontier", "smoothest found", "-"), ("adam", "trained by Adam", ":"))
        ):
            own = rows.filter(pl.col("source") == source)
            own = own.filter(pl.col("k") == (width if width else (10 * n / pl.col("d")).round()))
            if len(own):
                x, low, high = (own[column].to_numpy().astype(float) for column in ("d", "lower", "upper"))
                axes.vlines(x, low, high, colors=colour, linewidth=1.5)
                axes.plot(*medians(x, high), dash, marker=marker, color=colour, markersize=5, label=f"{label}, {name}")
        floor = rows.filter(source="frontier")
        axes.plot(
            *medians(floor["d"].to_numpy().astype(float), floor["floor"].to_numpy()),
            "--",
            color="#000000",
            linewidth=1.2,
            label="floor of this data: no function is below",
        )
        axes.set(xscale="log", yscale="log", xlabel="d   (dimension)", ylabel=r"Lip(f) on $R^d$")
        _legend(axes, "upper right", 3.5)
        axes.set_xticks(sorted(rows["d"].unique()), [str(d) for d in sorted(rows["d"].unique())])
        write_caption(
            figure,
            f"Gaussian data, n = {n:,}, \N{GREEK SMALL LETTER EPSILON} = 0.02. Lines from a gradient at a point to a "
            f"certificate; curves through the medians of certificates over {rows['seed'].n_unique()} seeds. The law: "
            "constant at k = n, like the root of d at k = 10 n/d.",
            100,
        )
    return figure


def frontier_factors(table: pl.DataFrame) -> Figure:
    """What the frontier hangs on: how close the fit is; the activation; the data; each against sqrt(n/k).

    Raises:
        UserError: a missing column, or no networks that fit.
    """
    _check(table)
    rows = table.filter(FITTED, source="frontier", effort=1)
    _found(rows)
    counts = rows.group_by("n", "d").agg(settings=pl.struct("fit", "activation", "model").n_unique())
    n, d = counts.sort("settings", "n", "d").select("n", "d").row(-1)
    base = {**USUAL, "n": n, "d": d}
    panels = (("fit", "How close the fit is"), ("activation", "Activation"), ("model", "Data"))
    with style():
        figure = Figure(figsize=(13.0, 4.8), layout="constrained")
        for axes, (factor, title) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
            others = {name: value for name, value in base.items() if name not in (factor, "n", "d")}
            own = rows.filter((pl.col("d") == d) | pl.col("model").str.starts_with("digits"), n=n, **others)
            for i, (value, part) in enumerate(_by(own, factor)):
                x = np.sqrt((part["n"] / part["k"]).to_numpy())
                label = _setting(factor, value)
                axes.plot(
                    *medians(x, part["upper"].to_numpy()),
                    **_look(i),
                    label=label,
                )
            axes.set(xscale="log", yscale="log", xlabel=_ROOT, title=title)
            axes.legend(fontsize=8, loc="upper left" if factor == "fit" else "lower right")
            one_two_five(axes.xaxis)
            one_two_five(axes.yaxis)
        figure.axes[0].set_ylabel(r"certified Lip(f) on $R^d$, smoothest found")
        write_caption(
            figure,
            f"n = {n:,}, d = {d} (digits: 64 pixels); \N{GREEK SMALL LETTER EPSILON} = 0.02, ReLU, Gaussian data "
            "unless said. Data sets have mean squared length one. Medians over seeds of certificates of networks that "
            "fit.",
            170,
        )
    return figure


def frontier_constructions(table: pl.DataFrame) -> Figure:
    """The frontier on the sphere beside the paper's constructions, Adam's networks and what no network can be below.

    Raises:
        UserError: a missing column, or no networks on the sphere that fit.
    """
    rows = usual(table, model="sphere", domain="sphere").filter(FITTED)
    n, d = _most_widths(rows)
    forms = usual(table, model="sphere", domain="sphere", activation="power:2", fit="exact").filter(FITTED)
    rows = pl.concat([rows, forms]).filter(n=n, d=d)
    with style():
        figure = Figure(figsize=(7.2, 5.4), layout="constrained")
        axes = figure.subplots()
        _draw_one_size(axes, rows, room=12.0)
        axes.set_ylabel("Lip(f) near the unit sphere")
        write_caption(
            figure,
            f"n = {n:,} points on the sphere, d = {d}, \N{GREEK SMALL LETTER EPSILON} = 0.02; constructions fit "
            f"exactly. Lines from a gradient at a point of the sphere up to a certificate, "
            f"{rows['seed'].n_unique()} seeds.",
            100,
        )
    return figure


def frontier_depth(table: pl.DataFrame, epsilon: float) -> Figure:
    """The smoothest networks of one and of two hidden layers against the number of neurons in all.

    Args:
        table: what experiments/depth.py measured.
        epsilon: mean square error that was allowed.

    Raises:
        UserError: a missing column, or no networks that fit.
    """
    rows = _fitted(table, {"layers", "neurons", "n", "d", "seed", "fitted", "lower", "upper"}, "depth")
    with style():
        figure = Figure(figsize=(7.2, 5.0), layout="constrained")
        axes = figure.subplots()
        for layers, colour, marker, label in (
            (1, _COLOURS[0], "o", "one hidden layer"),
            (2, _COLOURS[1], "^", "two hidden layers of half as many each"),
        ):
            own = rows.filter(layers=layers)
            x, low, high = (own[column].to_numpy().astype(float) for column in ("neurons", "lower", "upper"))
            axes.vlines(x, low, high, colors=colour, linewidth=1.5)
            axes.plot(*medians(x, high), "-", marker=marker, color=colour, markersize=5, label=label)
        axes.set(xscale="log", yscale="log", xlabel="neurons in all hidden layers", ylabel=r"Lip(f) on $R^d$")
        _legend(axes, "upper right", 1.2)
        write_caption(
            figure,
            f"Smoothest networks found, Gaussian data, n = {table['n'][0]:,}, d = {table['d'][0]}, "
            f"\N{GREEK SMALL LETTER EPSILON} = {epsilon:g}. Lines from a "
            "gradient at a point to a certificate, curves through medians of certificates over "
            f"{table['seed'].n_unique()} seeds; {len(table) - len(rows)} of {len(table)} did not fit.",
            100,
        )
    return figure


def frontier_constant(table: pl.DataFrame) -> Figure:
    """The least Lip sqrt(k/n) found at each n, for every n/d and closeness of the fit.

    Args:
        table: what experiments/constant.py measured.

    Raises:
        UserError: a missing column, or no networks that fit.
    """
    rows = _fitted(table, {"fit", "ratio", "n", "d", "k", "seed", "fitted", "lower", "upper"}, "constant")
    root = (pl.col("k") / pl.col("n")).sqrt()
    rows = rows.with_columns(low=pl.col("lower") * root, high=pl.col("upper") * root)
    medians_ = rows.group_by("fit", "ratio", "n", "k").agg(pl.col("high").median())
    least = medians_.sort("high").group_by("fit", "ratio", "n", maintain_order=True).first().select(pl.exclude("high"))
    rows = rows.join(least, on=["fit", "ratio", "n", "k"]).sort("n")
    with style():
        figure = Figure(figsize=(7.2, 5.0), layout="constrained")
        axes = figure.subplots()
        fits = sorted(rows["fit"].unique())
        for i, ratio in enumerate(sorted(rows["ratio"].unique())):
            for own in rows.filter(ratio=ratio).partition_by("fit"):
                fit = own["fit"][0]
                x, low, high = (own[column].to_numpy().astype(float) for column in ("n", "low", "high"))
                axes.vlines(x, low, high, colors=_look(i)["color"], linewidth=1.5)
                axes.scatter(x, high, s=9, color=_look(i)["color"])
                dash = _DASHES[fits.index(fit) % len(_DASHES)]
                label = f"n/d = {ratio}, {_setting('fit', fit)}"
                axes.plot(*medians(x, high), **_look(i), linestyle=dash, markersize=5, label=label)
        axes.axhline(0.25, linestyle="--", color="#000000", linewidth=1.2, label=_PROVED)
        sizes = sorted(rows["n"].unique())
        axes.set(xscale="log", xlabel="n   (points)", ylabel=r"least Lip(f) $\cdot\,\sqrt{k/n}$ on $R^d$")
        axes.set_xticks(sizes, [f"{n:,}" for n in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylim(0.0, 1.45 * axes.get_ylim()[1])
        axes.legend(loc="upper right", fontsize=8)
        write_caption(
            figure,
            "Smoothest networks found, Gaussian data, each at the k of the least median. Lines from a gradient at a "
            f"point to a certificate, curves through medians of certificates over {rows['seed'].n_unique()} seeds. "
            "Conjecture 1: no network is below some c > 0.",
            100,
        )
    return figure


def _check(table: pl.DataFrame, columns: set[str] = _COLUMNS, experiment: str = "frontier") -> None:
    missing = columns - set(table.columns)
    if missing or table.is_empty():
        raise UserError(f"The table lacks {', '.join(sorted(missing)) or 'rows'}; run experiments/{experiment}.py.")


def _fitted(table: pl.DataFrame, columns: set[str], experiment: str) -> pl.DataFrame:
    _check(table, columns, experiment)
    rows = table.filter(FITTED)
    if rows.is_empty():
        raise UserError("None of the networks fits; ask for more steps or neurons.")
    return rows


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


def _draw_one_size(axes: Axes, rows: pl.DataFrame, room: float = 3.2) -> None:
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
    theorem4, floor = medians(x, own["theorem4"].to_numpy()), medians(x, own["floor"].to_numpy())
    axes.plot(*theorem4, "--", color="#000000", linewidth=1.2, label="Theorem 4 with this error: none is below")
    axes.plot(*floor, ":", color="#009E73", label="floor of this data: no function is below")
    axes.set(xscale="log", yscale="log", xlabel=_ROOT, ylabel=r"Lip(f) on $R^d$")
    _legend(axes, "upper left", room)


def _draw_collapse(axes: Axes, found: pl.DataFrame, by: Literal["n", "d"]) -> None:
    """Lip sqrt(k/n) against k/n, or Lip sqrt(d/n) against k/d, a curve for every (n, d)."""
    sizes = found.group_by("n", "d").agg(pl.col("k").n_unique()).filter(pl.col("k") > 2).sort("n", "d")
    for i, (n, d) in enumerate(sizes.select("n", "d").iter_rows()):
        own = found.filter(n=n, d=d)
        k = own["k"].to_numpy()
        axes.plot(
            *medians(k / (n if by == "n" else d), own["upper"].to_numpy() * np.sqrt((k if by == "n" else d) / n)),
            **_look(i),
            label=f"n = {n:,}, d = {d}",
        )
    factor = r"\sqrt{k/n}" if by == "n" else r"\sqrt{d/n}"
    axes.set(
        xscale="log", yscale="log", xlabel=f"k/{by}", ylabel=rf"certified Lip(f) $\cdot\,{factor}$, smoothest found"
    )
    _legend(axes, "upper left", 1.6)
    axes.legend(fontsize=8, loc="upper left", ncols=2)


def _look(i: int) -> dict[str, Any]:
    """Marker and colour of curve i."""
    return {"marker": _MARKERS[i % len(_MARKERS)], "color": _COLOURS[i % len(_COLOURS)]}


def _range(values: pl.Series) -> tuple[float, float]:
    low, high = values.to_numpy().min(), values.to_numpy().max()
    return float(low), float(high)


def _legend(axes: Axes, place: Literal["upper left", "upper right"], room: float) -> None:
    one_two_five(axes.xaxis)
    one_two_five(axes.yaxis)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * room)
    axes.legend(loc=place, fontsize=8)


def _by(rows: pl.DataFrame, factor: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each setting, the steepest first, so that the legend has the order of the curves."""
    order = rows.group_by(factor).agg(pl.col("upper").median()).sort("upper", descending=True)
    return ((value, rows.filter(pl.col(factor) == value)) for value in order[factor])


def _setting(factor: str, value: str) -> str:
    if factor == "fit":
        return "exact fit" if value == "exact" else f"\N{GREEK SMALL LETTER EPSILON} = {value}"
    names = {"leaky_relu": "leaky ReLU", "relu": "ReLU", "gaussian": "Gaussian", "low-rank": "Gaussian of rank d/5"}
    names |= {"clustered": "n/20 clusters", "digits": "digits, labels at random", "digits-true": "digits, odd or even"}
    return names.get(value, value)
