"""Points far from 0 and in odd units: their standard form, and training and searching there."""

import json
import math

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lipschitz_networks import generic, random_network

from lawjax import Dataset, TrainingConfig, TwoLayer, UserError, check, data, frontier, memorize
from lawjax.domains import Ball, Space, Sphere, named
from lawjax.frontier import FrontierConfig, search, search_deep
from lawjax.frontier import points as frontier_points
from lawjax.standard import StandardForm, standard_form
from lawjax.train import pack, training
from lawjax.train.training import loss_curve

N, D = 30, 12
POINTS = generic(N, D, model="gaussian")
KEY = jax.random.key(1, impl="threefry2x32")
SHORT = FrontierConfig(steps=400, starts=1)
LONGER = FrontierConfig(steps=1000)
QUICK = TrainingConfig(learning_rate=1e-2, step_limit=1500)


def with_feature(values):
    x = POINTS.x.copy()
    x[:, 3] = values
    return x


FAR = {
    "2000 +- 1": with_feature(2000.0 + np.random.default_rng(0).standard_normal(N)),
    "all + 1e5": POINTS.x + 1e5,
    "one of -1e8": with_feature(-1e8 + POINTS.x[:, 3]),
    "constant 1e9": with_feature(1e9),
}
ODD = {"1e-40": 1e-40 * POINTS.x, "1e60": 1e60 * POINTS.x, "1e-12": 1e-12 * POINTS.x}


def as_they_are():
    """The plain form, whatever the points."""
    return StandardForm(None, 0)


def around(x):
    """What the points are to a network that may move: x - mean, exact for constant features."""
    return x - data.centre(x)


# The form


@pytest.mark.parametrize("model", ["gaussian", "sphere"])
@pytest.mark.parametrize(("n", "d"), [(10, 2), (10, 50), (100, 1), (100, 100), (2000, 20)])
def test_the_papers_data_stay_as_they_are(model, n, d):
    for seed in range(10):
        x = generic(n, d, seed, model).x
        form = standard_form(x)
        assert form.is_plain and form.points(x) is x
        network = TwoLayer(np.ones((2, d), np.float32), np.ones(2, np.float32), np.ones(2, np.float32))
        assert form.given(network) is network and form.own(network) is network


@pytest.mark.parametrize("model", ["gaussian", "sphere"])
@pytest.mark.parametrize("config", [TrainingConfig(), TrainingConfig(batch_norm=False, dtype="float64")])
def test_on_the_papers_data_training_and_search_have_the_bits_they_had(monkeypatch, model, config):
    """Those of a program that knows of no form at all."""
    dataset = Dataset(*(np.asarray(leaf, np.float32) for leaf in generic(N, D, model=model)))
    runs = []
    for _ in range(2):
        trained = memorize(dataset, [7], KEY, config)[0]
        found = search(dataset, 6, FrontierConfig(steps=100)), search(dataset, 9, FrontierConfig(0.0, steps=100))
        runs.append((trained, *found))
        for module in (pack, training, frontier_points):
            monkeypatch.setattr(module, "standard_form", lambda x, movable=True: as_they_are())
    for now, then in zip(*runs, strict=True):
        for left, right in zip(jax.tree.leaves(now.network), jax.tree.leaves(then.network), strict=True):
            assert left.dtype == right.dtype and left.tobytes() == right.tobytes()
    assert runs[0][0].network.W.dtype == config.dtype


@pytest.mark.parametrize("name", FAR)
def test_far_points_are_moved_to_their_mean_and_constants_to_zero(name):
    x = FAR[name]
    form = standard_form(x)
    assert form.exponent == 0
    np.testing.assert_array_equal(form.points(x), x - form.shift)
    assert np.abs(form.points(x).mean(0)).max() < 1e-6
    if name.startswith("constant"):
        assert form.shift[3] == 1e9 and not form.points(x)[:, 3].any()
    assert standard_form(x, movable=False).shift is None


@pytest.mark.parametrize("name", ODD)
def test_odd_units_become_a_power_of_two(name):
    form = standard_form(ODD[name])
    assert form.shift is None
    x = form.points(ODD[name])
    assert 0.5 <= math.sqrt(np.mean(np.sum(x**2, 1))) < 1.0
    np.testing.assert_array_equal(form.given_points(x), ODD[name])


@given(st.integers(0, 10**6), st.sampled_from(sorted(FAR | ODD)), st.sampled_from(["relu", "tanh"]))
def test_networks_are_the_same_function_and_come_back(seed, name, activation):
    x = (FAR | ODD)[name]
    form = standard_form(x)
    network = random_network(np.random.default_rng(seed), activation, scales=0.0)
    network = TwoLayer(np.resize(network.W, (network.n_neurons, D)), network.b, network.a, network.c, activation)
    given_network = form.given(network)
    scale = np.abs(network.a) @ (np.abs(network.W) @ np.abs(form.points(x)).max(0) + 1.0)
    digits = 1e-15 * (1.0 if form.shift is None else np.abs(form.shift).max())
    assert np.abs(given_network(x) - network(form.points(x))).max() <= max(digits, 1e-14) * D * scale
    back = form.own(given_network)
    np.testing.assert_allclose(back.W, network.W, rtol=1e-15)
    np.testing.assert_allclose(back.b, network.b, atol=max(digits, 1e-15) * D * np.abs(network.W).max())


