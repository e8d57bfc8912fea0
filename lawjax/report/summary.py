"""What an experiment reads from its run directory and leaves there: one table, figures, a summary."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from lawjax import files
from lawjax.errors import Incomplete, UserError
from lawjax.sweep.inspect import asked_for
from lawjax.sweep.jobs import job_table
from lawjax.sweep.paths import RunPaths
from lawjax.sweep.store import Store, write_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


def run_table(out: Path, by: Sequence[str] | None = None) -> pl.DataFrame:
    """The table of a run so far; of a folder that kept nothing but its table, that one.

    Args:
        out: the run directory, or what is kept of one, such as a folder of `results/`.
        by: the columns by which the rows of jobs are sorted; None for a sweep, whose rows have an order.

    Raises:
        UserError: it is no run directory, has no rows of jobs, or they cannot be read.
    """
    store = Store(out)
    store.read_config()
    if store.paths.table.exists() and not store.paths.results.exists():
        return store.whole_table()
    return store.table() if by is None else job_table(out, by)


def write(
    out: Path, table: pl.DataFrame, figures: Mapping[str, Callable[[], Figure]], summary: Callable[[], str]
) -> None:
    """Write table.parquet, figures/NAME.{png,pdf} and summary.md, and print the summary: whatever can be made.

    Args:
        out: the run directory.
        table: of the run.
        figures: by the names of their files, what draws them.
        summary: what words it, in Markdown.

    Raises:
        UserError: something cannot be written.
        Incomplete: a figure or the summary cannot be made of this table; everything else is written.
    """
    from lawjax.report import plots

    paths = RunPaths(out)
    write_table(paths.table, table)
    missing: list[str] = []
    broken: list[Exception] = []
    for name, draw in figures.items():
        with _kept_going(f"The figure {name}", missing, broken):
            plots.save(draw(), paths.figures / f"{name}.png")
    with _kept_going("The summary", missing, broken):
        text = _how_far(out, table) + summary()
        files.write_text(paths.summary, text, overwrite=True)
        print(text)
    if broken:
        raise broken[0]
    if missing:
        raise Incomplete(" ".join(missing))


def _how_far(out: Path, table: pl.DataFrame) -> str:
    """A line about a run of which a part is there; empty for a whole one, and where it is not known."""
    store = Store(out)
    if not store.paths.config.exists():
        return ""
    stored = store.read_config()
    if "grid" in stored["configuration"]:
        of, asked, done = "networks", asked_for(stored["configuration"]), len(table)
    else:
        of, asked, done = "jobs", stored.get("jobs"), len(store.paths.rows())
    if not asked or done >= asked or not store.paths.results.exists():
        return ""
    return f"**A part of the run: {done} of {asked} {of}.**\n\n"


@contextlib.contextmanager
def _kept_going(what: str, missing: list[str], broken: list[Exception]) -> Iterator[None]:
    """Whatever is raised within is kept: a sentence on what the table cannot show, and what is no user's mistake."""
    try:
        yield
    except UserError as error:
        missing.append(f"{what} cannot be made: {error}")
    except Exception as error:
        broken.append(error)
