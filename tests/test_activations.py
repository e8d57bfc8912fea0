"""Every activation of the registry: its slope, its slope interval, its precision; a new one is tested by existing."""

import dataclasses
import math
import pickle
from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lawjax import Ball, Space, TrainingConfig, TwoLayer, activations, bracket, data, lower_bounds, memorize
from lawjax.errors import UserError
from lawjax.sweep import SweepConfig
from lawjax.sweep.grid import Grid

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


def normal_cdf(t, density):
    """Phi(t) in decimals: by its series near 0, by a continued fraction far from it."""
    size = abs(t)
    if size < 6:
        term = total = size
        for k in range(1, 400):
            term *= size * size / (2 * k + 1)
            total += term
        upper = Decimal(1) / 2 - density * total
    else:
        tail = size
        for k in range(400, 0, -1):
            tail = size + k / tail
        upper = density / tail
    return upper if t < 0 else 1 - upper


def in_decimals(name, t):
    """Value and slope at t to forty digits."""
    t = Decimal(float(t))
    small = (-abs(t)).exp()
    if name == "tanh":
        square = small * small
        return (1 - square) / (1 + square) * (1 if t > 0 else -1), 4 * square / (1 + square) ** 2
    if name == "softplus":
        log = small - small**2 / 2 if small < Decimal("1e-25") else (1 + small).ln()
        return max(t, Decimal(0)) + log, (1 if t > 0 else small) / (1 + small)
    density = (-t * t / 2).exp() / (2 * Decimal("3.1415926535897932384626433832795028841971693993751")).sqrt()
    cdf = normal_cdf(t, density)
    return t * cdf, cdf + t * density


