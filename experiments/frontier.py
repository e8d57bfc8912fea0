"""The frontier: the smoothest networks that fit, certified, over n, d and k, beside Adam's and what is impossible.

    python experiments/frontier.py --preset paper --out runs/frontier

Conjecture 1 speaks of every network that fits; this searches for the smoothest (`lawjax.frontier`). Preset paper: three
seeds, n up to 1000; six (n, d) with k from 2n/d to n; k = n and k = 10n/d over d = 25 to 400; epsilon = 0.02, 0.1, 0.5
and exact fits; Gaussian and sphere data, bounds on R^d and on the sphere; other activations, low-rank, clustered and
real data; a search ten times as long. About half an hour on two CPU cores; preset laptop: five. Expected:
about 1.2 sqrt(n/k) at small k, two to four times below Adam's networks. Writes networks/*.npz with a certificate
in each (`lawjax check runs/frontier`), figures, summary.md and table.parquet in the run directory.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from frontier_jobs import PRESETS, SIZES, Frontiers, Job
from frontier_summary import summary
from jaxtyping import Float

from lawjax import (
    Dataset,
    TrainingConfig,
    TwoLayer,
    UserError,
    cli,
    constructions,
    data,
    keys,
    lower_bounds,
    memorize,
    report,
)
from lawjax.domains import as_domain
from lawjax.frontier import EXACT, FrontierConfig, Problem, epsilon_of, search_all
from lawjax.lipschitz import Bracket, brackets, max_random_gradient, path_product
from lawjax.sweep.jobs import run_jobs
from lawjax.sweep.paths import RunPaths

NETWORK = ("source", "model", "activation", "fit", "domain", "effort", "n", "d", "k", "seed")  # names of files
TRAINING = TrainingConfig(epsilon=0.02, step_limit=3000)


class Found(NamedTuple):
    """A network that was searched for, trained or built.

    Attributes:
        network: of one hidden layer.
        bracket: of its Lipschitz constant.
        uppers: the certificate of every start, nan for one that does not fit.
    """

    network: TwoLayer
    bracket: Bracket
    uppers: Float[np.ndarray, " starts"]


def run(config: Frontiers, out: Path, shard: tuple[int, int] = (1, 1)) -> None:
    """Measure what is not measured yet."""
    folder = RunPaths(out).networks

    def measure(job: Job) -> list[dict[str, Any]]:
        return [row_of(job, seed, found, folder) for seed, found in enumerate(_MAKERS[job.source](job, config))]

    run_jobs(out, {"experiment": "frontier", **dataclasses.asdict(config)}, config.jobs(), measure, shard)


def points(job: Job, seed: int) -> Dataset:
    """A job's data set; `digits` has labels at random, `digits-true` says whether a digit is odd."""
    n, d, model = job.n, job.d, job.model
    key = keys.data_key(n, d, seed)
    if model == "low-rank":
        return data.low_rank(key, n, d, max(1, d // 5))
    if model == "clustered":
        return data.clustered(key, n, d, max(1, n // 20))
    if model.startswith("digits"):
        return _digits(key, n, of_parity=model == "digits-true")
    return data.MODELS[model](key, n, d)


def _digits(key: jax.Array, n: int, *, of_parity: bool) -> Dataset:
    """n of scikit-learn's 1797 digits of 64 pixels, centred, of mean squared length one."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError(
            "The digits come with scikit-learn: pip install scikit-learn, or leave out their models."
        ) from None
    found = load_digits()
    drawn, labels = jax.random.split(key)
    chosen = np.asarray(jax.random.permutation(drawn, len(found.data)))[:n]
    x = found.data[chosen] - found.data.mean(0)
    x /= math.sqrt(float(np.mean(np.sum(x**2, axis=1))))
    odd = np.where(found.target[chosen] % 2, 1.0, -1.0)
    y = odd if of_parity else np.asarray(jax.random.rademacher(labels, (n,)))
    return data.dataset(x, y.astype(np.float64))


def _searched(job: Job, config: Frontiers) -> list[Found]:
    searched = FrontierConfig(
        epsilon=epsilon_of(job.fit),
        activation=job.activation,
        domain=as_domain(job.domain),
        steps=job.effort * config.steps,
        starts=2 if 4 * job.k <= job.n else 1,  # the widest agree to a few parts in a thousand
    )
    problems = [Problem(points(job, seed), job.k, keys.weights_key(job.n, job.d, seed)) for seed in range(config.seeds)]
    return [Found(found.network, found.bracket, found.uppers) for found in search_all(problems, searched)]


def _trained(job: Job, config: Frontiers) -> list[Found]:
    networks = []
    for seed in range(config.seeds):
        weights_key = keys.weights_key(job.n, job.d, seed)
        network = memorize(points(job, seed), job.k, weights_key, TRAINING)[0].network
        networks.append(network if network is not None else TwoLayer(np.zeros((1, job.d)), np.zeros(1), np.zeros(1)))
    return _bracketed(networks, job)


def _built(job: Job, config: Frontiers) -> list[Found]:
    build = _CONSTRUCTIONS[job.source]
    return _bracketed([build(points(job, seed)).network for seed in range(config.seeds)], job)


def _bracketed(networks: list[TwoLayer], job: Job) -> list[Found]:
    found = brackets(networks, (job.domain,))[job.domain]
    return [Found(network, one, np.array([one.upper])) for network, one in zip(networks, found, strict=True)]


_CONSTRUCTIONS: dict[str, Callable[[Dataset], constructions.Construction]] = {
    "caps": constructions.caps,  # section 3.2
    "ramps": constructions.ramps,
    "form": constructions.smoothest_quadratic,  # of Theorem 2's kind
}
_MAKERS = {"frontier": _searched, "adam": _trained} | dict.fromkeys(_CONSTRUCTIONS, _built)


def row_of(job: Job, seed: int, found: Found, folder: Path) -> dict[str, Any]:
    """What is measured of one network, which is stored with its certificate."""
    network, bracket = found.network, found.bracket
    dataset = data.float64(points(job, seed))
    error = network.astype(np.float64)(dataset.x) - dataset.y
    loss, epsilon = float(np.mean(error**2)), epsilon_of(job.fit)
    fitted = loss <= epsilon and (error * dataset.y > -1).all() if epsilon else np.abs(error).max() <= EXACT
    name = report.network_name({**dataclasses.asdict(job), "seed": seed}, NETWORK)
    report.write_network(folder, name, network, bracket.proof.record(network))
    probed = max_random_gradient(network, keys.probe_key(job.n, job.d, job.k, seed))
    return {
        "seed": seed,
        "fitted": bool(fitted),
        "lower": bracket.lower,
        "upper": bracket.upper,
        "loss": loss,
        "fit_error": float(np.abs(error).max()),
        "uppers": [None if math.isnan(upper) else float(upper) for upper in found.uppers],
        "proxy": float(probed.maximum),
        "linear_part": float(probed.linear_part),
        "residual": float(probed.residual),
        "floor": lower_bounds.floor(dataset, epsilon).value,
        "theorem4": lower_bounds.theorem4(dataset, job.k, epsilon=epsilon).value,
        "network": name,
        "path": path_product(network),
    }


def plot(out: Path) -> None:
    """Draw the figures and write the summary."""
    from lawjax import plots

    table = report.run_table(out, NETWORK)
    settings = report.changed(out, PRESETS["paper"], SIZES)
    figures = {
        "law": lambda: plots.frontier_law(table, settings),
        "flat": lambda: plots.frontier_flat(table, settings),
        "factors": lambda: plots.frontier_factors(table, settings),
        "constructions": lambda: plots.frontier_constructions(table, settings),
    }
    report.write(out, table, figures, lambda: summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run, plot, "runs/frontier", __doc__ or "")
