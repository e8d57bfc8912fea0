"""The proved lower bounds against what networks that fit have, trained and constructed, and against known numbers."""

import functools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lipschitz_networks import generic

import lawjax
from lawjax import Dataset, Search, TrainingConfig, TwoLayer, UserError, constructions, keys, lower_bounds
from lawjax.domains import Sphere
from lawjax.lipschitz import brackets, spectral_product
from lawjax.lipschitz.lower.effort import Walks

FEW_WALKS = Search(starts=8, walks=Walks(most=2))


@functools.cache
def fitting_networks():
    """Over two hundred networks that fit, with their data sets: trained, and of every construction."""
    found = []
    config = TrainingConfig(epsilon=0.02, learning_rate=1e-2, step_limit=1000)
    for n, d in ((40, 20), (60, 40), (100, 30), (120, 60), (200, 50)):
        for seed in range(3):
            dataset = generic(n, d, seed, "gaussian")
            widths = [5, 8, 12, 17, 20, 25, 30, 40, 60, 80, 100, 150, 200]
            trained = lawjax.memorize(dataset, widths, keys.weights_key(n, d, seed), config)
            found += [(dataset, one.network) for one in trained if one.fitted]
    for seed in range(10):
        for n, d in ((30, 60), (50, 100), (60, 300)):
            dataset = generic(n, d, seed)
            built = [constructions.linear(dataset), constructions.caps(dataset), constructions.ramps(dataset)]
            built += [constructions.grouped_caps(dataset, k) for k in (n // 3, n // 2)]
            built += [constructions.tensor(dataset, 2, exact=True)]
            found += [(dataset, one.network) for one in built if one.fit_error < 0.1]
    assert len(found) >= 200
    return found


@pytest.fixture(scope="module")
def measured():
    """(data set, network, bracket on R^d or, for polynomials, the ball)."""
    networks = fitting_networks()
    polynomial = [network.activation.name.startswith("power") for _, network in networks]
    found: list[Any] = [None] * len(networks)
    for domain, wanted in (("space", False), ("ball", True)):
        chosen = [i for i, is_polynomial in enumerate(polynomial) if is_polynomial == wanted]
        bounds = brackets([networks[i][1] for i in chosen], (domain,), FEW_WALKS)[domain]
        for i, bound in zip(chosen, bounds, strict=True):
            found[i] = (*networks[i], bound)
    return found


def test_theorem_4_is_never_above_the_constant_of_a_network_that_fits(measured):
    """Also with the network's own values in place of its labels; for polynomials the ball holds the data."""
    for dataset, network, found in measured:
        with_values = lower_bounds.theorem4(dataset, network.n_neurons, np.asarray(network(dataset.x), np.float64))
        assert with_values.value <= found.upper
        assert with_values.value <= found.lower * (1 + 1e-6)
        if np.abs(network(dataset.x) - dataset.y).max() < 1e-5:
            exact = lower_bounds.theorem4(dataset, network.n_neurons)
            assert exact.value <= found.lower * (1 + 1e-4)


def test_the_floor_holds_for_every_network_that_fits_exactly(measured):
    count = 0
    for dataset, network, found in measured:
        if np.abs(network(dataset.x) - dataset.y).max() < 1e-9:
            count += 1
            assert lower_bounds.floor(dataset).value <= found.upper
    assert count > 100


def test_theorem_3_with_constant_one_half(measured):
    """On the product, with biases through the rows (w_l, b_l); and inside its proof, on sum_l |a_l| |w_l|."""
    for dataset, network, _ in measured:
        if network.activation.name in ("relu", "identity"):
            rows = np.concatenate([network.W, network.b[:, None]], axis=1)
            augmented = TwoLayer(rows, np.zeros(len(rows)), network.a, activation=network.activation)
            bound = lower_bounds.theorem3(dataset, network.n_neurons, biases=True)
            assert spectral_product(augmented) >= bound.value
            path = np.abs(network.a) @ np.linalg.norm(rows, axis=1)
            assert path >= lower_bounds.theorem3_path(dataset).value


def test_theorem_3_holds_from_above(measured):
    """(5): Lip(f) <= L |a| ||W||_op."""
    for _, network, found in measured:
        if network.activation.name in ("relu", "identity"):
            assert found.lower <= spectral_product(network) * (1 + 1e-6)


@pytest.mark.parametrize(("k", "value"), [(1, 9.57), (5, 4.48), (20, 2.41), (50, 1.70)])
def test_theorem_4_at_a_known_size(k, value):
    """n = 1000, d = 100 Gaussian points; at k >= d it is 2 sqrt(n' / trace)."""
    values = [lower_bounds.theorem4(generic(1000, 100, seed, "gaussian"), k).value for seed in range(5)]
    assert np.mean(values) == pytest.approx(value, rel=0.05)
    assert min(values) > 0.9 * math.sqrt(100 / k) * 2 / math.sqrt(2 * 1.9)  # c sqrt(d/k)


def test_theorem_4_by_brute_force():
    """No projection of rank k leaves less of the pairs' differences than the bound's."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal((12, 4)), np.repeat([1.0, -1.0], 6)
    z = x[:6] - x[6:]
    bound = lower_bounds.theorem4(Dataset(x, y), 2).value
    for _ in range(2000):
        P = np.linalg.qr(random.standard_normal((4, 2)))[0]
        assert 12 / np.linalg.norm(z @ P, axis=1).sum() >= bound


def test_quadratic_networks_against_theorems_5_6_and_7():
    """Every quadratic form that fits, of whatever rank: the one of least norm, of least Frobenius norm, and others."""
    random = np.random.default_rng(0)
    for seed in range(5):
        n, d = 60, 20
        dataset = generic(n, d, seed)
        features = np.einsum("ni,nj->nij", dataset.x, dataset.x).reshape(n, -1)
        forms = [constructions.smoothest_quadratic(dataset).network, constructions.tensor(dataset, exact=True).network]
        T = (forms[1].W.T * forms[1].a) @ forms[1].W
        for size in 10.0 ** random.uniform(-2, 1, 40):
            other = random.standard_normal((d, d))
            other = (other + other.T).reshape(-1)
            other -= np.linalg.lstsq(features, features @ other, rcond=None)[0]
            other = other.reshape(d, d)
            values, vectors = np.linalg.eigh(T + 0.5 * size * (other + other.T))
            forms.append(TwoLayer(vectors.T, np.zeros(d), values, activation="power:2"))
        five, six = lower_bounds.theorem5(dataset, 2).value, lower_bounds.theorem6(dataset, 2).value
        seven = lower_bounds.theorem7(dataset, d).value
        assert five == pytest.approx(seven, rel=1e-8)  # at full rank they say the same
        assert seven <= lower_bounds.theorem7(dataset, d // 2).value
        for form in forms:
            assert np.abs(form(dataset.x) - dataset.y).max() < 1e-8
            steepest = 2 * np.abs(form.a).max()
            assert max(five, six, seven) <= steepest
        # the least norm is within a small factor of Theorem 7's bound
        assert seven > 0.5 * 2 * np.abs(forms[0].a).max()


def test_theorem_7_for_forms_of_low_rank():
    """Forms of rank k that fit by their making: labels are those of the form, up to scale."""
    random = np.random.default_rng(1)
    for k in (1, 2, 4):
        x = random.standard_normal((10, 8))
        W, a = random.standard_normal((k, 8)), random.choice([-1.0, 1.0], k)
        values = (x @ W.T) ** 2 @ a
        x = x / np.sqrt(np.abs(values))[:, None]  # now f(x_i) = +-1
        form = TwoLayer(W, np.zeros(k), a, activation="power:2")
        dataset = Dataset(x, np.sign(values))
        np.testing.assert_allclose(form(x), dataset.y, atol=1e-12)
        steepest = 2 * np.abs(np.linalg.eigvalsh((W.T * a) @ W)).max()
        assert lower_bounds.theorem7(dataset, k).value <= steepest


@pytest.mark.parametrize("order", [2, 3, 4])
def test_theorem_5_is_not_below_the_papers_form(order):
    dataset = generic(80, 6)
    found = lower_bounds.theorem5(dataset, order)
    omega = lawjax.tensors.operator_norm(lawjax.tensors.data_form(dataset, order))
    assert found.value >= order * dataset.n / (6 ** (order - 1) * omega.upper) * (1 - 1e-8)
    exact = constructions.tensor(Dataset(dataset.x[:15], dataset.y[:15]), order, exact=True)
    assert lower_bounds.theorem5(Dataset(dataset.x[:15], dataset.y[:15]), order).value <= exact.bound * (1 + 1e-9)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_theorem_6(degree):
    """Polynomial networks with biases and every degree of psi, made to fit by their read-out weights."""
    random = np.random.default_rng(degree)
    coefficients = random.standard_normal(degree + 1)
    activation = "polynomial:" + ",".join(map(str, coefficients))
    for seed in range(3):
        dataset = generic(6, 6, seed)
        W, b = random.standard_normal((60, 6)), 0.3 * random.standard_normal(60)
        hidden = TwoLayer(W, b, np.ones(60), activation=activation)
        psi = lawjax.activations.get(activation)
        features = psi(dataset.x @ W.T + b)
        a = np.linalg.lstsq(features, dataset.y, rcond=None)[0]
        network = TwoLayer(hidden.W, hidden.b, a, activation=activation)
        assert np.abs(network(dataset.x) - dataset.y).max() < 1e-8
        assert lower_bounds.theorem6(dataset, degree).value <= lawjax.bracket(network, "ball").upper


@pytest.mark.parametrize(
    ("degree", "power", "value"),
    [(0, 0, 1), (1, 0, 1), (1, 1, 1), (2, 1, 1), (2, 2, 2), (3, 1, 3), (3, 3, 4), (4, 2, 8)],
)
def test_markov_coefficients(degree, power, value):
    """Known ones; and no polynomial at most 1 on [-1, 1] has a larger coefficient."""
    assert lower_bounds.markov_coefficient(degree, power) == pytest.approx(value, rel=1e-12)
    random = np.random.default_rng(degree)
    grid = np.linspace(-1, 1, 2001)
    for _ in range(200):
        p = np.polynomial.Polynomial(random.standard_normal(degree + 1))
        assert abs(p.coef[power]) / np.abs(p(grid)).max() <= value * (1 + 1e-4)


def test_statements_that_do_not_apply_are_listed_with_the_reason():
    dataset = generic(30, 10)
    found = {bound.name: bound for bound in lower_bounds.all(dataset, 5)}
    assert found["Theorem 4"].certified and found["Theorem 4"].value > 0
    assert found["Theorem 5"].value is None and "relu" in found["Theorem 5"].reason
    assert found["Conjecture 1"].value == pytest.approx(math.sqrt(6))
    assert not found["Conjecture 1"].certified
    found = {bound.name: bound for bound in lower_bounds.all(dataset, 5, "power:2")}
    assert found["Theorem 3"].value is None
    assert all(found[name].value > 0 for name in ("Theorem 5", "Theorem 6", "Theorem 7"))
    one_label = Dataset(dataset.x, np.ones(30))
    found = {bound.name: bound for bound in lower_bounds.all(one_label, 5, "power:2")}
    assert all(found[name].value is None and found[name].reason for name in ("data floor", "Theorem 4", "Theorem 6"))
    text = lower_bounds.table(lower_bounds.all(dataset, 5))
    assert all(line.count("|") == 7 for line in text.splitlines())


def test_one_networks_own_bounds():
    dataset = generic(60, 120)
    network = constructions.grouped_caps(dataset, 20).network
    found = lower_bounds.network_bounds(network, dataset)
    upper = lawjax.bracket(network, Sphere(tangential=True)).upper
    assert {bound.name for bound in found} == {"Theorem 4", "kinks"}
    assert found[1].value <= upper
    assert found[0].value <= lawjax.bracket(network).upper


@pytest.mark.parametrize("call", [lower_bounds.conjecture1, lower_bounds.theorem3, lower_bounds.theorem4])
def test_a_width_below_one(call):
    with pytest.raises(UserError, match="number of neurons k must"):
        call(generic(5, 3), 0)


def test_other_mistakes():
    with pytest.raises(UserError, match="shape"):
        lower_bounds.theorem4(generic(5, 3), 1, np.ones(4))
    with pytest.raises(UserError, match="degree"):
        lower_bounds.theorem6(generic(5, 3), 0)
    with pytest.raises(UserError, match="activation"):
        lower_bounds.all(generic(5, 3), 1, "spline")


TWO = np.array([1.0, -1.0])


def test_roundings_of_a_networks_values_are_counted():
    """Values of 1e16 have lost what they differ by; c does not count; what overflows proves nothing."""
    dataset = Dataset(np.array([[1.1], [-1.1]]), TWO)
    found = lower_bounds.network_bounds(TwoLayer([[1.0]], [0.0], [1.0], 1e16, "identity"), dataset)
    assert 0.99 < found[0].value <= 1.0
    cancelling = TwoLayer([[1.0], [1.0], [1.0]], np.zeros(3), [1e16, -1e16, 1.0], activation="identity")
    assert lower_bounds.network_bounds(cancelling, dataset)[0].value <= 1.0
    assert lower_bounds.network_bounds(TwoLayer([[1e200]], [0.0], [1.0], 0.0, "power:2"), dataset)[0].value == 0.0
    with pytest.raises(UserError, match="finite"):
        lower_bounds.theorem4(dataset, 1, np.array([np.nan, 1.0]))


@pytest.mark.parametrize("scale", [1e-200, 1e-20, 1.0, 1e20, 1e200])
def test_bounds_scale_with_the_points(scale):
    """Points s x have 1/s times the bounds of x; only equal points have an infinite one."""
    dataset = Dataset(scale * np.eye(2), TWO)
    for bound in (lower_bounds.floor(dataset), lower_bounds.theorem4(dataset, 2)):
        assert bound.value == pytest.approx(math.sqrt(2) / scale, rel=1e-8)
    assert lower_bounds.floor(Dataset(np.ones((2, 2)), TWO)).value == math.inf


@pytest.mark.parametrize("size", [1e-200, 1e-40, 1e60, 1e200])
@pytest.mark.parametrize("epsilon", [0.02, 0.3])
def test_approximate_floors_scale_with_the_points(size, epsilon):
    """1e60 once gave 2.3e-60 for 1.6e-60: a bound above the truth."""
    dataset = generic(40, 20, model="gaussian")
    plain = lower_bounds.floor(dataset, epsilon).value
    for x in (size * dataset.x, size * np.hstack([dataset.x, np.full((40, 1), 1e9)])):
        assert lower_bounds.floor(Dataset(x, dataset.y), epsilon).value * size == pytest.approx(plain, rel=1e-8)
    moved = Dataset(dataset.x + 1e5, dataset.y)
    assert lower_bounds.floor(moved, epsilon).value == pytest.approx(plain, rel=1e-8)
    assert lower_bounds.theorem4(moved, 5, epsilon=epsilon).value == pytest.approx(
        lower_bounds.theorem4(dataset, 5, epsilon=epsilon).value, rel=1e-8
    )


@pytest.mark.parametrize("size", [1e-60, 1e-40, 1e30, 1e60])
def test_bounds_for_forms_scale_with_their_order(size):
    dataset = generic(40, 20, model="gaussian")
    scaled = Dataset(size * dataset.x, dataset.y)
    for order in (1, 2, 3):
        expected = lower_bounds.theorem5(dataset, order).value
        assert lower_bounds.theorem5(scaled, order).value * size**order == pytest.approx(expected, rel=1e-8)
    assert lower_bounds.theorem7(scaled, 5).value * size**2 == pytest.approx(
        lower_bounds.theorem7(dataset, 5).value, rel=1e-8
    )
    if size > 1:
        return
    one_power = Dataset(np.repeat(scaled.x[:1], 2, 0) * [[1.0], [-1.0]], TWO)  # Omega_2 is 0, Omega_1 is not
    assert lower_bounds.theorem6(one_power, 2).value * size == pytest.approx(
        lower_bounds.theorem6(Dataset(one_power.x / size, TWO), 2).value, rel=1e-6
    )


def test_bounds_beyond_the_largest_number_stay_finite():
    """Infinite would say that nothing fits."""
    tiny = Dataset(1e-200 * np.eye(2), TWO)
    for bound in (lower_bounds.theorem5(tiny, 2), lower_bounds.theorem7(tiny, 2)):
        assert 1e300 < bound.value < math.inf
    for x in (1e200 * np.eye(2), 1e308 * np.array([[1.0, 0.5], [-1.0, 0.0]])):
        for bound in lower_bounds.all(Dataset(x, TWO), 2, "power:2"):
            assert bound.value is None or 0 <= bound.value < math.inf


def test_equal_points_ask_for_nothing_where_the_error_allows_one_value():
    twins = Dataset(np.zeros((2, 2)), TWO)
    assert lower_bounds.theorem4(twins, 1).value == lower_bounds.theorem4(twins, 1, epsilon=0.1).value == math.inf
    assert lower_bounds.theorem4(twins, 1, epsilon=1.1).value == 0.0
    close = Dataset(np.array([[0.0], [1e-200], [5.0], [6.0]]), np.array([1.0, -1.0, 1.0, -1.0]))
    assert lower_bounds.floor(close, 0.1).value == pytest.approx(1e200 * (2.0 - math.sqrt(0.8)), rel=1e-6)


def test_theorem_5_of_high_order():
    """2^600 sum_i y_i (e_i . x)^600 fits the points e_i / 2, with a constant of 600 * 2^600."""
    assert lower_bounds.theorem5(Dataset(0.5 * np.eye(2), TWO), 600).value <= 600 * 2.0**600
    assert lower_bounds.theorem5(Dataset(1e-100 * np.eye(2), TWO), 2).value <= 2e200
    assert lower_bounds.all(generic(10, 20), 5, "power:1000")[0].value > 0


# Approximate fits


def test_the_floor_of_two_points_with_an_error():
    """Both may be off by sqrt(epsilon): (2 - 2 sqrt(epsilon)) / distance."""
    dataset = Dataset(np.array([[0.0, 0.0], [3.0, 4.0]]), TWO)
    for epsilon in (0.0, 0.01, 0.25):
        assert lower_bounds.floor(dataset, epsilon).value == pytest.approx((2 - 2 * math.sqrt(epsilon)) / 5, rel=1e-8)
    assert lower_bounds.floor(dataset, 1.0).value == 0.0
    twins = Dataset(np.zeros((2, 2)), TWO)
    assert lower_bounds.floor(twins, 0.5).value == math.inf
    assert lower_bounds.floor(twins, 1.0).value == 0.0
    assert lower_bounds.floor(Dataset(np.eye(2), np.ones(2)), 0.1).value is None
    with pytest.raises(UserError, match="epsilon"):
        lower_bounds.floor(dataset, -0.1)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-4, 0.9))
def test_bounds_with_an_error_hold_for_all_values_within_it(seed, epsilon):
    """Values within epsilon in mean square, pulled together or at random, are at least as steep; so is Theorem 4."""
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 20))
    dataset = Dataset(random.standard_normal((n, 3)), np.where(np.arange(n) % 2, 1.0, -1.0))
    pull = -dataset.y * random.random(n) if random.random() < 0.7 else random.standard_normal(n)
    values = dataset.y + pull * math.sqrt(epsilon / np.mean(pull**2))
    gaps = np.abs(values[:, None] - values)
    distances = np.linalg.norm(dataset.x[:, None] - dataset.x, axis=2) + np.eye(n)
    assert lower_bounds.floor(dataset, epsilon).value <= (gaps / distances).max()
    assert lower_bounds.floor(dataset, epsilon).value <= lower_bounds.floor(dataset).value
    mine = lower_bounds.theorem4(dataset, 2, epsilon=epsilon).value
    assert mine <= lower_bounds.theorem4(dataset, 2, values).value * (1 + 1e-9)
