"""How a work unit stands between two looks of the host, and the steps that change it.

`State` is one frozen value; `fill`, `advance`, `harvest` and `compact` are functions State -> State, together with what
they yield. Where the steps lead depends on the training alone; only the seconds they note come from the clock. A step
takes over the arrays of the state it is given (JAX donates them), so that state must not be used after it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from lawjax import keys
from lawjax.data import Dataset
from lawjax.sweep.devices import Device
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.work import Job, WorkUnit
from lawjax.train import pack, training
from lawjax.train.config import TrainingConfig
from lawjax.train.slots import PackShape, Slots, Status, empty
from lawjax.train.training import Memorized

DataOf = Callable[[int, int, int], Dataset]  # the data set (n, d, seed)


class Ended(NamedTuple):
    """A network whose training has ended.

    Attributes:
        name: its identity.
        result: the folded network and how it ended.
        seconds: of training, its share of its pack's.
    """

    name: NetworkId
    result: Memorized
    seconds: float


@dataclass(frozen=True, eq=False)
class State:
    """The pack of a work unit and what the host knows of it.

    Attributes:
        slots: the pack: of the work unit's shape, or smaller once it was compacted.
        job_in: number of the job in each slot, -1 for none.
        next_job: number of the first job that has not been placed.
        seconds: of training so far, for each network of each slot.
        sparse_time: predicted seconds spent while most of the pack was idle.
        looked_at: whether it was seen to, after the last chunk, what has ended and whether to compact.
    """

    slots: Slots
    job_in: Int64[np.ndarray, " slots"]
    next_job: int
    seconds: Float64[np.ndarray, "slots networks"]
    sparse_time: float
    looked_at: bool = True

    @property
    def shape(self) -> PackShape:
        """Of the pack as it is now."""
        return self.slots.shape

    @property
    def busy(self) -> Bool[np.ndarray, " slots"]:
        """Which slots hold a job."""
        return self.job_in >= 0

    @property
    def in_training(self) -> Bool[np.ndarray, "slots networks"]:
        """Which networks have not ended."""
        return np.asarray(self.slots.status) == Status.TRAINING

    @property
    def widths(self) -> Int[np.ndarray, "slots networks"]:
        """Widths of the networks, 0 where there is none."""
        networks = np.arange(self.shape.networks)
        return (np.asarray(self.slots.network_of)[:, :, None] == networks).sum(1)

    def jobs(self, unit: WorkUnit) -> Iterator[tuple[int, Job]]:
        """The slots that hold a job, with it."""
        return ((int(slot), unit.jobs[self.job_in[slot]]) for slot in np.flatnonzero(self.busy))


def begin(shape: PackShape, config: TrainingConfig, next_job: int = 0, sparse_time: float = 0.0) -> State:
    """A pack of empty slots."""
    free = np.full(shape.slots, -1, np.int64)
    return State(empty(shape, config), free, next_job, np.zeros((shape.slots, shape.networks)), sparse_time)


def fill(state: State, unit: WorkUnit, data_of: DataOf, config: TrainingConfig) -> State:
    """Give the next jobs to the slots that are free; a compacted pack goes back to the unit's shape first."""
    if state.next_job < len(unit.jobs) and state.shape != unit.shape and not state.busy.any():
        state = begin(unit.shape, config, state.next_job, state.sparse_time)
    if state.shape != unit.shape:
        return state
    slots, job_in, seconds = state.slots, state.job_in.copy(), state.seconds.copy()
    free = np.flatnonzero(~state.busy)
    placed = range(state.next_job, min(state.next_job + len(free), len(unit.jobs)))
    for slot, number in zip(free, placed, strict=False):
        n, d, seed, widths = unit.jobs[number]
        key = training.key_data(keys.weights_key(n, d, seed))
        slots = pack.fill(slots, int(slot), data_of(n, d, seed), widths, key, config)
        job_in[slot], seconds[slot] = number, 0.0
    return dataclasses.replace(state, slots=slots, job_in=job_in, next_job=placed.stop, seconds=seconds)


def advance(state: State, unit: WorkUnit, config: TrainingConfig, devices: Sequence[jax.Device] | None = None) -> State:
    """One chunk; its time, compilation included, is shared by the networks in training in proportion to width.

    Args:
        state: donated.
        unit: that it is of.
        config: of its setting.
        devices: among which the neurons are divided; JAX's default device if None.
    """
    active = state.in_training * state.widths
    start = time.monotonic()
    slots = state.slots if devices is None else pack.divided(state.slots, config, devices)
    slots = pack.advance(slots, np.int32(unit.chunk), config)
    jax.block_until_ready(slots)
    seconds = state.seconds + (time.monotonic() - start) * active / active.sum()
    return dataclasses.replace(state, slots=slots, seconds=seconds, looked_at=False)


