"""Small sweeps for tests, and a program that runs one: python small_sweep.py OUT LOG CHECKPOINT_SECONDS SHARD.

The program appends to LOG one line for each event of the host loop ("began", "advanced", ...); for a work unit that it
takes up again "restored whole" or "restored compacted".
"""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from lawjax import cli
from lawjax.sweep import ProbeConfig, SweepConfig, run
from lawjax.sweep.devices import CPU, StepRule
from lawjax.sweep.grid import Grid, NetworkId
from lawjax.train.config import TrainingConfig

PROBES = ProbeConfig(points=200, ascent_starts=4, ascent_steps=5)
TRAINING = TrainingConfig(epsilon=0.05, learning_rate=0.01, step_limit=10_000)

# Two data sets of each size; two neurons cannot memorise 60 points of dimension 20, the others fit.
CONFIG = SweepConfig(Grid((40, 60), (20,), (2, 20, 40), seeds=2), dataclasses.replace(TRAINING, step_limit=600), PROBES)

# Wide networks fit at once and narrow ones never: beside them they keep a pack in motion until it is compacted.
STUCK = SweepConfig(Grid((100,), (20, 40), (2, 100), seeds=3), TRAINING, dataclasses.replace(PROBES, brackets=False))

# Assumptions that make a sweep look often and compact soon, in the belief that networks fit in k/2 steps.
HALF_THE_WIDTH = StepRule(
    0.5, of_n=0.0, of_d=0.0, of_k=1.0, of_rate=0.0, of_batch=0.0, load=0.0, stalled=0.0, least=0.0
)
DEVICE = dataclasses.replace(
    CPU, overhead=1e-6, compile_time=0.001, max_chunk=200, work_per_commit=0.0, steps=HALF_THE_WIDTH
)


def finished(base):
    """A run directory with all of CONFIG, made by the first caller of a session. Not to be written to."""
    out = Path(base) / "finished"
    run(CONFIG, out, progress=False)
    return out


def assert_same_tables(left, right):
    """Equal bit for bit, but for the time that training took."""
    assert_frame_equal(left.drop("seconds"), right.drop("seconds"), check_exact=True)


def identities(table):
    return [NetworkId(*row) for row in table.select("n", "d", "k", "seed").iter_rows()]


def assert_asked(table, config):
    assert identities(table) == config.grid.networks()


def trained_again(event):
    pytest.fail(f"What is finished was taken up again: {event.what}.")


def assert_one_sentence(message):
    """What a user gets to read: one line that ends as a sentence does."""
    assert message.endswith((".", ".)")) and "\n" not in message and "Traceback" not in message, message


AS_USUAL = """
import runpy, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup would have it ignore
import lawjax.cli
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def start(out, log, checkpoint_seconds=0.02, shard="1/1"):
    """This file's program, started in a process of its own. Logs of one folder share what has been compiled."""
    command = [sys.executable, "-c", AS_USUAL, __file__, str(out), str(log), str(checkpoint_seconds), shard]
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(Path(log).parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process, status=0):
    """Wait for a started program, and return what it wrote to standard error."""
    _, errors = process.communicate(timeout=240)
    assert process.returncode == status, errors
    return errors


def label(event):
    """What an event is called in the log."""
    if event.what == "restored":
        return "restored whole" if event.state.shape == event.unit.shape else "restored compacted"
    return event.what


def main(out, log, checkpoint_seconds, shard):
    def observe(event):
        with Path(log).open("a") as file:
            file.write(f"{label(event)}\n")

    index, shards = map(int, shard.split("/"))
    cli.guarded(
        lambda: run(
            STUCK,
            out,
            (index, shards),
            checkpoint_seconds=float(checkpoint_seconds),
            progress=False,
            on=DEVICE,
            observers=(observe,),
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
