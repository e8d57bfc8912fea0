"""Runs that are extended: a configuration that asks for all of the stored one, and more, goes on in its directory."""

import dataclasses
import functools
import json

import numpy as np
import polars as pl
import pytest
from killed_sweeps import killed_until_done
from polars.testing import assert_frame_equal
from small_sweep import CONFIG, DEVICE, STUCK, assert_one_sentence, assert_same_tables

from lawjax import UserError, sweep
from lawjax.sweep import CapacityGrid, Grid, SweepConfig, WidthRuleGrid, axes, run

PROBES = dataclasses.replace(CONFIG.probes, points=20, brackets=False)
BASE = SweepConfig(Grid((40,), (20,), (20, 40), seeds=2), CONFIG.training, PROBES)
KEYS = ["n", "d", "k", "seed", "learning_rate"]


def with_grid(base=BASE, **changes):
    return dataclasses.replace(base, grid=dataclasses.replace(base.grid, **changes))


def least(network, dataset):
    return {"least": (dataset.y * network(dataset.x)).min()}


LARGER = {
    "seeds": with_grid(seeds=3),
    "sizes": with_grid(n=(40, 60), d=(10, 20), k=(10, 20, 40)),
    "axis": dataclasses.replace(BASE, settings=axes(learning_rate=(0.02, 0.01))),
    "axis and seeds": with_grid(dataclasses.replace(BASE, settings=axes(learning_rate=(0.01, 0.02))), seeds=3),
    "grid of another kind": dataclasses.replace(BASE, grid=CapacityGrid((20, 40), (2,), (5.0, 10.0, 20.0), 2)),
}


@pytest.mark.parametrize("how", LARGER)
def test_an_extended_run_keeps_what_it_had_and_is_the_run_of_the_whole(tmp_path, how):
    larger = LARGER[how]
    double = lambda config: dataclasses.replace(config, training=dataclasses.replace(config.training, dtype="float64"))  # noqa: E731
    first = run(double(BASE), tmp_path / "run", probes={"least": least}, progress=False)
    table = run(double(larger), tmp_path / "run", probes={"least": least}, progress=False)
    assert_frame_equal(table.join(first, on=KEYS, how="semi"), first, check_exact=True)
    whole = run(double(larger), tmp_path / "whole", probes={"least": least}, progress=False)
    assert_frame_equal(table.drop("seconds"), whole.drop("seconds"), rel_tol=1e-6)  # rounding differs with the packs
    assert table["steps"].equals(whole["steps"])
    again = run(double(larger), tmp_path / "run", probes={"least": least}, progress=False, observers=[trained_again])
    assert_frame_equal(again, table, check_exact=True)


def trained_again(event):
    pytest.fail(f"What is finished was taken up again: {event.what}.")


def test_what_a_run_was_is_kept_in_its_configuration(tmp_path):
    run(BASE, tmp_path, progress=False)
    for config in (with_grid(seeds=3), with_grid(seeds=4), with_grid(seeds=4)):
        run(config, tmp_path, progress=False)
    record = json.loads(sweep.Store(tmp_path).paths.config.read_text())
    assert [stage["configuration"]["grid"]["seeds"] for stage in record["earlier"]] == [2, 3]
    assert all(stage["environment"]["versions"] for stage in record["earlier"])
    assert record["configuration"] == sweep.as_record(with_grid(seeds=4))
    assert sweep.stored_config(tmp_path) == with_grid(seeds=4)
    text = sweep.describe_run(tmp_path)
    assert text.count("\nextended from  ") == 2 and "networks       8 of 8" in text


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (BASE, "seeds is 3 there, 2 here"),
        (with_grid(k=(20, 40, 60), seeds=2), r"k is \[20, 40\] there"),
        (
            with_grid(dataclasses.replace(BASE, data_model="sphere"), seeds=4),
            "data_model is gaussian there, sphere here",
        ),
        (
            with_grid(dataclasses.replace(BASE, probes=dataclasses.replace(PROBES, points=21)), seeds=4),
            "points is 20 there, 21 here",
        ),
        (
            with_grid(dataclasses.replace(BASE, training=dataclasses.replace(BASE.training, epsilon=0.1)), seeds=4),
            "epsilon is 0.05 there, 0.1 here",
        ),
        (with_grid(dataclasses.replace(BASE, keep_networks=False), seeds=4), "keep_networks is True there, False here"),
        (
            dataclasses.replace(with_grid(seeds=3), settings=axes(learning_rate=(0.02, 0.03))),
            r"settings is None there, \[",
        ),
        (dataclasses.replace(BASE, grid=WidthRuleGrid(40, (10,), 3)), r"n is \[40\] there, 40 here"),
    ],
)
def test_what_does_not_hold_all_of_the_run_is_refused(tmp_path, other, match):
    store = sweep.Store(tmp_path)
    store.open(sweep.as_record(with_grid(seeds=3)))
    before = store.paths.config.read_bytes()
    with pytest.raises(UserError, match=f"holds a run of another configuration .*{match}") as caught:
        run(other, tmp_path, progress=False)
    assert_one_sentence(str(caught.value))
    assert store.paths.config.read_bytes() == before


