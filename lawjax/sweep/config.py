"""What a sweep is: its configuration, and the data sets that follow from it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from lawjax import data, keys
from lawjax.errors import UserError
from lawjax.sweep.grid import CapacityGrid, Grid, WidthRuleGrid
from lawjax.sweep.measure import ProbeConfig
from lawjax.train import training
from lawjax.train.config import TrainingConfig


@dataclass(frozen=True)
class SweepConfig:
    """Everything that decides the numbers of a sweep; stored with it, and compared when a run is continued.

    Attributes:
        grid: which networks.
        training: how they are trained.
        probes: how they are measured.
        data_model: "gaussian" or "sphere".
        keep_networks: whether the folded networks are stored.
    """

    grid: Grid | WidthRuleGrid | CapacityGrid
    training: TrainingConfig = TrainingConfig()
    probes: ProbeConfig = ProbeConfig()
    data_model: str = "gaussian"
    keep_networks: bool = True

    def __post_init__(self) -> None:
        """Check the data model, the activation and the batch size."""
        if not isinstance(self.training.activation, str):
            raise UserError("A sweep is stored with its configuration: name an activation that lawjax has by name.")
        if self.data_model not in data.MODELS:
            raise UserError(f"data_model must be one of {', '.join(data.MODELS)}, not {self.data_model!r}.")
        sizes = self.grid.n if isinstance(self.grid.n, tuple) else (self.grid.n,)
        training.check_batch(self.training, min(sizes))


@functools.lru_cache(maxsize=4)
def dataset(n: int, d: int, seed: int, config: SweepConfig) -> data.Dataset:
    """The data set that the networks (n, d, ., seed) of a sweep are trained on, as NumPy arrays."""
    with training.numerics(config.training):
        drawn = data.MODELS[config.data_model](keys.data_key(n, d, seed), n, d, config.training.dtype)
        return data.Dataset(*map(np.asarray, drawn))
