"""Networks of caps (sections 3.2 and 3.3) on the unit sphere: brackets, beside the certificate that ignores caps.

    python benchmarks/caps.py

Prints a Markdown table: (n, d, k), the part of the gradient, lower bound, certificate, what it goes by, the plain
certificate (that of R^d), seconds of the bracket.
"""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np
from sweep import machine

from lawjax import TwoLayer, bracket, cli
from lawjax.lipschitz import certify

REFERENCE = Path(__file__).parents[1] / "tests" / "lipschitz_networks.py"
CAPS = ((100, 200), (200, 100), (1000, 200))  # (n, d) of section 3.2, k = n
GROUPED = ((400, 800, 200), (1000, 2000, 500), (1000, 2000, 200), (2000, 2000, 200))  # (n, d, k) of section 3.3


def caps(n: int, d: int) -> TwoLayer:
    """Section 3.2: f(x) = sum_i 10 y_i ReLU(x_i . x - 0.9) for points of the sphere."""
    random = np.random.default_rng(0)
    x = random.standard_normal((n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return TwoLayer(x, np.full(n, -0.9), 10.0 * random.choice([-1.0, 1.0], n))


def reference() -> Any:
    """The module with the tests' networks."""
    spec = importlib.util.spec_from_file_location("lipschitz_networks", REFERENCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def line(name: str, network: TwoLayer, tangential: bool) -> str:
    """One row of the table."""
    start = time.perf_counter()
    found = bracket(network, "sphere", tangential=tangential)
    seconds = time.perf_counter() - start
    by = "a crowd" if found.certificate.crowd else f"{len(found.certificate.cases)} cases"
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
            print(line(f"section 3.2, (n, d) = ({n}, {d})", caps(n, d), tangential), flush=True)
    for sizes in GROUPED:
        print(line(f"section 3.3, (n, d, k) = {sizes}", reference().grouped_caps(*sizes), False), flush=True)


if __name__ == "__main__":
    cli.guarded(main)