# Roundings in the last place. XLA's and SciPy's normal distribution themselves lose some t^2 of them.
ULPS = {"tanh": (5, 5), "softplus": (4, 4), "gelu": (1400, 12)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("name", ULPS)
def test_smooth_activations_keep_their_digits_in_the_tails(name, on_device, dtype):
    """1 - tanh(t)^2 cancels: 4.17e-7 for 3.17e-7 at t = 8.2 in float32, and then nothing."""
    far = (
        {"tanh": 43, "softplus": 85, "gelu": 12} if dtype == np.float32 else {"tanh": 350, "softplus": 700, "gelu": 37}
    )
    grid = np.concatenate([np.linspace(-far[name], far[name], 120), np.linspace(-9, 9, 120), np.logspace(-6, 0, 20)])
    t = grid.astype(dtype)
    if name == "gelu":
        t = t[np.abs(t + 0.7518) > 0.1]  # where its slope is 0
    with localcontext() as context, jax.enable_x64(dtype == np.float64):
        context.prec = 60
        exact = [in_decimals(name, point) for point in t]
        psi, points = activations.get(name), jnp.asarray(t) if on_device else t
        for function, truths, ulps in zip((psi, psi.slope), zip(*exact, strict=True), ULPS[name], strict=True):
            found = np.asarray(function(points))
            assert found.dtype == dtype
            errors = [
                abs(Decimal(float(value)) - truth) / abs(truth)
                for value, truth in zip(found, truths, strict=True)
                if abs(truth) > 4 * float(np.finfo(dtype).tiny)
            ]
            assert max(errors) <= ulps * float(np.finfo(dtype).eps)


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("size", [1e30, 1e300, np.inf])
@pytest.mark.parametrize("name", ["tanh", "softplus", "gelu"])
def test_smooth_activations_at_the_ends(name, size, on_device):
    """Their limits, without a warning, also where pre-activations have overflowed; so have their derivatives."""
    psi = activations.get(name)
    with jax.enable_x64(True):
        t = np.array([-size, size])
        t = jnp.asarray(t) if on_device else t
        np.testing.assert_array_equal(psi(t), [-1.0, 1.0] if name == "tanh" else [0.0, size])
        np.testing.assert_array_equal(psi.slope(t), [0.0, 0.0] if name == "tanh" else [0.0, 1.0])
        if on_device:
            np.testing.assert_array_equal(jax.vmap(jax.grad(psi.function))(t), psi.slope(t))
            np.testing.assert_array_equal(jax.vmap(jax.grad(psi.slope))(t), [0.0, 0.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_slope_of_tanh_exceeds_one(dtype):
    t = np.concatenate([[0.0], np.logspace(-12, 0, 20_001)]).astype(dtype)
    psi = activations.get("tanh")
    with jax.enable_x64(dtype == np.float64):
        for slopes in (psi.slope(t), psi.slope(-t), np.asarray(psi.slope(jnp.asarray(t)))):
            assert slopes.max() <= 1.0 and slopes[0] == 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("power", [1, 2, 3, 7, 100, 999, 1000])
def test_powers_of_any_order(power, dtype):
    """Few operations, no NaN at 0 or for negative t, in NumPy and in JAX and under its derivatives."""
    psi = activations.get(f"power:{power}")
    t = np.concatenate([[0.0], np.linspace(-1.05, 1.05, 20)]).astype(dtype)
    value = [Decimal(float(point)) ** power for point in t]
    slope = [power * Decimal(float(point)) ** (power - 1) if power > 1 else Decimal(1) for point in t]
    with jax.enable_x64(dtype == np.float64):
        points = jnp.asarray(t)
        pairs = [
            (psi(t), value),
            (psi(points), value),
            (psi.slope(t), slope),
            (psi.slope(points), slope),
            (jax.vmap(jax.grad(psi.function))(points), slope),
        ]
        assert np.isfinite(jax.vmap(jax.grad(psi.slope))(points)).all()
        assert len(jax.make_jaxpr(psi.function)(points).eqns) <= 3
    for found, exact in pairs:
        assert found.dtype == dtype
        error = [abs(Decimal(float(one)) - other) for one, other in zip(found, exact, strict=True)]
        ulp, tiny = Decimal(float(np.finfo(dtype).eps)), Decimal(float(np.finfo(dtype).tiny))
        assert all(one <= power * ulp * abs(other) + tiny for one, other in zip(error, exact, strict=True))


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


# --- One's own -------------------------------------------------------------------------------------------------------


def softsign(name="softsign", **changed):
    facts = {
        "function": lambda t: t / (1 + abs(t)),
        "slope": lambda t: 1 / (1 + abs(t)) ** 2,
        "slope_interval": (0.0, 1.0),
        "turns": (0.0,),
    }
    return activations.Activation(name, **{**facts, **changed})


def test_ones_own_goes_wherever_a_name_goes(tmp_path):
    rng, psi = np.random.default_rng(0), softsign()
    f = TwoLayer(rng.standard_normal((6, 3)), rng.standard_normal(6), rng.standard_normal(6), activation=psi)
    x = rng.standard_normal(3)
    pre_activations = f.W @ x + f.b
    assert f(x) == pytest.approx(f.a @ (pre_activations / (1 + abs(pre_activations))), rel=1e-14)
    points = 3.0 * rng.standard_normal((2000, 3))
    sampled = np.linalg.norm(f.gradient(points), axis=1).max()
    for domain in (Space(), Ball(2.0)):
        found = bracket(f, domain)
        inside = points if domain == Space() else domain.project(points)
        assert np.linalg.norm(f.gradient(inside), axis=1).max() <= found.upper
        assert found.lower <= found.upper
    assert sampled <= bracket(f).lower * (1 + 1e-9)
    assert bracket(f, Ball(0.1)).upper < 0.9 * bracket(f).upper  # slopes on the small ball are known better
    with pytest.raises(UserError, match="checker knows nothing of 'softsign'"):
        bracket(f).certificate.record(f)
    f.save(tmp_path / "f.npz")
    with pytest.raises(UserError, match="Unknown activation 'softsign'"):
        TwoLayer.load(tmp_path / "f.npz")
    assert TwoLayer.load(tmp_path / "f.npz", activation=psi).activation is psi
    with pytest.raises(UserError, match="Unknown activation 3"):
        TwoLayer.load(tmp_path / "f.npz", activation=3)


def test_ones_own_is_trained_and_bounded_below_but_not_in_a_sweep():
    points = data.gaussian(jax.random.key(0), 12, 6)
    config = TrainingConfig(activation=softsign(), step_limit=3000)
    [trained] = memorize(points, [8], jax.random.key(1), config)
    assert trained.network.activation is config.activation and trained.fitted
    assert {bound.name for bound in lower_bounds.all(points, 8, softsign()) if bound.value is not None} >= {"Theorem 3"}
    with pytest.raises(UserError, match="A sweep is stored"):
        SweepConfig(grid=Grid((12,), (6,), (8,), 1), training=config)


def test_ones_own_without_turns_has_its_interval_everywhere():
    f = TwoLayer([[1.0]], [0.0], [1.0], activation=softsign(turns=None))
    assert bracket(f, Ball(0.1)).upper == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"name": "tanh"}, "give yours another"),
        ({"name": ["a"]}, "name of an activation must be a str"),
        ({"function": 3.0}, "must be functions"),
        ({"slope_interval": ("a", 1)}, "slope_interval must be"),
        ({"turns": [math.nan]}, "turns must be"),
        ({"has_kink": "yes"}, "has_kink must be"),
        ({"slope": lambda t: 1 / (1 + abs(t))}, "not the derivative"),
        ({"slope_interval": (0.0, 0.5)}, "outside its interval"),
        ({"turns": ()}, "turns, too"),
        ({"has_kink": True}, "with has_kink"),
        ({"function": lambda t: t.no_such_thing}, "fail for an array"),
        ({"function": jnp.tanh}, "NumPy array in float64"),
        ({"slope": lambda t: 1.0}, "NumPy array in float64"),
    ],
)
def test_ones_own_that_is_not_what_it_says(changed, match):
    with pytest.raises(UserError, match=match):
        TwoLayer([[1.0]], [0.0], [1.0], activation=softsign(**changed))


@pytest.mark.parametrize("name", NAMES)
def test_every_activation_is_what_it_says(name):
    """What `get` tries of one's own holds for those that there are."""
    psi = activations.get(name)
    activations.get(activations.Activation("another", **_facts(psi)))


def _facts(psi):
    return {field.name: getattr(psi, field.name) for field in dataclasses.fields(psi) if field.name != "name"}


@pytest.mark.parametrize("name", NAMES)
def test_networks_are_pickled_with_the_name(name):
    network = TwoLayer([[1.0]], [0.5], [1.0], activation=name)
    again = pickle.loads(pickle.dumps(network))
    assert again.activation is network.activation and again(np.ones(1)) == network(np.ones(1))
