"""What figures are drawn from: tables of Polars, pandas and Arrow alike; anything else is one sentence."""

import dataclasses
import json
from pathlib import Path

import figure_tables
import numpy as np
import polars as pl
import pytest
from figure_tables import LARGE, SMALL
from small_sweep import assert_one_sentence

from lawjax import plots, report
from lawjax.errors import UserError
from lawjax.report.plots import settings, tables
from lawjax.sweep import ProbeConfig, SweepConfig
from lawjax.sweep.store import Store
from lawjax.train.config import TrainingConfig

EXPERIMENT1 = LARGE["figure2"][1]


class PandasColumn:
    """What of a pandas.Series is used; missing numbers are NaN, whole numbers with a gap are floats, as there."""

    def __init__(self, column):
        gaps = column.null_count() and column.dtype.is_numeric()
        self.entries = [np.nan if gaps and entry is None else entry for entry in column.to_list()]

    def tolist(self):
        return self.entries

    def isna(self):
        return np.array([entry is None or entry != entry for entry in self.entries])


class PandasTable:
    """What of a pandas.DataFrame is used."""

    def __init__(self, table):
        self.table, self.columns = table, table.columns

    def isna(self):
        raise AssertionError("column by column")

    def items(self):
        return ((name, PandasColumn(self.table[name])) for name in self.columns)

    def __arrow_c_stream__(self, requested_schema=None):
        raise ImportError("pandas has no PyArrow here")


