"""A grid of networks trained by this engine, and one network at a time in plain PyTorch.

    python benchmarks/sweep.py --grid small
    python benchmarks/sweep.py --grid paper --sample 0.2

Grid paper is that of Experiment 1; grid small has 5000 networks of at most 100 neurons. Each side runs in a process of
its own and does the same work: draw the data, train under the same rules, fold, look once more. Nothing is measured and
no network is stored. The engine passes over the grid twice in its process, the first time with everything to compile.
Prints a Markdown table. Use an idle machine: PyTorch's threads wait for one another at every operation, and beside
another busy process its time grows many times over. Without PyTorch (pip install 'lawjax[benchmarks]') there is
--only lawjax.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import math
import multiprocessing
import os
import random
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import polars as pl
from common import cores, machine
from tqdm import tqdm

from lawjax import cli
from lawjax.errors import UserError
from lawjax.sweep import ProbeConfig, SweepConfig, device_name, run
from lawjax.sweep.grid import Grid, NetworkId
from lawjax.train.config import TrainingConfig
from lawjax.train.model import NORM_EPSILON
from lawjax.train.step import DIVERGED_LOSS

EXPERIMENT_1 = Path(__file__).parents[1] / "experiments" / "experiment1.py"
COMPILATION = "/jax/core/compile/backend_compile_duration"


class Pass(NamedTuple):
    """What one pass over the grid did; a sampled pass is scaled up to the grid.

    Attributes:
        seconds: wall time.
        flops: 4 n d k for each update of each network: the two products with the hidden layer's weights and gradient.
        updates: of all networks.
        fitted: networks that fit, also after folding.
        trained: networks trained in these seconds, before scaling.
    """

    seconds: float
    flops: float
    updates: float
    fitted: float
    trained: int


class EngineTimes(NamedTuple):
    """Two passes of the engine in one process.

    Attributes:
        cold: with everything to compile.
        warm: the same again.
        compile_seconds: of XLA in the cold pass, summed over threads; it overlaps with training.
        programs: compiled in the cold pass.
        device: of JAX.
    """

    cold: Pass
    warm: Pass
    compile_seconds: float
    programs: int
    device: str


def grid_of(name: str) -> tuple[Grid, TrainingConfig]:
    """A grid and how its networks are trained."""
    spec = importlib.util.spec_from_file_location("experiment1", EXPERIMENT_1)
    assert spec is not None and spec.loader is not None
    experiment = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(experiment)
    paper = experiment.PRESETS["paper"]
    small = Grid(n=(50, 100, 200, 400), d=(20, 50, 100, 200), k=(10, 20, 50, 100), seeds=100)
    return {"paper": paper.grid, "small": small}[name], paper.training


def train_with_lawjax(grid: Grid, training: TrainingConfig) -> EngineTimes:
    """Train the grid twice through `lawjax.sweep.run`; no probes, no networks stored, nothing stored in flight."""
    config = SweepConfig(grid, training, ProbeConfig(points=0), keep_networks=False)
    compilations: list[float] = []
    lock = threading.Lock()

    def heard(event: str, duration_secs: float, **_: Any) -> None:
        if event == COMPILATION:
            with lock:
                compilations.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(heard)

    def one_pass() -> Pass:
        with tempfile.TemporaryDirectory() as out:
            start = time.perf_counter()
            table = run(config, out, checkpoint_seconds=math.inf)
            seconds = time.perf_counter() - start
        flops = (4.0 * pl.col("n") * pl.col("d") * pl.col("k") * pl.col("steps")).sum()
        steps, fitted = (int(table[column].sum()) for column in ("steps", "fitted"))
        return Pass(seconds, table.select(flops).item(), steps, fitted, len(table))

    cold = one_pass()
    compile_seconds, programs = sum(compilations), len(compilations)
    return EngineTimes(cold, one_pass(), compile_seconds, programs, device_name())


def by_cell(networks: Sequence[NetworkId]) -> dict[tuple[int, int, int], list[NetworkId]]:
    """Networks by (n, d, k)."""
    cells = defaultdict(list)
    for name in networks:
        cells[name[:3]].append(name)
    return cells


def sampled(networks: Sequence[NetworkId], fraction: float) -> list[NetworkId]:
    """The same fraction of the seeds of every cell (n, d, k), at least one, chosen by a fixed random draw."""
    draw = random.Random(0)
    chosen = [
        draw.sample(members, max(1, round(fraction * len(members)))) for _, members in sorted(by_cell(networks).items())
    ]
    return sorted(name for members in chosen for name in members)


def train_with_pytorch(networks: Sequence[NetworkId], training: TrainingConfig, fraction: float, threads: int) -> Pass:
    """Train the sampled networks one after another, and scale each cell's time up to all of its networks."""
    import torch

    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    started = dataclasses.replace(training, step_limit=20)
    fit_in_pytorch(NetworkId(100, 50, 20, 0), started, device)  # its threads, not timed
    chosen = sampled(networks, fraction)
    asked, trained = by_cell(networks), by_cell(chosen)
    seconds = flops = updates = fitted = 0.0
    count = 0
    with tqdm(chosen, unit="network", dynamic_ncols=True, desc="pytorch") as bar:
        for name in bar:
            cell = n, d, k = name[:3]
            weight = len(asked[cell]) / len(trained[cell])
            start = time.perf_counter()
            steps, fits = fit_in_pytorch(name, training, device)
            seconds += weight * (time.perf_counter() - start)
            flops += weight * 4.0 * n * d * k * steps
            updates += weight * steps
            fitted += weight * fits
            count += fits
            bar.set_postfix_str(f"{count} fitted", refresh=False)
    return Pass(seconds, flops, updates, fitted, len(chosen))


