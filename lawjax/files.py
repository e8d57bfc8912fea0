"""Files: written whole or not at all, checked before any work, and read with one sentence for what is wrong.

A file is written under another name in its own folder, brought to the disk and only then given its name: nobody sees
half of it, and a full disk leaves nothing behind that would stand in the way of the next try.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lawjax import arguments
from lawjax.errors import UserError

_USER_DEFINED = 2  # `dtype.isbuiltin` of types that a package adds to NumPy, such as bfloat16


def read_npz(path: str | Path, what: str) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name.

    Args:
        path: of the file.
        what: what it should hold, for the message.

    Raises:
        UserError: it cannot be read, one of its arrays cannot, or two have one name.
    """
    path = named(path)
    try:
        # Opened here, since np.load leaves its own file open when the archive is truncated.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays, damaged = _arrays(file)
            repeated = sorted({name for name in file.files if file.files.count(name) > 1})
    except Exception as error:  # NumPy, zipfile and zlib have a dozen kinds for foreign or damaged bytes
        reason = getattr(error, "strerror", None) or "it is damaged or of another kind"
        raise UserError(f"{path} cannot be read as an .npz file of {what} ({reason}).") from None
    if damaged:
        raise UserError(f"{path} cannot be read as an .npz file of {what} ({', '.join(damaged)}).")
    if repeated:
        raise UserError(f"{path} has two arrays called {repeated[0]}; save one of them.")
    return arrays


def _arrays(file: Any) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays that can be read, and what is wrong with the others."""
    arrays, damaged = {}, []
    for name in file.files:
        try:
            arrays[name] = file[name]
        except Exception as error:
            objects = isinstance(error, ValueError) and "Object arrays" in str(error)
            damaged.append(f"{name} {'holds Python objects, not numbers: leave it out' if objects else 'is damaged'}")
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise TypeError("an archive of something else")
    return arrays, damaged


def npz(**arrays: np.ndarray) -> bytes:
    """The content of an `.npz` file.

    Floats for which the format has no name (bfloat16, float8) are stored as float64, which holds each of them exactly:
    as themselves they would be bytes that nothing reads.
    """
    buffer = io.BytesIO()
    plain = {name: array.astype(np.float64) if _is_foreign(array) else array for name, array in arrays.items()}
    np.savez_compressed(buffer, **plain)  # type: ignore[arg-type]
    return buffer.getvalue()


def _is_foreign(array: np.ndarray) -> bool:
    return array.dtype.isbuiltin == _USER_DEFINED


def check_new(*outputs: str | Path, inputs: Sequence[str | Path] = ()) -> None:
    """Refuse, before any work, to write where nothing can be written or something would be lost.

    Args:
        outputs: files that are to be written.
        inputs: files that are read, for a better word about an output that is one of them.

    Raises:
        UserError: an output exists already, is an input, has no folder, or cannot be written; two outputs are one file,
            whatever their spelling.
    """
    places: dict[tuple[str, str], Path] = {}
    for output in map(named, outputs):
        with _refusal(output):
            if _exists(output):
                raise UserError(f"{output} {_why_not(output, inputs)}")
            with _beside(output) as trial:
                trial.touch(exist_ok=False)
            place = (os.path.realpath(output.parent), output.name)
        if place in places:
            raise UserError(f"{places[place]} and {output} are one file; give each output a name of its own.")
        places[place] = output


def named(path: str | Path) -> Path:
    """The path of a file or folder.

    Raises:
        UserError: it is no text and no path.
    """
    try:
        return Path(path)
    except Exception:  # whatever a stranger raises
        raise UserError(f"A file is named by a text or a path, not by {arguments.shown(path)}.") from None


def _exists(path: Path) -> bool:
    """Whether there is something of this name, a link that leads nowhere included."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _why_not(output: Path, inputs: Sequence[str | Path]) -> str:
    if any(os.path.exists(path) and os.path.exists(output) and os.path.samefile(path, output) for path in inputs):
        return "is what the command reads and exists already; choose another name for what it writes."
    return "exists already; choose another name or remove it."


def write(path: str | Path, content: bytes, overwrite: bool = False) -> None:
    """Write one file, see `write_all`."""
    write_all({named(path): content}, overwrite)


def write_text(path: str | Path, text: str, overwrite: bool = False) -> None:
    """Write one file in UTF-8, see `write_all`."""
    write(path, text.encode(), overwrite)


def write_all(contents: Mapping[Path, bytes], overwrite: bool = False) -> None:
    """Write files that belong together: each whole, and none of them if the disk has no room for all.

    Args:
        contents: by path.
        overwrite: whether files that exist are replaced.

    Raises:
        UserError: one cannot be written, or exists while `overwrite` is False. What was there before is as it was.
    """
    with contextlib.ExitStack() as stack:
        for path, content in contents.items():
            written = stack.enter_context(being_written(path, overwrite))
            with _refusal(path):
                _write_through(written, content)


@contextlib.contextmanager
def being_written(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """A name in the same folder to write to, which becomes `path` at the end of the block, unless the block fails.

    Raises:
        UserError: see `write_all`.
    """
    with _refusal(path):
        # Through a link to the file itself; and never in place of a device or a folder.
        target = Path(os.path.realpath(path)) if overwrite else path
        if overwrite and _exists(target) and not stat.S_ISREG(os.stat(target).st_mode):
            raise UserError(f"{path} cannot be written (it exists and is no file).")
    with _beside(target) as written:
        yield written
        with _refusal(path):
            _sync(written)
            _publish(written, target, overwrite)


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A new name in the folder of `path`; what is left under it at the end is removed."""
    written = path.with_name(f".{secrets.token_hex(8)}.tmp") if path.name else path / f".{secrets.token_hex(8)}.tmp"
    try:
        yield written
    finally:
        with contextlib.suppress(OSError):
            written.unlink(missing_ok=True)


def _write_through(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
    _sync(path)  # a disk that is full may say so here only


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _publish(written: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(written, path)
    else:
        try:
            os.link(written, path)  # unlike a rename, it never replaces a file that came in between
        except FileExistsError:
            raise UserError(f"{path} {_why_not(path, ())}") from None
        except OSError:  # a file system without links: the name is taken first, then filled
            path.open("xb").close()
            try:
                os.replace(written, path)
            except OSError:
                path.unlink(missing_ok=True)
                raise
    with contextlib.suppress(OSError):  # not every system takes folders
        _sync(path.parent)


@contextlib.contextmanager
def _refusal(path: Path) -> Iterator[None]:
    """One sentence for whatever the file system says."""
    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise UserError(f"{path} cannot be written ({getattr(error, 'strerror', None) or error}).") from None


def below(folder: str | Path, ending: str) -> list[Path]:
    """All files of a folder and its folders whose names end so, sorted.

    Unlike a search by pattern it does not pass over folders that may not be read.

    Raises:
        OSError: one cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    walked = os.walk(folder, onerror=fail)
    return sorted(Path(root) / name for root, _, names in walked for name in names if name.endswith(ending))
