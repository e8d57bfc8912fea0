"""The unstated choices of the paper as swept factors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lawjax.report.plots.base import DEFAULT_COLOUR, drawing, finish, medians, one_two_five
from lawjax.report.plots.captions import caption_of, measure_title
from lawjax.report.plots.rows import RULES, rows_by_rule
from lawjax.report.plots.settings import plain
from lawjax.report.plots.tables import check_measure, checked

_SETTING_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito, without black
_WIDE: dict[str, Any] = {"linewidth": 2.4, "markersize": 6.5}  # the default, to show behind what changes nothing
_THIN: dict[str, Any] = {"linewidth": 1.1, "markersize": 3.5}
_SETTING_MARKERS = ("s", "^", "D", "v", "P", "X")


def factors(table: Any, measure: str = "proxy") -> Figure:
    """The choices that the paper leaves open, one panel each: sqrt(d) against the median over seeds of the measure.

    One line per setting and width rule: solid for k = 10n/d, dashed for k = n, black for the default setting. A setting
    of which some networks did not fit says so in its legend entry; medians are over the seeds that fitted. Both axes
    are logarithmic (the law's lines then have slopes 1 and 0, and both width rules can be read), unless a value is not
    positive.

    Args:
        table: one row per network asked for, of Polars or pandas; columns factor, setting, is_default, width_rule, d,
            seed, fitted and `measure`; status and columns named like fields of the configuration are read for the
            caption, which says the settings of the rows with is_default.
        measure: the column on the y axes, which all panels share.

    Raises:
        UserError: no table, a column that is missing or of another kind, no rows, an unknown width rule, or no fitted
            network with a finite measure.
    """
    check_measure(measure)
    words, flags = ("factor", "setting", "width_rule"), ("is_default", "fitted")
    table = checked(table, "factors", words=words, flags=flags, sizes=["d"], counts=["seed"], numbers=[measure])
    by_rule = rows_by_rule(table, measure)
    names = table["factor"].unique(maintain_order=True).to_list()
    n_columns = 2 if len(names) == 4 else min(3, len(names))
    n_rows = math.ceil(len(names) / n_columns)
    with drawing(3.9 * n_columns + 0.4, 3.1 * n_rows + 1.1) as figure:
        panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
        for axes, name in zip(panels.flat, names, strict=False):
            _factor_panel(axes, table.filter(pl.col("factor") == name), by_rule, measure)
            axes.set_title(plain(name))
        for axes in panels.flat[len(names) :]:
            axes.remove()
        for column in range(n_columns):  # the lowest panel of each column carries the label
            lowest = max(index for index in range(column, len(names), n_columns))
            panels.flat[lowest].set_xlabel("$\\sqrt{d}$   (d: dimension)")
            panels.flat[lowest].xaxis.set_tick_params(labelbottom=True)
        top = max(float(rows[measure].max()) for rows in by_rule.values() if len(rows))  # type: ignore[arg-type]
        low = min(float(rows[measure].min()) for rows in by_rule.values() if len(rows))  # type: ignore[arg-type]
        if low > 0:
            panels[0, 0].set(xscale="log", yscale="log", ylim=(0.9 * low, 1.1 * top))
            for axis in (panels[0, 0].xaxis, panels[0, 0].yaxis):
                one_two_five(axis)
        else:
            panels[0, 0].set(xlim=(0.0, None), ylim=(1.05 * min(0.0, low), 1.05 * max(0.0, top) or 1.0))
        figure.supylabel(f"{measure_title(measure)}, median over seeds", fontsize=11)
        lines = [Line2D([], [], color="0.3", linestyle=RULES[rule].dash, label=RULES[rule].label) for rule in by_rule]
        lines.append(Line2D([], [], color=DEFAULT_COLOUR, marker="o", label="default setting", **_WIDE))
        figure.legend(handles=lines, loc="outside upper center", ncols=len(lines), fontsize=9.5)
        usual = table.filter("is_default")
        finish(figure, caption_of(table, measure, configured=table if usual.is_empty() else usual), 60 * n_columns)
    return figure


def _factor_panel(axes: Axes, asked: pl.DataFrame, by_rule: dict[str, pl.DataFrame], measure: str) -> None:
    factor = asked["factor"][0]
    settings = asked.select("setting", "is_default").unique(maintain_order=True).sort("is_default", descending=True)
    n_colours = 0
    for setting, is_default in settings.iter_rows():
        if is_default:
            looks: dict[str, Any] = {"color": DEFAULT_COLOUR, "marker": "o", **_WIDE}
        else:
            index = n_colours % len(_SETTING_COLOURS)
            looks = {"color": _SETTING_COLOURS[index], "marker": _SETTING_MARKERS[index], **_THIN}
            n_colours += 1
        chosen = (pl.col("factor") == factor) & (pl.col("setting") == setting) & (pl.col("is_default") == is_default)
        n_fitted = 0
        for name, plottable in by_rule.items():
            rows = plottable.filter(chosen)
            if len(rows):
                n_fitted += len(rows)
                x, y = np.sqrt(rows["d"].to_numpy().astype(np.float64)), rows[measure].to_numpy().astype(np.float64)
                axes.plot(*medians(x, y), RULES[name].dash, label=f"_{setting} {name}", **looks)
        n_asked = len(asked.filter(chosen))
        missing = f" ({n_fitted or 'none'} of {n_asked} fitted)" if n_fitted < n_asked else ""
        axes.plot([], [], label=f"{plain(setting)}{missing}", **looks)
