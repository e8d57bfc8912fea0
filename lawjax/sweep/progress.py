"""What a sweep shows of its progress: networks counted, time left predicted from the plan."""

from __future__ import annotations

import threading
import time

from lawjax.progress import Report
from lawjax.sweep.loop import Event, Told
from lawjax.sweep.work import WorkUnit

_KNOWN = 0.01  # share of the work that must be done before the time left is predicted


class Progress:
    """A report that counts networks, with the time left predicted from the plan's costs; an observer of host loops."""

    def __init__(self, total: int, done: int, fitted: int, cost: float, *, disabled: bool, predicted: str = ""):
        """A report at its start.

        Args:
            total: networks asked for.
            done: networks stored already.
            fitted: how many of these fit.
            cost: predicted seconds of the work that is left.
            disabled: whether to show nothing.
            predicted: what the plan said, to be shown beside the time that it took.
        """
        self._predicted = predicted
        self._report = Report("networks", total, done=done, shown=not disabled)
        self._fitted, self._cost, self._start = fitted, max(cost, 1e-9), time.monotonic()
        self._spent: dict[str, float] = {}  # predicted cost of what is done, by work unit
        self._lock = threading.Lock()

    def __enter__(self) -> Progress:
        self._report.__enter__()
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        if self._predicted and kind is None:
            gone = time.monotonic() - self._start
            self._report.say(f"Done in {gone:.0f} s, of training, compiling and measuring; {self._predicted}.")
        self._report.__exit__()

    def elsewhere(self, unit: WorkUnit, networks: int) -> None:
        """Count networks of a work unit that another process trained."""
        with self._lock:
            self._spent[unit.name] = unit.cost
            self._show(networks)

    def told(self, unit: WorkUnit, word: Told) -> None:
        """Take note of how far a work unit is that is trained by another process of this run's."""
        with self._lock:
            self._fitted += word.fitted
            self._spent[unit.name] = min(word.share, 1.0) * unit.cost
            self._show(word.measured, stored=True)

    def __call__(self, event: Event) -> None:
        """Count networks that ended, and take note of the share of a work unit that is done."""
        if event.what not in ("advanced", "measured", "stored"):
            return
        with self._lock:
            self._fitted += event.ended is not None and event.ended.result.fitted
            self._spent[event.unit.name] = min(event.share, 1.0) * event.unit.cost
            self._show(int(event.ended is not None), stored=event.what == "stored")

    def _show(self, networks: int, *, stored: bool = False) -> None:
        done = min(sum(self._spent.values()) / self._cost, 1.0)
        gone = time.monotonic() - self._start
        left = gone * (1 - done) / done if done > _KNOWN else None
        self._report.update(networks, left=left, stored=stored, fitted=self._fitted)
