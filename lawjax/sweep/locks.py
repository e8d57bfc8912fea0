"""The lock of a run directory, held for moments: by who looks at its configuration, or takes a lease."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from lawjax.errors import UserError


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, once no other process does.

    Raises:
        UserError: it cannot be locked.
    """
    try:
        file = path.open("w")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}).") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise UserError(
                f"{path} cannot be locked ({error.strerror or error}); use a file system with locks."
            ) from None
        yield
