"""Probes of one's own: columns beside ours, the same numbers however a run was stopped, mistakes in a sentence."""

import dataclasses
import functools
import math

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from killed_sweeps import killed_until_done
from polars.testing import assert_frame_equal
from small_sweep import CONFIG, DEVICE, STUCK, assert_one_sentence, assert_same_tables

from lawjax import UserError, sweep
from lawjax.sweep import Grid, NetworkId, run
from lawjax.sweep.inspect import describe_run
from lawjax.sweep.schema import SCHEMA

SMALL = dataclasses.replace(
    CONFIG, grid=Grid((40,), (20,), (2, 20, 40), seeds=2), probes=dataclasses.replace(CONFIG.probes, points=20)
)


def margins(network, dataset):
    """The least and the mean of y f(x)."""
    margin = dataset.y * network(dataset.x)
    return {"least": margin.min(), "mean": jnp.asarray(margin).mean()}


def size(network, dataset):
    return {"n": dataset.n, "k": np.int32(network.n_neurons), "wide": network.n_neurons > dataset.d, "none": math.nan}


PROBES = {"margin": margins, "size": size}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    root = tmp_path_factory.mktemp("probes") / "run"
    return root, run(SMALL, root, probes=PROBES, progress=False)


def test_the_columns_of_probes_stand_after_ours_and_leave_them_as_they_are(measured, tmp_path):
    root, table = measured
    assert_same_tables(table.select(SCHEMA.names()), run(SMALL, tmp_path / "without", progress=False))
    own = [name for name in table.columns if name not in SCHEMA]
    assert own == ["least", "mean", "size_n", "size_k", "wide", "none"]  # n and k are columns of ours
    assert set(table.select(own).dtypes) == {pl.Float64}
    for row in table.iter_rows(named=True):
        f = sweep.Store(root).network(NetworkId(row["n"], row["d"], row["k"], row["seed"]))
        x, y = sweep.dataset(row["n"], row["d"], row["seed"], SMALL)
        assert (row["least"], row["mean"]) == pytest.approx(((y * f(x)).min(), (y * f(x)).mean()), rel=1e-6)
        assert (row["size_n"], row["size_k"], row["wide"]) == (row["n"], row["k"], row["k"] > row["d"])
        assert math.isnan(row["none"])


def test_a_finished_run_with_probes_is_read_inspected_and_not_measured_again(measured):
    root, table = measured
    calls = []

    def counted(network, dataset):
        calls.append(network)
        return margins(network, dataset)

    again = run(SMALL, root, probes={"margin": counted, "size": size}, progress=False)
    assert_frame_equal(again, table, check_exact=True)
    assert len(calls) == 1  # tried once, on initial weights
    assert_frame_equal(sweep.Store(root).table(), table, check_exact=True)
    assert "│ least" in describe_run(root).replace("┆", "│").replace("  ", " ")


@pytest.mark.parametrize(
    ("probes", "match"),
    [
        (None, "probe_columns is .* there, None here"),
        ({"margin": margins}, r"size is \['size_n'"),
        ({"size": size, "margin": lambda f, data: {"least": 1}}, r"margin is \['least', 'mean'\] there, \['least'\]"),
        ({**PROBES, "third": lambda f, data: {"one": 1}}, r"third is None there, \['one'\] here"),
    ],
)
def test_a_run_with_other_probes_is_refused(measured, probes, match):
    root, table = measured
    with pytest.raises(UserError, match=f"another configuration.*{match}") as caught:
        run(SMALL, root, probes=probes, progress=False)
    assert_one_sentence(str(caught.value))
    assert_frame_equal(sweep.Store(root).table(), table, check_exact=True)


def test_probes_of_networks_that_diverged_are_empty(tmp_path):
    config = dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, learning_rate=1e25))
    table = run(config, tmp_path, probes=PROBES, progress=False)
    assert set(table["status"]) == {"diverged"} and table["least"].null_count() == len(table)


def test_a_probe_cannot_change_what_is_stored(tmp_path):
    def vandal(network, dataset):
        network.W[:] = 0.0
        return {}

    with pytest.raises(UserError, match="The probe vandal failed .*read-only"):
        run(SMALL, tmp_path / "run", probes={"vandal": vandal}, progress=False)


# Mistakes


def fails(network, dataset):
    raise ZeroDivisionError("of mine.\nSecond line")


