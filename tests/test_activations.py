"""Every activation of the registry: its slope, its slope interval, its precision; a new one is tested by existing."""

import dataclasses
import json
import math
import pickle
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bracket_faults import QUESTIONS, faults, truth
from exact_oracles import sampled
from lipschitz_networks import QUICK, USUAL, random_network
from structured_networks import KINDS, ROUGH, structured

from lawjax import (
    Ball,
    Space,
    TrainingConfig,
    TwoLayer,
    activations,
    bracket,
    check,
    data,
    lower_bounds,
    memorize,
)
from lawjax.domains import named
from lawjax.errors import UserError
from lawjax.lipschitz import certify
from lawjax.lipschitz.lower.evaluate import gradient_norms
from lawjax.lipschitz.upper.slopes import slope_intervals
from lawjax.sweep import SweepConfig
from lawjax.sweep.grid import Grid

PRESETS = tuple(activations.PRESETS)
POLYNOMIALS = tuple(f"power:{p}" for p in range(1, 5)) + (
    "polynomial:2",
    "polynomial:1,-3",
    "polynomial:1,0,2",
    "polynomial:0,1,0,-0.5",
    "polynomial:0.5,-1,0,0",
)
LEAKY = ("leaky_relu:0.2", "leaky_relu:-2")
NAMES = PRESETS + LEAKY + POLYNOMIALS
BOUNDED = tuple(name for name in NAMES if activations.get(name).slope_interval is not None)

KINKED = tuple(name for name in NAMES if activations.get(name).kinks)
SMOOTH = tuple(name for name in PRESETS if not activations.get(name).is_piecewise_linear)
KINKS = sorted({kink for name in KINKED for kink in activations.get(name).kinks})

MODERATE = np.linspace(-8.0, 8.0, 160)  # none of them is a kink
assert np.abs(np.subtract.outer(MODERATE, KINKS)).min() > 1e-3
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
        ("relu6", 2.0, 2.0, 1.0),
        ("relu6", 8.0, 6.0, 0.0),
        ("hard_tanh", -0.5, -0.5, 1.0),
        ("hard_tanh", -3.0, -1.0, 0.0),
        ("leaky_relu:0.2", -2.0, -0.4, 0.2),
        ("sigmoid", math.log(3.0), 0.75, 0.1875),
        ("silu", math.log(3.0), 0.75 * math.log(3.0), 0.75 + 0.1875 * math.log(3.0)),
        ("swish", 0.0, 0.0, 0.5),
        ("elu", math.log(0.25), -0.75, 0.25),
        ("elu", 2.0, 2.0, 1.0),
        ("gelu:tanh", 1.0, 0.5 * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * 1.044715)), 1.0829640838457826),
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


def test_gelu_and_its_approximation_differ_by_less_than_a_thousandth():
    one, other = activations.get("gelu"), activations.get("gelu:tanh")
    assert 1e-4 < np.abs(one(DENSE) - other(DENSE)).max() < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_symmetries_are_those_it_has(name):
    """psi(-t) = -psi(t), and psi(c t) = c psi(t) for c > 0: said of all that have them, and of no others but powers."""
    psi = activations.get(name)
    is_odd = bool(np.allclose(psi(-MODERATE), -psi(MODERATE), rtol=1e-12, atol=0))
    is_homogeneous = all(np.allclose(psi(c * MODERATE), c * psi(MODERATE), rtol=1e-12, atol=0) for c in (0.125, 3.0))
    if psi.coefficients is None:
        assert (psi.is_odd, psi.is_homogeneous) == (is_odd, is_homogeneous)
    else:
        assert psi.is_odd <= is_odd and psi.is_homogeneous <= is_homogeneous


@pytest.mark.parametrize(("name", "mirror"), [("silu", 1.0), ("gelu", 1.0), ("gelu:tanh", 1.0), ("softplus", 1.0)])
def test_slopes_on_both_sides_add_up_to_one(name, mirror):
    slope = activations.get(name).slope
    np.testing.assert_allclose(slope(-DENSE), mirror - slope(DENSE), atol=1e-14)


PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


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
    sigmoid = (1 if t > 0 else small) / (1 + small)
    if name == "softplus":
        log = small - small**2 / 2 if small < Decimal("1e-25") else (1 + small).ln()
        return max(t, Decimal(0)) + log, sigmoid
    if name == "sigmoid":
        return sigmoid, small / (1 + small) ** 2
    if name == "silu":
        return t * sigmoid, sigmoid + t * small / (1 + small) ** 2
    if name == "elu":
        return (t, Decimal(1)) if t > 0 else (small - 1, small)
    if name == "gelu:tanh":
        factor, cubic = 2 * (2 / PI).sqrt(), Decimal(0.044715)
        u = factor * (t + cubic * t**3)
        small = (-abs(u)).exp()
        sigmoid = (1 if t > 0 else small) / (1 + small)
        return t * sigmoid, sigmoid + t * factor * (1 + 3 * cubic * t * t) * small / (1 + small) ** 2
    density = (-t * t / 2).exp() / (2 * PI).sqrt()
    cdf = normal_cdf(t, density)
    return t * cdf, cdf + t * density


# Roundings in the last place. XLA's and SciPy's normal distribution themselves lose some t^2 of them, and the logistic
# function of a cubic as many as the cubic is large.
ULPS = {
    "tanh": (5, 5),
    "softplus": (4, 4),
    "gelu": (1400, 12),
    "sigmoid": (4, 6),
    "silu": (6, 12),
    "elu": (4, 4),
    "gelu:tanh": (1600, 1600),
}
FAR = {"tanh": (43, 350), "gelu": (12, 37), "gelu:tanh": (9.5, 21)}  # where slopes end, in float32 and in float64
ROOTS = {"gelu": -0.7518, "silu": -1.2785, "gelu:tanh": -0.7525}  # of slopes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("name", ULPS)
def test_smooth_activations_keep_their_digits_in_the_tails(name, on_device, dtype):
    """1 - tanh(t)^2 cancels: 4.17e-7 for 3.17e-7 at t = 8.2 in float32, and then nothing."""
    far = FAR.get(name, (85, 700))[dtype == np.float64]
    grid = np.concatenate([np.linspace(-far, far, 120), np.linspace(-9, 9, 120), np.logspace(-6, 0, 20)])
    t = grid.astype(dtype)
    t = t[np.abs(t - ROOTS.get(name, np.inf)) > 0.1]
    with localcontext() as context, jax.enable_x64(dtype == np.float64):
        context.prec = 60
        exact = [in_decimals(name, point) for point in t]
        psi, points = activations.get(name), jnp.asarray(t) if on_device else t
        functions: tuple[Callable[..., Any], ...] = psi, psi.slope
        for function, truths, ulps in zip(functions, zip(*exact, strict=True), ULPS[name], strict=True):
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
@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_activations_at_the_ends(name, size, on_device):
    """Their limits, without a warning, also where pre-activations have overflowed; so have their derivatives."""
    psi = activations.get(name)
    with jax.enable_x64(True):
        ends = np.array([-size, size])
        t = jnp.asarray(ends) if on_device else ends
        values = {"tanh": [-1.0, 1.0], "sigmoid": [0.0, 1.0], "elu": [-1.0, size]}.get(name, [0.0, size])
        np.testing.assert_array_equal(psi(t), values)
        np.testing.assert_array_equal(psi.slope(t), [0.0, 0.0] if name in ("tanh", "sigmoid") else [0.0, 1.0])
        if on_device:
            np.testing.assert_array_equal(jax.vmap(jax.grad(psi.function))(t), psi.slope(t))
            np.testing.assert_array_equal(jax.vmap(jax.grad(psi.slope))(t), [0.0, 0.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_no_slope_exceeds_that_at_0(name, dtype):
    t = np.concatenate([[0.0], np.logspace(-12, 0, 20_001)]).astype(dtype)
    psi = activations.get(name)
    with jax.enable_x64(dtype == np.float64):
        for slopes in (psi.slope(t), psi.slope(-t), np.asarray(psi.slope(jnp.asarray(t)))):
            assert slopes.max() <= psi.slope_interval[1] == slopes[0]


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("name", PRESETS)
def test_short_floats_are_right_to_their_last_digits(name, dtype):
    psi = activations.get(name)
    t = np.linspace(-12.0, 12.0, 1001).astype(dtype)
    exact = t.astype(np.float64)
    for function in (psi, psi.slope):
        for found in (function(t), function(jnp.asarray(t))):
            assert found.dtype == dtype
            eps, tiny = float(jnp.finfo(dtype).eps), float(jnp.finfo(dtype).tiny)
            np.testing.assert_allclose(np.asarray(found, np.float64), function(exact), rtol=eps, atol=max(tiny, 1e-7))


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


@pytest.mark.parametrize("name", KINKED)
def test_slope_at_a_kink_is_the_one_from_the_left(name):
    psi = activations.get(name)
    kinks = np.array(psi.kinks)
    for xp in (np, jnp):
        np.testing.assert_array_equal(psi.slope(xp.asarray(kinks)), psi.slope(xp.asarray(kinks - 0.5)))
    assert psi.sides == tuple(psi.slope(np.append(kinks - 0.5, kinks[-1] + 0.5)).tolist())


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


@pytest.mark.parametrize("name", BOUNDED)
def test_no_slope_is_outside_its_interval(name):
    """At 10^5 points, in the tails and as far out as floats reach."""
    psi = activations.get(name)
    rng = np.random.default_rng(0)
    sizes = 10.0 ** rng.uniform(-300, 300, 40_000)
    t = np.concatenate([rng.uniform(-10, 10, 60_000), rng.choice([-1.0, 1.0], 40_000) * sizes, [0.0, -1e300, 1e300]])
    slopes = psi.slope(t)
    assert psi.slope_interval[0] <= slopes.min() and slopes.max() <= psi.slope_interval[1]


@pytest.mark.parametrize("name", [name for name in PRESETS if activations.get(name).turns])
def test_the_largest_and_least_slopes_to_forty_digits(name):
    """At the turns are the ends of the interval, rounded outwards by less than 2e-15; on either side less."""
    psi = activations.get(name)
    with localcontext() as context:
        context.prec = 60
        for turn in psi.turns:
            at, *beside = (in_decimals(name, np.float64(turn + step))[1] for step in (0.0, -1e-7, 1e-7))
            is_largest = all(slope < at for slope in beside)
            assert is_largest or all(slope > at for slope in beside)
            end = Decimal(psi.slope_interval[is_largest])
            assert 0 <= (end - at) * (1 if is_largest else -1) < Decimal("2e-15")


def _extremes(psi, low, high):
    """Least and largest slope that a fine grid finds on an interval, looked at again around its own."""
    found = []
    for sign in (-1.0, 1.0):
        first, last = low, high
        for _ in range(3):
            t = np.clip(np.linspace(first, last, 2001), low, high)
            best = int(np.argmax(sign * psi.slope(t)))
            first, last = t[max(best - 1, 0)], t[min(best + 1, 2000)]
        found.append(psi.slope(t)[best])
    return found


@pytest.mark.parametrize("name", BOUNDED)
def test_the_interval_of_slopes_over_an_interval_holds_them_and_is_tight(name):
    psi = activations.get(name)
    rng = np.random.default_rng(1)
    places = [0.0, *psi.kinks, *(psi.turns or ())]
    low = np.where(
        rng.random(300) < 0.5, rng.choice(places, 300) + 1e-3 * rng.standard_normal(300), 4.0 * rng.standard_normal(300)
    )
    high = low + 10.0 ** rng.uniform(-6, 1.3, 300)
    alpha, beta = psi.slopes_over(low, high)
    for least, largest, *ends in zip(alpha, beta, low, high, strict=True):
        found = _extremes(psi, *ends)
        assert least <= found[0] <= least + 1e-9 and largest - 1e-9 <= found[1] <= largest
    np.testing.assert_array_equal(
        psi.slopes_over(low.reshape(3, 100), high.reshape(3, 100)), np.reshape([alpha, beta], (2, 3, 100))
    )


@pytest.mark.parametrize("name", BOUNDED)
def test_intervals_without_end_and_of_one_point(name):
    psi = activations.get(name)
    ends = np.array([-np.inf, -1e300, 1e300, 0.3, -0.7])
    alpha, beta = psi.slopes_over(ends, np.array([np.inf, 1e300, np.inf, 0.3, -0.7]))
    assert (alpha[0], beta[0]) == psi.slope_interval
    np.testing.assert_allclose([alpha[1], beta[1]], psi.slope_interval, atol=1e-14)
    np.testing.assert_allclose([alpha[2:], beta[2:]], [psi.slope(ends[2:])] * 2, atol=1.1e-12)


@pytest.mark.parametrize("name", KINKED)
def test_an_interval_that_ends_at_a_kink_has_the_slope_of_its_own_side(name):
    psi = activations.get(name)

    def over(low, high):
        [least], [most] = psi.slopes_over(np.array([low]), np.array([high]))
        return least, most

    for at, before, after in zip(psi.kinks, psi.sides, psi.sides[1:], strict=False):
        assert over(at - 0.5, at) == (before, before) and over(at, at + 0.5) == (after, after)
        both = min(before, after), max(before, after)
        assert over(at, at) == both == over(at - 1e-9, at + 1e-9)


def test_a_slope_that_jumps_and_bends():
    """hard swish, t relu6(t + 3) / 6: kinks at -3 and 3, and between them a slope that grows."""
    hard_swish = activations.Activation(
        "hard_swish",
        lambda t: t * (abs(t + 3.0) - abs(t - 3.0) + 6.0) / 12.0,
        lambda t: (2.0 * t + 3.0) / 6.0 * ((t > -3) & (t <= 3)).astype(t.dtype) + (t > 3).astype(t.dtype),
        (-0.5, 1.5),
        turns=(),
        kinks=(-3.0, 3.0),
    )
    psi = activations.get(hard_swish)
    low, high = np.array([-9.0, -3.5, 0.0, 2.0, 3.5]), np.array([-4.0, -2.5, 1.0, 4.0, 9.0])
    np.testing.assert_allclose(psi.slopes_over(low, high), [[0, -0.5, 0.5, 1, 1], [0, 0, 5 / 6, 1.5, 1]], atol=1e-11)
    f = TwoLayer([[1.0], [1.0]], [3.0, 3.0], [1.0, 1.0], activation=psi)
    found = gradient_norms(f, np.array([[0.0], [-1e-16], [-6.0], [1.0]]))
    assert found.tolist() == [0.0, 0.0, 0.0, 2.0]  # on a kink nothing is proved
    assert bracket(f).upper == pytest.approx(3.0)


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


def test_names_lists_every_preset():
    assert set(PRESETS) < set(activations.NAMES)
    assert all(activations.get(name).name == name for name in NAMES)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "name",
    [
        "",
        "ReLU",
        "relu:1",
        "gelu:erf",
        "leaky_relu:",
        "leaky_relu:1",
        "leaky_relu:nan",
        "leaky_relu:-inf",
        "leaky_relu:x",
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


@pytest.mark.parametrize(
    ("name", "places"), [("relu", [0]), ("leaky_relu", [0]), ("relu6", [0, 6]), ("hard_tanh", [-1, 1]), ("elu", [0])]
)
def test_the_gradient_at_a_kink_is_the_slope_from_the_left(name, places):
    """Not half of it, as the maximum of two numbers would have it. elu is continuous there, and its slope 1."""
    activation = activations.get(name)
    for place in places:
        at_kink = jnp.asarray(place, jnp.float32)
        assert jax.grad(activation)(at_kink) == activation.slope(at_kink)


def test_swish_is_another_name_for_silu():
    assert activations.get("swish") is activations.get("silu")
    assert TwoLayer([[1.0]], [0.0], [1.0], activation="swish").activation.name == "silu"


# --- One's own -------------------------------------------------------------------------------------------------------


def softsign(name="softsign", **changed):
    facts = {
        "function": lambda t: t / (1 + abs(t)),
        "slope": lambda t: 1 / (1 + abs(t)) ** 2,
        "slope_interval": (0.0, 1.0),
        "turns": (0.0,),
    }
    return activations.Activation(name, **{**facts, **changed})


RAMP = {  # min(max(t, 0), 3)
    "function": lambda t: 0.5 * (abs(t) - abs(t - 3.0) + 3.0),
    "slope": lambda t: ((t > 0) & (t <= 3)).astype(t.dtype),
    "slope_interval": (0.0, 1.0),
    "turns": (),
    "kinks": (0.0, 3.0),
    "is_piecewise_linear": True,
}


@pytest.mark.usefixtures("unchecked")
def test_ones_own_goes_wherever_a_name_goes(tmp_path):
    rng, psi = np.random.default_rng(0), softsign()
    f = TwoLayer(rng.standard_normal((6, 3)), rng.standard_normal(6), rng.standard_normal(6), activation=psi)
    x = rng.standard_normal(3)
    pre_activations = f.W @ x + f.b
    assert f(x) == pytest.approx(f.a @ (pre_activations / (1 + abs(pre_activations))), rel=1e-14)
    points = 3.0 * rng.standard_normal((2000, 3))
    sampled = np.linalg.norm(f.gradient(points), axis=1).max()
    for domain in (Space(), Ball(2.0)):
        found = bracket(f, domain, QUICK)
        inside = points if domain == Space() else domain.project(points)
        assert np.linalg.norm(f.gradient(inside), axis=1).max() <= found.upper
        assert found.lower <= found.upper
    assert sampled <= bracket(f, search=QUICK).lower * (1 + 1e-9)
    assert certify(f, Ball(0.1)).bound < 0.9 * certify(f).bound  # slopes on the small ball are known better
    f.save(tmp_path / "f.npz")
    with pytest.raises(UserError, match="Unknown activation 'softsign'"):
        TwoLayer.load(tmp_path / "f.npz")
    assert TwoLayer.load(tmp_path / "f.npz", activation=psi).activation is psi
    with pytest.raises(UserError, match="Unknown activation 3"):
        TwoLayer.load(tmp_path / "f.npz", activation=3)


@pytest.mark.parametrize("name", (*PRESETS, "leaky_relu:0.2", "power:2"))
def test_every_preset_fits_a_small_data_set(name):
    points = data.gaussian(jax.random.key(0), 8, 12)
    config = TrainingConfig(activation=name, learning_rate=1e-2, step_limit=4000)
    [trained] = memorize(points, [16], jax.random.key(1), config)
    assert trained.fitted and trained.network.activation is activations.get(name)
    errors = np.asarray(trained.network(np.asarray(points.x, np.float64)) - points.y)
    assert (errors**2).mean() <= config.epsilon * (1 + 1e-3)


def test_a_sweep_takes_every_name():
    for name in NAMES:
        training = TrainingConfig(activation=name)
        assert SweepConfig(grid=Grid((12,), (6,), (8,), 1), training=training).training.activation == name


def test_ones_own_is_trained_and_bounded_below_but_not_in_a_sweep():
    points = data.gaussian(jax.random.key(0), 12, 6)
    psi = softsign()
    config = TrainingConfig(activation=psi, step_limit=3000)
    [trained] = memorize(points, [8], jax.random.key(1), config)
    assert trained.network.activation is psi and trained.fitted
    assert {bound.name for bound in lower_bounds.all(points, 8, softsign()) if bound.value is not None} >= {"Theorem 3"}
    with pytest.raises(UserError, match="A sweep is stored"):
        SweepConfig(grid=Grid((12,), (6,), (8,), 1), training=config)


def test_ones_own_without_turns_has_its_interval_everywhere():
    f = TwoLayer([[1.0]], [0.0], [1.0], activation=softsign(turns=None))
    assert bracket(f, Ball(0.1)).upper == pytest.approx(1.0, rel=1e-9)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"name": "tanh"}, "give yours another"),
        ({"name": ["a"]}, "name of an activation must be a str"),
        ({"function": 3.0}, "must be functions"),
        ({"slope_interval": ("a", 1)}, "slope_interval must be"),
        ({"turns": [math.nan]}, "turns must be"),
        ({"kinks": "yes"}, "kinks must be"),
        ({"is_piecewise_linear": "yes"}, "is_piecewise_linear must be"),
        ({"name": "Tanh"}, "give yours another"),
        ({"name": "power:x"}, "give yours another"),
        ({"is_odd": True, **RAMP}, "is not odd"),
        ({"is_homogeneous": True}, "is not homogeneous"),
        ({**RAMP, "kinks": (0.0,)}, "name the kink"),
        ({**RAMP, "slope_interval": (0.0, 0.9)}, "outside its interval"),
        ({"slope": lambda t: 1 / (1 + abs(t))}, "not the derivative"),
        ({"slope_interval": (0.0, 0.5)}, "outside its interval"),
        ({"turns": ()}, "turns, too"),
        ({"is_piecewise_linear": True}, "not piecewise linear"),
        ({"function": lambda t: t.no_such_thing}, "fail for an array"),
        ({"function": jnp.tanh}, "NumPy array in float64"),
        ({"slope": lambda t: 1.0}, "NumPy array in float64"),
        ({"function": np.arctan, "slope": lambda t: 1 / (1 + t * t)}, "JAX array of a JAX array, also within jax.jit"),
        ({"slope": lambda t: np.where(t > 0, 1 / (1 + t) ** 2, 1 / (1 - t) ** 2)}, "JAX array of a JAX array"),
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


# --- Brackets --------------------------------------------------------------------------------------------------------

NEW = ("relu6", "hard_tanh", "leaky_relu:0.2", "sigmoid", "silu", "elu", "gelu:tanh")
KIND_NAMES = [kind for kind in KINDS if kind not in ROUGH | {"dense_line"}]  # too many neurons for an oracle


def assert_bracket_right(f, question, radius, tmp_path, search=USUAL):
    """lower <= exact <= upper <= path product, and the checker proves what is recorded."""
    domain, tangential = question
    found = bracket(f, named(domain, radius, tangential), search)
    true = truth(f, domain, radius, tangential, found.lower)
    wrong = faults(f, domain, radius, tangential, found, true)
    if wrong == ["not attained"] and not f.activation.is_piecewise_linear:
        # Far from 0 pre-activations are rounded, and what that may do to the slopes is taken off the lower bound.
        there = sampled(f, tangential=tangential, points=found.witness[None])
        assert found.lower <= there <= found.lower * (1 + 1e-6), (f, found)
        wrong = []
    assert wrong == [], (f, found, true)
    f.save(tmp_path / "f.npz")
    (tmp_path / "f.json").write_text(json.dumps(found.proof.record(f)))
    valid, why = check.check(tmp_path / "f.npz", tmp_path / "f.json")
    assert valid and why.startswith("Proved: "), why


def assert_brackets_right(name, count, tmp_path, search):
    """Networks of every kind in turn, with this activation, and random ones."""
    rng = np.random.default_rng([NEW.index(name), count])
    for number in range(count):
        question = QUESTIONS[number % len(QUESTIONS)]
        kind = KIND_NAMES[(7 * NEW.index(name) + number) % len(KIND_NAMES)]
        one = structured(list(KINDS).index(kind) + len(KINDS) * int(rng.integers(1000)))
        f = one.network
        try:
            assert_bracket_right(TwoLayer(f.W, f.b, f.a, 0.0, name), question, one.radius, tmp_path, search)
        except UserError as error:
            assert "rescale" in str(error), (one, error)
        f = random_network(rng, name, 3, 8, scales=0.0)
        if f.gradient(np.ones(f.dimension)).any():  # or it is constant
            assert_bracket_right(f, question, 2.0, tmp_path, search)


@pytest.mark.parametrize("name", NEW)
def test_brackets_of_random_and_structured_networks(name, tmp_path):
    assert_brackets_right(name, 4, tmp_path, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("name", NEW)
def test_brackets_of_many_networks(name, tmp_path):
    assert_brackets_right(name, 60, tmp_path, USUAL)


@pytest.mark.parametrize("name", ["relu6", "hard_tanh"])
@pytest.mark.parametrize("bias", [0.1, 1 / 3, 1e-9, 5.9999999999999, -1.0])
def test_kinks_at_no_floats_are_decided_exactly(name, bias, tmp_path):
    """b - 6 is rounded in float64, and the truth about three neurons that nearly cancel is not."""
    f = TwoLayer([[1.0], [1.0], [2.0]], [bias, bias - 0.25, 2 * bias], [1.0, -2.0, 0.5], activation=name)
    for question in QUESTIONS[:3]:
        assert_bracket_right(f, question, 7.0, tmp_path)


def test_a_ball_that_touches_a_kink():
    """It sees the slope on one side alone; a little larger, both."""
    for bias, sees_one in ((1.25, (0.25,)), (4.75, (0.25,)), (2.5, (0.25, 0.5))):
        f = TwoLayer([[3.0, 4.0]], [bias], [1.0], activation="relu6")
        for radius in sees_one:
            assert [ends.tolist() for ends in slope_intervals(f, Ball(radius))] == [[1.0], [1.0]]
        for radius in (sees_one[-1] * (1 + 1e-15), 1.0):
            assert [ends.tolist() for ends in slope_intervals(f, Ball(radius))] == [[0.0], [1.0]]
