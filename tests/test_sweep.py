"""The sweep: one row for each network asked for, with what it was told to measure, and nothing trained twice."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import polars as pl
import pytest
import small_sweep
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from small_sweep import CONFIG, PROBES, TRAINING, assert_asked, assert_same_tables, identities, trained_again

from lawjax import UserError, data, keys, loss_curve
from lawjax.errors import Stopped
from lawjax.lipschitz import max_random_gradient
from lawjax.network import TwoLayer
from lawjax.sweep import (
    BRACKETS,
    Bounds,
    Estimates,
    as_record,
    dataset,
    measure,
    retrain,
    run,
)
from lawjax.sweep.brackets import bracket_run
from lawjax.sweep.grid import Grid, NetworkId
from lawjax.sweep.schema import SCHEMA, columns
from lawjax.sweep.store import Store, write_table
from lawjax.train import pack, training
from lawjax.train.initial import initial_weights
from lawjax.train.slots import PackShape, empty

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=4).map(tuple)


# A finished run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return small_sweep.finished(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def table(finished):
    return Store(finished).table()


def test_a_finished_run_has_one_row_for_each_network_and_nothing_in_flight(finished, table):
    assert_asked(table, CONFIG)
    assert table.schema == SCHEMA
    assert sum(table.null_count().row(0)) == table["batch_size"].null_count() == len(table)  # None is the full batch
    assert set(table["status"]) == {"fitted", "step limit"}  # CONFIG holds both kinds
    assert not list(Store(finished).paths.in_flight.iterdir())
    assert all(Store(finished).network_parts(name) for name in CONFIG.grid.networks())


def test_rows_say_how_training_ended(table):
    for row in table.iter_rows(named=True):
        right = row["loss"] <= CONFIG.training.epsilon
        assert right if row["status"] == "fitted" else row["steps"] == CONFIG.training.step_limit
        assert row["steps"] <= CONFIG.training.step_limit
        assert row["fitted"] <= (row["status"] == "fitted" and row["loss_folded"] <= CONFIG.training.epsilon)
        assert row["seconds"] > 0


def test_every_unstated_choice_is_recorded_with_every_row_and_in_the_configuration(finished, table):
    choices = {
        **dataclasses.asdict(CONFIG.training),
        **dataclasses.asdict(CONFIG.probes),
        "data_model": CONFIG.data_model,
        "optimizer_options": json.dumps(dict(CONFIG.training.optimizer_options)),
    }
    for name, choice in choices.items():
        assert table[name].unique().to_list() == [choice], name
    record = Store(finished).read_config()
    assert record["configuration"] == as_record(CONFIG)
    as_json = json.loads(json.dumps(dataclasses.asdict(CONFIG)))
    assert record["configuration"] == {name: value for name, value in as_json.items() if name != "settings"}
    assert record["environment"]["versions"]["jax"] == jax.__version__
    assert set(record["environment"]) >= {"git_commit", "command", "device", "started"}


def test_the_bounds_of_a_row_are_in_order(table):
    for row in table.iter_rows(named=True):
        upper = min(row["spectral_product"], row["path_product"]) * (1 + 1e-5)
        assert 0 < max(row["proxy"], row["ascent"]) <= upper
        assert row["proxy"] <= (row["linear_part"] + row["residual"]) * (1 + 1e-5)  # triangle inequality


def test_a_stored_network_has_the_loss_of_its_row(finished, table):
    for row, name in zip(table.iter_rows(named=True), identities(table), strict=True):
        f = Store(finished).network(name).astype(np.float64)
        x, y = (np.asarray(part, np.float64) for part in dataset(name.n, name.d, name.seed, CONFIG))
        assert f.W.shape == (name.k, name.d) and x.shape == (name.n, name.d)
        outputs = np.maximum(x @ f.W.T + f.b, 0.0) @ f.a + f.c
        loss = np.mean((outputs - y) ** 2)
        np.testing.assert_allclose(loss, row["loss_folded"], rtol=1e-12)
        assert row["fitted"] == (
            row["status"] == "fitted" and loss <= CONFIG.training.epsilon and bool((outputs * y > 0).all())
        )


def test_a_stored_network_has_the_proxy_of_its_row_when_measured_again(finished, table):
    for row, name in list(zip(table.iter_rows(named=True), identities(table), strict=True))[::5]:
        f = Store(finished).network(name)
        again = measure(f, name, CONFIG.probes)
        for column, value in again.items():
            np.testing.assert_allclose(value, row[column], rtol=1e-6, err_msg=column)
        # Without the sweep's padding, from the identity alone:
        key, _ = jax.random.split(keys.probe_key(*name))
        proxy = max_random_gradient(f, key, CONFIG.probes.points).maximum
        np.testing.assert_allclose(float(proxy), row["proxy"], rtol=1e-4)


def test_data_sets_are_shared_between_widths_and_differ_between_seeds():
    first, second = dataset(40, 20, 0, CONFIG), dataset(40, 20, 1, CONFIG)
    assert not np.array_equal(first.x, second.x)
    again = data.gaussian(keys.data_key(40, 20, 0), 40, 20)
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.y, again.y)


def test_running_again_returns_the_same_table_and_trains_nothing(finished, table):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    again = run(CONFIG, finished, progress=False, observers=(trained_again,))
    assert_frame_equal(again, table, check_exact=True)
    lock = Store(finished).paths.lock.name
    after = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path)} <= set(finished.glob(f"{lock}*"))


def test_a_sweeps_network_starts_from_the_bits_that_it_starts_from_alone():
    widths, name = (2, 20, 40), NetworkId(60, 20, 20, 1)
    points, key = dataset(60, 20, 1, CONFIG), training.key_data(keys.weights_key(60, 20, 1))
    with training.numerics(CONFIG.training):
        slots = empty(PackShape(2, 70, 25, 80, 3), CONFIG.training)
        slots = jax.device_get(pack.fill(slots, 1, points, widths, key, CONFIG.training))
        alone = jax.random.fold_in(keys.weights_key(*name[:2], name.seed), name.k)
        kernel, readout = initial_weights(alone, 20, 20, CONFIG.training)
    own = slots.network_of[1] == widths.index(20)
    np.testing.assert_array_equal(slots.params["hidden"]["kernel"][1][:20, own], kernel)
    np.testing.assert_array_equal(slots.params["readout"][1][own], readout)
    # The loss before the first step, from these weights and PaperNetwork's definition in float64.
    x, y = (np.asarray(part, np.float64) for part in points)
    h = x @ kernel.astype(np.float64)
    h = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5)
    loss = np.mean((np.maximum(h, 0.0) @ readout.astype(np.float64) - y) ** 2)
    first = loss_curve(points, 20, keys.weights_key(60, 20, 1), 1, CONFIG.training)[0]
    np.testing.assert_allclose(first, loss, rtol=1e-4)


def test_a_network_of_a_sweep_trained_alone_is_the_same_network(table):
    for name in (NetworkId(60, 20, 2, 0), NetworkId(40, 20, 20, 1), NetworkId(60, 20, 40, 0)):
        [row] = table.filter(**name._asdict()).iter_rows(named=True)
        alone = retrain(name, CONFIG)
        assert (alone.status.label, alone.fitted) == (row["status"], row["fitted"])
        np.testing.assert_allclose(measure(alone.network, name, PROBES)["proxy"], row["proxy"], rtol=0.01)


# Other configurations


def test_float64_on_the_sphere_is_float64_throughout_and_retrains_to_rounding(tmp_path):
    config = dataclasses.replace(
        CONFIG,
        grid=Grid((40,), (10, 20), (8, 40)),
        training=dataclasses.replace(CONFIG.training, dtype="float64"),
        data_model="sphere",
    )
    table = run(config, tmp_path, progress=False)
    assert_asked(table, config)
    for name, row in zip(identities(table), table.iter_rows(named=True), strict=True):
        f = Store(tmp_path).network(name)
        assert {leaf.dtype for leaf in jax.tree.leaves(f)} == {np.dtype(np.float64)}
        points = dataset(name.n, name.d, name.seed, config)
        assert points.x.dtype == np.float64
        np.testing.assert_allclose(np.linalg.norm(points.x, axis=1), 1.0, rtol=1e-14)
        np.testing.assert_allclose(training.check_fit(f, points)[0], row["loss"], rtol=1e-9)
    name = NetworkId(40, 20, 40, 0)
    alone = retrain(name, config)
    [row] = table.filter(**name._asdict()).iter_rows(named=True)
    assert (alone.status.label, alone.steps) == (row["status"], row["steps"])
    with training.numerics(config.training):
        proxy = measure(alone.network, name, PROBES)["proxy"]
    np.testing.assert_allclose(proxy, row["proxy"], rtol=1e-6)


def test_networks_that_diverge_are_rows_without_measurements(tmp_path):
    config = dataclasses.replace(
        CONFIG, grid=Grid((40,), (20,), (20, 40)), training=dataclasses.replace(TRAINING, learning_rate=1e25)
    )
    table = run(config, tmp_path, progress=False)
    assert_asked(table, config)
    assert table["status"].to_list() == ["diverged"] * 2 and not table["fitted"].any()
    assert table["loss_folded"].is_nan().all()
    assert table.select("proxy", "ascent", "spectral_product").null_count().row(0) == (2, 2, 2)
    assert not list(Store(tmp_path).paths.networks.iterdir())
    assert_frame_equal(run(config, tmp_path, progress=False), table, check_exact=True)


def test_without_keep_networks_the_table_is_the_same_and_no_network_is_stored(tmp_path, table):
    config = dataclasses.replace(CONFIG, keep_networks=False)
    assert_same_tables(run(config, tmp_path, progress=False), table)
    assert not list(Store(tmp_path).paths.networks.iterdir())


def test_without_points_networks_are_stored_unmeasured(tmp_path):
    probes = dataclasses.replace(PROBES, points=0)
    config = dataclasses.replace(CONFIG, grid=Grid((40,), (20,), (20, 40)), probes=probes)
    table = run(config, tmp_path, progress=False)
    assert_asked(table, config)
    measured = [*columns(Estimates), *columns(Bounds)]
    assert table.select(measured).null_count().row(0) == (2,) * len(measured)
    assert table["fitted"].all() and all(Store(tmp_path).network_parts(name) for name in config.grid.networks())


@pytest.mark.parametrize("d, k", [(20, 5), (5, 20)])
def test_a_grid_that_leaves_out_everything_is_refused(tmp_path, d, k):
    with pytest.raises(UserError, match="asks for no network"):
        run(dataclasses.replace(CONFIG, grid=Grid((5, 10), (d,), (k,))), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


# Brackets


def test_brackets_promise_to_go_on_only_where_some_were_stored(tmp_path, finished, monkeypatch):
    root = shutil.copytree(finished, tmp_path / "run")
    store = Store(root)
    [part] = store.paths.part_names()
    names = store.network_names(part)
    unmeasured = store.table().with_columns(**{name: pl.lit(None, pl.Float64) for name in BRACKETS})
    write_table(store.paths.part(part), unmeasured)
    store.paths.checksums(part).unlink()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lawjax.sweep.brackets.bracket_columns", stop)
    with pytest.raises(KeyboardInterrupt) as stopped:
        bracket_run(root, progress=False)
    assert stopped.type is KeyboardInterrupt
    store.add_brackets(part, [{**names[0]._asdict(), **dict.fromkeys(BRACKETS, 1.0)}])
    with pytest.raises(Stopped):
        bracket_run(root, progress=False)


def test_a_stored_network_is_a_network(finished):
    f = Store(finished).network(NetworkId(40, 20, 20, 0))
    assert isinstance(f, TwoLayer) and f.activation.name == CONFIG.training.activation


def test_brackets_measured_later_are_those_of_the_sweep(tmp_path, finished):
    """`lawjax bracket RUN_DIR` on a run without brackets, stopped after its first part and run again."""
    config = dataclasses.replace(CONFIG, probes=dataclasses.replace(CONFIG.probes, brackets=False))
    run(config, tmp_path, progress=False)
    store = Store(tmp_path)
    assert store.table()[BRACKETS[0]].null_count() == len(store.table())
    parts = list(store.unbracketed())
    bracket_run(tmp_path, progress=False)
    for part in parts[1:]:
        store.paths.part_brackets(part).unlink()
    assert list(store.unbracketed()) == parts[1:]
    table = bracket_run(tmp_path, progress=False)
    assert not store.unbracketed()
    whole = Store(finished).table()
    for column in BRACKETS:
        np.testing.assert_allclose(table[column].to_numpy(), whole[column].to_numpy(), rtol=1e-6)
    kept = table.filter(pl.col("fitted"))
    assert (kept["proxy"] <= kept["upper_space"]).all() and (kept["lower_sphere"] <= kept["upper_sphere"]).all()
    assert (kept["lower_space"] >= kept.select(pl.max_horizontal("proxy", "ascent", "lower_sphere")).to_series()).all()
    assert (kept["lower_sphere"] >= kept["ascent"]).all()
    assert pl.read_parquet(store.paths.table).equals(table)
