"""Section 3's constructions: their Lipschitz constants, bracketed, against sqrt(n/k) and n/k, beside trained networks.

    python experiments/constructions.py --preset paper --out runs/constructions

Sphere data, three seeds, n/k from 1 to 100. Grouped caps (Theorem 1) and clustered ones, n and d growing with n/k so
that k >= 5 n/k (else all neurons are on at once, and the rate is 2 sqrt(n)) and the theorem's conditions hold;
quadratic forms (Theorem 2: approximate, exact, and the one of least norm) at k = d; partial cubic forms, for which k
alone changes; caps, ramps and the linear network at one size each; networks trained by Adam at n = 500, d = 2000. About
twenty minutes on two CPU cores, 14 GiB; preset laptop: two minutes. Expected: grouped caps rise like n/k with a
constant of about 4, the quadratic forms like sqrt(n/k). Writes figures/constructions.{png,pdf}, summary.md and
table.parquet in the run directory.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lawjax import Dataset, Search, TrainingConfig, cli, constructions, data, fits, keys, memorize, report
from lawjax.lipschitz import Sphere, bracket, brackets, max_random_gradient
from lawjax.sweep.grid import check_positive
from lawjax.sweep.jobs import Job, job_table, run_jobs

SEARCH = Search(starts=16, steps=40)
_MOST_CLUSTERED = 10_000  # points: clusters take n^2 inner products
TRAINING = TrainingConfig(epsilon=0.02, step_limit=3000)
BUILDERS = {
    "linear": lambda dataset, k: constructions.linear(dataset),
    "caps": lambda dataset, k: constructions.caps(dataset),
    "ramps": lambda dataset, k: constructions.ramps(dataset),
    "grouped caps": lambda dataset, k: constructions.grouped_caps(dataset, k),
    "clustered caps": lambda dataset, k: constructions.grouped_caps(dataset, k, clustered=True),
    "tensor": lambda dataset, k: constructions.tensor(dataset),
    "exact tensor": lambda dataset, k: constructions.tensor(dataset, exact=True),
    "partial tensor": lambda dataset, k: constructions.partial_tensor(dataset, k // (2 * dataset.d + 1)),
    "smoothest quadratic": lambda dataset, k: constructions.smoothest_quadratic(dataset),
}


@dataclass(frozen=True)
class Ladders:
    """What is built: each construction on a ladder of n/k, at sizes where its conditions hold.

    Attributes:
        grouped: (n, d, k) of the grouped caps.
        tensor_d: dimension and width of Theorem 2's forms; n is a multiple, eps = sqrt(n log(n)) / d.
        tensor_ratios: n/d of these.
        exact_ratios: n/d of those that fit exactly, well below d/2, where no form fits any more.
        partial: (n, d) of the partial tensors, for which k alone changes.
        partial_coordinates: m of these, k = m (2d + 1).
        smoothest_d: dimension and width of the smoothest quadratic forms, whose solver takes O(n^3).
        smoothest_ratios: n/d of these.
        caps: (n, d) of caps, ramps and the linear network.
        trained: (n, d) of the trained networks.
        trained_ratios: n/k of these.
        seeds: of every rung.
    """

    grouped: tuple[tuple[int, int, int], ...] = (
        (1000, 10_000, 1000),
        (1000, 10_000, 500),
        (1000, 10_000, 250),
        (1000, 10_000, 125),
        (2000, 10_000, 125),
        (5120, 10_000, 160),
        (20_480, 10_000, 320),
        (50_000, 16_000, 500),
    )
    tensor_d: int = 1200
    tensor_ratios: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 100)
    exact_ratios: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    partial: tuple[int, int] = (1600, 40)
    partial_coordinates: tuple[int, ...] = (1, 2, 4, 8, 16, 40)
    smoothest_d: int = 100
    smoothest_ratios: tuple[int, ...] = (1, 2, 4, 8, 12)
    caps: tuple[int, int] = (100, 4000)
    trained: tuple[int, int] = (500, 2000)
    trained_ratios: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check sizes."""
        check_positive(**dataclasses.asdict(self))

    def jobs(self) -> list[Job]:
        """One for each network: construction, n, d, k, seed."""
        sizes = [("grouped caps", *size) for size in self.grouped]
        sizes += [("clustered caps", *size) for size in self.grouped if size[0] <= _MOST_CLUSTERED]
        for name, d, ratios in (
            ("tensor", self.tensor_d, self.tensor_ratios),
            ("exact tensor", self.tensor_d, self.exact_ratios),
            ("smoothest quadratic", self.smoothest_d, self.smoothest_ratios),
        ):
            sizes += [(name, ratio * d, d, d) for ratio in ratios]
        n, d = self.partial
        sizes += [("partial tensor", n, d, m * (2 * d + 1)) for m in self.partial_coordinates]
        n, d = self.caps
        sizes += [("caps", n, d, n), ("ramps", n, d, 2 * n), ("linear", n, d, 1)]
        sizes += [("trained", *self.trained, self.trained[0] // ratio) for ratio in self.trained_ratios]
        return [
            {"construction": name, "n": n, "d": d, "k": k, "seed": seed}
            for name, n, d, k in sizes
            for seed in range(self.seeds)
        ]


# Fields that say what is built; the rows have them.
SIZES = {
    "grouped",
    "tensor_d",
    "tensor_ratios",
    "exact_ratios",
    "partial",
    "partial_coordinates",
    "smoothest_d",
    "smoothest_ratios",
    "caps",
    "trained",
    "trained_ratios",
    "seeds",
}
PRESETS = {
    "smoke": Ladders(
        grouped=((60, 400, 60), (60, 400, 15)),
        tensor_d=20,
        tensor_ratios=(1, 4),
        exact_ratios=(1, 4),
        partial=(60, 8),
        partial_coordinates=(2, 8),
        smoothest_d=10,
        smoothest_ratios=(1, 2),
        caps=(20, 400),
        trained=(60, 100),
        trained_ratios=(1, 4),
        seeds=2,
    ),
    "laptop": Ladders(
        grouped=((500, 4000, 500), (500, 4000, 250), (500, 4000, 125), (500, 4000, 62), (1280, 4000, 80)),
        tensor_d=200,
        tensor_ratios=(1, 2, 4, 8, 16),
        exact_ratios=(1, 2, 4, 8, 16),
        partial=(400, 20),
        partial_coordinates=(1, 4, 20),
        smoothest_d=40,
        smoothest_ratios=(1, 2, 4),
        trained=(200, 500),
        trained_ratios=(1, 4, 16),
    ),
    "paper": Ladders(),
}


def sphere(n: int, d: int, seed: int) -> Dataset:
    """The data set of (n, d, seed) in float64, its points of length one to rounding."""
    found = data.sphere(keys.data_key(n, d, seed), n, d)
    x = np.asarray(found.x, np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return Dataset(x, np.asarray(found.y, np.float64))


def measure(construction: str, n: int, d: int, k: int, seed: int) -> dict[str, Any]:
    """Build one network and bracket it: on R^d where that is finite, on the sphere, quadratic forms along it, too."""
    dataset = sphere(n, d, seed)
    if construction == "trained":
        single = Dataset(dataset.x.astype(np.float32), dataset.y.astype(np.float32))
        one = memorize(single, k, keys.weights_key(n, d, seed), TRAINING)[0]
        network, fitted = one.network, one.fitted
        error = float(np.abs(np.asarray(network(single.x)) - single.y).max())
        row: dict[str, Any] = {"claimed": None, "conditions": fitted, "failing": "" if fitted else "did not fit"}
    else:
        built = BUILDERS[construction](dataset, k)
        network, error = built.network, built.fit_error
        failing = "; ".join(f"{each.statement} ({each.found})" for each in built.conditions if not each.holds)
        row = {"claimed": built.bound, "conditions": built.holds, "failing": failing}
    quadratic = network.activation.name.startswith("power")
    found = brackets([network], ("sphere",) if quadratic else ("space", "sphere"), search=SEARCH)
    for domain in ("space", "sphere"):
        bounds = found.get(domain, [None])[0]
        row |= {f"lower_{domain}": bounds and bounds.lower, f"upper_{domain}": bounds and bounds.upper}
    along = bracket(network, Sphere(tangential=True), SEARCH) if quadratic else None
    row |= {"lower_along": along and along.lower, "upper_along": along and along.upper}
    proxy = float(max_random_gradient(network, keys.probe_key(n, d, k, seed)).maximum)
    return {**row, "width": network.n_neurons, "fit_error": error, "proxy": proxy}


def run(config: Ladders, out: Path, shard: tuple[int, int]) -> None:
    """Build and bracket every network."""
    run_jobs(out, dataclasses.asdict(config), config.jobs(), measure, shard)


def exponents(table: pl.DataFrame) -> list[str]:
    """Power laws of the lower and upper bounds on the sphere in sqrt(n/k), for networks whose conditions hold."""
    lines = ["| construction | rungs | lower bound | certificate |", "| --- " * 4 + "|"]
    for (name,), rows in table.filter("conditions").group_by("construction", maintain_order=True):
        x = (rows["n"] / rows["width"]).sqrt().to_numpy()
        if len(set(x.round(3))) < 3:
            continue
        laws = [
            report.fit_text(fits.power_law, x, rows[column].to_numpy(), rows["seed"].to_numpy())
            for column in ("lower_sphere", "upper_sphere")
        ]
        span = f"{x.min():.3g} to {x.max():.3g}"
        lines.append(f"| {name} | {len(rows)} networks, sqrt(n/k) {span} | {laws[0]} | {laws[1]} |")
    return lines


def summary(table: pl.DataFrame) -> str:
    """Every rung by medians over seeds, and the exponents."""
    ok = int(table["conditions"].sum())
    lines = [
        "## Constructions\n",
        f"{len(table)} networks; the conditions of the claim hold for {ok}. Below: sup ||grad f|| near the sphere,",
        "bounded from both sides; its part along the sphere (in brackets) for quadratic forms. Medians over seeds.\n",
        "| construction | n | d | k | sqrt(n/k) | lower | certificate | claimed | fit error | proxy | conditions |",
        "| --- " * 11 + "|",
    ]
    for (name, n, d), rung in table.group_by("construction", "n", "d", maintain_order=True):
        for (_,), rows in rung.group_by("k", maintain_order=True):
            k = rows["width"][0]
            middle = {
                c: rows[c].median() for c in ("lower_sphere", "upper_sphere", "lower_along", "upper_along", "claimed")
            }
            bounds = [
                f"{middle[f'{side}_sphere']:.4g}"
                + (f" ({middle[f'{side}_along']:.4g})" if middle[f"{side}_along"] is not None else "")
                for side in ("lower", "upper")
            ]
            claimed = "" if middle["claimed"] is None else f"{middle['claimed']:.4g}"
            lines.append(
                f"| {name} | {n} | {d} | {k} | {math.sqrt(n / k):.3g} | {bounds[0]} | {bounds[1]} | {claimed} | "
                f"{rows['fit_error'].max():.2g} | {rows['proxy'].median():.3g} | "
                f"{int(rows['conditions'].sum())} of {len(rows)} |"
            )
    lines += [
        "\nPower laws in sqrt(n/k), of networks whose conditions hold; bootstrap over seeds.\n",
        *exponents(table),
    ]
    return "\n".join(lines) + "\n"


def plot(out: Path) -> None:
    """Draw the figure and write the summary."""
    from lawjax import plots

    table = job_table(out, ("construction", "n", "d", "k", "seed"))
    settings = report.changed(out, PRESETS["paper"], SIZES)
    report.write(out, table, {"constructions": plots.constructions(table, settings)}, summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/constructions-{preset}", __doc__)
