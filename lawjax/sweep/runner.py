"""A sweep run: work units are trained, measured and stored by threads; killed at any moment, it goes on.

Work units are independent, and each is deterministic (`lawjax.sweep.loop`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import polars as pl

from lawjax import keys
from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.sweep import datasets
from lawjax.sweep.config import SweepConfig, as_record, dataset
from lawjax.sweep.devices import Device, device
from lawjax.sweep.executor import Work, on_threads
from lawjax.sweep.loop import Observer, last_part, train_unit
from lawjax.sweep.probes import Probe, Probes, tried
from lawjax.sweep.progress import Progress
from lawjax.sweep.staging import staged
from lawjax.sweep.store import Store
from lawjax.sweep.work import WorkUnit
from lawjax.train.initial import initial_weights
from lawjax.train.training import numerics


def run(
    config: SweepConfig,
    out: str | Path,
    shard: tuple[int, int] = (1, 1),
    *,
    probes: Mapping[str, Probe] | None = None,
    checkpoint_seconds: float = 60.0,
    progress: bool = True,
    on: Device | None = None,
    observers: Sequence[Observer] = (),
) -> pl.DataFrame:
    """Train, measure and store every network that is asked for and that the directory does not hold yet.

    Args:
        config: what to do.
        out: run directory; an interrupted run of the same configuration continues there, and so does one whose networks
            are all asked for here, among others.
        shard: (i, N): do the i-th of N parts of the work (i from 1), for job arrays that share the directory; all on
            the same platform, which decides how the work is cut.
        probes: functions (network, dataset) -> dict of numbers by name, whose columns stand beside ours. They are
            called from the threads that train, one at a time.
        checkpoint_seconds: how often a work unit in training stores its state, at most.
        progress: whether to show a progress bar.
        on: what is assumed of the device; `lawjax.sweep.devices` has assumptions for the present one if None.
        observers: told of what happens in the host loops, from their threads.

    Returns:
        The table, one row for each network stored so far, in each setting.

    Raises:
        UserError: the grid is empty; the directory belongs to another configuration or process, or cannot be written; a
            data model or a probe of the user's fails. The same call goes on from what was stored; where a probe fails,
            that is all that was trained.
    """
    if not config.grid.networks():
        raise UserError("The grid asks for no network: every d or k is above every n; ask for smaller d and k.")
    own = _tried(config, probes)
    index, shards = shard
    store = Store(out)
    with store.opened(as_record(config, own.columns), shard):
        on = on or device(jax.default_backend())
        work = staged(config, store.stages(), on)
        units = work.units[index - 1 :: shards]
        stored = store.table()
        done = work.stored(stored)
        left = list(work.left(units, done, lambda unit: last_part(unit, store) is not None))
        store.discard_uncommitted([unit.name for unit in (*units, *left)])
        total = len({(unit.setting, network) for unit in left for network in unit.networks()} | done)
        cost = sum(unit.cost for unit in left)
        with Progress(total, len(done), int(stored["fitted"].sum()), cost, disabled=not progress) as bar:
            told: list[Observer] = [bar, *observers]

            def piece(unit: WorkUnit) -> Work:
                of_setting = work.configs[unit.setting]
                return lambda stop: train_unit(unit, of_setting, store, on, stop, checkpoint_seconds, told, own)

            on_threads([piece(unit) for unit in left], on.workers)
    return store.table()


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
