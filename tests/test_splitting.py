"""Piecewise-linear activations of several kinks as sums of ReLUs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lawjax import TwoLayer, activations
from lawjax.lipschitz import ascend, exact_space
from lawjax.lipschitz.splitting import repeated, split_at_kinks

BENT = activations.Activation(  # slopes 2, -1, 0.5, all of which differ from 0
    "bent",
    lambda t: 0.5 * (2.5 * t - 3.0 * abs(t) + 1.5 * abs(t - 2.0)),
    lambda t: 2.0 - 3.0 * (t > 0).astype(t.dtype) + 1.5 * (t > 2).astype(t.dtype),
    (-1.0, 2.0),
    turns=(),
    kinks=(0.0, 2.0),
    is_piecewise_linear=True,
)
DOWNWARDS = activations.Activation(  # one kink, at 0, but steeper on the left
    "downwards",
    lambda t: 0.5 * (t - abs(t)),
    lambda t: 1.0 - (t > 0).astype(t.dtype),
    (0.0, 1.0),
    turns=(),
    kinks=(0.0,),
    is_piecewise_linear=True,
    is_homogeneous=True,
)
SEVERAL = ("relu6", "hard_tanh", BENT, DOWNWARDS)


def network(activation, seed=0, k=5, d=3):
    """Biases are quarters, so that no difference is rounded."""
    rng = np.random.default_rng(seed)
    biases = rng.integers(-8, 9, k) / 4.0
    return TwoLayer(3.0 * rng.standard_normal((k, d)), biases, rng.standard_normal(k), 0.0, activation)


@pytest.mark.parametrize("activation", SEVERAL)
def test_the_same_function_but_for_a_constant(activation):
    f = network(activation)
    g = split_at_kinks(f)
    x = 2.0 * np.random.default_rng(1).standard_normal((500, 3))
    differences = f(x) - g(x)
    np.testing.assert_allclose(differences, differences[0], atol=1e-12)
    np.testing.assert_allclose(g.gradient(x), f.gradient(x), rtol=1e-12, atol=1e-12)
    assert g.activation.name == "relu" and g.W.dtype == f.W.dtype


@pytest.mark.parametrize("activation", ["relu", "leaky_relu:-2", "tanh", "identity", "power:2"])
def test_others_come_back_as_they_are(activation):
    f = network(activation)
    assert split_at_kinks(f) is f


@pytest.mark.parametrize("activation", SEVERAL)
def test_stacks_are_split_one_by_one(activation):
    ones = [network(activation, seed) for seed in range(3)]
    stack = split_at_kinks(jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *ones))
    for one, of_stack in zip(ones, stack, strict=True):
        np.testing.assert_allclose(of_stack.b, split_at_kinks(one).b)


def test_weights_are_repeated_for_every_part():
    assert repeated(np.array([9.0, 1.0, 2.0]), 4).tolist() == [9.0, 1.0, 2.0, 1.0, 2.0]
    assert repeated(np.array([9.0, 1.0, 2.0]), 2).tolist() == [9.0, 1.0, 2.0]


@pytest.mark.parametrize("activation", SEVERAL)
@pytest.mark.parametrize("seed", range(2))
def test_ascents_stay_below_what_going_through_every_cell_finds(activation, seed):
    f = network(activation, seed, k=4, d=2)
    found = ascend(f, jax.random.key(0))
    assert 0.5 * exact_space(f) <= float(found.value) <= exact_space(f) * (1 + 1e-6)
    np.testing.assert_allclose(np.linalg.norm(f.gradient(np.asarray(found.witness))), found.value, rtol=1e-5)
