"""The lower bounds of pyproject.toml are the versions that constraints-lowest.txt installs."""

import re
import tomllib
from pathlib import Path

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
