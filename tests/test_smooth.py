"""The search for smooth psi: ends lie on the domain and above their starts, and wider domains are searched as well."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structured_networks import structured

from lawjax import TwoLayer, bracket
from lawjax.domains import OFF, Ball, Space, Sphere, named
from lawjax.lipschitz.bracketing import brackets
from lawjax.lipschitz.lower.evaluate import gradient_norms
from lawjax.lipschitz.lower.smooth_ascent import polished
from lawjax.vectors import lengths

QUESTIONS = [("space", False), ("ball", False), ("sphere", False), ("sphere", True)]


def bumps(k, d, seed, activation):
    random = np.random.default_rng(seed)
    W, b, a = random.standard_normal((k, d)), random.standard_normal(k), random.standard_normal(k)
    return TwoLayer(W, b, a, activation=activation)


@pytest.mark.parametrize("question", QUESTIONS)
@given(seed=st.integers(0, 10_000), radius=st.sampled_from([0.1, 1.0, 30.0]))
@settings(max_examples=25, deadline=None)
def test_following_leads_upwards_on_the_domain(question, seed, radius):
    name, tangential = question
    domain = named(name, radius, tangential)
    network = structured(seed, smooth=True).network
    starts = np.random.default_rng(seed).standard_normal((5, network.dimension))
    starts = domain.project(radius * starts)
    ends = domain.project(polished(network, starts, domain, 40))
    before, after = (gradient_norms(network, points, domain) for points in (starts, ends))
    rounding = 1e-12 * np.abs(network.a) @ lengths(np.asarray(network.W, np.float64)) + 1e-300
    assert (after >= before * (1.0 - 1e-6) - rounding).all()
    if name == "sphere":
        np.testing.assert_allclose(lengths(ends), radius, rtol=OFF)
    if name == "ball":
        assert (lengths(ends) <= radius * (1.0 + OFF)).all()


def test_one_neuron_is_followed_to_its_hyperplane():
    network = TwoLayer([[3.0, 4.0]], [-10.0], [2.0], activation="tanh")
    ends = polished(network, np.array([[1.0, 0.0], [0.5, 2.0]]), Space(), 100)
    np.testing.assert_allclose(ends @ network.W[0], 10.0, rtol=1e-3)
    on_the_rim = polished(network, np.array([[0.1, 0.2]]), Ball(), 100)
    np.testing.assert_allclose(Ball().project(on_the_rim), [[0.6, 0.8]], atol=1e-4)


def test_no_points_no_ends():
    assert polished(bumps(3, 2, 0, "gelu"), np.zeros((0, 2)), Space(), 5).shape == (0, 2)


@pytest.mark.parametrize("far", [1e2, 1e4, 1e7])
@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_a_steep_neuron_far_from_all_others(activation, far):
    """Between it and the others the gradient is flat, and where it is steep a random point hardly falls."""
    random = np.random.default_rng(3)
    W, a = random.standard_normal((12, 3)), random.standard_normal(12)
    W[0], a[0] = [1.0, 2.0, -2.0], 20.0
    network = TwoLayer(W, np.append(-3.0 * far, random.standard_normal(11)), a, activation=activation)
    found = bracket(network)
    assert found.lower > 60.0 - np.abs(a[1:]) @ lengths(W[1:])


@pytest.mark.parametrize("activation", ["tanh", "gelu", "softplus"])
def test_a_ball_asked_alone_has_no_better_point(activation):
    """The search of R^d finds the one best maximum of many, whatever radius it begins with."""
    network = bumps(16, 4, 5, activation)
    space = bracket(network).lower
    assert bracket(network, Ball(3.0)).lower <= space * (1.0 + 1e-6)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "softplus"])
@pytest.mark.parametrize(("radius", "seed"), [(0.5, 2), (10.0, 1)])
def test_wider_domains_are_never_below_narrower_ones(activation, radius, seed):
    """To the last digit: a wider domain's best point may be another one, of nearly the same gradient."""
    found = brackets(bumps(20, 5, seed, activation), (Sphere(radius), Space(), Ball(radius)))
    space, ball, sphere = (found[domain][0].lower for domain in (Space(), Ball(radius), Sphere(radius)))
    assert space >= ball >= sphere
