"""Work units as tasks on a Ray cluster; the only place that imports Ray.

Each task trains one unit in a process of its own, on the resources it asks for, and yields what is to be stored: rows,
networks and its pack in flight. This process alone writes them to the run directory, so no file system is shared. A
unit whose node is lost begins again on another one, where it last was stored.
"""

from __future__ import annotations

import logging
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from lawjax import arguments
from lawjax.errors import Stopped, UserError
from lawjax.sweep import checkpoints, reasons
from lawjax.sweep.claims import Claims
from lawjax.sweep.config import SweepConfig
from lawjax.sweep.devices import Device
from lawjax.sweep.leases import LeaseLostError
from lawjax.sweep.loop import Event, Resumption, Told, train_unit
from lawjax.sweep.probes import Probes
from lawjax.sweep.store import Commit
from lawjax.sweep.work import WorkUnit

_TELL = 1.0  # seconds between two words of a task on how far it is
_WAIT = 1.0  # seconds for which the driver waits for a word at a time


@dataclass(frozen=True)
class Ray:
    """An executor: a task for each unit.

    Attributes:
        address: of the cluster, as `ray.init` takes it: "auto" for the one that this machine belongs to; None for a new
            one on this machine, unless RAY_ADDRESS says otherwise.
        num_cpus: of a task.
        num_gpus: of a task.
        resources: others of a task, such as {"TPU": 4}.
        retries: how often a unit is begun again because its node was lost, at most.
    """

    address: str | None = None
    num_cpus: float = 1.0
    num_gpus: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)
    retries: int = 10

    def __post_init__(self) -> None:
        """Check every field."""
        if self.address is not None:
            arguments.instance("address", self.address, str, 'such as "auto"')
        for name, amount in {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus, **self.resources}.items():
            arguments.not_negative(name, amount)
        if not (self.num_cpus or self.num_gpus or any(self.resources.values())):
            raise UserError("A task must ask for something: num_cpus, num_gpus or other resources.")
        arguments.whole("retries", self.retries, least=0)


class Remote(NamedTuple):
    """What a task is given; everything can be sent.

    Attributes:
        unit: to train.
        config: of its setting alone.
        begin_at: where it goes on, without its arrays.
        leaves: these, as they were stored.
        on: what is assumed of the device.
        checkpoint_seconds: how often something is stored.
        functions: the user's probes.
        names: the columns that they fill.
    """

    unit: WorkUnit
    config: SweepConfig
    begin_at: Resumption
    leaves: Mapping[str, np.ndarray] | None
    on: Device
    checkpoint_seconds: float
    functions: Mapping[str, Any]
    names: Mapping[str, Any]


def planned_for(cluster: Ray) -> dict[str, Any]:
    """The platform of the cluster's devices, and how many tasks it has room for now: for these the work is cut.

    Raises:
        UserError: Ray is not installed, or not reached.
    """
    platform = "gpu" if cluster.num_gpus else "tpu" if "TPU" in cluster.resources else "cpu"
    return {"platform": platform, "devices": _places(_started(cluster), cluster)}


def _places(ray: Any, cluster: Ray) -> int:
    """How many tasks the cluster has room for, as it is now."""
    has = ray.cluster_resources()
    wanted = {"CPU": cluster.num_cpus, "GPU": cluster.num_gpus, **cluster.resources}
    return max(1, int(min(has.get(name, 0.0) / amount for name, amount in wanted.items() if amount > 0)))


def train_on_ray(
    cluster: Ray,
    claims: Claims[WorkUnit],
    left_of: Callable[[WorkUnit], list[Remote]],
    store: Callable[[WorkUnit, Commit], None],
    tell: Callable[[WorkUnit, Told], None],
) -> None:
    """Train all units that can be claimed.

    Args:
        cluster: where.
        claims: on the units.
        left_of: what is left to do of a unit, by what is stored now.
        store: writes a unit's commit to the run directory.
        tell: is told how far units are.

    Raises:
        UserError: Ray is not installed or not reached, something cannot be stored, a unit lost its node too often.
        Stopped: Ctrl-C; what tasks have stored is kept.
    """
    ray = _started(cluster)
    task = ray.remote(_train).options(
        num_cpus=cluster.num_cpus,
        num_gpus=cluster.num_gpus,
        resources=dict(cluster.resources) or None,
        max_retries=0,  # a stream that began again would repeat what it said
        scheduling_strategy="SPREAD",
    )
    driver = _Driver(ray, task, cluster, claims, left_of, store, tell)
    try:
        driver.run()
    except KeyboardInterrupt:
        driver.cancel()
        raise Stopped from None
    except BaseException:
        driver.cancel()
        raise


def _started(cluster: Ray) -> Any:
    try:
        import ray
    except ImportError:
        raise UserError("Ray is not installed; install it with: pip install 'lawjax[ray]'.") from None
    if not ray.is_initialized():
        before = signal.getsignal(signal.SIGTERM)
        try:
            _reach(cluster.address)
            ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        except (OSError, RuntimeError, ValueError) as error:
            first = reasons.first_line(error)
            raise UserError(f"There is no Ray cluster at {cluster.address} ({first}).") from None
        finally:
            if threading.current_thread() is threading.main_thread():  # Ray's own answer would store nothing
                signal.signal(signal.SIGTERM, before)
    return ray


