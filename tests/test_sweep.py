"""The sweep: one row for each network asked for, the same numbers however often it was stopped, killed or split."""

import _thread
import dataclasses
import itertools
import json
import math
import shutil
import signal
import threading
import time

import jax
import numpy as np
import polars as pl
import pytest
import small_sweep
from hypothesis import given
from hypothesis import strategies as st
from killed_sweeps import Disk, Killed
from polars.testing import assert_frame_equal
from small_sweep import CONFIG, DEVICE, PROBES, STUCK, TRAINING, assert_one_sentence, assert_same_tables

from lawjax import UserError, data, keys, loss_curve
from lawjax.errors import Stopped
from lawjax.lipschitz import max_random_gradient
from lawjax.network import TwoLayer
from lawjax.sweep import (
    BRACKETS,
    Bounds,
    Estimates,
    SweepConfig,
    as_record,
    checkpoints,
    dataset,
    measure,
    retrain,
    run,
)
from lawjax.sweep.brackets import bracket_run
from lawjax.sweep.devices import CPU
from lawjax.sweep.grid import WIDTH_RULES, CapacityGrid, Grid, NetworkId, WidthRuleGrid, grid_of
from lawjax.sweep.plan import plan
from lawjax.sweep.schema import SCHEMA, columns
from lawjax.sweep.store import Store, write_table
from lawjax.train import pack, training
from lawjax.train.initial import initial_weights
from lawjax.train.slots import PackShape, empty

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=4).map(tuple)


# Grids


@given(n=SIZES, d=SIZES, k=SIZES, seeds=st.integers(1, 3))
def test_a_grid_is_every_combination_with_d_and_k_at_most_n_once(n, d, k, seeds):
    networks = Grid(n, d, k, seeds).networks()
    asked = {c for c in itertools.product(n, d, k, range(seeds)) if c[1] <= c[0] and c[2] <= c[0]}
    assert networks == sorted(asked)


@given(n=st.integers(1, 500), d=SIZES, seeds=st.integers(1, 3))
def test_the_width_rules_are_k_equal_n_and_k_equal_10n_over_d(n, d, seeds):
    networks = WidthRuleGrid(n, d, seeds).networks()
    assert networks == sorted(set(networks))
    for dimension, seed in itertools.product(set(d), range(seeds)):
        widths = {network.k for network in networks if (network.d, network.seed) == (dimension, seed)}
        assert n in widths and len(widths) <= 2
        [other] = widths - {n} or {n}
        assert abs(other - 10 * n / dimension) <= 0.5 or (other == 1 and 10 * n < dimension)
        assert widths == {rule(n, dimension) for rule in WIDTH_RULES.values()}


@pytest.mark.parametrize(
    "grid",
    [Grid((40, 60), (20,), (2, 20), 3), WidthRuleGrid(60, (10, 20), 2), CapacityGrid((20,), (2, 8), (0.5, 1.0), 2)],
)
def test_a_grid_is_known_by_the_fields_it_is_stored_with(grid):
    stored = json.loads(json.dumps(dataclasses.asdict(grid)))
    assert grid_of(stored) == grid
    with pytest.raises(UserError, match="No grid has the fields"):
        grid_of({**stored, "epochs": 3})


@pytest.mark.parametrize("many", [2**31, 10**20])
def test_sizes_of_which_there_can_be_none_are_refused(many):
    for changes in ({"n": (many,)}, {"d": (3, many)}, {"k": (many,)}, {"seeds": many}):
        with pytest.raises(UserError, match=f"The grid's {next(iter(changes))} must be a whole number from 1 to"):
            Grid(**{"n": (40,), "d": (20,), "k": (2,), **changes})


