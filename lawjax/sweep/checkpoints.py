"""Networks and packs in training on disk, through Orbax; the only place that imports it.

A checkpoint is written beside its final name and renamed, so it is either whole or absent. It opens on any machine,
whatever device wrote it, since everything is brought to the host first.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.sweep import reasons
from lawjax.sweep.grid import NetworkId

_ONE_AT_A_TIME = threading.Lock()  # Orbax's global context is not made for several threads
_NAME = re.compile(r"n(\d+)_d(\d+)_k(\d+)_s(\d+)")


def network_name(network: NetworkId) -> str:
    """The key of a network inside a checkpoint, such as n100_d50_k10_s0."""
    return "n{}_d{}_k{}_s{}".format(*network)


@contextlib.contextmanager
def _orbax() -> Iterator[None]:
    """Let one thread call Orbax; what it raises is an OSError of one line, which it is kept from logging at length."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    with _ONE_AT_A_TIME:
        levels = [logger.level for logger in loggers]
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL + 1)
            yield
        except Exception as error:
            raise OSError(reasons.first_line(error).split(" [tensorstore_spec=")[0]) from None
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[Path]:
    """The path as Orbax reads it; what it cannot read is refused in one sentence."""
    try:
        with _as_orbax_reads(path) as plain, _orbax():
            yield plain
    except OSError as error:
        raise UserError(
            f"{path} is not a readable checkpoint of this program ({error}); remove it, and the part of the table of "
            "the same name if there is one, to train its networks again."
        ) from None


_MISREAD = re.compile(r"[\[\]*?\\:\x00-\x1f\ud800-\udfff]")  # for Orbax a pattern, a separator, a URL, or no text


@contextlib.contextmanager
def _as_orbax_reads(path: Path) -> Iterator[Path]:
    """The absolute path, by a link to its folder where it has characters that Orbax takes for something else."""
    path = path.absolute()
    if not _MISREAD.search(str(path)):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="lawjax-") as folder:
        if _MISREAD.search(folder):
            raise UserError(f"Temporary files are in {folder}, which Orbax cannot read; set TMPDIR to a plain name.")
        link = Path(folder) / "run"
        link.symlink_to(path.parent, target_is_directory=True)
        yield link / path.name


_SLACK = 2**16  # bytes of a checkpoint besides its arrays


def _save(path: Path, tree: Any) -> None:
    # Orbax finds out too, but its threads then go on to print tracebacks about the writes that they had begun.
    if sum(leaf.nbytes for leaf in jax.tree.leaves(tree) if isinstance(leaf, np.ndarray)) + _SLACK > (
        shutil.disk_usage(path.parent).free
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with _as_orbax_reads(path) as plain, _orbax():
        ocp.save(plain, tree, overwrite=True)


def _load(path: Path, target: Any = None) -> Any:
    with _reading(path) as plain:
        return ocp.load(plain, target) if target is not None else ocp.load(plain)


def save_networks(path: Path, networks: Mapping[NetworkId, TwoLayer]) -> None:
    """Write networks, each under its name, with their activation."""
    tree = {
        network_name(name): {"W": f.W, "b": f.b, "a": f.a, "c": np.asarray(f.c), "activation": f.activation.name}
        for name, f in networks.items()
    }
    _save(path, jax.tree.map(lambda leaf: leaf if isinstance(leaf, str) else np.asarray(leaf), tree))


def load_network(path: Path, name: NetworkId) -> TwoLayer:
    """Read one network of a checkpoint and leave the others on disk.

    Raises:
        UserError: the checkpoint cannot be read or does not hold this network.
    """
    shapes = _metadata(path)
    key = network_name(name)
    if key not in shapes:
        raise UserError(f"{path} holds no network {key}.")
    wanted = {other: jax.tree.map(lambda _: ocp.PLACEHOLDER, leaves) for other, leaves in shapes.items()}
    wanted[key] = {
        field: leaf if field == "activation" else np.empty(leaf.shape, leaf.dtype)
        for field, leaf in shapes[key].items()
    }
    return _network(_load(path, wanted)[key])


def load_networks(path: Path) -> dict[NetworkId, TwoLayer]:
    """All networks of a checkpoint.

    Raises:
        UserError: it cannot be read.
    """
    leaves = _load(path)
    return {name: _network(leaves[network_name(name)]) for name in stored_networks(path)}


def _network(leaves: Mapping[str, Any]) -> TwoLayer:
    W, b, a, c = (np.asarray(leaves[field]) for field in ("W", "b", "a", "c"))
    return TwoLayer(W, b, a, c, leaves["activation"])


def stored_networks(path: Path) -> list[NetworkId]:
    """Identities of the networks in a checkpoint."""
    names = [_NAME.fullmatch(key) for key in _metadata(path)]
    return sorted(NetworkId(*map(int, match.groups())) for match in names if match)


def _metadata(path: Path) -> Any:
    with _reading(path) as plain:
        tree = ocp.metadata(plain).metadata
        if tree is None:  # Orbax's answer to metadata that it cannot parse
            raise ValueError("its metadata are damaged")
    return tree


def save_arrays(path: Path, tree: Any) -> None:
    """Write the leaves of a pytree of arrays (those of size zero are left out: Orbax does not take them)."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(jax.device_get(tree))]
    _save(path, {f"leaf_{i:03d}": leaf for i, leaf in enumerate(leaves) if leaf.size})


def load_arrays(path: Path, like: Any) -> Any:
    """Read the first leaves written by `save_arrays` into the structure of `like`; any further ones are left alone.

    Raises:
        UserError: the checkpoint cannot be read, or its leaves differ from those of `like` in shape or dtype.
    """
    return arranged(load_leaves(path), like, str(path))


def load_leaves(path: Path) -> dict[str, np.ndarray]:
    """The leaves written by `save_arrays`, by name.

    Raises:
        UserError: the checkpoint cannot be read.
    """
    return {name: np.asarray(leaf) for name, leaf in _load(path).items()}


def arranged(stored: Mapping[str, np.ndarray], like: Any, where: str) -> Any:
    """The first leaves written by `save_arrays` in the structure of `like`.

    Args:
        stored: by name.
        like: arrays of the shapes and dtypes that are expected.
        where: they were stored, for the message.

    Raises:
        UserError: they differ from those of `like` in shape or dtype.
    """
    leaves, structure = jax.tree.flatten(like)
    leaves = [np.asarray(leaf) for leaf in leaves]
    found = [np.asarray(stored.get(f"leaf_{i:03d}", leaf)) for i, leaf in enumerate(leaves)]
    if [(a.shape, a.dtype) for a in found] != [(a.shape, a.dtype) for a in leaves]:
        raise UserError(f"{where} was written for packs of another shape; remove it to train those networks afresh.")
    return jax.tree.unflatten(structure, found)


def remove(paths: Iterable[Path]) -> None:
    """Delete checkpoints that are no longer needed."""
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
