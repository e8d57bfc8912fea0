"""The options of the scripts in `experiments/`: a preset, any field of which is overridden."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lawjax.cli import parser
from lawjax.cli.entry import guarded
from lawjax.cli.refusals import check_device, check_drawing


def experiment(
    presets: Mapping[str, Any],
    run: Callable[[Any, Path, tuple[int, int]], Any],
    plot: Callable[[Path], Any],
    out: str,
    description: str,
) -> None:
    """The command line of an experiment: a preset, any field of its configuration overridden, run and plot apart.

    Args:
        presets: the configuration, a dataclass, under each name; "laptop" is the default.
        run: does the work, or the shard (i, N) of it, in a run directory.
        plot: draws the figures of a run directory, and writes its summary.
        out: the run directory where none is given; {preset} in it stands for the preset's name.
        description: for --help.
    """
    guarded(lambda: _experiment(presets, run, plot, out, description))


def _experiment(
    presets: Mapping[str, Any],
    run: Callable[[Any, Path, tuple[int, int]], Any],
    plot: Callable[[Path], Any],
    out: str,
    description: str,
) -> None:
    from lawjax.sweep.options import ExperimentOptions, parse_shard

    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", default="laptop", choices=tuple(presets))
    preset = first.parse_known_args()[0].preset
    defaults = ExperimentOptions(out=Path(out.format(preset=preset)), sweep=presets[preset], preset=preset)
    kind: Any = ExperimentOptions
    options = parser.overridden(defaults, kind[type(presets[preset])], description)
    if options.stage in ("all", "plot"):
        check_drawing()
    if options.stage in ("all", "run"):
        check_device()
        run(options.sweep, options.out, parse_shard(options.shard))
    if options.stage in ("all", "plot"):
        plot(options.out)
