"""Symmetric tensors: Lemmas 1 to 5 against tensors written out, samples, and each other."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lipschitz_networks import generic

from lawjax import Dataset, TwoLayer, UserError, bracket, tensors
from lawjax.domains import Sphere


def evaluated(T, x):
    """T[x, ..., x] for a tensor of any symmetry."""
    for _ in range(T.ndim):
        T = T @ x
    return float(T)


def unit_points(random, count, d):
    x = random.standard_normal((count, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def balanced(n, d, seed):
    found = generic(n, d, seed)
    return Dataset(found.x, np.where(np.arange(n) % 2, 1.0, -1.0))


@pytest.mark.parametrize(("p", "d"), [(1, 5), (2, 6), (3, 5), (4, 4), (5, 2)])
def test_lemma_2(p, d):
    """At most 2^p d^(p-1) terms with coefficients +-1, the same form to 1e-10, for tensors without any symmetry."""
    random = np.random.default_rng(p)
    T = random.standard_normal((d,) * p)
    form = tensors.decompose(T)
    assert form.n_neurons <= 2**p * d ** (p - 1)
    assert set(form.a) <= {1.0, -1.0}
    x = random.standard_normal((20, d))
    np.testing.assert_allclose(form(x), [evaluated(T, point) for point in x], rtol=0, atol=1e-10)


def test_lemma_2_of_nothing_and_of_what_is_no_tensor():
    assert not tensors.decompose(np.zeros((3, 3)))(np.ones(3))
    for shape in ((), (2, 3), (0, 0)):
        with pytest.raises(UserError, match="shape"):
            tensors.decompose(np.zeros(shape))


@pytest.mark.parametrize(("p", "d"), [(2, 5), (3, 4), (4, 3)])
def test_written_out(p, d):
    random = np.random.default_rng(0)
    form = tensors.power_form(random.standard_normal((7, d)), random.standard_normal(7), p)
    T = tensors.dense(form)
    assert all(np.allclose(T, np.transpose(T, order)) for order in itertools.permutations(range(p)))
    x = random.standard_normal(d)
    assert evaluated(T, x) == pytest.approx(float(form(x)), rel=1e-12)
    assert np.linalg.norm(T) == pytest.approx(tensors.frobenius_norm(form), rel=1e-10)
    assert tensors.frobenius_norm(form) >= np.linalg.norm(T) * (1 - 1e-15)


@pytest.mark.parametrize("p", [1, 2, 3, 4, 5])
def test_operator_norm_brackets_samples(p):
    """Lower <= upper, no sample is above upper, few are above lower, and the witness attains lower."""
    random = np.random.default_rng(p)
    for d in (1, 2, 3, 6):
        form = tensors.power_form(random.standard_normal((9, d)), random.standard_normal(9), p)
        found = tensors.operator_norm(form)
        sampled = np.abs(form(unit_points(random, 20_000, d))).max()
        assert sampled <= found.upper * (1 + 1e-12)
        assert sampled <= found.lower * (1 + 1e-9)
        assert found.lower <= found.upper
        assert np.linalg.norm(found.witness) == pytest.approx(1.0, rel=1e-14)
        assert abs(float(form(found.witness))) == pytest.approx(found.lower, rel=1e-9)
        if p <= 2:
            assert found.upper <= found.lower * (1 + 1e-10)


@pytest.mark.parametrize("p", [3, 4, 6])
def test_operator_norm_of_orthogonal_terms(p):
    """Sum c_l (e_l . x)^p has the norm max |c_l| (p >= 2), from below and from above."""
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((7, 7)))[0]
    coefficients = np.array([0.3, -2.0, 1.0, 0.5, -0.1, 1.9, 0.0])
    found = tensors.operator_norm(tensors.power_form(basis, coefficients, p))
    assert found.lower == pytest.approx(2.0, rel=1e-9)
    assert found.upper == pytest.approx(2.0, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.integers(1, 5), st.integers(1, 8), st.floats(1e-6, 1e6), st.integers(0, 100))
def test_operator_norm_scales(p, d, m, scale, seed):
    random = np.random.default_rng(seed)
    W, c = random.standard_normal((m, d)), random.standard_normal(m)
    one = tensors.operator_norm(tensors.power_form(W, c, p), starts=4, steps=50)
    other = tensors.operator_norm(tensors.power_form(W, scale * c, p), starts=4, steps=50)
    assert other.lower == pytest.approx(scale * one.lower, rel=1e-6, abs=1e-12 * scale)
    assert other.upper == pytest.approx(scale * one.upper, rel=1e-9)


@pytest.mark.parametrize("p", [2, 3, 4])
def test_lemma_1(p):
    """Lip on the sphere is at most p ||T||_op: the bracket's lower bound is not above it, nor the sampled one."""
    form = tensors.data_form(generic(60, 8), p)
    bound = tensors.lipschitz_bound(form)
    assert bracket(form, Sphere(tangential=True)).lower <= bound
    assert bound >= p * tensors.operator_norm(form).lower


