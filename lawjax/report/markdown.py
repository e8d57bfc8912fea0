"""Tables of a summary in Markdown: one function for each shape, and what stands in their cells.

>>> rows = pl.DataFrame({"k": [5, 5, 9], "fitted": [True, True, False], "upper": [1.0, 2.0, 8.0]})
>>> print(by_group(rows, ("k",), {"fitted": share("fitted"), "upper": median("upper", ".2f")}))
| k | fitted | upper |
| --- | --- | --- |
| 5 | 2 of 2 | 1.50 |
| 9 | 0 of 1 | - |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from lawjax.quantiles import quantiles

Cell = Callable[[pl.DataFrame], str]


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A line of heads and one for each row, whose entries are written as `str` has them."""
    lines = [" | ".join(map(str, row)) for row in (heads, *rows)]
    return "\n".join([f"| {lines[0]} |", "| --- " * len(heads) + "|", *(f"| {line} |" for line in lines[1:])])


def by_group(
    rows: pl.DataFrame, by: Sequence[str], cells: Mapping[str, Cell], heads: Mapping[str, str] | None = None
) -> str:
    """One line for each group of rows, in the order of their first rows: what they share, then the cells.

    Args:
        rows: of a table.
        by: columns that a group shares, each a column of the result.
        cells: by their heads, what stands there for a group.
        heads: of columns in `by` that are not headed by their names; an empty one leaves the column out.
    """
    named = {column: (heads or {}).get(column, column) for column in by}
    shown = [place for place, head in enumerate(named.values()) if head]
    lines = [
        [*(key[place] for place in shown), *(cell(own) for cell in cells.values())]
        for key, own in rows.group_by(by, maintain_order=True)
    ]
    return table([*filter(None, named.values()), *cells], lines)


def share(flag: str, between: str = " of ") -> Cell:
    """For example "2 of 3": how many of a group have a flag."""
    return lambda rows: f"{int(rows[flag].sum())}{between}{len(rows)}"


def median(column: str, form: str, missing: str = "-", of: str | None = "fitted") -> Cell:
    """The median of a column over those of a group that have the flag `of`, or over all of them if it is None."""
    return lambda rows: number((rows if of is None else rows.filter(of))[column].median(), form, missing)


def number(value: Any, form: str, missing: str = "") -> str:
    """A number in a form such as ".3f"; `missing` for None."""
    return missing if value is None else format(value, form)


def spread(values: pl.Series, shares: Sequence[float], form: str) -> list[str]:
    """Quantiles, each in its form; "-" where nothing was measured."""
    return ["-" if value != value else format(value, form) for value in quantiles(values, shares)]


def text(*parts: str) -> str:
    """Parts of a summary, one below the other."""
    return "\n".join(parts) + "\n"
