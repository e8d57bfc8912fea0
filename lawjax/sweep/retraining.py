"""Networks of a stored run trained once more, each alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lawjax import keys
from lawjax.errors import UserError
from lawjax.sweep import datasets
from lawjax.sweep.config import Settings, SweepConfig, dataset
from lawjax.sweep.datasets import Given
from lawjax.sweep.grid import NetworkId, grid_of
from lawjax.sweep.measurements import ProbeConfig
from lawjax.sweep.store import Store
from lawjax.train import training
from lawjax.train.config import TrainingConfig


def retrain(name: NetworkId, config: SweepConfig, **setting: Any) -> training.Memorized:
    """Train one network of a sweep alone: the same data, the same initial weights, the same steps up to rounding.

    Args:
        name: its identity.
        config: of the sweep, see `stored_config`.
        setting: values of fields by which to choose, where the sweep has several settings.

    Raises:
        UserError: several settings have these values, or none.
    """
    n, d, k, seed = name
    one = config.setting(**setting)
    return training.memorize(dataset(n, d, seed, one), k, keys.weights_key(n, d, seed), one.training)[0]


def stored_config(root: str | Path, *data_models: Given) -> SweepConfig:
    """The configuration that a run directory was made with.

    Args:
        root: the run directory.
        data_models: the functions or data sets of one's own that it was made with, of which it keeps the names alone.

    Raises:
        UserError: it is no run directory of a sweep, or was made with a function or data that are not passed.
    """
    record = Store(root).read_config()["configuration"]
    if "grid" not in record:
        raise UserError(f"{root} is a run of jobs, not of a sweep.")
    known = {datasets.recorded(model): model for model in map(datasets.data_model, data_models)}

    def model_of(name: str) -> Any:
        try:
            return known.get(name) or datasets.data_model(name)
        except UserError:
            others = f", not {', '.join(known)}" if known else ""
            raise UserError(
                f"{root} was made with data of one's own ({name}), of which it keeps the name alone: pass that "
                f"function or data set once more{others}."
            ) from None

    def fields_of(stored: dict[str, Any]) -> dict[str, Any]:
        fields = dict(stored)
        if "optimizer_options" in fields:
            fields["optimizer_options"] = tuple(map(tuple, fields["optimizer_options"]))
        if "data_model" in fields:
            fields["data_model"] = model_of(fields["data_model"])
        return fields

    return SweepConfig(
        grid_of(record["grid"]),
        TrainingConfig(**fields_of(record["training"])),
        ProbeConfig(**record["probes"]),
        model_of(record["data_model"]),
        record["keep_networks"],
        Settings(map(fields_of, record.get("settings", []))),
    )
