"""Rounded bounds against exact arithmetic in fractions, and against what NumPy finds."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawjax.lipschitz import verified

SEEDS = st.integers(0, 2**32 - 1)


@given(st.integers(1, 10**6))
def test_gamma_is_above_its_formula(n):
    u = Fraction(1, 2**53)
    assert Fraction(verified.gamma(n)) >= n * u / (1 - n * u)


@given(st.lists(st.floats(-1e300, 1e300), max_size=20))
def test_a_total_is_above_the_sum(values):
    assert Fraction(verified.total(values)) >= sum(map(Fraction, values))


@given(SEEDS, st.integers(1, 12), st.sampled_from([1e-200, 1e-20, 1.0, 1e20, 1e150]))
def test_row_norms_are_above_and_close(seed, d, scale):
    rows = np.random.default_rng(seed).standard_normal((5, d)) * scale
    rows[2] = 0.0
    norms = verified.row_norms(rows)
    for row, norm in zip(rows, norms, strict=True):
        square = sum(Fraction(entry) ** 2 for entry in row)
        assert square <= Fraction(norm) ** 2 <= square * (1 + Fraction(1, 10**13))
    assert norms[2] == 0.0


@settings(deadline=None)
@given(SEEDS, st.integers(1, 9), st.integers(1, 9), st.sampled_from([1e-150, 1e-20, 1.0, 1e20, 1e150]))
def test_the_spectral_norm_is_above_in_exact_arithmetic(seed, m, p, scale):
    """mu^2 I - A A' must have no negative leading minor, in fractions."""
    A = np.random.default_rng(seed).standard_normal((m, p)) * scale
    bound = verified.spectral_norm(A)
    assert bound <= np.linalg.norm(A / scale, 2) * scale * (1 + 1e-12)
    exact = [[Fraction(entry) for entry in row] for row in A]
    matrix = [
        [
            (Fraction(bound) ** 2 if i == j else Fraction(0))
            - sum(x * y for x, y in zip(exact[i], exact[j], strict=True))
            for j in range(m)
        ]
        for i in range(m)
    ]
    for pivot in range(m):  # elimination without square roots
        assert matrix[pivot][pivot] > 0
        for i in range(pivot + 1, m):
            factor = matrix[i][pivot] / matrix[pivot][pivot]
            matrix[i] = [x - factor * y for x, y in zip(matrix[i], matrix[pivot], strict=True)]


@pytest.mark.parametrize("rank", [1, 3, 40])
def test_multiple_largest_eigenvalues(rank):
    """At the relaxation's optimum the largest eigenvalue is a multiple one; Lanczos must not miss it."""
    basis = np.linalg.qr(np.random.default_rng(rank).standard_normal((400, 400)))[0]
    values = np.concatenate([np.full(rank, 2.0), np.linspace(0, 1.9, 400 - rank)])
    S = (basis * values) @ basis.T
    S = np.tril(S) + np.tril(S, -1).T
    assert 2.0 * (1 - 1e-13) <= verified.largest_eigenvalue(S) <= 2.0 * (1 + 1e-9)


def test_errors_are_added_and_nothing_is_nothing():
    assert verified.spectral_norm(np.zeros((3, 2))) == 0.0
    assert verified.spectral_norm(np.zeros((3, 2)), 0.5) == 0.5
    assert verified.spectral_norm(np.eye(3), 0.5) >= 1.5
    assert verified.spectral_norm(np.full((2, 2), np.inf)) == np.inf
