"""Checksums: what was stored is read as it was written, or is said to be damaged.

Files of bytes are covered by a file of checksums, as `sha256sum` writes them, JSON by a field of its own. Files of an
earlier lawjax have neither, and are read as they are.

>>> stored = sealed({"n": 3})
>>> unsealed(stored)
{'n': 3}
>>> unsealed(stored.replace("3", "2", 1))
Traceback (most recent call last):
...
lawjax.checksums.DamagedError: its checksum differs
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lawjax import files
from lawjax.errors import UserError

_SEAL = "sha256"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_MISSING = "it is missing"
_DIFFERS = "its checksum differs"


class DamagedError(ValueError):
    """What was stored is not what was written; the message says how it shows."""


def sealed(value: Mapping[str, Any]) -> str:
    """JSON of an object, with a checksum of all that it says."""
    return json.dumps({**value, _SEAL: _of_value(value)}, indent=2) + "\n"


def unsealed(text: str, *, always: bool = True) -> dict[str, Any]:
    """The object of such a text.

    Args:
        text: as `sealed` gave it.
        always: whether it must have a checksum.

    Raises:
        DamagedError: it is no JSON object, or not what was written.
    """
    try:
        value = json.loads(text)
        seal = value.pop(_SEAL, None)
    except (ValueError, AttributeError, TypeError):
        raise DamagedError("it is no JSON of an object") from None
    if (always or seal is not None) and seal != _of_value(value):
        raise DamagedError(_DIFFERS)
    return value


def _of_value(value: Mapping[str, Any]) -> str:
    return digest(json.dumps(json.loads(json.dumps(value)), sort_keys=True).encode())


def digest(content: bytes) -> str:
    """The checksum of some bytes."""
    return hashlib.sha256(content).hexdigest()


def of_folder(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file below a folder, with its checksum."""
    for path in files.below(folder, ""):
        with path.open("rb") as file:
            yield path, hashlib.file_digest(file, "sha256").hexdigest()


def store(path: Path, root: Path, digests: Iterable[tuple[Path, str]]) -> None:
    """Write a file of checksums; `cd root && sha256sum --check` takes it, too.

    Raises:
        UserError: it cannot be written.
    """
    lines = [f"{checksum}  {covered.relative_to(root).as_posix()}\n" for covered, checksum in digests]
    content = "".join(lines).encode("utf-8", "surrogateescape")
    files.write(path, content + f"# {digest(content)}\n".encode(), overwrite=True)  # a comment for sha256sum


def stored(path: Path, root: Path) -> dict[Path, set[str]] | None:
    """The checksums of a file of checksums by what they cover; None if there is no such file.

    Raises:
        DamagedError: it is damaged itself.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedError(error.strerror or str(error)) from None
    lines, _, own = content.removesuffix(b"\n").rpartition(b"\n")
    if own.decode("latin-1") != "# " + digest(lines + b"\n"):
        raise DamagedError(_DIFFERS)
    found: dict[Path, set[str]] = {}
    for line in lines.decode("utf-8", "surrogateescape").split("\n"):
        match = _LINE.fullmatch(line)
        if match is None:
            raise DamagedError("it is no file of checksums")
        found.setdefault(root / match[2], set()).add(match[1])
    return found


def check(path: Path, allowed: set[str]) -> bytes:
    """The content of a file with one of some checksums.

    Raises:
        DamagedError: it has another one, or cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DamagedError(_MISSING) from None
    except OSError as error:
        raise DamagedError(error.strerror or str(error)) from None
    if digest(content) not in allowed:
        raise DamagedError(_DIFFERS)
    return content


def replace(path: Path, content: bytes) -> None:
    """Write a file, in place of one that exists, with a file of checksums beside it.

    Both contents are covered until the new one is in its place.

    Raises:
        UserError: it cannot be written; what was there is as it was.
    """
    beside, new = beside_of(path), (path, digest(content))
    try:
        before = [(path, digest(path.read_bytes()))]
    except FileNotFoundError:
        before = []
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}).") from None
    store(beside, path.parent, [new, *before])
    files.write(path, content, overwrite=True)
    store(beside, path.parent, [new])


def beside_of(path: Path) -> Path:
    """The file of checksums that `replace` writes."""
    return path.with_name(f"{path.name}.sha256")
