"""Figures 1, 2 and 3 of the paper at laptop scale, with one table of their fits.

    python experiments/reproduce.py          (or: make reproduce)

About two minutes on two CPU cores. Writes runs/laptop/: figure1.png, figure2.png, figure3.png and summary.md.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import experiment1
import experiment2

from lawjax import cli, files
from lawjax.errors import Incomplete
from lawjax.sweep import run
from lawjax.sweep.paths import RunPaths


def reproduce(out: Path, preset: str = "laptop") -> None:
    """Run and plot both experiments, and gather their figures and summaries in `out`."""
    cli.check_drawing()
    cli.check_device()
    summaries, missing = [], []
    for experiment in (experiment1, experiment2):
        directory = out / experiment.__name__
        run(experiment.PRESETS[preset], directory)
        try:
            experiment.plot(directory)
        except Incomplete as error:
            missing.append(str(error))
        for figure in sorted(RunPaths(directory).figures.iterdir()):
            shutil.copyfile(figure, out / figure.name)
        if RunPaths(directory).summary.exists():
            summaries.append(RunPaths(directory).summary.read_text(encoding="utf-8"))
    files.write_text(out / "summary.md", "\n".join(summaries), overwrite=True)
    if missing:
        raise Incomplete(" ".join(missing))
    print(f"Figures 1-3 and summary.md are in {out}.")


if __name__ == "__main__":
    cli.guarded(lambda: reproduce(Path("runs/laptop")))
