"""Upper bounds on Lipschitz constants side by side: closed forms, a semidefinite program and the certificate.

    python benchmarks/certificate.py
    python benchmarks/certificate.py --largest
    python benchmarks/certificate.py --lipsdp-limit 600

Networks: ReLU, W_ij ~ N(0, 1/d), b ~ 0.1 N(0, 1), a ~ N(0, 1/k), from seed 0 (`paper_weights` of the tests). The peers
are written anew from their papers' formulas for one hidden layer. LipSDP-Neuron takes about a minute at
(d, k) = (100, 300). At (200, 1000) its solver asks for more than 15 GiB: it is left out, unless it is given a limit in
seconds after which it is ended; `ulimit -v` keeps it from taking the machine's last memory. It and the certificate run
in processes of their own, where nothing is compiled yet. Imports are not timed. Prints a Markdown table. Needs cvxpy
and Clarabel: pip install 'lawjax[oracles]'.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
from common import machine, reference

from lawjax import TwoLayer, cli
from lawjax.errors import UserError
from lawjax.lipschitz import certify, spectral_product
from lawjax.sweep import device_name

COMPARED = ((50, 100), (100, 300), (200, 1000))  # (d, k)
BEYOND_LIPSDP = (200, 1000)  # the solver's work grows like d^6
ALONE = (784, 4096)
LARGEST = (5000, 10000)
REPEATS = 3
LIPSDP = "LipSDP-Neuron"
COLD, WARM = "lawjax, cold", "lawjax, warm"


class Row(NamedTuple):
    """One bound.

    Attributes:
        method: that gave it.
        bound: nan if the method ended without one.
        seconds: wall time.
        peak: resident memory of its process at the most, in GiB; nan if the process did other work too.
    """

    method: str
    bound: float
    seconds: float
    peak: float = math.nan


def liplt(network: TwoLayer) -> float:
    """||a W|| / 2 + ||a|| ||W|| / 2: LipLT (Fazlyab, Entesari, Roy and Chellappa 2023).

    ReLU(t) = t/2 + |t|/2. The linear halves together are (a W x)/2, and |t|/2 has Lipschitz constant 1/2.
    """
    return 0.5 * float(np.linalg.norm(network.a @ network.W)) + 0.5 * spectral_product(network)


def eclipse_fast(network: TwoLayer) -> float:
    """(a X^{-1} a)^{1/2} with X = l I - l^2/4 W W^T and l = 2/||W||^2: ECLipsE-Fast (Xu and Sivaranjani 2024).

    The paper's l is 1/(2 m^2 ||W||^2), with m = 1/2 the middle of the slopes.
    """
    W, a = network.W, network.a
    gram = W @ W.T
    scale = 2.0 / np.linalg.eigvalsh(W.T @ W)[-1]
    return math.sqrt(a @ np.linalg.solve(scale * np.eye(len(a)) - 0.25 * scale**2 * gram, a))


def lipsdp_neuron(network: TwoLayer) -> tuple[float, str]:
    """LipSDP-Neuron (Fazlyab, Robey, Hassani, Morari and Pappas 2019) by Clarabel; the bound and the solver's status.

    For one hidden layer it asks for the least rho with, for some t >= 0 and all u in R^d, q in R^k,

        rho |u|^2 - (g.u + c.q)^2 - sum_l t_l (w_l.u)^2 + sum_l t_l q_l^2 >= 0,    g = a W / 2, c = a / 2,

    where slopes in [0, 1] have been written as 1/2 + [-1/2, 1/2]. The best q leaves, with p_l = c_l^2 / t_l and
    p_0 = 1 - sum_l p_l > 0, the d x d matrix inequality rho I >= g g^T / p_0 + sum_l (c_l w_l)(c_l w_l)^T / p_l. The
    paper's matrix has d + k rows; at (50, 100) the solver is not done with it in a minute. Variables are divided by a
    guess of their sizes, without which the solver's value is wrong in the fourth digit.
    """
    import cvxpy

    W, a = network.W, network.a
    rows = 0.5 * np.concatenate([[a @ W], a[:, None] * W])
    guess = np.linalg.norm(rows, axis=1)
    guess /= guess.sum()
    rows = rows / np.sqrt(guess)[:, None]
    size = np.linalg.norm(rows, 2)
    rows = rows / size
    rho, inverse = cvxpy.Variable(), cvxpy.Variable(len(rows))
    fits = rows.T @ cvxpy.diag(inverse) @ rows << rho * np.eye(rows.shape[1])
    problem = cvxpy.Problem(cvxpy.Minimize(rho), [fits, guess @ cvxpy.inv_pos(inverse) <= 1])
    problem.solve(solver=cvxpy.CLARABEL)
    return float(size) * math.sqrt(problem.value), problem.status


CLOSED_FORMS: dict[str, Callable[[TwoLayer], float]] = {
    "spectral product": spectral_product,
    "LipLT": liplt,
    "ECLipsE-Fast": eclipse_fast,
}


def closed_forms(d: int, k: int) -> list[Row]:
    """The median time of several runs of each."""
    network = reference().paper_weights(d, k)
    return [Row(name, *timed(bound, network, REPEATS)) for name, bound in CLOSED_FORMS.items()]


def by_lipsdp(d: int, k: int) -> list[Row]:
    """One run, the building of the problem included."""
    import cvxpy  # noqa: F401  imports are not timed

    network = reference().paper_weights(d, k)
    start = time.perf_counter()
    bound, status = lipsdp_neuron(network)
    seconds = time.perf_counter() - start
    return [Row(LIPSDP if status == "optimal" else f"{LIPSDP}, {status}", bound, seconds, peak_memory())]


def by_certificate(d: int, k: int, repeats: int) -> list[Row]:
    """A first run, with everything to compile, and the median time of some more."""
    network = reference().paper_weights(d, k)
    cold = Row(COLD, *timed(bound_of, network, 1), peak_memory())
    return [cold, Row(WARM, *timed(bound_of, network, repeats), peak_memory())]


def bound_of(network: TwoLayer) -> float:
    """The certificate's bound, proved."""
    return certify(network).bound


