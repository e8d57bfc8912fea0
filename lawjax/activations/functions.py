"""psi and psi' of the presets, for NumPy arrays by NumPy and for JAX arrays by JAX, right in the tails.

Every function keeps the shape and the precision of its argument. float16 and bfloat16 are computed in float32 and
rounded. At infinity they have their limits, and so have JAX's derivatives of them.

    >>> silu_slope(np.array([0.0, np.inf])).tolist()
    [0.5, 1.0]
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special
import numpy as np
import scipy.special

from lawjax.activations.activation import Numbers

_NO_TAIL = 40.0  # the normal distribution has none beyond, in float64
_NO_LOGISTIC_TAIL = 1000.0  # nor has the logistic function
_SLOPE_AT_0 = 2.0 * math.sqrt(2.0 / math.pi)  # of what the logistic function is taken of in gelu:tanh, which
_CUBIC = 0.044715  # gives the cubic term this share

Function = Callable[[Numbers], Numbers]


def xp_of(t: Numbers) -> Any:
    """numpy or jax.numpy, whichever computes t."""
    return np if isinstance(t, (np.ndarray, np.generic, float, int)) else jnp


def _in_float32(function: Callable[..., Numbers]) -> Callable[..., Numbers]:
    """The same function, computed in float32 for shorter floats."""

    @functools.wraps(function)
    def computed(t: Numbers, *parameters: Any, **named: Any) -> Numbers:
        dtype = getattr(t, "dtype", None)
        if dtype is None or dtype.itemsize >= 4:
            return function(t, *parameters, **named)
        return function(t.astype(np.float32), *parameters, **named).astype(dtype)

    return computed


@_in_float32
def relu(t: Numbers) -> Numbers:
    """max(t, 0)."""
    # The gradient of jnp.maximum shares itself out at ties, by a division; this one is the slope from the left.
    return np.maximum(t, 0.0) if xp_of(t) is np else jax.nn.relu(t)


@_in_float32
def leaky_relu(t: Numbers, slope: float) -> Numbers:
    """t for t > 0, slope t elsewhere."""
    return xp_of(t).where(t > 0, t, slope * t)


@_in_float32
def clip(t: Numbers, low: float, high: float) -> Numbers:
    """min(max(t, low), high), with JAX's gradient at the ends that from the left."""
    xp = xp_of(t)
    return xp.where(t > high, high, xp.where(t > low, t, low))


@_in_float32
def constant_between(t: Numbers, kinks: tuple[float, ...], sides: tuple[float, ...]) -> Numbers:
    """The slope of a piecewise-linear psi, from the left at its kinks."""
    xp = xp_of(t)
    value = xp.ones_like(t) * sides[0]
    for kink, side in zip(kinks, sides[1:], strict=True):
        value = xp.where(t > kink, xp.ones_like(t) * side, value)
    return value


def horner(t: Numbers, coefficients: tuple[float, ...]) -> Numbers:
    """sum c_q t^q."""
    value = xp_of(t).zeros_like(t)
    for coefficient in reversed(coefficients):
        value = value * t + coefficient
    return value


@_in_float32
def tanh(t: Numbers) -> Numbers:
    """The hyperbolic tangent."""
    return xp_of(t).tanh(t)


@_in_float32
def tanh_slope(t: Numbers) -> Numbers:
    """1 / cosh(t)^2 without the cancellation of 1 - tanh(t)^2 far from 0 and the overflow of cosh(t); never above 1."""
    xp = xp_of(t)
    tail = xp.exp(-2.0 * abs(t))
    return xp.where(tail > 0.5, 1.0 - xp.tanh(t) ** 2, 4.0 * tail / (1.0 + tail) ** 2)


@_in_float32
def sigmoid(t: Numbers) -> Numbers:
    """1 / (1 + exp(-t))."""
    return _logistic(t)


