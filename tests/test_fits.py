"""Fits against known lines, a brute-force bootstrap and the coverage that the intervals promise."""

import itertools
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawjax.errors import UserError
from lawjax.report.fits import affine, monomial, power_law


def grouped_line(rng, n_groups, per_group=12, slope=3.0, intercept=5.0):
    """Points of y = intercept + slope x: both vary from group to group, and each point has noise of its own."""
    groups = np.repeat(np.arange(n_groups), per_group)
    x = rng.uniform(1, 10, size=groups.size)
    y = intercept + rng.normal(size=n_groups)[groups] + (slope + 0.2 * rng.normal(size=n_groups)[groups]) * x
    return x, y + 0.3 * rng.normal(size=x.size), groups


@given(
    slope=st.floats(-100, 100),
    intercept=st.floats(-100, 100),
    shift=st.floats(-1e4, 1e4),
    n_groups=st.integers(2, 6),
)
@settings(deadline=None, max_examples=30)
def test_a_line_without_noise_is_recovered_with_intervals_of_no_width(slope, intercept, shift, n_groups):
    x = shift + np.arange(24.0)
    fit = affine(x, intercept + slope * x, groups=np.arange(24) % n_groups, n_resamples=50)
    scale = 1 + abs(slope) * (1 + abs(shift)) + abs(intercept)
    np.testing.assert_allclose([fit.slope, *fit.slope_interval], slope, rtol=1e-8, atol=1e-9 * scale)
    np.testing.assert_allclose(
        [fit.intercept, *fit.intercept_interval], intercept, atol=1e-8 * scale * (1 + abs(shift))
    )
    np.testing.assert_allclose(fit(x), intercept + slope * x, atol=1e-9 * scale)
    assert (fit.n_points, fit.n_groups, fit.level) == (24, n_groups, 0.95)


def test_the_line_through_three_points_worked_by_hand():
    # means (1, 2), S_xx = 2, S_xy = 3, S_yy = 14/3 + 4/3 = 6: slope 3/2, intercept 1/2, r^2 = 9/12.
    fit = affine([0, 1, 2], [1, 1, 4], groups=[0, 1, 2])
    np.testing.assert_allclose([fit.slope, fit.intercept, fit.r_squared], [1.5, 0.5, 0.75])


@pytest.mark.parametrize("fit", [affine, power_law])
def test_least_squares_agrees_with_numpy(fit):
    rng = np.random.default_rng(1)
    x, y, groups = grouped_line(rng, 5)
    if fit is affine:
        expected = np.polyfit(x, y, 1)
        np.testing.assert_allclose([fit(x, y, groups).slope, fit(x, y, groups).intercept], expected)
    else:
        exponent, log_constant = np.polyfit(np.log(x), np.log(y), 1)
        np.testing.assert_allclose(
            [fit(x, y, groups).exponent, fit(x, y, groups).constant], [exponent, np.exp(log_constant)]
        )
        np.testing.assert_allclose(fit(x, y, groups)(x), np.exp(log_constant) * x**exponent)


@given(exponent=st.floats(-3, 3), constant=st.floats(0.01, 100))
@settings(deadline=None, max_examples=30)
def test_a_power_law_without_noise_is_recovered(exponent, constant):
    x = np.geomspace(0.1, 1000, 12)
    fit = power_law(x, constant * x**exponent, groups=np.arange(12) % 3, n_resamples=50)
    np.testing.assert_allclose([fit.exponent, *fit.exponent_interval], exponent, atol=1e-9)
    np.testing.assert_allclose([fit.constant, *fit.constant_interval], constant, rtol=1e-8)
    np.testing.assert_allclose(fit(x), constant * x**exponent, rtol=1e-8)


