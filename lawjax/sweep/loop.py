"""The host loop of one work unit: fill slots, train in chunks, harvest, measure, store.

Each work unit is deterministic: where its chunks end depends on the training alone, never on the clock. One that was
interrupted continues from the pack it had in flight when its rows were last committed.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lawjax.data import Dataset
from lawjax.network import TwoLayer
from lawjax.sweep import checkpoints
from lawjax.sweep.config import SweepConfig, dataset
from lawjax.sweep.devices import Device
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.measure import COLUMNS, measure
from lawjax.sweep.state import Ended, State, advance, as_arrays, begin, compact, fill, from_arrays, harvest, share_done
from lawjax.sweep.store import Store, device_name
from lawjax.sweep.work import WorkUnit
from lawjax.train import training


@dataclass(frozen=True)
class Event:
    """What an observer of the loop is told.

    Attributes:
        what: "began" or "restored", then in turn "advanced", "measured" (one network), "compacted" and "stored".
        unit: the work unit.
        state: as it is now; to be looked at during the call alone, since the next step takes over its arrays.
        share: roughly, the part of the unit's work that is done.
        ended: the network, where one was measured.
    """

    what: str
    unit: WorkUnit
    state: State
    share: float
    ended: Ended | None = None


Observer = Callable[[Event], None]  # called from the threads that train, several at a time


def train_unit(
    unit: WorkUnit,
    config: SweepConfig,
    store: Store,
    on: Device,
    stop: threading.Event,
    checkpoint_seconds: float = 60.0,
    observers: Sequence[Observer] = (),
) -> None:
    """Train, measure and store the networks of a work unit, or store its state and return once `stop` is set.

    Args:
        unit: what to train.
        config: of the sweep.
        store: where rows and networks go, and where an earlier call left its state.
        on: what is assumed of the device.
        stop: looked at after every chunk.
        checkpoint_seconds: how often the state is stored, at most.
        observers: told of what happens.

    Raises:
        UserError: the directory cannot be read or written.
    """
    commits = _Commits(unit, config, store)
    loop = _Loop(unit, config, on, commits, observers)
    with training.numerics(config.training):
        state = loop.begin()
        due = time.monotonic() + checkpoint_seconds
        while state.busy.any():
            state = loop.chunk(state)
            if state.busy.any() and (stop.is_set() or time.monotonic() > due):
                start = time.monotonic()
                commits.commit(state)
                end = time.monotonic()
                due = end + max(checkpoint_seconds, on.work_per_commit * (end - start))
                loop.tell("stored", state)
                if stop.is_set():
                    return
        commits.commit(None)
        loop.tell("stored", state)


@dataclass(frozen=True)
class _Loop:
    """What the steps of a work unit need besides its state, and who is told of them."""

    unit: WorkUnit
    config: SweepConfig
    on: Device
    commits: _Commits
    observers: Sequence[Observer]

    def begin(self) -> State:
        """The state that was stored, or a pack with the first jobs."""
        restored = self.commits.restored()
        state = begin(self.unit.shape, self.config.training) if restored is None else restored
        self.tell("began" if restored is None else "restored", state)
        return fill(state, self.unit, self._data_of, self.config.training)

    def chunk(self, state: State) -> State:
        """Train for a chunk, measure what has ended, and place the next jobs or move what is left."""
        unit, config = self.unit, self.config.training
        state = advance(state, unit, config)
        self.tell("advanced", state)
        state, ended = harvest(state, unit, self._data_of, config)
        self._measure(state, ended)
        state = fill(state, unit, self._data_of, config)
        shape = state.shape
        state, ended = compact(state, unit, self._data_of, config, self.on)
        self._measure(state, ended)
        if state.shape != shape:
            self.tell("compacted", state)
        return state

    def tell(self, what: str, state: State, ended: Ended | None = None) -> None:
        """Tell every observer."""
        share = share_done(state, self.unit, self.config.training, self.on)
        event = Event(what, self.unit, state, share, ended)
        for observer in self.observers:
            observer(event)

    def _measure(self, state: State, ended: Sequence[Ended]) -> None:
        for one in ended:
            self.commits.add(one)
            self.tell("measured", state, one)

    def _data_of(self, n: int, d: int, seed: int) -> Dataset:
        return dataset(n, d, seed, self.config)


class _Commits:
    """The rows and networks of a work unit that wait to be stored, and its last commit."""

    def __init__(self, unit: WorkUnit, config: SweepConfig, store: Store):
        self._unit, self._config, self._store = unit, config, store
        self._last = last_part(unit, store)
        self._rows: list[dict[str, Any]] = []
        self._networks: dict[NetworkId, TwoLayer] = {}

    def restored(self) -> State | None:
        """The state in the last commit, if there is one."""
        if self._last is None:
            return None
        path = self._store.paths.snapshot(self._last)
        return from_arrays(functools.partial(checkpoints.load_arrays, path), self._config.training)

    def add(self, ended: Ended) -> None:
        """Measure a network and take it for the next commit."""
        self._rows.append(row(ended, self._config))
        if self._config.keep_networks and ended.result.network is not None:
            self._networks[ended.name] = ended.result.network

    def commit(self, state: State | None) -> None:
        """Store what waits, and the state if the unit goes on."""
        number = 0 if self._last is None else int(self._last.split("-")[1]) + 1
        part = f"{self._unit.name}-{number:04d}"
        in_flight = None if state is None else as_arrays(state)
        self._store.commit(part, self._rows, self._networks, in_flight, self._last)
        self._rows, self._networks, self._last = [], {}, part


def last_part(unit: WorkUnit, store: Store) -> str | None:
    """The name of the unit's last commit, if it holds a pack in flight."""
    names = [name for name in store.paths.part_names() if name.startswith(unit.name)]
    return names[-1] if names and store.paths.snapshot(names[-1]).exists() else None


def row(ended: Ended, config: SweepConfig) -> dict[str, Any]:
    """The row of the table for a network: how its training ended, what is measured, and how both were done."""
    result = ended.result
    measured: Mapping[str, float | None] = dict.fromkeys(COLUMNS)
    if result.network is not None:
        measured = measure(result.network, ended.name, config.probes)
    return {
        **ended.name._asdict(),
        "status": result.status.label,
        "fitted": result.fitted,
        "steps": result.steps,
        "loss": result.loss,
        "loss_folded": result.loss_folded,
        **measured,
        "seconds": ended.seconds,
        "data_model": config.data_model,
        **dataclasses.asdict(config.training),
        "optimizer_options": json.dumps(dict(config.training.optimizer_options)),
        **dataclasses.asdict(config.probes),
        "device": device_name(),
    }
