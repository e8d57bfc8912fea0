"""Leases: of the processes that share a run directory, one at a time does each piece of work.

A process shows that it lives by touching a file of its own every few seconds. A lease is a file that names its holder.
It may be taken over when its holder has not been seen for a minute, or was a process of this machine that has ended.
Leases are looked at and taken by one process at a time. A holder that was only stopped for a while finds out before it
stores anything (`Leases.holds`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lawjax.errors import UserError
from lawjax.sweep.locks import locked
from lawjax.sweep.paths import RunPaths
from lawjax.tuning import Tuning

_BOOT = Path("/proc/sys/kernel/random/boot_id")  # tells apart machines of one name


@dataclass(frozen=True)
class LeaseTimes(Tuning):
    """How leases are kept.

    Attributes:
        beat: seconds between two signs of life.
        expires: seconds without one after which a lease may be taken over.
    """

    beat: float = 5.0
    expires: float = 60.0


class LeaseLostError(Exception):
    """Another process has taken the work over."""


class Leases:
    """The leases of this process, while a `with` block lasts; threads may share it."""

    def __init__(self, paths: RunPaths, times: LeaseTimes = LeaseTimes()):
        self._paths, self._times = paths, times
        self._name = f"{_machine()}.{os.getpid()}.{secrets.token_hex(4)}"
        self._held: set[str] = set()
        self._ended = threading.Event()
        self._file: IO[str] | None = None

    @property
    def _life(self) -> Path:
        return self._paths.holder(self._name)

    def __enter__(self) -> Leases:
        try:
            self._paths.leases.mkdir(exist_ok=True)
            self._file = self._life.open("w")  # which stays locked as long as the process lives
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except OSError as error:
            raise UserError(f"{self._life} cannot be written ({error.strerror or error}).") from None
        threading.Thread(target=self._live, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for name in list(self._held):
            self.release(name)
        self._life.unlink(missing_ok=True)
        if self._file is not None:
            self._file.close()

    def _live(self) -> None:
        while not self._ended.wait(self._times.beat):
            with contextlib.suppress(OSError):  # a disk that comes back, or a folder that was removed
                os.utime(self._life)

    def take(
        self, names: Sequence[str], choose: Callable[[Sequence[str]], int] = lambda _: 0
    ) -> tuple[str | None, bool]:
        """Take a piece of work that nobody holds.

        Args:
            names: of pieces of work, none of them held here.
            choose: the place, among those that are free, of the one to take; the first unless given.

        Returns:
            Its name, None if all are held; and whether others hold some.

        Raises:
            UserError: leases cannot be read or written.
        """
        with locked(self._paths.lock), _refusal(self._paths.leases):
            os.utime(self._life)
            now = self._life.stat().st_mtime  # by the clock of the disk
            leased = {path.name for path in self._paths.leases.iterdir()}
            free = [name for name in names if self._is_free(self._paths.lease(name), leased, now)]
            if not free:
                return None, bool(names)
            name = free[choose(free)]
            self._paths.lease(name).write_text(self._name, "utf-8")
            self._held.add(name)
            return name, len(free) < len(names)

    def _is_free(self, lease: Path, leased: set[str], now: float) -> bool:
        if lease.name not in leased:
            return True
        try:
            holder = lease.read_text("utf-8")
            life = self._paths.holder(holder)
            seen = life.stat().st_mtime
        except (FileNotFoundError, UnicodeDecodeError, ValueError):
            return True
        if now - seen > self._times.expires:
            return True
        return holder.startswith(f"{_machine()}.") and _has_ended(life)

    def holds(self, name: str) -> bool:
        """Whether a piece of work is still this process's, and was not taken over."""
        try:
            return self._paths.lease(name).read_text("utf-8") == self._name
        except (OSError, UnicodeDecodeError):
            return False

    def check(self, name: str) -> None:
        """Before something is stored of a piece of work.

        Raises:
            LeaseLostError: it is no longer this process's.
        """
        if not self.holds(name):
            raise LeaseLostError(name)

    def release(self, name: str) -> None:
        """Give a piece of work back, done or not."""
        self._held.discard(name)
        if self.holds(name):
            self._paths.lease(name).unlink(missing_ok=True)


def _machine() -> str:
    """A name that two machines share only if they are one."""
    boot = _BOOT.read_text("ascii")[:8] if _BOOT.exists() else ""
    return f"{socket.gethostname()}-{boot}".replace("/", "-")


def _has_ended(life: Path) -> bool:
    """Whether the process of this machine that holds a file locked while it lives has ended."""
    try:
        with life.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return not life.exists()
    return True


@contextlib.contextmanager
def _refusal(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{folder} cannot be used ({error.strerror or error}).") from None
