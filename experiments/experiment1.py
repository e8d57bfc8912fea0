"""Experiment 1 (section 5, Figure 2): the maximum random gradient of networks that fit, against sqrt(n/k).

    python experiments/experiment1.py --preset paper --out runs/exp1

Preset paper: 1090 networks, n 100...2000, d 50...n, k 10...n, five seeds, epsilon = 0.02; about ten minutes on two CPU
cores. Preset laptop: a minute. Expected: a scatter whose affine fit has a positive slope and a large intercept.
Writes figures/figure2.{png,pdf} and summary.md in the run directory. Any field can be overridden: see --help.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from lawjax import cli, fits, plots
from lawjax.pack import TrainingConfig
from lawjax.sweep.grid import Grid
from lawjax.sweep.run import SweepConfig, run
from lawjax.sweep.store import Store, write_atomically

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
    """Counts and fits in a Markdown table."""
    kept = table.filter("fitted")
    x = (kept["n"] / kept["k"]).sqrt().to_numpy()
    y, seeds = kept["proxy"].to_numpy(), kept["seed"].to_numpy()
    affine, power = fits.affine(x, y, seeds), fits.power_law(x, y, seeds)
    counts = ", ".join(f"{count} {status}" for status, count in table.group_by("status").len().sort("status").rows())
    return (
        "## Experiment 1\n\n| quantity | value |\n| --- | --- |\n"
        f"| networks asked for | {len(table)} ({counts}) |\n"
        f"| kept: fitted, and still after folding | {len(kept)} |\n"
        f"| affine fit, proxy = intercept + slope * sqrt(n/k) | {affine} |\n"
        f"| power law, proxy = constant * sqrt(n/k)^exponent | {power} |\n"
    )


def plot(out: Path) -> None:
    """Draw Figure 2 and write the summary."""
    store = Store(out)
    store.read_config()
    table = store.table()
    plots.save(plots.figure2(table), store.paths.figures / "figure2.png")
    text = summary(table)
    write_atomically(out / "summary.md", text)
    print(text)


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/experiment1-{preset}", __doc__)
