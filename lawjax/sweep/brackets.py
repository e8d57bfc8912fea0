"""Brackets for the networks that a run directory holds without: part by part, so that it can be stopped at any time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import polars as pl

from lawjax.errors import Stopped, UserError
from lawjax.progress import Report
from lawjax.quantiles import quantiles
from lawjax.sweep import damage
from lawjax.sweep.measurements import BRACKETS, ProbeConfig, bracket_columns
from lawjax.sweep.store import Store, write_table


def bracket_run(root: str | Path, *, progress: bool = True) -> pl.DataFrame:
    """Bracket every stored network that has no bracket yet, and write the run's table anew.

    Args:
        root: the run directory.
        progress: whether to show a progress bar.

    Returns:
        The table, with the columns `BRACKETS`.

    Raises:
        UserError: it is no run directory or stores no networks, a part of it cannot be read, or it cannot be written.
    """
    store = Store(root)
    probes = ProbeConfig(**store.read_config()["configuration"].get("probes", {}))
    damage.mend_brackets(store.paths)
    table = store.table()
    parts = store.unbracketed()
    if not parts and table.filter(pl.col(BRACKETS[0]).is_not_null()).is_empty():
        raise UserError(f"{root} stores no networks to bracket; run its sweep first, with keep_networks.")
    with Report("networks", sum(parts.values()), shown=progress and bool(parts)) as report:
        for part in parts:
            rows = _bracketed(store, part, probes)
            store.add_brackets(part, rows)
            report.update(len(rows), stored=True)
    table = store.table()
    write_table(store.paths.table, table)
    return table


def _bracketed(store: Store, part: str, probes: ProbeConfig) -> list[dict[str, Any]]:
    try:
        networks = store.networks(part)
        columns = bracket_columns(networks, probes)
    except KeyboardInterrupt:
        if store.paths.bracketed():
            raise Stopped from None
        raise
    return [{**name._asdict(), **bounds} for name, bounds in zip(networks, columns, strict=True)]


def summary(table: pl.DataFrame) -> str:
    """How tight the brackets of the networks that fit are, and how far below the proxy was, in a few lines.

    The networks and the quantiles are those of the experiment's own summary and figures.
    """
    bracketed = table.filter(pl.col(BRACKETS[0]).is_not_null())
    kept = bracketed.filter("fitted")
    lines = [f"{len(bracketed)} networks bracketed; of the {len(kept)} that fit:"]
    for domain, where in (("space", "R^d"), ("sphere", "the unit sphere")):
        lines.append(f"{where}: upper/lower {_spread(kept[f'upper_{domain}'] / kept[f'lower_{domain}'])}")
    if kept["proxy"].count():
        lines.append(f"proxy / lower bound on R^d {_spread(kept['proxy'] / kept['lower_space'])}")
    return "\n".join(lines)


def _spread(values: pl.Series) -> str:
    low, middle, high, most = quantiles(values, (0.05, 0.5, 0.95, 1.0))
    if math.isnan(middle):
        return "is a number for none"
    return f"{middle:.3f} in the median, {low:.3f} to {high:.3f} for nine in ten, {most:.3f} at most"