@pytest.mark.parametrize("p", [2, 3, 4])
def test_lemma_3(p):
    """<S, T> <= ||S||_op ||T||_{op,*} and ||T||_{op,*} <= d^((p-1)/2) ||T||_F <= d^(p-1) ||T||_op."""
    random = np.random.default_rng(p)
    for d in (2, 4):
        T = tensors.power_form(random.standard_normal((8, d)), random.standard_normal(8), p)
        nuclear = tensors.nuclear_norm_bound(T)
        assert nuclear <= d ** ((p - 1) / 2) * tensors.frobenius_norm(T) * (1 + 1e-12)
        assert d ** ((p - 1) / 2) * tensors.frobenius_norm(T) <= d ** (p - 1) * tensors.operator_norm(T).upper * (
            1 + 1e-9
        )
        for _ in range(5):
            S = tensors.power_form(random.standard_normal((5, d)), random.standard_normal(5), p)
            inner = abs(float((tensors.dense(S) * tensors.dense(T)).sum()))
            assert inner <= tensors.operator_norm(S).upper * nuclear * (1 + 1e-12)


def test_nuclear_norm_of_a_matrix_is_the_sum_of_its_eigenvalues():
    form = tensors.power_form(np.eye(4), [3.0, -2.0, 1.0, 0.0], 2)
    assert tensors.nuclear_norm_bound(form) == pytest.approx(6.0, rel=1e-12)
    assert tensors.largest_eigenvalues(form, 2) == pytest.approx(5.0, rel=1e-12)
    with pytest.raises(UserError, match="order 2"):
        tensors.largest_eigenvalues(tensors.power_form(np.eye(2), [1.0, 1.0], 3), 1)


@pytest.mark.parametrize(("make", "rms"), [(generic, math.sqrt(3)), (balanced, math.sqrt(2))])
def test_lemma_4(make, rms):
    """At p = 2 the root mean square is sqrt(3n)/d for labels at random, sqrt(2n)/d for as many of each kind."""
    n, d = 1000, 50
    ratios = [tensors.lemma4_ratio(make(n, d, seed), np.eye(d)[:20], 2) for seed in range(60)]
    assert np.sqrt(np.mean(np.square(ratios))) == pytest.approx(rms * math.sqrt(d / (d + 2)), rel=0.05)


@pytest.mark.parametrize(("p", "d", "constant"), [(3, 20, 6.0), (4, 8, 11.0)])
def test_lemma_5(p, d, constant):
    """The constant of lemma 5 stays bounded for n/d^(p-1) from 1 to 16."""
    for share in (1, 4, 16):
        lower, upper = tensors.lemma5_ratio(generic(share * d ** (p - 1), d), p, starts=16, steps=100)
        assert 2.0 < lower < constant
        assert lower <= upper < 3 * constant


def test_mistakes_are_named():
    with pytest.raises(UserError, match="activation power:p"):
        tensors.operator_norm(TwoLayer(np.eye(2), np.zeros(2), np.ones(2)))
    with pytest.raises(UserError, match="no biases"):
        tensors.order_of(TwoLayer(np.eye(2), np.ones(2), np.ones(2), activation="power:2"))
    with pytest.raises(UserError, match="implicit"):
        tensors.dense(tensors.power_form(np.ones((1, 100)), [1.0], 4))
    with pytest.raises(UserError, match="starts must be a whole number"):
        tensors.operator_norm(tensors.power_form(np.eye(2), [1.0, 1.0], 3), starts=0)


@pytest.mark.slow
def test_a_large_form_of_order_four():
    """n = 10^5, d = 50: d^4 entries are never formed (6.25 million would take 50 MB alone)."""
    found = tensors.operator_norm(tensors.data_form(generic(100_000, 50), 4), starts=16, steps=100)
    assert 11.0 < found.lower <= found.upper < 50.0


@pytest.mark.parametrize("scale", [1e-200, 1e-60, 1e60, 1e200])
def test_extreme_scales_leave_the_bounds_in_order(scale):
    """0 <= lower <= upper, finite below, whatever over- and underflows."""
    found = tensors.operator_norm(tensors.power_form(scale * np.eye(2), [1.0, -1.0], 3))
    assert 0 <= found.lower <= found.upper and math.isfinite(found.lower)
    half = tensors.power_form(0.5 * np.eye(2), [1.0, -1.0], 600)
    assert tensors.frobenius_norm(half) == pytest.approx(math.sqrt(2) * 0.5**600, rel=1e-9)
    assert tensors.nuclear_norm_bound(half) >= 2 * 0.5**600