def test_a_power_law_in_other_units_keeps_its_exponent():
    x, y, groups = grouped_line(np.random.default_rng(2), 4)
    fit, rescaled = power_law(x, y, groups), power_law(7 * x, 3 * y, groups)
    np.testing.assert_allclose(rescaled.exponent, fit.exponent)
    np.testing.assert_allclose(rescaled.exponent_interval, fit.exponent_interval)
    np.testing.assert_allclose(rescaled.constant, 3 * fit.constant * 7**-fit.exponent)


def test_the_bootstrap_is_the_loop_over_resampled_seeds():
    x, y, groups = grouped_line(np.random.default_rng(3), 6)
    keep = np.random.default_rng(4).random(x.size) < 0.7  # groups of unequal size
    x, y, groups = x[keep] + 1e3, y[keep], groups[keep] * 10 - 7
    fit = affine(x, y, groups, n_resamples=300, level=0.8, rng_seed=11)
    labels = np.unique(groups)
    draws = np.random.default_rng(11).multinomial(6, np.full(6, 1 / 6), size=300)
    lines = []
    for draw in draws:
        rows = np.concatenate(
            [np.flatnonzero(groups == g) for g, times in zip(labels, draw, strict=True) for _ in range(times)]
        )
        lines.append(np.linalg.lstsq(np.stack([x[rows] - 1e3, np.ones(rows.size)], axis=1), y[rows], rcond=None)[0])
    slopes, intercepts = np.array(lines).T
    np.testing.assert_allclose(fit.slope_interval, np.quantile(slopes, [0.1, 0.9]), rtol=1e-9)
    np.testing.assert_allclose(fit.intercept_interval, np.quantile(intercepts - 1e3 * slopes, [0.1, 0.9]), rtol=1e-9)


def test_three_seeds_give_the_quantiles_of_all_27_draws():
    x, y, groups = grouped_line(np.random.default_rng(5), 3)
    slopes = []
    for drawn in itertools.product(range(3), repeat=3):
        rows = np.concatenate([np.flatnonzero(groups == g) for g in drawn])
        slopes.append(np.polyfit(x[rows], y[rows], 1)[0])
    fit = affine(x, y, groups, n_resamples=20_000, level=0.5)
    exact = np.sort(slopes)
    # The resampled law has atoms: each end must be one of them, at the exact quantile or next to it.
    for end, quantile in zip(fit.slope_interval, (0.25, 0.75), strict=True):
        nearest = np.searchsorted(np.unique(exact.round(10)), end - 1e-8)
        expected = np.searchsorted(
            np.unique(exact.round(10)), np.quantile(exact, quantile, method="inverted_cdf") - 1e-8
        )
        assert abs(int(nearest) - int(expected)) <= 1


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(6)
    slopes = constants = 0
    trials = 400
    for _ in range(trials):
        x, y, groups = grouped_line(rng, 30)
        fit = affine(x, y, groups, n_resamples=400, rng_seed=int(rng.integers(2**31)))
        slopes += fit.slope_interval[0] <= 3.0 <= fit.slope_interval[1]
        constants += fit.intercept_interval[0] <= 5.0 <= fit.intercept_interval[1]
    # Percentile intervals over 30 groups cover a little less than 95 %; three standard errors of 400 trials are 3.3 %.
    assert 0.90 <= slopes / trials <= 0.98
    assert 0.90 <= constants / trials <= 0.98


def test_points_resampled_one_by_one_would_promise_too_much():
    rng = np.random.default_rng(7)
    misses = 0
    for _ in range(200):
        x, y, _ = grouped_line(rng, 10)
        low, high = affine(x, y, groups=np.arange(x.size), n_resamples=200).slope_interval
        misses += not low <= 3.0 <= high
    assert misses / 200 > 0.15  # a nominal 5 %: this is why whole seeds are drawn


