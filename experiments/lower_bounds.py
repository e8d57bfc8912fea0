"""The proved lower bounds (section 4, appendix D) against what networks that fit have.

    python experiments/lower_bounds.py --preset paper --out runs/lower_bounds

Left: Theorem 4's bound on the data at hand over the width k <= d, beside brackets of networks trained on the same data;
Gaussian data, n = 1000, d = 100. Right: Theorem 7's bound for quadratic networks of full width over sqrt(n/d), beside
the form of least operator norm that fits, that of least Frobenius norm, and Theorem 2's. Three seeds; four
minutes on one CPU core, preset laptop: one. Expected: every network lies above its bound; the least norm within 5 % of
Theorem 7's bound up to n = 4d, farther from it as n nears d (d + 1) / 2; trained networks far above Theorem 4's.
Writes figures/lower_bounds.{png,pdf}, summary.md and table.parquet in the run directory.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lawjax import TrainingConfig, cli, constructions, data, keys, lower_bounds, memorize, report
from lawjax.lipschitz import brackets
from lawjax.report import markdown
from lawjax.sweep.grid import check_positive
from lawjax.sweep.jobs import run_jobs

TRAINING = TrainingConfig(epsilon=0.02, step_limit=5000)


@dataclass(frozen=True)
class Job:
    """The bounds for one width on one data set, and a network of that width.

    Attributes:
        kind: trained or quadratic.
        n: points.
        d: their dimension.
        k: neurons.
        seed: of the data set and the network.
    """

    kind: str
    n: int
    d: int
    k: int
    seed: int


@dataclass(frozen=True)
class Sizes:
    """What is bounded and measured.

    Attributes:
        n: points of the trained networks.
        d: their dimension.
        k: their widths.
        quadratic_d: dimension and width of the quadratic networks.
        quadratic_ratios: their n/d.
        seeds: of each.
    """

    n: int = 1000
    d: int = 100
    k: tuple[int, ...] = (1, 2, 5, 10, 15, 20, 30, 50, 70, 100)
    quadratic_d: int = 100
    quadratic_ratios: tuple[int, ...] = (1, 2, 4, 8, 12, 16, 24, 32)
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check sizes."""
        check_positive(**dataclasses.asdict(self))

    def jobs(self) -> list[Job]:
        """One for each network or form: kind, n, d, k, seed."""
        d = self.quadratic_d
        sizes = [("trained", self.n, self.d, k) for k in self.k]
        sizes += [("quadratic", ratio * d, d, d) for ratio in self.quadratic_ratios]
        return [Job(*size, seed) for size in sizes for seed in range(self.seeds)]


PRESETS = {
    "smoke": Sizes(30, 10, (2, 10), 8, (1, 2), seeds=2),
    "laptop": Sizes(500, 50, (1, 2, 5, 10, 15, 20, 30, 50), 50, (1, 2, 4, 8, 12, 16)),
    "paper": Sizes(),
}


def measure(job: Job) -> dict[str, Any]:
    """The bounds for one width on one data set, and what a network of that width has."""
    return _trained(job) if job.kind == "trained" else _quadratic(job)


def _trained(job: Job) -> dict[str, Any]:
    n, d = job.n, job.d
    dataset = data.gaussian(keys.data_key(n, d, job.seed), n, d)
    one = memorize(dataset, job.k, keys.weights_key(n, d, job.seed), TRAINING)[0]
    row = {
        "theorem4": lower_bounds.theorem4(dataset, job.k).value,
        "floor": lower_bounds.floor(dataset).value,
        "fitted": one.fitted,
    }
    if one.network is not None and one.fitted:
        found = brackets([one.network], ("space",))["space"][0]
        row |= {"lower": found.lower, "upper": found.upper}
    return row


def _quadratic(job: Job) -> dict[str, Any]:
    n, d = job.n, job.d
    dataset = data.float64(data.sphere(keys.data_key(n, d, job.seed), n, d))
    least = constructions.smoothest_quadratic(dataset)
    frobenius = constructions.tensor(dataset, exact=True)
    plain = constructions.tensor(dataset)
    return {
        "theorem5": lower_bounds.theorem5(dataset, 2).value,
        "theorem7": lower_bounds.theorem7(dataset, d).value,
        "theorem7_half": lower_bounds.theorem7(dataset, d // 2).value,
        "least_norm": least.bound,
        "least_frobenius": 2.0 * float(np.abs(frobenius.network.a).max()),
        "theorem2": 2.0 * float(np.abs(plain.network.a).max()),
        "theorem2_error": plain.fit_error,
        "fitted": max(least.fit_error, frobenius.fit_error) < 1e-6,
    }


def run(config: Sizes, out: Path, shard: tuple[int, int]) -> None:
    """Evaluate the bounds and measure networks."""
    run_jobs(out, dataclasses.asdict(config), config.jobs(), measure, shard)


def summary(table: pl.DataFrame) -> str:
    """Medians over seeds, in Markdown tables."""
    trained = {
        "Theorem 4": _median("theorem4"),
        "floor": _median("floor"),
        "fitted": markdown.share("fitted"),
        "lower bound of the trained": _median("lower"),
        "its certificate": _median("upper"),
    }
    quadratic = {
        "Theorem 7": _median("theorem7"),
        "at k = d/2": _median("theorem7_half"),
        "least norm": _median("least_norm"),
        "least Frobenius norm": _median("least_frobenius"),
        "Theorem 2": _median("theorem2"),
        "its fit error": _median("theorem2_error"),
    }
    return markdown.text(
        "## Lower bounds against networks\n",
        "Lip(f) on R^d, medians over seeds; trained networks that fit.\n",
        markdown.by_group(table.filter(kind="trained"), ("n", "d", "k"), trained),
        "\n2 ||T||_op = Lip on the unit ball of quadratic networks at k = d, medians over seeds.\n",
        markdown.by_group(table.filter(kind="quadratic"), ("n", "d"), quadratic),
    )


def _median(column: str) -> markdown.Cell:
    return markdown.median(column, ".3f", missing="", of=None)


def plot(out: Path) -> None:
    """Draw the figure and write the summary."""
    from lawjax import plots

    table = report.run_table(out, ("kind", "n", "d", "k", "seed"))
    report.write(out, table, {"lower_bounds": lambda: plots.lower_bounds(table)}, lambda: summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/lower-bounds-{preset}", __doc__ or "")
