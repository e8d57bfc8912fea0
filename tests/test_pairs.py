"""Pairs against all pairs one by one, kinks against the exact constant along the circle, closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lipschitz_networks import random_network

from lawjax import TwoLayer, UserError
from lawjax.domains import Sphere
from lawjax.lipschitz import exact_circle, exact_space
from lawjax.lipschitz.lower import pairs
from lawjax.lipschitz.lower.evaluate import gradient_norms
from lawjax.lipschitz.lower.kinks import kink_bound
from lawjax.lipschitz.lower.pairs import pair_bound

SEEDS = st.integers(0, 2**32 - 1)
KINKED = ("relu", "leaky_relu", "abs")
EVERY = (*KINKED, "tanh", "softplus", "gelu", "identity", "power:3", "polynomial:1,-2,0.5")


# --- Pairs -----------------------------------------------------------------------------------------------------------


def brute_force(f, x):
    best = 0.0
    for i in range(len(x)):
        for j in range(i):
            distance = np.linalg.norm(x[i] - x[j])
            if distance:
                best = max(best, abs(f(x[i]) - f(x[j])) / distance)
    return best


@given(SEEDS, st.sampled_from(EVERY), st.integers(2, 12), st.sampled_from([1e-8, 1.0, 1e8]))
def test_all_pairs_one_by_one(seed, activation, n, scale):
    rng = np.random.default_rng(seed)
    f = random_network(rng, activation, scales=0.0)
    x = rng.standard_normal((n, f.dimension)) * (scale if activation in KINKED else 1.0)
    x[rng.integers(n)] = x[0]  # equal points are passed over
    bound = pair_bound(f, x)
    expected = brute_force(f, x)
    # Small differences of large values are worth less: those are the only ones to go missing.
    lost = 1e-11 * (np.abs(f.a) @ (np.abs(f.b) + np.linalg.norm(f.W, axis=1) * np.abs(x).max())) / np.abs(x).max()
    assert expected * (1 - 1e-9) - 100.0 * lost <= bound.value <= expected * (1 + 1e-9)
    if bound.value > 0:
        assert bound.i < bound.j
        slope = abs(f(x[bound.i]) - f(x[bound.j])) / np.linalg.norm(x[bound.i] - x[bound.j])
        assert slope * (1 - 1e-9) - 100.0 * lost <= bound.value <= slope * (1 + 1e-9)


@given(SEEDS, st.sampled_from(KINKED))
def test_never_above_the_exact_constant(seed, activation):
    """Also with points so near each other that their difference is rounding alone."""
    rng = np.random.default_rng(seed)
    f = random_network(rng, activation, max_d=3, max_k=6)
    x = rng.standard_normal((8, f.dimension)) * 10.0 ** rng.uniform(-3, 3)
    x = np.concatenate([x, x * (1 + 1e-15), x * (1 + 1e-12), x + 1e-9])
    assert pair_bound(f, x).value <= exact_space(f) * (1 + 1e-12)


def test_an_affine_function_reaches_its_constant():
    w = np.array([[3.0, 4.0]])
    f = TwoLayer(w, [0.7], [1.0], 0.0, "identity")
    bound = pair_bound(f, np.array([[0.0, 0.0], [1.0, 0.0], [0.6, 0.8]]))
    assert bound.value == pytest.approx(5.0, rel=1e-12) and (bound.i, bound.j) == (0, 2)
    assert bound.value <= 5.0


def test_fitted_data_give_at_least_the_floor():
    """Section 3.1's construction fits: the bound is no smaller than max 2 / ||x_i - x_j|| over different labels."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 60)) / np.sqrt(60)
    y = rng.choice([-1.0, 1.0], 30)
    w = x.T @ np.linalg.solve(x @ x.T, y)
    f = TwoLayer(w[None], [0.0], [1.0], 0.0, "identity")
    floor = max(2 / np.linalg.norm(x[i] - x[j]) for i in range(30) for j in range(i) if y[i] != y[j])
    assert floor * (1 - 1e-9) <= pair_bound(f, x).value <= np.linalg.norm(w)


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_blocks_and_points_far_from_zero(monkeypatch, far):
    """Distances by products cancel far out and are measured again; blocks cut the pairs in any way."""
    rng = np.random.default_rng(1)
    f = TwoLayer(rng.standard_normal((9, 5)), rng.standard_normal(9), rng.standard_normal(9))
    x = rng.standard_normal((60, 5)) + far * np.eye(5)[0]
    x[50] = x[3] + 1e-3 * rng.standard_normal(5)
    whole = pair_bound(f, x)
    assert whole.value == pytest.approx(brute_force(f, x), rel=1e-9 if far == 0 else 1e-3)
    for entries in (1, 10, 17 * 17, 1000):
        monkeypatch.setattr(pairs, "BLOCK_ENTRIES", entries)
        assert pair_bound(f, x).value == pytest.approx(whole.value, rel=1e-9)


