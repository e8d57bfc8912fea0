"""Ascent of the gradient norm: exact suprema, the trap of piecewise constant gradients, invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawjax.errors import UserError
from lawjax.lipschitz import Sphere, ascend, max_random_gradient
from lawjax.network import TwoLayer

KEY = jax.random.key(0)


def random_network(seed, k, d, activation="relu", bias=0.1):
    rng = np.random.default_rng(seed)
    W, a, b = rng.normal(size=(k, d)) / np.sqrt(d), rng.normal(size=k) / np.sqrt(k), bias * rng.normal(size=k)
    return TwoLayer(W, b, a, activation=activation).astype(np.float32)


def caps(n, d):
    """Section 3.2: f = sum 10 y_i relu(x_i . x - 0.9), of supremum 10 in full and sqrt(19) in the sphere."""
    x = np.random.default_rng(0).normal(size=(n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    assert (x @ x.T - 2.0 * np.eye(n)).max() < 0.62, "the caps are to be disjoint"
    return TwoLayer(W=x, b=-0.9 * np.ones(n), a=10.0 * (-1.0) ** np.arange(n))


def circle_suprema(network):
    """The exact suprema of the full and the tangential gradient norm on the unit circle, arc by arc."""
    network = network.astype(np.float64)
    norms = np.linalg.norm(network.W, axis=1)
    ratio = -network.b / norms
    cuts = np.abs(ratio) < 1
    middle, half = np.arctan2(network.W[cuts, 1], network.W[cuts, 0]), np.arccos(ratio[cuts])
    kinks = np.sort(np.concatenate([middle - half, middle + half, [0.0]]) % (2 * np.pi))
    ends = np.append(kinks[1:], kinks[0] + 2 * np.pi)
    centres = (kinks + ends) / 2
    gradients = network.gradient(np.stack([np.cos(centres), np.sin(centres)], axis=1))
    angles = kinks[:, None] + (ends - kinks)[:, None] * np.linspace(0, 1, 2001)
    tangential = np.abs(-np.sin(angles) * gradients[:, :1] + np.cos(angles) * gradients[:, 1:])
    return np.linalg.norm(gradients, axis=1).max(), tangential.max()


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "abs"])
def test_against_the_arcs_of_a_circle(activation):
    ratios = []
    for seed in range(8):
        network = random_network(seed, 10, 2, activation, bias=0.5)
        for tangential, supremum in zip((False, True), circle_suprema(network), strict=True):
            value = float(ascend(network, KEY, sphere=Sphere(tangential=tangential)).value)
            assert value <= supremum * (1 + 1e-5)
            ratios.append(value / supremum)
    assert sorted(ratios)[1] > 0.98, "one arc of a thousandth of the circle may be missed"


@pytest.mark.parametrize("tangential", [False, True])
def test_caps_are_found_where_probes_see_nothing(tangential):
    network, supremum = caps(40, 100), np.sqrt(19.0) if tangential else 10.0
    value = ascend(network, KEY, sphere=Sphere(tangential=tangential)).value
    assert 0.97 * supremum < value <= supremum * (1 + 1e-5)


def test_it_rises_where_the_plain_gradient_stands_still():
    network = random_network(3, 100, 30)
    points = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    naive = jax.vmap(jax.grad(lambda x: jnp.linalg.norm(jax.grad(network)(x))))(points)
    assert not naive.any(), "the exact gradient norm of a ReLU network is piecewise constant"
    start, end = ascend(network, KEY, steps=1).value, ascend(network, KEY).value
    assert end > 1.15 * start
    assert end > 1.15 * max_random_gradient(network, KEY).maximum


def test_the_reference_network_stays_below_its_certificate():
    """(d, k) = (100, 300): 1.35281 is a certified upper bound on Lip on R^d."""
    network = random_network(0, 300, 100)
    unit, far = ascend(network, KEY).value, ascend(network, KEY, sphere=Sphere(10.0)).value
    assert 1.1 < unit <= 1.3529
    assert 1.18 < far <= 1.3529, "far out the biases matter less, so that more sign patterns occur"


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "abs", "tanh", "gelu", "softplus", "power:3"])
@pytest.mark.parametrize("tangential", [False, True])
def test_the_witness_has_the_value(activation, tangential):
    network = random_network(7, 20, 6, activation)
    radius = 1.0 if tangential else 2.5
    found = ascend(network, KEY, steps=30, sphere=Sphere(radius, tangential))
    x = np.asarray(found.witness, np.float64)
    assert np.linalg.norm(x) == pytest.approx(radius, rel=1e-6)
    gradient = network.astype(np.float64).gradient(x)
    if tangential:
        gradient = gradient - (gradient @ x) * x
    assert float(found.value) == pytest.approx(np.linalg.norm(gradient), rel=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_quadratics_have_the_suprema_of_their_eigenvalues(seed):
    """f = x . T x: 2 max |lambda| in full, lambda_max - lambda_min in the sphere (section 3.4, p = 2)."""
    network = random_network(seed, 7, 5, "power:2", bias=0.0)
    eigenvalues = np.linalg.eigvalsh((network.W.T * network.a) @ network.W)
    full, tangential = (float(ascend(network, KEY, sphere=Sphere(tangential=t)).value) for t in (False, True))
    assert full == pytest.approx(2 * np.abs(eigenvalues).max(), rel=0.01)
    assert tangential == pytest.approx(eigenvalues[-1] - eigenvalues[0], rel=0.01)


@pytest.mark.parametrize(("activation", "supremum"), [("identity", 10.0), ("abs", 10.0), ("tanh", 10.0)])
@pytest.mark.parametrize("tangential", [False, True])
def test_one_neuron(activation, supremum, tangential):
    """|a| ||w|| max |psi'|, in the sphere at a right angle to w."""
    network = TwoLayer(W=[[3.0, 4.0, 0.0]], b=[0.0], a=[2.0], activation=activation)
    value = float(ascend(network, KEY, sphere=Sphere(tangential=tangential)).value)
    assert 0.99 * supremum < value <= supremum * (1 + 1e-5)


