"""The host loop of one work unit: fill slots, train in chunks, harvest, measure, store.

Each work unit is deterministic: where its chunks end depends on the training alone, never on the clock. One that was
interrupted continues from the pack it had in flight when its rows were last committed.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.sweep import checkpoints
from lawjax.sweep.config import SweepConfig, dataset
from lawjax.sweep.devices import Device
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.probes import Probes
from lawjax.sweep.rows import row
from lawjax.sweep.state import Ended, State, advance, as_arrays, begin, compact, fill, from_arrays, harvest, share_done
from lawjax.sweep.store import Store
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
    probes: Probes | None = None,
) -> None:
    """Train, measure and store the networks of a work unit, or store its state and return once `stop` is set.

    Args:
        unit: what to train.
        config: of the sweep, of the unit's setting alone.
        store: where rows and networks go, and where an earlier call left its state.
        on: what is assumed of the device.
        stop: looked at after every chunk.
        checkpoint_seconds: how often the state is stored, at most.
        observers: told of what happens.
        probes: the user's, if there are any.

    Raises:
        UserError: the directory cannot be read or written; a probe of the user's fails, and the state is stored.
    """
    commits = _Commits(unit, config, store)
    loop = _Loop(unit, config, on, commits, observers, probes or Probes())
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
    probes: Probes

    def begin(self) -> State:
        """The state that was stored, or a pack with the first jobs."""
        restored = self.commits.restored()
        state = begin(self.unit.shape, self.config.training) if restored is None else restored
        self.tell("began" if restored is None else "restored", state)
        state = fill(state, self.unit, self._data_of, self.config.training)
        return state if state.looked_at else self._look(state)

    def chunk(self, state: State) -> State:
        """Train for a chunk, measure what has ended, and place the next jobs or move what is left."""
        state = advance(state, self.unit, self.config.training)
        self.tell("advanced", state)
        return self._look(state)

    def _look(self, before: State) -> State:
        unit, config = self.unit, self.config.training
        state, ended = harvest(before, unit, self._data_of, config)
        self._measure(before, state, ended)
        before = fill(state, unit, self._data_of, config)
        state, ended = compact(before, unit, self._data_of, config, self.on)
        self._measure(before, state, ended)
        if state.shape != before.shape:
            self.tell("compacted", state)
        return state

    def tell(self, what: str, state: State, ended: Ended | None = None) -> None:
        """Tell every observer."""
        share = share_done(state, self.unit, self.config.training, self.on)
        event = Event(what, self.unit, state, share, ended)
        for observer in self.observers:
            observer(event)

    def _measure(self, before: State, state: State, ended: Sequence[Ended]) -> None:
        """Measure networks for the next commit; where that fails, the state that still holds them is stored."""
        rows = []
        try:
            for one in ended:
                points = self._data_of(one.name.n, one.name.d, one.name.seed)
                rows.append(row(one.name, one.result, one.seconds, points, self.config, self.probes))
                self.tell("measured", state, one)
        except UserError:
            self.commits.commit(before)
            raise
        self.commits.add(ended, rows)

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

    def add(self, ended: Sequence[Ended], rows: Sequence[dict[str, Any]]) -> None:
        """Take networks and their rows for the next commit."""
        self._rows += rows
        if self._config.keep_networks:
            self._networks |= {one.name: one.result.network for one in ended if one.result.network is not None}

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
