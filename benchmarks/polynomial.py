"""How far apart the bounds are for polynomial psi: certificates over lower bounds, on the unit ball and sphere.

    python benchmarks/polynomial.py [--networks 400]

Prints the spread of upper/lower over small random networks with cancelling, parallel, constant and zero neurons, and
tables for large random networks and for random tensors. docs/certificates.md quotes them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from common import machine, reference

from lawjax import TwoLayer, bracket, cli
from lawjax.domains import Sphere, named

WHERE = (("ball", False), ("sphere", False), ("sphere", True))  # domain, tangential
SIZE = (200, 1000)  # (d, k) of the large networks
TENSORS = ((3, 100, 4000), (4, 50, 4000))  # order, d, n


def small(power: int, count: int) -> str:
    """One row of the table of small networks, `count` of them."""
    ratios, worst = [], 0.0
    for seed in range(count):
        network = reference().random_network(np.random.default_rng([power, seed]), f"power:{power}", scales=0.0)
        for domain, tangential in WHERE:
            if network.dimension == 1 and tangential:
                continue  # there is nothing along the sphere
            found = bracket(network, named(domain, tangential=tangential))
            size = bracket_scale(network)
            if found.upper > 1e-6 * size:  # below, the function cancels: both bounds are rounding
                ratios.append(found.upper / found.lower if found.lower > 0 else np.inf)
            else:
                worst = max(worst, found.upper / size)
    quantiles = np.quantile(ratios, (0.5, 0.9, 0.99, 1.0))
    return f"| {power} | {len(ratios)} | " + " | ".join(f"{ratio - 1:.2g}" for ratio in quantiles) + f" | {worst:.1e} |"


def bracket_scale(network: TwoLayer) -> float:
    """A bound on the gradient that no cancelling lowers."""
    power = int(network.activation.name.removeprefix("power:"))
    norms = np.linalg.norm(network.W, axis=1)
    return float((np.abs(network.a) * power * norms * (norms + np.abs(network.b)) ** (power - 1)).sum()) or 1.0


def large(power: int, bias: float) -> str:
    """One row of the table of large networks."""
    d, k = SIZE
    random = np.random.default_rng(0)
    W, a = random.standard_normal((k, d)) / np.sqrt(d), random.standard_normal(k) / np.sqrt(k)
    network = TwoLayer(W, bias * random.standard_normal(k), a, activation=f"power:{power}")
    return f"| {power} | {bias:g} | {ratios_and_time(network)} |"


def tensor(power: int, d: int, n: int) -> str:
    """One row of the table of tensors: f(x) = sum_i +-(x_i . x)^p for points x_i of the unit sphere."""
    random = np.random.default_rng(0)
    x = random.standard_normal((n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    network = TwoLayer(x, np.zeros(n), random.choice([-1.0, 1.0], n), activation=f"power:{power}")
    return f"| {power} | {d} | {n} | {ratios_and_time(network)} |"


def ratios_and_time(network: TwoLayer) -> str:
    """upper/lower of the whole gradient on the sphere, then of its part along it, and the seconds of the two."""
    start = time.perf_counter()
    both = [bracket(network, Sphere(tangential=tangential)) for tangential in (False, True)]
    seconds = time.perf_counter() - start
    return " | ".join([*(f"{found.upper / found.lower:.3f}" for found in both), f"{seconds:.1f}"])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=400, help="small networks of each degree (%(default)s)")
    options = parser.parse_args()
    print(f"{machine()}.\n")
    print("| degree | brackets | median upper/lower - 1 | 90 % | 99 % | largest | where all cancels: upper / size |")
    print("| --- " * 7 + "|")
    for power in (2, 3, 4, 5, 6):
        print(small(power, options.networks), flush=True)
    print(f"\nW ~ N(0, 1/d), a ~ N(0, 1/k), b ~ bias N(0, 1), (d, k) = {SIZE}.\n")
    print("| degree | bias | upper/lower | along the sphere | time of both (s) |\n" + "| --- " * 5 + "|")
    for power in (3, 4, 5):
        for bias in (0.0, 0.1, 0.5):
            print(large(power, bias), flush=True)
    print("\nsum +-x_i^(p), x_i on the unit sphere of R^d.\n")
    print("| p | d | n | upper/lower | along the sphere | time of both (s) |\n" + "| --- " * 6 + "|")
    for sizes in TENSORS:
        print(tensor(*sizes), flush=True)


if __name__ == "__main__":
    cli.guarded(main)
