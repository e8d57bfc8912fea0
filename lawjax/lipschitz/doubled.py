"""Sums and products in doubled precision, about 106 bits: a value is the sum of two floats, the second a rounding.

The classical error-free transformations (Dekker 1971; Knuth), entry by entry on arrays. Entries must be far from
overflow and underflow, in arrays with an axis at least: NumPy makes numbers of others.

>>> high, low = times(np.array([1.0 + 2.0**-30]), np.array([1.0 + 2.0**-30]))
>>> float(high[0]), float(low[0]) == 2.0**-60
(1.0000000018626451, True)
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Entries = Float[np.ndarray, "..."]
Doubled = tuple[Entries, Entries]
_SPLIT = 2.0**27 + 1.0


def plus(x: Entries, y: Entries) -> Doubled:
    """x + y without error."""
    total = x + y
    of_y = total - x
    return total, (x - (total - of_y)) + (y - of_y)


def times(x: Entries, y: Entries) -> Doubled:
    """Returns x y without error."""
    product = x * y
    (x1, x2), (y1, y2) = _halves(x), _halves(y)
    return product, ((x1 * y1 - product) + x1 * y2 + x2 * y1) + x2 * y2


def _halves(x: Entries) -> Doubled:
    shifted = _SPLIT * x
    high = shifted - (shifted - x)
    return high, x - high


def add(x: Doubled, y: Doubled) -> Doubled:
    """The sum of two doubled values, up to some 2^-104 of their sizes."""
    high, low = plus(x[0], y[0])
    return plus(high, low + (x[1] + y[1]))


def multiply(x: Doubled, y: Doubled) -> Doubled:
    """The product of two doubled values."""
    high, low = times(x[0], y[0])
    return plus(high, low + (x[0] * y[1] + x[1] * y[0]))


def dot(x: Float[np.ndarray, "*m d"], y: Float[np.ndarray, "*m d"]) -> Doubled:
    """Inner products along the last axis, up to some d 2^-104 of sum |x_i y_i|."""
    products, errors = times(x, y)
    high, low = np.zeros(products.shape[:-1]), np.zeros(products.shape[:-1])
    for i in range(products.shape[-1]):
        high, rounding = plus(high, products[..., i])
        low = low + (rounding + errors[..., i])
    return plus(high, low)


def root(x: Doubled) -> Doubled:
    """Square roots of positive doubled values."""
    first = np.sqrt(x[0])
    square, of_square = times(first, first)
    return plus(first, (((x[0] - square) - of_square) + x[1]) / (2.0 * first))


def weighted_sum(coefficients: Doubled, rows: Float[np.ndarray, "k d"]) -> Doubled:
    """sum_l c_l w_l for doubled c (k,) and rows (k, d); up to some k 2^-104 of the sum of the terms' sizes."""
    high, low = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    for first, second, row in zip(*coefficients, rows, strict=True):
        product, error = times(np.full_like(row, first), row)
        high, rounding = plus(high, product)
        low = low + (rounding + error + second * row)
    return plus(high, low)
