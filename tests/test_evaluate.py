"""What a point proves: on which domain, beside which kinks, to how many digits; at any size."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lawjax
from lawjax import TwoLayer
from lawjax.domains import Sphere, as_domain
from lawjax.lipschitz import doubled
from lawjax.lipschitz.lower import evaluate
from lawjax.lipschitz.scale import scaled
from lawjax.lipschitz.upper.ties import ties_of

floats = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: 0.0 if abs(x) < 1e-6 else x)


@given(st.lists(st.tuples(floats, floats), min_size=1, max_size=8))
def test_doubled_inner_products(pairs):
    x, y = np.array(pairs).T
    [high], [low] = doubled.dot(x[None], y[None])
    exact = sum(Fraction(a) * Fraction(b) for a, b in pairs)
    size = sum(abs(Fraction(a) * Fraction(b)) for a, b in pairs)
    assert abs(Fraction(float(high)) + Fraction(float(low)) - exact) <= size * len(pairs) * Fraction(2) ** -98


@given(floats.filter(lambda x: x > 0))
def test_doubled_roots(x):
    high, low = doubled.root((np.array([x]), np.zeros(1)))
    assert abs((Fraction(float(high[0])) + Fraction(float(low[0]))) ** 2 / Fraction(x) - 1) <= Fraction(2) ** -98


def test_the_side_of_a_kink_is_settled_beyond_float64():
    """w . x + b is 2^-60 or 0 or -2^-60, far below the rounding of its terms."""
    x = np.array([[1.0, 1.0]])
    for last, slope in ((2.0**-60, 1.0), (0.0, 0.0), (-(2.0**-60), 0.0)):
        f = TwoLayer([[1.0, -1.0, last]], [0.0], [1.0])
        found = evaluate.gradient_norms(f, np.append(x, [[1.0]], 1))[0]
        assert found == pytest.approx(np.sqrt(2.0) * slope)


def test_a_point_of_the_sphere_is_one_there_and_where_it_is_meant():
    """(0.6, 0.8) in floats lies beyond the unit circle, and the tangent cap that it enters does not meet the circle."""
    f = TwoLayer([[3.0, 4.0]], [-5.0], [1.0])
    for x in ([0.6, 0.8], [0.6, np.nextafter(0.8, 1.0)]):
        assert evaluate.gradient_norms(f, np.array([x]), Sphere())[0] == 0.0


def test_digits_that_cancel():
    """Of two neurons that differ in the last bits the difference is what counts, to all its digits."""
    w = np.array([1.0, 2.0, 3.0])
    f = TwoLayer([w, w * (1.0 + 2.0**-45)], [5.0, 5.0], [1.0, -1.0])
    x = np.array([1.0, 1.0, 1.0])
    exact = 2.0**-45 * np.sqrt(14.0)
    assert evaluate.norm_at(f, x) == pytest.approx(exact, rel=1e-14)
    along = w - (w @ x) / 3.0 * x
    radius = float(np.sqrt(3.0))
    found = evaluate.norm_at(f, x, Sphere(radius, tangential=True))
    assert found == pytest.approx(2.0**-45 * np.linalg.norm(along), rel=1e-14)


@pytest.mark.parametrize("activation", ["relu", "abs", "leaky_relu", "tanh", "gelu", "softplus"])
@pytest.mark.parametrize("exponent", [-900, -300, 0, 300, 900])
def test_a_network_of_size_one_has_the_same_gradient(activation, exponent):
    rng = np.random.default_rng(3)
    f = TwoLayer(rng.standard_normal((6, 3)), rng.standard_normal(6), rng.standard_normal(6), 0.0, activation)
    big = TwoLayer(np.ldexp(f.W, 200), f.b, np.ldexp(f.a, exponent), 0.0, activation)
    one = scaled(big)
    x = np.ldexp(rng.standard_normal((5, 3)), -200)
    gradients = one.network.gradient(np.ldexp(x, one.point_exponent))
    expected = np.ldexp(f.gradient(np.ldexp(x, 200)), exponent + 200 - one.gradient_exponent)
    np.testing.assert_allclose(gradients, expected, rtol=1e-12)
    assert 0.1 < np.abs(one.network.a).max() <= 1.0


def test_neurons_on_one_hyperplane():
    W = [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [-1.0, -2.0, -3.0], [1.0, 2.0, 3.0 + 2.0**-50], [0.0, 0.0, 0.0]]
    f = TwoLayer(W, [1.0, 2.0, -1.0, 1.0, 1.0], np.ones(5))
    assert ties_of(f) == [(1, 0, 1), (2, 0, -1)]
    smooth = TwoLayer([*W[:3], W[0]], [1.0, 2.0, -1.0, 1.0], np.ones(4), activation="tanh")
    assert ties_of(smooth) == [(3, 0, 1)]


def test_neurons_that_cancel_leave_nothing():
    """f = 0 of two equal neurons, in more dimensions than are gone through cell by cell."""
    rng = np.random.default_rng(1)
    w, v = rng.standard_normal((2, 4))
    f = TwoLayer([w, w, v, -v], [0.3, 0.3, 0.1, -0.1], [1.5, -1.5, 2.0, -2.0])  # 0, and the linear 2 v . x
    found = lawjax.bracket(f)
    assert found.lower == pytest.approx(2.0 * np.linalg.norm(v), rel=1e-14)
    assert found.upper == pytest.approx(2.0 * np.linalg.norm(v), rel=1e-12)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_a_wider_domain_has_the_larger_bounds_whatever_is_asked_with_it(activation):
    """A sphere is in its ball, the ball in R^d; a domain's bracket is the same alone and with others."""
    rng = np.random.default_rng(8)
    f = TwoLayer(rng.standard_normal((40, 12)), 0.5 * rng.standard_normal(40), rng.standard_normal(40), 0.0, activation)
    domains = ("space", "ball", "sphere")
    alone = [lawjax.bracket(f, domain) for domain in domains]
    together = lawjax.lipschitz.brackets([f], domains)
    assert alone[0].lower >= alone[1].lower >= alone[2].lower
    assert alone[0].upper >= alone[1].upper * (1 - 1e-9) and alone[1].upper >= alone[2].upper * (1 - 1e-9)
    for one, domain in zip(alone, domains, strict=True):
        assert together[domain][0].lower == one.lower
        assert together[domain][0].upper == pytest.approx(one.upper, rel=1e-9)
        assert one.lower == evaluate.norm_at(f, one.witness, as_domain(domain))


