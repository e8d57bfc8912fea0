"""Every activation of the registry: its slope, its slope interval, its precision; a new one is tested by existing."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lawjax import activations
from lawjax.errors import UserError

FIXED = tuple(activation.name for activation in activations._FIXED)
POLYNOMIALS = tuple(f"power:{p}" for p in range(1, 5)) + (
    "polynomial:2",
    "polynomial:1,-3",
    "polynomial:1,0,2",
    "polynomial:0,1,0,-0.5",
    "polynomial:0.5,-1,0,0",
)
NAMES = FIXED + POLYNOMIALS
BOUNDED = tuple(name for name in NAMES if activations.get(name).slope_interval is not None)

# No point is a kink: every piecewise-linear psi here has its only kink at 0.
MODERATE = np.linspace(-4.0, 4.0, 81)[np.arange(81) != 40]
DENSE = np.concatenate([np.linspace(-8.0, 8.0, 16001), -np.logspace(0, 6, 200), np.logspace(0, 6, 200)])


@pytest.mark.parametrize(
    ("name", "t", "value", "slope"),
    [
        ("identity", -2.0, -2.0, 1.0),
        ("relu", -2.0, 0.0, 0.0),
        ("relu", 2.0, 2.0, 1.0),
        ("leaky_relu", -2.0, -0.02, 0.01),
        ("abs", -2.0, 2.0, -1.0),
        ("tanh", 0.5, (math.e - 1) / (math.e + 1), 1 - ((math.e - 1) / (math.e + 1)) ** 2),
        ("softplus", math.log(3.0), math.log(4.0), 0.75),
        ("gelu", 1.0, 0.8413447460685429, 0.8413447460685429 + 0.24197072451914337),  # Phi(1), Phi(1) + phi(1)
        ("power:3", -2.0, -8.0, 12.0),
        ("polynomial:1,0,2", 3.0, 19.0, 12.0),
        ("polynomial:2", 3.0, 2.0, 0.0),
    ],
)
def test_known_values(name, t, value, slope):
    psi = activations.get(name)
    np.testing.assert_allclose(psi(np.array(t)), value, rtol=1e-14)
    np.testing.assert_allclose(psi.slope(np.array(t)), slope, rtol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_slope_is_the_derivative(name):
    psi = activations.get(name)
    with jax.enable_x64(True):
        automatic = np.asarray(jax.vmap(jax.grad(psi.function))(jnp.asarray(MODERATE)))
    np.testing.assert_allclose(psi.slope(MODERATE), automatic, rtol=1e-12, atol=1e-14)
    step = 1e-5
    central = (psi(MODERATE + step) - psi(MODERATE - step)) / (2 * step)
    np.testing.assert_allclose(psi.slope(MODERATE), central, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "abs"])
def test_slope_at_a_kink_is_the_one_from_the_left(name):
    psi = activations.get(name)
    assert psi.slope(np.zeros(1)) == psi.slope(np.array([-1.0]))
    assert psi.slope(jnp.zeros(1)) == psi.slope(jnp.array([-1.0]))


@pytest.mark.parametrize("name", NAMES)
def test_numpy_and_jax_agree_and_keep_their_precision(name):
    psi = activations.get(name)
    for function in (psi, psi.slope):
        single = MODERATE.astype(np.float32)
        assert isinstance(function(single), np.ndarray)
        assert function(single).dtype == np.float32
        assert function(MODERATE).dtype == np.float64
        on_device = function(jnp.asarray(single))
        assert isinstance(on_device, jax.Array)
        assert on_device.dtype == jnp.float32
        np.testing.assert_allclose(on_device, function(MODERATE), rtol=1e-5, atol=3e-6)
        with jax.enable_x64(True):
            double = function(jnp.asarray(MODERATE))
        assert double.dtype == jnp.float64
        np.testing.assert_allclose(double, function(MODERATE), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", BOUNDED)
def test_slope_interval_contains_every_slope_and_is_sharp(name):
    psi = activations.get(name)
    alpha, beta = psi.slope_interval
    slopes = psi.slope(DENSE)
    assert alpha <= slopes.min()
    assert slopes.max() <= beta
    assert slopes.min() - alpha < 1e-3
    assert beta - slopes.max() < 1e-3
    assert psi.lipschitz == max(abs(alpha), abs(beta))


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(BOUNDED)))
def test_without_a_slope_interval_the_slope_is_unbounded(name):
    psi = activations.get(name)
    assert psi.lipschitz == math.inf
    assert abs(psi.slope(np.array([1e9]))).max() > 1e8


@pytest.mark.parametrize("name", NAMES)
def test_piecewise_linear_means_finitely_many_slopes(name):
    psi = activations.get(name)
    assert psi.is_piecewise_linear == (len(np.unique(psi.slope(DENSE))) <= 2)


@pytest.mark.parametrize("name", [name for name in NAMES if activations.get(name).coefficients is not None])
def test_coefficients_are_those_of_the_function(name):
    psi = activations.get(name)
    np.testing.assert_allclose(psi(MODERATE), np.polynomial.Polynomial(psi.coefficients)(MODERATE), rtol=1e-12)


def test_names_lists_every_fixed_activation():
    assert set(FIXED) < set(activations.NAMES)
    assert all(activations.get(name).name == name for name in NAMES)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "swish",
        "ReLU",
        "relu:1",
        "power",
        "power:",
        "power:0",
        "power:-2",
        "power:1.5",
        "power:x",
        "power:1000000000",
        "polynomial",
        "polynomial:",
        "polynomial:1,,2",
        "polynomial:1,nan",
        "polynomial:inf",
        "polynomial:a,b",
        "two\nlines",
        None,
        np.tanh,
    ],
)
def test_a_bad_name_is_answered_with_the_good_ones(name):
    with pytest.raises(UserError) as caught:
        activations.get(name)
    message = str(caught.value)
    assert "\n" not in message
    assert all(known in message for known in activations.NAMES)


@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_the_gradient_at_the_kink_is_the_slope_from_the_left(name):
    """Not half of it, as the maximum of two numbers would have it."""
    activation = activations.get(name)
    at_kink = jnp.zeros((), jnp.float32)
    assert jax.grad(activation)(at_kink) == activation.slope(at_kink)
    assert jax.grad(activation)(at_kink) == activation.slope_interval[0]
