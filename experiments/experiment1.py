"""Experiment 1 (section 5, Figure 2): the maximum random gradient of networks that fit, against sqrt(n/k).

    python experiments/experiment1.py --preset paper --out runs/exp1

Preset paper: 1090 networks, n 100...2000, d 50...n, k 10...n, five seeds, epsilon = 0.02; about twelve minutes on two
CPU cores, a third of them for the brackets (--brackets False leaves these out). Preset laptop: a minute. Expected: a
scatter whose affine fit has a positive slope and a large intercept. Writes figures/figure2.{png,pdf},
figures/ratios.{png,pdf}, summary.md and table.parquet in the run directory. Any field can be overridden: see --help.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from lawjax import cli, fits, report
from lawjax.quantiles import quantiles
from lawjax.report import markdown
from lawjax.sweep import SweepConfig, run
from lawjax.sweep.grid import Grid
from lawjax.train.config import TrainingConfig

TRAINING = TrainingConfig(epsilon=0.02, step_limit=3000)
PRESETS = {
    "smoke": SweepConfig(Grid((30, 60), (20,), (20, 30), seeds=2), TRAINING),
    "laptop": SweepConfig(Grid((100, 200, 500), (50, 100, 200, 500), (10, 20, 50, 100, 200, 500), seeds=3), TRAINING),
    "paper": SweepConfig(
        Grid(
            n=(100, 200, 300, 500, 700, 1000, 2000),
            d=(50, 100, 200, 500, 1000, 2000),
            k=(10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000),
            seeds=5,
        ),
        TRAINING,
    ),
}


def summary(table: pl.DataFrame) -> str:
    """Counts and fits in Markdown tables."""
    kept = table.filter("fitted")
    both = kept.filter(pl.col("lower_space").is_finite() & pl.col("upper_space").is_finite())
    parts = ["## Experiment 1\n", _quantities(table, kept, both), "", _by_dimension(kept)]
    if len(both):
        parts += ["\nOn R^d, by width, medians and the largest:\n", _by_width(both)]
    return markdown.text(*parts)


def _quantities(table: pl.DataFrame, kept: pl.DataFrame, both: pl.DataFrame) -> str:
    """One number or fit a line; those of brackets where there are some."""
    counts = ", ".join(f"{count} {status}" for status, count in table.group_by("status").len().sort("status").rows())
    one_sign = table.filter((pl.col("status") == "step limit") & (pl.col("loss") <= pl.col("epsilon")))
    linear = (kept["linear_part"] / (kept["d"] / kept["n"].sqrt())).median()
    rows = {
        "networks asked for": f"{len(table)} ({counts})",
        "kept: fitted, and still after folding": len(kept),
        "at the step limit with loss <= epsilon but a wrong sign": len(one_sign),
        "proxy, affine in sqrt(n/k)": _in_root(kept, "proxy", fits.affine),
        "proxy, power law in sqrt(n/k)": _in_root(kept, "proxy", fits.power_law),
        "residual (gradient less its mean), affine in sqrt(n/k)": _in_root(kept, "residual", fits.affine),
        "linear part / (d / sqrt(n)), median": markdown.number(linear, ".3f", missing="-"),
        "ascent / proxy: 5 %, median, 95 %": _spread(kept["ascent"] / kept["proxy"]),
    }
    if len(both):
        rows |= {
            "lower bound on R^d, affine in sqrt(n/k)": _in_root(both, "lower_space", fits.affine),
            "proxy / lower bound on R^d: 5 %, median, 95 %": _spread(both["proxy"] / both["lower_space"]),
            "upper / lower on R^d: 5 %, median, 95 %": _spread(both["upper_space"] / both["lower_space"]),
            "the same on the unit sphere": _spread(both["upper_sphere"] / both["lower_sphere"]),
            "least lower bound on R^d / sqrt(n/k)": markdown.number((both["lower_space"] / _root(both)).min(), ".2f"),
            "Theorem 3's product / upper on R^d, median": markdown.number(
                (both["spectral_product"] / both["upper_space"]).median(), ".2f"
            ),
        }
    return markdown.table(("quantity", "value"), [*rows.items(), *_monomials(kept, both)])


def _monomials(kept: pl.DataFrame, both: pl.DataFrame) -> list[tuple[str, str]]:
    """Powers of n, d and k, of what was measured of networks in which all three vary."""
    found = []
    for name, rows in {"proxy": kept, "linear_part": kept, "residual": kept, "lower_space": both}.items():
        sizes = {size: rows[size].to_numpy() for size in ("n", "d", "k")}
        if all(len(set(size)) > 1 for size in sizes.values()):
            law = report.fit_text(fits.monomial, sizes, rows[name].to_numpy(), rows["seed"].to_numpy())
            found.append((f"{name} in n, d, k", law))
    return found


def _by_dimension(kept: pl.DataFrame) -> str:
    """Fits in sqrt(n/k) for each dimension with several n/k."""
    several = kept.filter((pl.col("n") / pl.col("k")).n_unique().over("d") > 1)
    cells = {
        "networks": lambda rows: str(len(rows)),
        "proxy, affine in sqrt(n/k)": lambda rows: _in_root(rows, "proxy", fits.affine),
        "residual, affine in sqrt(n/k)": lambda rows: _in_root(rows, "residual", fits.affine),
    }
    return markdown.by_group(several.sort("d"), ("d",), cells)


def _by_width(both: pl.DataFrame) -> str:
    """How tight the brackets on R^d are, for each k."""
    rows = both.with_columns(
        below=pl.col("proxy") / pl.col("lower_space"), gap=pl.col("upper_space") / pl.col("lower_space")
    )
    cells = {
        "networks": lambda rows: str(len(rows)),
        "proxy / lower": markdown.median("below", ".2f"),
        "upper / lower": markdown.median("gap", ".3f"),
        "largest": lambda rows: f"{rows['gap'].max():.3f}",
        "largest with k <= d": lambda rows: markdown.number(
            rows.filter(pl.col("k") <= pl.col("d"))["gap"].max(), ".3f"
        ),
    }
    return markdown.by_group(rows.sort("k"), ("k",), cells)


def _spread(ratio: pl.Series) -> str:
    return ", ".join(f"{value:.2f}" for value in quantiles(ratio))


def _root(rows: pl.DataFrame) -> pl.Series:
    return (rows["n"] / rows["k"]).sqrt()


def _in_root(rows: pl.DataFrame, column: str, fit: Callable[..., Any]) -> str:
    """A fit of a column in sqrt(n/k)."""
    return report.fit_text(fit, _root(rows).to_numpy(), rows[column].to_numpy(), rows["seed"].to_numpy())


def plot(out: Path) -> None:
    """Draw Figure 2, and how far the probes are from the truth where there are brackets; write the summary."""
    from lawjax import plots

    table = report.run_table(out)
    figures = {"figure2": lambda: plots.figure2(table)}
    if plots.has_brackets(table):
        figures["ratios"] = lambda: plots.ratios(table)
    report.write(out, table, figures, lambda: summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/experiment1-{preset}", __doc__ or "")
