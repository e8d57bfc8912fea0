"""The oracles themselves: counts of cells, dense sampling, closed forms."""

import math

import numpy as np
import pytest
from lipschitz_networks import random_network

from lawjax import TwoLayer, UserError
from lawjax.domains import Sphere
from lawjax.lipschitz import exact_circle, exact_space
from lawjax.lipschitz.lower import exact


@pytest.mark.parametrize(("d", "k"), [(1, 5), (2, 1), (2, 7), (3, 8), (4, 4), (5, 3), (6, 9)])
def test_cells_of_planes_in_general_position(d, k):
    rng = np.random.default_rng(d * 100 + k)
    patterns = exact.space_patterns(rng.standard_normal((k, d)), rng.standard_normal(k))
    assert len(patterns) == len(np.unique(patterns, axis=0)) == sum(math.comb(k, i) for i in range(d + 1))
    through_zero = exact.space_patterns(rng.standard_normal((k, d)), np.zeros(k))
    assert len(through_zero) == 2 * sum(math.comb(k - 1, i) for i in range(d))


def test_duplicates_and_parallels_cut_no_more_cells():
    W, b = np.array([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]), np.array([0.5, 1.0, 0.5, 0.0])
    # x = -1/2 twice, x = 1/2, y = 0: three strips cut in two
    assert len(exact.space_patterns(W, b)) == 6


@pytest.mark.parametrize("seed", range(30))
def test_sampling_never_exceeds_the_exact_constant_and_reaches_it_on_the_line(seed):
    rng = np.random.default_rng(seed)
    f = random_network(rng, ("relu", "abs", "leaky_relu")[seed % 3], scales=0.0)
    points = rng.standard_normal((20000, f.dimension)) * 10 ** rng.uniform(-1, 2, (20000, 1))
    sampled = np.linalg.norm(f.gradient(points), axis=1).max()
    found = exact_space(f)
    assert sampled <= found * (1 + 1e-12)
    if f.dimension == 1:
        assert sampled >= found * (1 - 1e-12)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("tangential", [False, True])
def test_the_circle_is_its_dense_sampling(seed, tangential):
    rng = np.random.default_rng(seed)
    k = 8
    f = TwoLayer(rng.standard_normal((k, 2)), 0.7 * rng.standard_normal(k), rng.standard_normal(k))
    angles = np.linspace(0, 2 * np.pi, 200_001)
    points = 1.5 * np.stack([np.cos(angles), np.sin(angles)], 1)
    gradients = f.gradient(points)
    if tangential:
        gradients = gradients - (gradients * points).sum(1, keepdims=True) * points / 1.5**2
    sampled = np.linalg.norm(gradients, axis=1).max()
    assert sampled == pytest.approx(exact_circle(f, Sphere(1.5, tangential)), rel=1e-4)
    assert sampled <= exact_circle(f, Sphere(1.5, tangential)) * (1 + 1e-9)


def test_what_has_no_exact_constant_is_refused():
    f = TwoLayer(np.eye(3), np.zeros(3), np.ones(3), activation="tanh")
    with pytest.raises(UserError, match="Exact constants"):
        exact_space(f)
    with pytest.raises(UserError, match="d = 2"):
        exact_circle(TwoLayer(np.eye(3), np.zeros(3), np.ones(3)))
    with pytest.raises(UserError, match="Too many cells"):
        exact_space(TwoLayer(np.ones((60, 30)), np.ones(60), np.ones(60)))
