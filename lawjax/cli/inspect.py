"""`lawjax inspect`: what a run directory holds."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lawjax.cli.parser import Positional
from lawjax.cli.refusals import check_device
from lawjax.errors import UserError


@dataclass(frozen=True)
class Inspect:
    """Print what a run directory holds.

    Attributes:
        dir: the run directory.
        n: with d, k and seed, show this network alone.
        d: see n.
        k: see n.
        seed: see n.
        setting: in which settings to show it, as NAME=VALUE, such as learning_rate=0.01; all of them if none is given.
        rows: how many networks to list.
    """

    dir: Positional[Path]
    n: int | None = None
    d: int | None = None
    k: int | None = None
    seed: int | None = None
    setting: tuple[str, ...] = ()
    rows: int = 40

    def __call__(self) -> None:
        """Print it."""
        from lawjax.sweep import inspect, schema
        from lawjax.sweep.grid import NetworkId

        identity = [number for number in (self.n, self.d, self.k, self.seed) if number is not None]
        if len(identity) == 4:
            check_device()
            print(inspect.describe_network(self.dir, NetworkId(*identity), **schema.parsed(self.setting)))
        elif identity or self.setting:
            raise UserError("Give all of --n, --d, --k and --seed to see one network, or none of them.")
        elif self.rows < 1:
            raise UserError(f"--rows must be at least 1, not {self.rows}.")
        else:
            with _plain_tables():
                print(inspect.describe_run(self.dir, self.rows))


@contextlib.contextmanager
def _plain_tables() -> Iterator[None]:
    """Tables without box-drawing characters where the terminal has none."""
    import polars as pl

    try:
        "│┌╞".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        with pl.Config(tbl_formatting="ASCII_FULL_CONDENSED"):
            yield
        return
    yield