def test_many_equal_points():
    rng = np.random.default_rng(2)
    f = TwoLayer(rng.standard_normal((9, 5)), rng.standard_normal(9), rng.standard_normal(9))
    few = rng.standard_normal((3, 5))
    assert pair_bound(f, np.repeat(few, 500, 0)).value == pytest.approx(pair_bound(f, few).value, rel=1e-12)
    for x in (few[:1], few[:0], np.repeat(few[:1], 7, 0)):
        assert pair_bound(f, x) == (0.0, 0, 0)


def test_values_beyond_float64_prove_nothing():
    f = TwoLayer([[1e200], [1.0]], [0.0, 0.0], [1.0, 1.0], 0.0, "power:2")
    assert pair_bound(f, np.array([[0.0], [1.0]])) == (0.0, 0, 0)
    f = TwoLayer([[1e150], [1.0]], [0.0, 0.0], [1e100, 1.0], 0.0, "relu")
    assert pair_bound(f, np.array([[-1.0], [1.0], [1e-50]])).value == pytest.approx(1e250, rel=1e-9)


def test_mistakes_are_named():
    f = TwoLayer(np.eye(2), np.zeros(2), np.ones(2))
    with pytest.raises(UserError, match="shape"):
        pair_bound(f, np.ones((3, 5)))
    with pytest.raises(UserError, match="NaN"):
        pair_bound(f, np.array([[np.nan, 0.0]]))
    stack = TwoLayer(np.ones((3, 2, 2)), np.zeros((3, 2)), np.ones((3, 2)))
    with pytest.raises(UserError, match="stack"):
        pair_bound(stack, np.ones((3, 2)))
    with pytest.raises(UserError, match="stack"):
        kink_bound(stack)
    with pytest.raises(UserError, match="radius"):
        kink_bound(f, Sphere(-1.0))


# --- Kinks -----------------------------------------------------------------------------------------------------------


def closed_form(f, radius=1.0):
    """The largest of (beta - alpha)/2 |a_l| ||w_l|| sqrt(1 - t_l^2), for neurons with a hyperplane each to itself."""
    norms = np.linalg.norm(f.W, axis=1)
    t = -f.b / (radius * norms)
    jump = {"relu": 1.0, "leaky_relu": 0.99, "abs": 2.0}[f.activation.name]
    return 0.5 * jump * (np.abs(f.a) * norms * np.sqrt(np.maximum(1 - t**2, 0.0))).max()


@pytest.mark.parametrize("activation", KINKED)
@pytest.mark.parametrize("d", [2, 3, 10, 200])
def test_the_closed_form_of_distinct_hyperplanes(activation, d):
    rng = np.random.default_rng(d)
    for radius in (1.0, 0.1, 30.0):
        W, b, a = rng.standard_normal((20, d)), rng.standard_normal(20), rng.standard_normal(20)
        f = TwoLayer(W, b * radius, a, 0.0, activation)
        found = kink_bound(f, Sphere(radius))
        assert found.value == pytest.approx(closed_form(f, radius), rel=1e-6)
        assert found.value <= closed_form(f, radius) * (1 + 1e-12)
        assert gradient_norms(f, found.witness[None], Sphere(radius, tangential=True))[0] >= found.value
        assert np.linalg.norm(found.witness) == pytest.approx(radius, rel=1e-12)
        single = TwoLayer(W[[found.neuron]], b[[found.neuron]] * radius, a[[found.neuron]], 0.0, activation)
        assert closed_form(single, radius) == pytest.approx(found.value, rel=1e-6)


@given(SEEDS, st.sampled_from(KINKED), st.sampled_from([0.5, 1.0, 3.0]))
def test_never_above_the_exact_constant_along_the_circle(seed, activation, radius):
    rng = np.random.default_rng(seed)
    for _ in range(8):
        f = random_network(rng, activation, max_d=2)
        if f.dimension == 2:
            assert kink_bound(f, Sphere(radius)).value <= exact_circle(f, Sphere(radius, tangential=True)) * (1 + 1e-9)