def test_the_width_rules_known_values():
    assert WidthRuleGrid(200, (10, 40, 5000)).networks() == [
        (200, 10, 200, 0),  # 10n/d = n: one network stands for both rules
        (200, 40, 50, 0),
        (200, 40, 200, 0),
        (200, 5000, 1, 0),  # 10n/d = 0.4: a network has at least one neuron
        (200, 5000, 200, 0),
    ]


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Grid((), (1,), (1,)), "n"),
        (lambda: Grid((10, 0), (1,), (1,)), "n"),
        (lambda: Grid((10,), (-1,), (1,)), "d"),
        (lambda: Grid((10,), (1,), ()), "k"),
        (lambda: Grid((10,), (1,), (1,), seeds=0), "seeds"),
        (lambda: WidthRuleGrid(0, (1,)), "n"),
        (lambda: WidthRuleGrid(10, ()), "d"),
        (lambda: WidthRuleGrid(10, (1,), seeds=-1), "seeds"),
    ],
)
def test_a_grid_with_a_size_below_one_is_refused(make, name):
    with pytest.raises(UserError, match=f"grid's {name} ") as caught:
        make()
    assert_one_sentence(str(caught.value))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: SweepConfig(CONFIG.grid, data_model="cube"), "data_model"),
        (lambda: SweepConfig(CONFIG.grid, dataclasses.replace(TRAINING, batch_size=41)), "batch_size"),
        (lambda: SweepConfig(WidthRuleGrid(40, (20,)), dataclasses.replace(TRAINING, batch_size=41)), "batch_size"),
        (lambda: dataclasses.replace(PROBES, points=-1), "points"),
        (lambda: dataclasses.replace(PROBES, ascent_starts=0), "ascent_starts"),
        (lambda: dataclasses.replace(PROBES, ascent_steps=-1), "ascent_steps"),
    ],
)
def test_a_configuration_that_cannot_run_is_refused_before_anything_is_trained(make, name):
    with pytest.raises(UserError, match=name) as caught:
        make()
    assert_one_sentence(str(caught.value))


@pytest.mark.parametrize("shard", [(0, 1), (3, 2), (1, 0), (-1, 2)])
def test_a_shard_that_does_not_exist_is_refused(tmp_path, shard):
    with pytest.raises(UserError, match="shard") as caught:
        run(CONFIG, tmp_path / "out", shard, progress=False)
    assert_one_sentence(str(caught.value))
    assert not (tmp_path / "out").exists()


# A finished run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return small_sweep.finished(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def table(finished):
    return Store(finished).table()


def identities(table):
    return [NetworkId(*row) for row in table.select("n", "d", "k", "seed").iter_rows()]


def assert_asked(table, config):
    assert identities(table) == config.grid.networks()


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


def trained_again(event):
    pytest.fail(f"What is finished was taken up again: {event.what}.")


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


# Stopped between any two writes, in this process


STOPPED = {
    "one slot, compacted": (TRAINING, 0.0, 2),
    "two slots, refilled": (TRAINING, 5e6, 3),
    "mini-batches": (dataclasses.replace(TRAINING, batch_size=40), 0.0, 2),
    "sgd with momentum": (
        dataclasses.replace(TRAINING, optimizer="sgd", optimizer_options=(("momentum", 0.9),)),
        0.0,
        2,
    ),
}


def stored_files(root):
    """Names, contents and times of all that earlier commits have put into the table."""
    paths = Store(root).paths
    files = [*paths.results.glob("part-*.parquet")]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.mark.parametrize("case", STOPPED)
def test_stopped_between_any_two_writes_a_run_goes_on_to_the_same_table(tmp_path, monkeypatch, case):
    training_config, saturating, seeds = STOPPED[case]
    training_config = dataclasses.replace(training_config, step_limit=1500)
    on = dataclasses.replace(DEVICE, max_chunk=120, saturating=saturating, workers=1)
    config = dataclasses.replace(STUCK, grid=Grid((100,), (40,), (2, 100), seeds), training=training_config)
    units = plan(config.grid.networks(), config.training, on)
    assert [(len(unit.jobs), unit.shape.slots, unit.shape.networks) for unit in units] == [
        (seeds, 2 if saturating else 1, 2)
    ]
    whole = run(config, tmp_path / "whole", progress=False, on=on)
    assert_asked(whole, config)
    if "compacted" in case:
        assert set(whole.filter(k=2)["status"]) == {"step limit"}

    disk, rng, root = Disk(monkeypatch), np.random.default_rng(1), tmp_path / "stopped"
    before, kills = {}, 0
    while True:
        disk.budget = int(rng.integers(1, 10))
        try:
            table = run(config, root, checkpoint_seconds=0.0, progress=False, on=on, observers=(disk.observe,))
            break
        except Killed:
            kills += 1
        disk.budget = math.inf
        stored = stored_files(root)
        assert {path: stored[path] for path in before} == before  # earlier commits are left alone
        found = identities(Store(root).table())
        assert len(set(found)) == len(found)
        before = stored
    assert kills >= 3 and "restored whole" in disk.events
    if "compacted" in case:
        assert "restored compacted" in disk.events
    assert_same_tables(table, whole)
    assert {before[path] == stored_files(root)[path] for path in before} == {True}
    paths = Store(root).paths
    assert not list(paths.in_flight.iterdir())
    assert {path.name for path in paths.networks.iterdir()} <= {path.stem for path in paths.results.iterdir()}
    for name in config.grid.networks():
        for left, right in zip(
            jax.tree.leaves(Store(root).network(name)),
            jax.tree.leaves(Store(tmp_path / "whole").network(name)),
            strict=True,
        ):
            np.testing.assert_array_equal(left, right)


