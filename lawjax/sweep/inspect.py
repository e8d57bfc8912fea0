"""What a run directory holds, as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lawjax.errors import UserError
from lawjax.sweep.grid import NetworkId, grid_of
from lawjax.sweep.jobs import job_rows
from lawjax.sweep.store import Store

_LISTED = ("n", "d", "k", "seed", "status", "fitted", "steps", "loss_folded", "proxy", "ascent", "spectral_product")


def describe_run(root: str | Path, rows: int = 40) -> str:
    """Configuration, how many of the networks or jobs asked for are done, and the first `rows` of a run directory.

    A directory that keeps the configuration and the whole table alone, such as those of published results, is described
    by that table.

    Raises:
        UserError: it is no run directory, or a part of it cannot be read.
    """
    store = Store(root)
    record = store.read_config()
    configuration = record["configuration"]
    if "grid" in configuration:
        of, asked, table = "networks", _asked(configuration["grid"]), store.table()
        done = len(table)
    else:
        of, asked, table = "jobs", record.get("jobs"), job_rows(store)
        done = len(store.paths.rows())
    lines = [
        f"run directory  {root}",
        f"configuration  {json.dumps(configuration)}",
        f"made by        {json.dumps(record['environment'])}",
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


def _asked(grid: Mapping[str, Any]) -> int | None:
    """How many networks a sweep asks for; None for a grid of another lawjax."""
    try:
        return len(grid_of(grid).networks())
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
        of_networks = [name for name in _LISTED if name in table.columns]
        listed = of_networks if "status" in table.columns else table.columns[: len(_LISTED) + 2]  # as many as fit
        return str(table.select(listed).head(rows))


def describe_network(root: str | Path, name: NetworkId) -> str:
    """Shapes, norms and measurements of one network of a run directory.

    Raises:
        UserError: the run has no such network.
    """
    store = Store(root)
    store.read_config()
    n, d, k, seed = name
    row = store.table().filter(n=n, d=d, k=k, seed=seed)
    if row.is_empty():
        raise UserError(f"{root} has no network with n={n}, d={d}, k={k}, seed={seed}; inspect it without these.")
    lines = [f"{column:18} {value}" for column, value in row.row(0, named=True).items()]
    if store.network_part(name) is not None:
        f = store.network(name)
        W = np.asarray(f.W, np.float64)
        lines += [
            f"{'network':18} {f!r}",
            f"{'shapes':18} W {f.W.shape}, b {f.b.shape}, a {f.a.shape}",
            f"{'norms':18} ||W||_F {np.linalg.norm(W):.6g}, ||a|| {np.linalg.norm(f.a):.6g}, "
            f"||b|| {np.linalg.norm(f.b):.6g}, "
            f"max |a_l| ||w_l|| {np.max(np.abs(f.a) * np.linalg.norm(W, axis=1)):.6g}, c {float(f.c):.6g}",
        ]
    return "\n".join(lines)
