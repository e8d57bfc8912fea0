"""What captions and legends say: how many networks were asked for and how they ended, measures, numbers in words."""

from __future__ import annotations

import math

import polars as pl

from lawjax.report.plots.settings import USUAL, changed, plain, said
from lawjax.report.plots.tables import FITTED, is_number

_IDENTITY = ("n", "d", "k", "seed", "factor", "setting")

# What each column measures, and on which side of Lip(f) it lies.
MEASURES = {
    "proxy": ("maximum random gradient", "lower estimates of"),
    "ascent": ("largest gradient norm found by ascent", "lower bounds on"),
    "certificate": ("certified upper bound on Lip(f)", "upper bounds on"),
    "spectral_product": ("spectral product $L\\,\\|a\\|\\,\\|W\\|_{op}$", "upper bounds on"),
    "path_product": ("path product $L\\,\\Sigma|a_l|\\,\\|w_l\\|$", "upper bounds on"),
}


def count_text(table: pl.DataFrame, measure: str) -> str:
    """For example "8 fitted, 1 step limit, 1 diverged": how the networks asked for ended."""
    n_fitted = int(table["fitted"].sum())
    parts = [f"{n_fitted:,} fitted"]
    if "status" in table.columns:
        others = table.filter(~FITTED)["status"]
        named = ["step limit", "diverged"]
        named += sorted(set(others.drop_nulls().to_list()) - set(named))
        parts += [f"{int((others == name).sum()):,} {plain(name)}" for name in named]
        unknown = others.null_count()
    else:
        unknown = len(table) - n_fitted
    if unknown:
        parts.append(f"{unknown:,} did not fit")
    unmeasured = table.filter(FITTED & ~is_number(measure))
    if len(unmeasured):
        parts.append(f"{len(unmeasured):,} of the fitted not plotted for want of a finite {measure_title(measure)}")
    return ", ".join(parts)


def measure_title(measure: str) -> str:
    """The measure in words."""
    return MEASURES.get(measure, (plain(measure), ""))[0]


def axis_label(measure: str) -> str:
    """The measure in words, with the side of Lip(f) on which it lies."""
    title, side = MEASURES.get(measure, (plain(measure), ""))
    if measure == "proxy":
        return f"{title}  $\\max_{{i\\leq T}}\\|\\nabla f(z_i)\\|$"
    return f"{title} ({side.split()[0]} {side.split()[1][:-1]})" if side.startswith("lower") else title


def listed(table: pl.DataFrame, column: str) -> str:
    """For example "100 to 2,000": the range of a column."""
    values = sorted(table[column].drop_nulls().unique().to_list())
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"


def counted(number: int, thing: str) -> str:
    """For example "1 seed" or "3 seeds"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def caption_of(
    table: pl.DataFrame,
    measure: str,
    *extra: str,
    intervals: bool = False,
    probed: bool = False,
    configured: pl.DataFrame | None = None,
) -> str:
    """How many networks were asked for and how they ended, epsilon, seeds, T, anything extra, and changed settings.

    Args:
        table: of the figure.
        measure: what it shows.
        extra: further settings, in words.
        intervals: whether it has bootstrap intervals.
        probed: whether it shows the proxy, too, where that is not the measure.
        configured: the rows whose settings are said, where these are not all.
    """
    if "k" in table.columns:  # a network of both width rules is one network
        table = table.unique([name for name in _IDENTITY if name in table.columns], maintain_order=True)
    configured = table if configured is None else configured
    probed = probed or measure == "proxy"
    n_seeds = table["seed"].n_unique()
    points = (said(configured, "points") or f"T = {USUAL['points']} random points per network") if probed else None
    known = [said(configured, "epsilon"), counted(n_seeds, "seed"), points, said(configured, "step_limit"), *extra]
    parts = [f"{counted(len(table), 'network')} asked for: {count_text(table, measure)}."]
    parts.append("; ".join(words for words in known if words) + ".")
    parts.append(changed(configured, {"epsilon", "step_limit", *(["points"] if probed else [])}))
    if intervals and n_seeds > 1:
        narrow = ", too narrow with fewer than five" if n_seeds < 5 else ""
        parts.append(f"Intervals: 95 % bootstrap over seeds{narrow}.")
    return " ".join(part for part in parts if part)


def number_text(value: float, decimals: int | None = None) -> str:
    """`value` with so many decimals, or with three significant digits; a true minus sign."""
    text = f"{value:#.3g}".rstrip(".") if decimals is None else f"{value:.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def with_interval(value: float, interval: tuple[float, float]) -> str:
    """For example "3.01 [2.93, 3.08]", to two digits of the interval's width; the value alone where there is none."""
    width = interval[1] - interval[0]
    if not math.isfinite(width):
        return number_text(value)
    decimals = min(max(1 - math.floor(math.log10(width)), 0), 4) if width > 0 else 4
    return (
        f"{number_text(value, decimals)} [{number_text(interval[0], decimals)}, {number_text(interval[1], decimals)}]"
    )
