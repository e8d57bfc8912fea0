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
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from constructions_jobs import PRESETS, Job, Ladders

from lawjax import Dataset, Search, TrainingConfig, TwoLayer, cli, constructions, data, fits, keys, memorize, report
from lawjax.lipschitz import Sphere, bracket, brackets, max_random_gradient
from lawjax.report import markdown
from lawjax.sweep.jobs import run_jobs

SEARCH = Search(starts=16, steps=40)
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


def sphere(n: int, d: int, seed: int) -> Dataset:
    """The data set of (n, d, seed) in float64, its points of length one to rounding."""
    found = data.sphere(keys.data_key(n, d, seed), n, d)
    x = np.asarray(found.x, np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return Dataset(x, np.asarray(found.y, np.float64))


def measure(job: Job) -> dict[str, Any]:
    """Build one network and bracket it: on R^d where that is finite, on the sphere, quadratic forms along it, too."""
    network, error, row = _trained(job) if job.construction == "trained" else _built(job)
    quadratic = network.activation.name.startswith("power")
    found = brackets([network], ("sphere",) if quadratic else ("space", "sphere"), search=SEARCH)
    for domain in ("space", "sphere"):
        bounds = found.get(domain, [None])[0]
        row |= {f"lower_{domain}": bounds and bounds.lower, f"upper_{domain}": bounds and bounds.upper}
    along = bracket(network, Sphere(tangential=True), SEARCH) if quadratic else None
    row |= {"lower_along": along and along.lower, "upper_along": along and along.upper}
    proxy = float(max_random_gradient(network, keys.probe_key(job.n, job.d, job.k, job.seed)).maximum)
    return {**row, "width": network.n_neurons, "fit_error": error, "proxy": proxy}


def _trained(job: Job) -> tuple[TwoLayer, float, dict[str, Any]]:
    dataset = sphere(job.n, job.d, job.seed)
    single = Dataset(dataset.x.astype(np.float32), dataset.y.astype(np.float32))
    one = memorize(single, job.k, keys.weights_key(job.n, job.d, job.seed), TRAINING)[0]
    assert one.network is not None, "training at this rate does not diverge"
    error = float(np.abs(np.asarray(one.network(single.x)) - single.y).max())
    claim = {"claimed": None, "conditions": one.fitted, "failing": "" if one.fitted else "did not fit"}
    return one.network, error, claim


def _built(job: Job) -> tuple[TwoLayer, float, dict[str, Any]]:
    built = BUILDERS[job.construction](sphere(job.n, job.d, job.seed), job.k)
    failing = "; ".join(f"{each.statement} ({each.found})" for each in built.conditions if not each.holds)
    claim = {"claimed": built.bound, "conditions": built.holds, "failing": failing}
    return built.network, built.fit_error, claim


def run(config: Ladders, out: Path, shard: tuple[int, int] = (1, 1)) -> None:
    """Build and bracket every network."""
    run_jobs(out, dataclasses.asdict(config), config.jobs(), measure, shard)


def exponents(table: pl.DataFrame) -> str:
    """Power laws of the lower and upper bounds on the sphere in sqrt(n/k), for networks whose conditions hold."""
    lines = []
    for (name,), rows in table.filter("conditions").group_by("construction", maintain_order=True):
        x = (rows["n"] / rows["width"]).sqrt().to_numpy()
        if len(set(x.round(3))) < 3:
            continue
        laws = [
            report.fit_text(fits.power_law, x, rows[column].to_numpy(), rows["seed"].to_numpy())
            for column in ("lower_sphere", "upper_sphere")
        ]
        lines.append((name, f"{len(rows)} networks, sqrt(n/k) {x.min():.3g} to {x.max():.3g}", *laws))
    return markdown.table(("construction", "rungs", "lower bound", "certificate"), lines)


def summary(table: pl.DataFrame) -> str:
    """Every rung by medians over seeds, and the exponents."""
    cells = {
        "k": lambda rows: str(rows["width"][0]),
        "sqrt(n/k)": lambda rows: f"{math.sqrt(rows['n'][0] / rows['width'][0]):.3g}",
        "lower": lambda rows: _near_and_along(rows, "lower"),
        "certificate": lambda rows: _near_and_along(rows, "upper"),
        "claimed": markdown.median("claimed", ".4g", missing="", of=None),
        "fit error": lambda rows: f"{rows['fit_error'].max():.2g}",
        "proxy": markdown.median("proxy", ".3g", of=None),
        "conditions": markdown.share("conditions"),
    }
    return markdown.text(
        "## Constructions\n",
        f"{len(table)} networks; the conditions of the claim hold for {int(table['conditions'].sum())}. "
        "Below: sup ||grad f|| near the sphere,",
        "bounded from both sides; its part along the sphere (in brackets) for quadratic forms. Medians over seeds.\n",
        markdown.by_group(table, ("construction", "n", "d", "k"), cells, {"k": ""}),
        "\nPower laws in sqrt(n/k), of networks whose conditions hold; bootstrap over seeds.\n",
        exponents(table),
    )


def _near_and_along(rows: pl.DataFrame, side: str) -> str:
    """The median near the sphere and, in brackets, that of the part along it."""
    along = markdown.number(rows[f"{side}_along"].median(), ".4g")
    near = markdown.number(rows[f"{side}_sphere"].median(), ".4g")
    return f"{near} ({along})" if along else near


def plot(out: Path) -> None:
    """Draw the figure and write the summary."""
    from lawjax import plots

    table = report.run_table(out, ("construction", "n", "d", "k", "seed"))
    report.write(out, table, {"constructions": lambda: plots.constructions(table)}, lambda: summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/constructions-{preset}", __doc__ or "")
