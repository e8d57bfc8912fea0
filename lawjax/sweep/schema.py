"""The columns of a sweep's table: the fields of the dataclasses that a row is made of, in one place.

A column of its own has what is no field: the training's seconds, the data model and the device. The columns of a user's
probes come after these.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from lawjax.errors import UserError
from lawjax.sweep import datasets
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.measurements import BRACKETS, Bounds, Estimates, ProbeConfig
from lawjax.train.config import TrainingConfig
from lawjax.train.training import Memorized


@dataclass(frozen=True)
class Outcome:
    """How the training of a network ended.

    Attributes:
        status: fitted, step limit or diverged, as training saw it.
        fitted: training fitted it, and the folded network has all signs right and a loss of at most epsilon.
        steps: updates made.
        loss: mean square error before folding, in the training's precision.
        loss_folded: mean square error of the folded network, in float64; nan if it diverged.
    """

    status: str
    fitted: bool
    steps: int
    loss: float
    loss_folded: float

    @staticmethod
    def of(result: Memorized) -> Outcome:
        """As `memorize` tells it."""
        return Outcome(result.status.label, result.fitted, result.steps, result.loss, result.loss_folded)


def columns(kind: type) -> pl.Schema:
    """A column for each field of a dataclass or named tuple of numbers and words; other values are stored as JSON."""
    return pl.Schema({name: _column(hint) for name, hint in typing.get_type_hints(kind).items()})


_COLUMNS: dict[type, pl.DataType] = {str: pl.String(), float: pl.Float64(), int: pl.Int64(), bool: pl.Boolean()}


def _column(hint: Any) -> Any:
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = typing.get_args(hint) if is_union else (hint,)
    return next((column for kind, column in _COLUMNS.items() if kind in kinds), pl.String())


IDENTITY = NetworkId._fields
CHOICES = ("data_model", *columns(TrainingConfig))  # the columns that say in which setting a network was trained
SCHEMA = pl.Schema(
    {
        **columns(NetworkId),
        **columns(Outcome),
        **columns(Estimates),
        **columns(Bounds),
        "seconds": pl.Float64(),
        "data_model": pl.String(),
        **columns(TrainingConfig),
        **columns(ProbeConfig),
        "device": pl.String(),
    }
)
BRACKET_SCHEMA = pl.Schema({name: SCHEMA[name] for name in (*IDENTITY, *BRACKETS)})


def with_probes(names: Iterable[str]) -> pl.Schema:
    """`SCHEMA` and the columns of a user's probes."""
    return pl.Schema({**SCHEMA, **dict.fromkeys(names, pl.Float64())})


def choices(training: TrainingConfig | Mapping[str, Any], data_model: str) -> dict[str, Any]:
    """The columns `CHOICES` of a setting.

    Args:
        training: its configuration, or what JSON kept of it.
        data_model: as it is recorded.
    """
    fields = dataclasses.asdict(training) if isinstance(training, TrainingConfig) else dict(training)
    return {"data_model": data_model, **fields, "optimizer_options": json.dumps(dict(fields["optimizer_options"]))}


def as_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a setting as the columns `CHOICES` have them.

    Args:
        values: of fields of `TrainingConfig`, and of data_model: what was passed, or what was recorded.

    Raises:
        UserError: a field is none of these.
    """
    unknown = next((name for name in values if name not in CHOICES), None)
    if unknown is not None:
        raise UserError(f"A setting has the fields {', '.join(CHOICES)}, not {unknown}.")
    found = dict(values)
    if not isinstance(found.get("data_model", ""), str):
        found["data_model"] = datasets.recorded(datasets.data_model(found["data_model"]))
    if not isinstance(found.get("optimizer_options", ""), str):
        found["optimizer_options"] = json.dumps(dict(found["optimizer_options"]))
    return found


def parsed(words: Iterable[str]) -> dict[str, Any]:
    """Fields of a setting from words such as "learning_rate=0.01".

    >>> parsed(["learning_rate=0.01", "batch_size=none", "activation=tanh"])
    {'learning_rate': 0.01, 'batch_size': None, 'activation': 'tanh'}

    Args:
        words: NAME=VALUE, one for each field.

    Raises:
        UserError: a word is no such thing, no setting has the field, or the value is none that it may have.
    """
    found = {}
    for word in words:
        name, is_pair, value = word.partition("=")
        if not is_pair or name not in CHOICES:
            raise UserError(f"A setting is given as NAME=VALUE, with one of {', '.join(CHOICES)}, not as {word!r}.")
        try:
            found[name] = None if value.lower() == "none" else _OF_WORDS[SCHEMA[name]](value)
        except (KeyError, ValueError):
            raise UserError(f"{name} of a setting cannot be {value!r}.") from None
    return found


_OF_WORDS: dict[pl.DataType, Callable[[str], Any]] = {
    pl.String(): str,
    pl.Float64(): float,
    pl.Int64(): int,
    pl.Boolean(): {"true": True, "false": False, "True": True, "False": False}.__getitem__,
}


def varied(table: pl.DataFrame) -> list[str]:
    """The columns `CHOICES` in which a table's rows differ."""
    return [name for name in CHOICES if name in table.columns and table[name].n_unique() > 1]


def in_words(values: Mapping[str, Any]) -> str:
    """For example learning_rate=0.01, activation='tanh'."""
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


Setting = tuple[tuple[str, Hashable], ...]


def setting(row: Mapping[str, Any]) -> Setting:
    """What two rows have in common if and only if their networks were trained in the same setting.

    Args:
        row: the columns `CHOICES`, or what an earlier lawjax had of them.
    """
    options = tuple(json.loads(row["optimizer_options"]).items())
    return tuple(sorted({**row, "optimizer_options": options}.items(), key=lambda item: item[0]))
