"""The host loop of one unit of work: fill lanes, train in chunks, harvest, measure, store.

Each unit is deterministic: where its chunks end depends on the training alone, never on the clock. A unit that was
interrupted continues from the pack it had in flight when its rows were last committed.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from lawjax import keys
from lawjax.sweep import checkpoints
from lawjax.sweep.config import SweepConfig, dataset
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.measure import COLUMNS, measure
from lawjax.sweep.plan import Group, Unit, device, predicted_steps, step_time
from lawjax.sweep.progress import Progress
from lawjax.sweep.store import Store, device_name
from lawjax.train import pack, training
from lawjax.train.pack import PackShape, Status

_WORTH_MOVING = 1.5  # times that a smaller pack must be faster to be worth its compilation
_WORK_PER_COMMIT = 20.0  # training seconds for each second of storing state, so that large packs are not mostly stored


def _last_part(unit: Unit, store: Store) -> str | None:
    """The unit's last commit that holds a pack in flight."""
    names = [name for name in store.paths.part_names() if name.startswith(unit.name)]
    return names[-1] if names and store.paths.snapshot(names[-1]).exists() else None


@dataclass
class _UnitRun:
    """One unit on its way through its pack."""

    unit: Unit
    config: SweepConfig
    store: Store
    checkpoint_seconds: float
    bar: Progress
    shape: PackShape = PackShape(0, 0, 0, 0, 0)  # of the pack as it is now: the unit's, or smaller
    lanes: Any = None
    occupant: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # group in each lane, -1 for none
    next_group: int = 0
    seconds: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # of training, for each head of each lane
    sparse_time: float = 0.0  # predicted seconds spent so far while most of the pack was idle
    rows: list[dict[str, Any]] = field(default_factory=list)
    networks: dict[NetworkId, Any] = field(default_factory=dict)
    last_part: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Train to the end, or store the state and return once `stop` is set."""
        with training.numerics(self.config.training):
            self._restore()
            self._fill()
            due = time.monotonic() + self.checkpoint_seconds
            while (self.occupant >= 0).any():
                self._advance()
                self._harvest()
                self._fill()
                self._compact()
                going_on = (self.occupant >= 0).any()
                if going_on and (stop.is_set() or time.monotonic() > due):
                    start = time.monotonic()
                    self._commit(in_flight=True)
                    end = time.monotonic()
                    due = end + max(self.checkpoint_seconds, _WORK_PER_COMMIT * (end - start))
                    if stop.is_set():
                        return
            self._commit(in_flight=False)

    def _restore(self) -> None:
        self._use(self.unit.shape)
        self.last_part = _last_part(self.unit, self.store)
        if self.last_part is not None:
            path = self.store.paths.snapshot(self.last_part)
            self._use(PackShape(*map(int, checkpoints.load_arrays(path, (np.zeros(5, np.int64),))[0])))
            _, host, self.lanes = checkpoints.load_arrays(path, self._state())
            self.occupant, self.seconds = host["occupant"], host["seconds"]
            self.next_group, self.sparse_time = int(host["next_group"]), float(host["sparse_time"])

    def _use(self, shape: PackShape) -> None:
        """Start with empty lanes of a shape."""
        self.shape, self.lanes = shape, pack.empty(shape, self.config.training)
        self.occupant, self.seconds = np.full(shape.lanes, -1, np.int64), np.zeros((shape.lanes, shape.heads))

    def _state(self) -> Any:
        host = {
            "occupant": self.occupant,
            "seconds": self.seconds,
            "next_group": np.int64(self.next_group),
            "sparse_time": np.float64(self.sparse_time),
        }
        return np.array(self.shape, np.int64), host, self.lanes

    def _group(self, lane: int | np.integer) -> Group:
        return self.unit.groups[self.occupant[lane]]

    def _fill(self) -> None:
        """Give the next groups to the lanes that are free; a compacted pack goes back to the unit's shape first."""
        if self.next_group < len(self.unit.groups) and self.shape != self.unit.shape and (self.occupant < 0).all():
            self._use(self.unit.shape)
        if self.shape != self.unit.shape:
            return
        for lane in np.flatnonzero(self.occupant < 0):
            if self.next_group == len(self.unit.groups):
                return
            self.occupant[lane], self.next_group = self.next_group, self.next_group + 1
            n, d, seed, widths = self._group(lane)
            key = training.key_data(keys.weights_key(n, d, seed))
            points = dataset(n, d, seed, self.config)
            self.lanes = pack.fill(self.lanes, int(lane), points, widths, key, self.config.training)
            self.seconds[lane] = 0.0

    def _in_training(self) -> np.ndarray:
        """(lanes, heads): whether a network is in training."""
        return np.asarray(self.lanes.status) == Status.TRAINING

    def _widths(self) -> np.ndarray:
        """(lanes, heads): widths of the networks, 0 where there is none."""
        heads = np.arange(self.shape.heads)
        return (np.asarray(self.lanes.owner)[:, :, None] == heads).sum(1)

    def _advance(self) -> None:
        """One chunk; its time, compilation included, is shared by the networks in training in proportion to width."""
        active = self._in_training() * self._widths()
        start = time.monotonic()
        self.lanes = pack.advance(self.lanes, np.int32(self.unit.chunk), self.config.training)
        jax.block_until_ready(self.lanes)
        self.seconds += (time.monotonic() - start) * active / active.sum()
        self.bar.update(self.unit, self._share_done())

    def _share_done(self) -> float:
        """Roughly, the share of the unit's work that is done: whole groups, and the steps of those in training."""
        busy = self.occupant >= 0
        steps = np.asarray(self.lanes.step)[busy]
        expected = [
            max(predicted_steps(group.n, group.d, k, self.config.training) for k in group.widths)
            for group in map(self._group, np.flatnonzero(busy))
        ]
        under_way = sum(min(step / most, 0.95) for step, most in zip(steps, expected, strict=True))
        return (self.next_group - busy.sum() + under_way) / len(self.unit.groups)

    def _compact(self) -> None:
        """Move what is still in training to a smaller pack, where no group could take the idle places.

        Not before mostly idle packs have cost the unit as much as compiling the smaller one will.
        """
        active = (self._in_training() * self._widths()).sum(1)
        if not active.any() or (self.next_group < len(self.unit.groups) and self.shape.lanes > 1):
            return
        groups = [self._group(lane) for lane in np.flatnonzero(active)]
        n, d = max(group.n for group in groups), max(group.d for group in groups)
        neurons = next(size for size in (16 * 4**j for j in range(20)) if size >= active.max())
        small = PackShape(len(groups), n, d, neurons, self.shape.heads)
        on = device(jax.default_backend())
        if _WORTH_MOVING * step_time(small, on) > step_time(self.shape, on):
            return
        self.sparse_time += self.unit.chunk * step_time(self.shape, on)
        if self.sparse_time < on.compile_time:
            return
        self._harvest(every_ended=True)
        self.lanes, kept = pack.compact(self.lanes, small, self.config.training)
        self.occupant, self.seconds = self.occupant[kept], self.seconds[kept]
        self.shape = small

    def _harvest(self, every_ended: bool = False) -> None:
        """Fold, check and measure networks that have ended: of lanes that have ended whole, or all if `every_ended`."""
        still = self._in_training()
        for lane in np.flatnonzero(self.occupant >= 0):
            if still[lane].any() and not every_ended:
                continue
            group = self._group(lane)
            names = group.networks()
            ended = (np.asarray(self.lanes.status)[lane] != Status.UNUSED) & ~still[lane]
            heads = [int(head) for head in np.flatnonzero(ended)]
            points = dataset(group.n, group.d, group.seed, self.config)
            results = training.harvest(self.lanes, int(lane), points, heads, self.config.training)
            for head, result in zip(heads, results, strict=True):
                self.rows.append(self._row(names[head], result, self.seconds[lane, head]))
                if self.config.keep_networks and result.network is not None:
                    self.networks[names[head]] = result.network
            if not still[lane].any():
                self.occupant[lane] = -1
            fitted = sum(result.fitted for result in results)
            self.bar.update(self.unit, self._share_done(), len(results), fitted)

    def _row(self, name: NetworkId, result: training.Memorized, seconds: float) -> dict[str, Any]:
        measured: Mapping[str, float | None] = dict.fromkeys(COLUMNS)
        if result.network is not None:
            measured = measure(result.network, name, self.config.probes)
        choices = dataclasses.asdict(self.config.training)
        return {
            **name._asdict(),
            "status": result.status.label,
            "fitted": result.fitted,
            "steps": result.steps,
            "loss": result.loss,
            "loss_folded": result.loss_folded,
            **measured,
            "seconds": seconds,
            "data_model": self.config.data_model,
            **choices,
            "optimizer_options": json.dumps(dict(self.config.training.optimizer_options)),
            **dataclasses.asdict(self.config.probes),
            "device": device_name(),
        }

    def _commit(self, in_flight: bool) -> None:
        number = 0 if self.last_part is None else int(self.last_part.split("-")[1]) + 1
        part = f"{self.unit.name}-{number:04d}"
        state = self._state() if in_flight else None
        self.store.commit(part, self.rows, self.networks, state, self.last_part)
        self.rows, self.networks, self.last_part = [], {}, part