class ArrowTable:
    """Anything with Arrow's stream interface, such as a table of PyArrow or DuckDB."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def image(figure, path):
    return plots.save(figure, path)[0].read_bytes()


@pytest.mark.parametrize("name", SMALL)
def test_a_table_of_pandas_gives_the_same_figure(name, tmp_path):
    make, table = SMALL[name]
    assert image(make(PandasTable(table)), tmp_path / "pandas") == image(make(table), tmp_path / "polars")


@pytest.mark.parametrize("kind", [ArrowTable, pl.DataFrame.lazy])
def test_other_tables_give_the_same_figure(kind, tmp_path):
    make, table = SMALL["figure2"]
    assert image(make(kind(table)), tmp_path / "other") == image(make(table), tmp_path / "polars")


def test_missing_entries_of_pandas_are_missing(tmp_path):
    first = pl.int_range(pl.len()) == 0
    gaps = [
        pl.when(first).then(None).otherwise(name).alias(name) for name in ("proxy", "fitted", "upper_space", "loss")
    ]
    table = EXPERIMENT1.with_columns(loss=pl.lit(0.01)).with_columns(gaps)
    ours, theirs = plots.figure2(table), plots.figure2(PandasTable(table))
    assert "143 fitted" in ours.get_supxlabel() or "did not fit" in ours.get_supxlabel()
    assert image(ours, tmp_path / "polars") == image(theirs, tmp_path / "pandas")
    assert plots.has_brackets(PandasTable(table)) and not plots.has_brackets(PandasTable(table.drop("lower_space")))


def test_tables_of_pandas_itself(tmp_path):
    pandas = pytest.importorskip("pandas")
    gap = pl.when(pl.int_range(pl.len()) == 0).then(None).otherwise("proxy")
    table = EXPERIMENT1.with_columns(proxy=gap)
    theirs = pandas.DataFrame(table.to_dict(as_series=False), index=range(5, 5 + len(table)))
    assert image(plots.figure2(theirs), tmp_path / "a") == image(plots.figure2(table), tmp_path / "b")
    assert image(plots.figure2(theirs.convert_dtypes()), tmp_path / "a") == image(plots.figure2(table), tmp_path / "b")


class Unreadable:
    def __arrow_c_stream__(self, requested_schema=None):
        raise RuntimeError("first line\nsecond line")


class TwiceTheSame(PandasTable):
    def items(self):
        return [("n", PandasColumn(pl.Series([1]))), ("n", PandasColumn(pl.Series([2])))]


NO_TABLES = {
    "path": "results/experiment1/table.parquet",
    "Path": Path("table.parquet"),
    "bytes": b"table.parquet",
    "None": None,
    "number": 3,
    "list": [1, 2],
    "dict": {"n": [1]},
    "array": np.ones((2, 2)),
    "series": pl.Series([1]),
    "no columns": pl.DataFrame(),
    "class": pl.DataFrame,
    "unreadable": Unreadable(),
    "no such file": pl.scan_parquet("/absent/table.parquet"),
    "a column twice": TwiceTheSame(EXPERIMENT1),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("wrong", NO_TABLES)
def test_what_is_no_table_is_one_sentence(name, wrong):
    with pytest.raises(UserError) as refused:
        SMALL[name][0](NO_TABLES[wrong])
    assert_one_sentence(str(refused.value))
    if wrong in ("path", "Path"):
        assert "polars.read_parquet" in str(refused.value)


@pytest.mark.parametrize("wrong", NO_TABLES)
def test_the_other_functions_of_tables_take_none_of_these_either(wrong):
    for function in (plots.has_brackets, plots.usual):
        with pytest.raises(UserError) as refused:
            function(NO_TABLES[wrong])
        assert_one_sentence(str(refused.value))


def wrong_entries(table, name):
    """Columns that are not what this one should be."""
    kind = table[name].dtype
    yield pl.lit([1, 2]).alias(name)
    yield pl.Series(name, [object()] * len(table), dtype=pl.Object)
    yield pl.lit("2020-01-01").str.to_date().alias(name)
    if kind.is_numeric():
        yield pl.col(name).cast(pl.String)
    if kind.is_integer():
        yield pl.lit(0.5).alias(name)
        yield pl.lit(-1).alias(name)
        yield pl.lit(None, pl.Int64).alias(name)
    if kind == pl.Boolean:
        yield pl.lit("True").alias(name)
        yield pl.lit(2).alias(name)
    if kind == pl.String:
        yield pl.lit(1).alias(name)
        if name != "status":
            yield pl.lit(None, pl.String).alias(name)
    if name in ("n_over_d", "kd_over_n"):
        for wrong in (0.0, -1.0, np.inf, np.nan, None):
            yield pl.lit(wrong, pl.Float64).alias(name)


NEEDED = {
    "figure1": ("n", "d", "k", "seed", "fitted", "width_rule", "proxy", "epsilon"),
    "figure2": ("n", "d", "k", "seed", "fitted", "proxy", "status", "upper_space"),
    "figure3": ("linear_part", "residual"),
    "ratios": ("n", "d", "k", "seed", "fitted", "proxy", "spectral_product", "lower_space", "upper_space"),
    "factors": ("factor", "setting", "is_default", "width_rule", "d", "seed", "fitted", "proxy"),
    "capacity": ("d", "n", "k", "n_over_d", "kd_over_n", "tried", "fitted", "share", "low", "high"),
    "constructions": ("construction", "n", "width", "seed", "conditions", "lower_sphere", "upper_sphere"),
    "lower_bounds": (
        "kind",
        "n",
        "d",
        "k",
        "seed",
        "fitted",
        "theorem4",
        "floor",
        "theorem7",
        "least_norm",
        "theorem2",
    ),
    "law": ("source", "model", "activation", "fit", "domain", "effort", "n", "d", "k", "seed", "fitted", "lower"),
    "flat": ("upper", "floor", "theorem4"),
    "frontier factors": ("source", "n"),
    "frontier constructions": ("domain", "d"),
    "constant": ("fit", "ratio", "n", "d", "k", "seed", "fitted", "lower", "upper"),
    "depth": ("layers", "neurons", "n", "d", "seed", "fitted", "lower", "upper"),
}
OPTIONAL = {"k", "epsilon", "status", "upper_space"}


@pytest.mark.parametrize(("name", "column"), [(name, column) for name in NEEDED for column in NEEDED[name]])
def test_a_column_that_is_missing_or_of_another_kind_is_named(name, column):
    make, table = SMALL[name]
    if column not in OPTIONAL or (column == "k" and name != "figure1"):
        with pytest.raises(UserError, match=rf"lacks the column\(s\) {column}; .*experiments/\w+\.py\.$"):
            make(table.drop(column))
    for entries in wrong_entries(table, column):
        with pytest.raises(UserError, match=rf"^The column {column} holds no ") as refused:
            make(table.with_columns(entries))
        assert_one_sentence(str(refused.value))


@pytest.mark.parametrize("name", SMALL)
def test_a_table_without_rows_is_one_sentence(name):
    make, table = SMALL[name]
    with pytest.raises(UserError, match=r"^The table has no rows to plot; run experiments/\w+\.py\.$"):
        make(table.clear())


@pytest.mark.parametrize("name", ["figure1", "constructions", "lower_bounds", "law", "depth"])
def test_a_row_that_the_figure_does_not_know_is_not_dropped_silently(name):
    make, table = SMALL[name]
    columns = {"figure1": "width_rule", "constructions": "construction", "lower_bounds": "kind", "law": "source"}
    column = columns.get(name, "layers")
    unknown = table.with_columns((pl.lit("mine") if column != "layers" else pl.lit(7, pl.Int64)).alias(column))
    with pytest.raises(UserError, match="^Unknown .* (7|mine): the figure knows "):
        make(pl.concat([table, unknown]))


@pytest.mark.parametrize(
    ("name", "column"),
    [("constructions", "upper_sphere"), ("lower_bounds", "theorem4"), ("law", "floor"), ("depth", "upper")],
)
@pytest.mark.parametrize("size", [1e300, 1e-300, 0.0, -1.0])
def test_sizes_that_no_axis_shows_are_one_sentence(name, column, size):
    make, table = SMALL[name]
    odd = table.with_columns(pl.when(pl.col(column).is_not_null()).then(size).alias(column))
    try:
        make(odd)  # 0 and below have no place on a logarithmic axis, but what else there is has
        assert size <= 0.0
    except UserError as refused:
        assert_one_sentence(str(refused))


def test_a_measure_that_is_no_column_of_numbers_is_one_sentence():
    for make in (plots.figure1, plots.figure2, plots.figure3, plots.factors):
        table = SMALL["factors"][1]
        for measure in (None, 3, ["proxy"], "nope", "status"):
            with pytest.raises(UserError) as refused:
                make(table, measure)
            assert_one_sentence(str(refused.value))


def test_save_takes_a_figure_and_the_name_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figure = plots.ratios(SMALL["ratios"][1])
    for wrong in (None, "figure2.png", SMALL["ratios"][1]):
        with pytest.raises(UserError, match="^save takes a figure"):
            plots.save(wrong, "figure2.png")
    for wrong in (None, 3, ["a"], "", ".", "..", "/", "a\0b"):
        with pytest.raises(UserError, match="^A figure is saved under "):
            plots.save(figure, wrong)
    assert not list(tmp_path.iterdir())
    assert [path.name for path in plots.save(figure, b"[1]*?.png")] == ["[1]*?.png", "[1]*?.pdf"]


def test_usual_refuses_changes_of_no_column_and_depth_an_epsilon_of_no_number():
    with pytest.raises(UserError, match="lacks the column.* nope"):
        plots.usual(SMALL["law"][1], nope=1)
    for change in ({"model": 3}, {"effort": "x"}, {"n": None}, {"fit": ["0.02"]}):
        with pytest.raises(UserError, match="^The column (model|effort|n|fit) holds (words|numbers), and none is "):
            plots.usual(SMALL["law"][1], **change)
    for epsilon in (None, "0.02", True):
        with pytest.raises(UserError, match="^epsilon is "):
            plots.frontier_depth(SMALL["depth"][1], epsilon)


def test_words_of_a_table_are_no_formulas():
    words = r"a$b_^$c\x"
    changes = {"status": words, "activation": words, "fitted": pl.int_range(pl.len()) > 0}
    figure = plots.figure2(
        EXPERIMENT1.with_columns(**{k: v if isinstance(v, pl.Expr) else pl.lit(v) for k, v in changes.items()})
    )
    assert r"1 a\$b_^\$c\x" in " ".join(figure.get_supxlabel().split())
    plots.factors(SMALL["factors"][1].with_columns(setting=pl.lit(words), factor=pl.lit(words)))
    plots.frontier_factors(
        SMALL["frontier factors"][1].with_columns(
            model=pl.when(pl.col("model") == "clustered").then(pl.lit(words)).otherwise("model")
        )
    )


# Footers.

CHANGED = {
    "data_model": ("sphere", "sphere data"),
    "optimizer": ("sgd", "optimiser sgd"),
    "optimizer_options": ('{"momentum": 0.9, "nesterov": 1.0}', "momentum 0.9, nesterov 1"),
    "learning_rate": (0.03, "learning rate 0.03"),
    "batch_size": (2500, "batches of 2,500"),
    "hidden_scale": (10.0, "initial W times 10"),
    "readout_scale": (0.1, "initial a times 0.1"),
    "batch_norm": (False, "batch norm: no"),
    "readout_bias": (False, "output constant c: no"),
    "activation": ("tanh", "activation tanh"),
    "dtype": ("float64", "float64"),
    "ascent_starts": (64, "ascent starts 64"),
    "ascent_steps": (7, "ascent steps 7"),
}
ALWAYS = {"epsilon": (0.37, "\N{GREEK SMALL LETTER EPSILON} = 0.37"), "step_limit": (123_456, "at most 123,456 steps")}
ALWAYS |= {"points": (77, "T = 77 random points per network")}
EVERY = {**CHANGED, **ALWAYS}
SWEPT = ("figure1", "figure2", "figure3", "ratios", "factors", "capacity")


def footer(figure):
    return " ".join(figure.get_supxlabel().split())


def test_every_field_of_a_configuration_is_said_or_left_out_on_purpose():
    fields = {field.name for kind in (SweepConfig, TrainingConfig, ProbeConfig) for field in dataclasses.fields(kind)}
    of_rows = {"settings"}  # whose fields every row of the table has
    assert fields == {*CHANGED, *ALWAYS, *of_rows, "grid", "training", "probes", "keep_networks", "brackets"}
    assert set(plots.CONFIGURATION) == {*CHANGED, *ALWAYS}
    stated = {"optimizer": "adam", "batch_norm": True, "activation": "relu", "data_model": "gaussian", "points": 1000}
    assert stated.items() <= settings.USUAL.items()  # section 5 of the paper


@pytest.mark.parametrize("name", SWEPT)
def test_a_usual_configuration_is_not_said(name):
    make, table = LARGE[name]
    assert "Settings changed" not in footer(make(table))
    assert "Settings changed" not in footer(make(table.drop(figure_tables.CONFIGURATION)))


@pytest.mark.parametrize("field", EVERY)
def test_a_field_that_differs_is_in_the_footer(field):
    value, words = EVERY[field]
    changed = footer(plots.figure2(SMALL["figure2"][1].with_columns(pl.lit(value).alias(field))))
    assert words in changed
    assert ("Settings changed" in changed) == (field in CHANGED)


@pytest.mark.parametrize("name", SWEPT)
def test_all_that_differs_is_in_the_footer_of_every_figure(name):
    make, table = SMALL[name]
    text = footer(make(table.with_columns(pl.lit(value).alias(field) for field, (value, _) in EVERY.items())))
    for field, (_, words) in EVERY.items():  # nothing is probed for the phase diagram
        assert (words in text) == (name != "capacity" or field not in settings.PROBES)


def test_a_mixture_is_in_the_footer():
    half = pl.int_range(pl.len()) % 2 == 0
    mixed = EXPERIMENT1.with_columns(
        activation=pl.when(half).then(pl.lit("tanh")).otherwise("activation"),
        learning_rate=pl.when(half).then(0.1).otherwise("learning_rate"),
        batch_size=pl.when(half).then(20),
    )
    text = footer(plots.figure2(mixed))
    for words in ("activation relu and tanh", "learning rate 0.001 to 0.1", "batches of 20 and all points"):
        assert words in text


def test_the_footer_of_factors_says_the_settings_of_the_default():
    table = SMALL["factors"][1].with_columns(
        epsilon=pl.when("is_default").then(0.1).otherwise(0.5),
        activation=pl.when("is_default").then(pl.lit("tanh")).otherwise(pl.lit("gelu")),
    )
    text = footer(plots.factors(table))
    assert "\N{GREEK SMALL LETTER EPSILON} = 0.1;" in text and "activation tanh" in text and "gelu" not in text


@pytest.mark.parametrize("name", ["constructions", "lower_bounds", "law", "flat", "frontier factors", "constant"])
def test_what_a_caption_is_told_of_the_settings_it_says(name):
    make, table = SMALL[name]
    assert footer(make(table, "Settings changed: steps 7.")).endswith(" Settings changed: steps 7.")


@dataclasses.dataclass(frozen=True)
class Searches:
    n: tuple[int, ...] = (100, 200)
    steps: int = 12_000
    rate: float = 1.0
    widths: tuple[float, ...] = (0.7, 1.0)


def test_fields_of_a_run_that_are_not_the_papers_are_said_but_those_drawn(tmp_path):
    searches = Searches(n=(50,), steps=300, widths=(1.0, 1.5))
    Store(tmp_path).open({"experiment": "searches", **dataclasses.asdict(searches)})
    assert report.changed(tmp_path, Searches(), {"n"}) == "Settings changed: steps 300; widths 1, 1.5."
    assert report.changed(tmp_path, Searches(), {"n", "steps", "widths"}) == ""
    assert report.changed(tmp_path, Searches(), set()).startswith("Settings changed: n 50; ")
    stored = json.loads((tmp_path / "config.json").read_text())
    del stored["configuration"]["rate"]  # a run of an earlier lawjax
    (tmp_path / "config.json").write_text(json.dumps({name: stored[name] for name in stored if name != "sha256"}))
    (tmp_path / "config.copy.json").unlink()
    assert "rate" not in report.changed(tmp_path, Searches(), set())


def test_a_flag_may_be_zero_or_one_and_a_size_may_be_a_float():
    table = tables.checked(
        EXPERIMENT1.with_columns(pl.col("fitted").cast(pl.Int8), pl.col("n").cast(pl.Float32)),
        "experiment1",
        sizes=["n"],
        flags=["fitted"],
    )
    assert table["n"].to_list() == EXPERIMENT1["n"].to_list() and table["fitted"].all()
