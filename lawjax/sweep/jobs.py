"""Independent measurements with a row or a few each: made in order, stored one by one, to be killed and resumed.

For experiments whose networks are built and not trained; trained ones are packed by `lawjax.sweep.run`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import polars as pl
from tqdm import tqdm

from lawjax import files, keys
from lawjax.errors import Stopped, UserError
from lawjax.sweep.store import Store


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


Job = TypeVar("Job", bound=_Dataclass)


def run_jobs(
    root: str | Path,
    config: Mapping[str, Any],
    jobs: Sequence[Job],
    measure: Callable[[Job], Mapping[str, Any] | list[dict[str, Any]]],
    shard: tuple[int, int] = (1, 1),
    *,
    progress: bool = True,
) -> None:
    """Measure every job that has no row yet.

    Args:
        root: the run directory.
        config: what the run is; another one in the same directory is refused.
        jobs: dataclasses whose fields, words and whole numbers, name the rows' file and stand in the rows.
        measure: from a job to the rest of its row: numbers, words, None; or to a list of such rests, for a job that
            makes several rows at once.
        shard: (i, N), to do every N-th job alone.
        progress: whether to show a progress bar.

    Raises:
        UserError: the directory holds another run or cannot be written.
    """
    index, shards = shard
    store = Store(root)
    with store.opened(config, shard, jobs=len(jobs)):
        left = [job for job in jobs[index - 1 :: shards] if not store.paths.row(_name(job)).exists()]
        with tqdm(total=len(left), unit=" jobs", disable=not progress or not left) as bar:
            for job in left:
                measured = _measured(measure, job, store)
                rests = measured if isinstance(measured, list) else [measured]
                rows = [{**dataclasses.asdict(job), **rest} for rest in rests]
                files.write_text(store.paths.row(_name(job)), json.dumps(rows) + "\n", overwrite=True)
                bar.update()


def _measured(measure: Callable[[Job], Any], job: Job, store: Store) -> Any:
    try:
        with keys.settled(x64=False):
            return measure(job)
    except KeyboardInterrupt:
        if store.paths.rows():
            raise Stopped from None
        raise


def job_table(root: str | Path, by: Sequence[str]) -> pl.DataFrame:
    """The rows stored so far, sorted by these columns.

    Raises:
        UserError: it is no run directory, has no rows, or one cannot be read.
    """
    store = Store(root)
    store.read_config()
    rows = job_rows(store)
    if rows.is_empty():
        raise UserError(f"{root} has no rows yet; run the experiment first.")
    return rows.sort(by)


def job_rows(store: Store) -> pl.DataFrame:
    """The rows stored so far, in the order of their jobs' names.

    Raises:
        UserError: one cannot be read.
    """
    rows = []
    for path in store.paths.rows():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            rows += [dict(row) for row in found]
        except (OSError, ValueError, TypeError):
            raise UserError(f"{path} cannot be read as a row; remove it and run the same command again.") from None
    return pl.DataFrame(rows, infer_schema_length=None)


def _name(job: _Dataclass) -> str:
    return "-".join(str(value).replace(" ", "_") for value in dataclasses.astuple(job))