@_in_float32
def sigmoid_slope(t: Numbers) -> Numbers:
    """A quarter of the slope of tanh at t / 2."""
    return 0.25 * tanh_slope(0.5 * t)


@_in_float32
def softplus(t: Numbers) -> Numbers:
    """log(1 + exp(t))."""
    return xp_of(t).logaddexp(t, 0.0)


@_in_float32
def silu(t: Numbers) -> Numbers:
    """t sigmoid(t)."""
    xp = xp_of(t)
    near = xp.clip(t, -_NO_LOGISTIC_TAIL, _NO_LOGISTIC_TAIL)
    return xp.where(t > _NO_LOGISTIC_TAIL, t, near * _logistic(near))


@_in_float32
def silu_slope(t: Numbers) -> Numbers:
    """With s = sigmoid(t): s + t s (1 - s)."""
    near = xp_of(t).clip(t, -_NO_LOGISTIC_TAIL, _NO_LOGISTIC_TAIL)
    return _logistic(near) * (1.0 + near * _logistic(-near))


@_in_float32
def elu(t: Numbers) -> Numbers:
    """t for t > 0, exp(t) - 1 elsewhere."""
    xp = xp_of(t)
    return xp.where(t > 0, t, xp.expm1(xp.where(t > 0, 0.0, t)))


@_in_float32
def elu_slope(t: Numbers) -> Numbers:
    """exp(min(t, 0))."""
    xp = xp_of(t)
    return xp.exp(xp.where(t > 0, 0.0, t))


@_in_float32
def gelu(t: Numbers) -> Numbers:
    """t Phi(t), Phi being the normal distribution."""
    xp = xp_of(t)
    return xp.where(t > _NO_TAIL, t, xp.clip(t, -_NO_TAIL, _NO_TAIL) * _normal_cdf(t))


@_in_float32
def gelu_slope(t: Numbers) -> Numbers:
    """Phi(t) + t phi(t)."""
    near = xp_of(t).clip(t, -_NO_TAIL, _NO_TAIL)
    return _normal_cdf(t) + near * _normal_pdf(near)


@_in_float32
def gelu_tanh(t: Numbers) -> Numbers:
    """0.5 t (1 + tanh(sqrt(2 / pi) (t + 0.044715 t^3))), which is t sigmoid of twice that."""
    xp = xp_of(t)
    near = xp.clip(t, -_NO_TAIL, _NO_TAIL)
    return xp.where(t > _NO_TAIL, t, near * _logistic(_cubic(near)))


@_in_float32
def gelu_tanh_slope(t: Numbers) -> Numbers:
    """With s = sigmoid(u), u the cubic: s + t u' s (1 - s)."""
    near = xp_of(t).clip(t, -_NO_TAIL, _NO_TAIL)
    cubic = _cubic(near)
    steepness = _SLOPE_AT_0 * (1.0 + 3.0 * _CUBIC * near * near)
    return _logistic(cubic) * (1.0 + near * steepness * _logistic(-cubic))


def _cubic(t: Numbers) -> Numbers:
    return _SLOPE_AT_0 * (t + _CUBIC * t * t * t)


def _logistic(t: Numbers) -> Numbers:
    return scipy.special.expit(t) if xp_of(t) is np else jax.scipy.special.expit(t)


def _normal_cdf(t: Numbers) -> Numbers:
    return scipy.special.ndtr(t) if xp_of(t) is np else jax.scipy.special.ndtr(t)


def _normal_pdf(t: Numbers) -> Numbers:
    """exp(-t^2 / 2) / sqrt(2 pi) for |t| <= 40, to a few roundings: t^2 alone would have t^2 / 2 of them."""
    xp = xp_of(t)
    head = xp.round(16.0 * t) / 16.0  # its square is exact
    return xp.exp(-0.5 * head * head) * xp.exp(-0.5 * (t - head) * (t + head)) * (1.0 / math.sqrt(2.0 * math.pi))
