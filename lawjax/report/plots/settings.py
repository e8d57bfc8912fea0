"""What the footer of a figure says of a configuration: each field in which it differs from the paper's.

Fields and their usual values are those of the configuration's dataclasses, so that none can be forgotten. Where the
paper states nothing, the usual value is the default of the field.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable
from typing import Any

import polars as pl

from lawjax.sweep.config import SweepConfig
from lawjax.sweep.measurements import ProbeConfig
from lawjax.train.config import TrainingConfig

# Fields that the footer leaves out: their contents have fields of their own, or the figure itself shows them.
_ELSEWHERE = {"grid", "training", "probes", "settings", "keep_networks", "brackets"}
USUAL: dict[str, Any] = {
    field.name: field.default
    for config in (SweepConfig, TrainingConfig, ProbeConfig)
    for field in dataclasses.fields(config)
    if field.name not in _ELSEWHERE
}
CONFIGURATION = tuple(USUAL)  # columns that say how a table's networks were trained and measured
PROBES = {field.name for field in dataclasses.fields(ProbeConfig)} - _ELSEWHERE

# How fields are said; one without an entry, by its name.
_WORDS = {
    "data_model": "{} data",
    "epsilon": "\N{GREEK SMALL LETTER EPSILON} = {}",
    "optimizer": "optimiser {}",
    "optimizer_options": "{}",
    "step_limit": "at most {} steps",
    "batch_size": "batches of {}",
    "hidden_scale": "initial W times {}",
    "readout_scale": "initial a times {}",
    "batch_norm": "batch norm: {}",
    "readout_bias": "output constant c: {}",
    "dtype": "{}",
    "points": "T = {} random points per network",
}


def plain(text: str) -> str:
    """Words of a table as they are, without matplotlib's taking dollars for formulas."""
    return text.replace("$", r"\$")


def value_text(value: Any) -> str:
    """For example 2,000, 0.02, tanh or, of an optimiser's options, momentum 0.9."""
    if value is None:
        return "all points"  # of a batch
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {value_text(each)}" for name, each in value.items()) or "no options"
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value))
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else plain(str(value))


def said(table: pl.DataFrame, field: str) -> str | None:
    """One field as the table has it, such as "at most 3,000 steps"; None where the table does not know."""
    values = _values(table, field) if field in table.columns else [None]
    if values == [None]:
        return None
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if numbers and len(values) > 1:
        text = f"{value_text(min(values))} to {value_text(max(values))}"
    else:
        text = " and ".join(map(value_text, values))
    return _WORDS.get(field, f"{field.replace('_', ' ')} {{}}").format(text)


def changed(table: pl.DataFrame, but: Collection[str] = ()) -> str:
    """A sentence on the fields that are not usual, apart from those said elsewhere; empty where there is none.

    Args:
        table: with columns named like fields of the configuration; those that it lacks are passed over.
        but: fields that the caption says anyway.
    """
    differing = [field for field, usual in USUAL.items() if field not in but and _differs(table, field, usual)]
    return changed_text(said(table, field) or "" for field in differing)


def changed_text(phrases: Iterable[str]) -> str:
    """For example "Settings changed: tanh, sphere data."."""
    text = "; ".join(phrases)
    return f"Settings changed: {text}." if text else ""


def _differs(table: pl.DataFrame, field: str, usual: Any) -> bool:
    if field not in table.columns:
        return False
    usual = {} if field == "optimizer_options" else usual
    return _values(table, field) not in ([usual], [None])


def _values(table: pl.DataFrame, field: str) -> list[Any]:
    """The distinct entries of a column, in a fixed order; an optimiser's options as what their JSON says."""
    distinct = {str(value): value for value in table[field].to_list()}  # of any kind, not even hashable
    values = sorted(distinct.values(), key=lambda value: (value is None, str(value)))
    return [_options(value) for value in values] if field == "optimizer_options" else values


def _options(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text
