"""What a run directory holds, as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lawjax.errors import UserError
from lawjax.sweep import record, schema
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.jobs import job_rows
from lawjax.sweep.store import Store

_LISTED = ("status", "fitted", "steps", "loss_folded", "proxy", "ascent", "spectral_product")


def describe_run(root: str | Path, rows: int = 40) -> str:
    """Configuration, how many of the networks or jobs asked for are done, and the first `rows` of a run directory.

    A directory that keeps the configuration and the whole table alone, such as those of published results, is described
    by that table.

    Raises:
        UserError: it is no run directory, or a part of it cannot be read.
    """
    store = Store(root)
    stored = store.read_config()
    configuration = stored["configuration"]
    if "grid" in configuration:
        of, asked, table = "networks", asked_for(configuration), store.table()
        done = len(table)
    else:
        of, asked, table = "jobs", stored.get("jobs"), job_rows(store)
        done = len(store.paths.rows())
    lines = [
        f"run directory  {root}",
        f"configuration  {json.dumps(configuration)}",
        f"made by        {json.dumps(stored['environment'])}",
        *(f"extended from  {json.dumps(stage['configuration'])}" for stage in stored.get("earlier", [])),
        f"{of:15}{done}{'' if asked is None else f' of {asked}'}{_by_status(table) or ' stored here'}",
    ]
    if table.is_empty() and store.paths.table.exists():
        table = store.whole_table()
        lines.append(f"table          {len(table)} rows in {store.paths.table.name}{_by_status(table)}")
    if not table.is_empty():
        lines.append(_listing(table, min(rows, len(table))))
    if len(table) > rows:
        lines.append(f"... and {len(table) - rows} more; --rows {len(table)} shows all")
    return "\n".join(lines)


def asked_for(configuration: Mapping[str, Any]) -> int | None:
    """How many networks a sweep's stored configuration asks for; None for a grid of another lawjax."""
    try:
        return len(record.networks(configuration)) * len(record.settings(configuration))
    except UserError:
        return None


def _by_status(table: pl.DataFrame) -> str:
    """For example ": 8 fitted, 1 step limit; 1 fitted in training but not after folding"."""
    if not {"status", "fitted"} <= set(table.columns) or table.is_empty():
        return ""
    counts = table.group_by("status").len().sort("status").rows()
    unfolded = int(((table["status"] == "fitted") & ~table["fitted"]).sum())
    text = ": " + ", ".join(f"{count} {status}" for status, count in counts)
    return text + (f"; {unfolded} fitted in training but not after folding" if unfolded else "")


def _listing(table: pl.DataFrame, rows: int) -> str:
    with pl.Config(
        tbl_rows=rows,
        tbl_cols=-1,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_width_chars=160,
        float_precision=4,
    ):
        return str(table.select(_listed(table)).head(rows))


def _listed(table: pl.DataFrame) -> list[str]:
    """Columns that say which network it is, how it ended, and what was measured by us and by the user's probes."""
    if "status" not in table.columns:
        return table.columns[: len(schema.IDENTITY) + len(_LISTED) + 2]  # as many as fit
    probes = [name for name in table.columns if name not in schema.SCHEMA]
    known = [*schema.IDENTITY, *schema.varied(table), *_LISTED]
    return [name for name in known if name in table.columns] + probes


def describe_network(root: str | Path, name: NetworkId, **setting: Any) -> str:
    """Shapes, norms and measurements of one network of a run directory, in each setting that it was trained in.

    Args:
        root: the run directory.
        name: the network's identity.
        setting: values of `TrainingConfig`'s fields and of data_model, to show it in settings with these alone.

    Raises:
        UserError: the run has no such network.
    """
    store = Store(root)
    store.read_config()
    wanted = {**NetworkId(*name)._asdict(), **schema.as_columns(setting)}
    rows = store.table().filter(*(pl.col(field).eq_missing(value) for field, value in wanted.items()))
    if rows.is_empty():
        which = schema.in_words({**name._asdict(), **setting})
        raise UserError(f"{root} has no network with {which}; inspect it without these.")
    return "\n\n".join(_described(store, name, row) for row in rows.iter_rows(named=True))


def _described(store: Store, name: NetworkId, row: Mapping[str, Any]) -> str:
    lines = [f"{column:18} {value}" for column, value in row.items()]
    setting = {field: row[field] for field in schema.CHOICES}
    if store.network_parts(name, **setting):
        f = store.network(name, **setting)
        W = np.asarray(f.W, np.float64)
        lines += [
            f"{'network':18} {f!r}",
            f"{'shapes':18} W {f.W.shape}, b {f.b.shape}, a {f.a.shape}",
            f"{'norms':18} ||W||_F {np.linalg.norm(W):.6g}, ||a|| {np.linalg.norm(f.a):.6g}, "
            f"||b|| {np.linalg.norm(f.b):.6g}, "
            f"max |a_l| ||w_l|| {np.max(np.abs(f.a) * np.linalg.norm(W, axis=1)):.6g}, c {float(f.c):.6g}",
        ]
    return "\n".join(lines)
