"""Networks of two hidden layers: their gradient, the bound on it, and the search."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lipschitz_networks import generic

from lawjax import Dataset, TwoLayer, UserError, check
from lawjax.frontier import FrontierConfig, Starts, ThreeLayer, search_deep
from lawjax.frontier.deep import TwoHiddenLayers
from lawjax.frontier.objective import Start
from lawjax.frontier.points import standardised
from lawjax.lipschitz import certify


def random_deep(seed):
    random = np.random.default_rng(seed)
    d, inner, k = (int(size) for size in random.integers(1, 8, 3))
    A, u = random.standard_normal((inner, d)), random.standard_normal(inner)
    outer = TwoLayer(random.standard_normal((k, inner)), random.standard_normal(k), random.standard_normal(k), 0.3)
    return ThreeLayer(A, u, outer), random


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_no_gradient_exceeds_the_bound(seed):
    """And the gradient is that of the function: it predicts values nearby."""
    network, random = random_deep(seed)
    x = 3.0 * random.standard_normal((300, network.A.shape[1]))
    gradients = network.gradient(x)
    assert np.linalg.norm(gradients, axis=1).max() <= network.bound()
    step = 1e-7 * random.standard_normal(x.shape)
    difference = network(x + step) - network(x)
    near = np.abs(difference - (gradients * step).sum(1)) < 1e-6 * np.linalg.norm(step, axis=1) + 1e-13
    assert near.mean() > 0.97  # but where a kink is crossed
    far = x[:150], x[150:]
    values = [network(points) for points in far]
    rounding = 1e-13 * np.maximum(*np.abs(values))  # a line of the steepest slope is drawn by rounded values
    assert (np.abs(values[0] - values[1]) <= network.bound() * np.linalg.norm(far[0] - far[1], axis=1) + rounding).all()


def test_an_isometry_in_front_costs_nothing():
    """With A orthogonal the bound is the outer network's certificate."""
    network, random = random_deep(4)
    inner = network.A.shape[0]
    A = np.linalg.qr(random.standard_normal((inner, inner)))[0]
    assert ThreeLayer(A, network.u, network.outer).bound() == pytest.approx(certify(network.outer).bound, rel=1e-9)


def test_the_checker_proves_the_bound_and_nothing_less(tmp_path):
    network, random = random_deep(7)
    files = tmp_path / "f.npz", tmp_path / "f.json"
    network.save(files[0])
    record = network.record()
    assert network.bound() <= record["bound"] <= network.bound() * (1 + 1e-9)

    def verdict(changed):
        files[1].write_text(json.dumps(changed))
        return check.check(*files)

    assert verdict(record)[0]
    norm = np.linalg.norm(network.A, 2)
    for change in (
        {"bound": record["bound"] * (1 - 1e-9)},
        {"norm": norm * (1 - 1e-9), "bound": 2 * record["bound"]},
        {"outer": {**record["outer"], "bound": record["outer"]["bound"] * (1 - 1e-6)}},
        {"outer": {**record["outer"], "domain": "ball"}},
        {"outer": 3},
        {"inner": "0"},
        {"norm": math.nan},
        {"norm": 1e300},
        {"kind": check.KIND},
    ):
        valid, why = verdict({**record, **change})
        assert not valid and why.endswith("."), change
    ThreeLayer(2.0 * network.A, network.u, network.outer).save(files[0])
    assert "another network" in verdict(record)[1]
    with pytest.raises(UserError, match="lacks W"):
        TwoLayer.load(files[0])


def test_neurons_may_be_rescaled():
    network, _ = random_deep(5)
    A, u, outer = network
    scaled = ThreeLayer(4.0 * A, 4.0 * u, TwoLayer(outer.W / 4.0, outer.b, outer.a, outer.c))
    x = np.random.default_rng(0).standard_normal((20, A.shape[1]))
    np.testing.assert_allclose(scaled(x), network(x), rtol=1e-12)
    assert scaled.bound() == pytest.approx(network.bound(), rel=1e-9)


def test_the_search_fits_and_is_bounded():
    dataset = generic(60, 20, model="gaussian")
    found = search_deep(dataset, 15, FrontierConfig(steps=2000, starts=2), jax.random.key(1), inner=20)
    outputs = found.network(dataset.x)
    assert found.fitted
    assert np.mean((outputs - dataset.y) ** 2) == pytest.approx(found.loss) and found.loss <= 0.02
    assert (outputs * dataset.y > 0).all()
    assert found.network.A.shape == (20, 20) and found.network.outer.n_neurons == 15
    assert 1.0 < found.lower <= found.upper == found.network.bound() < 1.5 * found.lower


def test_mistakes():
    dataset = generic(10, 5)
    for config in (FrontierConfig(0.0), FrontierConfig(activation="tanh"), FrontierConfig(domain="sphere")):
        with pytest.raises(UserError, match="Two hidden layers"):
            search_deep(dataset, 4, config)
    with pytest.raises(UserError, match="number of neurons k must"):
        search_deep(dataset, 0)
    assert math.isfinite(search_deep(dataset, 1, FrontierConfig(steps=50)).upper)


def test_the_objective_is_the_network_and_its_bound():
    """Outputs are those of the network; left to iterate, the root of the squared bound is the proved one; padding."""
    random = np.random.default_rng(5)
    d, inner, k = 6, 5, 8
    objective = TwoHiddenLayers(inner, 8)
    x = random.standard_normal((20, d))
    params, signs, U = objective.drawn(jax.random.key(0), 0, k, d, Starts())
    A, outer = params.A, params.outer
    points, own = jnp.asarray(x), jnp.asarray(signs)
    network = ThreeLayer(A, params.u, TwoLayer(outer.W / math.sqrt(inner), outer.b, signs * outer.s, outer.c))
    np.testing.assert_allclose(objective.outputs(params, own, points), network(x), rtol=1e-4, atol=1e-5)
    vectors = jnp.asarray(U)
    for _ in range(400):
        squared, vectors = objective.squared_bound(params, own, vectors, math.inf)
    assert math.sqrt(squared) == pytest.approx(network.bound(), rel=1e-2)
    wide, more = objective.padded(params, k + 3), jnp.append(own, jnp.zeros(3))
    np.testing.assert_allclose(objective.outputs(wide, more, points), objective.outputs(params, own, points), rtol=1e-6)
    for leaf, again in zip(jax.tree.leaves(params), jax.tree.leaves(objective.unpadded(wide, k)), strict=True):
        np.testing.assert_array_equal(leaf, again)


def test_a_finished_network_is_a_multiple_of_the_searched_one_and_a_constant():
    dataset = generic(20, 6, model="gaussian")
    dataset = Dataset(3.0 * dataset.x + 5.0, dataset.y)
    points = standardised(dataset, FrontierConfig())
    objective = TwoHiddenLayers(5, 8)
    weights = objective.drawn(jax.random.key(1), 0, 8, 6, Starts(deep_scale=1.0))
    found = objective.finished(weights.params, Start(0, points, weights), dataset, FrontierConfig(0.5))
    signs = jnp.asarray(weights.signs)
    searched = np.asarray(objective.outputs(weights.params, signs, jnp.asarray(points.x)))
    slope, constant = np.polyfit(searched, found(dataset.x), 1)
    assert slope >= 0
    np.testing.assert_allclose(slope * searched + constant, found(dataset.x), atol=1e-5)