def timed(bound: Callable[[TwoLayer], float], network: TwoLayer, repeats: int) -> tuple[float, float]:
    """The bound, and the median of the times."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        value = bound(network)
        times.append(time.perf_counter() - start)
    return value, statistics.median(times)


def peak_memory() -> float:
    """Of this process, in GiB."""
    import resource  # not on Windows

    unit = 2**30 if sys.platform == "darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class Ended(UserError):
    """A process that was ended, or ended, without a result."""


def _send(connection: Connection, function: Callable[..., list[Row]], arguments: tuple[int, ...]) -> None:
    connection.send(function(*arguments))


def in_a_fresh_process(function: Callable[..., list[Row]], *arguments: int, limit: float | None = None) -> list[Row]:
    """What the function returns in a process of its own.

    Raises:
        Ended: it took more than `limit` seconds, or died, as it does where memory runs out.
    """
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(send, function, arguments))
    process.start()
    send.close()
    try:
        if receive.poll(limit):
            return receive.recv()
        raise Ended("ended at its limit")
    except EOFError:
        process.join()
        raise Ended(f"died, exit code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()


def compared(d: int, k: int, limit: float | None) -> list[Row]:
    """Every method on one network."""
    rows = in_a_fresh_process(closed_forms, d, k)
    if (d, k) != BEYOND_LIPSDP or limit is not None:
        start = time.perf_counter()
        try:
            rows += in_a_fresh_process(by_lipsdp, d, k, limit=limit if (d, k) == BEYOND_LIPSDP else None)
        except Ended as how:
            rows.append(Row(f"{LIPSDP}, {how}", math.nan, time.perf_counter() - start))
    return rows + in_a_fresh_process(by_certificate, d, k, REPEATS)


def lines_of(d: int, k: int, rows: list[Row]) -> list[str]:
    """One network's part of the table."""
    warm = next(row.seconds for row in rows if row.method == WARM)
    peer = next((row.bound for row in rows if row.method.startswith(LIPSDP)), math.nan)
    lines = []
    for row in rows:
        ended, ratio = math.isnan(row.bound), row.seconds / warm
        cells = [
            f"({d}, {k})",
            row.method,
            "" if ended else f"{row.bound:.7f}",
            f"{row.seconds:.3g}",
            "" if ended else f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}",
            "" if row.method.startswith(LIPSDP) or math.isnan(peer) else f"{row.bound / peer - 1:+.1e}",
            "" if math.isnan(row.peak) else f"{row.peak:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", action="store_true", help=f"certify (d, k) = {LARGEST} too")
    parser.add_argument(
        "--lipsdp-limit", type=float, help=f"try LipSDP-Neuron on {BEYOND_LIPSDP} too, for so many seconds"
    )
    options = parser.parse_args()
    missing = [name for name in ("cvxpy", "clarabel") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"Not installed: {', '.join(missing)}; pip install 'lawjax[oracles]'.")
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # for the processes started here: cold is cold
    solver = ", ".join(f"{name} {metadata.version(name)}" for name in ("cvxpy", "clarabel"))
    lines = [
        f"{machine()}. Solver: {solver}.\n",
        "| (d, k) | | bound | time (s) | time / lawjax, warm | bound / LipSDP-Neuron - 1 | peak memory (GiB) |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for d, k in COMPARED:
        lines += lines_of(d, k, compared(d, k, options.lipsdp_limit))
    for (d, k), repeats in [(ALONE, REPEATS), *([(LARGEST, 1)] if options.largest else [])]:
        lines += lines_of(d, k, in_a_fresh_process(by_certificate, d, k, repeats))
    print("\n".join(lines))
    print(
        f"\nClosed forms and warm: the median of {REPEATS} runs"
        f"{f' (one at {LARGEST})' if options.largest else ''}. Peak memory is of a process that does one method alone, "
        f"its imports included. JAX device: {device_name()}."
    )


if __name__ == "__main__":
    cli.guarded(main)
