"""The maximum random gradient against NumPy in float64, known answers and the invariances of a Lipschitz number."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawjax.errors import UserError
from lawjax.lipschitz import max_random_gradient, path_product, spectral_product
from lawjax.network import TwoLayer


def random_network(seed, k, d, activation="relu"):
    rng = np.random.default_rng(seed)
    W, a, b = rng.normal(size=(k, d)) / np.sqrt(d), rng.normal(size=k) / np.sqrt(k), 0.1 * rng.normal(size=k)
    return TwoLayer(W, b, a, activation=activation).astype(np.float32)


def probes(key, n_points, d):
    """z_i ~ N(0, I_d/d) as the paper has them, one draw at a time."""
    draws = [np.asarray(jax.random.normal(jax.random.fold_in(key, i), (d,))) for i in range(n_points)]
    return np.stack(draws).astype(np.float64) / np.sqrt(d)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "abs", "tanh", "softplus", "gelu", "power:2"])
def test_agrees_with_a_float64_oracle(activation):
    network, key = random_network(0, 30, 12, activation), jax.random.key(3)
    found = max_random_gradient(network, key, n_points=50)
    z = probes(key, 50, 12)
    gradients = network.astype(np.float64).gradient(z)
    norms, mean = np.linalg.norm(gradients, axis=1), gradients.mean(0)
    np.testing.assert_allclose(found.maximum, norms.max(), rtol=1e-5)
    np.testing.assert_allclose(found.witness, z[norms.argmax()], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.linear_part, np.linalg.norm(mean), rtol=1e-5)
    np.testing.assert_allclose(found.residual, np.linalg.norm(gradients - mean, axis=1).max(), rtol=1e-4)


def test_more_points_than_a_batch_holds():
    network, key = random_network(1, 6000, 4), jax.random.key(0)
    found = max_random_gradient(network, key, n_points=1001)
    norms = np.linalg.norm(network.astype(np.float64).gradient(probes(key, 1001, 4)), axis=1)
    np.testing.assert_allclose(found.maximum, norms.max(), rtol=1e-4)


def test_a_linear_network_is_its_linear_part():
    network = random_network(2, 7, 5, "identity")
    found = max_random_gradient(network, jax.random.key(0), n_points=20)
    slope = np.linalg.norm(network.W.T @ network.a)
    np.testing.assert_allclose([found.maximum, found.linear_part], [slope, slope], rtol=1e-5)
    assert found.residual < 1e-5 * slope


def test_probes_see_nothing_of_small_caps():
    """Section 3.2: f = sum 10 y_i relu(x_i . x - 0.9) has gradients of norm 10, none of them at a random point."""
    x = np.random.default_rng(0).normal(size=(40, 100))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    caps = TwoLayer(W=x, b=-0.9 * np.ones(40), a=10.0 * (-1.0) ** np.arange(40))
    found = max_random_gradient(caps, jax.random.key(0))
    assert found.maximum == found.linear_part == found.residual == 0.0


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8, 17, 100])
def test_a_shorter_normal_draw_begins_a_longer_one(d):
    """Padding invariance rests on this property of JAX's default generator."""
    key = jax.random.fold_in(jax.random.key(5), 7)
    np.testing.assert_array_equal(jax.random.normal(key, (d,)), jax.random.normal(key, (131,))[:d])


def test_padding_in_a_stack_changes_nothing():
    networks = [random_network(seed, k, d) for seed, (k, d) in enumerate([(5, 3), (9, 6), (16, 4)])]
    keys = jax.random.split(jax.random.key(1), 3)
    stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[f.padded(16, 8) for f in networks])
    dimensions = jnp.array([f.dimension for f in networks])
    probe = jax.jit(jax.vmap(lambda f, key, d: max_random_gradient(f, key, 40, dimension=d)))
    together = probe(stack, keys, dimensions)
    for i, network in enumerate(networks):
        alone = max_random_gradient(network, keys[i], 40)
        padded_witness = np.pad(alone.witness, (0, 8 - network.dimension))
        np.testing.assert_allclose(together.witness[i], padded_witness, rtol=1e-6, atol=1e-7)
        for name in ("maximum", "linear_part", "residual"):
            np.testing.assert_allclose(getattr(together, name)[i], getattr(alone, name), rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["relu", "leaky_relu", "abs", "identity"]))
def test_order_and_scale_of_neurons_do_not_matter_and_the_products_bound_it(seed, activation):
    rng = np.random.default_rng(seed)
    network, key = random_network(seed, 8, 5, activation), jax.random.key(seed)
    order, factors = rng.permutation(8), 2.0 ** rng.integers(-4, 5, size=8)
    other = TwoLayer(
        (network.W * factors[:, None])[order],
        (network.b * factors)[order],
        (network.a / factors)[order],
        activation=activation,
    )
    probe = functools.partial(max_random_gradient, key=key, n_points=30)
    np.testing.assert_allclose(probe(other).maximum, probe(network).maximum, rtol=1e-5)
    bound = min(spectral_product(network), path_product(network), spectral_product(other))
    assert probe(network).maximum <= bound * (1 + 1e-5)


def test_the_parts_add_up():
    """max <= linear part + residual, and the linear part is at most the maximum."""
    found = max_random_gradient(random_network(4, 40, 6), jax.random.key(2), 100)
    assert found.linear_part <= found.maximum <= found.linear_part + found.residual


def test_mistakes_are_named():
    network, key = random_network(0, 4, 3), jax.random.key(0)
    stack = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), network)
    with pytest.raises(UserError, match="vmap"):
        max_random_gradient(stack, key)
    with pytest.raises(UserError, match="n_points"):
        max_random_gradient(network, key, n_points=0)
    with pytest.raises(UserError, match="dimension"):
        max_random_gradient(network, key, dimension=4)
