"""What an experiment leaves in its run directory once it has run: figures, one table, a summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from lawjax import plots
from lawjax.sweep.paths import RunPaths
from lawjax.sweep.store import write_atomically, write_table_atomically


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
