"""How far long work is: a bar on a terminal, elsewhere a line a minute, for people or as JSON.

>>> import io
>>> with style("lines"), Report("networks", 4, done=1, out=io.StringIO()) as report:
...     report.update(2, fitted=3)
...     report.text()
'3 of 4 networks, 3 fitted'
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Literal, TextIO

from tqdm import tqdm

Style = Literal["bar", "lines", "json"]
_EVERY = 60.0  # seconds between two lines
_style: ContextVar[Style | None] = ContextVar("style", default=None)


@contextlib.contextmanager
def style(chosen: Style | None) -> Iterator[None]:
    """In this block reports look so; a bar on a terminal and lines elsewhere if None."""
    token = _style.set(chosen)
    try:
        yield
    finally:
        _style.reset(token)


class Report:
    """What is shown of some work while a `with` block lasts; threads may share it."""

    def __init__(
        self,
        unit: str,
        total: int,
        *,
        done: int = 0,
        shown: bool = True,
        every: float = _EVERY,
        out: TextIO | None = None,
    ):
        """A report at its start.

        Args:
            unit: what is counted, in the plural.
            total: how many there are.
            done: how many were done before.
            shown: whether to show anything.
            every: seconds between two lines, where there is no terminal.
            out: where to; standard error if None.
        """
        self._out = sys.stderr if out is None else out
        terminal = hasattr(self._out, "isatty") and self._out.isatty()
        self._style: Style = _style.get() or ("bar" if terminal else "lines")
        self._unit, self._total, self._first, self._shown, self._every = unit, total, done, shown, every
        self._done = done
        self._left: float | None = None
        self._stored: float | None = None
        self._facts: dict[str, Any] = {}
        self._lock, self._ended = threading.RLock(), threading.Event()
        self._start = time.monotonic()
        self._bar = tqdm(
            total=total,
            initial=done,
            disable=not shown or self._style != "bar",
            file=self._out,
            dynamic_ncols=True,
            bar_format="{desc}{n_fmt}/{total_fmt} " + unit + " |{bar}| {rate_fmt}, {elapsed} gone{postfix}",
        )

    def __enter__(self) -> Report:
        if self._shown and self._style != "bar":
            self._write()
            threading.Thread(target=self._write_on, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._bar.close()
        if self._shown and self._style != "bar":
            self._write()

    def update(self, count: int = 1, *, left: float | None = None, stored: bool = False, **facts: Any) -> None:
        """Count what was done.

        Args:
            count: how many more.
            left: predicted seconds until the end; from the rate so far if None.
            stored: whether something was stored just now.
            facts: numbers to show, by name.
        """
        with self._lock:
            self._done += count
            self._left = left if left is not None else self._left
            self._stored = time.monotonic() if stored else self._stored
            self._facts |= facts
            told = [f"{value} {name}" for name, value in self._facts.items()]
            self._bar.set_postfix_str(", ".join([*told, self._time_left()]), refresh=count == 0)
            self._bar.update(count)

    def say(self, text: str) -> None:
        """A line of its own, among or above what is shown."""
        if self._shown and self._style == "bar":
            self._bar.write(text, file=self._out)
        elif self._shown:
            now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
            print(json.dumps({"time": now, "said": text}) if self._style == "json" else f"{now} {text}", file=self._out)

    def _rate(self) -> float:
        return (self._done - self._first) / max(time.monotonic() - self._start, 1e-9)

    def _seconds_left(self) -> float | None:
        if self._left is not None:
            return self._left
        return (self._total - self._done) / self._rate() if self._done > self._first else None

    def _time_left(self) -> str:
        left = self._seconds_left()
        return "starting" if left is None else f"about {tqdm.format_interval(left)} left"

    def text(self) -> str:
        """What is done, in words."""
        told = [f"{self._done} of {self._total} {self._unit}"]
        return ", ".join([*told, *(f"{value} {name}" for name, value in self._facts.items())])

    def _write_on(self) -> None:
        while not self._ended.wait(self._every):
            self._write()

    def _write(self) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):  # nobody reads any longer
            now, left = time.strftime("%Y-%m-%dT%H:%M:%S%z"), self._seconds_left()
            ago = None if self._stored is None else time.monotonic() - self._stored
            if self._style == "json":
                fields = {"time": now, "unit": self._unit, "done": self._done, "total": self._total, **self._facts}
                fields |= {"per_second": round(self._rate(), 4), "seconds_left": left and round(left, 1)}
                line = json.dumps({**fields, "seconds_since_stored": ago and round(ago, 1)})
            else:
                parts = [self.text(), f"{self._rate():.3g} a second", self._time_left()]
                line = f"{now} " + ", ".join(parts + ([] if ago is None else [f"last stored {ago:.0f} s ago"]))
            print(line, file=self._out, flush=True)
