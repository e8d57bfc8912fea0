"""Figures as files: PNG and PDF, whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lawjax import arguments
from lawjax.errors import UserError
from lawjax.report.plots.base import style

DPI = 160


def save(figure: Figure, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> tuple[Path, Path]:
    """Write `figure` as PNG (160 dots per inch) and as PDF beside it, making the folders on the way.

    Each file is written whole under another name and then renamed, so that a reader never sees half a figure.

    Args:
        figure: any figure of this module.
        path: where to; an ending .png or .pdf is replaced, any other is kept as part of the name.

    Returns:
        The paths of the PNG and of the PDF.

    Raises:
        UserError: it is no figure or no path, or the files cannot be written, for example because the disk is full.
    """
    if not isinstance(figure, Figure):
        raise UserError(f"save takes a figure, as lawjax.plots makes them, not {type(figure).__name__}.")
    try:
        path = Path(os.fsdecode(path))
    except Exception:  # whatever a stranger raises
        raise UserError(f"A figure is saved under a path, such as figure2.png, not {arguments.shown(path)}.") from None
    if path.name in ("", "..") or "\0" in path.name:
        raise UserError(f"A figure is saved under a file's name, such as figure2.png, not {str(path)!r}.")
    stem = path.name[:-4] if path.suffix.lower() in (".png", ".pdf") else path.name
    targets = (path.with_name(f"{stem}.png"), path.with_name(f"{stem}.pdf"))
    metadata: tuple[dict[str, Any], ...] = ({"Software": None}, {"CreationDate": None})  # equal figures, equal files
    temporary = [target.with_name(f".{target.name}.{os.getpid()}.tmp") for target in targets]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, unfinished, about in zip(targets, temporary, metadata, strict=True):
            image = io.BytesIO()
            with style():
                figure.savefig(image, format=target.suffix[1:], dpi=DPI, metadata=about)
            unfinished.write_bytes(image.getvalue())
        for target, unfinished in zip(targets, temporary, strict=True):
            os.replace(unfinished, target)
    except OSError as error:
        raise UserError(f"Cannot write the figure {targets[0]}: {error.strerror or error}.") from error
    finally:
        for unfinished in temporary:
            try:
                unfinished.unlink(missing_ok=True)
            except OSError:  # the parent is not a folder: nothing was written
                continue
    return targets
