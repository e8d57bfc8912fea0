"""The end of the process stood for by an exception, between any two writes of a sweep's commits."""

import math
import os
import threading

import numpy as np
import polars as pl
import small_sweep

from lawjax.sweep import checkpoints


class Killed(BaseException):
    """Stands for the end of the process: no code of the sweep catches it."""


class Disk:
    """Every write of a commit passes here; after `budget` more of them none is carried out."""

    def __init__(self, monkeypatch):
        self.budget, self.writes, self.events = math.inf, [], set()
        self._lock = threading.Lock()
        for place, name in (
            (checkpoints, "save_networks"),
            (checkpoints, "save_arrays"),
            (checkpoints, "remove"),
            (pl.DataFrame, "write_parquet"),
            (os, "replace"),
            (os, "link"),
        ):
            monkeypatch.setattr(place, name, self._counted(getattr(place, name), name))

    def observe(self, event):
        self.events.add(small_sweep.label(event))

    def _counted(self, write, name):
        def counted(*arguments, **options):
            # Orbax renames too, inside of save_networks and save_arrays, which are counted already.
            if name in ("replace", "link") and not str(arguments[1]).endswith(".parquet"):
                return write(*arguments, **options)
            with self._lock:
                if self.budget < 1:
                    raise Killed
                self.budget -= 1
                self.writes.append(name)
            return write(*arguments, **options)

        return counted


def killed_until_done(call, monkeypatch, kills=None):
    """The result of `call`, which is ended after a few writes, again and again, until it comes to its end.

    With a number of kills, it is left after so many.
    """
    rng, ended = np.random.default_rng(1), 0
    with monkeypatch.context() as patched:
        disk = Disk(patched)
        while kills is None or ended < kills:
            disk.budget = int(rng.integers(1, 10))
            try:
                result = call()
            except Killed:
                ended += 1
            else:
                assert ended >= 3
                return result
