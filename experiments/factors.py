"""Which choices that section 5 leaves unstated matter: Experiment 2 with one choice changed at a time.

    python experiments/factors.py --preset laptop --out runs/factors

Preset laptop: n = 1000, d from 20 to 500, two seeds, 19 settings; about ten minutes on two CPU cores. Preset paper:
the same at n = 10000, for a GPU. Expected: see docs/findings.md. Fields given on the command line change the setting
that all others are compared with.
One sweep, of which the choices are the settings. Writes figures/factors.{png,pdf}, summary.md and table.parquet.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, NamedTuple

import experiment2
import polars as pl

from lawjax import cli, fits, report
from lawjax.report import markdown
from lawjax.sweep import Settings, Store, SweepConfig, run, stored_config
from lawjax.sweep.grid import WIDTH_RULES, WidthRuleGrid
from lawjax.train.config import TrainingConfig

TRAINING = TrainingConfig(epsilon=0.1, step_limit=5000)


def _preset(n: int, d: tuple[int, ...], seeds: int) -> SweepConfig:
    return SweepConfig(WidthRuleGrid(n, d, seeds), TRAINING, keep_networks=False)


PRESETS = {
    "smoke": _preset(16, (8, 16), 1),
    "laptop": _preset(1000, (20, 50, 100, 200, 500), 2),
    "paper": _preset(10_000, (50, 100, 200, 500, 1000, 2000, 3000), 2),
}


class Choice(NamedTuple):
    """One choice changed.

    Attributes:
        factor: what is changed.
        name: to what.
        changes: the fields of `TrainingConfig` that it changes, or data_model; none for the default.
    """

    factor: str
    name: str
    changes: dict[str, Any]


def choices(n: int) -> tuple[Choice, ...]:
    """All of them, for n points."""
    momentum = {"optimizer": "sgd", "learning_rate": 0.03, "optimizer_options": (("momentum", 0.9),)}
    return (
        Choice("learning rate", "3e-4", {"learning_rate": 3e-4}),
        Choice("learning rate", "1e-3", {}),
        Choice("learning rate", "3e-3", {"learning_rate": 3e-3}),
        Choice("learning rate", "1e-2", {"learning_rate": 1e-2}),
        Choice("scale of initial W", "0.1", {"hidden_scale": 0.1}),
        Choice("scale of initial W", "1", {}),
        Choice("scale of initial W", "10", {"hidden_scale": 10.0}),
        Choice("scale of initial a", "0.1", {"readout_scale": 0.1}),
        Choice("scale of initial a", "1", {}),
        Choice("scale of initial a", "10", {"readout_scale": 10.0}),
        Choice("batch size", "n (full)", {}),
        Choice("batch size", "n / 4", {"batch_size": max(2, n // 4)}),
        Choice("batch size", "n / 20", {"batch_size": max(2, n // 20)}),
        Choice("optimiser", "Adam", {}),
        Choice("optimiser", "SGD 0.03, momentum 0.9", momentum),
        Choice("optimiser", "RMSProp", {"optimizer": "rmsprop"}),
        Choice("weight decay (AdamW)", "0", {}),
        Choice("weight decay (AdamW)", "1", {"optimizer": "adamw", "optimizer_options": (("weight_decay", 1.0),)}),
        Choice("weight decay (AdamW)", "10", {"optimizer": "adamw", "optimizer_options": (("weight_decay", 10.0),)}),
        Choice("epsilon", "0.5", {"epsilon": 0.5}),
        Choice("epsilon", "0.1", {}),
        Choice("epsilon", "0.01", {"epsilon": 0.01}),
        Choice("data model", "Gaussian", {}),
        Choice("data model", "sphere", {"data_model": "sphere"}),
        Choice("layers", "batch norm, c", {}),
        Choice("layers", "batch norm, no c", {"readout_bias": False}),
        Choice("layers", "no batch norm, biases", {"batch_norm": False}),
    )


def with_choices(config: SweepConfig) -> SweepConfig:
    """The sweep in every setting."""
    return dataclasses.replace(config, settings=Settings(choice.changes for choice in choices(_points(config))))


def _points(config: SweepConfig) -> int:
    return config.grid.networks()[0].n


def run_choices(config: SweepConfig, out: Path, shard: tuple[int, int] = (1, 1), **options: Any) -> None:
    """Run every setting."""
    run(with_choices(config), out, shard, **options)


def load(out: Path) -> pl.DataFrame:
    """The table by choices, with columns factor, setting, is_default and width_rule; each factor has the default."""
    store = Store(out)
    if store.paths.table.exists() and not store.paths.results.exists():  # of a folder that kept nothing else
        return store.whole_table()
    table = report.run_table(out)
    config = stored_config(out)
    table = experiment2.by_rule(table)
    return pl.concat([_labelled(table, choice, config) for choice in choices(_points(config))])


def _labelled(table: pl.DataFrame, choice: Choice, config: SweepConfig) -> pl.DataFrame:
    """The rows of one choice."""
    [one] = dataclasses.replace(config, settings=Settings([choice.changes])).configurations()
    same = [pl.col(name).eq_missing(pl.lit(value)) for name, value in one.choices().items()]
    return table.filter(*same).with_columns(
        factor=pl.lit(choice.factor), setting=pl.lit(choice.name), is_default=pl.lit(not choice.changes)
    )


def summary(table: pl.DataFrame) -> str:
    """For each setting: how many fitted, the exponent of the proxy and of its residual in sqrt(d), for both widths."""
    cells = {"fitted": markdown.share("fitted", " / ")}
    cells |= {rule: functools.partial(_exponents, rule=rule) for rule in WIDTH_RULES}
    return markdown.text(
        "## Unstated choices\n",
        "Exponent of the maximum random gradient (and of its residual, the gradient less its mean) in sqrt(d), with",
        "the median of the proxy over d in brackets; the law's shape is 0 for k = n and 1 for k = 10n/d.\n",
        markdown.by_group(table, ("factor", "setting"), cells),
    )


def _exponents(rows: pl.DataFrame, rule: str) -> str:
    kept = rows.filter("fitted", width_rule=rule)
    if kept["d"].n_unique() < 2:
        return "too few fitted"
    x, seeds = kept["d"].sqrt().to_numpy(), kept["seed"].to_numpy()
    proxy, residual = (fits.power_law(x, kept[name].to_numpy(), seeds) for name in ("proxy", "residual"))
    middle = markdown.number(kept["proxy"].median(), ".1f")
    return f"{proxy.exponent:.2f} ({residual.exponent:.2f}) [{middle}]"


def plot(out: Path) -> None:
    """Draw the small multiples and write the summary."""
    from lawjax import plots

    table = load(out)
    report.write(out, table, {"factors": lambda: plots.factors(table)}, lambda: summary(table))


if __name__ == "__main__":
    cli.experiment(PRESETS, run_choices, plot, "runs/factors-{preset}", __doc__ or "", with_choices)
