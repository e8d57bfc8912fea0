"""What is installed: versions between two constraint files, the public names, and a wheel that works by itself."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

import lawjax
from lawjax.sweep.store import Store

ROOT = Path(__file__).parent.parent
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.py"))


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
    public = vars(lawjax)["__all__"]
    for name in public:
        assert getattr(lawjax, name).__doc__, name
    assert set(public) <= set(dir(lawjax))
    assert lawjax.__version__ == metadata.version("lawjax")


def test_importing_the_package_is_quick():
    done = python("-c", "import lawjax, lawjax.cli, lawjax.check, sys; print('jax' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_the_package_runs_as_the_command():
    done = python("-m", "lawjax", "bracket", "nothing-here.npz")
    assert done.returncode == 2 and done.stderr.startswith("lawjax: ") and done.stderr.count("\n") == 1


# The wheel, built and installed as a user does


def succeed(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=900, **options)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    fetched = python("-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), "hatchling")
    if fetched.returncode:
        pytest.skip(f"pip reaches no packages here: {fetched.stderr.strip().splitlines()[-1]}")
    succeed(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    [built] = folder.glob("lawjax-*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_the_experiments_alone(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = [path for path in (ROOT / "lawjax").rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    scripts = {f"lawjax/_experiments/{path.name}" for path in EXPERIMENTS}
    assert names == scripts | {path.relative_to(ROOT).as_posix() for path in files}


@pytest.mark.slow
def test_the_experiments_run_where_only_the_wheel_is_installed(wheel, tmp_path):
    """The table is that of the script in the repository, to the last bit."""
    succeed(sys.executable, "-m", "venv", tmp_path / "venv")
    here = tmp_path / "venv" / "bin"
    succeed(here / "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel)
    (tmp_path / "empty").mkdir()
    apart = {
        "cwd": tmp_path / "empty",
        "env": {name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    }
    listed = succeed(here / "lawjax", "run", **apart)
    scripts = [path.stem for path in EXPERIMENTS if '__name__ == "__main__"' in path.read_text(encoding="utf-8")]
    assert [line.split()[0] for line in listed.splitlines()] == scripts
    small = ("--preset", "smoke", "--seeds", "1", "--brackets", "False", "--out")
    succeed(here / "lawjax", "run", "experiment1", *small, tmp_path / "theirs", **apart)
    succeed(sys.executable, ROOT / "experiments" / "experiment1.py", *small, tmp_path / "ours")
    one, other = (Store(tmp_path / name).table().drop("seconds") for name in ("theirs", "ours"))
    assert_frame_equal(one, other, check_exact=True)
    assert (tmp_path / "theirs" / "figures" / "figure2.png").exists()
    assert not list((tmp_path / "empty").iterdir())