def fit_in_pytorch(name: NetworkId, training: TrainingConfig, device: str) -> tuple[int, bool]:
    """One network by the book: the number of updates, and whether it fits, also after folding."""
    import torch
    from torch import nn

    n, d, k, _ = name
    generator = torch.Generator().manual_seed(abs(hash(name)))  # integers hash alike in every process
    x = (torch.randn(n, d, generator=generator) / math.sqrt(d)).to(device)
    y = (torch.randint(0, 2, (n,), generator=generator) * 2.0 - 1.0).to(device)
    model = nn.Sequential(nn.Linear(d, k, bias=False), nn.BatchNorm1d(k, eps=NORM_EPSILON), nn.ReLU(), nn.Linear(k, 1))
    hidden, norm, _, readout = model
    with torch.no_grad():
        hidden.weight.normal_(0.0, training.hidden_scale / math.sqrt(d), generator=generator)
        readout.weight.normal_(0.0, training.readout_scale / math.sqrt(k), generator=generator)
        readout.bias.zero_()
    model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=training.learning_rate, fused=True)
    step = 0
    while True:
        outputs = model(x).squeeze(1)
        loss = (outputs - y).square().mean()
        value = loss.item()
        if not value < DIVERGED_LOSS:
            return step, False
        if value <= training.epsilon and bool((outputs * y > 0).all()):
            break
        if step == training.step_limit:
            return step, False
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1
    with torch.no_grad():  # fold at the statistics of the whole data set, in float64 like the engine
        x, y = x.double(), y.double()
        h = x @ hidden.weight.double().T
        gain = norm.weight.double() / (h.var(0, unbiased=False) + NORM_EPSILON).sqrt()
        W, b = gain[:, None] * hidden.weight.double(), norm.bias.double() - gain * h.mean(0)
        W, b = W.float().double(), b.float().double()
        outputs = torch.relu(x @ W.T + b) @ readout.weight[0].double() + readout.bias.double()
        fits = (outputs - y).square().mean().item() <= training.epsilon and bool((outputs * y > 0).all())
    return step, fits


def in_a_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function where nothing is compiled yet, and no other library's threads are waiting for work."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def table_of(grid: str, networks: int, on: str, engine: EngineTimes | None, pytorch: Pass | None) -> str:
    """The results in Markdown."""
    passes: list[tuple[str, Pass]] = []
    notes = ["GFLOP/s counts 4 n d k for each update of each network. Imports are not timed."]
    about = ""
    if engine is not None:
        passes += [("lawjax, cold", engine.cold), ("lawjax, warm", engine.warm)]
        notes.append(
            f"The cold pass compiled {engine.programs} programs in {engine.compile_seconds:.1f} s, summed over threads "
            f"and partly beside training ({COMPILATION}). JAX device: {engine.device}."
        )
    if pytorch is not None:
        passes.append(("PyTorch, one network at a time", pytorch))
        if pytorch.trained < networks:
            about = "about "
            notes.append(
                f"PyTorch's row is an ESTIMATE: it trained {pytorch.trained} of the {networks} networks, a random "
                "choice from every (n, d, k); its time, fitted and updates are scaled up to the grid."
            )
    lines = [
        f"Grid {grid}: {networks} networks. {on}.\n",
        "| | time (s) | networks fitted | updates | GFLOP/s | PyTorch's time / this |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for label, done in passes:
        own = about if done is pytorch else ""
        ratio = f"{about}{pytorch.seconds / done.seconds:.2f}" if pytorch is not None else ""
        lines.append(
            f"| {label} | {own}{done.seconds:.1f} | {own}{done.fitted:.0f} | {own}{done.updates:.3g} "
            f"| {done.flops / done.seconds / 1e9:.1f} | {ratio} |"
        )
    return "\n".join([*lines, "", *notes])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", choices=("paper", "small"), default="small")
    parser.add_argument("--seeds", type=int, help="seeds of every (n, d, k), in place of the grid's own number")
    parser.add_argument("--only", choices=("lawjax", "pytorch"), help="run one side alone")
    parser.add_argument(
        "--sample",
        type=float,
        default=1.0,
        help="share that PyTorch trains of every (n, d, k), at least one network",
    )
    parser.add_argument("--threads", type=int, default=cores(), help="PyTorch's threads; all cores unless given")
    options = parser.parse_args()
    if not 0 < options.sample <= 1:
        raise UserError(f"--sample must be a share above 0 and at most 1, not {options.sample}.")
    if options.only != "lawjax" and importlib.util.find_spec("torch") is None:
        raise UserError("PyTorch is not installed: pip install torch, or time one side with --only lawjax.")
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # for the engine's process: cold is cold
    grid, training = grid_of(options.grid)
    if options.seeds is not None:
        grid = dataclasses.replace(grid, seeds=options.seeds)
    networks = grid.networks()
    on = machine()
    engine = pytorch = None
    if options.only != "pytorch":
        engine = in_a_fresh_process(train_with_lawjax, grid, training)
    if options.only != "lawjax":
        pytorch = in_a_fresh_process(train_with_pytorch, networks, training, options.sample, options.threads)
    print(table_of(options.grid, len(networks), on, engine, pytorch))


if __name__ == "__main__":
    cli.guarded(main)