def harvest(
    state: State, unit: WorkUnit, data_of: DataOf, config: TrainingConfig, *, every_ended: bool = False
) -> tuple[State, list[Ended]]:
    """Fold and check networks that have ended: of slots that have ended whole, or all if `every_ended`."""
    training_still = state.in_training
    status = np.asarray(state.slots.status)
    job_in, found = state.job_in.copy(), []
    for slot, job in state.jobs(unit):
        if training_still[slot].any() and not every_ended:
            continue
        ended = [int(i) for i in np.flatnonzero((status[slot] != Status.UNUSED) & ~training_still[slot])]
        names = job.networks()
        results = training.harvest(state.slots, slot, data_of(job.n, job.d, job.seed), ended, config)
        found += [
            Ended(names[i], result, float(state.seconds[slot, i])) for i, result in zip(ended, results, strict=True)
        ]
        if not training_still[slot].any():
            job_in[slot] = -1
    return dataclasses.replace(state, job_in=job_in), found


def compact(
    state: State, unit: WorkUnit, data_of: DataOf, config: TrainingConfig, on: Device
) -> tuple[State, list[Ended]]:
    """Move what is still in training to a smaller pack, where no job could take the idle places.

    Not before mostly idle packs have cost the unit as much as compiling the smaller one will. Networks that have ended
    in slots that go on are harvested first.
    """
    looked_at = dataclasses.replace(state, looked_at=True)
    small = _smaller_shape(state, unit)
    if small is None or on.worth_moving * on.step_time(small) > on.step_time(state.shape):
        return looked_at, []
    sparse_time = state.sparse_time + unit.chunk * on.step_time(state.shape)
    state = dataclasses.replace(looked_at, sparse_time=sparse_time)
    if sparse_time < on.compile_time:
        return state, []
    state, ended = harvest(state, unit, data_of, config, every_ended=True)
    slots, kept = pack.compact(state.slots, small, config)
    moved = dataclasses.replace(state, slots=slots, job_in=state.job_in[kept], seconds=state.seconds[kept])
    return moved, ended


def _smaller_shape(state: State, unit: WorkUnit) -> PackShape | None:
    """A shape for what is still in training; None if nothing is, or if jobs that wait could be placed beside it."""
    active = (state.in_training * state.widths).sum(1)
    if not active.any() or (state.next_job < len(unit.jobs) and state.shape.slots > 1):
        return None
    jobs = [job for slot, job in state.jobs(unit) if active[slot]]
    n, d = max(job.n for job in jobs), max(job.d for job in jobs)
    neurons = next(size for size in (16 * 4**j for j in range(20)) if size >= active.max())
    return PackShape(len(jobs), n, d, neurons, state.shape.networks)


def share_done(state: State, unit: WorkUnit, config: TrainingConfig, on: Device) -> float:
    """Roughly, the share of the unit's work that is done: whole jobs, and the steps of those in training."""
    steps = np.asarray(state.slots.step)
    under_way = 0.0
    for slot, job in state.jobs(unit):
        expected = max(on.steps.predicted(job.n, job.d, k, config) for k in job.widths)
        under_way += min(float(steps[slot]) / expected, 0.95)
    return float(state.next_job - state.busy.sum() + under_way) / len(unit.jobs)


def as_arrays(state: State) -> tuple[Any, ...]:
    """A pytree of arrays that hold the state, the pack's shape first."""
    of_host = np.int64(state.next_job), state.job_in, state.seconds, np.float64(state.sparse_time)
    return np.array(state.shape, np.int64), of_host, state.slots, np.bool_(state.looked_at)


def from_arrays(load: Callable[[Any], Any], config: TrainingConfig) -> State:
    """The state that `as_arrays` gave.

    Args:
        load: reads the first leaves of what was stored into a structure of arrays like its argument.
        config: as the state was made with.
    """
    shape = PackShape(*map(int, load((np.zeros(5, np.int64),))[0]))
    _, (next_job, job_in, seconds, sparse_time), slots, looked_at = load(as_arrays(begin(shape, config)))
    return State(slots, job_in, int(next_job), seconds, float(sparse_time), bool(looked_at))
