"""What an experiment leaves in its run directory: networks with their certificates, figures, one table, a summary."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from lawjax import files
from lawjax.errors import UserError
from lawjax.sweep.paths import RunPaths
from lawjax.sweep.store import Store, write_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Network(Protocol):
    def save(self, path: str | Path) -> None: ...


def write_network(folder: Path, name: str, network: _Network, certificate: dict[str, Any]) -> None:
    """Write a network and what proves its bound as NAME.npz and NAME.json, which `lawjax check FOLDER` pairs.

    Raises:
        UserError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with files.being_written(folder / f"{name}.npz", overwrite=True) as written:
            network.save(written)
    except OSError as error:
        raise UserError(f"{folder / name}.npz cannot be written ({error.strerror or error}).") from None
    files.write_text(folder / f"{name}.json", json.dumps(certificate) + "\n", overwrite=True)


def fit_text(fit: Callable[..., Any], *data: Any) -> str:
    """A fit in words, or why the data have none: the summary of a small grid is whole all the same."""
    try:
        return str(fit(*data))
    except UserError as error:
        return f"none: {error}"


def changed(out: Path, usual: Any, drawn: Collection[str]) -> str:
    """A sentence for the footers of a run's figures: the fields of its configuration that are not as usual.

    Args:
        out: the run directory.
        usual: the configuration, a dataclass, that needs no saying: that of the preset paper.
        drawn: fields that every figure shows itself, such as the sizes on its axes.

    Returns:
        For example "Settings changed: steps 5,000; starts 2."; empty where all is as usual.

    Raises:
        UserError: it is no run directory.
    """
    from lawjax.report.plots.settings import changed_text, value_text  # with them comes Matplotlib

    stored = Store(out).read_config()["configuration"]
    expected = json.loads(json.dumps(dataclasses.asdict(usual)))
    differing = [name for name in expected if name not in drawn and stored.get(name, expected[name]) != expected[name]]
    return changed_text(f"{name.replace('_', ' ')} {value_text(stored[name])}" for name in differing)


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
    from lawjax.report import plots

    paths = RunPaths(out)
    for name, figure in figures.items():
        plots.save(figure, paths.figures / f"{name}.png")
    write_table(paths.table, table)
    files.write_text(paths.summary, summary, overwrite=True)
    print(summary)
