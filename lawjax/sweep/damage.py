"""Damaged files of a run directory: found by their checksums, named in a warning, put aside to be made anew."""

from __future__ import annotations

import itertools
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

from lawjax import checksums
from lawjax.checksums import DamagedError
from lawjax.errors import DamageWarning, UserError
from lawjax.sweep.paths import RunPaths


def mend(paths: RunPaths) -> None:
    """Put aside commits that are damaged or lack networks, with a warning: their networks are to be trained anew.

    Raises:
        UserError: something cannot be moved.
    """
    for part in paths.part_names():
        try:
            check(paths, part, paths.part(part), paths.part_networks(part))
        except DamagedError as error:
            unit = part.split("-")[0]
            packs = [path for path in paths.checkpoints() if path.parent == paths.in_flight]
            brackets = paths.part_brackets(part)
            put_aside(
                paths,
                f"{error}: the networks of this part of the table are trained again",
                [
                    *(path for path in packs if path.name.startswith(f"part-{unit}-")),
                    paths.part(part),
                    paths.checksums(part),
                    paths.part_networks(part),
                    brackets,
                    checksums.beside_of(brackets),
                ],
            )
    mend_brackets(paths)


def mend_brackets(paths: RunPaths) -> None:
    """The same for brackets measured later, which are to be measured anew.

    Raises:
        UserError: something cannot be moved.
    """
    for path in paths.bracketed():
        try:
            read(path)
        except DamagedError as error:
            put_aside(
                paths,
                f"{path} is damaged ({error}): `lawjax bracket {paths.root}` measures these networks again",
                [path, checksums.beside_of(path)],
            )


def put_aside(paths: RunPaths, why: str, damaged: Sequence[Path]) -> None:
    """Warn, and move files into the folder of what is damaged, under names that are new there.

    Raises:
        UserError: one cannot be moved.
    """
    warn(why)
    for path in damaged:
        if not path.exists():
            continue
        try:
            paths.damaged.mkdir(exist_ok=True)
            names = (f"{path.parent.name}-{path.name}{'' if i == 0 else f'.{i}'}" for i in itertools.count())
            free = next(name for name in names if not (paths.damaged / name).exists())
            shutil.move(path, paths.damaged / free)
        except FileNotFoundError:  # another process was quicker
            continue
        except OSError as error:
            raise UserError(
                f"{path} is damaged and cannot be moved to {paths.damaged} ({error.strerror or error})."
            ) from None


def warn(sentence: str) -> None:
    """Say what is damaged, and what becomes of it."""
    warnings.warn(f"{sentence}.", DamageWarning, stacklevel=3)


def check(paths: RunPaths, part: str, *wanted: Path) -> None:
    """Compare files and folders of a commit with its checksums, if it has some.

    Raises:
        DamagedError: one is damaged, or missing; the message names it.
    """
    listed = paths.checksums(part)
    try:
        covered = checksums.stored(listed, paths.root)
    except DamagedError as error:
        raise DamagedError(f"{listed} is damaged ({error})") from None
    for path, allowed in (covered or {}).items():
        if any(path.is_relative_to(one) for one in wanted):
            try:
                checksums.check(path, allowed)
            except DamagedError as error:
                raise DamagedError(f"{path} is damaged ({error})") from None


def read(path: Path) -> bytes:
    """The content of a file, compared with the checksums beside it, if there are some.

    Raises:
        DamagedError: it, or these, are damaged.
    """
    beside = checksums.beside_of(path)
    covered = checksums.stored(beside, path.parent)
    if covered is None:
        return path.read_bytes()
    return checksums.check(path, covered.get(path, set()))
