"""Independent measurements with a row or a few each: made in order, stored one by one, to be killed and resumed.

For experiments whose networks are built and not trained; trained ones are packed by `lawjax.sweep.run`.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import polars as pl

from lawjax import checksums, files, keys
from lawjax.checksums import DamagedError
from lawjax.errors import Stopped, UserError
from lawjax.progress import Report
from lawjax.sweep import damage, reasons
from lawjax.sweep.claims import Claims, own_first
from lawjax.sweep.leases import Leases
from lawjax.sweep.options import check_shard
from lawjax.sweep.store import Store


@runtime_checkable
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
        shard: (i, N), to begin with every N-th job, from the i-th on, where several processes share the directory; each
            takes what no other holds, until nothing is left.
        progress: whether to show a progress bar.

    Raises:
        UserError: the directory holds another run or cannot be written.
    """
    check_shard(shard)
    store = Store(root)
    store.open(config, jobs=len(jobs))
    _mend(store)
    done = set(store.paths.rows())
    ordered = [jobs[i] for i in own_first(len(jobs), shard)]
    left = {_name(job): job for job in ordered if store.paths.row(_name(job)) not in done}
    with (
        Leases(store.paths) as leases,
        Report("jobs", len(left), shown=progress and bool(left)) as report,
    ):

        def is_left(job: Job) -> bool:
            is_done = store.paths.row(_name(job)).exists()
            report.update(is_done)  # by another process
            return not is_done

        claims = Claims(left, leases, is_left)
        while (taken := claims.take(threading.Event())) is not None:
            name, job = taken
            measured = _measured(measure, job, store)
            rests = measured if isinstance(measured, list) else [measured]
            rows = [{**dataclasses.asdict(job), **rest} for rest in rests]
            is_own = leases.holds(name)  # and was not taken over by another process, which makes the row
            if is_own:
                files.write_text(store.paths.row(name), checksums.sealed({"rows": rows}), overwrite=True)
            claims.give_back(name, done=is_own)
            report.update(is_own, stored=is_own)


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
            rows += _rows(path)
        except DamagedError as error:
            raise UserError(
                f"{path} cannot be read as a row ({error}); remove it and run the same command again."
            ) from None
    return pl.DataFrame(rows, infer_schema_length=None)


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows of one job.

    Raises:
        DamagedError: they cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        rows = json.loads(text) if text.startswith("[") else checksums.unsealed(text)["rows"]  # [: an earlier lawjax
        return [dict(row) for row in rows]
    except DamagedError:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedError(reasons.first_line(error)) from None


def _mend(store: Store) -> None:
    """Put aside rows that are damaged, with a warning: their jobs are done again."""
    for path in store.paths.rows():
        try:
            _rows(path)
        except DamagedError as error:
            damage.put_aside(store.paths, f"{path} is damaged ({error}): its job is done again", [path])


def _name(job: _Dataclass) -> str:
    return "-".join(str(value).replace(" ", "_") for value in dataclasses.astuple(job))
