"""Two hidden layers against one: how smooth are the smoothest networks that fit, for as many neurons in all?

    python experiments/depth.py --preset paper --out runs/depth

Conjecture 1 is about one hidden layer; the paper leaves depth open. Gaussian data, epsilon = 0.02, ReLU, three seeds:
the search of `lawjax.frontier` for one hidden layer of m neurons, and for two of m/2 each, whose bound is looser (a
product of two). Preset paper: n = 400, d = 100, m = 16 to 800; seven minutes on two CPU cores. Expected: two layers
steeper below m = 400, smoother from there on, 2.4 against 2.8 at m = 800. Writes networks/*.npz with a certificate in
each (`lawjax check runs/depth`), figures/depth.{png,pdf}, summary.md and table.parquet in the run directory.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lawjax import UserError, cli, data, keys, report
from lawjax.frontier import FrontierConfig, search, search_deep
from lawjax.report import markdown
from lawjax.sweep.grid import check_positive
from lawjax.sweep.jobs import run_jobs
from lawjax.sweep.paths import RunPaths
from lawjax.sweep.store import Store

NETWORK = ("layers", "n", "d", "neurons", "seed")  # what a network's file is named by


@dataclass(frozen=True)
class Job:
    """One search.

    Attributes:
        layers: hidden layers, 1 or 2.
        n: points.
        d: their dimension.
        neurons: m, in all hidden layers together.
        seed: of the data set and the starts.
    """

    layers: int
    n: int
    d: int
    neurons: int
    seed: int


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
            Job(layers, self.n, self.d, neurons, seed)
            for neurons in self.neurons
            for layers in (1, 2)
            for seed in range(self.seeds)
        ]


PRESETS = {
    "smoke": Depths(n=30, d=20, neurons=(10,), steps=200, starts=1, seeds=2),
    "laptop": Depths(n=200, d=50, neurons=(16, 24, 40, 80, 200), steps=5000, seeds=2),
    "paper": Depths(),
}


def run(config: Depths, out: Path, shard: tuple[int, int] = (1, 1)) -> None:
    """Measure what is not measured yet."""
    searched = FrontierConfig(config.epsilon, steps=config.steps, starts=config.starts)
    folder = RunPaths(out).networks

    def measure(job: Job) -> dict[str, Any]:
        n, d = job.n, job.d
        dataset, key = data.gaussian(keys.data_key(n, d, job.seed), n, d), keys.weights_key(n, d, job.seed)
        name = report.network_name(dataclasses.asdict(job), NETWORK)
        if job.layers == 1:
            shallow = search(dataset, job.neurons, searched, key)
            report.write_network(folder, name, shallow.network, shallow.bracket.proof.record(shallow.network))
            bounds = {"lower": shallow.bracket.lower, "upper": shallow.bracket.upper}
            parameters = job.neurons * (d + 2) + 1
            return {"fitted": shallow.fitted, "loss": shallow.loss, **bounds, "parameters": parameters}
        half = job.neurons // 2
        deep = search_deep(dataset, half, searched, key)
        report.write_network(folder, name, deep.network, deep.network.record())
        parameters = half * (d + 1) + half * (half + 2) + 1
        bounds = {"lower": deep.lower, "upper": deep.upper}
        return {"fitted": deep.fitted, "loss": deep.loss, **bounds, "parameters": parameters}

    run_jobs(out, {"experiment": "depth", **dataclasses.asdict(config)}, config.jobs(), measure, shard)


def summary(table: pl.DataFrame) -> str:
    """Medians over seeds as Markdown."""
    cells = {
        "fitted": markdown.share("fitted", "/"),
        "lower": markdown.median("lower", ".3f"),
        "upper": markdown.median("upper", ".3f"),
    }
    return markdown.text(
        "## One and two hidden layers, medians over seeds of the networks that fit\n",
        markdown.by_group(table, ("neurons", "layers", "parameters"), cells),
    )


def plot(out: Path) -> None:
    """Draw the figure and write the summary."""
    from lawjax import plots

    table = report.run_table(out, ("neurons", "layers", "seed"))
    epsilon = Store(out).read_config()["configuration"]["epsilon"]
    settings = report.changed(out, PRESETS["paper"], {"n", "d", "neurons", "epsilon", "seeds"})
    figures = {"depth": lambda: plots.frontier_depth(table, epsilon, settings)}
    report.write(out, table, figures, lambda: summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/depth", __doc__ or "")
