"""What a sweep shows of its progress: networks counted, time left predicted from the plan."""

from __future__ import annotations

import threading
import time

from tqdm import tqdm

from lawjax.sweep.loop import Event


class Progress:
    """A bar that counts networks, with the time left predicted from the plan's costs; an observer of the host loop."""

    def __init__(self, total: int, done: int, fitted: int, cost: float, *, disabled: bool):
        """A bar at its start.

        Args:
            total: networks asked for.
            done: networks stored already.
            fitted: how many of these fit.
            cost: predicted seconds of the work that is left.
            disabled: whether to show nothing.
        """
        self._bar = tqdm(
            total=total,
            initial=done,
            disable=disabled,
            unit="network",
            dynamic_ncols=True,
            bar_format="{desc}{n_fmt}/{total_fmt} networks |{bar}| {rate_fmt}, {elapsed} gone{postfix}",
        )
        self._fitted, self._cost, self._start = fitted, max(cost, 1e-9), time.monotonic()
        self._spent: dict[str, float] = {}  # predicted cost of what is done, by work unit
        self._lock = threading.Lock()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, event: Event) -> None:
        """Count networks that ended, and take note of the share of a work unit that is done."""
        if event.what not in ("advanced", "measured"):
            return
        with self._lock:
            self._fitted += event.ended is not None and event.ended.result.fitted
            self._spent[event.unit.name] = min(event.share, 1.0) * event.unit.cost
            done = min(sum(self._spent.values()) / self._cost, 1.0)
            gone = time.monotonic() - self._start
            left = f"about {tqdm.format_interval(gone * (1 - done) / done)} left" if done > 0.01 else "starting"
            self._bar.set_postfix_str(f"{self._fitted} fitted, {left}", refresh=event.ended is None)
            self._bar.update(event.ended is not None)
