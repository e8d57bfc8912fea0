"""What a figure is drawn from: a table of Polars, pandas or whatever speaks Arrow, and what its columns must hold."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Any

import polars as pl

from lawjax.errors import UserError

FITTED = pl.col("fitted")

# Columns that a figure reads where a table has them.
_OPTIONAL_SIZES = {"k"}
_OPTIONAL_WORDS = {"status"}
_OPTIONAL_NUMBERS = {"epsilon", "points", "lower_space", "upper_space"}


def is_number(column: str) -> pl.Expr:
    """Whether the column holds a finite number."""
    return pl.col(column).cast(pl.Float64).is_finite().fill_null(False)


def read(table: Any) -> pl.DataFrame:
    """A table as Polars has it.

    Args:
        table: a polars.DataFrame or LazyFrame, a pandas.DataFrame, or anything with Arrow's stream interface.

    Raises:
        UserError: it is something else, or its columns cannot be read.
    """
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, str | os.PathLike):
        raise UserError(f"A figure is drawn from a table, not from a path: pass polars.read_parquet({str(table)!r}).")
    try:
        if isinstance(table, pl.LazyFrame):
            return table.collect()
        if hasattr(table, "isna") and hasattr(table, "columns"):
            return _from_pandas(table)
        if hasattr(table, "__arrow_c_stream__"):
            return pl.DataFrame(table)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"The table cannot be read ({reason.rstrip('.')}): pass one as polars.read_parquet gives."
        ) from None
    raise UserError(f"A figure is drawn from a table of Polars or pandas, not from {type(table).__name__}.")


def _from_pandas(table: Any) -> pl.DataFrame:
    """Column by column, by what pandas alone can do: Polars would ask for PyArrow."""
    return pl.DataFrame([_series(str(name), column) for name, column in table.items()])


def _series(name: str, column: Any) -> pl.Series:
    entries = zip(column.tolist(), column.isna().tolist(), strict=True)
    return pl.Series(name, [None if missing else value for value, missing in entries], strict=False)


def checked(
    table: Any,
    experiment: str,
    *,
    sizes: Collection[str] = (),
    counts: Collection[str] = (),
    positive: Collection[str] = (),
    numbers: Collection[str] = (),
    flags: Collection[str] = (),
    words: Collection[str] = (),
) -> pl.DataFrame:
    """The table with rows and with these columns, each of its kind.

    Args:
        table: see `read`.
        experiment: the script that makes such tables.
        sizes: columns of whole numbers of at least 1, none missing.
        counts: columns of whole numbers of at least 0, none missing.
        positive: columns of finite numbers above 0, none missing.
        numbers: columns of numbers; missing ones and NaN become null.
        flags: columns of true and false; missing ones become false.
        words: columns of strings, none missing.

    Raises:
        UserError: it is no table, lacks a column or rows, or a column is of another kind.
    """
    table = read(table)
    remedy = f"pass a table as experiments/{experiment}.py makes it, or run experiments/{experiment}.py"
    needed = dict.fromkeys((*sizes, *counts, *positive, *numbers, *flags, *words))
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise UserError(f"The table lacks the column(s) {', '.join(missing)}; {remedy}.")
    if table.is_empty():
        raise UserError(f"The table has no rows to plot; run experiments/{experiment}.py.")
    there = set(table.columns)
    for names, kind, convert in (
        ({*sizes, *(_OPTIONAL_SIZES & there)}, "whole numbers of at least 1", lambda column: _whole(column, 1)),
        (counts, "whole numbers of at least 0", lambda column: _whole(column, 0)),
        (positive, "positive numbers", _positive),
        ({*numbers, *(_OPTIONAL_NUMBERS & there)} - {*sizes, *counts}, "numbers", _numbers),
        (flags, "true or false", _flags),
        (words, "words", lambda column: None if column.null_count() else _words(column)),
        (_OPTIONAL_WORDS & there, "words", _words),
    ):
        for name in sorted(names):
            table = table.with_columns(_converted(table[name], kind, convert, remedy))
    return table


def _converted(column: pl.Series, kind: str, convert: Any, remedy: str) -> pl.Series:
    try:
        found = convert(column)
    except pl.exceptions.PolarsError:
        found = None
    if found is None:
        raise UserError(
            f"The column {column.name} holds no {kind} (but {column.dtype}, or some entries are none); {remedy}."
        )
    return found


def _whole(column: pl.Series, least: int) -> pl.Series | None:
    if not column.dtype.is_numeric() or column.null_count():
        return None
    found = column.cast(pl.Int64)
    return found if (found == column).all() and (found >= least).all() else None


def _positive(column: pl.Series) -> pl.Series | None:
    found = _numbers(column)
    return found if found is not None and (found.is_finite() & (found > 0)).fill_null(False).all() else None


def _numbers(column: pl.Series) -> pl.Series | None:
    if not (column.dtype.is_numeric() or column.dtype == pl.Null):
        return None
    return column.cast(pl.Float64).fill_nan(None)


def _flags(column: pl.Series) -> pl.Series | None:
    if column.dtype.is_numeric() and not column.drop_nulls().is_in([0, 1]).all():
        return None
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        return None
    return column.cast(pl.Boolean).fill_null(False)


def _words(column: pl.Series) -> pl.Series | None:
    kinds = (pl.String, pl.Categorical, pl.Enum, pl.Null)
    return column.cast(pl.String) if column.dtype.base_type() in kinds else None


def check_known(table: pl.DataFrame, column: str, known: Iterable[str | int], what: str) -> None:
    """Refuse what a figure does not know, so that no network is dropped silently.

    Raises:
        UserError: the column has another entry.
    """
    known = list(known)
    unknown = sorted({str(entry) for entry in table[column].unique() if entry not in known})
    if unknown:
        raise UserError(f"Unknown {what} {', '.join(unknown)}: the figure knows {', '.join(map(str, known))}.")


def check_measure(measure: Any) -> None:
    """Refuse what cannot be the name of a column.

    Raises:
        UserError: it is no string.
    """
    if not isinstance(measure, str):
        raise UserError(f"The measure is the name of a column, such as proxy or ascent, not {measure!r}.")
