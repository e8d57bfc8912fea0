"""What README.md and CONTRIBUTING.md tell a reader to type works as it is printed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from lawjax import TwoLayer, data

ROOT = Path(__file__).parent.parent
# Commands that take more than a minute: the options that make their work small, typed after those that are printed.
FIRST = "--n 40 --d 20 --k 20 40 --seeds 1 --points 50 --brackets False"
SECOND = "--n 60 --d 20 40 60 --seeds 1 --points 50 --brackets False"
FRONTIER = """--sizes 32 16 --ratios 1 4 --flat-n 32 --flat-d 16 --fits exact --middle 32 16 --activations abs
--models low-rank --factor-ratios 4 --public 32 16 0.15 --public-k 8 --patient-k 8 --steps 300"""
LONG = {
    "make reproduce": "--dry-run",
    "make test": "--dry-run",
    "python experiments/experiment1.py --preset paper --out runs/exp1": FIRST,
    "python experiments/experiment1.py --preset paper --out runs/exp1 --shard 3/8": f"{FIRST} --seeds 8 --stage run",
    "python experiments/experiment2.py --preset paper --out runs/exp2": SECOND,
    "python experiments/frontier.py --preset laptop": " ".join(FRONTIER.split()),
}
WRITES = {"construct": ("f.npz", "data.npz"), "export": ("f.npz",)}  # all others read these files


def blocks(document, language):
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def typed(document):
    lines = "".join(blocks(document, "bash")).splitlines()
    return [" ".join(shlex.split(line, comments=True)) for line in lines if line.strip()]


COMMANDS = typed("README.md")


def test_every_long_command_is_still_printed():
    assert set(LONG) <= set(COMMANDS)


def shell(line, folder):
    """A line as a shell runs it, with the `python` and `lawjax` of these tests."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        "MPLBACKEND": "Agg",
    }
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=300, cwd=folder, env=environment
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A checkout in which the run that the commands speak of was made, at their (n, d, k, seed) alone."""
    folder = tmp_path_factory.mktemp("room")
    for name in ("experiments", "results", "Makefile", "pyproject.toml", "constraints.txt", "lawjax"):
        (folder / name).symlink_to(ROOT / name)
    sizes = "--n 500 --d 100 --k 20 --seeds 1 --brackets False"
    shell(f"python experiments/experiment1.py --preset smoke --out runs/exp1 {sizes}", folder)
    rng = np.random.default_rng(0)
    TwoLayer(rng.standard_normal((100, 20)), rng.standard_normal(100), rng.standard_normal(100)).save(folder / "f.npz")
    points = data.gaussian(jax.random.key(0), 100, 20)
    np.savez(folder / "data.npz", x=np.asarray(points.x), y=np.asarray(points.y))
    shell("lawjax bracket f.npz --certificate f.json", folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_commands_run_as_printed(line, room, tmp_path):
    folder = shutil.copytree(room, tmp_path / "room", symlinks=True)
    if "--out runs/exp1" in line:
        shutil.rmtree(folder / "runs")
    for name in WRITES.get(line.split()[1], ()) + (("f.json",) if "--certificate" in line else ()):
        (folder / name).unlink()
    shell(f"{line} {LONG.get(line, '')}", folder)
    assert all((folder / name).exists() for name in ("f.npz", "f.json", "data.npz"))


README = """
import numpy as np
assert results[1].fitted and results[2].fitted
assert 0 < found.lower <= found.upper <= path_product(f) * (1 + 1e-6)
assert np.isclose(np.linalg.norm(f.gradient(found.witness)), found.lower, rtol=1e-3)
assert smooth.fitted and smooth.bracket.upper < found.lower
assert lawjax.lower_bounds.floor(dataset, epsilon=0.02).value < smooth.bracket.upper
assert built.network.dimension == 100
"""
CONTRIBUTING = """
assert 0 < found.lower <= found.upper
assert TwoLayer.load("f.npz", softsign).activation is softsign
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("document", "checks", "written"),
    [
        ("README.md", README, ["figure2.pdf", "figure2.png", "runs"]),
        ("CONTRIBUTING.md", CONTRIBUTING, ["f.json", "f.npz", "runs"]),
    ],
)
def test_python_runs_as_printed(document, checks, written, tmp_path):
    """From the first block to the last, as one program."""
    (tmp_path / "results").symlink_to(ROOT / "results")
    (tmp_path / "program.py").write_text("\n".join([*blocks(document, "python"), checks]), encoding="utf-8")
    shell("python -W error program.py", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["program.py", "results", *written])
