"""Keep of a run what its claims rest on: table, figures, summary, and the networks behind the medians over seeds.

    python experiments/lighten.py runs/frontier results/frontier --without adam

For runs of frontier.py, constant.py and depth.py, whose networks are the most of them: of each setting the network with
the median certificate of those that fit stays, in one file with its proof (`lawjax check results/frontier`). The run is
left as it is; a second or two. `--stage plot` makes the same tables, figures and summary from what is kept.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import constant
import depth
import frontier
import tyro
from tqdm import tqdm

from lawjax import cli
from lawjax.errors import UserError
from lawjax.report import run_table
from lawjax.report.networks import copy_network, of_medians
from lawjax.sweep.paths import RunPaths
from lawjax.sweep.store import Store

NAMED_BY = {"frontier": frontier.NETWORK, "constant": constant.NETWORK, "depth": depth.NETWORK}


@dataclass(frozen=True)
class Options:
    """What to keep, and where.

    Attributes:
        run: the run directory of an experiment that is done and drawn.
        out: a new folder for what is kept of it.
        without: sources of networks to leave out, such as adam, which frontier.py trains again in minutes.
    """

    run: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    without: tuple[str, ...] = ()


def lighten(options: Options) -> str:
    """Copy what is kept, and say how much that is.

    Raises:
        UserError: it is no run of such an experiment, is not drawn yet, or there is a folder already.
    """
    paths, kept = RunPaths(options.run), RunPaths(options.out)
    experiment = Store(options.run).read_config()["configuration"].get("experiment")
    if experiment not in NAMED_BY:
        raise UserError(f"{options.run} is no run of {', '.join(NAMED_BY)}: it has no networks to leave out.")
    if not paths.summary.exists() or not paths.table.exists():
        raise UserError(f"{options.run} has no summary and table yet; run experiments/{experiment}.py first.")
    if options.out.exists():
        raise UserError(f"{options.out} exists already; choose another name or remove it.")
    table = run_table(options.run, NAMED_BY[experiment])
    if options.without and "source" in table.columns:
        table = table.filter(~table["source"].is_in(options.without))
    names = of_medians(table, NAMED_BY[experiment])
    for name in tqdm(names, unit=" networks", disable=None):
        copy_network(name, paths.networks, kept.networks)
    for path in (paths.config, paths.table, paths.summary, *paths.figures.glob("*.png"), *paths.root.glob("*.png")):
        shutil.copyfile(path, kept.root / path.name)
    size = sum(path.stat().st_size for path in kept.networks.iterdir()) / 1e6
    return f"{len(names)} of {len(list(paths.networks.glob('*.npz')))} networks are in {kept.networks}, {size:.1f} MB."


if __name__ == "__main__":
    cli.guarded(lambda: print(lighten(tyro.cli(Options, description=__doc__))))
