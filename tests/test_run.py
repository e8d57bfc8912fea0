"""`lawjax run`: the scripts of experiments/ from the command line, in a checkout and as they are installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_sweep import assert_one_sentence

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "experiments").glob("*.py"))
SCRIPTS = [path for path in FILES if '__name__ == "__main__"' in path.read_text(encoding="utf-8")]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty working directory, and a search path that is put back: a script adds its folder."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setattr(sys, "path", list(sys.path))


def python(*arguments, **environment):
    """Exit status, standard output and standard error of a Python in a process of its own."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


def test_run_lists_the_experiments_and_what_they_are_about(lawjax):
    status, out, errors = lawjax("run")
    assert (status, errors) == (0, "")
    listed = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert listed == {path.stem: path.read_text(encoding="utf-8").splitlines()[0].strip('"') for path in SCRIPTS}


@pytest.mark.parametrize("name", ["experiment3", "", "experiment1.py", "../experiments/experiment1", "None"])
def test_an_unknown_experiment_is_one_sentence_that_lists_them(lawjax, name):
    status, out, errors = lawjax("run", name, "--preset", "smoke")
    assert (status, out) == (2, "") and errors.startswith(f"lawjax: There is no experiment {name!r}; there are ")
    assert_one_sentence(errors[:-1])
    assert all(path.stem in errors for path in SCRIPTS)
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "line",
    [
        "experiment1 --help",
        "factors --help",  # which imports its neighbour
        "experiment1 --preset smoke --out run --stage plot",  # a mistake that the script finds
        "experiment1 --preset smoke --epsilon -1",  # one that the parser finds
        "experiment1 --preset huge",
        "retrain",
        "retrain absent --sample 3",
    ],
)
def test_run_prints_what_the_script_prints(line, lawjax):
    name, *options = line.split()
    by_path = python(ROOT / "experiments" / f"{name}.py", *options)
    assert lawjax("run", name, *options) == by_path
    assert by_path[1] + by_path[2] and "Traceback" not in by_path[2]


def test_run_runs(lawjax):
    grid = ("--n", "40", "--d", "20", "--k", "20", "--seeds", "1", "--points", "50", "--brackets", "False")
    status, out, errors = lawjax("run", "experiment1", "--preset", "smoke", *grid, "--out", "run")
    assert status == 0, errors
    assert Path("run/summary.md").read_text() + "\n" == out
    assert Path("run/figures/figure2.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def installed(tmp_path):
    """A folder in which lawjax lies as a wheel leaves it."""
    shutil.copytree(ROOT / "lawjax", tmp_path / "site" / "lawjax", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "site"


def test_an_installed_package_runs_the_scripts_that_came_with_it(installed):
    shutil.copytree(ROOT / "experiments", installed / "lawjax" / "_experiments")
    (installed / "experiments").mkdir()  # another package's
    (installed / "experiments" / "theirs.py").write_text('if __name__ == "__main__":\n    print()\n')
    status, out, errors = python("-m", "lawjax", "run", PYTHONPATH=str(installed))
    assert (status, errors) == (0, "") and [line.split()[0] for line in out.splitlines()] == [s.stem for s in SCRIPTS]
    script = installed / "lawjax" / "_experiments" / "factors.py"
    helped = python("-m", "lawjax", "run", "factors", "--help", PYTHONPATH=str(installed))
    assert helped == python(script, "--help", PYTHONPATH=str(installed)) and helped[0] == 0


def test_a_package_without_experiments_says_so(installed):
    status, out, errors = python("-m", "lawjax", "run", "experiment1", PYTHONPATH=str(installed))
    assert (status, out) == (2, "") and errors.startswith("lawjax: No experiments were installed with ")
    assert_one_sentence(errors[:-1])
