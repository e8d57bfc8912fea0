"""The rows of a frontier's table: which are usual, which are drawn, and how those are said that are not."""

from __future__ import annotations

from typing import Any

import polars as pl

from lawjax.errors import UserError
from lawjax.report.plots.captions import counted
from lawjax.report.plots.looks import KINDS
from lawjax.report.plots.tables import FITTED, check_known, checked, is_number

BOUNDS = ("lower", "upper")
PLOTTED = FITTED & is_number("lower") & is_number("upper") & (pl.col("upper") > 0)
USUAL = {"model": "gaussian", "activation": "relu", "fit": "0.02", "domain": "space", "effort": 1}
_WORDS = ("source", "model", "activation", "fit", "domain")


def usual(table: Any, **changes: str | int) -> pl.DataFrame:
    """The rows of ReLU networks on Gaussian data with epsilon = 0.02, bounded on R^d; or with these changes.

    Raises:
        UserError: no table, a column that is missing or of another kind, no rows, or a change that no row can have.
    """
    table = read_frontier(table)
    unknown = sorted(set(changes) - set(table.columns))
    if unknown:
        raise UserError(f"The table lacks the column(s) {', '.join(unknown)} that were to have other values.")
    for name, value in changes.items():
        words = table[name].dtype == pl.String
        if isinstance(value, bool) or not isinstance(value, str if words else int | float):
            raise UserError(f"The column {name} holds {'words' if words else 'numbers'}, and none is {value!r}.")
    return table.filter(**{**USUAL, **changes})


def read_frontier(table: Any) -> pl.DataFrame:
    """The table, checked, of sources that are known."""
    kinds: dict[str, Any] = {"words": _WORDS, "sizes": ("effort", "n", "d", "k"), "counts": ["seed"]}
    table = checked(table, "frontier", flags=["fitted"], numbers=(*BOUNDS, "floor", "theorem4"), **kinds)
    check_known(table, "source", KINDS, "source(s)")
    return table


def plotted(table: pl.DataFrame) -> pl.DataFrame:
    """The networks that fit and have finite bounds."""
    rows = table.filter(PLOTTED)
    if rows.is_empty():
        raise UserError("None of the networks fits; ask for more steps or neurons.")
    return rows


def left_out(asked: pl.DataFrame, rows: pl.DataFrame) -> str:
    """A sentence on the networks that are not drawn."""
    unfitted = len(asked.filter(~FITTED))
    unbounded = len(asked) - len(rows) - unfitted
    more = f"; {unbounded} that fit have no finite bounds" if unbounded else ""
    return f"{unfitted} of {counted(len(asked), 'network')} asked for did not fit{more}."


def of_search(rows: pl.DataFrame) -> pl.DataFrame:
    """The networks that the search found."""
    found = rows.filter(source="frontier")
    if found.is_empty():
        raise UserError("No network on the frontier fits; ask for more steps or wider networks.")
    return found


def most_widths(rows: pl.DataFrame) -> tuple[int, int]:
    """The (n, d) with the most widths; of several, the one whose points are the fewest."""
    counts = (
        of_search(rows)
        .group_by("n", "d")
        .agg(pl.col("k").n_unique())
        .sort(["k", "n", "d"], descending=[True, False, False])
    )
    return int(counts["n"][0]), int(counts["d"][0])


def flat_n(found: pl.DataFrame) -> int:
    """The n whose k = n networks have the most dimensions."""
    counts = found.filter(pl.col("k") == pl.col("n")).group_by("n").agg(pl.col("d").n_unique()).sort("d", "n")
    if counts.is_empty():
        raise UserError("No network with k = n fits; run experiments/frontier.py.")
    return int(counts["n"][-1])


def tenfold() -> pl.Expr:
    """k = 10n/d, as `WIDTH_RULES` rounds it."""
    return (10 * pl.col("n") / pl.col("d")).round().cast(pl.Int64)
