"""Rows of independent jobs: stored one by one, resumed, refused in a run of another configuration; their scripts."""

import dataclasses
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from lawjax import UserError, fits
from lawjax.errors import DamageWarning, Stopped
from lawjax.sweep.grid import CapacityGrid, NetworkId
from lawjax.sweep.inspect import describe_run
from lawjax.sweep.jobs import job_table, run_jobs

EXPERIMENTS = Path(__file__).parent.parent / "experiments"


@dataclasses.dataclass(frozen=True)
class Job:
    kind: str
    n: int


JOBS = [Job(kind, n) for kind in ("one", "an other") for n in (10, 2)]


def test_every_job_has_a_row_in_order(tmp_path):
    run_jobs(tmp_path, {"a": 1}, JOBS, lambda job: {"square": job.n**2, "none": None}, progress=False)
    table = job_table(tmp_path, ("kind", "n"))
    assert table.select("kind", "n").rows() == [("an other", 2), ("an other", 10), ("one", 2), ("one", 10)]
    assert table["square"].to_list() == [4, 100, 4, 100]


def test_a_job_may_have_several_rows(tmp_path):
    run_jobs(tmp_path, {"a": 1}, JOBS, lambda job: [{"i": i} for i in range(job.n)], progress=False)
    table = job_table(tmp_path, ("kind", "n", "i"))
    assert len(table) == 24
    assert table.filter(kind="one", n=2)["i"].to_list() == [0, 1]


def test_a_run_goes_on_where_it_was_stopped(tmp_path):
    """What is stored is not measured again; shards do the rest between them."""
    calls = []

    def measure(job):
        calls.append(job)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return {"square": job.n**2}

    with pytest.raises(KeyboardInterrupt):
        run_jobs(tmp_path, {"a": 1}, JOBS, measure, progress=False)
    assert len(job_table(tmp_path, ("kind", "n"))) == 2
    for shard in ((2, 2), (1, 2)):
        run_jobs(tmp_path, {"a": 1}, JOBS, measure, shard, progress=False)
    assert len(calls) == 5
    assert len(job_table(tmp_path, ("kind", "n"))) == 4


def test_going_on_is_promised_only_where_something_was_stored(tmp_path):
    def run_until(stored):
        def measure(job):
            if len(list(tmp_path.glob("results/*"))) == stored:
                raise KeyboardInterrupt
            return {}

        with pytest.raises(KeyboardInterrupt) as stopped:
            run_jobs(tmp_path, {"a": 1}, JOBS, measure, progress=False)
        return stopped.type

    assert [run_until(stored) for stored in (0, 1, 3)] == [KeyboardInterrupt, Stopped, Stopped]


def test_jobs_measure_under_settled_numbers(tmp_path):
    """What a job draws hangs on its key alone."""

    def measure(job):
        return {"drawn": float(jax.random.normal(jax.random.key(job.n)))}

    run_jobs(tmp_path / "usual", {"a": 1}, JOBS, measure, progress=False)
    with jax.enable_x64(True), jax.threefry_partitionable(False):
        run_jobs(tmp_path / "other", {"a": 1}, JOBS, measure, progress=False)
    tables = [job_table(tmp_path / name, ("kind", "n")) for name in ("usual", "other")]
    assert tables[0].equals(tables[1])


def test_inspect_counts_the_jobs_that_are_done(tmp_path):
    def measure(job):
        if job.kind != "one":
            raise KeyboardInterrupt
        return [{"i": i} for i in range(job.n)]

    def stop(job):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(tmp_path, {"a": 1}, JOBS, stop, progress=False)
    assert "\njobs           0 of 4 stored here" in describe_run(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_jobs(tmp_path, {"a": 1}, JOBS, measure, progress=False)
    text = describe_run(tmp_path, rows=5)
    assert "\njobs           2 of 4 stored here\n" in text and "... and 7 more; --rows 12 shows all" in text
    assert len([line for line in text.splitlines() if line.startswith("│ one")]) == 5


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UserError, match="no run directory"):
        job_table(tmp_path, ("n",))
    run_jobs(tmp_path, {"a": 1}, [], lambda job: {}, progress=False)
    with pytest.raises(UserError, match="no rows"):
        job_table(tmp_path, ("n",))
    with pytest.raises(UserError, match="another configuration"):
        run_jobs(tmp_path, {"a": 2}, JOBS, lambda job: {}, progress=False)
    run_jobs(tmp_path, {"a": 1}, JOBS, lambda job: {}, progress=False)
    [path, *_] = sorted((tmp_path / "results").glob("row-*.json"))
    whole = path.read_text()
    for damaged in ("{", '{"n": 1}', "3", whole.replace("10", "11")):
        path.write_text(damaged)
        with pytest.raises(UserError, match=f"{path.name} cannot be read as a row"):
            job_table(tmp_path, ("n",))
        with pytest.warns(DamageWarning, match=f"{path.name} is damaged"):
            run_jobs(tmp_path, {"a": 1}, JOBS, lambda job: {}, progress=False)
        assert path.read_text() == whole and len(job_table(tmp_path, ("n",))) == 4