def test_an_interval_widens_with_its_level_and_holds_the_fit():
    x, y, groups = grouped_line(np.random.default_rng(8), 12)
    narrow, wide = affine(x, y, groups, level=0.5), affine(x, y, groups, level=0.99)
    assert wide.slope_interval[0] < narrow.slope_interval[0] < wide.slope
    assert wide.slope < narrow.slope_interval[1] < wide.slope_interval[1]


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_the_order_of_the_points_does_not_matter(seed):
    x, y, groups = grouped_line(np.random.default_rng(9), 5)
    order = np.random.default_rng(seed).permutation(x.size)
    fit, permuted = affine(x, y, groups, n_resamples=100), affine(x[order], y[order], groups[order], n_resamples=100)
    np.testing.assert_allclose(
        [permuted.slope, permuted.intercept, permuted.r_squared], [fit.slope, fit.intercept, fit.r_squared]
    )
    np.testing.assert_allclose(permuted.slope_interval, fit.slope_interval)
    np.testing.assert_allclose(permuted.intercept_interval, fit.intercept_interval)


def test_a_single_seed_has_a_fit_and_no_interval():
    fit = affine([0.0, 1.0], [1.0, 3.0], groups=["only", "only"])
    assert (fit.slope, fit.intercept) == pytest.approx((2.0, 1.0))
    assert all(math.isnan(end) for end in (*fit.slope_interval, *fit.intercept_interval))
    law = power_law([1.0, 4.0], [1.0, 2.0], groups=[0, 0])
    assert law.exponent == pytest.approx(0.5)
    assert all(math.isnan(end) for end in (*law.exponent_interval, *law.constant_interval))


def test_resamples_with_one_distinct_x_are_left_out():
    # Each group holds one x: only draws of both groups have a slope, and all those have the same.
    fit = affine([0.0, 1.0], [1.0, 3.0], groups=[0, 1], n_resamples=100)
    assert fit.slope_interval == pytest.approx((2.0, 2.0))


def test_r_squared_of_constant_y_is_undefined():
    fit = affine([0.0, 1.0, 2.0], [4.0, 4.0, 4.0], groups=[0, 1, 2])
    assert (fit.slope, fit.intercept) == pytest.approx((0.0, 4.0))
    assert math.isnan(fit.r_squared)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: affine([], [], []), "no points"),
        (lambda: power_law([], [], []), "no points"),
        (lambda: affine([1, 2], [1, np.nan], [0, 0]), "finite"),
        (lambda: affine([1, np.inf], [1, 2], [0, 0]), "finite"),
        (lambda: affine([1, 2], [1, None], [0, 0]), "finite"),
        (lambda: affine([2, 2], [1, 3], [0, 1]), "distinct x"),
        (lambda: affine([2], [1], [0]), "distinct x"),
        (lambda: affine([1, 2], [1, 2], [0]), "equally long"),
        (lambda: affine([1, "a"], [1, 2], [0, 0]), "numbers"),
        (lambda: affine([1, 2], [1, 2], [0, 0], level=1.0), "level"),
        (lambda: affine([1, 2], [1, 2], [0, 0], n_resamples=0), "resamples"),
        (lambda: power_law([0, 1], [1, 2], [0, 0]), "positive"),
        (lambda: power_law([1, 2], [1, -2], [0, 0]), "positive"),
    ],
)
def test_bad_points_are_refused_in_one_sentence(call, words):
    with pytest.raises(UserError, match=words) as caught:
        call()
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def _sizes():
    rng = np.random.default_rng(5)
    return {name: rng.uniform(10, 1000, 60) for name in ("n", "d", "k")}, np.arange(60) % 4


def test_an_exact_monomial_is_recovered():
    sizes, groups = _sizes()
    fit = monomial(sizes, 3.0 * sizes["n"] ** 0.5 * sizes["d"] ** 0.25 / sizes["k"], groups)
    np.testing.assert_allclose(list(fit.exponents.values()), [0.5, 0.25, -1.0], rtol=1e-9)
    np.testing.assert_allclose(list(fit.intervals.values()), [[0.5, 0.5], [0.25, 0.25], [-1.0, -1.0]], rtol=1e-6)
    np.testing.assert_allclose([fit.constant, fit.r_squared], [3.0, 1.0], rtol=1e-9)


