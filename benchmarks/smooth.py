"""Trained networks of smooth psi: is the lower bound on R^d at least every other lower estimate, and by how much?

    python benchmarks/smooth.py            # 99 networks of tanh, GELU and softplus
    python benchmarks/smooth.py --seeds 1  # a third of them
    python benchmarks/smooth.py --activation tanh

Networks that memorise Gaussian data (section 5) are bracketed on R^d, and in questions of their own on the balls and
spheres of three radii; beside these stand the ascent, the paper's proxy, and the largest gradient norm at 10^5 Gaussian
points of each of three lengths. Prints Markdown tables by psi: the lower bound on R^d over each of them. Within one
question a ball is never below its sphere, which is asserted.
"""

from __future__ import annotations

import argparse
import time

import jax
import numpy as np
from common import machine
from tqdm import tqdm

from lawjax import Ball, Space, Sphere, TrainingConfig, TwoLayer, bracket, cli, data, keys, memorize
from lawjax.lipschitz import ascend, max_random_gradient
from lawjax.lipschitz.bracketing import brackets
from lawjax.lipschitz.lower.evaluate import gradient_norms
from lawjax.lipschitz.lower.smooth_ascent import log_norms

ACTIVATIONS = ("tanh", "gelu", "softplus")
SIZES = ((100, 20), (200, 50), (300, 100))  # (n, d)
WIDTHS = (20, 50, 100, 200)
RADII = (0.5, 1.0, 3.0)
SAMPLES = 100_000
BLOCK = 5_000


def trained(activation: str, n: int, d: int, seed: int) -> list[TwoLayer]:
    """The networks of one data set that did not diverge, with k <= n."""
    dataset = data.gaussian(keys.data_key(n, d, seed), n, d)
    config = TrainingConfig(activation=activation, step_limit=2000)
    found = memorize(dataset, [k for k in WIDTHS if k <= n], keys.weights_key(n, d, seed), config)
    return [one.network for one in found if one.network is not None]


def sampled(network: TwoLayer, radius: float) -> float:
    """The largest gradient norm at Gaussian points of typical length `radius`."""
    random = np.random.default_rng(0)
    largest = 0.0
    for _ in range(SAMPLES // BLOCK):
        points = random.standard_normal((BLOCK, network.dimension)) * radius / np.sqrt(network.dimension)
        best = points[log_norms(network, points, Space()).argmax()]
        largest = max(largest, float(gradient_norms(network, best[None])[0]))
    return largest


def estimates(network: TwoLayer) -> dict[str, float]:
    """The lower bound on R^d, and its ratio to every other lower estimate."""
    start = time.perf_counter()
    lower = bracket(network).lower
    seconds = time.perf_counter() - start
    others = {
        "proxy": float(max_random_gradient(network, jax.random.key(1)).maximum),
        "ascent": float(ascend(network, jax.random.key(2)).value),
    }
    for radius in RADII:
        found = brackets(network, (Ball(radius), Sphere(radius)))
        ball, sphere = (found[domain][0].lower for domain in (Ball(radius), Sphere(radius)))
        assert ball >= sphere
        others |= {
            f"ball {radius:g}": ball,
            f"sphere {radius:g}": sphere,
            f"samples {radius:g}": sampled(network, radius),
        }
    return {**{name: lower / value for name, value in others.items()}, "seconds": seconds}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="of each size")
    parser.add_argument("--activation", choices=ACTIVATIONS, help="of the networks; all of them unless given")
    asked = parser.parse_args()
    seeds = asked.seeds
    print(f"{machine()}.\n")
    for activation in [asked.activation] if asked.activation else ACTIVATIONS:
        networks = [one for n, d in SIZES for seed in range(seeds) for one in trained(activation, n, d, seed)]
        rows = [estimates(network) for network in tqdm(networks, unit="network")]
        print(f"{activation}: {len(rows)} networks; lower bound on R^d over ...\n")
        print("| of | least | median | largest | below 1 - 1e-6 |")
        print("| --- | --- | --- | --- | --- |")
        for name in rows[0]:
            values = np.array([row[name] for row in rows])
            spread = " | ".join(f"{value:.4g}" for value in np.quantile(values, (0.0, 0.5, 1.0)))
            below = "" if name == "seconds" else str(int((values < 1.0 - 1e-6).sum()))
            print(f"| {name} | {spread} | {below} |", flush=True)
        print()


if __name__ == "__main__":
    cli.guarded(main)
