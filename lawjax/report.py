"""What an experiment leaves in its run directory: networks with their certificates, figures, one table, a summary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import polars as pl
from matplotlib.figure import Figure

from lawjax import plots
from lawjax.errors import UserError
from lawjax.sweep.paths import RunPaths
from lawjax.sweep.store import write_atomically, write_table_atomically


class _Network(Protocol):
    def save(self, path: str | Path) -> None: ...


def write_network(folder: Path, name: str, network: _Network, certificate: dict[str, Any]) -> None:
    """Write a network and what proves its bound as NAME.npz and NAME.json, which `lawjax check FOLDER` pairs.

    Raises:
        UserError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        network.save(folder / f"{name}.npz")
    except OSError as error:
        raise UserError(f"{folder / name}.npz cannot be written ({error.strerror or error}).") from None
    write_atomically(folder / f"{name}.json", json.dumps(certificate) + "\n")


def write(out: Path, table: pl.DataFrame, figures: Mapping[str, Figure], summary: str) -> None:
    """Write figures/NAME.{png,pdf}, table.parquet and summary.md, and print the summary.

    Args:
        out: the run directory.
        table: of the run.
        figures: by the names of their files.
        summary: Markdown.

    Raises:
        UserError: something cannot be written.
    """
    paths = RunPaths(out)
    for name, figure in figures.items():
        plots.save(figure, paths.figures / f"{name}.png")
    write_table_atomically(paths.table, table)
    write_atomically(paths.summary, summary)
    print(summary)
