"""Weights of every precision, byte order and size: estimates of their gradients, or one sentence."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from lawjax import TwoLayer, UserError
from lawjax.lipschitz import ascend, exact_space, max_random_gradient
from lawjax.lipschitz.lower.proxy import norms

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
W, B, A = RNG.standard_normal((6, 3)), RNG.standard_normal(6), RNG.standard_normal(6)
PRECISIONS = (np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, np.float32, np.float64)


def network(dtype=np.float32, of_w=1.0, of_a=1.0, activation="relu"):
    return TwoLayer((of_w * W).astype(dtype), (of_w * B).astype(dtype), (of_a * A).astype(dtype), 0.0, activation)


def estimates(f):
    found = max_random_gradient(f, KEY, 100)
    return [float(value) for value in (ascend(f, KEY, 16, 20).value, found.maximum, found.linear_part, found.residual)]


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_low_precision_is_computed_in_float32(dtype, activation):
    f = network(dtype, activation=activation)
    assert estimates(f) == estimates(f.astype(np.float32))
    assert ascend(f, KEY, 4, 3).value.dtype == jnp.float32


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_gradients_beyond_a_low_precision(dtype):
    """Squares of gradients above 256 are beyond float16."""
    f = network(dtype, of_a=4096.0)
    assert 4096.0 * 2.0 < estimates(f)[0] <= 1.001 * exact_space(f.astype(np.float64))


@pytest.mark.parametrize("exponent", [-100, -70, -40, 40, 70, 100])
@pytest.mark.parametrize("place", ["of_w", "of_a"])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "abs", "identity"])
def test_a_power_of_two_changes_no_digit(exponent, place, activation):
    usual = estimates(network(activation=activation))
    scaled = estimates(network(activation=activation, **{place: 2.0**exponent}))
    assert scaled == pytest.approx([2.0**exponent * value for value in usual], rel=1e-6)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_byte_order_is_not_of_the_weights(order, kind):
    f = network(np.dtype(order + kind))
    assert f.W.dtype == np.dtype(kind) and f.W.dtype.isnative
    assert estimates(f) == estimates(network(np.dtype(kind)))


@pytest.mark.parametrize("place", ["of_w", "of_a"])
@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e-40, 1e37, 1e200, 1e300])
def test_what_float32_cannot_hold_is_said(place, size):
    with pytest.raises(UserError, match="no room in float32: rescale the network, or set JAX_ENABLE_X64=1"):
        ascend(network(np.float64, **{place: size}), KEY)
    with pytest.raises(UserError, match="no room in float32"):
        max_random_gradient(network(np.float64, **{place: size}), KEY)


@pytest.mark.parametrize("place", ["of_w", "of_a"])
@pytest.mark.parametrize("size", [1e-250, 1e-40, 1.0, 1e37, 1e250])
def test_what_float64_can_hold(place, size):
    with jax.enable_x64(True):
        found = estimates(network(np.float64, **{place: size}))
        usual = estimates(network(np.float64))
    assert [value / size for value in found] == pytest.approx(usual, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-37, 1e-30, 1e-20, 1.0, 1e19, 1e20, 3e37])
def test_norms_of_any_size(scale):
    rows = (scale * RNG.standard_normal((50, 7))).astype(np.float32)
    rows[3] = 0.0
    found = np.asarray(norms(jnp.asarray(rows)))
    assert found == pytest.approx(np.linalg.norm(rows.astype(np.float64), axis=1), rel=1e-6)


def test_norms_of_what_is_not_finite_show_nothing():
    assert norms(jnp.array([[jnp.inf, 1.0], [jnp.nan, 1.0], [3.0, 4.0]])).tolist() == [0.0, 0.0, 5.0]


@pytest.mark.parametrize(
    ("W", "match"),
    [
        (np.longdouble(W), "float128.*round it by .astype"),
        (W + 0j, "real numbers, not complex128"),
        (W.astype(object), "real numbers, not object"),
        (np.ma.masked_array(W, W > 0), "masked entries"),
        (W.astype("m8[s]"), "real numbers, not timedelta64"),
        ([["1", "2", "3"]] * 6, "real numbers, not <U1"),
    ],
)
def test_numbers_that_are_no_weights(W, match):
    if np.dtype(np.longdouble).itemsize == 8 and "float128" in match:
        pytest.skip("long double is float64 here")
    with pytest.raises(UserError, match=match):
        TwoLayer(W, B, A)


def test_a_mask_without_masked_entries_is_none():
    assert TwoLayer(np.ma.masked_array(W, np.zeros_like(W, bool)), B, A).W.shape == (6, 3)
