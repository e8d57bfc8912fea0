"""Locks of a run directory: each shard of the work has one writer, and shards of different divisions overlap."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

from lawjax.errors import UserError
from lawjax.sweep.paths import RunPaths


@contextlib.contextmanager
def shard_held(paths: RunPaths, shard: tuple[int, int], prepare: Callable[[], None]) -> Iterator[None]:
    """Hold a shard of a run directory against a second writer.

    Args:
        paths: of the run directory, which is there.
        shard: (i, N). Different shards of one N may write at a time, shards of different N overlap.
        prepare: called once the shard is held, while no other process prepares.

    Raises:
        UserError: another process holds it, or a lock cannot be had.
    """
    index, shards = shard
    with contextlib.ExitStack() as held:
        with _locked(paths.lock, wait=True):  # one at a time looks which shards are taken, and takes its own
            for other in paths.shard_locks(but_of=shards):
                with _locked(other):
                    pass
            held.enter_context(_locked(paths.shard_lock(index, shards)))
            prepare()
        yield


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    try:
        file = path.open("w")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}).") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"Another process is writing to {path.parent} ({path.name} is held); wait for it or stop it."
            ) from None
        except OSError as error:
            raise UserError(
                f"{path} cannot be locked ({error.strerror or error}); use a file system with locks."
            ) from None
        yield
