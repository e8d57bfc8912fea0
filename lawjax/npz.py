"""Reading `.npz` files that users bring."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lawjax.errors import UserError


def read(path: str | Path, what: str) -> dict[str, np.ndarray]:
    """The arrays of a file by name.

    Args:
        path: of the file.
        what: what it should hold, for the message.

    Raises:
        UserError: it cannot be read.
    """
    try:
        # Opened here, since np.load leaves its own file open when the archive is truncated.
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # NumPy, zipfile and zlib have a dozen kinds for foreign or damaged bytes
        reason = getattr(error, "strerror", None) or "it is damaged or of another kind"
        raise UserError(f"{path} cannot be read as an .npz file of {what} ({reason}).") from None
