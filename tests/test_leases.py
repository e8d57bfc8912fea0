"""Leases: one holder at a time, taken over from the dead, given up by who was only stopped; and shards that share."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import small_sweep
from small_sweep import CONFIG, STUCK, assert_asked, assert_same_tables, trained_again

from lawjax import UserError, report
from lawjax.sweep import as_record, run
from lawjax.sweep.claims import Claims, own_first
from lawjax.sweep.devices import CPU
from lawjax.sweep.leases import Leases
from lawjax.sweep.paths import RunPaths
from lawjax.sweep.store import Store

HOLDER = """
import sys, time
from pathlib import Path
from lawjax.sweep.leases import Leases
from lawjax.sweep.paths import RunPaths
with Leases(RunPaths(Path(sys.argv[1]))) as leases:
    print(leases.take(["a"])[0], flush=True)
    time.sleep(600)
"""


def test_one_at_a_time_holds_a_piece_of_work(tmp_path):
    with Leases(RunPaths(tmp_path)) as one, Leases(RunPaths(tmp_path)) as other:
        assert one.take(["a", "b"]) == ("a", False)
        assert other.take(["a", "b"]) == ("b", True)
        assert one.take(["b"]) == (None, True)
        assert (one.holds("a"), other.holds("a"), other.holds("b")) == (True, False, True)
        other.release("a")  # not its own
        assert one.holds("a")
        one.release("a")
        assert other.take(["a"]) == ("a", False)
        assert other.take([]) == (None, False)
    with Leases(RunPaths(tmp_path)) as late:
        assert late.take(["a"]) == ("a", False)
        assert [path.name for path in (tmp_path / "leases").iterdir() if "lease-" in path.name] == ["lease-a"]
    assert not list((tmp_path / "leases").iterdir())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_from_a_process_of_this_machine_that_was_killed_a_lease_is_taken_at_once(tmp_path, number):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "a\n"
        try:
            with Leases(RunPaths(tmp_path)) as leases:
                assert leases.take(["a"]) == (None, True)
                holder.send_signal(number)
                if number == signal.SIGKILL:
                    holder.wait()
                    assert leases.take(["a"]) == ("a", False)
                else:  # it lives, and may go on
                    assert leases.take(["a"]) == (None, True)
        finally:
            holder.kill()


@pytest.mark.parametrize(("age", "is_free"), [(0.0, False), (50.0, False), (70.0, True), (1e6, True)])
def test_from_another_machine_a_lease_is_taken_once_it_has_not_been_seen_for_a_minute(tmp_path, age, is_free):
    paths = RunPaths(tmp_path)
    paths.leases.mkdir()
    paths.lease("a").write_text("elsewhere.1.ab")
    paths.holder("elsewhere.1.ab").touch()
    os.utime(paths.holder("elsewhere.1.ab"), (time.time() - age,) * 2)
    with Leases(paths) as leases:
        assert leases.take(["a"]) == (("a", False) if is_free else (None, True))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"gone.1.ab", b"x/../../y", b"a\0b"])
def test_a_lease_of_nobody_is_free(tmp_path, content):
    paths = RunPaths(tmp_path)
    paths.leases.mkdir()
    paths.lease("a").write_bytes(content)
    with Leases(paths) as leases:
        assert leases.take(["a"]) == ("a", False)


def test_of_two_configurations_that_begin_at_once_one_is_refused(tmp_path):
    for number in range(20):
        root, gate = tmp_path / str(number), threading.Barrier(2)
        outcomes: list[int | str] = []

        def begin(value, root=root, outcomes=outcomes, gate=gate):
            gate.wait()
            try:
                Store(root).open({"value": value})
                outcomes.append(value)
            except UserError as error:
                outcomes.append(str(error))

        threads = [threading.Thread(target=begin, args=(value,)) for value in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        [value] = [one for one in outcomes if isinstance(one, int)]
        [refused] = [one for one in outcomes if isinstance(one, str)]
        assert "holds a run of another configuration" in refused
        assert Store(root).read_config()["configuration"] == {"value": value}


def test_own_pieces_come_first():
    assert own_first(7, (1, 1)) == list(range(7))
    assert own_first(7, (2, 3)) == [1, 4, 0, 2, 3, 5, 6]
    assert own_first(2, (3, 3)) == [0, 1]


def test_threads_that_claim_at_once_do_each_piece_once(tmp_path):
    done = []
    with Leases(RunPaths(tmp_path)) as leases:
        claims = Claims({str(i): i for i in range(40)}, leases, lambda piece: piece % 5 > 0)

        def work():
            while (taken := claims.take(threading.Event())) is not None:
                done.append(taken[1])
                claims.give_back(taken[0], done=True)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(done) == [i for i in range(40) if i % 5]


def test_who_lost_a_lease_stores_nothing_more(tmp_path):
    """As after a pause of the whole process in which another one took the unit over and ended."""
    expected = run(CONFIG, tmp_path / "whole", progress=False)
    store = Store(tmp_path / "run")
    lost: list[str] = []

    def lose(event):
        lease = store.paths.lease(event.unit.name)
        if event.what == "advanced" and not lost:
            lost.append(event.unit.name)
            lease.write_text("another.1.ab")
        elif lost and event.what == "stored":
            lost.append("stored")

    table = run(
        CONFIG, store.paths.root, checkpoint_seconds=0.0, progress=False, on=dataclasses.replace(CPU, workers=1),
        observers=(lose,),
    )  # fmt: skip
    assert lost[0] != "stored" and len(lost) > 1  # given up, taken again, and stored then
    assert_same_tables(table, expected)


def test_a_shard_with_nothing_to_do_ends_at_once(tmp_path):
    run(CONFIG, tmp_path, (2, 7), progress=False)
    assert_asked(run(CONFIG, tmp_path, (7, 7), progress=False, observers=(trained_again,)), CONFIG)


def test_of_two_shards_one_is_killed_and_the_other_takes_its_work_over(tmp_path):
    small_sweep.finish(small_sweep.start(tmp_path / "whole", tmp_path / "whole.log", 60, shard="1/2"))
    root, logs = tmp_path / "run", [tmp_path / "1.log", tmp_path / "2.log"]
    first, second = (small_sweep.start(root, log, shard=f"{i}/2") for i, log in enumerate(logs, 1))
    deadline = time.monotonic() + 120
    while not (logs[0].exists() and "stored" in logs[0].read_text()) and time.monotonic() < deadline:
        time.sleep(0.005)
    first.kill()
    first.communicate()
    part = Store(root).table()
    assert len(part) < len(STUCK.grid.networks())
    assert small_sweep.finish(second) == ""
    assert_same_tables(Store(root).table(), Store(tmp_path / "whole").table())
    assert not list(Store(root).paths.leases.glob("lease-*"))


def test_a_report_made_in_between_says_how_far_the_run_is(tmp_path, capsys):
    store = Store(tmp_path)
    store.open(as_record(CONFIG))
    report.write(tmp_path, store.table(), {}, lambda: "Nothing yet.")
    assert capsys.readouterr().out == "**A part of the run: 0 of 12 networks.**\n\nNothing yet.\n"
    whole = run(CONFIG, tmp_path, progress=False)
    report.write(tmp_path, whole, {}, lambda: "All of it.")
    assert store.paths.summary.read_text() == "All of it."
