"""A polynomial network expanded around its biases: symmetric tensors, free of overflow at any scale, with their errors.

f(x) = sum_q <T_q, x^(q)> with T_q = sum_l a_l psi^(q)(b_l)/q! w_l^(q), v^(q) being the q-fold tensor product of v.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from lawjax.lipschitz import verified
from lawjax.lipschitz.verified import MORE, TINY

_ABSENT = -(10**9)  # the exponent of a zero


class Expansion(NamedTuple):
    """f(R y) = constant + 2^exponent sum_q sum_l coefficients[q, l] (directions_l . y)^q, up to errors.

    Attributes:
        directions: (k, d), rows of length at most one, up to a rounding.
        coefficients: (p + 1, k), of order one at most; row 0 is not used.
        errors: (p + 1,) bounds on the Frobenius norm of the exact T_q less the one of these floats.
        present: (p + 1,), whether T_q has any term.
        exponent: of the power of two taken out.
    """

    directions: Float[np.ndarray, "k d"]
    coefficients: Float[np.ndarray, "orders k"]
    errors: Float[np.ndarray, " orders"]
    present: Bool[np.ndarray, " orders"]
    exponent: int

    def path(self, q: int) -> float:
        """Sum_l |coefficient|, which with the error bounds every norm of T_q."""
        return verified.total(
            [verified.total(np.abs(self.coefficients[q])) * (1.0 + verified.gamma(4)), self.errors[q]]
        )


def expand(
    W: Float[np.ndarray, "k d"],
    b: Float[np.ndarray, " k"],
    a: Float[np.ndarray, " k"],
    psi: tuple[float, ...],
    radius: float,
) -> Expansion:
    """The tensors T_q of y -> f(R y) as float directions and coefficients, free of overflow at any scale.

    With w_l = n_l u_l and rho_l = R n_l the coefficients are sum_p a_l c_p binomial(p, q) rho_l^q b_l^(p-q). Mantissas
    and exponents are kept apart until the largest exponent of all terms is known.
    """
    live = (a != 0) & W.any(1)
    W, b, a = W[live], b[live].astype(np.float64), a[live].astype(np.float64)
    k, degree = len(a), len(psi) - 1
    _, of_rows = np.frexp(np.abs(W).max(1, initial=0.0))
    W = np.ldexp(W, -of_rows[:, None])  # exact, but for entries far below the rounding of the others
    lengths = verified.row_norms(W)  # upper bounds, so that w_l / n_l is no longer than one
    rho, of_rho = np.frexp(lengths * math.frexp(radius)[0])
    of_rho = of_rho.astype(np.int64) + of_rows + math.frexp(radius)[1]
    of_b, exponents_b = np.frexp(b)
    powers = list(_powers(rho, of_rho, degree)), list(_powers(of_b, exponents_b, degree))
    exponent = max(
        (int(exponents.max(initial=_ABSENT)) for _, _, exponents in _terms(a, psi, *powers)), default=_ABSENT
    )
    coefficients, magnitudes = np.zeros((2, degree + 1, k))
    present = np.zeros(degree + 1, bool)
    for q, mantissas, exponents in _terms(a, psi, *powers):
        terms = np.ldexp(mantissas, np.maximum(exponents - exponent, -5000))
        coefficients[q] += terms
        magnitudes[q] += np.abs(terms)
        present[q] |= bool(mantissas.any())
    # At most 3 p + 12 roundings in a coefficient; one in each entry of the q directions multiplied.
    roundings = verified.gamma(8 * (degree + 4))
    errors = np.array([roundings * verified.total(row) * MORE + k * (degree + 2) * TINY for row in magnitudes])
    return Expansion(W / lengths[:, None], coefficients, np.where(present, errors, 0.0), present, exponent)


def _powers(mantissas: np.ndarray, exponents: np.ndarray, highest: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Mantissas and exponents of the powers 0, ..., highest; power n has n - 1 roundings."""
    power, of_power = np.ones(len(mantissas)), np.zeros(len(mantissas), np.int64)
    for _ in range(highest + 1):
        yield power, of_power
        power, shift = np.frexp(power * mantissas)
        of_power = of_power + exponents + shift


def _terms(
    a: np.ndarray, psi: tuple[float, ...], of_rho: list[Any], of_bias: list[Any]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(q, mantissas (k,), exponents (k,)) of a_l c_p binomial(p, q) rho_l^q b_l^(p-q) for all p >= q >= 1."""
    mantissa_a, exponent_a = np.frexp(a)
    for p, c in enumerate(psi):
        for q in range(1, p + 1) if c else ():
            binomial = math.comb(p, q)
            shift = max(binomial.bit_length() - 64, 0)  # a degree of more than a thousand goes beyond float64
            factor, of_factor = math.frexp(float(binomial >> shift) * math.frexp(c)[0])
            mantissas = mantissa_a * factor * of_rho[q][0] * of_bias[p - q][0]
            exponents = exponent_a + of_factor + shift + math.frexp(c)[1] + of_rho[q][1] + of_bias[p - q][1]
            yield q, mantissas, np.where(mantissas != 0, exponents, _ABSENT)
