"""Two hidden layers against one: how smooth are the smoothest networks that fit, for as many neurons in all?

    python experiments/depth.py --preset paper --out runs/depth

Conjecture 1 is about one hidden layer; the paper leaves depth open. Gaussian data, epsilon = 0.02, ReLU, three seeds:
the search of `lawjax.frontier` for one hidden layer of m neurons, and for two of m/2 each, whose bound is looser (a
product of two). Preset paper: n = 400, d = 100, m = 16 to 800; seven minutes on two CPU cores. Writes
networks/*.npz with a certificate each (`lawjax check runs/depth`), figures/depth.{png,pdf}, summary.md and
table.parquet in the run directory.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lawjax import UserError, cli, data, keys, report
from lawjax.frontier import FrontierConfig, search, search_deep
from lawjax.sweep.grid import check_positive
from lawjax.sweep.jobs import Job, job_table, run_jobs
from lawjax.sweep.paths import RunPaths
from lawjax.sweep.store import Store


@dataclass(frozen=True)
class Depths:
    """What is compared.

    Attributes:
        n: points.
        d: their dimension.
        neurons: m, in all hidden layers together.
        epsilon: mean square error that is allowed.
        steps: of each search.
        starts: of each search.
        seeds: of data sets and starts.
    """

    n: int = 400
    d: int = 100
    neurons: tuple[int, ...] = (16, 24, 40, 80, 160, 400, 800)
    epsilon: float = 0.02
    steps: int = 10_000
    starts: int = 2
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check every field."""
        sizes = {name: getattr(self, name) for name in ("n", "d", "neurons", "steps", "starts", "seeds")}
        check_positive(**sizes)
        if any(m % 2 for m in self.neurons):
            raise UserError(f"The neurons must be even numbers, for two layers of half as many: not {self.neurons}.")
        if not 0 < self.epsilon < 1:
            raise UserError(f"epsilon must be between 0 and 1 for two hidden layers, not {self.epsilon}.")

    def jobs(self) -> list[Job]:
        """One for each network."""
        return [
            {"layers": layers, "n": self.n, "d": self.d, "neurons": neurons, "seed": seed}
            for neurons in self.neurons
            for layers in (1, 2)
            for seed in range(self.seeds)
        ]


PRESETS = {
    "smoke": Depths(n=30, d=20, neurons=(10, 20), steps=200, starts=1, seeds=2),
    "laptop": Depths(n=200, d=50, neurons=(16, 24, 40, 80, 200), steps=5000, seeds=2),
    "paper": Depths(),
}


def run(config: Depths, out: Path, shard: tuple[int, int] = (1, 1)) -> None:
    """Measure what is not measured yet."""
    searched = FrontierConfig(config.epsilon, steps=config.steps, starts=config.starts)
    folder = RunPaths(out).networks

    def measure(layers: int, n: int, d: int, neurons: int, seed: int) -> dict[str, Any]:
        dataset, key = data.gaussian(keys.data_key(n, d, seed), n, d), keys.weights_key(n, d, seed)
        name = f"{layers}-{n}-{d}-{neurons}-{seed}"
        if layers == 1:
            shallow = search(dataset, neurons, searched, key)
            report.write_network(folder, name, shallow.network, shallow.bracket.proof.record(shallow.network))
            lower, upper, parameters = shallow.bracket.lower, shallow.bracket.upper, neurons * (d + 2) + 1
            return _row(shallow.fitted, shallow.loss, lower, upper, parameters)
        half = neurons // 2
        deep = search_deep(dataset, half, searched, key)
        report.write_network(folder, name, deep.network, deep.network.record())
        return _row(deep.fitted, deep.loss, deep.lower, deep.upper, half * (d + 1) + half * (half + 2) + 1)

    run_jobs(out, {"experiment": "depth", **dataclasses.asdict(config)}, config.jobs(), measure, shard)


def _row(fitted: bool, loss: float, lower: float, upper: float, parameters: int) -> dict[str, Any]:
    return {"fitted": fitted, "loss": loss, "lower": lower, "upper": upper, "parameters": parameters}


def summary(table: pl.DataFrame) -> str:
    """Medians over seeds as Markdown."""
    lines = ["## One and two hidden layers, medians over seeds of the networks that fit\n"]
    lines += ["| neurons | layers | parameters | fitted | lower | upper |", "| --- " * 6 + "|"]
    for (neurons, layers), own in table.group_by("neurons", "layers", maintain_order=True):
        kept = own.filter("fitted")
        bounds = " | ".join(f"{kept[column].median():.3f}" if len(kept) else "-" for column in ("lower", "upper"))
        lines.append(f"| {neurons} | {layers} | {own['parameters'][0]} | {len(kept)}/{len(own)} | {bounds} |")
    return "\n".join(lines) + "\n"


def plot(out: Path) -> None:
    """Draw the figure and write the summary."""
    from lawjax import plots

    table = job_table(out, ("neurons", "layers", "seed"))
    epsilon = Store(out).read_config()["configuration"]["epsilon"]
    settings = report.changed(out, PRESETS["paper"], {"n", "d", "neurons", "epsilon", "seeds"})
    report.write(out, table, {"depth": plots.frontier_depth(table, epsilon, settings)}, summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/depth", __doc__ or "")
