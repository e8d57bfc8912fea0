"""The search for the smoothest networks that fit: its parts against closed forms, its results against optima known."""

import itertools
import math

import clarabel
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from lipschitz_networks import generic, random_network

import lawjax
from lawjax import Dataset, TrainingConfig, TwoLayer, UserError, bracket, constructions, keys, lower_bounds
from lawjax.domains import as_domain, named
from lawjax.frontier import FrontierConfig, Problem, interpolating, resized, search, search_all, shrunk
from lawjax.frontier.relaxation import start_of_relaxation
from lawjax.frontier.shallow import OneHiddenLayer, Params, QuadraticForms
from lawjax.lipschitz import certify

SHORT = FrontierConfig(steps=2000, starts=2)


def params_of(network):
    k = network.n_neurons
    signs = np.where(network.a < 0, -1.0, 1.0) / math.sqrt(k)
    return Params(network.W, network.b, np.abs(network.a) * math.sqrt(k), network.c), signs


# The objective


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "abs", "tanh"])
@pytest.mark.parametrize("radius", [None, 0.5])
def test_the_objective_is_the_relaxation_of_the_certificate(activation, radius):
    """Left to iterate on weights that stay, its root is the certificate's bound, on R^d and on a ball."""
    for seed in range(4):
        random = np.random.default_rng(seed)
        network = TwoLayer(
            random.standard_normal((12, 6)), random.standard_normal(12), random.standard_normal(12), 0.0, activation
        )
        params, signs = params_of(network)
        signs = jnp.asarray(signs)
        U = start_of_relaxation(jax.random.key(seed), 12, 16)
        for _ in range(400):
            squared, U = OneHiddenLayer(activation).squared_bound(params, signs, U, radius or math.inf)
        bound = certify(network, named("space" if radius is None else "ball", radius or 1.0)).bound
        if activation == "tanh" and radius is not None:  # the certificate knows narrower slopes there
            assert bound <= math.sqrt(squared) * 1.001
        elif radius is None:
            assert math.sqrt(squared) == pytest.approx(bound, rel=2e-3)
        else:  # which also knows about caps
            assert bound <= math.sqrt(squared) * 1.001


def test_the_objective_of_a_quadratic_form_is_nearly_its_norm():
    network = random_network(np.random.default_rng(1), "power:2", max_d=9, max_k=14, scales=0.0)
    params, signs = params_of(network)
    squared, _ = QuadraticForms().squared_bound(params, jnp.asarray(signs), jnp.zeros((1, 1)), 2.0)
    norm = np.linalg.norm((network.W.T * network.a) @ network.W, 2)
    assert 4 * norm <= math.sqrt(squared) * (1 + 1e-5) <= 4.1 * norm


# From weights to a network that fits


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.001, 0.9))
def test_shrunk_is_the_smallest_multiple_that_fits(seed, epsilon):
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 12))
    dataset = Dataset(random.standard_normal((n, 3)), np.where(np.arange(n) % 2, 1.0, -1.0))
    network = TwoLayer(random.standard_normal((8, 3)), random.standard_normal(8), random.standard_normal(8))
    found = shrunk(network, dataset, epsilon)
    loss = np.mean((found(dataset.x) - dataset.y) ** 2)
    scale = (found.a / network.a).mean()
    assert scale >= 0
    values = network(dataset.x)
    values = values - values.mean()
    if loss <= epsilon:
        for smaller in np.linspace(0.0, 0.999, 20) * scale:  # with the best constant, which is the mean's
            error = smaller * values - (dataset.y - dataset.y.mean())
            assert np.mean(error**2) >= epsilon * (1 - 1e-9) or scale < 1e-12
    else:
        for other in np.linspace(0.0, 3.0, 40) * max(scale, 1.0):
            assert np.mean((other * values - (dataset.y - dataset.y.mean())) ** 2) >= loss * (1 - 1e-9)


@pytest.mark.parametrize("activation", ["relu", "abs", "tanh"])
def test_interpolating_meets_every_label(activation):
    dataset = generic(30, 20)
    random = np.random.default_rng(0)
    network = TwoLayer(
        random.standard_normal((20, 20)), 0.1 * random.standard_normal(20), random.standard_normal(20), 0.0, activation
    )
    found = interpolating(network, dataset)
    assert np.abs(found(dataset.x) - dataset.y).max() < 1e-10
    again = interpolating(found, dataset)
    np.testing.assert_array_equal(again.W, found.W)
    plain = interpolating(network, dataset, biases=False)
    np.testing.assert_array_equal(plain.b, network.b)
    assert plain.c == network.c


