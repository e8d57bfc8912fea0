"""The one rule for quantiles of what was measured, so that a figure, a summary and a command say the same number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

NINE_IN_TEN = (0.05, 0.5, 0.95)


def quantiles(values: ArrayLike, shares: Sequence[float] = NINE_IN_TEN) -> list[float]:
    """Quantiles by linear interpolation between the ordered values.

    Args:
        values: (m,), where None and NaN stand for what was not measured and are left out; infinite ones count.
        shares: in [0, 1]; 0.5 is the median, which of two values is their mean.

    Returns:
        One for each share; NaN where nothing was measured.

    >>> quantiles([1.0, None, 2.0, float("inf")], (0.0, 0.25, 0.5, 1.0))
    [1.0, 1.5, 2.0, inf]
    """
    found = np.asarray(values, np.float64)
    found = found[~np.isnan(found)]
    if not found.size:
        return [float("nan")] * len(shares)
    with np.errstate(invalid="ignore"):
        between = np.quantile(found, shares)
    # Where both neighbours are infinite, or one is and has no weight, there is nothing to interpolate.
    return np.where(np.isnan(between), np.quantile(found, shares, method="higher"), between).tolist()