def test_equal_points_and_zeros_are_not_moved():
    assert standard_form(np.zeros((3, 2))).is_plain
    assert standard_form(np.full((3, 2), 5.0)).is_plain
    assert standard_form(np.full((3, 2), 1e50)) == StandardForm(None, 167)


def test_precision_is_kept_where_nothing_is_lost():
    network = TwoLayer(np.ones((2, 1)), np.ones(2), np.ones(2))
    for form, scale, kept in (
        (StandardForm(None, 20), 1.0, np.float32),
        (StandardForm(None, 20), 1e60, np.float64),
        (StandardForm(None, 20), 1e-60, np.float64),
        (StandardForm(np.ones(1), 0), 1.0, np.float64),
        (StandardForm(None, 0), 1.0, np.float32),
    ):
        scaled = TwoLayer(scale * network.W, network.b, network.a)
        assert {leaf.dtype for leaf in jax.tree.leaves(form.rounded(scaled, np.float32))} == {np.dtype(kept)}


@pytest.mark.parametrize("size", [1e-320, 1e-300, 1e300])
def test_sizes_that_leave_no_room_are_refused_with_a_sentence(size):
    for call in (search, memorize):
        with pytest.raises(UserError, match="size"):
            call(Dataset(size * POINTS.x, POINTS.y), 3, key=KEY)


# Searching


@pytest.mark.parametrize("name", FAR)
def test_the_search_sees_far_points_as_those_around_their_mean(name):
    far = Dataset(FAR[name], POINTS.y)
    found, near = search(far, 10, SHORT), search(Dataset(around(far.x), far.y), 10, SHORT)
    assert found.fitted and near.fitted
    assert found.bracket.upper == pytest.approx(near.bracket.upper, rel=0.02)
    assert found.network.W.dtype == found.network.b.dtype == np.float64
    error = found.network(far.x) - far.y
    assert np.mean(error**2) <= 0.02 and (error * far.y > -1.0).all()


@pytest.mark.parametrize("name", ["2000 +- 1", "constant 1e9"])
def test_exact_fits_far_from_0(name):
    found = search(Dataset(FAR[name], POINTS.y), 16, FrontierConfig(0.0, steps=400, starts=1))
    assert found.fitted and found.fit_error <= 1e-6
    assert np.abs(found.network(FAR[name]) - POINTS.y).max() == found.fit_error


@pytest.mark.parametrize(
    ("name", "domain", "options"),
    [
        ("1e-40", Space, {}),
        ("1e60", Space, {}),
        ("1e-12", Space, {"epsilon": 0.0}),
        ("1e-40", Ball, {}),
        ("1e60", Sphere, {}),
    ],
)
def test_units_scale_the_bound(name, domain, options):
    """The radius goes with the points; bounds with one over their size."""
    size = float(name)
    config = {"steps": 400, "starts": 1, **options}
    there = domain() if domain is Space else domain(size)
    found = search(Dataset(ODD[name], POINTS.y), 14, FrontierConfig(domain=there, **config))
    plain = search(POINTS, 14, FrontierConfig(domain=domain(), **config))
    assert found.fitted and plain.fitted
    assert found.bracket.upper * size == pytest.approx(plain.bracket.upper, rel=0.05)
    assert found.bracket.lower <= found.bracket.upper


@pytest.mark.parametrize("domain", ["ball", "sphere"])
def test_a_ball_around_0_that_holds_far_points(domain):
    """It is a ball around another point once the points are moved; the proof is on the ball as given."""
    x = POINTS.x + 1e3
    found = search(Dataset(x, POINTS.y), 10, FrontierConfig(steps=600, domain=named(domain, 1e3 * math.sqrt(D) + 4)))
    near = search(POINTS, 10, FrontierConfig(steps=600))
    assert found.fitted and found.bracket.domain.name == domain
    assert found.bracket.upper <= 1.05 * near.bracket.upper
    small = search(Dataset(x, POINTS.y), 10, FrontierConfig(steps=600, domain=domain))
    assert small.fitted and small.bracket.upper < 0.1  # nothing needs to happen near 0


def test_initial_networks_start_from_where_they_are():
    far = Dataset(FAR["2000 +- 1"], POINTS.y)
    first = search(far, 8, SHORT)
    again = search(far, 12, FrontierConfig(steps=300, starts=0), initial=[first.network])
    assert again.fitted and again.bracket.upper < 1.1 * first.bracket.upper