@pytest.mark.parametrize("activation", ["relu", "tanh", "power:2"])
def test_a_network_made_wider_is_the_same_function(activation):
    network = random_network(np.random.default_rng(2), activation, scales=0.0)
    wide = resized(network, 3 * network.n_neurons + 1)
    x = np.random.default_rng(0).standard_normal((50, network.dimension))
    assert wide.n_neurons == 3 * network.n_neurons + 1
    np.testing.assert_allclose(wide(x), network(x), rtol=1e-10, atol=1e-12)


def test_merging_takes_splitting_back():
    random = np.random.default_rng(3)
    network = TwoLayer(random.standard_normal((5, 4)), random.standard_normal(5), random.standard_normal(5))
    back = resized(resized(network, 13), 5)
    x = random.standard_normal((50, 4))
    assert back.n_neurons == 5
    np.testing.assert_allclose(back(x), network(x), rtol=1e-10)
    assert resized(network, 1).n_neurons == 1  # also where signs must be mixed
    with pytest.raises(UserError, match="merged"):
        resized(TwoLayer(network.W, network.b, network.a, 0.0, "tanh"), 2)
    with pytest.raises(UserError, match="number of neurons k must"):
        resized(network, 0)


# The search


@pytest.mark.parametrize(("epsilon", "k"), [(0.02, 20), (0.3, 6), (0.0, 30)])
def test_what_is_found_fits_is_bracketed_and_above_the_floor(epsilon, k):
    dataset = generic(60, 20, model="gaussian")
    found = search(dataset, k, FrontierConfig(epsilon, steps=2000))
    outputs = found.network.astype(np.float64)(dataset.x)
    assert found.fitted and (outputs * dataset.y > 0).all()
    if epsilon:
        assert np.mean((outputs - dataset.y) ** 2) == found.loss <= epsilon
    else:
        assert np.abs(outputs - dataset.y).max() == found.fit_error <= 1e-6
    floor = lower_bounds.floor(dataset, epsilon).value
    assert floor < found.bracket.upper
    assert found.bracket.lower <= found.bracket.upper <= 1.15 * found.bracket.lower
    assert found.uppers.shape == (2,)
    assert np.nanmin(found.uppers) == pytest.approx(found.bracket.upper, rel=1e-9)


def test_it_is_smoother_than_what_training_finds():
    dataset = generic(100, 30, model="gaussian")
    trained = lawjax.memorize(dataset, 50, keys.weights_key(100, 30, 0), TrainingConfig(epsilon=0.02))[0]
    found = search(dataset, 50, SHORT)
    assert trained.fitted and found.fitted
    assert found.bracket.upper < 0.5 * bracket(trained.network).lower


@pytest.mark.parametrize(("activation", "domain"), [("abs", "space"), ("tanh", "space"), ("leaky_relu", "sphere")])
def test_other_activations_and_domains(activation, domain):
    dataset = generic(50, 20)
    found = search(dataset, 20, FrontierConfig(activation=activation, domain=domain, steps=2000))
    assert found.fitted
    assert found.network.activation.name == activation
    assert found.bracket.domain == as_domain(domain)
    assert found.bracket.upper < 8.0


def test_quadratic_forms_reach_the_convex_optimum():
    """k = d leaves the rank free: the least ||T||_op of all forms that interpolate, from the solver with a dual."""
    dataset = generic(50, 20, model="gaussian")
    best = constructions.smoothest_quadratic(dataset)
    found = search(dataset, 20, FrontierConfig(0.0, "power:2", "ball", steps=3000))
    assert found.fitted
    assert found.network.b.any() == found.network.c.any() == False  # noqa: E712
    assert found.bracket.upper <= 1.02 * bracket(best.network, "ball").upper


def test_quadratic_forms_that_fit_approximately():
    """They are shrunk to the error that is allowed, as all networks are."""
    dataset = generic(20, 10, model="gaussian")
    for epsilon in (0.02, 0.3):
        found = search(dataset, 10, FrontierConfig(epsilon, "power:2", "ball", steps=1000))
        assert found.fitted and found.network.c == 0
        assert found.loss == pytest.approx(epsilon, rel=1e-4)
    biased = TwoLayer(np.eye(10), np.ones(10), np.ones(10), activation="power:2")
    with pytest.raises(UserError, match="biases"):
        search(dataset, 10, FrontierConfig(0.1, "power:2", "ball", steps=1), initial=[biased])


