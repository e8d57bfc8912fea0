"""Signals outside of a run: while a command is being imported, twice, and where they are to be ignored."""

import os
import signal
import subprocess
import sys

import pytest

IMPORTING = """
import sys, importlib.abc, os, signal
at, number = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGHUP, getattr(signal, sys.argv[3]))  # whatever these tests were started with
class Kill(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == at:
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Kill())

sys.argv = ["/somewhere/lawjax", "inspect", "nothing"]
from lawjax.cli import main

main()
"""


def ended(at, number, hangup="SIG_DFL"):
    command = [sys.executable, "-c", IMPORTING, at, str(int(number)), hangup]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("at", ["tyro", "polars", "jaxlib"])
def test_a_signal_while_importing_ends_with_a_sentence(at, number):
    """tyro is imported with the commands, Polars and JAX by one of them; C++ would not survive an exception."""
    assert ended(at, number) == (128 + number, "lawjax: Stopped before it began.\n")


def test_what_the_process_was_told_to_ignore_is_ignored():
    status, errors = ended("polars", signal.SIGHUP, "SIG_IGN")
    assert status == 2 and "nothing" in errors  # on to the mistake


def test_said_twice_a_signal_is_obeyed_once():
    program = """
import os, signal, sys, time
from lawjax import cli
def stored():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        print("stored", flush=True)
cli.guarded(stored)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "stored\n")
    assert os.linesep.join(done.stderr.splitlines()) == "-c: Stopped; what was not written yet is lost."
