"""What a sweep is: which networks, how they are trained and measured, and in which settings."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lawjax import arguments
from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.sweep import datasets, schema
from lawjax.sweep.datasets import OwnData
from lawjax.sweep.grid import AnyGrid, Widths
from lawjax.sweep.measurements import ProbeConfig
from lawjax.train import training
from lawjax.train.config import TrainingConfig

Changes = Mapping[str, Any]  # fields of TrainingConfig, or data_model, with other values


class Settings(tuple):
    """In which settings networks are trained: for each what it changes. Settings add up.

    A type of its own, so that command lines do not take what it holds for options.
    """

    __slots__ = ()

    def __add__(self, other: Any) -> Settings:
        return Settings((*self, *other))


def axes(**values: Sequence[Any]) -> Settings:
    """Settings with every combination of these values: hyperparameters as axes of a grid.

    >>> axes(learning_rate=(1e-3, 1e-2), activation=("relu", "tanh"))[1]
    {'learning_rate': 0.001, 'activation': 'tanh'}

    Settings add up, to vary one choice at a time: axes(learning_rate=(1e-3, 1e-2)) + axes(batch_norm=(True, False)).

    Args:
        values: for fields of `TrainingConfig`, or for data_model, the values they take.

    Raises:
        UserError: a name is no such field, or there are no values.
    """
    for name, each in values.items():
        if not arguments.sequence(f"The axis {name}", each):
            raise UserError(f"The axis {name} needs at least one value.")
    return Settings(dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values()))


@dataclass(frozen=True)
class SweepConfig:
    """Everything that decides the numbers of a sweep; stored with it, and compared when a run is continued.

    Attributes:
        grid: which networks.
        training: how they are trained.
        probes: how they are measured.
        data_model: what they are trained on: "gaussian", "sphere", a function (key, n, d) -> Dataset, or a data set.
        keep_networks: whether the folded networks are stored.
        settings: in which settings every network of the grid is trained, each given by what it changes in `training`
            and `data_model`; see `axes`. As they are if there are none.
    """

    grid: AnyGrid
    training: TrainingConfig = TrainingConfig()
    probes: ProbeConfig = ProbeConfig()
    data_model: Any = "gaussian"  # a DataModel; the command line, which this type is for, takes a name
    keep_networks: bool = True
    settings: Settings = Settings()

    def __post_init__(self) -> None:
        """Check the data model, the activation and the batch size, in every setting."""
        if not isinstance(self.training.activation, str):
            raise UserError("A sweep is stored with its configuration: name an activation that lawjax has by name.")
        object.__setattr__(self, "data_model", datasets.data_model(self.data_model))
        if isinstance(self.data_model, OwnData):
            self._check_size(self.data_model.dataset)
        self._check_settings()
        if not self.settings:
            sizes = {network.n for network in self.grid.networks()}
            training.check_batch(self.training, min(sizes, default=self.training.batch_size or 0))
        self.configurations()

    def _check_size(self, points: Dataset) -> None:
        """Take n and d from one's own data, and refuse a grid of other sizes."""
        size = points.x.shape
        if isinstance(self.grid, Widths) and self.grid.size is None:
            object.__setattr__(self, "grid", dataclasses.replace(self.grid, size=size))
        other = next((network for network in self.grid.networks() if (network.n, network.d) != size), None)
        if other is not None:
            raise UserError(
                f"The data set has n = {size[0]} and d = {size[1]}, but the grid asks for n = {other.n} and "
                f"d = {other.d}; pass Widths(k=...), which takes the sizes from the data."
            )

    def _check_settings(self) -> None:
        known = {field.name for field in dataclasses.fields(TrainingConfig)} | {"data_model"}
        for change in arguments.sequence("settings", self.settings):
            unknown = [name for name in change if name not in known] if isinstance(change, Mapping) else [change]
            if unknown:
                raise UserError(
                    f"settings change fields of TrainingConfig or data_model, not {arguments.shown(unknown[0])}; "
                    f"the fields are {', '.join(sorted(known))}."
                )
        object.__setattr__(self, "settings", Settings(self.settings))

    def configurations(self) -> list[SweepConfig]:
        """For each setting a configuration of its own without others; a setting that is there twice counts once.

        Raises:
            UserError: a setting has no valid values.
        """
        if not self.settings:
            return [self]
        found: dict[schema.Setting, SweepConfig] = {}
        for change in self.settings:
            fields = dict(change)
            model = fields.pop("data_model", self.data_model)
            one = dataclasses.replace(
                self, training=dataclasses.replace(self.training, **fields), data_model=model, settings=Settings()
            )
            found.setdefault(schema.setting(one.choices()), one)
        return list(found.values())

    def choices(self) -> dict[str, Any]:
        """The columns of the table that say in which setting networks are trained, where there is one setting."""
        return schema.choices(self.training, datasets.recorded(self.data_model))

    def setting(self, **values: Any) -> SweepConfig:
        """The configuration of one setting.

        Args:
            values: of fields in which it differs from the others.

        Raises:
            UserError: none or several have these values.
        """
        wanted = schema.as_columns(values).items()
        found = [one for one in self.configurations() if wanted <= one.choices().items()]
        if len(found) != 1:
            having = f" with {schema.in_words(values)}" if values else ""
            raise UserError(
                f"The sweep has {len(found) or 'no'} setting{'s' * (len(found) != 1)}{having}; choose one by values "
                "such as learning_rate=0.001."
            )
        return found[0]


def as_record(config: SweepConfig, probe_columns: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """A configuration, with the columns of the user's probes, as JSON would hold it."""
    record: dict[str, Any] = {
        "grid": dataclasses.asdict(config.grid),
        "training": dataclasses.asdict(config.training),
        "probes": dataclasses.asdict(config.probes),
        "data_model": datasets.recorded(config.data_model),
        "keep_networks": config.keep_networks,
    }
    if config.settings:
        record["settings"] = [_recorded(change) for change in config.settings]
    if probe_columns:
        record["probe_columns"] = dict(probe_columns)
    return json.loads(json.dumps(record, default=lambda number: number.item()))  # NumPy's


def _recorded(change: Changes) -> dict[str, Any]:
    found = dict(change)
    if "data_model" in found:
        found["data_model"] = datasets.recorded(datasets.data_model(found["data_model"]))
    return found


def dataset(n: int, d: int, seed: int, config: SweepConfig) -> Dataset:
    """The data set that the networks (n, d, ., seed) of a sweep are trained on, as NumPy arrays.

    Raises:
        UserError: a data model of one's own fails; the configuration has several settings, see `SweepConfig.setting`.
    """
    one = config.setting()
    return datasets.draw(n, d, seed, one.data_model, one.training.dtype)