def one_neuron(dataset):
    """The least |w| of f = c (1 - ReLU(w.x + b)), c = +-1, that fits: 2 on one label's points, <= 0 on the other's.

    With one ReLU these are all the functions that fit exactly, so the smaller of two convex programs is the optimum.
    """
    best = math.inf
    for c in (-1.0, 1.0):
        on, off = dataset.x[dataset.y != c], dataset.x[dataset.y == c]
        solved = scipy.optimize.minimize(
            lambda u: float(u[:-1] @ u[:-1]),
            np.ones(dataset.d + 1),
            jac=lambda u: np.append(2 * u[:-1], 0.0),
            constraints=[
                {"type": "eq", "fun": lambda u, on=on: on @ u[:-1] + u[-1] - 2.0},
                {"type": "ineq", "fun": lambda u, off=off: -(off @ u[:-1] + u[-1])},
            ],
            options={"maxiter": 500},
        )
        if solved.success:
            best = min(best, math.sqrt(solved.fun))
    return best


@pytest.mark.parametrize("seed", range(3))
def test_one_neuron_against_its_global_optimum(seed):
    dataset = generic(6, 8, seed=seed)
    found = search(dataset, 1, FrontierConfig(0.0, steps=3000, starts=24))
    assert found.fitted
    assert found.bracket.upper == pytest.approx(one_neuron(dataset), rel=0.02)


def two_neurons(dataset):
    """The least of max(|w_1|, |w_2|, |s_1 w_1 + s_2 w_2|) over all f = sum_l s_l ReLU(w_l.x + b_l) + c that fit.

    With the signs s and the points at which each neuron is on, this is a convex program; all of them are solved. No
    certificate on R^d is below it, as it lets every pattern of slopes occur.
    """
    n, d = dataset.x.shape
    rows = np.hstack([dataset.x, np.ones((n, 1))])
    size = 2 * d + 4  # w_1, b_1, w_2, b_2, c, the maximum
    of_neuron = [slice(0, d + 1), slice(d + 1, 2 * d + 2)]
    shapes = [clarabel.ZeroConeT(n), clarabel.NonnegativeConeT(2 * n), *[clarabel.SecondOrderConeT(d + 1)] * 3]
    b = np.concatenate([dataset.y, np.zeros(2 * n + 3 * (d + 1))])
    last, none, quiet = np.eye(size)[-1], scipy.sparse.csc_matrix((size, size)), clarabel.DefaultSettings()
    quiet.verbose = False
    best = math.inf
    for signs in ((1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)):
        norms = np.zeros((3, d + 1, size))
        norms[:, 0, -1] = 1.0
        for own, sign, norm in zip(of_neuron, signs, norms, strict=False):
            norm[1:, own] = np.eye(d, d + 1)
            norms[2, 1:, own] = sign * np.eye(d, d + 1)
        for pattern in itertools.product((0.0, 1.0), repeat=2 * n):
            fit, sides = np.zeros((n, size)), np.zeros((2, n, size))
            fit[:, -2] = 1.0
            for own, sign, on, side in zip(of_neuron, signs, np.reshape(pattern, (2, n)), sides, strict=True):
                fit[:, own] = sign * on[:, None] * rows
                side[:, own] = (2 * on[:, None] - 1) * rows
            A = scipy.sparse.csc_matrix(np.vstack([fit, -sides.reshape(-1, size), -norms.reshape(-1, size)]))
            solved = clarabel.DefaultSolver(none, last, A, b, shapes, quiet).solve()
            if solved.status == clarabel.SolverStatus.Solved:
                best = min(best, solved.x[-1])
    return best


@pytest.mark.parametrize("seed", range(3))
def test_two_neurons_against_their_global_optimum(seed):
    """Local optima are many where points are few: the best of 200 starts is within a few percent."""
    dataset = generic(6, 4, seed=seed)
    found = search(dataset, 2, FrontierConfig(0.0, steps=3000, starts=200))
    assert found.fitted
    best = two_neurons(dataset)
    assert best * (1 - 1e-6) <= found.bracket.upper <= 1.06 * best