def test_never_below_the_best_start():
    network = random_network(5, 60, 20)
    given_starts = np.random.default_rng(1).normal(size=(200, 20)).astype(np.float32)
    on_sphere = given_starts / np.linalg.norm(given_starts, axis=1, keepdims=True)
    best_given = np.linalg.norm(network.gradient(on_sphere), axis=1).max()
    assert ascend(network, KEY, n_starts=1, steps=1, starts=given_starts).value >= best_given * (1 - 1e-5)
    values = [float(ascend(network, KEY, n_starts=16, steps=1).value), float(ascend(network, KEY, n_starts=16).value)]
    assert values[0] <= values[1]


def test_slopes_read_off_on_a_kink_do_not_count():
    """f = -relu(x_2) + relu(-x_2) + relu(x_2 + 10) is constant on the circle; on its kink all the slopes add to 1."""
    W = np.array([[0.0, 1.0], [0.0, -1.0], [0.0, 1.0]])
    network = TwoLayer(W, b=np.array([0.0, 0.0, 10.0]), a=np.array([-1.0, 1.0, 1.0]))
    on_kink = np.array([[1.0, 0.0]])
    assert np.linalg.norm(network.gradient(on_kink)) == 1.0
    assert ascend(network, KEY, starts=on_kink).value < 1e-6


def test_padding_in_a_stack_changes_nothing():
    networks = [random_network(seed, k, d) for seed, (k, d) in enumerate([(5, 3), (16, 6), (1, 1)])]
    keys = jax.random.split(jax.random.key(1), 3)
    stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[f.padded(16, 8) for f in networks])
    dimensions = jnp.array([f.dimension for f in networks])
    for tangential in (False, True):
        sphere = Sphere(tangential=tangential)
        search = jax.jit(jax.vmap(lambda f, key, d, sphere=sphere: ascend(f, key, 64, 30, sphere, dimension=d)))
        together = search(stack, keys, dimensions)
        for i, network in enumerate(networks):
            alone = ascend(network, keys[i], 64, 30, sphere)
            np.testing.assert_allclose(together.value[i], alone.value, rtol=1e-4, atol=1e-6)
            assert not together.witness[i, network.dimension :].any()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["relu", "abs"]))
def test_scale_of_neurons_and_of_read_outs(seed, activation):
    network = random_network(seed, 12, 5, activation)
    factors = 2.0 ** np.random.default_rng(seed).integers(-10, 11, size=12).astype(np.float32)
    rescaled = TwoLayer(network.W * factors[:, None], network.b * factors, network.a / factors, activation=activation)
    value = float(ascend(network, KEY, steps=30).value)
    assert float(ascend(rescaled, KEY, steps=30).value) == pytest.approx(value, rel=1e-4)
    for size in (2.0**40, 2.0**-40):
        louder = TwoLayer(network.W, network.b, np.float32(size) * network.a, activation=activation)
        assert float(ascend(louder, KEY, steps=30).value) == pytest.approx(size * value, rel=1e-4)


def test_a_network_without_neurons_that_matter():
    found = ascend(TwoLayer(W=np.zeros((3, 4)), b=np.ones(3), a=np.ones(3)), KEY, steps=3)
    assert found.value == 0.0
    assert np.linalg.norm(found.witness) == pytest.approx(1.0, rel=1e-6)


def test_mistakes_are_named():
    network = random_network(0, 4, 3)
    stack = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), network)
    for message, arguments in {
        "n_starts": {"n_starts": 0},
        "steps": {"steps": 0},
        "dimension": {"dimension": 0},
        "shape": {"starts": np.ones((2, 4))},
        "zero": {"starts": np.zeros((2, 3))},
        "sphere": {"sphere": "sphere"},
    }.items():
        with pytest.raises(UserError, match=message):
            ascend(network, KEY, **arguments)
    with pytest.raises(UserError, match="vmap"):
        ascend(stack, KEY)
