"""What an activation of one's own says of itself, tried at some thousand points.

>>> step = Activation("step", lambda t: t * (t > 0), lambda t: 1.0 * (t > 0), (0.0, 1.0))
>>> tried(step)
Traceback (most recent call last):
lawjax.errors.UserError: step: at 0 its slope is not the derivative of its function; if psi' jumps there, name the kink.
"""

from __future__ import annotations

import itertools
import math

import jax
import numpy as np
from jaxtyping import Float

from lawjax.activations.activation import Activation
from lawjax.errors import UserError

_PLACES = np.unique(
    np.concatenate(
        [
            np.linspace(-8.0, 8.0, 2001).round(3),
            np.arange(-8.0, 8.0, 0.25),
            -np.logspace(0, 4, 50),
            np.logspace(0, 4, 50),
        ]
    )
)
_STEP, _CLOSE = 1e-6, 1e-5  # of central differences, and how close they come to a slope of order one
_SAME = 1e-9  # relative distance of values that are the same but for rounding


def tried(psi: Activation) -> Activation:
    """The activation, once its statements held where they were tried.

    Raises:
        UserError: one did not; its functions fail for an array, or make another kind of array of it.
    """
    t = _PLACES[(np.abs(np.subtract.outer(_PLACES, psi.kinks)) > 2.0 * _STEP).all(1)]
    try:
        with np.errstate(all="ignore"):
            values, slopes = psi.function(t), psi.slope(t)
            central = (psi.function(t + _STEP) - psi.function(t - _STEP)) / (2.0 * _STEP)
            twice, mirrored = psi.function(2.0 * t), psi.function(-t)
    except Exception as error:
        raise UserError(f"{psi.name}: its functions fail for an array of numbers ({error}).") from None
    for found in (values, slopes):
        if not (isinstance(found, np.ndarray) and found.dtype == np.float64 and found.shape == t.shape):
            raise UserError(
                f"{psi.name}: its functions must make a NumPy array in float64 of one, as operators and "
                "lawjax.activations.xp_of(t) do."
            )
    _try_in_jax(psi)
    size = 1.0 + np.abs(slopes) + np.abs(values) * 1e-4
    if not (np.abs(central - slopes) <= _CLOSE * size).all():
        worst = float(t[np.argmax(np.abs(central - slopes) / size)])
        raise UserError(
            f"{psi.name}: at {worst:.6g} its slope is not the derivative of its function; if psi' jumps there, name "
            "the kink."
        )
    low, high = (-math.inf, math.inf) if psi.slope_interval is None else psi.slope_interval
    if not ((low <= slopes) & (slopes <= high)).all():
        raise UserError(f"{psi.name}: a slope of {slopes[np.argmax(np.abs(slopes))]:.6g} is outside its interval.")
    for claimed, name, found in ((psi.is_homogeneous, "homogeneous", twice), (psi.is_odd, "odd", mirrored)):
        expected = 2.0 * values if name == "homogeneous" else -values
        if claimed and not np.allclose(found, expected, rtol=_SAME, atol=_SAME):
            raise UserError(f"{psi.name} is not {name}.")
    _try_pieces(psi, t)
    return psi


def _try_in_jax(psi: Activation) -> None:
    """Training and searches call psi while JAX traces them."""
    t = jax.ShapeDtypeStruct((3,), np.float32)
    try:
        with jax.numpy_dtype_promotion("standard"):
            found = [jax.eval_shape(function, t) for function in (psi.function, psi.slope)]
        right = all(each.shape == t.shape and each.dtype == t.dtype for each in found)
    except Exception:  # whatever NumPy's functions, or a branch, raise for an array that has no values yet
        right = False
    if not right:
        raise UserError(
            f"{psi.name}: its functions must make a JAX array of a JAX array, also within jax.jit: write them with "
            "operators, abs, and the functions of lawjax.activations.xp_of(t), which is numpy or jax.numpy as t is."
        )


def _try_pieces(psi: Activation, t: Float[np.ndarray, " m"]) -> None:
    """Between kinks slopes are constant if psi is piecewise linear; between these and turns they are monotone."""
    if psi.is_piecewise_linear:
        at = np.array(psi.sides)[np.searchsorted(psi.kinks, t)]
        if not (psi.slope(t) == at).all():
            raise UserError(f"{psi.name} is not piecewise linear: between kinks its slopes are not one.")
    if psi.turns is not None:
        for first, last in itertools.pairwise((-math.inf, *sorted({*psi.turns, *psi.kinks}), math.inf)):
            change = np.diff(psi.slope(t[(first < t) & (t < last)]))
            if (change > 1e-12).any() and (change < -1e-12).any():
                raise UserError(f"{psi.name}: between {first:.6g} and {last:.6g} its slope turns, too.")
