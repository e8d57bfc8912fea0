"""The points of a search: in standard form, around their mean where the domain allows it, of length one.

A search runs in float32, for which points far from 0, or of another size, would lose digits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lawjax import data
from lawjax.data import Dataset
from lawjax.domains import Space, as_domain
from lawjax.errors import UserError
from lawjax.frontier.config import FrontierConfig
from lawjax.standard import StandardForm, check_separable, standard_form

_LARGEST_RADIUS = 1e12  # over the points' length: for float32 as good as none
_LEAST_OF_FORMS = 0.5
_FARTHEST_OF_FORMS = 50.0
_FARTHEST_OF_EXACT_FITS = 2e9  # times 2^-53: a tenth of what an exact fit may be off by


class Points(NamedTuple):
    """The points as they are searched.

    Attributes:
        x: (n, d), float32, the points in standard form less `centre`, over `length`, their root mean square.
        y: (n,), float32.
        form: the standard form.
        centre: (d,).
        length: see x.
        radius: of the ball or sphere over `length`, infinite for R^d.
        around: (d,), the middle of the ball or sphere over `length`, None where it is 0.
    """

    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, " n"]
    form: StandardForm
    centre: Float[np.ndarray, " d"]
    length: float
    radius: float
    around: Float[np.ndarray, " d"] | None


def standardised(dataset: Dataset, config: FrontierConfig) -> Points:
    """The points as they are searched.

    A shift moves R^d into itself, and a ball into one around another point; forms t^2 have no biases to follow it.

    Raises:
        UserError: an invalid data set, points of opposite labels that are equal or that float32 cannot tell apart,
            points too far from 0 for what is asked for.
    """
    dataset = data.float64(dataset)
    form = standard_form(dataset.x, movable=not config.quadratic)
    x, domain = form.points(dataset.x), as_domain(config.domain)
    space = isinstance(domain, Space)
    centre = x.mean(0) if space else np.zeros(x.shape[1])
    length = math.sqrt(float(np.mean(np.sum((x - centre) ** 2, axis=1)))) or 1.0
    own = ((x - centre) / length).astype(np.float32)
    check_separable(dataset, own, "rescale the features in which they differ, or remove a point")
    origin = None if form.shift is None else form.points(np.zeros(x.shape[1])) / length
    _check_near_enough(own, origin, config)
    radius = math.inf if space else _searched_radius(math.ldexp(domain.radius, -form.exponent) / length, config)
    around = None if space else origin
    return Points(own, dataset.y.astype(np.float32), form, centre, length, radius, around)


def _check_near_enough(own: np.ndarray, origin: np.ndarray | None, config: FrontierConfig) -> None:
    """Refuse what no precision at hand can search, for the mean is too many times the points' length around it."""
    mean = float(np.linalg.norm(own.mean(0, dtype=np.float64)))
    if config.quadratic and 1.0 - mean**2 < _FARTHEST_OF_FORMS**-2:
        raise UserError(
            f"The mean of the points is more than {_FARTHEST_OF_FORMS:g} times their spread, and forms t^2 have no "
            "biases to follow it: pass x - x.mean(0), or take another activation."
        )
    if config.exact and origin is not None and np.linalg.norm(origin) > _FARTHEST_OF_EXACT_FITS:
        raise UserError(
            f"The mean of the points is {np.linalg.norm(origin):.2g} times their spread, where float64 cannot tell an "
            "exact fit: pass x - x.mean(0), or epsilon > 0."
        )


def _searched_radius(radius: float, config: FrontierConfig) -> float:
    """The radius within float32; for forms t^2, whose gradient it only multiplies, never so small that none is left."""
    if config.quadratic and radius < _LEAST_OF_FORMS:
        return 1.0
    return min(max(radius, 1.0 / _LARGEST_RADIUS), _LARGEST_RADIUS)
