"""Points near corners: where few kinks are, every cell is met."""

import numpy as np
import pytest

import lawjax
from lawjax import Ball, Space, Sphere, TwoLayer
from lawjax.lipschitz.lower.corners import are_all_met, corner_points
from lawjax.lipschitz.lower.effort import Corners
from lawjax.lipschitz.lower.evaluate import gradient_norms


def few_neurons(seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(2, 8))
    k = int(rng.integers(1, d + 3))
    return TwoLayer(rng.standard_normal((k, d)), rng.standard_normal(k), rng.standard_normal(k))


def samples(network, radius, count=20_000):
    """Points on the sphere, and in the ball."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, network.dimension))
    x *= radius / np.linalg.norm(x, axis=1, keepdims=True)
    return x, x * rng.uniform(0, 1, (count, 1)) ** (1 / network.dimension)


def cells(network, points):
    return {tuple(signs) for signs in (points @ network.W.T + network.b > 0).tolist()}


@pytest.mark.parametrize("seed", range(20))
def test_every_cell_of_the_ball_is_met(seed):
    network, radius = few_neurons(seed), 1.0 + seed % 3
    met = corner_points(network, 3500, Ball(radius), Corners(around=2**9))
    assert (np.linalg.norm(met, axis=1) <= radius * (1 + 1e-12)).all()
    assert cells(network, samples(network, radius)[1]) <= cells(network, met)


@pytest.mark.parametrize("seed", [7, 45, 51])
def test_cells_without_a_corner_in_the_ball_are_found(seed):
    """The sphere of more dimensions than neurons is a ball in their span, few of whose cells have corners inside."""
    rng = np.random.default_rng(seed)
    d, k = 7 + seed % 2, 4 + seed % 4
    network = TwoLayer(rng.standard_normal((k, d)), rng.standard_normal(k), rng.standard_normal(k))
    for radius in (0.5, 0.7, 0.95):
        on_sphere, inside = samples(network, radius, 200_000)
        for domain, points in ((Sphere(radius), on_sphere), (Ball(radius), inside)):
            steepest = gradient_norms(network, points, domain).max()
            found = lawjax.bracket(network, domain)
            assert steepest * (1 - 1e-12) <= found.lower <= found.upper


@pytest.mark.parametrize(
    ("k", "d", "domain", "all_met"), [(12, 8, Ball(), True), (14, 10, Ball(), False), (14, 10, Space(), True)]
)
def test_all_corners_are_not_all_cells_of_the_ball(k, d, domain, all_met):
    """There are 1001 corners of 14 kinks in ten dimensions, and 15913 sets of at most ten of them."""
    assert are_all_met(k, d, 3500, domain) == all_met