@given(SEEDS, st.sampled_from(KINKED))
def test_kinks_that_meet_on_the_circle_and_share_hyperplanes(seed, activation):
    """Every kink runs through few points, often with others: no two of these lines need cross elsewhere."""
    rng = np.random.default_rng(seed)
    angles = rng.choice(np.arange(12) * np.pi / 6, (10, 2))
    normals = angles.mean(1)  # of the line through two of twelve points of the circle
    t = np.cos(0.5 * (angles[:, 0] - angles[:, 1]))
    sizes = rng.choice([-2.0, 1.0, 3.0], 10)  # multiples and opposites of one another
    W = sizes[:, None] * np.stack([np.cos(normals), np.sin(normals)], 1)
    f = TwoLayer(W, -sizes * t, rng.choice([-1.0, 1.0, 0.5], 10), 0.0, activation)
    assert kink_bound(f).value <= exact_circle(f, Sphere(tangential=True)) * (1 + 1e-9) + 1e-6


def test_jumps_on_one_hyperplane_add_up():
    """ReLU(z) - ReLU(-z) = z has no kink, |z| = ReLU(z) + ReLU(-z) has twice that of ReLU."""
    w, b = np.array([1.0, 2.0, 2.0]), 0.6
    rows = np.stack([w, -w, 0.1 * w])  # the third equals the first but for roundings
    biases = np.array([b, -b, 0.1 * b])
    height = 3.0 * math.sqrt(1 - 0.2**2)
    for a, expected in (
        ([1.0, 0.0, 0.0], 0.5),
        ([1.0, 1.0, 0.0], 1.0),
        ([1.0, -1.0, 0.0], 0.0),
        ([1.0, 1.0, 10.0], 1.5),
        ([1.0, 0.0, -10.0], 0.0),
        ([1.0, 1.0, -20.0], 0.0),
    ):
        assert kink_bound(TwoLayer(rows, biases, a)).value == pytest.approx(expected * height, rel=1e-6, abs=1e-12)


def test_the_bound_is_sharp_for_a_single_absolute_value():
    f = TwoLayer([[3.0, 4.0]], [0.0], [1.0], 0.0, "abs")
    assert kink_bound(f).value == pytest.approx(exact_circle(f, Sphere(tangential=True)), rel=1e-12)


def test_caps_of_section_3_2():
    """10 ReLU(x_i . x - 0.9): half a jump of 10 sqrt(1 - 0.81) = 10 sqrt(0.19), a half of the true sqrt(19)."""
    X = np.random.default_rng(0).standard_normal((20, 100))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    f = TwoLayer(X, np.full(20, -0.9), np.full(20, 10.0))
    assert kink_bound(f).value == pytest.approx(math.sqrt(19.0) / 2, rel=1e-6)


def test_where_there_is_no_kink():
    rng = np.random.default_rng(0)
    W, a = rng.standard_normal((4, 3)), rng.standard_normal(4)
    none = [
        TwoLayer(W, np.full(4, 100.0), a),  # misses the sphere
        TwoLayer(W, np.zeros(4), a, 0.0, "tanh"),
        TwoLayer(W, np.zeros(4), a, 0.0, "identity"),
        TwoLayer(W, np.zeros(4), 0.0 * a),
        TwoLayer(0.0 * W, np.zeros(4), a),
        TwoLayer(W[:, :1], np.zeros(4), a),  # d = 1: nothing lies along the sphere
    ]
    for f in none:
        found = kink_bound(f, Sphere(2.0))
        assert found.value == 0.0 and np.linalg.norm(found.witness) == 2.0


@pytest.mark.parametrize("activation", KINKED)
def test_symmetries_and_scales_of_kinks(activation):
    rng = np.random.default_rng(5)
    W, b, a = rng.standard_normal((9, 4)), 0.3 * rng.standard_normal(9), rng.standard_normal(9)
    expected = kink_bound(TwoLayer(W, b, a, 0.0, activation)).value
    order, rotation = rng.permutation(9), np.linalg.qr(rng.standard_normal((4, 4)))[0]
    size = 10.0 ** rng.uniform(-10, 10, 9)
    same = [
        TwoLayer(W[order], b[order], a[order], 1.0, activation),
        TwoLayer(W @ rotation, b, a, 0.0, activation),
        TwoLayer(W * size[:, None], b * size, a / size, 0.0, activation),
        TwoLayer(W, b, a, 0.0, activation).padded(12, 4),
    ]
    for f in same:
        assert kink_bound(f).value == pytest.approx(expected, rel=1e-6)
    for scale in (1e-100, 1e100):
        scaled = kink_bound(TwoLayer(W, b, a * scale, 0.0, activation))
        assert scaled.value == pytest.approx(expected * scale, rel=1e-6)
