"""The search for the smoothest networks: many at once against one, quadratic forms against the optimum, other starts.

    python benchmarks/frontier.py

Prints Markdown tables. Times are of the descent alone, without certificates, with everything compiled, and the first
time, compilation included. The convex optimum is that of `lawjax.constructions.smoothest_quadratic`, within 0.2 %.
"""

from __future__ import annotations

import time
from dataclasses import replace

import jax
from common import machine

from lawjax import TrainingConfig, bracket, cli, constructions, data, keys, memorize
from lawjax.frontier import FrontierConfig, Problem, search
from lawjax.frontier.shallow import objective_of
from lawjax.frontier.stacks import descended
from lawjax.frontier.starts import starts_of

SIZES = ((200, 50, 20, 12), (400, 100, 40, 6), (400, 100, 400, 4))  # n, d, k, searches
FORMS = ((50, 20), (100, 30), (200, 30), (200, 60), (400, 40))  # n, d = k
STARTED = ((400, 100, 20), (400, 100, 40), (400, 100, 100))
STEPS = 2000


def seconds(starts: list, config: FrontierConfig) -> float:
    """Wall time of the descents of all starts."""
    begun = time.perf_counter()
    list(descended(starts, objective_of(config), config))
    return time.perf_counter() - begun


def side_by_side(n: int, d: int, k: int, count: int) -> str:
    """One row: times together and one at a time, first and warm, and their ratios."""
    config = FrontierConfig(steps=STEPS, starts=1)
    starts = []
    for seed in range(count):
        dataset = data.gaussian(keys.data_key(n, d, seed), n, d)
        starts += list(starts_of(seed, Problem(dataset, k, keys.weights_key(n, d, seed)), objective_of(config), config))
    times = []
    for _ in ("first", "warm"):
        together = seconds(starts, config)
        alone = sum(seconds([start], config) for start in starts)
        times += [f"{together:.2f}", f"{alone:.2f}", f"{alone / together:.2f}"]
    jax.clear_caches()
    return f"| ({n}, {d}, {k}) | {count} | {' | '.join(times)} |"


def form(n: int, d: int) -> str:
    """One row: the bound of the convex optimum, the search's over it, and the seconds of both."""
    dataset = data.gaussian(keys.data_key(n, d, 0), n, d)
    begun = time.perf_counter()
    best = bracket(constructions.smoothest_quadratic(dataset).network, "ball").upper
    middle = time.perf_counter()
    config = FrontierConfig(0.0, "power:2", "ball", steps=5000)
    found = search(dataset, d, config, keys.weights_key(n, d, 0))
    end = time.perf_counter()
    return f"| ({n}, {d}) | {best:.4f} | {found.bracket.upper / best:.4f} | {middle - begun:.1f} | {end - middle:.1f} |"


def origins(n: int, d: int, k: int) -> str:
    """One row: certificates from random starts, from Adam's network, from half and from twice as many neurons."""
    dataset, key = data.gaussian(keys.data_key(n, d, 0), n, d), keys.weights_key(n, d, 0)
    config = FrontierConfig(steps=12_000)
    uppers = list(search(dataset, k, config, key).uppers)
    trained = memorize(dataset, k, key, TrainingConfig(epsilon=0.02))[0].network
    assert trained is not None
    initial = [trained, *(search(dataset, width, config, key).network for width in (k // 2, 2 * k))]
    uppers += list(search(dataset, k, replace(config, starts=0), key, initial).uppers)
    return f"| ({n}, {d}, {k}) | {' | '.join(f'{upper:.4f}' for upper in uppers)} |"


def main() -> None:
    """The command line."""
    print(f"{machine()}. {STEPS} steps.\n")
    print("| (n, d, k) | searches | first: together (s) | alone (s) | ratio | warm: together (s) | alone (s) | ratio |")
    print("| --- " * 8 + "|")
    for sizes in SIZES:
        print(side_by_side(*sizes), flush=True)
    print("\nQuadratic forms, k = d, exact fit on the unit ball.\n")
    print("| (n, d) | convex optimum | search / optimum | solver (s) | search (s) |\n" + "| --- " * 5 + "|")
    for shape in FORMS:
        print(form(*shape), flush=True)
    print("\nWhere searches start: certificates after 12 000 steps.\n")
    print(
        "| (n, d, k) | random | random | Adam's network | k/2 neurons, split | 2k neurons, merged |\n"
        + "| --- " * 6
        + "|"
    )
    for started in STARTED:
        print(origins(*started), flush=True)


if __name__ == "__main__":
    cli.guarded(main)
