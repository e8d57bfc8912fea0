"""Bits that flip on the disk: the table is made whole again, and what was damaged is named."""

import dataclasses
import shutil
import warnings

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from small_sweep import DEVICE, PROBES, TRAINING

from lawjax import UserError, checksums
from lawjax.errors import DamageWarning
from lawjax.sweep import SweepConfig, bracket_run, run, run_jobs
from lawjax.sweep.grid import Grid
from lawjax.sweep.jobs import job_table
from lawjax.sweep.store import Store, write_table

ON = dataclasses.replace(DEVICE, max_chunk=50, workers=1)
CONFIG = SweepConfig(
    Grid((30,), (10,), (2, 30), seeds=2),
    dataclasses.replace(TRAINING, step_limit=400),
    dataclasses.replace(PROBES, brackets=False),
)
KINDS = ("config", "part", "checksums", "networks", "in flight", "brackets", "row")


def go_on(root, **options):
    return run(CONFIG, root, progress=False, on=ON, **options)


class Stop(UserError):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run, one with brackets, one with a pack in flight and rows, and one of jobs; and the whole table."""
    folder = tmp_path_factory.mktemp("rot")
    table = go_on(folder / "finished")
    shutil.copytree(folder / "finished", folder / "bracketed")
    bracket_run(folder / "bracketed", progress=False)
    stored = []

    def stop(event):
        stored.append(event.what)
        if event.what == "advanced" and "measured" in stored and stored[-2] == "stored":
            raise Stop

    with pytest.raises(Stop):
        go_on(folder / "stopped", checkpoint_seconds=0.0, observers=(stop,))
    assert (
        list(Store(folder / "stopped").paths.in_flight.iterdir()) and not Store(folder / "stopped").table().is_empty()
    )
    run_jobs(folder / "jobs", {"a": 1}, [Job(1), Job(2)], lambda job: {"x": job.n / 3}, progress=False)
    return folder, table


@dataclasses.dataclass(frozen=True)
class Job:
    n: int


def files_of(kind, folder):
    """A run, and its stored files of a kind."""
    root = folder / {"in flight": "stopped", "brackets": "bracketed", "row": "jobs"}.get(kind, "finished")
    paths = Store(root).paths
    found = {
        "config": [paths.config, paths.config_copy],
        "part": paths.results.glob("*.parquet"),
        "checksums": paths.results.glob("*.sha256"),
        "networks": (path for path in paths.networks.rglob("*") if path.is_file()),
        "in flight": (path for path in paths.in_flight.rglob("*") if path.is_file()),
        "brackets": paths.brackets.iterdir(),
        "row": paths.rows(),
    }[kind]
    return root, sorted(path for path in found if path.stat().st_size)


def flipped(path, random):
    content = bytearray(path.read_bytes())
    content[random.integers(len(content))] ^= 1 << int(random.integers(8))
    path.write_bytes(content)


def mended(kind, root):
    """The table after a flip, made by the commands that make it; warnings are noted."""
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        if kind == "row":
            run_jobs(root, {"a": 1}, [Job(1), Job(2)], lambda job: {"x": job.n / 3}, progress=False)
            found = job_table(root, ["n"])
        else:
            found = go_on(root)
            if kind == "brackets":
                found = bracket_run(root, progress=False)
    assert {one.category for one in noted} <= {DamageWarning}
    return found, [str(one.message) for one in noted]


def check_flip(kind, folder, tmp_path, seed):
    random = np.random.default_rng(seed)
    root, files = files_of(kind, folder)
    expected = {
        "row": lambda: pl.DataFrame({"n": [1, 2], "x": [1 / 3, 2 / 3]}),
        "brackets": lambda: Store(root).table(),
    }.get(kind, lambda: Store(folder / "finished").table())()
    copy = shutil.copytree(root, tmp_path / f"{kind}-{seed}".replace(" ", "-"))
    path = copy / files[random.integers(len(files))].relative_to(root)
    before = path.read_bytes()
    flipped(path, random)
    found, said = mended(kind, copy)
    if kind == "row":
        assert found.equals(expected)
    else:
        assert_frame_equal(
            found.drop("seconds"), expected.drop("seconds"), rel_tol=1e-4
        )  # others may stand beside them
        for name in CONFIG.grid.networks():
            assert np.isfinite(Store(copy).network(name).W).all()
    quiet = path.exists() and path.read_bytes() == before  # put right without a word: a copy, or a seal that was lost
    assert said or quiet, f"{path} was damaged, and nobody said so"
    shutil.rmtree(copy)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_named_and_mended(runs, tmp_path, kind):
    for seed in range(1 if kind == "brackets" else 2):
        check_flip(kind, runs[0], tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_five_hundred_flipped_bits_are_named_and_mended(runs, tmp_path, kind):
    for seed in range(2, 74):
        check_flip(kind, runs[0], tmp_path, seed)


def test_the_checksums_of_a_run_are_those_of_sha256sum(runs):
    folder, _ = runs
    paths = Store(folder / "finished").paths
    [listed] = paths.results.glob("*.sha256")
    covered = checksums.stored(listed, paths.root)
    assert set(covered) == {*paths.results.glob("*.parquet"), *(p for p in paths.networks.rglob("*") if p.is_file())}
    assert all(checksums.digest(path.read_bytes()) in allowed for path, allowed in covered.items())


def test_a_table_in_one_file_is_checked_as_well(runs, tmp_path):
    _, table = runs
    root = tmp_path / "run"
    Store(root).open({"a": 1})
    write_table(Store(root).paths.table, table)
    flipped(Store(root).paths.table, np.random.default_rng(0))
    with pytest.raises(UserError, match=r"table.parquet cannot be read \(its checksum differs\)"):
        Store(root).whole_table()


def test_a_kill_between_a_file_and_its_checksum_leaves_both_valid(tmp_path, monkeypatch):
    path = tmp_path / "table.parquet"
    write_table(path, pl.DataFrame({"x": [1]}))
    write = checksums.files.write
    for number in range(3):
        calls: list[tuple] = []

        def killed(*arguments, calls=calls, number=number, **options):
            if len(calls) == number:
                raise Stop
            calls.append(arguments)
            return write(*arguments, **options)

        with monkeypatch.context() as patched, pytest.raises(Stop):
            patched.setattr(checksums.files, "write", killed)
            write_table(path, pl.DataFrame({"x": [number + 2]}))
        assert checksums.check(path, checksums.stored(checksums.beside_of(path), tmp_path)[path]) == path.read_bytes()


def test_a_configuration_that_is_gone_is_an_error_and_one_that_is_damaged_is_read_from_its_copy(runs, tmp_path):
    root = shutil.copytree(runs[0] / "finished", tmp_path / "run")
    paths = Store(root).paths
    text = paths.config.read_text()
    paths.config.unlink()
    with pytest.raises(UserError, match=r"has results but no config.json.*copy config.copy.json there"):
        go_on(root)
    paths.config.write_text(text.replace("30", "31"))
    with pytest.warns(DamageWarning, match=r"config.json is damaged \(its checksum differs\); its copy is read"):
        go_on(root)
    assert paths.config.read_text() == text
    paths.config.write_text("{")
    paths.config_copy.write_text("[]")
    with pytest.raises(UserError, match="cannot be read as a run's configuration"):
        go_on(root)
    assert paths.config.read_text() == "{"
