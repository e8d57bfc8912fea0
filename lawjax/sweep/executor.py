"""Work done by threads of this process, some for each device; the first failure, or Ctrl-C, stops all."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

import jax

from lawjax.errors import Stopped

Work = Callable[[threading.Event], None]


def on_threads(works: Sequence[Work], workers: int) -> None:
    """Do pieces of work, the first ones first.

    Args:
        works: each is called with an event and stores what it has, and returns, soon after that is set.
        workers: threads for each device of this process.

    Raises:
        Stopped: Ctrl-C, and everything was stored.
        BaseException: the first that a piece of work raised, when all others had stored what they had.
    """
    waiting: queue.SimpleQueue[Work] = queue.SimpleQueue()
    for work in works:
        waiting.put(work)
    stop = threading.Event()
    failures: list[BaseException] = []

    def work_on(on: jax.Device) -> None:
        while not stop.is_set():
            try:
                work = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                with jax.default_device(on):
                    work(stop)
            except BaseException as error:
                failures.append(error)
                stop.set()

    def worker(on: jax.Device, ended: threading.Event) -> None:
        try:
            work_on(on)
        finally:
            ended.set()

    places = [(on, threading.Event()) for on in jax.local_devices() for _ in range(workers)]
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


def _wait(places: Sequence[tuple[jax.Device, threading.Event]]) -> None:
    """Not by joining: Python 3.11 takes a thread whose join Ctrl-C interrupts for ended."""
    for _, ended in places:
        while not ended.wait(0.1):  # in pieces: a signal does not interrupt it once Polars has seen to signals
            pass
