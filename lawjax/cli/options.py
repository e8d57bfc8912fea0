"""The options of the scripts in `experiments/`: a preset, any field of which is overridden."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lawjax import progress
from lawjax.cli import parser
from lawjax.cli.entry import guarded
from lawjax.cli.refusals import check_device, check_drawing
from lawjax.errors import UserError


def experiment(
    presets: Mapping[str, Any],
    run: Callable[[Any, Path, tuple[int, int]], Any],
    plot: Callable[[Path], Any],
    out: str,
    description: str,
    asked: Callable[[Any], Any] | None = None,
) -> None:
    """The command line of an experiment: a preset, any field of its configuration overridden, run and plot apart.

    Args:
        presets: the configuration, a dataclass, under each name; "laptop" is the default.
        run: does the work, or the shard (i, N) of it, in a run directory.
        plot: draws the figures of a run directory, and writes its summary.
        out: the run directory where none is given; {preset} in it stands for the preset's name.
        description: for --help.
        asked: from the configuration to that of the sweep, for --plan, where `run` makes another one of it.
    """
    guarded(lambda: _experiment(presets, run, plot, out, description, asked))


def _experiment(
    presets: Mapping[str, Any],
    run: Callable[[Any, Path, tuple[int, int]], Any],
    plot: Callable[[Path], Any],
    out: str,
    description: str,
    asked: Callable[[Any], Any] | None,
) -> None:
    from lawjax.sweep.options import ExperimentOptions

    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", default="laptop", choices=tuple(presets))
    preset = first.parse_known_args()[0].preset
    defaults = ExperimentOptions(out=Path(out.format(preset=preset)), sweep=presets[preset], preset=preset)
    kind: Any = ExperimentOptions
    options = parser.overridden(defaults, kind[type(presets[preset])], description)
    if options.plan is not None:
        print(_plan(options.sweep if asked is None else asked(options.sweep), options.plan))
        return
    if options.stage in ("all", "plot"):
        check_drawing()
    if options.stage in ("all", "run"):
        with progress.style("json" if options.log_json else None):
            _run(run, options)
    if options.stage in ("all", "plot"):
        plot(options.out)


def _run(run: Callable[..., Any], options: Any) -> None:
    """By the executor that was asked for."""
    from lawjax.sweep import SweepConfig
    from lawjax.sweep.options import parse_shard, parse_values

    shard, values = parse_shard(options.shard), parse_values(options.cluster)
    if options.executor == "slurm":
        from lawjax.sweep.slurm_executor import Slurm, run_on_slurm

        if shard != (1, 1):
            raise UserError("--executor slurm gives each job its --shard: say how many with --cluster shards=8.")
        own = {name: values.pop(name) for name in ("shards", "cluster") if name in values}
        run_on_slurm(run, options.sweep, options.out, Slurm(**own, parameters=values))
        return
    if options.executor == "ray":
        from lawjax.sweep.ray_executor import Ray

        if not isinstance(options.sweep, SweepConfig):
            raise UserError("This experiment trains no grid of networks; run it with --executor threads or slurm.")
        run(options.sweep, options.out, shard, executor=_of_fields(Ray, values))
        return
    if values:
        raise UserError("--cluster is for --executor ray or slurm.")
    check_device()
    run(options.sweep, options.out, shard)


def _of_fields(kind: Any, values: Mapping[str, Any]) -> Any:
    """A dataclass of given values; names that are no fields of it are refused."""
    known = [field.name for field in dataclasses.fields(kind)]
    unknown = [name for name in values if name not in known]
    if unknown:
        raise UserError(f"--cluster takes {', '.join(known)} with this executor, not {unknown[0]}.")
    return kind(**values)


def _plan(config: Any, on: str) -> str:
    """What a sweep would take on a device, in words."""
    from lawjax.sweep import SweepConfig
    from lawjax.sweep.devices import device, named_devices
    from lawjax.sweep.forecast import forecast

    if not isinstance(config, SweepConfig):
        raise UserError("This experiment trains no grid of networks, of which a plan could be made: leave --plan out.")
    if on != "here":
        return str(forecast(config, *named_devices(on)))
    check_device()
    import jax

    return str(forecast(config, device(jax.default_backend()), jax.local_device_count()))
