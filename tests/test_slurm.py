"""Shards as jobs; processes of this machine stand for SLURM's."""

import pytest
from small_sweep import CONFIG, assert_asked, assert_one_sentence, assert_same_tables

from lawjax import UserError
from lawjax.sweep import Slurm, run, run_on_slurm
from lawjax.sweep.store import Store

submitit = pytest.importorskip("submitit")


def test_jobs_share_the_run(tmp_path):
    expected = run(CONFIG, tmp_path / "whole", (1, 2), progress=False)
    run_on_slurm(run, CONFIG, tmp_path / "run", Slurm(shards=2, cluster="local", parameters={"timeout_min": 5}))
    assert_asked(Store(tmp_path / "run").table(), CONFIG)
    assert_same_tables(Store(tmp_path / "run").table(), expected)
    assert list((tmp_path / "run" / "slurm").glob("*.out"))


@pytest.mark.parametrize(
    ("slurm", "match"),
    [
        (Slurm(), "Jobs cannot be submitted to slurm"),
        (Slurm(cluster="nonsense"), "Jobs cannot be submitted to nonsense"),
        (Slurm(cluster="local", parameters={"nonsense": 1}), "Jobs cannot be submitted to local"),
    ],
)
def test_what_cannot_be_submitted_is_said(tmp_path, slurm, match):
    with pytest.raises(UserError, match=match) as caught:
        run_on_slurm(run, CONFIG, tmp_path, slurm)
    assert_one_sentence(str(caught.value))


def test_a_job_that_fails_is_named(tmp_path):
    with pytest.raises(
        UserError, match="2 of 2 jobs failed, the first one, .*, with TypeError: int.*; their logs are in"
    ):
        run_on_slurm(int, CONFIG, tmp_path, Slurm(shards=2, cluster="local"))


@pytest.mark.parametrize("shards", [0, -1, "a", 1.5, None])
def test_a_number_of_jobs_that_is_none_is_refused(shards):
    with pytest.raises(UserError, match="shards must be a whole number of at least 1"):
        Slurm(shards=shards)