def test_killed_before_and_after_it_was_extended_a_run_goes_on_to_the_same_table(tmp_path, monkeypatch):
    """What was in training when the run was extended goes on from where it was."""
    on = dataclasses.replace(DEVICE, max_chunk=120, workers=1)
    training = dataclasses.replace(STUCK.training, step_limit=1500)
    small = dataclasses.replace(STUCK, grid=Grid((100,), (40,), (2, 100), 2), training=training)
    large = with_grid(dataclasses.replace(small, settings=axes(learning_rate=(0.01, 0.02))), seeds=3)
    go = functools.partial(run, progress=False, on=on, checkpoint_seconds=0.0)
    go(small, tmp_path / "whole")
    whole = go(large, tmp_path / "whole")
    events = []
    killed_until_done(lambda: go(small, tmp_path / "killed"), monkeypatch, kills=1)
    assert list(sweep.Store(tmp_path / "killed").paths.in_flight.iterdir())
    table = killed_until_done(
        lambda: go(large, tmp_path / "killed", observers=[lambda event: events.append(event.what)]), monkeypatch
    )
    assert "restored" in events
    assert_same_tables(table, whole)
    assert not list(sweep.Store(tmp_path / "killed").paths.in_flight.iterdir())


def test_shards_extend_a_run_together(tmp_path):
    larger = with_grid(dataclasses.replace(BASE, settings=axes(learning_rate=(0.01, 0.02, 0.005))), seeds=3)
    for config in (BASE, larger):
        for shard in ((2, 2), (1, 2)):
            table = run(config, tmp_path, shard, progress=False)
    assert len(table) == len(table.select(KEYS).unique()) == 3 * len(larger.grid.networks())
    assert len(json.loads(sweep.Store(tmp_path).paths.config.read_text())["earlier"]) == 1


def test_a_run_of_an_earlier_lawjax_is_extended_too(tmp_path):
    """Its configuration has neither settings nor columns of probes."""
    first = run(BASE, tmp_path, progress=False)
    stored = json.loads(sweep.Store(tmp_path).paths.config.read_text())
    assert set(stored["configuration"]) == {"grid", "training", "probes", "data_model", "keep_networks"}
    assert set(stored) == {"schema", "configuration", "environment", "planned_for", "sha256"}
    sweep.Store(tmp_path).paths.config_copy.unlink()
    earlier = {name: stored[name] for name in ("schema", "configuration", "environment")}
    sweep.Store(tmp_path).paths.config.write_text(json.dumps(earlier))
    for path in sweep.Store(tmp_path).paths.results.glob("*.sha256"):
        path.unlink()
    table = run(with_grid(seeds=3), tmp_path, progress=False)
    assert len(table) == 6 and np.array_equal(table.filter(pl.col("seed") < 2)["proxy"], first["proxy"])
