"""Hyperparameters as axes of a grid: every network in every setting, each as it would be in a sweep of its own."""

import dataclasses
import functools
import itertools
import json

import numpy as np
import polars as pl
import pytest
from killed_sweeps import killed_until_done
from polars.testing import assert_frame_equal
from small_sweep import CONFIG, DEVICE, STUCK, assert_one_sentence, assert_same_tables

from lawjax import TwoLayer, UserError, data, sweep
from lawjax.cli import experiment
from lawjax.lipschitz import certify
from lawjax.sweep import Grid, NetworkId, SweepConfig, axes, run
from lawjax.sweep.schema import CHOICES, IDENTITY

PROBES = dataclasses.replace(CONFIG.probes, points=20, brackets=False)
GRID = Grid((40,), (10, 20), (20, 40), seeds=2)
BASE = SweepConfig(GRID, CONFIG.training, PROBES)
AXES = axes(learning_rate=(0.01, 0.003), data_model=("gaussian", "sphere"))


def ring(key, n, d):
    return data.sphere(key, n, d)


@pytest.fixture(scope="module")
def crossed(tmp_path_factory):
    root = tmp_path_factory.mktemp("axes") / "run"
    return root, run(dataclasses.replace(BASE, settings=AXES), root, progress=False)


def of_setting(table, change):
    return table.filter(*(pl.col(name) == value for name, value in change.items()))


def test_axes_are_all_combinations_and_add_up():
    assert axes() == ({},)
    assert axes(epsilon=[0.1, 0.2]) == ({"epsilon": 0.1}, {"epsilon": 0.2})
    crossed = axes(epsilon=(0.1, 0.2), batch_size=(None, 10))
    assert [tuple(one.values()) for one in crossed] == list(itertools.product((0.1, 0.2), (None, 10)))
    config = dataclasses.replace(BASE, settings=axes(learning_rate=(0.01, 0.1)) + axes(batch_norm=(True, False)))
    assert [(one.training.learning_rate, one.training.batch_norm) for one in config.configurations()] == [
        (0.01, True),  # BASE's, counted once
        (0.1, True),
        (0.01, False),
    ]


def test_every_network_in_every_setting_is_the_one_of_a_sweep_of_its_own(crossed, tmp_path):
    root, table = crossed
    assert len(table) == 4 * len(GRID.networks())
    assert table.select(*IDENTITY, *CHOICES).is_unique().all()
    for number, change in enumerate(AXES):
        model = {"data_model": change["data_model"]}
        training = dataclasses.replace(BASE.training, learning_rate=change["learning_rate"])
        alone = run(dataclasses.replace(BASE, training=training, **model), tmp_path / f"{number}", progress=False)
        assert_same_tables(of_setting(table, change), alone)
        for name in GRID.networks():
            f, g = sweep.Store(root).network(name, **change), sweep.Store(tmp_path / f"{number}").network(name)
            assert (
                all(np.array_equal(one, other) for one, other in zip(f, g, strict=True))
                if isinstance(f, tuple)
                else (np.array_equal(f.W, g.W) and np.array_equal(f.a, g.a))
            )


def test_one_value_is_the_run_without_the_axis(tmp_path):
    without = run(BASE, tmp_path / "without", progress=False)
    one = dataclasses.replace(BASE, settings=axes(learning_rate=(BASE.training.learning_rate,)))
    assert_same_tables(run(one, tmp_path / "with", progress=False), without)
    names = [sweep.Store(tmp_path / name).paths.part_names() for name in ("with", "without")]
    assert names[0] == names[1]
    for root in ("with", "without"):  # either goes on as the other
        for config in (BASE, one):
            again = run(config, tmp_path / root, progress=False, observers=[lambda event: pytest.fail("trained again")])
            assert_same_tables(again, without)


def test_settings_share_data_initial_weights_and_probes():
    """So that they are compared on the same draws: a step limit of one leaves the initial weights nearly alone."""
    config = dataclasses.replace(BASE, settings=axes(hidden_scale=(1.0, 2.0), data_model=("gaussian", "sphere")))
    narrow, wide, *_ = (one for one in config.configurations() if one.data_model == "gaussian")
    assert all(
        np.array_equal(a, b)
        for a, b in zip(sweep.dataset(40, 20, 1, narrow), sweep.dataset(40, 20, 1, wide), strict=True)
    )
    gaussian, sphere = (
        sweep.dataset(40, 20, 1, config.setting(hidden_scale=1.0, data_model=model)) for model in data.MODELS
    )
    np.testing.assert_array_equal(gaussian.y, sphere.y)
    directions = gaussian.x / np.linalg.norm(gaussian.x, axis=1, keepdims=True)
    np.testing.assert_allclose(directions, sphere.x, rtol=1e-5)


