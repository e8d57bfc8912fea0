"""Theorems 4 to 7 evaluated on the data at hand, with a margin for rounding: certified bounds without constants."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from lawjax import arguments, data
from lawjax.data import Dataset
from lawjax.theory import tensors
from lawjax.theory.lower_bounds.record import MARGIN, LowerBound, exponent_of, that_fit, times_two_to_the


def theorem4(
    dataset: Dataset,
    k: int,
    values: ArrayLike | None = None,
    errors: ArrayLike | None = None,
    epsilon: float = 0.0,
) -> LowerBound:
    """Theorem 4 on the data at hand: Lip(f) on R^d is at least 2 sqrt(n' / sum_(j<=k) lambda_j(sum_i z_i z_i')).

    f(x) = g(Px) with P of rank k; z_i are the differences of n' disjoint pairs of opposite labels. From
    2 n' <= sum_i |f(x_i) - f(x_i')| <= Lip sum_i |P z_i|, P a projection. It exceeds sqrt(d/k) times a constant for
    generic data, n >= d.

    Args:
        dataset: with both labels.
        k: rank of P, such as the number of neurons.
        values: (n,), f(x_i) of a function that does not fit exactly; its differences replace 2.
        errors: (n,), bounds on what rounding makes the values wrong by.
        epsilon: for all functions whose mean square distance from the values is at most this: their differences add up
            to less by sqrt(2 n' n epsilon) at most.

    Raises:
        UserError: k < 1, values of another shape or not finite, a negative epsilon.
    """
    arguments.whole("The number of neurons k", k)
    arguments.not_negative("epsilon", epsilon)
    x, y = data.float64(dataset)
    f = y if values is None else arguments.numbers("values", values, y.shape)
    wrong = np.zeros(len(y)) if errors is None else np.abs(arguments.numbers("errors", errors, y.shape, finite=False))
    first, second = np.flatnonzero(y > 0), np.flatnonzero(y < 0)
    pairs = min(len(first), len(second))
    value, reason = None, "only one label occurs"
    if pairs:
        first, second = first[:pairs], second[:pairs]
        z, halved = data.differences(x[first], x[second])
        scale = float(np.abs(z).max()) or 1.0  # so that no square overflows or vanishes
        rounding = wrong[first] + wrong[second] + 1e-15 * (np.abs(f[first]) + np.abs(f[second]))
        gap = float((f[first] - f[second] - rounding).sum()) - math.sqrt(2.0 * pairs * len(y) * epsilon)
        eigenvalues = np.linalg.svd(z / scale, compute_uv=False) ** 2
        length = math.sqrt(pairs * float(eigenvalues[:k].sum())) * scale
        reason, value = "", 0.0
        if gap > 0:
            value = math.inf if length == 0 else times_two_to_the(gap / length * MARGIN, -halved)
    return LowerBound(
        "Theorem 4", "section 4.2", value, "Lip on R^d", that_fit(f"g(Px), rank P <= {k},", epsilon), True, reason
    )


def theorem5(dataset: Dataset, order: int) -> LowerBound:
    """Theorem 5 on the data at hand, psi = t^p without biases: Lip(f) on the unit ball is p ||T||_op.

    ||T||_op >= n / ||Omega||_{op,*}, as n = <T, Omega> <= ||T||_op ||Omega||_{op,*}, Omega = sum_i y_i x_i^(p), and
    Lemma 3 bounds the last factor. The paper's form, n / (d^(p-1) ||Omega||_op), is not above it.
    """
    scaled, exponent = _scaled(dataset)
    nuclear = tensors.nuclear_norm_bound(tensors.data_form(scaled, order))
    value = math.inf if nuclear == 0 else times_two_to_the(order * dataset.n / nuclear * MARGIN, -order * exponent)
    return LowerBound(
        "Theorem 5",
        "section 4.3",
        value,
        "Lip on the unit ball",
        f"power:{order}, any k, no biases, that fit",
        True,
    )


def theorem6(dataset: Dataset, degree: int) -> LowerBound:
    """Theorem 6 on the data at hand: Lip(f) on the unit ball for psi a polynomial of degree p, biases allowed.

    On n_b points with as many labels of each kind, n_b = sum_q <T_q, Omega_q>, q = 1...p. With M = Lip and x a
    maximiser of T_q, the polynomial t -> f(tx) has |f'| <= M on [-1, 1], so its coefficient q T_q[x^q] of t^(q-1) is at
    most M kappa_(p-1,q-1), see `markov_coefficient`. Hence M >= n_b / sum_q kappa_(p-1,q-1) ||Omega_q||_{op,*} / q. The
    paper spends n_b / p on one q.

    Raises:
        UserError: a degree below 1.
    """
    arguments.whole("degree", degree)
    x, y = data.float64(dataset)
    pairs = int(min((y > 0).sum(), (y < 0).sum()))
    functions = f"polynomial psi of degree {degree}, any k, that fit"
    if not pairs:
        return LowerBound(
            "Theorem 6", "appendix D.1", None, "Lip on the unit ball", functions, True, "only one label occurs"
        )
    kept = np.concatenate([np.flatnonzero(y > 0)[:pairs], np.flatnonzero(y < 0)[:pairs]])
    balanced, exponent = _scaled(Dataset(x[kept], y[kept]))
    weights = []
    for q in range(1, degree + 1):
        nuclear = tensors.nuclear_norm_bound(tensors.data_form(balanced, q))
        weights.append(_upwards(markov_coefficient(degree - 1, q - 1) * nuclear / q, q * exponent))
    total = math.fsum(weights)
    value = math.inf if total == 0 else 2 * pairs / total * MARGIN
    return LowerBound("Theorem 6", "appendix D.1", value, "Lip on the unit ball", functions, True)


def markov_coefficient(degree: int, power: int) -> float:
    """The largest |coefficient of t^power| of a polynomial of this degree that is at most 1 in magnitude on [-1, 1].

    It is attained by the Chebyshev polynomial T_degree or T_(degree-1), whichever has the parity of the power
    (V. A. Markov 1892).
    """
    arguments.whole("degree", degree, 0)
    arguments.whole("power", power, 0, degree)
    m = degree if (degree - power) % 2 == 0 else degree - 1
    i = (m - power) // 2
    try:  # 2^(m-2i-1) m/(m-i) binomial(m-i, i)
        return float(Fraction(m * math.comb(m - i, i), m - i) * Fraction(2) ** (m - 2 * i - 1)) if m else 1.0
    except OverflowError:
        return math.inf


def theorem7(dataset: Dataset, k: int) -> LowerBound:
    """Theorem 7 on the data at hand, psi = t^2 without biases: Lip(f) on the unit ball is 2 ||T||_op, T of rank k.

    ||T||_op >= n / (sum of the k largest |eigenvalues| of Omega = sum_i y_i x_i x_i'), at least c sqrt(nd)/k.
    """
    arguments.whole("The number of neurons k", k)
    scaled, exponent = _scaled(dataset)
    largest = tensors.largest_eigenvalues(tensors.data_form(scaled, 2), k)
    value = math.inf if largest == 0 else times_two_to_the(2 * dataset.n / largest * MARGIN, -2 * exponent)
    return LowerBound(
        "Theorem 7",
        "appendix D.2",
        value,
        "Lip on the unit ball",
        f"power:2, k = {k}, no biases, that fit",
        True,
    )


def _scaled(dataset: Dataset) -> tuple[Dataset, int]:
    """The points times 2^-exponent, and the exponent: 0 where they are of a size near one."""
    x, y = data.float64(dataset)
    exponent = exponent_of(x)
    return Dataset(np.ldexp(x, -exponent), y), exponent


def _upwards(value: float, exponent: int) -> float:
    """An upper bound on value 2^exponent, value >= 0: above 0 unless the value is 0, whatever underflows."""
    if value == 0:
        return 0.0
    with np.errstate(over="ignore", under="ignore"):
        return max(float(np.ldexp(value, exponent)), sys.float_info.min)
