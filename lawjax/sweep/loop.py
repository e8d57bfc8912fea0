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
from typing import Any, NamedTuple

import jax

from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.sweep.config import SweepConfig, dataset
from lawjax.sweep.devices import Device
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.probes import Probes
from lawjax.sweep.rows import row
from lawjax.sweep.state import Ended, State, advance, as_arrays, begin, compact, fill, from_arrays, harvest, share_done
from lawjax.sweep.store import Commit, Store
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


Sink = Callable[[Commit], None]  # where commits go: `Store.commit`, or something that brings them there


class Told(NamedTuple):
    """How far a work unit is that another process trains.

    Attributes:
        share: of the unit's work that is done.
        measured: networks since the last word.
        fitted: of these.
    """

    share: float
    measured: int
    fitted: int


@dataclass(frozen=True)
class Resumption:
    """Where a work unit goes on.

    Attributes:
        number: of its next commit.
        last: the commit before, if that holds a pack in flight.
        load: reads the first arrays of that pack into a structure like its argument.
        stored: the networks whose rows were committed.
    """

    number: int = 0
    last: str | None = None
    load: Callable[[Any], Any] | None = None
    stored: frozenset[NetworkId] = frozenset()


def resumption(unit: WorkUnit, store: Store) -> Resumption:
    """Where a work unit goes on by what a run directory holds of it."""
    names = _parts_of(unit, store)
    last = last_part(unit, store)
    return Resumption(
        number=int(names[-1].split("-")[1]) + 1 if names else 0,
        last=last,
        load=None if last is None else functools.partial(store.in_flight, last),
        stored=frozenset(name for part in names for name in store.identities(part)),
    )


def train_unit(
    unit: WorkUnit,
    config: SweepConfig,
    begin_at: Resumption,
    sink: Sink,
    on: Device,
    stop: threading.Event,
    checkpoint_seconds: float,
    observers: Sequence[Observer] = (),
    probes: Probes | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> None:
    """Train, measure and store the networks of a work unit, or store its state and return once `stop` is set.

    Args:
        unit: what to train.
        config: of the sweep, of the unit's setting alone.
        begin_at: where an earlier call left it.
        sink: where rows, networks and the state go.
        on: what is assumed of the device.
        stop: looked at after every chunk.
        checkpoint_seconds: how often something is stored.
        observers: told of what happens.
        probes: the user's, if there are any.
        devices: among which neurons are divided, for networks that one device cannot hold.

    Raises:
        UserError: the sink fails; a probe of the user's fails, and the state is stored.
    """
    commits = _Commits(unit, config, begin_at, sink, checkpoint_seconds, on.work_per_commit)
    loop = _Loop(unit, config, on, commits, observers, probes or Probes(), devices)
    with training.numerics(config.training):
        state = loop.begin()
        while state.busy.any():
            state = loop.chunk(state)
            if state.busy.any() and (stop.is_set() or commits.are_due()):
                commits.commit(state)
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
    devices: Sequence[jax.Device] | None

    def begin(self) -> State:
        """The state that was stored, or a pack with the first jobs."""
        restored = self.commits.restored()
        state = begin(self.unit.shape, self.config.training) if restored is None else restored
        self.tell("began" if restored is None else "restored", state)
        state = fill(state, self.unit, self._data_of, self.config.training)
        return state if state.looked_at else self._look(state)

    def chunk(self, state: State) -> State:
        """Train for a chunk, measure what has ended, and place the next jobs or move what is left."""
        state = advance(state, self.unit, self.config.training, self.devices)
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
        """Measure networks for the next commit; with what is stored in between goes the state that still holds them."""
        for one in ended:
            if one.name in self.commits.stored:  # before the process was killed in the middle of measuring
                continue
            points = self._data_of(one.name.n, one.name.d, one.name.seed)
            try:
                measured = row(one.name, one.result, one.seconds, points, self.config, self.probes)
            except UserError:
                self.commits.commit(before)
                raise
            self.commits.add(one, measured)
            self.tell("measured", state, one)
            if self.commits.are_due() and one is not ended[-1]:
                self.commits.commit(before)
                self.tell("stored", before)

    def _data_of(self, n: int, d: int, seed: int) -> Dataset:
        return dataset(n, d, seed, self.config)


class _Commits:
    """The rows and networks of a work unit that wait to be stored, and when that is due."""

    def __init__(
        self,
        unit: WorkUnit,
        config: SweepConfig,
        begin_at: Resumption,
        sink: Sink,
        every: float,
        work_per_commit: float,
    ):
        self._unit, self._config, self._sink, self._load = unit, config, sink, begin_at.load
        self._number, self._last = begin_at.number, begin_at.last
        self._every, self._work_per_commit, self._due = every, work_per_commit, time.monotonic() + every
        self._rows: list[dict[str, Any]] = []
        self._networks: dict[NetworkId, TwoLayer] = {}
        self.stored = set(begin_at.stored)

    def restored(self) -> State | None:
        """The state in the last commit, if there is one."""
        return None if self._load is None else from_arrays(self._load, self._config.training)

    def are_due(self) -> bool:
        """Whether something should be stored now."""
        return time.monotonic() > self._due

    def add(self, ended: Ended, row: dict[str, Any]) -> None:
        """Take a network and its row for the next commit."""
        self._rows.append(row)
        self.stored.add(ended.name)
        if self._config.keep_networks and ended.result.network is not None:
            self._networks[ended.name] = ended.result.network

    def commit(self, state: State | None) -> None:
        """Store what waits, and the state if the unit goes on."""
        start = time.monotonic()
        part = f"{self._unit.name}-{self._number:04d}"
        in_flight = None if state is None else as_arrays(state)
        self._sink(Commit(part, self._rows, self._networks, in_flight, self._last))
        self._rows, self._networks, self._last, self._number = [], {}, part, self._number + 1
        end = time.monotonic()
        self._due = start + max(self._every, (1.0 + self._work_per_commit) * (end - start))


def last_part(unit: WorkUnit, store: Store) -> str | None:
    """The name of the unit's last commit, if it holds a pack in flight."""
    names = _parts_of(unit, store)
    return names[-1] if names and store.is_in_flight(names[-1]) else None


def _parts_of(unit: WorkUnit, store: Store) -> list[str]:
    """The unit's commits in their order."""
    return [name for name in store.paths.part_names() if name.startswith(f"{unit.name}-")]
