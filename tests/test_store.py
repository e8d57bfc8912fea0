"""A run directory under hostile conditions: other runs, other writers, damaged files, full disks."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import small_sweep
from polars.testing import assert_frame_equal
from small_sweep import CONFIG, assert_one_sentence, assert_same_tables

from lawjax import UserError
from lawjax.errors import DamageWarning
from lawjax.sweep import BRACKETS, checkpoints, run, store
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.locks import locked
from lawjax.sweep.schema import IDENTITY, SCHEMA
from lawjax.sweep.store import Commit, Store
from lawjax.train import pack

NAME = NetworkId(40, 20, 20, 0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return small_sweep.finished(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def table(finished):
    return Store(finished).table()


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def refused(call, match):
    with pytest.raises(UserError, match=match) as caught:
        call()
    assert_one_sentence(str(caught.value))


# Tables and networks


def corruptions(content):
    rng = np.random.default_rng(0)
    yield from (b"", b"PAR1", b"not a table at all" * 10, content[: len(content) // 2], content[:-1], content[1:])
    for _ in range(8):
        yield content[: rng.integers(1, len(content))]
    at = len(content) - 200  # in the footer, which says where everything is
    yield content[:at] + bytes(rng.integers(0, 256, 50, dtype=np.uint8)) + content[at + 50 :]


def test_a_damaged_part_is_refused_by_name_and_can_be_trained_again(copy, table):
    [part] = Store(copy).paths.results.glob("*.parquet")
    content = part.read_bytes()
    for damaged in corruptions(content):
        part.write_bytes(damaged)
        refused(Store(copy).table, f"{part.name} is damaged")
    with pytest.warns(DamageWarning, match=f"{part.name} is damaged .*trained again"):
        assert_same_tables(run(CONFIG, copy, progress=False), table)
    assert (copy / "damaged" / f"results-{part.name}").exists()


def test_a_part_of_another_kind_is_refused(copy):
    [part] = Store(copy).paths.results.glob("*.parquet")
    pl.DataFrame({"x": [1.0]}).write_parquet(part)
    part.with_suffix(".sha256").unlink()  # as of an earlier lawjax, which wrote none
    refused(Store(copy).table, f"{part.name} cannot be read")


def test_what_is_not_a_part_is_left_alone(copy, table):
    (Store(copy).paths.results / "notes.txt").write_text("mine")
    (Store(copy).paths.results / "part-abc.tmp").write_text("half a table")
    assert_frame_equal(run(CONFIG, copy, progress=False), table, check_exact=True)
    assert (Store(copy).paths.results / "notes.txt").read_text() == "mine"


def test_an_empty_run_has_an_empty_table(tmp_path):
    empty = Store(tmp_path).table()
    assert empty.is_empty() and empty.schema == SCHEMA
    assert Store(tmp_path).network_parts(NAME) == []


def test_a_network_that_is_not_stored_is_named(finished):
    refused(lambda: Store(finished).network(NetworkId(40, 20, 21, 0)), "n=40, d=20, k=21, seed=0")


def test_damaged_networks_are_refused(copy):
    [part] = Store(copy).paths.networks.iterdir()
    shutil.rmtree(part)
    part.mkdir()
    refused(lambda: Store(copy).network(NAME), "part-.* is damaged .*run the same command again")
    next(copy.glob("results/*.sha256")).unlink()
    refused(lambda: Store(copy).network(NAME), "not a readable checkpoint")


def test_the_table_in_one_file_is_the_table(copy, table):
    store.write_table(copy / "table.parquet", Store(copy).table())
    assert_frame_equal(pl.read_parquet(copy / "table.parquet"), table, check_exact=True)
    refused(
        lambda: store.write_table(copy / "absent" / "table.parquet", Store(copy).table()),
        "cannot be written",
    )


# Any path that a file system allows

PATHS = ("exp[1]", "*", "?xp1", "~", "file:", "s3:", "a\\b", "n=3", "a b", "ü", "a\nb", "-x", "a\udcff")


@pytest.mark.parametrize("name", PATHS)
def test_a_run_is_read_wherever_it_is_and_no_other_for_it(finished, table, tmp_path, monkeypatch, name):
    """Beside it stand a run that its name would match as a pattern, and a folder that would take its writes."""
    other = shutil.copytree(finished, tmp_path / "exp1")
    [part] = Store(other).paths.part_names()
    store.write_table(Store(other).paths.part(part), table.with_columns(steps=pl.lit(-1, pl.Int64)))
    root = shutil.copytree(finished, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pack, "advance", lambda *_: pytest.fail("a finished run was trained again"))
    for place in (root, Path(name), Path(os.fsdecode(os.fsencode(name)))):
        assert_frame_equal(run(CONFIG, place, progress=False), table, check_exact=True)
        f = Store(place).network(NAME)
        assert np.array_equal(f.W, Store(finished).network(NAME).W)
        assert len(Store(place).networks(part)) == len(
            checkpoints.stored_networks(Store(place).paths.part_networks(part))
        )
        [row] = table.filter(**NAME._asdict()).iter_rows(named=True)
        Store(place).commit(Commit("abc-0000", [{**row, "seed": 99}], {NAME._replace(seed=99): f}, (np.ones(3),)))
        assert np.array_equal(Store(place).network(NAME._replace(seed=99)).W, f.W)
        [back] = checkpoints.load_arrays(Store(place).paths.snapshot("abc-0000"), (np.zeros(3),))
        assert back.tolist() == [1.0, 1.0, 1.0]
        Store(place).add_brackets("abc-0000", [{**NAME._replace(seed=99)._asdict(), **dict.fromkeys(BRACKETS, 7.0)}])
        assert Store(place).table().filter(seed=99)["upper_space"].to_list() == [7.0]
        store.write_table(Store(place).paths.table, table)
        assert_frame_equal(Store(place).whole_table(), table, check_exact=True)
        for made in ("part", "part_networks", "snapshot", "part_brackets"):
            made = getattr(Store(place).paths, made)("abc-0000")
            shutil.rmtree(made) if made.is_dir() else made.unlink()
    assert sorted(os.listdir()) == sorted(["exp1", name])


def test_a_run_is_made_and_continued_in_a_folder_of_any_name(table, tmp_path, monkeypatch):
    """Trained with a pack in flight stored at every look, stopped, and taken up again."""
    root = tmp_path / "runs [1]*?" / "a\\b"
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "save_networks", no_space)
        refused(lambda: run(CONFIG, root, checkpoint_seconds=0.0, progress=False), "Could not write")
    assert_same_tables(run(CONFIG, root, checkpoint_seconds=0.0, progress=False), table)
    assert np.array_equal(Store(root).network(NAME).W.shape, (20, 20))
    assert [path.name for path in (tmp_path / "runs [1]*?").iterdir()] == ["a\\b"]


def test_a_folder_of_rows_that_cannot_be_read_is_not_an_empty_one(copy):
    """Searched by a pattern it would be passed over, and everything trained again."""
    results = Store(copy).paths.results
    shutil.rmtree(results)
    results.write_text("a file")
    refused(Store(copy).table, "results cannot be read")


# What a killed process leaves


def test_what_was_not_committed_is_discarded_at_the_next_start(copy, table):
    """A kill before the rename leaves networks and a snapshot without their rows: they belong to nothing."""
    paths = Store(copy).paths
    [last] = paths.part_names()
    unit = last.split("-")[0]
    f = Store(copy).network(NAME)
    paths.part(last).unlink()
    for part in (f"{unit}-0007", f"{unit}-0000"):
        checkpoints.save_networks(paths.part_networks(part), {NAME: f})
        checkpoints.save_arrays(paths.snapshot(part), (np.ones(3),))
    half = paths.networks / f"part-{unit}-0008.orbax-checkpoint-tmp-12345"
    half.mkdir()
    (half / "data").write_text("half")
    other = paths.networks / "part-0123456789ab-0000"  # of another shard, which may be about to commit it
    checkpoints.save_networks(other, {NAME: f})
    assert Store(copy).network_parts(NAME) == [] and Store(copy).table().is_empty()
    again = run(CONFIG, copy, progress=False)
    assert_same_tables(again, table)
    assert {path.name for path in paths.networks.iterdir()} == {f"part-{last}", other.name}
    assert not list(paths.in_flight.iterdir())
    assert np.array_equal(Store(copy).network(NAME).W, f.W)


def test_a_stale_snapshot_of_a_finished_unit_is_discarded(copy, table, monkeypatch):
    monkeypatch.setattr(pack, "advance", lambda *_: pytest.fail("a finished run was trained again"))
    paths = Store(copy).paths
    [last] = paths.part_names()
    os.rename(paths.part(last), paths.part(f"{last[:-4]}0001"))
    os.rename(paths.part_networks(last), paths.part_networks(f"{last[:-4]}0001"))
    checkpoints.save_arrays(paths.snapshot(last), (np.ones(3),))
    assert_frame_equal(run(CONFIG, copy, progress=False), table, check_exact=True)
    assert not list(paths.in_flight.iterdir())
    assert np.array_equal(Store(copy).network(NAME).W.shape, (20, 20))


def test_a_damaged_checkpoint_costs_its_own_networks_alone(copy, table):
    paths = Store(copy).paths
    [part] = paths.part_names()
    other = NAME._replace(seed=99)
    rows = [{**row, "seed": 99} for row in table.filter(**NAME._asdict()).iter_rows(named=True)]
    Store(copy).commit(Commit("abc-0000", rows, {other: Store(copy).network(NAME)}))
    for path in paths.part_networks(part).rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    refused(lambda: Store(copy).network(NAME), "part-.* is damaged .*run the same command again")
    assert Store(copy).network(other).W.shape == (20, 20)
    checkpoints.remove([paths.part_networks(part)])
    paths.part(part).unlink()
    run(CONFIG, copy, progress=False)
    assert_same_tables(Store(copy).table().filter(pl.col("seed") != 99), table)
    assert Store(copy).network(NAME).W.shape == (20, 20)


# Disks that fail


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("failing", ["networks", "snapshot", "rows", "rename"])
def test_a_commit_that_fails_leaves_what_was_stored(copy, table, monkeypatch, failing):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    f = Store(copy).network(NAME)
    rows = [{**row, "seed": 99} for row in table.filter(**NAME._asdict()).iter_rows(named=True)]
    [first] = Store(copy).paths.part_names()
    with monkeypatch.context() as patched:
        if failing in ("networks", "snapshot"):
            save = checkpoints.ocp.save
            only = "networks" if failing == "networks" else "in_flight"
            patched.setattr(
                checkpoints.ocp,
                "save",
                lambda path, *rest, **options: no_space() if only in path.parts else save(path, *rest, **options),
            )
        elif failing == "rows":
            patched.setattr(pl.DataFrame, "write_parquet", no_space)
        else:
            link = os.link
            patched.setattr(os, "link", lambda a, b: no_space() if str(b).endswith("parquet") else link(a, b))
            replace = os.replace
            patched.setattr(os, "replace", lambda a, b: no_space() if str(b).endswith("parquet") else replace(a, b))
        refused(
            lambda: Store(copy).commit(Commit("abc-0000", rows, {NAME._replace(seed=99): f}, (np.ones(3),), first)),
            "Could not write to .*No space left on device.*what was stored before is kept",
        )
    assert_frame_equal(Store(copy).table(), table, check_exact=True)
    assert {path: path.read_bytes() for path in before} == before
    assert Store(copy).network_parts(NAME._replace(seed=99)) == []
    Store(copy).commit(Commit("abc-0000", rows, {NAME._replace(seed=99): f}, (np.ones(3),)))  # room was made
    assert len(Store(copy).table()) == len(table) + len(rows)
    assert np.array_equal(Store(copy).network(NAME._replace(seed=99)).W, f.W)


def test_a_run_that_runs_out_of_space_says_so_and_goes_on_once_there_is_room(tmp_path, table, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(pl.DataFrame, "write_parquet", no_space)
        refused(lambda: run(CONFIG, tmp_path, progress=False), "No space left on device")
    assert Store(tmp_path).table().is_empty()
    assert_same_tables(run(CONFIG, tmp_path, progress=False), table)


FULL_DISK = """
set -e
mount -t tmpfs -o size=200k tmpfs "$1"
cd "$2"
echo "$3 $4"
"$3" "$4" "$1/run" "$2/log" 0.05 1/1 && exit 99
test $? -eq 2
mount -o remount,size=50m "$1"
"$3" "$4" "$1/run" "$2/log" 0.05 1/1
cp -r "$1/run" "$2/run"
"""


@pytest.mark.slow
def test_a_disk_that_is_really_full(tmp_path):
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("needs Linux's unshare")
    mine = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    (tmp_path / "disk").mkdir()
    trial = subprocess.run([*mine, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "disk")], capture_output=True)
    if trial.returncode:
        pytest.skip("may not mount a file system of its own")
    command = [*mine, "sh", "-c", FULL_DISK, "sh", str(tmp_path / "disk"), str(tmp_path)]
    done = subprocess.run(
        [*command, sys.executable, small_sweep.__file__],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    assert_one_sentence(done.stderr.strip())
    assert "Could not write to" in done.stderr
    assert [NetworkId(*row) for row in Store(tmp_path / "run").table().select(IDENTITY).iter_rows()] == (
        small_sweep.STUCK.grid.networks()
    )


# Other writers, other files


def test_reading_needs_no_lock(finished, table):
    with locked(Store(finished).paths.lock):
        assert_frame_equal(Store(finished).table(), table, check_exact=True)


def test_a_file_where_the_directory_should_be_is_refused(tmp_path):
    (tmp_path / "run").write_text("mine")
    refused(lambda: run(CONFIG, tmp_path / "run", progress=False), "cannot be used as a run directory")
    refused(lambda: run(CONFIG, tmp_path / "run" / "below", progress=False), "cannot be used as a run directory")
    assert (tmp_path / "run").read_text() == "mine"


def test_a_directory_that_may_not_be_written_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o500)
    if os.access(tmp_path / "run", os.W_OK):
        pytest.skip("this user may write everywhere")
    refused(lambda: run(CONFIG, tmp_path / "run", progress=False), "cannot be used as a run directory")
    (tmp_path / "run").chmod(0o700)
