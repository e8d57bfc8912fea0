"""The summary of experiments/frontier.py in Markdown: exponents, ratios, and every setting's medians over seeds."""

from __future__ import annotations

import numpy as np
import polars as pl

from lawjax import fits
from lawjax.quantiles import quantiles
from lawjax.report import markdown
from lawjax.sweep.grid import WIDTH_RULES

SETTING = ("source", "model", "activation", "fit", "domain", "effort", "n", "d", "k")
_ROOT = (pl.col("n") / pl.col("k")).sqrt()


def summary(table: pl.DataFrame) -> str:
    """Counts, exponents, and every setting's medians over seeds, as Markdown."""
    found = table.filter(source="frontier")
    fitted = found.filter("fitted")
    middle, high, most = quantiles(fitted["upper"] / fitted["lower"], (0.5, 0.95, 1.0))
    wrong = found.filter(~pl.col("fitted")).select("model", "activation", "fit", "n", "d", "k", "seed").rows()
    medians = {
        "fitted": markdown.share("fitted", "/"),
        "lower": markdown.median("lower", ".4g"),
        "upper": markdown.median("upper", ".4g"),
        "linear part": markdown.median("linear_part", ".4g"),
        "floor": markdown.median("floor", ".4g"),
        "spread of starts": _largest_spread,
    }
    return markdown.text(
        "## The frontier\n",
        f"{len(fitted)} of {len(found)} searches found a network that fits. Upper/lower: {middle:.3f} in the median, "
        f"{high:.3f} at 95 %, {most:.3f} at most.",
        f"\nNot fitted: {', '.join(map(str, wrong)) or 'none'}.",
        "\n## The law: upper ~ (n/k)^(exponent/2) where k <= n/4\n",
        exponents(table),
        "\n## Beside Adam's networks and what is impossible\n",
        _ratios(table),
        _least_constants(fitted),
        "\n## In units of sqrt(n / min(k, d))\n",
        _in_units_of_the_bend(table),
        "\n## Beside what no certificate can beat\n",
        _beside_the_least(table),
        "\n## k = n and k = 10n/d against d\n",
        _against_d(table),
        "\n## Every setting, medians over seeds\n",
        markdown.by_group(table, SETTING, medians),
    )


def _usual(table: pl.DataFrame) -> pl.DataFrame:
    """The rows that are not of another activation, data model, fit, domain or effort."""
    from lawjax import plots

    return plots.usual(table)


def exponents(table: pl.DataFrame) -> str:
    """For every (n, d) of the law: the power of sqrt(n/k) that certificates follow where k <= n/4, and constants."""
    rows = []
    found = _usual(table).filter("fitted", source="frontier")
    for (n, d), own in found.group_by("n", "d", maintain_order=True):
        narrow = own.filter(4 * pl.col("k") <= pl.col("n"))
        if narrow["k"].n_unique() < 3:
            continue
        constant = markdown.number(narrow.select(pl.col("upper") / _ROOT).to_series().median(), ".3f")
        scaled = own.select("k", scaled=pl.col("upper") * (pl.col("k") / pl.col("n")).sqrt()).sort("scaled")
        least, at = scaled["scaled"][0], scaled["k"][0]
        span = f"{narrow['k'].sort()[0]} to {narrow['k'].sort()[-1]}"
        within = _exponent(narrow.filter(2 * pl.col("k") <= pl.col("d")))
        rows.append((n, d, span, _exponent(narrow), within, constant, f"{least:.3f}", at))
    heads = ("n", "d", "k", "exponent in sqrt(n/k), 95 %", "and where k <= d/2", "upper sqrt(k/n), k <= n/4, median")
    return markdown.table((*heads, "least, any k", "at k"), rows)


def _exponent(rows: pl.DataFrame) -> str:
    """The power of sqrt(n/k) that the certificates of these rows follow; "-" for fewer than three widths."""
    if rows["k"].n_unique() < 3:
        return "-"
    x = rows.select(_ROOT).to_series().to_numpy()
    return fits.power_law(x, rows["upper"].to_numpy(), rows["seed"].to_numpy()).exponent_text


def _ratios(table: pl.DataFrame) -> str:
    """How tight brackets are, and ratios to Adam's networks, proxies, impossible bounds and other starts."""
    fitted = table.filter("fitted", source="frontier").with_columns(ratio=pl.col("upper") / pl.col("lower"))
    relu = fitted.filter(activation="relu")
    narrow = pl.col("k") <= pl.col("d")
    found = _usual(fitted)
    pairs = found.join(_usual(table).filter("fitted", source="adam"), on=["n", "d", "k", "seed"], suffix="_adam")
    impossible = pl.max_horizontal("floor", "theorem4")
    values = {
        "upper/lower, ReLU, k <= d": relu.filter(narrow)["ratio"],
        "upper/lower, ReLU, k > d": relu.filter(~narrow)["ratio"],
        "lower bound of Adam's network / certificate": pairs["lower_adam"] / pairs["upper"],
        "proxy / lower bound": found["proxy"] / found["lower"],
        "certificate / larger of data floor and Theorem 4": found.select(pl.col("upper") / impossible).to_series(),
        "steepest start that fits / smoothest": _spreads(fitted),
    }
    return markdown.table(
        ("of networks that fit", "least", "median", "90 %", "largest"),
        [(name, *markdown.spread(each, (0.0, 0.5, 0.9, 1.0), ".3f")) for name, each in values.items()],
    )