def test_a_monomial_in_one_factor_is_the_power_law():
    sizes, groups = _sizes()
    y = sizes["n"] ** 0.7 * np.exp(0.1 * np.random.default_rng(6).normal(size=60))
    one, line = monomial({"n": sizes["n"]}, y, groups), power_law(sizes["n"], y, groups)
    np.testing.assert_allclose(
        [one.exponents["n"], one.constant, one.r_squared], [line.exponent, line.constant, line.r_squared]
    )
    np.testing.assert_allclose(one.intervals["n"], line.exponent_interval)


def test_monomial_refuses_collinear_factors_and_bad_levels():
    sizes, groups = _sizes()
    with pytest.raises(UserError, match="do not vary independently"):
        monomial({"n": sizes["n"], "m": sizes["n"] ** 2}, sizes["d"], groups)
    with pytest.raises(UserError, match="level"):
        monomial(sizes, sizes["d"], groups, level=1.0)
    with pytest.raises(UserError, match="positive"):
        monomial(sizes, -sizes["d"], groups)


def test_a_constant_monomial_has_exponents_of_zero_and_no_share_explained():
    sizes, groups = _sizes()
    fit = monomial(sizes, np.full(60, 7.0), groups)
    np.testing.assert_allclose([*fit.exponents.values(), fit.constant], [0.0, 0.0, 0.0, 7.0], atol=1e-12)
    assert np.isnan(fit.r_squared) and "R^2 nan" in str(fit)


@pytest.mark.parametrize("convert", [list, tuple, pl.Series, np.float32])
def test_tables_and_lists_are_fitted_like_arrays(convert):
    x, y = np.arange(1.0, 7), np.arange(1.0, 7) ** 2
    groups = ["a", "a", "b", "b", "c", "c"]
    assert power_law(convert(x), convert(y), groups).exponent == pytest.approx(2.0)
    assert monomial({"x": convert(x)}, convert(y), pl.Series(groups)).exponents["x"] == pytest.approx(2.0)


def test_two_points_of_one_seed_have_a_line_and_no_interval():
    fit = monomial({"x": [1.0, 2.0]}, [3.0, 12.0], [0, 0])
    assert fit.exponents["x"] == pytest.approx(2.0) and np.isnan(fit.intervals["x"]).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: affine([-1e308, 1e308], [0.0, 1.0], [0, 0]), "reaches from.*rescale"),
        (lambda: affine([0.0, 1e-320], [0.0, 1.0], [0, 0]), "slope is beyond float64"),
        (lambda: affine(np.ma.masked_array([1.0, 2.0], [True, False]), [0.0, 1.0], [0, 0]), "masked"),
        (lambda: affine([1.0, 2.0], [0.0, 1.0], [0, None]), "groups must be labels of one kind"),
        (lambda: affine([1.0, 2.0], [0.0, 1.0], [0]), "equally long"),
        (lambda: affine([1.0, 2.0], pl.Series([None, 1.0]), [0, 0]), "NaN"),
        (lambda: monomial({}, [1.0, 2.0], [0, 0]), "at least one factor"),
        (lambda: monomial({"x": [0.0, 1.0]}, [1.0, 2.0], [0, 0]), "positive"),
        (lambda: monomial([1.0, 2.0], [1.0, 2.0], [0, 0]), "dict of arrays"),
    ],
)
def test_what_cannot_be_fitted_is_said(call, words):
    with pytest.raises(UserError, match=words):
        call()


def test_a_law_beyond_float64_at_one_is_infinite():
    fit = power_law([1e-200, 1e-199], [1e200, 1e-200], [0, 0])
    assert fit.constant == 0.0 and fit.exponent == pytest.approx(-400.0)
