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
from lawjax.sweep import SweepConfig, run
from lawjax.sweep.grid import Grid
from lawjax.sweep.store import Store
from lawjax.train.config import TrainingConfig

TRAINING = TrainingConfig(epsilon=0.02, step_limit=3000)
PRESETS = {
    "smoke": SweepConfig(Grid((100, 200), (50,), (20, 100), seeds=2), TRAINING),
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
    counts = ", ".join(f"{count} {status}" for status, count in table.group_by("status").len().sort("status").rows())
    one_sign = table.filter((pl.col("status") == "step limit") & (pl.col("loss") <= pl.col("epsilon")))
    linear = (kept["linear_part"] / (kept["d"] / kept["n"].sqrt())).median()
    lines = [
        "## Experiment 1\n",
        "| quantity | value |",
        "| --- | --- |",
        f"| networks asked for | {len(table)} ({counts}) |",
        f"| kept: fitted, and still after folding | {len(kept)} |",
        f"| at the step limit with loss <= epsilon but a wrong sign | {len(one_sign)} |",
        f"| proxy, affine in sqrt(n/k) | {_in_root(kept, 'proxy', fits.affine)} |",
        f"| proxy, power law in sqrt(n/k) | {_in_root(kept, 'proxy', fits.power_law)} |",
        f"| residual (gradient less its mean), affine in sqrt(n/k) | {_in_root(kept, 'residual', fits.affine)} |",
        f"| linear part / (d / sqrt(n)), median | {linear:.3f} |",
        f"| ascent / proxy: 5 %, median, 95 % | {_spread(kept['ascent'] / kept['proxy'])} |",
    ]
    both = kept.filter(pl.col("lower_space").is_finite() & pl.col("upper_space").is_finite())
    if len(both):
        lines += [
            f"| lower bound on R^d, affine in sqrt(n/k) | {_in_root(both, 'lower_space', fits.affine)} |",
            f"| proxy / lower bound on R^d: 5 %, median, 95 % | {_spread(both['proxy'] / both['lower_space'])} |",
            f"| upper / lower on R^d: 5 %, median, 95 % | {_spread(both['upper_space'] / both['lower_space'])} |",
            f"| the same on the unit sphere | {_spread(both['upper_sphere'] / both['lower_sphere'])} |",
            f"| least lower bound on R^d / sqrt(n/k) | {_over_the_law(both).min():.2f} |",
            f"| Theorem 3's product / upper on R^d, median | {_of_product(both).median():.2f} |",
        ]
    columns = {"proxy": kept, "linear_part": kept, "residual": kept, **({"lower_space": both} if len(both) else {})}
    for name, rows in columns.items():
        sizes = {size: rows[size].to_numpy() for size in ("n", "d", "k")}
        if all(len(set(size)) > 1 for size in sizes.values()):
            found = report.fit_text(fits.monomial, sizes, rows[name].to_numpy(), rows["seed"].to_numpy())
            lines.append(f"| {name} in n, d, k | {found} |")
    lines += [
        "\n| d | networks | proxy, affine in sqrt(n/k) | residual, affine in sqrt(n/k) |",
        "| --- | --- | --- | --- |",
    ]
    for (d,), of_d in kept.sort("d").group_by("d", maintain_order=True):
        if (of_d["n"] / of_d["k"]).n_unique() > 1:
            fitted = " | ".join(_in_root(of_d, name, fits.affine) for name in ("proxy", "residual"))
            lines.append(f"| {d} | {len(of_d)} | {fitted} |")
    if len(both):
        lines += [
            "\nOn R^d, by width, medians and the largest:\n",
            "| k | networks | proxy / lower | upper / lower | largest | largest with k <= d |",
            "| --- " * 6 + "|",
        ]
        for (k,), of_k in both.sort("k").group_by("k", maintain_order=True):
            below, gap = of_k["proxy"] / of_k["lower_space"], of_k["upper_space"] / of_k["lower_space"]
            narrow = gap.filter(of_k["d"] >= k).max()
            largest = "" if narrow is None else f"{narrow:.3f}"
            lines.append(
                f"| {k} | {len(of_k)} | {below.median():.2f} | {gap.median():.3f} | {gap.max():.3f} | {largest} |"
            )
    return "\n".join(lines) + "\n"


def _spread(ratio: pl.Series) -> str:
    return ", ".join(f"{value:.2f}" for value in quantiles(ratio))


def _over_the_law(kept: pl.DataFrame) -> pl.Series:
    return kept["lower_space"] / (kept["n"] / kept["k"]).sqrt()


def _of_product(kept: pl.DataFrame) -> pl.Series:
    return kept["spectral_product"] / kept["upper_space"]


def _in_root(kept: pl.DataFrame, column: str, fit: Callable[..., Any]) -> str:
    """A fit of a column in sqrt(n/k)."""
    x = (kept["n"] / kept["k"]).sqrt().to_numpy()
    return report.fit_text(fit, x, kept[column].to_numpy(), kept["seed"].to_numpy())


def plot(out: Path) -> None:
    """Draw Figure 2, and how far the probes are from the truth where there are brackets; write the summary."""
    from lawjax import plots

    store = Store(out)
    store.read_config()
    table = store.table()
    figures = {"figure2": plots.figure2(table)}
    if plots.has_brackets(table):
        figures["ratios"] = plots.ratios(table)
    report.write(out, table, figures, summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/experiment1-{preset}", __doc__)
