"""Proofs that count how many caps can overlap: above the truth, and equal to it for orthogonal caps."""

import numpy as np
import pytest

from lawjax import TwoLayer
from lawjax.domains import Sphere
from lawjax.lipschitz import certify, exact_circle
from lawjax.lipschitz.lower.evaluate import gradient_norms
from lawjax.lipschitz.upper.overlaps import best_overlap, proved_overlap_bound, quadratic
from lawjax.lipschitz.upper.slopes import slope_intervals

KINKED = ("relu", "leaky_relu", "abs")


def overlap_bound(f, radius=1.0):
    of = quadratic(f, *slope_intervals(f, Sphere(radius)), radius)
    return None if of is None else proved_overlap_bound(of, best_overlap(of))


def test_never_below_the_exact_constant_on_the_circle():
    random = np.random.default_rng(0)
    tried = 0
    for i in range(100):
        k = int(random.integers(3, 14))
        W, radius = random.standard_normal((k, 2)), float(10.0 ** random.uniform(-2, 2))
        heights = random.uniform(0.2, 1.0, k) * random.choice([1.0, 1.0, -1.0], k) * radius
        a = random.standard_normal(k) * 10.0 ** random.uniform(-10, 10)
        f = TwoLayer(W, -heights * np.linalg.norm(W, axis=1), a, 0.0, KINKED[i % 3])
        bound = overlap_bound(f, radius)
        if bound is not None:
            tried += 1
            assert exact_circle(f, Sphere(radius)) <= bound * (1 + 1e-9), f
    assert tried > 60


@pytest.mark.parametrize("height", [0.25, 0.5, 0.7])
def test_orthogonal_caps_are_exact(height):
    """Heights h and orthogonal normals: at most 1/h^2 caps meet, and the gradient is the root of their number."""
    d = 20
    f = TwoLayer(np.eye(d), np.full(d, -height), np.ones(d))
    bound = overlap_bound(f)
    assert np.sqrt(np.floor(1 / height**2)) <= bound <= 1.02 / height
    assert certify(f).bound == pytest.approx(np.sqrt(d), rel=1e-6)
    together = int(np.ceil(1 / height**2)) - 1
    point = np.where(np.arange(d) < together, together**-0.5, 0.0)[None]
    assert gradient_norms(f, point)[0] == pytest.approx(together**0.5)


def test_low_caps_say_nothing():
    """Where all neurons could be on together, nothing is tried."""
    random = np.random.default_rng(1)
    assert overlap_bound(TwoLayer(random.standard_normal((10, 5)), np.full(10, 0.01), np.ones(10))) is None
