"""A sweep run: work units are trained, measured and stored by threads; killed at any moment, it goes on.

Work units are independent, and each is deterministic (`lawjax.sweep.loop`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import polars as pl

from lawjax import keys
from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.sweep import damage, datasets, options
from lawjax.sweep.claims import Claims, own_first
from lawjax.sweep.config import SweepConfig, as_record, dataset
from lawjax.sweep.devices import Device, device, memory, pack_bytes
from lawjax.sweep.executor import Work, on_threads
from lawjax.sweep.leases import LeaseLostError, Leases
from lawjax.sweep.loop import Observer, Resumption, last_part, resumption, train_unit
from lawjax.sweep.plan import choice, makespan
from lawjax.sweep.probes import Probe, Probes, tried
from lawjax.sweep.progress import Progress
from lawjax.sweep.ray_executor import Ray, Remote, planned_for, train_on_ray
from lawjax.sweep.staging import InSetting, StagedPlan, staged
from lawjax.sweep.store import Commit, Store
from lawjax.sweep.work import WorkUnit
from lawjax.train.initial import initial_weights
from lawjax.train.slots import PackShape
from lawjax.train.training import numerics


def run(
    config: SweepConfig,
    out: str | Path,
    shard: tuple[int, int] = (1, 1),
    *,
    probes: Mapping[str, Probe] | None = None,
    checkpoint_seconds: float = 25.0,
    progress: bool = True,
    on: Device | None = None,
    observers: Sequence[Observer] = (),
    executor: Ray | None = None,
) -> pl.DataFrame:
    """Train, measure and store every network that is asked for and that the directory does not hold yet.

    Args:
        config: what to do.
        out: run directory; an interrupted run of the same configuration continues there, and so does one whose networks
            are all asked for here, among others.
        shard: (i, N): begin with the i-th of N parts of the work (i from 1), where several processes share the
            directory. Each takes what no other holds, until nothing is left. The first one cuts the work, for N times
            its devices.
        probes: functions (network, dataset) -> dict of numbers by name, whose columns stand beside ours. They are
            called from the threads that train, one at a time.
        checkpoint_seconds: how often a work unit in training stores what was measured, and its state: what a kill
            costs, at most, unless storing takes more than a twentieth of it.
        progress: whether to show a progress bar.
        on: what is assumed of the device; `lawjax.sweep.devices` has assumptions for the present one if None.
        observers: told of what happens in the host loops, from their threads; not from other processes.
        executor: where units are trained: on a Ray cluster, or by threads on this machine's devices if None.

    Returns:
        The table, one row for each network stored so far, in each setting.

    Raises:
        UserError: the grid is empty; the directory belongs to another configuration, or cannot be written; a
            data model or a probe of the user's fails. The same call goes on from what was stored; where a probe fails,
            that is all that was trained.
    """
    if not config.grid.networks():
        raise UserError("The grid asks for no network: every d or k is above every n; ask for smaller d and k.")
    options.check_shard(shard)
    own = _tried(config, probes)
    store = Store(out)
    store.open(as_record(config, own.columns), planned_for=_here(shard) if executor is None else planned_for(executor))
    damage.mend(store.paths)
    platform, devices = store.planned_for() or (jax.default_backend(), 1)
    on = on or device(platform)
    work = staged(config, store.stages(), on, devices)
    stored = store.table()
    sweep = _Sweep(store, work, work.stored(stored), on, checkpoint_seconds, own)
    left = [unit for unit in work.units if sweep.lacks(unit)]
    too_large = set() if executor is not None else _too_large(left)
    store.discard_packs(unit.name for unit in work.units if not sweep.lacks(unit))
    total = len({(unit.setting, network) for unit in left for network in unit.networks()} | sweep.done)
    cost = sum(unit.cost for unit in left)
    predicted = f"the plan said {makespan(left, on, devices):.0f} s of training and compiling" if left else ""
    count = total, len(sweep.done), int(stored["fitted"].sum()), cost
    with Leases(store.paths) as leases, Progress(*count, disabled=not (progress and left), predicted=predicted) as bar:
        ordered = [left[i] for i in own_first(len(left), shard)]
        usual = _claims([unit for unit in ordered if unit.name not in too_large], sweep, leases, bar)
        if executor is not None:

            def store_of(unit: WorkUnit, commit: Commit) -> None:
                leases.check(unit.name)
                store.commit(commit)

            train_on_ray(executor, usual, sweep.remote, store_of, bar.told)
        else:
            large = _claims([unit for unit in ordered if unit.name in too_large], sweep, leases, bar)
            _train_here(sweep, usual, large, leases, [bar, *observers])
    return store.table()


def _claims(units: Sequence[WorkUnit], sweep: _Sweep, leases: Leases, bar: Progress) -> Claims[WorkUnit]:
    """Claims on units in their order; those that another process did are counted."""

    def is_left(unit: WorkUnit) -> bool:
        if sweep.is_left(unit):
            return True
        bar.elsewhere(unit, sum((unit.setting, network) not in sweep.done for network in unit.networks()))
        return False

    return Claims({unit.name: unit for unit in units}, leases, is_left)


def _here(shard: tuple[int, int]) -> dict[str, Any]:
    """For what the work is cut, where this process is the first: as many as it of devices like its own."""
    return {"platform": jax.default_backend(), "devices": jax.local_device_count() * shard[1]}


def _train_here(
    sweep: _Sweep, usual: Claims[WorkUnit], large: Claims[WorkUnit], leases: Leases, observers: Sequence[Observer]
) -> None:
    """Train units by threads of this process: large ones by all devices together, then the others by each."""
    places = jax.local_devices()
    compiled: dict[jax.Device, set[PackShape]] = {place: set() for place in places}

    def take(stop: threading.Event, place: jax.Device) -> Work | None:
        shapes = compiled[place], set().union(*compiled.values())
        taken = usual.take(stop, (lambda units: choice(units, *shapes)) if len(places) > 1 else lambda _: 0)
        if taken is None:
            return None
        name, unit = taken
        compiled[place].add(unit.shape)
        return lambda: usual.give_back(name, done=sweep.train(unit, leases, stop, observers))

    def take_large(stop: threading.Event, _: jax.Device) -> Work | None:
        taken = large.take(stop)
        if taken is None:
            return None
        name, unit = taken
        return lambda: large.give_back(name, done=sweep.train(unit, leases, stop, observers, places))

    on_threads(take_large, 1, places[:1])
    on_threads(take, sweep.on.workers, places)


def _too_large(units: Sequence[WorkUnit]) -> set[str]:
    """The names of units whose neurons are to be divided among this process's devices, since one cannot hold them.

    Raises:
        UserError: all together cannot hold one.
    """
    places = jax.local_devices()
    has = memory(places[0])
    found = set()
    for unit in units:
        takes = pack_bytes(unit.shape)
        if takes > has * len(places):
            _, n, d, neurons, _ = unit.shape
            raise UserError(
                f"Training {neurons} neurons on {n} points of dimension {d} takes some {takes / 1e9:.3g} GB, but there "
                f"are {has * len(places) / 1e9:.3g} GB on {len(places)} x {places[0].device_kind}; ask for smaller "
                "networks or run it on more devices."
            )
        if takes > has:
            found.add(unit.name)
    return found


@dataclass(frozen=True)
class _Sweep:
    """What the work units of a sweep need to be trained here.

    Attributes:
        store: of the run.
        work: all of it.
        done: the networks that were stored at the start.
        on: what is assumed of the device.
        checkpoint_seconds: how often something is stored.
        probes: the user's.
    """

    store: Store
    work: StagedPlan
    done: set[InSetting]
    on: Device
    checkpoint_seconds: float
    probes: Probes

    def lacks(self, unit: WorkUnit) -> bool:
        """Whether networks of a unit were not stored at the start."""
        return any((unit.setting, network) not in self.done for network in unit.networks())

    def missing(self, unit: WorkUnit) -> list[WorkUnit]:
        """What there is left to do of a unit, by what is stored now."""
        parts = [part for part in self.store.paths.part_names() if part.startswith(unit.name)]
        stored = {(unit.setting, network) for part in parts for network in self.store.identities(part)}
        return list(self.work.left([unit], self.done | stored, lambda one: last_part(one, self.store) is not None))

    def is_left(self, unit: WorkUnit) -> bool:
        """Whether something of a unit is left to do; what a killed process left of it half done is removed."""
        left = self.missing(unit)
        self.store.discard(unit.name, [one.name for one in left])
        return bool(left)

    def train(
        self,
        unit: WorkUnit,
        leases: Leases,
        stop: threading.Event,
        observers: Sequence[Observer],
        devices: Sequence[jax.Device] | None = None,
    ) -> bool:
        """Train what is left of a unit that was leased, and say whether that came to its end.

        It does not where it was stopped, or where this process was, for so long that another one took the unit over.
        """
        config = self.work.configs[unit.setting]

        def sink(commit: Commit) -> None:
            leases.check(unit.name)
            self.store.commit(commit)

        for left in self.missing(unit):
            begin_at = resumption(left, self.store)
            try:
                train_unit(
                    left,
                    config,
                    begin_at,
                    sink,
                    self.on,
                    stop,
                    self.checkpoint_seconds,
                    observers,
                    self.probes,
                    devices,
                )
            except LeaseLostError:
                return False
            if stop.is_set():
                return False
        return True

    def remote(self, unit: WorkUnit) -> list[Remote]:
        """What a process elsewhere needs to train what is left of a unit, piece by piece."""
        config, found = self.work.configs[unit.setting], []
        for left in self.missing(unit):
            begin_at = resumption(left, self.store)
            leaves = None if begin_at.last is None else self.store.leaves_in_flight(begin_at.last)
            plain = Resumption(begin_at.number, begin_at.last, None, begin_at.stored)
            own = self.probes.functions, self.probes.names
            found.append(Remote(left, config, plain, leaves, self.on, self.checkpoint_seconds, *own))
        return found


def _tried(config: SweepConfig, probes: Mapping[str, Probe] | None) -> Probes:
    """Data models and probes of the user's, tried before anything is trained.

    Data are drawn for the smallest network; probes see that network with its initial weights, without batch norm.
    """
    n, d, k, seed = min(config.grid.networks(), key=lambda network: network.n * network.d * network.k)
    configs = config.configurations()
    for one in configs:
        datasets.check(n, d, seed, one.data_model, one.training.dtype)
    if probes is None:
        return Probes()
    training = configs[0].training
    with numerics(training):
        kernel, readout = initial_weights(keys.weights_key(n, d, seed), d, k, training)
        network = TwoLayer(kernel.T, None, readout, activation=training.activation)
        return tried(probes, network, dataset(n, d, seed, configs[0]))
