"""The constant of Conjecture 1: how small do Lip sqrt(k/n) get as n and d grow together?

    python experiments/constant.py --preset paper --out runs/constant

Lip >= c sqrt(n/k) for all networks that fit asks for a c that does not fall to 0. At a fixed n/d, the smoothest
networks that the search of `lawjax.frontier` finds are nearest to the law where k is about sqrt(n), far from both
k = n/d and k = d; their certificates there are measured for n up to 1600, Gaussian data, ReLU on R^d, epsilon = 0.02
and exact fits, three seeds. Preset paper: a quarter of an hour on two CPU cores. Expected: at n/d = 2 from 1.5 down to
1.2 for exact fits, ever more slowly. Writes networks/*.npz with a certificate in each (`lawjax check runs/constant`),
figures/constant.{png,pdf}, summary.md and table.parquet in the run directory.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lawjax import UserError, cli, data, keys, report
from lawjax.frontier import FrontierConfig, Problem, epsilon_of, search_all
from lawjax.report import markdown
from lawjax.sweep.grid import check_positive
from lawjax.sweep.jobs import run_jobs
from lawjax.sweep.paths import RunPaths

NETWORK = ("fit", "n", "d", "k", "seed")  # what a network's file is named by


@dataclass(frozen=True)
class Job:
    """The searches of one size, one for each seed.

    Attributes:
        fit: epsilon, or "exact".
        ratio: n/d.
        n: points.
        d: their dimension.
        k: neurons.
    """

    fit: str
    ratio: int
    n: int
    d: int
    k: int


@dataclass(frozen=True)
class Constants:
    """What is measured.

    Attributes:
        n: points; d = n/ratio.
        ratios: n/d.
        widths: k in units of sqrt(n).
        fits: epsilon, or "exact".
        steps: of each search.
        starts: of each search.
        seeds: of data sets and starts.
    """

    n: tuple[int, ...] = (100, 200, 400, 800, 1600)
    ratios: tuple[int, ...] = (2, 4, 8)
    widths: tuple[float, ...] = (0.7, 1.0, 1.4)
    fits: tuple[str, ...] = ("0.02", "exact")
    steps: int = 12_000
    starts: int = 1
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check every field."""
        check_positive(n=self.n, ratios=self.ratios, steps=self.steps, starts=self.starts, seeds=self.seeds)
        if min(self.n) < max(self.ratios):
            raise UserError(f"d = n/ratio must be at least 1: n = {min(self.n)} is below {max(self.ratios)}.")
        if not self.widths or not all(0.5 <= width * math.sqrt(min(self.n)) < math.inf for width in self.widths):
            raise UserError(f"The widths must be positive numbers that make k >= 1, not {self.widths}.")
        for fit in self.fits:
            epsilon_of(fit)

    def jobs(self) -> list[Job]:
        """One for each kind of fit and (n, d, k); every seed is a row."""
        found = [
            Job(fit, ratio, n, n // ratio, max(1, round(width * math.sqrt(n))))
            for n in self.n
            for ratio in self.ratios
            for width in self.widths
            for fit in self.fits
        ]
        return list(dict.fromkeys(found))


PRESETS = {
    "smoke": Constants(n=(40,), ratios=(2,), widths=(1.0,), fits=("0.02",), steps=300, seeds=3),
    "laptop": Constants(n=(100, 200, 400), steps=6000, seeds=2),
    "paper": Constants(),
}


def run(config: Constants, out: Path, shard: tuple[int, int] = (1, 1)) -> None:
    """Measure what is not measured yet."""
    folder = RunPaths(out).networks

    def measure(job: Job) -> list[dict[str, Any]]:
        searched = FrontierConfig(epsilon_of(job.fit), steps=config.steps, starts=config.starts)
        n, d = job.n, job.d
        problems = [
            Problem(data.gaussian(keys.data_key(n, d, seed), n, d), job.k, keys.weights_key(n, d, seed))
            for seed in range(config.seeds)
        ]
        rows = []
        for seed, found in enumerate(search_all(problems, searched)):
            row = {"seed": seed, "fitted": found.fitted, "fit_error": found.fit_error}
            name = report.network_name({**dataclasses.asdict(job), **row}, NETWORK)
            report.write_network(folder, name, found.network, found.bracket.proof.record(found.network))
            rows.append({**row, "lower": found.bracket.lower, "upper": found.bracket.upper})
        return rows

    run_jobs(out, {"experiment": "constant", **dataclasses.asdict(config)}, config.jobs(), measure, shard)


def summary(table: pl.DataFrame) -> str:
    """Medians over seeds as Markdown."""
    scaled = table.with_columns(scaled=pl.col("upper") * (pl.col("k") / pl.col("n")).sqrt())
    cells = {
        "fitted": markdown.share("fitted", "/"),
        "lower": markdown.median("lower", ".4g"),
        "upper": markdown.median("upper", ".4g"),
        "upper sqrt(k/n)": markdown.median("scaled", ".3f"),
    }
    return markdown.text(
        "## Certificate sqrt(k/n) of the smoothest networks found, medians over seeds of those that fit\n",
        markdown.by_group(scaled, ("fit", "ratio", "n", "d", "k"), cells, {"ratio": "n/d"}),
    )


def plot(out: Path) -> None:
    """Draw the figure and write the summary."""
    from lawjax import plots

    table = report.run_table(out, ("fit", "ratio", "n", "k", "seed"))
    settings = report.changed(out, PRESETS["paper"], {"n", "ratios", "fits", "seeds"})
    figures = {"constant": lambda: plots.frontier_constant(table, settings)}
    report.write(out, table, figures, lambda: summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/constant", __doc__ or "")
