"""What a sweep shows of its progress: networks counted, time left predicted from the plan."""

from __future__ import annotations

import threading
import time

from tqdm import tqdm

from lawjax.sweep.plan import Unit


class Progress:
    """A bar that counts networks, with the time left predicted from the plan's costs."""

    def __init__(self, total: int, done: int, fitted: int, cost: float, disabled: bool):
        self._bar = tqdm(
            total=total,
            initial=done,
            disable=disabled,
            unit="network",
            dynamic_ncols=True,
            bar_format="{desc}{n_fmt}/{total_fmt} networks |{bar}| {rate_fmt}, {elapsed} gone{postfix}",
        )
        self._fitted, self._cost, self._start = fitted, max(cost, 1e-9), time.monotonic()
        self._spent: dict[str, float] = {}  # predicted cost of what is done, by unit
        self._lock = threading.Lock()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def update(self, unit: Unit, share: float, networks: int = 0, fitted: int = 0) -> None:
        """Count networks that ended, and take note of the share of a unit that is done."""
        with self._lock:
            self._fitted += fitted
            self._spent[unit.name] = min(share, 1.0) * unit.cost
            done = min(sum(self._spent.values()) / self._cost, 1.0)
            gone = time.monotonic() - self._start
            left = f"about {tqdm.format_interval(gone * (1 - done) / done)} left" if done > 0.01 else "starting"
            self._bar.set_postfix_str(f"{self._fitted} fitted, {left}", refresh=not networks)
            self._bar.update(networks)
