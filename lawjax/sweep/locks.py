"""The lock of a run directory, held for moments: by who looks at its configuration, or takes a lease."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from lawjax.errors import UserError


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock file.

    Raises:
        UserError: another process holds it and `wait` is False, or a lock cannot be had.
    """
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
