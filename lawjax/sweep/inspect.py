"""What a run directory holds, as text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from lawjax.errors import UserError
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.store import Store

_LISTED = ("n", "d", "k", "seed", "status", "fitted", "steps", "loss_folded", "proxy", "ascent", "spectral_product")


def describe_run(root: str | Path, rows: int = 40) -> str:
    """Configuration, counts by status and the first `rows` networks of a run directory.

    Raises:
        UserError: it is no run directory, or a part of it cannot be read.
    """
    store = Store(root)
    record = store.read_config()
    table = store.table()
    counts = table.group_by("status").len().sort("status").rows()
    unfolded = int(((table["status"] == "fitted") & ~table["fitted"]).sum())
    lines = [
        f"run directory  {root}",
        f"configuration  {json.dumps(record['configuration'])}",
        f"made by        {json.dumps(record['environment'])}",
        f"networks       {len(table)}: " + ", ".join(f"{count} {status}" for status, count in counts),
    ]
    if unfolded:
        lines.append(f"               {unfolded} fitted in training but not after folding")
    with pl.Config(
        tbl_rows=rows,
        tbl_cols=-1,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_width_chars=160,
        float_precision=4,
    ):
        lines.append(str(table.select(_LISTED).head(rows)))
    if len(table) > rows:
        lines.append(f"... and {len(table) - rows} more; --rows {len(table)} shows all")
    return "\n".join(lines)


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
