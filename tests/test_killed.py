"""Sweeps stopped, killed and split: the same table however often."""

import _thread
import dataclasses
import math
import shutil
import signal
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import small_sweep
from hypothesis import strategies as st
from killed_sweeps import Disk, Killed
from polars.testing import assert_frame_equal
from small_sweep import (
    CONFIG,
    DEVICE,
    STUCK,
    TRAINING,
    assert_asked,
    assert_same_tables,
    identities,
    trained_again,
)

from lawjax.errors import Stopped
from lawjax.sweep import (
    checkpoints,
    run,
)
from lawjax.sweep.devices import CPU
from lawjax.sweep.grid import Grid
from lawjax.sweep.plan import plan
from lawjax.sweep.store import Store

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=4).map(tuple)


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
    before: dict[Path, tuple[int, bytes]] = {}
    kills = 0
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
    in_flight: list[bool] = []
    before: dict[Path, tuple[int, bytes]] = {}
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stores_what_is_in_training_and_says_so_in_one_sentence(whole, number):
    folder, expected = whole
    root, log = folder / f"stopped-{number}", folder / f"stopped-{number}.log"
    process = small_sweep.start(root, log, checkpoint_seconds=60)  # so nothing but Ctrl-C stores a pack in flight
    deadline = time.monotonic() + 120
    while not (log.exists() and "advance" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    errors = small_sweep.finish(process, status=128 + number)
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
        assert stored.wait(5.0) == (times == 1)  # after the second one the work is no longer this process's
    finally:
        signal.signal(signal.SIGINT, handler)
    assert (stopped.type is Stopped) == (times == 1)
    assert bool(list(Store(tmp_path).paths.in_flight.glob("part-*"))) == (times == 1)


@pytest.mark.slow
def test_a_hundred_random_signals_cost_time_alone(whole):
    """In the import, the compilation, the training, between networks, while something is stored: whenever it comes."""
    folder, expected = whole
    random, root, log = np.random.default_rng(0), folder / "hundred", folder / "hundred.log"
    numbers = [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]
    ended: dict[int, int] = {}
    for round_ in range(200):
        process = small_sweep.start(root, log, checkpoint_seconds=float(random.choice([0.02, 1.0, 25.0])))
        began = time.monotonic()
        if round_ % 2:
            moment = random.uniform(0.0, 6.0)  # from the start of the process
        else:
            wait_for_commits(process, root, int(random.integers(1, 4))) if random.random() < 0.5 else None
            moment = time.monotonic() - began + random.uniform(0.0, 0.3)
        while time.monotonic() - began < moment and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(number := random.choice(numbers))
        _, errors = process.communicate(timeout=240)
        status = process.returncode
        ended[status] = ended.get(status, 0) + 1
        assert status in (0, -number, 128 + number), errors
        assert "Traceback" not in errors or "/lawjax/" not in errors, errors  # but before lawjax was imported
        found = identities(Store(root).table()) if (root / "config.json").exists() else []
        assert len(set(found)) == len(found)
        if sum(count for status, count in ended.items() if status) == 100:
            break
        if status == 0:  # it was done: once more from the beginning
            assert_same_tables(Store(root).table(), expected)
            shutil.rmtree(root)
    print(f"ended with {ended}")
    small_sweep.finish(small_sweep.start(root, log, checkpoint_seconds=60))
    assert_same_tables(Store(root).table(), expected)


# Shards


def test_one_of_two_shards_is_the_whole_table(tmp_path):
    # With compiling for free, every (n, widths) is a unit of its own, so that both shards have some.
    free = dataclasses.replace(CPU, compile_time=0.0)
    assert len(plan(CONFIG.grid.networks(), CONFIG.training, free)) >= 2
    whole = run(CONFIG, tmp_path / "whole", (1, 2), progress=False, on=free)  # cut for two, too
    both = run(CONFIG, tmp_path / "shards", (2, 2), progress=False, on=free)  # alone, it does the other's share, too
    assert_asked(both, CONFIG)
    assert_same_tables(both, whole)
    again = run(CONFIG, tmp_path / "shards", progress=False, on=free, observers=(trained_again,))
    assert_frame_equal(again, both, check_exact=True)


def test_two_shards_at_once_are_the_whole_table(whole):
    folder, _ = whole
    small_sweep.finish(small_sweep.start(folder / "cut for two", folder / "cut.log", shard="1/2"))
    expected, root = Store(folder / "cut for two").table(), folder / "shards"
    both = [small_sweep.start(root, folder / f"shard-{i}.log", shard=f"{i}/2") for i in (1, 2)]
    for process in both:
        assert small_sweep.finish(process) == ""
    assert_same_tables(Store(root).table(), expected)
    began = [(folder / name).read_text().split().count("began") for name in ("cut.log", "shard-1.log", "shard-2.log")]
    assert began[0] == began[1] + began[2] >= 2  # each unit once, by whoever came first
