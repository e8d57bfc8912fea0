"""The constant of Conjecture 1: how small do Lip sqrt(k/n) get as n and d grow together?

    python experiments/constant.py --preset paper --out runs/constant

Lip >= c sqrt(n/k) for all networks that fit asks for a c that does not fall to 0. At a fixed n/d, the smoothest
networks that the search of `lawjax.frontier` finds are nearest to the law where k is about sqrt(n), far from both
k = n/d and k = d; their certificates there are measured for n up to 1600, Gaussian data, ReLU on R^d, epsilon = 0.02
and exact fits, three seeds. Preset paper: a quarter of an hour on two CPU cores. Writes networks/*.npz with a
certificate each (`lawjax check runs/constant`), figures/constant.{png,pdf}, summary.md and table.parquet in the run
directory.
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
from lawjax.sweep.grid import check_positive
from lawjax.sweep.jobs import Job, job_table, run_jobs
from lawjax.sweep.paths import RunPaths


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
        sizes = [
            (fit, ratio, n, n // ratio, max(1, round(width * math.sqrt(n))))
            for n in self.n
            for ratio in self.ratios
            for width in self.widths
            for fit in self.fits
        ]
        return [dict(zip(("fit", "ratio", "n", "d", "k"), size, strict=True)) for size in dict.fromkeys(sizes)]


PRESETS = {
    "smoke": Constants(n=(40,), ratios=(2,), widths=(1.0, 1.4), fits=("0.02",), steps=300, seeds=3),
    "laptop": Constants(n=(100, 200, 400), steps=6000, seeds=2),
    "paper": Constants(),
}


def run(config: Constants, out: Path, shard: tuple[int, int] = (1, 1)) -> None:
    """Measure what is not measured yet."""
    folder = RunPaths(out).networks

    def measure(fit: str, ratio: int, n: int, d: int, k: int) -> list[dict[str, Any]]:
        searched = FrontierConfig(epsilon_of(fit), steps=config.steps, starts=config.starts)
        problems = [
            Problem(data.gaussian(keys.data_key(n, d, seed), n, d), k, keys.weights_key(n, d, seed))
            for seed in range(config.seeds)
        ]
        rows = []
        for seed, found in enumerate(search_all(problems, searched)):
            certificate = found.bracket.proof.record(found.network)
            report.write_network(folder, f"{fit}-{n}-{d}-{k}-{seed}", found.network, certificate)
            bounds = {"lower": found.bracket.lower, "upper": found.bracket.upper}
            rows.append({"seed": seed, "fitted": found.fitted, "fit_error": found.fit_error, **bounds})
        return rows

    run_jobs(out, {"experiment": "constant", **dataclasses.asdict(config)}, config.jobs(), measure, shard)


def summary(table: pl.DataFrame) -> str:
    """Medians over seeds as Markdown."""
    lines = ["## Certificate sqrt(k/n) of the smoothest networks found, medians over seeds of those that fit\n"]
    lines += ["| fit | n/d | n | d | k | fitted | lower | upper | upper sqrt(k/n) |", "| --- " * 9 + "|"]
    for key, own in table.group_by("fit", "ratio", "n", "d", "k", maintain_order=True):
        kept = own.filter("fitted")
        cells = [f"{len(kept)}/{len(own)}"]
        if len(kept):
            lower, upper = float(kept["lower"].median()), float(kept["upper"].median())  # type: ignore[arg-type]
            cells += [f"{lower:.4g}", f"{upper:.4g}", f"{upper * math.sqrt(own['k'][0] / own['n'][0]):.3f}"]
        else:
            cells += ["-"] * 3
        lines.append("| " + " | ".join([*map(str, key), *cells]) + " |")
    return "\n".join(lines) + "\n"


def plot(out: Path) -> None:
    """Draw the figure and write the summary."""
    from lawjax import plots

    table = job_table(out, ("fit", "ratio", "n", "k", "seed"))
    settings = report.changed(out, PRESETS["paper"], {"n", "ratios", "fits", "seeds"})
    report.write(out, table, {"constant": plots.frontier_constant(table, settings)}, summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/constant", __doc__ or "")