def _least_constants(fitted: pl.DataFrame) -> str:
    """The least certificate sqrt(k/n) for each closeness of the fit, and how many starts had got stuck."""
    usual = fitted.filter(model="gaussian", activation="relu", domain="space", effort=1)
    scaled = usual.with_columns(constant=pl.col("upper") * (pl.col("k") / pl.col("n")).sqrt())
    least = scaled.sort("constant").group_by("fit", maintain_order=True).first().sort("fit")
    words = [f"{row['constant']:.3f} for {row['fit']} at {(row['n'], row['d'], row['k'])}" for row in least.to_dicts()]
    spreads = _spreads(fitted)
    return (
        f"\nLeast certificate sqrt(k/n), Gaussian data, ReLU, R^d: {', '.join(words)}. "
        f"Starts that differ by over 20 %: {int((spreads > 1.2).sum())} of {len(spreads)}."
    )


def _spreads(rows: pl.DataFrame) -> pl.Series:
    """The largest certificate of a start that fits over the least, of the networks with several."""
    starts = [[upper for upper in uppers if upper is not None] for uppers in rows["uppers"].to_list()]
    return pl.Series([max(uppers) / min(uppers) for uppers in starts if len(uppers) > 1], dtype=pl.Float64)


def _largest_spread(rows: pl.DataFrame) -> str:
    fitted = rows.filter("fitted")
    if fitted.is_empty():
        return "-"
    return markdown.number(_spreads(fitted).max(), ".3f", missing="one start")


def _in_units_of_the_bend(table: pl.DataFrame) -> str:
    """Medians over seeds of upper / sqrt(n / min(k, d)), by n/d, over all k."""
    found = _usual(table).filter("fitted", source="frontier")
    least = pl.min_horizontal("k", "d")
    units = found.with_columns(scaled=pl.col("upper") * (least / pl.col("n")).sqrt(), ratio=pl.col("n") / pl.col("d"))
    medians = units.group_by("ratio", "n", "d", "k").agg(pl.col("scaled").median())
    rows = []
    for (ratio,), own in medians.sort("ratio").group_by("ratio", maintain_order=True):
        rows.append((f"{ratio:g}", len(own), *markdown.spread(own["scaled"], (0.0, 0.5, 1.0), ".2f")))
    return markdown.table(("n/d", "networks (n, d, k)", "least", "median", "largest"), rows)


def _beside_the_least(table: pl.DataFrame) -> str:
    """The path product, and the certificate over the least that one with this path product can have."""
    found = _usual(table).filter("fitted", source="frontier")
    least = found["path"] / 2 / found.select(pl.min_horizontal(pl.col("k") + 1, "d").sqrt()).to_series()
    over, in_units = (found["upper"] / least).to_numpy(), (found["path"] / found["n"].sqrt()).to_numpy()
    return (
        f"Path products are {in_units.min():.2f} to {in_units.max():.2f} sqrt(n). Certificates are {over.min():.3f} to "
        f"{over.max():.3f} times half of them over sqrt(min(k + 1, d)), {np.median(over):.3f} in the median."
    )


def _against_d(table: pl.DataFrame) -> str:
    """Medians of certificates and the powers of sqrt(d) they follow."""
    rows = _usual(table).filter("fitted")
    counts = rows.filter(pl.col("k") == pl.col("n"), source="frontier").group_by("n").agg(pl.col("d").n_unique())
    n = int(counts.sort("d", "n")["n"][-1])
    lines = []
    for rule, width in WIDTH_RULES.items():
        for source in ("frontier", "adam"):
            own = rows.filter(pl.Series([k == width(n, d) for k, d in rows.select("k", "d").iter_rows()]))
            own = own.filter(n=n, source=source).sort("d")
            if own["d"].n_unique() > 1:
                medians = own.group_by("d", maintain_order=True).agg(pl.col("upper").median())
                law = fits.power_law(np.sqrt(own["d"].to_numpy()), own["upper"].to_numpy(), own["seed"].to_numpy())
                values = ", ".join(f"{d}: {upper:.3g}" for d, upper in medians.iter_rows())
                lines.append((rule, source, values, law.exponent_text))
    return markdown.table(("width", "networks", "median certificate by d", "exponent in sqrt(d), 95 %"), lines)