def test_known_optima_on_the_line():
    """Labels that alternate at distance one ask for a slope of 2, which is also the floor."""
    for n in (2, 3):
        dataset = Dataset(np.arange(1.0 * n)[:, None], np.where(np.arange(n) % 2, 1.0, -1.0))
        found = search(dataset, 2 * n, FrontierConfig(0.0, steps=3000, starts=4))
        assert found.fitted
        assert found.bracket.upper == pytest.approx(2.0, rel=0.02)
        assert found.bracket.upper >= lower_bounds.floor(dataset).value * (1 - 1e-6)


def test_equal_keys_give_equal_networks_and_units_do_not_matter():
    """Points in other units, here by a power of two, are the same search: the bound is in units of 1/length."""
    dataset = generic(40, 25, model="gaussian")
    config = FrontierConfig(steps=300)
    first, second = search(dataset, 12, config), search(dataset, 12, config)
    np.testing.assert_array_equal(first.network.W, second.network.W)
    larger = search(Dataset(8.0 * dataset.x, dataset.y), 12, config)
    assert larger.bracket.upper == pytest.approx(first.bracket.upper / 8.0, rel=1e-6)
    moved = search(Dataset(dataset.x + 4.0, dataset.y), 12, FrontierConfig(steps=100))
    assert moved.bracket.upper == pytest.approx(search(dataset, 12, FrontierConfig(steps=100)).bracket.upper, rel=1e-2)


def test_side_by_side_is_alone():
    """Problems of one (n, d) and similar widths run in one stack, the narrower padded: the same but for rounding."""
    config = FrontierConfig(steps=60, starts=1)
    problems = [
        Problem(generic(40, 25, seed=seed, model="gaussian"), k, jax.random.key(seed))
        for seed, k in ((0, 20), (1, 18), (2, 5))
    ]
    together = search_all(problems, config)
    for problem, found in zip(problems, together, strict=True):
        alone = search(problem.dataset, problem.k, config, problem.key)
        assert found.network.n_neurons == problem.k
        np.testing.assert_allclose(found.network.W, alone.network.W, rtol=1e-2, atol=1e-4)


def test_progress_counts_every_step():
    made: list[int] = []
    dataset = generic(20, 10, model="gaussian")
    search_all([Problem(dataset, 5, jax.random.key(0))], FrontierConfig(steps=1500, starts=3), made.append)
    assert sum(made) == 3 * 1500


def test_from_networks_of_other_widths():
    """Started from a narrower network that fits, split, the search is not worse than it was."""
    dataset = generic(60, 20, model="gaussian")
    narrow = search(dataset, 10, SHORT)
    wide = search(dataset, 30, FrontierConfig(steps=2000, starts=0), initial=[narrow.network])
    assert wide.fitted and wide.uppers.shape == (1,)
    assert wide.bracket.upper < narrow.bracket.upper
    merged = search(dataset, 10, FrontierConfig(steps=2000, starts=1), initial=[wide.network])
    assert merged.uppers.shape == (2,)


def test_too_few_neurons_are_said_not_to_fit():
    dataset = generic(100, 3, model="gaussian")
    for epsilon in (0.02, 0.0):
        found = search(dataset, 1, FrontierConfig(epsilon, steps=500))
        assert not found.fitted and np.isnan(found.uppers).all()
        assert found.loss > 0.02 and np.isfinite(found.bracket.upper)


def test_mistakes():
    dataset = generic(10, 5)
    for wrong in (
        {"epsilon": 1.0},
        {"epsilon": -0.1},
        {"epsilon": math.nan},
        {"activation": "spline"},
        {"activation": "power:3"},
        {"activation": "power:2"},
        {"domain": "torus"},
        {"domain": "box"},
        {"steps": 0},
        {"starts": -1},
        {"rate": 0.0},
    ):
        with pytest.raises(UserError):
            FrontierConfig(**wrong)
    with pytest.raises(UserError, match="number of neurons k must"):
        search(dataset, 0)
    with pytest.raises(UserError, match="nothing to start from"):
        search(dataset, 3, FrontierConfig(starts=0))
    with pytest.raises(UserError, match="cannot start"):
        search(dataset, 3, initial=[TwoLayer(np.ones((2, 4)), np.ones(2), np.ones(2))])
    with pytest.raises(UserError, match="Labels"):
        search(Dataset(dataset.x, 2 * dataset.y), 3)
