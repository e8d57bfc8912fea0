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

from lawjax import Dataset, TrainingConfig, cli, constructions, data, keys, lower_bounds, memorize, report
from lawjax.lipschitz import brackets
from lawjax.sweep.grid import check_positive
from lawjax.sweep.jobs import Job, job_table, run_jobs

TRAINING = TrainingConfig(epsilon=0.02, step_limit=5000)


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
        return [
            {"kind": kind, "n": n, "d": d, "k": k, "seed": seed}
            for kind, n, d, k in sizes
            for seed in range(self.seeds)
        ]


PRESETS = {
    "smoke": Sizes(60, 20, (2, 10, 20), 10, (1, 2), seeds=2),
    "laptop": Sizes(500, 50, (1, 2, 5, 10, 15, 20, 30, 50), 50, (1, 2, 4, 8, 12, 16)),
    "paper": Sizes(),
}


def measure(kind: str, n: int, d: int, k: int, seed: int) -> dict[str, Any]:
    """The bounds for one width on one data set, and what a network of that width has."""
    return _trained(n, d, k, seed) if kind == "trained" else _quadratic(n, d, seed)


def _trained(n: int, d: int, k: int, seed: int) -> dict[str, Any]:
    dataset = data.gaussian(keys.data_key(n, d, seed), n, d)
    one = memorize(dataset, k, keys.weights_key(n, d, seed), TRAINING)[0]
    row = {
        "theorem4": lower_bounds.theorem4(dataset, k).value,
        "floor": lower_bounds.floor(dataset).value,
        "fitted": one.fitted,
    }
    if one.fitted:
        found = brackets([one.network], ("space",))["space"][0]
        row |= {"lower": found.lower, "upper": found.upper}
    return row


def _quadratic(n: int, d: int, seed: int) -> dict[str, Any]:
    generic = data.sphere(keys.data_key(n, d, seed), n, d)
    dataset = Dataset(np.asarray(generic.x, np.float64), np.asarray(generic.y, np.float64))
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
    lines = [
        "## Lower bounds against networks\n",
        "Lip(f) on R^d, medians over seeds; trained networks that fit.\n",
        "| n | d | k | Theorem 4 | floor | fitted | lower bound of the trained | its certificate |",
        "| --- " * 8 + "|",
    ]
    for (n, d, k), rows in table.filter(kind="trained").group_by("n", "d", "k", maintain_order=True):
        cells = [rows[name].median() for name in ("theorem4", "floor", "lower", "upper")]
        text = [_number(cell) for cell in cells]
        fitted = f"{int(rows['fitted'].sum())} of {len(rows)}"
        lines.append(f"| {n} | {d} | {k} | {text[0]} | {text[1]} | {fitted} | {text[2]} | {text[3]} |")
    lines += [
        "\n2 ||T||_op = Lip on the unit ball of quadratic networks at k = d, medians over seeds.\n",
        "| n | d | Theorem 7 | at k = d/2 | least norm | least Frobenius norm | Theorem 2 | its fit error |",
        "| --- " * 8 + "|",
    ]
    names = ("theorem7", "theorem7_half", "least_norm", "least_frobenius", "theorem2", "theorem2_error")
    for (n, d), rows in table.filter(kind="quadratic").group_by("n", "d", maintain_order=True):
        lines.append(f"| {n} | {d} | " + " | ".join(_number(rows[name].median()) for name in names) + " |")
    return "\n".join(lines) + "\n"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3f}"


def plot(out: Path) -> None:
    """Draw the figure and write the summary."""
    from lawjax import plots

    table = job_table(out, ("kind", "n", "d", "k", "seed"))
    settings = report.changed(out, PRESETS["paper"], {"n", "d", "k", "quadratic_d", "quadratic_ratios", "seeds"})
    report.write(out, table, {"lower_bounds": plots.lower_bounds(table, settings)}, summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/lower-bounds-{preset}", __doc__)
