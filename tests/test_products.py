"""The spectral product of Theorem 3 and the path product: known answers, bounds, invariances."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawjax.errors import UserError
from lawjax.lipschitz import path_product, spectral_product
from lawjax.network import TwoLayer

LIPSCHITZ = {"identity": 1.0, "relu": 1.0, "leaky_relu": 1.0, "abs": 1.0, "tanh": 1.0, "gelu": 1.128904145185156}


def random_network(seed, k, d, activation="relu"):
    rng = np.random.default_rng(seed)
    W, a, b = rng.normal(size=(k, d)) / np.sqrt(d), rng.normal(size=k) / np.sqrt(k), 0.1 * rng.normal(size=k)
    return TwoLayer(W, b, a, activation=activation)


@pytest.mark.parametrize(("k", "d", "known"), [(100, 50, 2.287), (300, 100, 2.789), (1000, 200, 3.218)])
def test_spectral_product_of_reference_networks(k, d, known):
    """W_ij ~ N(0, 1/d), a ~ N(0, 1/k), b ~ 0.1 N(0, 1) from default_rng(0), in the order W, a, b."""
    assert spectral_product(random_network(0, k, d)) == pytest.approx(known, abs=5e-4)


@pytest.mark.parametrize("activation", LIPSCHITZ)
@pytest.mark.parametrize(("k", "d"), [(1, 1), (1, 6), (6, 1), (4, 9), (9, 4)])
def test_against_singular_values(activation, k, d):
    network = random_network(3, k, d, activation)
    singular_values = np.linalg.svd(network.W, compute_uv=False)
    expected = LIPSCHITZ[activation] * np.sqrt((network.a**2).sum()) * singular_values[0]
    assert spectral_product(network) == pytest.approx(expected, rel=1e-12)
    paths = sum(abs(a) * math.hypot(*w) for a, w in zip(network.a, network.W, strict=True))
    assert path_product(network) == pytest.approx(LIPSCHITZ[activation] * paths, rel=1e-12)


def test_one_neuron_makes_both_equal_to_its_lipschitz_constant():
    network = TwoLayer(W=[[3.0, 4.0]], b=[1.0], a=[-2.0])
    assert spectral_product(network) == path_product(network) == 10.0


def test_path_product_is_attained_by_parallel_neurons():
    """f = 1 relu(u.x) + 2 relu(u.x + 1) + 3 relu(u.x - 1) has slope 6 along u where all are on."""
    network = TwoLayer(W=[[0.6, 0.8]] * 3, b=[0.0, 1.0, -1.0], a=[1.0, 2.0, 3.0])
    x = np.array([6.0, 8.0])
    assert path_product(network) == pytest.approx(np.linalg.norm(network.gradient(x)), rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(LIPSCHITZ)), st.integers(1, 7), st.integers(1, 7))
def test_both_bound_every_difference_quotient(seed, activation, k, d):
    network = random_network(seed, k, d, activation)
    x, z = np.random.default_rng(seed + 1).normal(size=(2, 200, d)) * 3.0
    quotient = (np.abs(network(x) - network(z)) / np.linalg.norm(x - z, axis=1)).max()
    assert quotient <= min(spectral_product(network), path_product(network)) * (1 + 1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_order_padding_and_scale(seed):
    rng = np.random.default_rng(seed)
    network, order, factors = random_network(seed, 6, 4), rng.permutation(6), rng.uniform(0.1, 10.0, size=6)
    shuffled = TwoLayer(network.W[order], network.b[order], network.a[order])
    rescaled = TwoLayer(network.W * factors[:, None], network.b * factors, network.a / factors)
    for bound in (spectral_product, path_product):
        assert bound(shuffled) == pytest.approx(bound(network), rel=1e-12)
        assert bound(network.padded(9, 7)) == pytest.approx(bound(network), rel=1e-12)
    assert path_product(rescaled) == pytest.approx(path_product(network), rel=1e-12)
    # Cauchy-Schwarz with ||W||_F in place of ||W||_op: the least of these over scales is the path product
    assert path_product(network) <= np.linalg.norm(rescaled.a) * np.linalg.norm(rescaled.W) * (1 + 1e-12)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_extreme_weights_neither_vanish_nor_overflow(size):
    W = np.array([[3.0, 0.0], [0.0, 4.0]])
    assert spectral_product(TwoLayer(size * W, np.zeros(2), np.array([0.6, 0.8]))) == pytest.approx(4.0 * size)


def test_zero_networks_and_unbounded_slopes():
    zero = TwoLayer(W=np.zeros((3, 2)), b=np.ones(3), a=np.ones(3))
    assert spectral_product(zero) == path_product(zero) == 0.0
    square = TwoLayer(W=np.eye(2), b=np.zeros(2), a=np.ones(2), activation="power:2")
    assert spectral_product(square) == path_product(square) == math.inf


def test_a_stack_is_refused():
    stack = TwoLayer(W=np.zeros((2, 3, 4)), b=np.zeros((2, 3)), a=np.zeros((2, 3)))
    for bound in (spectral_product, path_product):
        with pytest.raises(UserError, match="stack"):
            bound(stack)
