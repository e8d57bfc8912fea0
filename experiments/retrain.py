"""How far a network of a sweep is from the same network trained alone.

    python experiments/retrain.py runs/exp1 --sample 40

Draws networks of a run at random, trains each alone from the same seed and probes it at the same points: prints how
many end with the same status and after as many steps, and the spread of the proxy's relative difference. A minute or
two. Expected: in float32 rounding differs with the shapes of matrix products and is amplified by hundreds of steps, so
a few networks differ by a step or more; in float64 (a run with --dtype float64) all agree to 1e-6.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from lawjax import cli
from lawjax.errors import UserError
from lawjax.quantiles import quantiles
from lawjax.sweep import NetworkId, measure, retrain, stored_config
from lawjax.sweep.schema import CHOICES
from lawjax.sweep.store import Store
from lawjax.train.training import numerics


@dataclass(frozen=True)
class Options:
    """Which run, and how many of its networks.

    Attributes:
        dir: a run directory of an experiment.
        sample: how many networks to train again.
        largest: leave out networks with n * d * k above this.
    """

    dir: tyro.conf.Positional[Path]
    sample: int = 40
    largest: float = 1e9


def compare(options: Options) -> str:
    """Train a sample of a run's networks alone and say how they differ from the run's."""
    cli.check_device()
    config = stored_config(options.dir)
    table = Store(options.dir).table()
    rows = [row for row in table.iter_rows(named=True) if row["n"] * row["d"] * row["k"] <= options.largest]
    if not rows:
        raise UserError(f"{options.dir} holds no network with n * d * k up to {options.largest:g}; raise --largest.")
    chosen = np.random.default_rng(0).permutation(len(rows))[: options.sample]
    statuses, steps, spread = 0, 0, []
    for row in (rows[index] for index in chosen):
        name = NetworkId(row["n"], row["d"], row["k"], row["seed"])
        one = config.setting(**{choice: row[choice] for choice in CHOICES})
        alone = retrain(name, one)
        same = alone.status.label == row["status"]
        statuses += same
        steps += alone.steps == row["steps"]
        if same and row["fitted"] and alone.network is not None:
            with numerics(one.training):  # in float32, other points would be drawn for a float64 network
                proxy = measure(alone.network, name, one.probes)["proxy"]
            spread.append(proxy / row["proxy"] - 1)
    size = np.abs(spread)
    middle, high, most = quantiles(size, (0.5, 0.9, 1.0))
    return (
        f"{len(chosen)} networks trained alone: {statuses} with the same status, {steps} after as many steps.\n"
        f"Relative difference of the proxy, {len(spread)} networks that fit: median {middle:.2g}, "
        f"90 % {high:.2g}, largest {most:.2g}; within 1 %: {(size <= 0.01).sum()}."
    )


if __name__ == "__main__":
    cli.guarded(lambda: print(compare(tyro.cli(Options, description=__doc__))))