def _reach(address: str | None) -> None:
    """Find out in seconds whether somebody answers at HOST:PORT, for which Ray takes minutes.

    Raises:
        ConnectionError: nobody does.
    """
    host, _, port = (address or "").rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=10.0).close()
        except (OSError, OverflowError) as error:
            raise ConnectionError(str(error)) from None


class _Driver:
    """The process that owns the run directory."""

    def __init__(
        self,
        ray: Any,
        task: Any,
        cluster: Ray,
        claims: Claims[WorkUnit],
        left_of: Callable[[WorkUnit], list[Remote]],
        store: Callable[[WorkUnit, Commit], None],
        tell: Callable[[WorkUnit, Told], None],
    ):
        self._ray, self._task, self._cluster, self._claims = ray, task, cluster, claims
        self._left_of, self._store, self._tell = left_of, store, tell
        self._streams: dict[Any, str] = {}  # the name of the unit whose words they are
        self._units: dict[str, WorkUnit] = {}
        self._lost: dict[str, int] = {}
        self._stop = threading.Event()

    def run(self) -> None:
        while True:
            while len(self._streams) < _places(self._ray, self._cluster) and self._begin_another():
                pass
            if not self._streams:
                if not self._begin_another(wait=True):
                    return
                continue
            ready, _ = self._ray.wait(list(self._streams), timeout=_WAIT)
            for stream in ready:
                self._next(stream)

    def cancel(self) -> None:
        for stream in self._streams:
            self._ray.cancel(stream, force=True)

    def _begin_another(self, *, wait: bool = False) -> bool:
        """Begin the next unit, if there is one that nobody holds."""
        taken = self._claims.take(self._stop, wait=wait)
        if taken is None:
            return False
        name, unit = taken
        self._units[name] = unit
        self._begin(name)
        return True

    def _begin(self, name: str) -> None:
        """Begin what is left of a unit, or end its lease."""
        left = self._left_of(self._units[name])
        if not left:
            self._claims.give_back(name, done=True)
            return
        self._streams[self._task.remote(left[0])] = name

    def _next(self, stream: Any) -> None:
        """Take a stream's next word."""
        name = self._streams[stream]
        try:
            word = self._ray.get(next(stream))
        except StopIteration:
            del self._streams[stream]
            self._begin(name)  # its next rest, if it was in several
            return
        except self._ray.exceptions.RayTaskError as error:
            raise _of_task(error) from None
        except self._ray.exceptions.RayError as error:
            del self._streams[stream]
            self._lost[name] = self._lost.get(name, 0) + 1
            if self._lost[name] > self._cluster.retries:
                raise UserError(
                    f"A work unit lost its node {self._lost[name]} times ({type(error).__name__}); run the same "
                    "command again to go on from what was stored."
                ) from None
            self._begin(name)
            return
        if not isinstance(word, Commit):
            self._tell(self._units[name], word)
            return
        try:
            self._store(self._units[name], word)
        except LeaseLostError:  # this process stood still for so long
            self._ray.cancel(stream, force=True)
            del self._streams[stream]
            self._claims.give_back(name, done=False)


def _of_task(error: Any) -> BaseException:
    """What a task raised."""
    cause = getattr(error, "cause", None)
    return UserError(str(cause)) if isinstance(cause, UserError) else cause or error


def _train(remote: Remote) -> Iterator[Commit | Told]:
    """The task: what is to be stored, as it comes, and words on how far it is."""
    words: queue.Queue[Any] = queue.Queue(maxsize=4)
    begin_at, leaves = remote.begin_at, remote.leaves
    load = None if leaves is None else lambda like: checkpoints.arranged(leaves, like, str(begin_at.last))
    begin_at = Resumption(begin_at.number, begin_at.last, load, begin_at.stored)
    counts, last = [0, 0], [time.monotonic()]

    def sink(commit: Commit) -> None:
        in_flight = None if commit.in_flight is None else jax.tree.map(np.array, jax.device_get(commit.in_flight))
        words.put(Commit(commit.part, commit.rows, commit.networks, in_flight, commit.previous))

    def observe(event: Event) -> None:
        if event.ended is not None:
            counts[0] += 1
            counts[1] += event.ended.result.fitted
        if event.what == "stored" or time.monotonic() - last[0] > _TELL:
            last[0] = time.monotonic()
            words.put(Told(event.share, *counts))
            counts[:] = [0, 0]

    def work() -> None:
        try:
            train_unit(
                remote.unit,
                remote.config,
                begin_at,
                sink,
                remote.on,
                threading.Event(),
                remote.checkpoint_seconds,
                (observe,),
                Probes(dict(remote.functions), remote.names),
            )
            words.put(None)
        except BaseException as error:
            words.put(error)

    threading.Thread(target=work, daemon=True).start()
    while (word := words.get()) is not None:
        if isinstance(word, BaseException):
            raise word
        yield word
