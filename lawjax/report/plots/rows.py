"""The rows that a figure of a sweep shows: networks that fit, by width rule, with brackets or without."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float

from lawjax.errors import UserError
from lawjax.report.plots.captions import count_text
from lawjax.report.plots.tables import FITTED, check_known, checked, is_number


class Rule(NamedTuple):
    """How one width rule of Experiment 2 is drawn; `power` is the law's exponent in sqrt(d)."""

    label: str
    colour: str
    marker: str
    dash: Literal["-", "--"]
    power: int
    shape: str


RULES = {
    "k = n": Rule("$k = n$", "#0072B2", "o", "--", 0, "constant"),
    "k = 10n/d": Rule("$k = 10\\,n/d$", "#D55E00", "^", "-", 1, "$\\propto\\sqrt{d}$"),
}


def usable_rows(table: pl.DataFrame, measure: str) -> pl.DataFrame:
    """The fitted networks whose measure is a number, in an order that does not depend on that of the rows."""
    kept = table.filter(FITTED & is_number(measure))
    if kept.is_empty():
        raise UserError(
            f"None of the {len(table)} networks can be plotted ({count_text(table, measure)}): raise the step limit, "
            "lower the learning rate or ask for wider networks."
        )
    return kept.sort([c for c in ("n", "d", "k", "seed", measure) if c in kept.columns])


def rows_by_rule(table: pl.DataFrame, measure: str) -> dict[str, pl.DataFrame]:
    """The plottable rows of each width rule asked for, in the order of the legend."""
    check_known(table, "width_rule", RULES, "width rule(s)")
    rows = usable_rows(table, measure)
    asked = set(table["width_rule"].to_list())
    return {rule: rows.filter(pl.col("width_rule") == rule) for rule in RULES if rule in asked}


def has_brackets(table: Any) -> bool:
    """Whether some fitted network has a finite bracket on R^d.

    Args:
        table: one row per network asked for, with a column fitted.

    Raises:
        UserError: it is no table, or without rows or a column fitted.
    """
    table = checked(table, "experiment1", flags=["fitted"])
    columns = ("lower_space", "upper_space")
    if not set(columns) <= set(table.columns):
        return False
    return not table.filter(FITTED & is_number(columns[0]) & is_number(columns[1])).is_empty()


def floats(rows: pl.DataFrame, *columns: str) -> list[Float[np.ndarray, " m"]]:
    """Columns as float64 of NumPy."""
    return [rows[column].to_numpy().astype(np.float64) for column in columns]