@pytest.mark.parametrize(
    ("name", "kind", "changes", "words"),
    [
        ("frontier", "Frontiers", {"ratios": (0,)}, "ratios"),
        ("frontier", "Frontiers", {"sizes": ((100, 0),)}, "sizes"),
        ("frontier", "Frontiers", {"fits": ("foo",)}, "'foo'"),
        ("frontier", "Frontiers", {"fits": ("0",)}, "'0'"),
        ("frontier", "Frontiers", {"models": ("x",)}, "clustered"),
        ("frontier", "Frontiers", {"activations": ("spline",)}, "spline"),
        ("constant", "Constants", {"n": (4,), "ratios": (8,)}, "d = n/ratio"),
        ("constant", "Constants", {"widths": (float("nan"),)}, "widths"),
        ("constant", "Constants", {"fits": ("2",)}, "'2'"),
        ("depth", "Depths", {"neurons": (3,)}, "even"),
        ("depth", "Depths", {"epsilon": 0.0}, "epsilon"),
        ("depth", "Depths", {"seeds": 0}, "seeds"),
        ("lower_bounds", "Sizes", {"d": 0}, "'s d "),
        ("constructions", "Ladders", {"grouped": ((10, -1, 3),)}, "grouped"),
    ],
)
def test_wrong_fields_are_named_before_anything_is_run(name, kind, changes, words, monkeypatch):
    monkeypatch.syspath_prepend(EXPERIMENTS)
    with pytest.raises(UserError, match=words):
        getattr(importlib.import_module(name), kind)(**changes)


def test_a_shard_that_is_none_is_refused(tmp_path):
    for shard in ((3, 2), (0, 2), (0, 0)):
        with pytest.raises(UserError, match="1 <= i <= N"):
            run_jobs(tmp_path / "run", {"a": 1}, JOBS, lambda job: {}, shard, progress=False)
    assert not (tmp_path / "run").exists()


SLOW_JOBS = """
import dataclasses, sys, time
from lawjax.sweep.jobs import run_jobs

@dataclasses.dataclass(frozen=True)
class Job:
    n: int

def measure(job):
    time.sleep(0.05)
    return {"square": job.n**2}

run_jobs(sys.argv[1], {"a": 1}, [Job(n) for n in range(40)], measure)
"""


def test_a_process_that_is_killed_leaves_whole_rows(tmp_path):
    """The next one makes the others, and no row twice."""
    command = [sys.executable, "-c", SLOW_JOBS, str(tmp_path)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and first.poll() is None and len(list(tmp_path.glob("results/*.json"))) < 3:
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/*.json")}
    assert 3 <= len(before) < 40
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert job_table(tmp_path, ("n",))["square"].to_list() == [n * n for n in range(40)]


def test_the_grid_around_the_capacity():
    grid = CapacityGrid((20,), (2, 8), (0.25, 1.0, 1.1), seeds=2)
    assert grid.networks() == [
        NetworkId(n, 20, k, seed) for n, k in ((40, 2), (160, 2), (160, 8), (160, 9)) for seed in range(2)
    ]
    with pytest.raises(UserError, match="kd_over_n"):
        CapacityGrid((20,), (2,), (0.0,))
    with pytest.raises(UserError, match="n_over_d"):
        CapacityGrid((20,), (0,), (1.0,))


def test_shares_have_wilson_intervals():
    """Known values of the Wilson interval, and what it must hold."""
    share, low, high = fits.proportion(0, 10)
    assert (share, low) == (0.0, 0.0) and high == pytest.approx(0.2775, abs=1e-4)
    share, low, high = fits.proportion(5, 10)
    assert (low, high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    with pytest.raises(UserError, match="trial"):
        fits.proportion(1, 0)
