"""The networks of an experiment: each a file that holds what proves its bound, for `lawjax check`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from lawjax import check, files
from lawjax.errors import UserError


class _Network(Protocol):
    def save(self, path: str | Path) -> None: ...


def write_network(folder: Path, name: str, network: _Network, certificate: Mapping[str, Any]) -> None:
    """Write FOLDER/NAME.npz: a network, and as one more array what proves its bound.

    Raises:
        UserError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with files.being_written(folder / f"{name}.npz", overwrite=True) as written:
            network.save(written)
            written.write_bytes(_sealed(written, json.dumps(certificate)))
    except OSError as error:
        raise UserError(f"{folder / name}.npz cannot be written ({error.strerror or error}).") from None


def _sealed(network: Path, certificate: str) -> bytes:
    """The content of a network's file with its certificate in it."""
    arrays = files.read_npz(network, "a network") | {check.CERTIFICATE: np.array(certificate.strip().encode())}
    return files.npz(**arrays)


def network_name(row: Mapping[str, Any], columns: Collection[str]) -> str:
    """What the network of a row is called, such as "exact-400-100-28-0"."""
    return "-".join(str(row[column]) for column in columns)


def of_medians(table: pl.DataFrame, named_by: Collection[str]) -> list[str]:
    """The networks behind the medians over seeds: of those that fit, one for each setting, by its certificate.

    Of an even number it is the smoother one in the middle.

    Args:
        table: of the experiment, with columns fitted, upper and those of the names.
        named_by: the columns that name a network, seed among them.
    """
    setting = [column for column in named_by if column != "seed"]
    fitted = table.filter("fitted").sort("upper", maintain_order=True)
    middle = fitted.group_by(setting, maintain_order=True).agg(pl.all().get((pl.len() - 1) // 2))
    return sorted(network_name(row, named_by) for row in middle.iter_rows(named=True))


def copy_network(name: str, folder: Path, target: Path) -> None:
    """Copy a network with its certificate, which may stand in a file NAME.json of its own, into one file.

    Raises:
        UserError: a file cannot be read or written.
    """
    network, certificate = folder / f"{name}.npz", folder / f"{name}.json"
    try:
        content = network.read_bytes() if not certificate.exists() else _sealed(network, certificate.read_text("utf-8"))
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{network} cannot be copied ({error.strerror or error}).") from None
    files.write(target / f"{name}.npz", content, overwrite=True)
