"""Stored configurations compared: whether a run goes on with what is asked now, and in which order it came to that.

A run may be extended: a configuration that asks for all its networks, and for more, goes on in the same directory. The
earlier configurations are kept, since the work is planned stage by stage: what was planned stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lawjax.errors import UserError
from lawjax.sweep import schema
from lawjax.sweep.grid import NetworkId, grid_of
from lawjax.sweep.schema import Setting

Record = Mapping[str, Any]  # a configuration as JSON holds it, see `config.as_record`
_WHAT_IS_ASKED = ("grid", "training", "data_model", "settings")


def settings(record: Record) -> list[Setting]:
    """The settings in which a configuration trains its networks, each once."""
    found = []
    for changes in record.get("settings", [{}]):
        fields = {"data_model": record["data_model"], **record["training"], **changes}
        model = fields.pop("data_model")
        found.append(schema.setting(schema.choices(fields, model)))
    return list(dict.fromkeys(found))


def networks(record: Record) -> list[NetworkId]:
    """The networks that a configuration asks for in each setting.

    Raises:
        UserError: its grid is not one of this lawjax.
    """
    return grid_of(record["grid"]).networks()


def goes_on(stored: Record, asked: Record) -> bool:
    """Whether a run of one configuration can go on as one of another: with all its networks, and perhaps more."""
    if stored == asked:
        return True
    if "grid" not in stored or "grid" not in asked or _difference(stored, asked, besides=_WHAT_IS_ASKED):
        return False
    try:
        return set(settings(stored)) <= set(settings(asked)) and set(networks(stored)) <= set(networks(asked))
    except (UserError, KeyError, TypeError, ValueError):  # of another lawjax
        return False


def is_extended(stored: Record, asked: Record) -> bool:
    """Whether a configuration with which a run goes on asks for more than the stored one."""
    if stored == asked:
        return False
    return len(settings(stored)) < len(settings(asked)) or len(networks(stored)) < len(networks(asked))


def first_difference(stored: Record, asked: Record) -> tuple[str, Any, Any]:
    """A field in which two configurations differ, with its two values; the grid's only where all others agree."""
    return _difference(stored, asked, besides=("grid",)) or _difference(stored, asked) or ("", stored, asked)


def _difference(stored: Record, asked: Record, besides: tuple[str, ...] = ()) -> tuple[str, Any, Any] | None:
    for name in {**stored, **asked}:
        was, now = stored.get(name), asked.get(name)
        if name not in besides and was != now:
            deeper = _difference(was, now) if isinstance(was, dict) and isinstance(now, dict) else None
            return deeper or (name, was, now)
    return None
