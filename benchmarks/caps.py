"""Networks of caps (sections 3.2 and 3.3) on the unit sphere: brackets, beside the certificate that ignores caps.

    python benchmarks/caps.py

Prints a Markdown table: (n, d, k), the part of the gradient, lower bound, certificate, what it goes by, the plain
certificate (that of R^d), seconds of the bracket.
"""

from __future__ import annotations

import time

import numpy as np
from common import machine

from lawjax import Dataset, TwoLayer, bracket, cli, constructions
from lawjax.domains import Sphere
from lawjax.lipschitz import DisjointCaps, certify

CAPS = ((100, 200), (200, 100), (1000, 200))  # (n, d) of section 3.2, k = n
GROUPED = ((400, 800, 200), (1000, 2000, 500), (1000, 2000, 200), (2000, 2000, 200))  # (n, d, k) of section 3.3


def sphere(n: int, d: int) -> Dataset:
    """Points of the sphere with labels at random, in float64."""
    random = np.random.default_rng(0)
    x = random.standard_normal((n, d))
    return Dataset(x / np.linalg.norm(x, axis=1, keepdims=True), random.choice([-1.0, 1.0], n))


def line(name: str, network: TwoLayer, tangential: bool) -> str:
    """One row of the table."""
    start = time.perf_counter()
    found = bracket(network, Sphere(tangential=tangential))
    seconds = time.perf_counter() - start
    by = f"{len(found.proof.parts)} parts" if isinstance(found.proof, DisjointCaps) else found.proof.by
    part = "along the sphere" if tangential else "whole"
    cells = (
        name,
        part,
        f"{found.lower:.5g}",
        f"{found.upper:.5g}",
        by,
        f"{certify(network).bound:.4g}",
        f"{seconds:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """The command line."""
    print(f"{machine()}.\n")
    print("| network | gradient | lower bound | certificate | by | certificate on R^d | time (s) |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for n, d in CAPS:
        for tangential in (False, True):
            print(
                line(f"section 3.2, (n, d) = ({n}, {d})", constructions.caps(sphere(n, d)).network, tangential),
                flush=True,
            )
    for n, d, k in GROUPED:
        network = constructions.grouped_caps(sphere(n, d), k).network
        print(line(f"section 3.3, (n, d, k) = ({n}, {d}, {k})", network, False), flush=True)


if __name__ == "__main__":
    cli.guarded(main)