@pytest.mark.parametrize(
    ("probes", "match"),
    [
        ([margins], "probes must be a dict of functions by name, not"),
        ({"margin": 3}, "probes must be functions .* not 'margin': 3"),
        ({3: margins}, "probes must be functions .* not 3"),
        ({"p": lambda f, data: 3.0}, "The probe p must return a dict of numbers by name, not 3.0"),
        ({"p": lambda f, data: {"a": "long"}}, "The probe p must return numbers, but 'a' is 'long'"),
        ({"p": lambda f, data: {"a": None}}, "The probe p must return numbers, but 'a' is None"),
        ({"p": lambda f, data: {"a": f.W}}, "The probe p must return numbers, but 'a' is an array of shape"),
        ({"p": lambda f, data: {1: 2.0}}, "The probe p must name its numbers by words, not 1"),
        ({"p": lambda f: {"a": 1.0}}, "The probe p failed .*TypeError"),
        ({"p": fails}, "The probe p failed .ZeroDivisionError: of mine.\\.$"),
        (
            {"n": lambda f, data: {"x": 1.0}, "n_n": lambda f, data: {"n_x": 2.0, "x": 3.0}},
            "another column n_x; rename",
        ),
    ],
)
def test_mistakes_are_found_before_anything_is_trained(tmp_path, probes, match):
    with pytest.raises(UserError, match=match) as caught:
        run(SMALL, tmp_path / "run", probes=probes, progress=False)
    assert_one_sentence(str(caught.value))
    assert not (tmp_path / "run").exists()


def only_at(width, wrong):
    """A probe that does something wrong for networks of one width, once they are trained."""

    def probe(network, dataset):
        is_trained = network.b.any() or network.c.any()
        return wrong() if is_trained and network.n_neurons == width else {"least": 1.0}

    return probe


class Counter:
    """Counts the chunks of steps of a run that it observes."""

    def __init__(self):
        self.advanced = 0

    def __call__(self, event):
        self.advanced += event.what == "advanced"


IN_SMALL_CHUNKS = dataclasses.replace(DEVICE, max_chunk=40, workers=1)


def right(network, dataset):
    return {"least": 1.0}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The table of a run with the probe `right`, and of how many chunks it is."""
    counter, root = Counter(), tmp_path_factory.mktemp("undisturbed") / "run"
    options = {"progress": False, "on": IN_SMALL_CHUNKS, "observers": [counter]}
    return run(SMALL, root, probes={"p": right}, **options), counter.advanced


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda: {"most": 1.0}, "The probe p returns most for one network and least for others"),
        (lambda: {}, "The probe p returns nothing for one network and least for others"),
        (lambda: 1 / 0, "The probe p failed .ZeroDivisionError: division by zero."),
        (lambda: {"least": [1.0]}, "The probe p must return numbers, but 'least' is"),
    ],
)
def test_a_mistake_with_one_network_loses_none(tmp_path, wrong, match, undisturbed):
    """What was trained until then is stored, the network with which it failed included; the run goes on from there."""
    whole, chunks = undisturbed
    counter, probe = Counter(), only_at(20, wrong)
    options = {"progress": False, "on": IN_SMALL_CHUNKS, "observers": [counter]}
    for _ in range(2):  # the second time it fails at once
        with pytest.raises(UserError, match=match) as caught:
            run(SMALL, tmp_path, probes={"p": probe}, **options)
        assert_one_sentence(str(caught.value))
    table = run(SMALL, tmp_path, probes={"p": right}, **options)
    assert_same_tables(table, whole)
    assert counter.advanced <= chunks + 2  # no step was made twice but for a chunk


def test_killed_between_any_two_writes_a_run_with_probes_goes_on_to_the_same_table(tmp_path, monkeypatch):
    on = dataclasses.replace(DEVICE, max_chunk=120, workers=1)
    config = dataclasses.replace(
        STUCK, grid=Grid((100,), (40,), (2, 100), 2), training=dataclasses.replace(STUCK.training, step_limit=1500)
    )
    go = functools.partial(run, config, probes=PROBES, progress=False, on=on, checkpoint_seconds=0.0)
    whole = go(tmp_path / "whole")
    assert_same_tables(killed_until_done(lambda: go(tmp_path / "killed"), monkeypatch), whole)
