"""The memorisation phase diagram: how often Adam fits n points in dimension d with k neurons, around kd = n.

    python experiments/capacity.py --preset paper --out runs/capacity

Conjecture 2 asks for k >= C n/d, since fewer neurons cannot fit generic data (Baum 1988). Preset paper: d = 20 and 50,
n/d from 1 to 32, kd/n from 0.25 to 8, ten seeds, at most 10000 steps at a learning rate of 1e-2; under three minutes
on one CPU core. Expected: for n/d >= 8 no network fits at kd/n = 0.75, nearly all do at 1; fewer neurons need more.
Writes figures/capacity.{png,pdf}, summary.md and table.parquet in the run directory.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from lawjax import cli, fits, report
from lawjax.report import markdown
from lawjax.sweep import ProbeConfig, SweepConfig, run
from lawjax.sweep.grid import CapacityGrid
from lawjax.train.config import TrainingConfig

CAPACITY = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0)


def _preset(d: tuple[int, ...], points: tuple[int, ...], seeds: int, step_limit: int) -> SweepConfig:
    return SweepConfig(
        CapacityGrid(d, points, CAPACITY, seeds),
        TrainingConfig(epsilon=0.02, learning_rate=1e-2, step_limit=step_limit),
        ProbeConfig(points=0, brackets=False),
        keep_networks=False,
    )


PRESETS = {
    "smoke": _preset((5,), (2, 4), 2, 500),
    "laptop": _preset((20,), (1, 2, 4, 8, 16), 5, 5000),
    "paper": _preset((20, 50), (1, 2, 4, 8, 16, 32), 10, 10_000),
}


def cells(table: pl.DataFrame) -> pl.DataFrame:
    """One row for each (d, n/d, kd/n): how many were tried, how many fit, and the share with its 95 % interval.

    The columns of the configuration, which are the same for all networks of a run, stay beside them.
    """
    from lawjax import plots

    configuration = [name for name in plots.CONFIGURATION if name in table.columns]
    counts = (
        table.group_by("d", "n", "k", *configuration)
        .agg(tried=pl.len(), fitted=pl.col("fitted").sum())
        .with_columns(n_over_d=pl.col("n") / pl.col("d"), kd_over_n=pl.col("k") * pl.col("d") / pl.col("n"))
        .sort("d", "n", "k")
    )
    shares = [fits.proportion(*row) for row in counts.select("fitted", "tried").iter_rows()]
    names = ("share", "low", "high")
    return counts.with_columns(**{name: pl.Series([share[i] for share in shares]) for i, name in enumerate(names)})


def threshold(rows: pl.DataFrame) -> float | None:
    """kd/n at which half of the networks fit, between the cells of one (d, n)."""
    share, capacity = rows["share"].to_list(), rows["kd_over_n"].to_list()
    for i in range(1, len(share)):
        if share[i - 1] < 0.5 <= share[i]:
            return float(
                capacity[i - 1] + (0.5 - share[i - 1]) / (share[i] - share[i - 1]) * (capacity[i] - capacity[i - 1])
            )
    return None


def summary(table: pl.DataFrame) -> str:
    """The threshold for each (d, n), and every cell."""
    found = cells(table)
    halves = ((d, n, threshold(rows)) for (d, n), rows in found.group_by("d", "n", maintain_order=True))
    words = [
        (d, n, *(["none", ""] if half is None else [f"{half:.2f}", f"{half * (d + 2) / d:.2f}"]))
        for d, n, half in halves
    ]
    return markdown.text(
        "## Memorisation\n",
        markdown.table(("d", "n", "kd/n at which half fit", "in parameters, k(d+2)/n"), words),
        "",
        markdown.table(
            ("d", "n", "k", "kd/n", "fitted", "share, 95 % interval"),
            [
                (d, n, k, f"{over_n:.2f}", f"{fitted} of {tried}", f"{share:.2f} [{low:.2f}, {high:.2f}]")
                for d, n, k, over_n, fitted, tried, share, low, high in found.select(
                    "d", "n", "k", "kd_over_n", "fitted", "tried", "share", "low", "high"
                ).iter_rows()
            ],
        ),
    )


def plot(out: Path) -> None:
    """Draw the phase diagram and write the summary."""
    from lawjax import plots

    table = report.run_table(out)
    report.write(out, table, {"capacity": lambda: plots.capacity(cells(table))}, lambda: summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/capacity-{preset}", __doc__ or "")