def test_two_hidden_layers_far_from_0_and_in_odd_units():
    plain = search_deep(POINTS, 8, FrontierConfig(steps=800))
    for x, size in ((POINTS.x + 1e5, 1.0), (1e-40 * POINTS.x, 1e-40), (1e60 * POINTS.x, 1e60)):
        found = search_deep(Dataset(x, POINTS.y), 8, FrontierConfig(steps=800))
        assert found.fitted == plain.fitted == True  # noqa: E712
        assert found.upper * size == pytest.approx(plain.upper, rel=0.1)
        assert 0 < found.lower <= found.upper


def test_a_network_found_far_from_0_is_checked(tmp_path):
    found = search(Dataset(FAR["all + 1e5"], POINTS.y), 6, SHORT)
    found.network.save(tmp_path / "f.npz")
    (tmp_path / "f.json").write_text(json.dumps(found.bracket.proof.record(found.network)))
    assert check.check(tmp_path / "f.npz", tmp_path / "f.json")[0]


def test_forms_on_a_small_ball_are_those_on_a_large_one():
    """Their gradient is linear: the radius is a factor."""
    config = {"epsilon": 0.3, "activation": "power:2", "steps": 600}
    large, small = (search(POINTS, 12, FrontierConfig(**config, domain=Ball(radius))) for radius in (1.0, 1e-3))
    assert small.fitted and small.bracket.upper * 1e3 == pytest.approx(large.bracket.upper, rel=0.02)


def test_constant_features_change_nothing():
    for value in (0.3, 7.0, -1e6):
        x = np.concatenate([POINTS.x, np.full((N, 1), value)], axis=1)
        found, plain = search(Dataset(x, POINTS.y), 10, LONGER), search(POINTS, 10, LONGER)
        assert found.fitted and found.bracket.upper == pytest.approx(plain.bracket.upper, rel=0.05)


# Training


@pytest.mark.parametrize("choice", [{}, {"batch_norm": False}, {"batch_size": 10}, {"dtype": "float64"}])
@pytest.mark.parametrize("name", [*FAR, *ODD])
def test_training_far_from_0_and_in_odd_units(name, choice):
    dataset = Dataset((FAR | ODD)[name], POINTS.y)
    config = TrainingConfig(learning_rate=1e-2, step_limit=1500, **choice)
    [found] = memorize(dataset, [20], KEY, config)
    assert found.fitted and found.network.W.dtype == (np.float64 if name in FAR or name != "1e-12" else config.dtype)
    outputs = found.network.astype(np.float64)(dataset.x)
    assert np.mean((outputs - dataset.y) ** 2) == pytest.approx(found.loss, rel=1e-4)
    if name in ODD:
        return
    [near] = memorize(Dataset(around(dataset.x), POINTS.y), [20], KEY, config)
    assert abs(found.steps - near.steps) <= 2  # the same training, but for roundings of the points


def test_the_curve_is_that_of_the_network_that_is_trained():
    dataset = Dataset(FAR["all + 1e5"], POINTS.y)
    [found] = memorize(dataset, [20], KEY, QUICK)
    assert loss_curve(dataset, 20, KEY, found.steps + 1, QUICK)[-1] == pytest.approx(found.loss, rel=1e-6)


# What cannot be


@pytest.mark.parametrize("call", [search, memorize])
def test_points_that_cannot_be_told_apart(call):
    twins = Dataset(np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 2.0]]), np.array([1.0, 1.0, -1.0]))
    with pytest.raises(UserError, match="Points 0 and 2 .* equal, so no function fits"):
        call(twins, 3, key=KEY)
    close = Dataset(np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 2.0 + 1e-9]]), twins.y)
    with pytest.raises(UserError, match="Points 0 and 2 .* float32 can tell"):
        call(close, 3, key=KEY)
    same = Dataset(np.array([[1.0, 2.0], [1.0, 2.0]]), np.ones(2))
    assert call(same, 2, key=KEY) is not None
    assert data.twins(np.array([[0.0], [-0.0]]), np.array([1.0, -1.0])) == (0, 1)


def test_double_precision_tells_more_apart():
    close = Dataset(np.array([[1.0], [1.0 + 1e-9], [0.0]]), np.array([1.0, -1.0, 1.0]))
    assert memorize(close, 3, KEY, TrainingConfig(dtype="float64", step_limit=1))[0].steps == 1


def test_equal_points_of_one_label_are_fitted_by_a_constant():
    for x in (np.full((5, 3), 1e5), np.full((5, 3), 1e60), np.zeros((5, 3))):
        found = frontier.search(Dataset(x, -np.ones(5)), 3, FrontierConfig(steps=300))
        assert found.fitted and found.bracket.upper == pytest.approx(0.0, abs=1e-6)


def test_what_no_precision_can_search_is_said():
    with pytest.raises(UserError, match="forms t\\^2 have no biases"):
        search(Dataset(POINTS.x + 1e3, POINTS.y), 12, FrontierConfig(0.3, "power:2", "ball", steps=10))
    with pytest.raises(UserError, match="float64 cannot tell an exact fit"):
        search(Dataset(POINTS.x + 1e11, POINTS.y), 12, FrontierConfig(0.0, steps=10))