def test_a_network_is_found_retrained_and_inspected_by_its_setting(crossed):
    root, table = crossed
    name, change = NetworkId(40, 20, 40, 1), AXES[1]
    [row] = of_setting(table, change).filter(**name._asdict()).iter_rows(named=True)
    config = sweep.stored_config(root)
    assert config == dataclasses.replace(BASE, settings=AXES)
    alone = sweep.retrain(name, config, **change)
    assert (alone.status.label, alone.steps) == (row["status"], row["steps"])
    with pytest.raises(UserError, match="The sweep has 4 settings; choose one by values") as told:
        sweep.retrain(name, config)
    assert_one_sentence(str(told.value))
    with pytest.raises(UserError, match="The sweep has no settings with learning_rate=0.5"):
        sweep.retrain(name, config, learning_rate=0.5)
    with pytest.raises(UserError, match="stores 2 networks with .*; choose one by its data_model or lear") as told:
        sweep.Store(root).network(name, learning_rate=0.01)
    assert_one_sentence(str(told.value))
    with pytest.raises(UserError, match="A setting has the fields data_model, epsilon, .* not depth"):
        sweep.Store(root).network(name, depth=3)
    text = sweep.describe_network(root, name)
    assert text.count("learning_rate") == 4 and text.count("shapes") == 4
    assert sweep.describe_network(root, name, **change).count("shapes") == 1
    listed = sweep.describe_run(root)
    assert "networks       32 of 32: " in listed and "data_model" in listed.splitlines()[5]


def test_a_network_is_exported_and_inspected_by_its_setting_from_the_command_line(crossed, tmp_path, lawjax):
    root, _ = crossed
    identity = [word for name, value in zip("ndk", (40, 10, 20), strict=True) for word in (f"--{name}", value)]
    status, _, errors = lawjax("export", root, tmp_path / "f.npz", *identity, "--seed", 1)
    assert status == 2 and "choose one by its data_model or learning_rate" in errors
    setting = ("--setting", "learning_rate=0.003", "data_model=sphere")
    assert lawjax("export", root, tmp_path / "f.npz", *identity, "--seed", 1, *setting)[0] == 0
    wanted = sweep.Store(root).network(NetworkId(40, 10, 20, 1), learning_rate=0.003, data_model="sphere")
    np.testing.assert_array_equal(TwoLayer.load(tmp_path / "f.npz").W, wanted.W)
    shown = lawjax("inspect", root, *identity, "--seed", 1, *setting)[1]
    assert "0.003" in shown and "0.01" not in shown


def test_brackets_measured_later_go_to_the_network_of_their_setting(tmp_path):
    config = SweepConfig(Grid((12,), (6,), (6,)), CONFIG.training, PROBES, settings=AXES)
    run(config, tmp_path, progress=False)
    table = sweep.bracket_run(tmp_path, progress=False)
    assert len(table) == 4 and table["upper_space"].n_unique() == 4
    for row in table.iter_rows(named=True):
        f = sweep.Store(tmp_path).network(NetworkId(12, 6, 6, 0), **{name: row[name] for name in CHOICES})
        assert row["upper_space"] == pytest.approx(certify(f).bound, rel=1e-12)


def test_fields_of_every_kind_are_axes(tmp_path):
    settings = sweep.Settings(
        (
            {"optimizer": "sgd", "learning_rate": 0.03, "optimizer_options": (("momentum", 0.9),)},
            {"batch_size": 20},
            {"activation": "tanh"},
            {"batch_norm": False},
            {"dtype": "float64"},
            {"data_model": ring},
            {},
        )
    )
    config = dataclasses.replace(BASE, grid=Grid((40,), (20,), (40,)), settings=settings)
    table = run(config, tmp_path, progress=False)
    assert len(table) == 7 and table["fitted"].sum() >= 6
    recorded = json.loads(sweep.Store(tmp_path).paths.config.read_text())["configuration"]["settings"]
    assert recorded[0]["optimizer_options"] == [["momentum", 0.9]] and recorded[5] == {"data_model": "test_axes.ring"}
    name = NetworkId(40, 20, 40, 0)
    assert sweep.Store(tmp_path).network(name, dtype="float64").W.dtype == np.float64
    assert sweep.Store(tmp_path).network(name, **settings[0]).W.dtype == np.float32
    assert sweep.Store(tmp_path).network(name, data_model=ring).W.shape == (40, 20)
    assert sweep.Store(tmp_path).network(name, activation="tanh").activation.name == "tanh"
    again = run(config, tmp_path, progress=False, observers=[lambda event: pytest.fail("trained again")])
    assert_frame_equal(again, table, check_exact=True)


