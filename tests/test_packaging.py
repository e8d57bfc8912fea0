"""The lower bounds of pyproject.toml are the versions that constraints-lowest.txt installs."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import lawjax

ROOT = Path(__file__).parent.parent


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_lowest_constraints_are_the_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    requirements = project["dependencies"] + extras["dev"] + extras["notebooks"]
    bounds = dict(r.split(">=") for r in requirements if not r.startswith("lawjax["))
    assert bounds | {"jaxlib": bounds["jax"]} == pins("constraints-lowest.txt")


def test_constraints_are_plain_pins_that_meet_the_lower_bounds():
    newest = pins("constraints.txt")
    number = lambda version: tuple(int(part) for part in re.findall(r"\d+", version))  # noqa: E731
    for name, version in pins("constraints-lowest.txt").items():
        assert number(newest[name]) >= number(version), name


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)


def test_every_public_name_is_there_and_documented():
    for name in lawjax.__all__:
        assert getattr(lawjax, name).__doc__, name
    assert set(lawjax.__all__) <= set(dir(lawjax))
    assert lawjax.__version__ == metadata.version("lawjax")


def test_importing_the_package_is_quick():
    done = python("-c", "import lawjax, lawjax.cli, lawjax.check, sys; print('jax' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_the_package_runs_as_the_command():
    done = python("-m", "lawjax", "bracket", "nothing-here.npz")
    assert done.returncode == 2 and done.stderr.startswith("lawjax: ") and done.stderr.count("\n") == 1
