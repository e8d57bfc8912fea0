"""Stored configurations: others are refused by the field that differs, damaged and foreign ones in one sentence."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import small_sweep
from small_sweep import CONFIG, PROBES, assert_one_sentence, identities

from lawjax import UserError
from lawjax.sweep import as_record, describe_run, run, store, stored_config
from lawjax.sweep.grid import Grid, WidthRuleGrid
from lawjax.sweep.schema import SCHEMA
from lawjax.sweep.store import Store


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return small_sweep.finished(tmp_path_factory.getbasetemp())


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def refused(call, match):
    with pytest.raises(UserError, match=match) as caught:
        call()
    assert_one_sentence(str(caught.value))


def changed(**changes):
    return dataclasses.replace(CONFIG, **changes)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (changed(training=dataclasses.replace(CONFIG.training, epsilon=0.1)), "epsilon is 0.05 there, 0.1 here"),
        (changed(training=dataclasses.replace(CONFIG.training, batch_size=20)), "batch_size is None there, 20 here"),
        (changed(training=dataclasses.replace(CONFIG.training, optimizer="sgd")), "optimizer is adam there, sgd here"),
        (changed(training=dataclasses.replace(CONFIG.training, dtype="float64")), "dtype is float32 there"),
        (changed(probes=dataclasses.replace(PROBES, points=300)), "points is 200 there, 300 here"),
        (changed(grid=dataclasses.replace(CONFIG.grid, seeds=1)), "seeds is 2 there, 1 here"),
        (changed(grid=Grid((40,), (20,), (2, 20, 40), 2)), r"\(n is \[40, 60\] there, \[40\] here"),
        (changed(grid=WidthRuleGrid(40, (20,), 2)), r"\(n is \[40, 60\] there, 40 here"),
        (changed(data_model="sphere"), "data_model is gaussian there, sphere here"),
        (changed(keep_networks=False), "keep_networks is True there, False here"),
    ],
)
def test_another_configuration_is_refused_by_the_field_that_differs(copy, config, field):
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*.parquet")}
    refused(lambda: run(config, copy, progress=False), field)
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*.parquet")} == before


def test_a_configuration_survives_json(finished):
    assert Store(finished).read_config()["configuration"] == as_record(CONFIG)


RESULTS = Path(__file__).parent.parent / "results"


@pytest.mark.parametrize("name", ["capacity", "experiment1", "experiment2", "experiment2-laptop"])
def test_published_runs_are_read_as_they_were_written(name):
    """The format on disk stays: their configurations come back and would be written so again, and so their tables."""
    root = RESULTS / name
    configuration = Store(root).read_config()["configuration"]
    assert as_record(stored_config(root)) == configuration
    table = Store(root).whole_table()
    assert table.schema == SCHEMA
    assert identities(table) == stored_config(root).grid.networks()
    assert f"{len(table)} rows in table.parquet" in describe_run(root)


GARBAGE: dict[str, str | bytes] = {
    "no JSON": "{",
    "empty": "",
    "no text": b"\xff\xfe\x00",
    "a list": "[]",
    "a number": "3",
    "no schema": '{"configuration": {}}',
    "no configuration": json.dumps({"schema": store.SCHEMA_VERSION, "environment": {}}),
    "no environment": json.dumps({"schema": store.SCHEMA_VERSION, "configuration": {}}),
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_an_unreadable_configuration_is_refused(tmp_path, garbage):
    content = GARBAGE[garbage]
    (tmp_path / "config.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(Store(tmp_path).read_config, "config.json cannot be read as a run's configuration")
    refused(lambda: run(CONFIG, tmp_path, progress=False), "config.json cannot be read as a run's configuration")


def test_a_folder_in_place_of_the_configuration_is_refused(tmp_path):
    (tmp_path / "config.json").mkdir()
    refused(Store(tmp_path).read_config, "config.json cannot be read as a run's configuration")


def test_another_schema_is_refused(copy):
    path = Store(copy).paths.config
    record = json.loads(path.read_text()) | {"schema": store.SCHEMA_VERSION + 1}
    record.pop("sha256")
    Store(copy).paths.config_copy.unlink()
    path.write_text(json.dumps(record))
    refused(lambda: run(CONFIG, copy, progress=False), f"schema {store.SCHEMA_VERSION + 1}")


def test_a_folder_without_configuration_is_no_run_directory(tmp_path):
    refused(Store(tmp_path).read_config, "is no run directory: it has no config.json")
    refused(Store(tmp_path / "absent").read_config, "is no run directory: it has no config.json")
