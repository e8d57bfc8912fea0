"""Which choices that section 5 leaves unstated matter: Experiment 2 with one choice changed at a time.

    python experiments/factors.py --preset laptop --out runs/factors

Preset laptop: n = 1000, d from 20 to 500, two seeds, 19 settings; about ten minutes on two CPU cores. Preset paper:
the same at n = 10000, for a GPU. Expected: see docs/findings.md. Fields given on the command line change the setting
that all others are compared with.
Writes figures/factors.{png,pdf}, summary.md and table.parquet; each setting has a run directory of its own below --out.
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
from lawjax.sweep import SweepConfig, run
from lawjax.sweep.grid import WIDTH_RULES, WidthRuleGrid
from lawjax.train.config import TrainingConfig

TRAINING = TrainingConfig(epsilon=0.1, step_limit=5000)


def _preset(n: int, d: tuple[int, ...], seeds: int) -> SweepConfig:
    return SweepConfig(WidthRuleGrid(n, d, seeds), TRAINING, keep_networks=False)


PRESETS = {
    "smoke": _preset(40, (10, 20), 1),
    "laptop": _preset(1000, (20, 50, 100, 200, 500), 2),
    "paper": _preset(10_000, (50, 100, 200, 500, 1000, 2000, 3000), 2),
}


class Setting(NamedTuple):
    """One choice changed.

    Attributes:
        factor: what is changed.
        name: to what.
        training: the fields of `TrainingConfig` it changes.
        data_model: the data model, None for the default.
    """

    factor: str
    name: str
    training: dict[str, Any]
    data_model: str | None = None


SETTINGS = (
    Setting("learning rate", "3e-4", {"learning_rate": 3e-4}),
    Setting("learning rate", "1e-3", {}),
    Setting("learning rate", "3e-3", {"learning_rate": 3e-3}),
    Setting("learning rate", "1e-2", {"learning_rate": 1e-2}),
    Setting("scale of initial W", "0.1", {"hidden_scale": 0.1}),
    Setting("scale of initial W", "1", {}),
    Setting("scale of initial W", "10", {"hidden_scale": 10.0}),
    Setting("scale of initial a", "0.1", {"readout_scale": 0.1}),
    Setting("scale of initial a", "1", {}),
    Setting("scale of initial a", "10", {"readout_scale": 10.0}),
    Setting("batch size", "n (full)", {}),
    Setting("batch size", "n / 4", {"batch_size": 4}),
    Setting("batch size", "n / 20", {"batch_size": 20}),
    Setting("optimiser", "Adam", {}),
    Setting(
        "optimiser",
        "SGD 0.03, momentum 0.9",
        {"optimizer": "sgd", "learning_rate": 0.03, "optimizer_options": (("momentum", 0.9),)},
    ),
    Setting("optimiser", "RMSProp", {"optimizer": "rmsprop"}),
    Setting("weight decay (AdamW)", "0", {}),
    Setting("weight decay (AdamW)", "1", {"optimizer": "adamw", "optimizer_options": (("weight_decay", 1.0),)}),
    Setting("weight decay (AdamW)", "10", {"optimizer": "adamw", "optimizer_options": (("weight_decay", 10.0),)}),
    Setting("epsilon", "0.5", {"epsilon": 0.5}),
    Setting("epsilon", "0.1", {}),
    Setting("epsilon", "0.01", {"epsilon": 0.01}),
    Setting("data model", "Gaussian", {}),
    Setting("data model", "sphere", {}, "sphere"),
    Setting("layers", "batch norm, c", {}),
    Setting("layers", "batch norm, no c", {"readout_bias": False}),
    Setting("layers", "no batch norm, biases", {"batch_norm": False}),
)


def configured(setting: Setting, base: SweepConfig) -> SweepConfig:
    """The base configuration with the setting's choice made."""
    changes = dict(setting.training)
    if "batch_size" in changes:  # given as a fraction of n
        changes["batch_size"] = max(2, base.grid.networks()[0].n // changes["batch_size"])
    training = dataclasses.replace(base.training, **changes)
    return dataclasses.replace(base, training=training, data_model=setting.data_model or base.data_model)


def directory(setting: Setting, out: Path) -> Path:
    """Where a setting's run is kept; the default setting of every factor is the same run."""
    if not setting.training and setting.data_model is None:
        return out / "default"
    words = f"{setting.factor} {setting.name}".replace("/", "over").replace(",", "").split()
    return out / "-".join(words).replace("(", "").replace(")", "").lower()


def run_settings(base: SweepConfig, out: Path, shard: tuple[int, int] = (1, 1)) -> None:
    """Run every setting; those done before are skipped by their own run directories."""
    for setting in SETTINGS:
        print(f"{setting.factor}: {setting.name}", flush=True)
        run(configured(setting, base), directory(setting, out), shard)


def load(out: Path) -> pl.DataFrame:
    """The tables of all settings, one below the other, with columns factor, setting, is_default and width_rule."""
    if (out / "table.parquet").exists() and not (out / "default").exists():
        return pl.read_parquet(out / "table.parquet")
    parts = [
        experiment2.by_rule(report.run_table(directory(setting, out))).with_columns(
            factor=pl.lit(setting.factor),
            setting=pl.lit(setting.name),
            is_default=pl.lit(not setting.training and setting.data_model is None),
        )
        for setting in SETTINGS
    ]
    return pl.concat(parts)


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
    cli.experiment(PRESETS, run_settings, plot, "runs/factors-{preset}", __doc__ or "")