def test_lengths_of_every_size():
    rows = np.array([[3.0, 4.0], [3e200, 4e200], [3e-200, 4e-200], [3e-310, 4e-310], [0.0, 0.0], [-3e150, 4e150]])
    np.testing.assert_allclose(evaluate.lengths(rows), [5.0, 5e200, 5e-200, 5e-310, 0.0, 5e150], rtol=1e-13)
    assert (
        np.isnan(evaluate.lengths(np.array([[np.nan, 1.0]]))[0])
        and evaluate.lengths(np.array([[np.inf, 1.0]]))[0] == np.inf
    )


@pytest.mark.parametrize("activation", ["tanh", "gelu", "softplus"])
@pytest.mark.parametrize("far", [1.0, 1e6, 1e12, 1e17, 1e200])
def test_far_away_a_smooth_network_shows_no_more_than_rounding_leaves(activation, far):
    """Slopes read off at rounded pre-activations need not occur together: exact ones decide what a point shows."""
    rng = np.random.default_rng(5)
    f = TwoLayer(rng.standard_normal((12, 4)), rng.standard_normal(12), rng.standard_normal(12), 0.0, activation)
    points = far * rng.standard_normal((50, 4))
    points[:25] -= (points[:25] @ f.W[0] / (f.W[0] @ f.W[0]))[:, None] * f.W[0]  # along a hyperplane, nearly
    shown = evaluate.gradient_norms(f, points)
    for x, norm in zip(points, shown, strict=True):
        exact = [
            sum((Fraction(w) * Fraction(t) for w, t in zip(row, x, strict=True)), Fraction(bias))
            for row, bias in zip(f.W, f.b, strict=True)
        ]
        slopes = f.activation.slope(np.array([float(max(min(z, 10**6), -(10**6))) for z in exact]))
        assert norm <= np.linalg.norm((slopes * f.a) @ f.W) * (1.0 + 1e-12)
        assert evaluate.norm_at(f, x) <= np.linalg.norm((slopes * f.a) @ f.W) * (1.0 + 1e-12)
    assert far > 1e9 or (shown[:25] > 0).all()


@pytest.mark.parametrize("far", [20, 24, 28, 40, 62])
def test_far_away_where_a_gradient_nearly_cancels_it_shows_no_more_either(far):
    """Two neurons, nearly of opposite strength, at 0.5 but for the rounding of their pre-activations."""
    misplaced, w = 0, np.array([0.1, -0.3])
    for x in np.ldexp(np.random.default_rng(0).standard_normal((40, 2)), far):
        rounded = float((x[None] @ np.stack([w, w]).T)[0, 0]) - 0.5
        f = TwoLayer([w, w], [-rounded, -rounded], [1.0, -(1.0 - 1e-5)], 0.0, "tanh")
        exact = float(sum(Fraction(c) * Fraction(t) for c, t in zip(w, x, strict=True)) - Fraction(rounded))
        slopes = f.activation.slope(np.array([exact, exact]))
        assert evaluate.norm_at(f, x) <= np.linalg.norm((slopes * f.a) @ f.W) * (1.0 + 1e-12) + 1e-18
        misplaced += abs(exact - 0.5) > 1e-11
    assert misplaced >= 5
