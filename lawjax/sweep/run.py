"""A sweep: units of the plan are dealt out to threads that train, measure and store; killed at any moment, it goes on.

Units of the plan are independent, and each is deterministic (`lawjax.sweep.loop`).
"""

from __future__ import annotations

import dataclasses
import json
import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import polars as pl

from lawjax import keys
from lawjax.errors import Stopped, UserError
from lawjax.sweep.config import SweepConfig, dataset
from lawjax.sweep.devices import Device, device
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.loop import Observer, last_part, train_unit
from lawjax.sweep.plan import plan
from lawjax.sweep.progress import Progress
from lawjax.sweep.store import Store
from lawjax.sweep.work import WorkUnit
from lawjax.train import training


def retrain(name: NetworkId, config: SweepConfig) -> training.Memorized:
    """Train one network of a sweep alone: the same data, the same initial weights, the same steps up to rounding."""
    n, d, k, seed = name
    key = keys.weights_key(n, d, seed)
    return training.memorize(dataset(n, d, seed, config), k, key, config.training)[0]


def run(
    config: SweepConfig,
    out: str | Path,
    shard: tuple[int, int] = (1, 1),
    checkpoint_seconds: float = 60.0,
    progress: bool = True,
    on: Device | None = None,
    observers: Sequence[Observer] = (),
) -> pl.DataFrame:
    """Train, measure and store every network that the grid asks for and the directory does not hold yet.

    Args:
        config: what to do.
        out: run directory; an interrupted run of the same configuration continues there.
        shard: (i, N): do the i-th of N parts of the work (i from 1), for job arrays that share the directory; all on
            the same platform, which decides how the work is cut.
        checkpoint_seconds: how often a unit in training stores its state, at most.
        progress: whether to show a progress bar.
        on: what is assumed of the device; `lawjax.sweep.devices` has assumptions for the present one if None.
        observers: told of what happens in the host loops, from their threads.

    Returns:
        The table, one row for each network stored so far.

    Raises:
        UserError: the grid is empty; the directory belongs to another configuration or process, or cannot be written.
    """
    index, shards = shard
    asked = config.grid.networks()
    if not asked:
        raise UserError("The grid asks for no network: every d or k is above every n; ask for smaller d and k.")
    store = Store(out)
    with store.opened(as_record(config), shard):
        on = on or device(jax.default_backend())
        units = plan(asked, config.training, on)[index - 1 :: shards]
        stored = store.table()
        done = {NetworkId(*row) for row in stored.select("n", "d", "k", "seed").iter_rows()}
        own = [unit.name for unit in units]
        units = list(_open_units(units, done, store, config, on))
        store.discard_uncommitted([*own, *(unit.name for unit in units)])
        total = len({network for unit in units for network in unit.networks()} | done)
        fitted = int(stored["fitted"].sum())
        with Progress(total, len(done), fitted, sum(unit.cost for unit in units), disabled=not progress) as bar:
            _work(units, config, store, on, checkpoint_seconds, (bar, *observers))
    return store.table()


def _open_units(
    units: Sequence[WorkUnit], done: set[NetworkId], store: Store, config: SweepConfig, on: Device
) -> Iterator[WorkUnit]:
    """The units with work left; one whose pack in flight is lost is planned anew from the networks it lacks."""
    for unit in units:
        missing = [network for network in unit.networks() if network not in done]
        if not missing:
            continue
        if len(missing) == len(unit.networks()) or last_part(unit, store) is not None:
            yield unit
        else:
            yield from plan(missing, config.training, on)


def as_record(config: SweepConfig) -> dict[str, Any]:
    """A configuration as JSON would hold it."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def _work(
    units: Sequence[WorkUnit],
    config: SweepConfig,
    store: Store,
    assumed: Device,
    checkpoint_seconds: float,
    observers: Sequence[Observer],
) -> None:
    """Threads take units until none is left; the first failure, or Ctrl-C, stops all at their next chunk."""
    waiting: queue.SimpleQueue[WorkUnit] = queue.SimpleQueue()
    for unit in units:
        waiting.put(unit)
    stop = threading.Event()
    failures: list[BaseException] = []

    def work(on: jax.Device) -> None:
        while not stop.is_set():
            try:
                unit = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                with jax.default_device(on):
                    train_unit(unit, config, store, assumed, stop, checkpoint_seconds, observers)
            except BaseException as error:
                failures.append(error)
                stop.set()

    def worker(on: jax.Device, ended: threading.Event) -> None:
        try:
            work(on)
        finally:
            ended.set()

    places = [(on, threading.Event()) for on in jax.local_devices() for _ in range(assumed.workers)]
    for place in places:
        threading.Thread(target=worker, args=place, daemon=True).start()

    def wait() -> None:  # not by joining: Python 3.11 takes a thread whose join Ctrl-C interrupts for ended
        for _, ended in places:
            while not ended.wait(0.1):  # in pieces: a signal does not interrupt it once Polars has seen to signals
                pass

    try:
        wait()
    except KeyboardInterrupt:
        stop.set()
        wait()  # until what is in training is stored; a second Ctrl-C leaves that undone
        if not failures:
            raise Stopped from None
    if failures:
        raise failures[0]
