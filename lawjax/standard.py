"""Points far from 0, or in units far from one, in a form that single precision holds: x' = (x - shift) 2^-exponent.

Float32 has seven digits: of points at 2000 +- 1 it keeps four of the part that tells them apart, of points of size
1e-40 nothing. Training and the search for smooth networks therefore work on x', computed in float64, and what they find
is brought back in float64: w = w' 2^-exponent, b = b' - w . shift. Points near 0 and of a size near one stay as they
are, bit by bit.

>>> far = standard_form(np.array([[2000.0], [2001.0], [1999.0]]))
>>> far.shift, far.exponent, far.points(np.array([[2001.0]]))
(array([2000.]), 0, array([[1.]]))
>>> standard_form(np.array([[2.0], [-1.0]])).is_plain
True
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Num

from lawjax import data
from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.network import TwoLayer

_FAR = 2.0  # deviations: from there on the mean costs training steps, and on a ball the search its best networks
_NEAR_ONE = (
    -4,
    12,
)  # powers of two between which rates, initial weights and batch norm's epsilon are of the right size
_LARGEST = 990  # a power of two that leaves room for weights and their sums in float64


class StandardForm(NamedTuple):
    """How given points become x' = (x - shift) 2^-exponent, and networks of x' networks of x.

    Attributes:
        shift: (d,), or None for none.
        exponent: of the power of two that is the unit of x'.
    """

    shift: np.ndarray | None
    exponent: int

    @property
    def is_plain(self) -> bool:
        """Whether x' is x."""
        return self.shift is None and self.exponent == 0

    def points(self, x: np.ndarray) -> np.ndarray:
        """x' for points (..., d), in float64; x itself where the form is plain."""
        if self.is_plain:
            return x
        x = np.asarray(x, np.float64)
        return np.ldexp(x if self.shift is None else x - self.shift, -self.exponent)

    def given_points(self, x: np.ndarray) -> np.ndarray:
        """The points (..., d) whose standard form is x."""
        return x if self.is_plain else np.ldexp(x, self.exponent) + (0.0 if self.shift is None else self.shift)

    def given(self, network: TwoLayer) -> TwoLayer:
        """The network of x that a network of x' is: x -> f(x'), in float64; itself where the form is plain."""
        if self.is_plain:
            return network
        W, b, a, c = _float64(network)
        W = np.ldexp(W, -self.exponent)
        return TwoLayer(W, b if self.shift is None else b - W @ self.shift, a, c, network.activation)

    def own(self, network: TwoLayer) -> TwoLayer:
        """The network of x' that a network of x is, in float64: the inverse of `given`."""
        if self.is_plain:
            return network
        W, b, a, c = _float64(network)
        b = b if self.shift is None else b + W @ self.shift
        return TwoLayer(np.ldexp(W, self.exponent), b, a, c, network.activation)

    def rounded(self, network: TwoLayer, dtype: DTypeLike) -> TwoLayer:
        """A network of x in `dtype`; in float64 where that would lose more than the last digits of its weights.

        After a shift b nearly cancels w . x, which needs its digits; in units far from one W may leave the range.
        """
        holds = self.is_plain or (self.shift is None and _holds(network, jnp.finfo(dtype)))
        return network.astype(dtype if holds else np.float64)


def standard_form(x: Num[Any, "n d"], movable: bool = True) -> StandardForm:
    """The standard form of points: a shift to their mean where it is far from 0, a power of two near their size.

    Args:
        x: finite.
        movable: whether a shift is free; otherwise there is none.

    Raises:
        UserError: points so large or so small that weights for them leave float64.
    """
    x = np.asarray(x, np.float64)
    if _is_ordinary(x) or not x.any():
        return StandardForm(None, 0)
    largest = float(np.abs(x).max())
    if math.frexp(largest)[1] > _LARGEST:
        raise _beyond(largest)
    mean = data.centre(x)
    deviation = _length(x - mean)
    # Equal points need no shift: there is nothing to tell apart.
    shift = mean if movable and 0 < _FAR * deviation < _length(mean[None]) else None
    size = _length(x) if shift is None else deviation
    exponent = math.frexp(size)[1]
    if abs(exponent) > _LARGEST:
        raise _beyond(size)
    return StandardForm(shift, 0 if _NEAR_ONE[0] <= exponent <= _NEAR_ONE[1] else exponent)


def check_separable(dataset: Dataset, own: np.ndarray, remedy: str) -> None:
    """Check that a network can tell points of opposite labels apart.

    Args:
        dataset: as given.
        own: (n, d), the same points in the form and precision that is computed with.
        remedy: what helps against too little precision.

    Raises:
        UserError: two of them are equal, as given or in that form.
    """
    for x, why in (
        (dataset.x, "are equal, so no function fits: correct a label or remove a point"),
        (own, f"differ by less than {own.dtype} can tell beside the size of all: {remedy}"),
    ):
        twins = data.twins(x, dataset.y)
        if twins is not None:
            raise UserError("Points {} and {} (from 0) carry opposite labels, but {}.".format(*twins, why))


def _is_ordinary(x: np.ndarray) -> bool:
    """Whether a rough look at the points, in a tenth of the time, leaves no doubt that they can stay as they are."""
    with np.errstate(over="ignore", invalid="ignore"):
        square, mean = float(np.vdot(x, x)) / len(x), x.mean(0)
        offset = float(mean @ mean)
        return 2.0**-8 < square < 2.0**20 and 2.0 * offset < _FAR**2 * (square - offset)


def _beyond(size: float) -> UserError:
    return UserError(
        f"The points are of size {size:.3g}, for which weights leave double precision: multiply x by a number that "
        "brings its size near 1."
    )


def _length(rows: np.ndarray) -> float:
    """Root-mean-square length of the rows, whatever their size."""
    exponent = math.frexp(float(np.abs(rows).max()))[1]
    return math.ldexp(math.sqrt(float(np.mean(np.sum(np.ldexp(rows, -exponent) ** 2, axis=1)))), exponent)


def _float64(network: TwoLayer) -> tuple[np.ndarray, ...]:
    host = network.astype(np.float64)
    return host.W, host.b, host.a, host.c


def _holds(network: TwoLayer, kind: Any) -> bool:
    """Whether no weight that matters over- or underflows: entries of W down to 2^-26 of the largest."""
    sizes = [float(np.abs(leaf).max()) for leaf in _float64(network)]
    return max(sizes) < float(kind.max) and (sizes[0] == 0 or float(kind.tiny) < sizes[0] * 2.0**-26)