def test_a_unit_whose_pack_in_flight_is_lost_is_trained_for_what_it_lacks(tmp_path, monkeypatch):
    on = dataclasses.replace(DEVICE, max_chunk=120, workers=1)
    config = dataclasses.replace(
        STUCK, grid=Grid((100,), (40,), (2, 100), 2), training=dataclasses.replace(TRAINING, step_limit=1500)
    )
    disk, commits = Disk(monkeypatch), 0
    while Store(tmp_path).table().is_empty():
        commits += 1
        disk.budget = 5 * commits
        with pytest.raises(Killed):
            run(config, tmp_path, checkpoint_seconds=0.0, progress=False, on=on)
    disk.budget = math.inf
    before = Store(tmp_path).table()
    checkpoints.remove(list(Store(tmp_path).paths.in_flight.iterdir()))
    table = run(config, tmp_path, checkpoint_seconds=0.0, progress=False, on=on)
    assert_asked(table, config)
    assert_frame_equal(table.join(before, on=["n", "d", "k", "seed"], how="semi"), before, check_exact=True)


# Killed and stopped in a process of its own


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of the logs, and the table of STUCK run at one go."""
    folder = tmp_path_factory.mktemp("stuck")
    small_sweep.finish(small_sweep.start(folder / "whole", folder / "whole.log", checkpoint_seconds=60))
    log = (folder / "whole.log").read_text().split()
    assert log.count("began") == 2 and "restored" not in log
    table = Store(folder / "whole").table()
    assert_asked(table, STUCK)
    return folder, table


def wait_for_commits(process, root, number):
    """Until the run directory has that many commits more than now, or the process has ended."""
    parts = Store(root).paths.part_names
    awaited = len(parts()) + number
    while len(parts()) < awaited and process.poll() is None:
        time.sleep(0.005)


def kill_and_resume(root, log, moments, rng, **options):
    """Run, kill after so many commits each time, run to the end; returns whether a pack was in flight at the kills."""
    in_flight, before = [], {}
    for commits in moments:
        process = small_sweep.start(root, log, **options)
        wait_for_commits(process, root, commits)
        time.sleep(rng.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        stored = stored_files(root)
        assert {path: stored[path] for path in before} == before
        found = identities(Store(root).table())
        assert len(set(found)) == len(found)
        paths, before = Store(root).paths, stored
        in_flight += [process.returncode == -signal.SIGKILL and bool(list(paths.in_flight.glob("part-*")))]
    small_sweep.finish(small_sweep.start(root, log, **options))
    stored = stored_files(root)
    assert {path: stored[path] for path in before} == before
    return in_flight


def test_killed_at_random_moments_a_run_goes_on_to_the_same_table(whole):
    folder, expected = whole
    rng = np.random.default_rng(7)
    in_flight = kill_and_resume(folder / "killed", folder / "killed.log", rng.integers(2, 9, size=3), rng)
    assert any(in_flight)
    log = (folder / "killed.log").read_text()
    assert "restored" in log
    assert_same_tables(Store(folder / "killed").table(), expected)
    assert not list(Store(folder / "killed").paths.in_flight.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_many_moments_a_run_goes_on_to_the_same_table(whole, seed):
    folder, expected = whole
    rng, root, log = np.random.default_rng(seed), folder / f"many-{seed}", folder / f"many-{seed}.log"
    in_flight = kill_and_resume(root, log, rng.integers(1, 15, size=6), rng)
    assert_same_tables(Store(root).table(), expected)
    assert any(in_flight)
    assert "restored compacted" in log.read_text()


@pytest.mark.slow
def test_killed_before_its_first_commits_a_run_loses_time_alone(whole):
    folder, expected = whole
    rng, root = np.random.default_rng(3), folder / "early"
    for moment in rng.uniform(1.0, 12.0, size=3):
        process = small_sweep.start(root, folder / "early.log", checkpoint_seconds=60)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    small_sweep.finish(small_sweep.start(root, folder / "early.log", checkpoint_seconds=60))
    assert_same_tables(Store(root).table(), expected)


def test_ctrl_c_stores_what_is_in_training_and_says_so_in_one_sentence(whole):
    folder, expected = whole
    root, log = folder / "stopped", folder / "stopped.log"
    process = small_sweep.start(root, log, checkpoint_seconds=60)  # so nothing but Ctrl-C stores a pack in flight
    deadline = time.monotonic() + 120
    while not (log.exists() and "advance" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    errors = small_sweep.finish(process, status=130)
    assert errors == "small_sweep.py: Stopped; run the same command again to go on from here.\n"
    assert list(Store(root).paths.in_flight.glob("part-*"))
    assert len(Store(root).table()) < len(expected)
    small_sweep.finish(small_sweep.start(root, log, checkpoint_seconds=60))
    assert "restored" in log.read_text()
    assert_same_tables(Store(root).table(), expected)


@pytest.mark.parametrize("times", [1, 2])
def test_going_on_is_promised_only_where_everything_was_stored(tmp_path, times):
    """The first Ctrl-C waits until what is in training is stored, a second one does not."""
    began, noticed, stored = threading.Event(), threading.Event(), threading.Event()

    def notice(*_):
        noticed.set()
        raise KeyboardInterrupt

    def interrupt(event):
        if event.what == "stored":
            stored.set()
        if event.what != "advanced" or began.is_set():
            return
        began.set()
        _thread.interrupt_main()
        noticed.wait()
        time.sleep(0.5)  # until the main thread waits for this one
        if times == 2:
            _thread.interrupt_main()
            time.sleep(1.0)

    handler = signal.signal(signal.SIGINT, notice)
    try:
        with pytest.raises(KeyboardInterrupt) as stopped:
            run(CONFIG, tmp_path, progress=False, on=dataclasses.replace(CPU, workers=1), observers=(interrupt,))
        assert stored.is_set() == (times == 1)
        assert stored.wait(60)  # the thread goes on, as long as the process does
    finally:
        signal.signal(signal.SIGINT, handler)
    assert (stopped.type is Stopped) == (times == 1)
    assert list(Store(tmp_path).paths.in_flight.glob("part-*"))


def test_brackets_promise_to_go_on_only_where_some_were_stored(tmp_path, finished, monkeypatch):
    root = shutil.copytree(finished, tmp_path / "run")
    store = Store(root)
    [part] = store.paths.part_names()
    names = store.network_names(part)
    unmeasured = store.table().with_columns(**{name: pl.lit(None, pl.Float64) for name in BRACKETS})
    write_table(store.paths.part(part), unmeasured)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lawjax.sweep.brackets.bracket_columns", stop)
    with pytest.raises(KeyboardInterrupt) as stopped:
        bracket_run(root, progress=False)
    assert stopped.type is KeyboardInterrupt
    store.add_brackets(part, [{**names[0]._asdict(), **dict.fromkeys(BRACKETS, 1.0)}])
    with pytest.raises(Stopped):
        bracket_run(root, progress=False)


# Shards


def test_two_shards_one_after_the_other_are_the_whole_table(tmp_path):
    # With compiling for free, every (n, widths) is a unit of its own, so that both shards have some.
    free = dataclasses.replace(CPU, compile_time=0.0)
    assert len(plan(CONFIG.grid.networks(), CONFIG.training, free)) >= 2
    whole = run(CONFIG, tmp_path / "whole", progress=False, on=free)
    first = run(CONFIG, tmp_path / "shards", (1, 2), progress=False, on=free)
    assert 0 < len(first) < len(whole)
    both = run(CONFIG, tmp_path / "shards", (2, 2), progress=False, on=free)
    assert_asked(both, CONFIG)
    assert_same_tables(both, whole)
    assert_same_tables(first, whole.join(first, on=["n", "d", "k", "seed"], how="semi"))
    again = run(CONFIG, tmp_path / "shards", progress=False, on=free, observers=(trained_again,))
    assert_frame_equal(again, both, check_exact=True)


def test_two_shards_at_once_are_the_whole_table(whole):
    folder, expected = whole
    root = folder / "shards"
    both = [small_sweep.start(root, folder / f"shard-{i}.log", shard=f"{i}/2") for i in (1, 2)]
    for process in both:
        assert small_sweep.finish(process) == ""
    assert_same_tables(Store(root).table(), expected)
    for i in (1, 2):  # each had a unit of its own
        assert (folder / f"shard-{i}.log").read_text().split().count("began") == 1


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