def test_killed_between_any_two_writes_a_run_with_axes_goes_on_to_the_same_table(tmp_path, monkeypatch):
    on = dataclasses.replace(DEVICE, max_chunk=120, workers=1)
    config = dataclasses.replace(
        STUCK,
        grid=Grid((100,), (40,), (2, 100), 2),
        training=dataclasses.replace(STUCK.training, step_limit=1500),
        settings=axes(learning_rate=(0.01, 0.02)),
    )
    go = functools.partial(run, config, progress=False, on=on, checkpoint_seconds=0.0)
    whole = go(tmp_path / "whole")
    assert_same_tables(killed_until_done(lambda: go(tmp_path / "killed"), monkeypatch), whole)


def test_shards_divide_the_settings(tmp_path, tmp_path_factory, crossed):
    config = dataclasses.replace(BASE, settings=AXES)

    told = []

    def stop(event):
        told.append(event.what)
        if event.what == "measured" and "stored" in told:
            raise UserError("enough")

    with pytest.raises(UserError, match="enough"):
        run(config, tmp_path, (1, 2), progress=False, observers=(stop,))
    assert 0 < len(sweep.Store(tmp_path).table()) < len(crossed[1])
    both = run(config, tmp_path, (2, 2), progress=False)
    assert_same_tables(both, run(config, tmp_path_factory.mktemp("cut for two"), (1, 2), progress=False))
    ended = [*IDENTITY, *CHOICES, "status", "fitted"]
    assert_frame_equal(both.select(ended), crossed[1].select(ended))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: axes(learning_rate=0.1), "The axis learning_rate must be a list or tuple, not 0.1"),
        (lambda: axes(activation="relu"), "The axis activation must be a list or tuple"),
        (lambda: axes(epsilon=()), "The axis epsilon needs at least one value"),
        (lambda: dataclasses.replace(BASE, settings=axes(depth=(1, 2))), "settings change fields of .* not 'depth'"),
        (lambda: dataclasses.replace(BASE, settings=axes(n=(10, 20))), "settings change fields of .* not 'n'"),
        (lambda: dataclasses.replace(BASE, settings=axes(epsilon=(0.1, -1))), "epsilon must be a positive"),
        (lambda: dataclasses.replace(BASE, settings=axes(data_model=("cube",))), "data_model must be one of"),
        (lambda: dataclasses.replace(BASE, settings=axes(batch_size=(None, 41))), "batch_size is 41, but"),
        (lambda: dataclasses.replace(BASE, settings=(3,)), "settings change fields of .* not 3"),
        (lambda: dataclasses.replace(BASE, settings={"epsilon": 1}), "settings must be a list or tuple"),
    ],
)
def test_what_is_no_setting_is_refused_at_once(make, match):
    with pytest.raises(UserError, match=match) as caught:
        make()
    assert_one_sentence(str(caught.value))


def test_the_command_line_of_an_experiment_leaves_settings_and_takes_a_data_model_by_name(monkeypatch, capsys):
    asked = []

    def go(config, out, shard):
        asked.append(config)

    for settings in (sweep.Settings(), AXES):
        preset = dataclasses.replace(BASE, settings=settings)
        monkeypatch.setattr("sys.argv", ["experiment", "--stage", "run", "--data-model", "sphere", "--k", "5"])
        experiment({"laptop": preset}, go, lambda out: None, "runs/none", "None.")
        assert asked[-1] == dataclasses.replace(preset, data_model="sphere", grid=dataclasses.replace(GRID, k=(5,)))
    monkeypatch.setattr("sys.argv", ["experiment", "--data-model", "cube"])
    with pytest.raises(SystemExit):
        experiment({"laptop": BASE}, go, lambda out: None, "runs/none", "None.")
    assert "data_model must be one of gaussian, sphere" in capsys.readouterr().err
