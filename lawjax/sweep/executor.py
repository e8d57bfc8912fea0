"""Work done by threads of this process, some for each device; the first failure, or Ctrl-C, stops all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

import jax
import threadpoolctl

from lawjax.errors import Stopped

Work = Callable[[], None]


def on_threads(
    take: Callable[[threading.Event, jax.Device], Work | None], workers: int, devices: Sequence[jax.Device]
) -> None:
    """Do pieces of work until there are no more.

    Args:
        take: gives the next piece of work for a device, or None at the end. Soon after the event it is given is set,
            work stores what it has, and returns.
        workers: threads for each device.
        devices: of this process.

    Raises:
        Stopped: Ctrl-C, and everything was stored.
        BaseException: the first that a piece of work raised, when all others had stored what they had.
    """
    stop = threading.Event()
    failures: list[BaseException] = []

    def worker(on: jax.Device, ended: threading.Event) -> None:
        try:
            while not stop.is_set() and (work := take(stop, on)) is not None:
                with jax.default_device(on):
                    work()
        except BaseException as error:
            failures.append(error)
            stop.set()
        finally:
            ended.set()

    places = [(on, threading.Event()) for on in devices for _ in range(workers)]
    with threadpoolctl.threadpool_limits(_cores_each(len(places)), user_api="blas"):
        for place in places:
            threading.Thread(target=worker, args=place, daemon=True).start()
        try:
            _wait(places)
        except KeyboardInterrupt:
            stop.set()
            _wait(places)  # until what is in training is stored; a second Ctrl-C leaves that undone
            if not failures:
                raise Stopped from None
    if failures:
        raise failures[0]


def _cores_each(threads: int) -> int:
    """Threads of BLAS for each of ours: with more of them than cores they wait for one another most of the time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads)


def _wait(places: Sequence[tuple[jax.Device, threading.Event]]) -> None:
    """Not by joining: Python 3.11 takes a thread whose join Ctrl-C interrupts for ended."""
    for _, ended in places:
        while not ended.wait(0.1):  # in pieces: a signal does not interrupt it once Polars has seen to signals
            pass
