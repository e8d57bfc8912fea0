"""Probes of one's own: functions (network, dataset) -> dict of numbers, whose columns stand beside ours.

They are tried on one network before anything is trained, which finds mistakes early and says what the columns are.
"""

from __future__ import annotations

import numbers
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
import numpy as np

from lawjax import arguments
from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.sweep import reasons
from lawjax.sweep.schema import SCHEMA

Probe: TypeAlias = Callable[[TwoLayer, Dataset], Mapping[str, float]]


@dataclass(frozen=True)
class Probes:
    """A user's probes with their columns.

    Attributes:
        functions: by name.
        names: for each probe, the numbers it returns and the columns they go to.
    """

    functions: Mapping[str, Probe] = field(default_factory=dict)
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    _one_at_a_time: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def columns(self) -> dict[str, list[str]]:
        """The columns of the table that each probe fills."""
        return {name: list(columns.values()) for name, columns in self.names.items()}

    def unmeasured(self) -> dict[str, float | None]:
        """The columns of a network that is not measured, such as one that diverged."""
        return {column: None for columns in self.names.values() for column in columns.values()}

    def measure(self, network: TwoLayer, dataset: Dataset) -> dict[str, float | None]:
        """The columns of a network. The functions are called from the threads that train, one at a time.

        Args:
            network: folded; its arrays cannot be written to.
            dataset: that it was trained on.

        Raises:
            UserError: a probe fails, or does not return the numbers that it returned when it was tried.
        """
        found: dict[str, float | None] = {}
        with self._one_at_a_time:
            for name, function in self.functions.items():
                measured = _numbers(name, function, network, dataset)
                columns = self.names[name]
                if measured.keys() != columns.keys():
                    raise UserError(
                        f"The probe {name} returns {_listed(measured)} for one network and {_listed(columns)} for "
                        "others; return the same numbers for all, nan where there is none."
                    )
                found |= {columns[key]: value for key, value in measured.items()}
        return found


def tried(functions: Mapping[str, Probe], network: TwoLayer, dataset: Dataset) -> Probes:
    """Probes with the columns that they fill, found by calling each once.

    A column whose name is one of ours, or one of another probe's, has the probe's name before it.

    Args:
        functions: by name.
        network: of the kind that they will measure.
        dataset: that it is on.

    Raises:
        UserError: the functions are no dict of functions by name; one fails or returns no numbers by name; a column has
            the name of another one all the same.
    """
    _check(functions)
    returned = {name: list(_numbers(name, function, network, dataset)) for name, function in functions.items()}
    times = Counter(key for keys in returned.values() for key in keys)
    names = {
        name: {key: f"{name}_{key}" if key in SCHEMA or times[key] > 1 else key for key in keys}
        for name, keys in returned.items()
    }
    taken = Counter([*SCHEMA, *(column for columns in names.values() for column in columns.values())])
    for name, columns in names.items():
        for key, column in columns.items():
            if taken[column] > 1:
                raise UserError(f"The probe {name} returns {key!r}, but there is another column {column}; rename it.")
    return Probes(dict(functions), names)


def _check(functions: Any) -> None:
    if not isinstance(functions, Mapping):
        raise UserError(f"probes must be a dict of functions by name, not {arguments.shown(functions)}.")
    for name, function in functions.items():
        if not isinstance(name, str) or not name or not callable(function):
            raise UserError(
                f"probes must be functions (network, dataset) -> dict by name, not {arguments.shown(name)}: "
                f"{arguments.shown(function)}."
            )


def _numbers(name: str, function: Probe, network: TwoLayer, dataset: Dataset) -> dict[str, float]:
    try:
        returned = function(jax.tree.map(_unwritable, network), dataset)
    except Exception as error:
        raise UserError(f"The probe {name} failed ({reasons.of_function(error)}).") from error
    if not isinstance(returned, Mapping):
        raise UserError(f"The probe {name} must return a dict of numbers by name, not {arguments.shown(returned)}.")
    found = {}
    for key, value in returned.items():
        if not isinstance(key, str) or not key:
            raise UserError(f"The probe {name} must name its numbers by words, not {arguments.shown(key)}.")
        one = value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value
        if not isinstance(one, numbers.Real):
            raise UserError(f"The probe {name} must return numbers, but {key!r} is {arguments.shown(value)}.")
        found[key] = float(one)
    return found


def _unwritable(leaf: Any) -> np.ndarray:
    view = np.asarray(leaf).view()
    view.flags.writeable = False
    return view


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "nothing"
