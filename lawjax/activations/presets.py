"""The activations that have a name, with the intervals and turning points of their slopes.

Constants are derived here and rounded outwards. Write s(t) = 1 / (1 + exp(-t)), so that 1 - s(t) = s(-t).

- tanh: psi' = 1 - tanh^2 grows up to t = 0 and falls behind it.
- sigmoid: psi' = s (1 - s), psi'' = s (1 - s) (1 - 2 s): the same, and psi'(0) = 1/4.
- softplus: psi' = s grows. elu: psi' = exp(min(t, 0)) does not fall, and is continuous.
- gelu: psi'' = phi(t) (2 - t^2), phi the normal density: turns at t = -sqrt(2), sqrt(2), where the slopes are
  -0.12890414518515... and 1.12890414518515...
- silu: psi' = s + t s (1 - s), psi'' = s (1 - s) (2 - t tanh(t / 2)). t tanh(t / 2) is even and grows for t > 0, so
  there is one turn on each side, where it is 2: t = 2.39935728051546767..., psi' = 1.09983932012886691...; and
  psi'(-t) = 1 - psi'(t) gives the least slope.
- gelu:tanh: psi = t s(u), u = p t + q t^3 with p = 2 sqrt(2 / pi), q = 0.044715 p. Where psi'' = 0 and t > 0,
  t u'^2 tanh(u / 2) = 2 u' + t u'' = 2 p + 12 q t^2. The quotient of the two sides grows from 0 without end: with
  x = t^2 the logarithm of t u'^2 / (2 p + 12 q t^2) has the derivative
  1 / (2 x) + 6 q / (p + 3 q x) - 6 q / (p + 6 q x) > 0. So there is one turn on each side: t = 1.41850400879082835...,
  psi' = 1.12899306865877176..., and psi'(-t) = 1 - psi'(t).

>>> PRESETS["silu"].slope_interval
(-0.099839320128868, 1.099839320128868)
"""

from __future__ import annotations

import math
from functools import partial

from lawjax.activations import functions
from lawjax.activations.activation import Activation
from lawjax.activations.functions import Function

MAX_POWER = 1000  # far above any use; a slip such as power:1000000000 would otherwise fill the memory
_LEAKY_SLOPE = 0.01
_ROOT_2 = math.sqrt(2.0)
_GELU_SLOPES = (-0.128904145185156, 1.128904145185156)
_SILU_TURN, _SILU_SLOPES = 2.3993572805154677, (-0.099839320128868, 1.099839320128868)
_GELU_TANH_TURN, _GELU_TANH_SLOPES = 1.4185040087908284, (-0.128993068658773, 1.128993068658773)


def leaky_relu(name: str, slope: float) -> Activation:
    """The identity for t > 0, slope t elsewhere."""
    return _bent(name, partial(functions.leaky_relu, slope=slope), (0.0,), (slope, 1.0), is_homogeneous=True)


def power(name: str, order: int) -> Activation:
    """t^p by few products, which Horner's scheme would make p of."""
    is_linear = order == 1
    return Activation(
        name,
        lambda t: t**order,
        lambda t: order * t ** (order - 1),
        (1.0, 1.0) if is_linear else None,
        (0.0,) * order + (1.0,),
        is_piecewise_linear=is_linear,
        is_odd=order % 2 == 1,
    )


def polynomial(name: str, coefficients: tuple[float, ...]) -> Activation:
    """sum c_q t^q."""
    derivative = tuple(q * c for q, c in enumerate(coefficients))[1:] or (0.0,)
    is_affine = all(c == 0 for c in coefficients[2:])
    return Activation(
        name,
        partial(functions.horner, coefficients=coefficients),
        partial(functions.horner, coefficients=derivative),
        (derivative[0], derivative[0]) if is_affine else None,
        coefficients,
        is_piecewise_linear=is_affine,
    )


def _bent(
    name: str,
    function: Function,
    kinks: tuple[float, ...],
    sides: tuple[float, ...],
    is_homogeneous: bool = False,
    is_odd: bool = False,
) -> Activation:
    """Piecewise linear, with these slopes before, between and after its kinks."""
    return Activation(
        name,
        function,
        partial(functions.constant_between, kinks=kinks, sides=sides),
        (min(sides), max(sides)),
        turns=(),
        kinks=kinks,
        is_piecewise_linear=True,
        is_homogeneous=is_homogeneous,
        is_odd=is_odd,
    )


def _presets() -> tuple[Activation, ...]:
    of = functions
    return (
        Activation(
            "identity",
            lambda t: t,
            lambda t: of.xp_of(t).ones_like(t),
            (1.0, 1.0),
            (0.0, 1.0),
            is_piecewise_linear=True,
            is_homogeneous=True,
            is_odd=True,
        ),
        _bent("relu", of.relu, (0.0,), (0.0, 1.0), is_homogeneous=True),
        leaky_relu("leaky_relu", _LEAKY_SLOPE),
        _bent("abs", abs, (0.0,), (-1.0, 1.0), is_homogeneous=True),
        _bent("relu6", partial(of.clip, low=0.0, high=6.0), (0.0, 6.0), (0.0, 1.0, 0.0)),
        _bent("hard_tanh", partial(of.clip, low=-1.0, high=1.0), (-1.0, 1.0), (0.0, 1.0, 0.0), is_odd=True),
        Activation("tanh", of.tanh, of.tanh_slope, (0.0, 1.0), turns=(0.0,), is_odd=True),
        Activation("sigmoid", of.sigmoid, of.sigmoid_slope, (0.0, 0.25), turns=(0.0,)),
        Activation("softplus", of.softplus, of.sigmoid, (0.0, 1.0), turns=()),
        Activation("silu", of.silu, of.silu_slope, _SILU_SLOPES, turns=(-_SILU_TURN, _SILU_TURN)),
        Activation("elu", of.elu, of.elu_slope, (0.0, 1.0), turns=()),
        Activation("gelu", of.gelu, of.gelu_slope, _GELU_SLOPES, turns=(-_ROOT_2, _ROOT_2)),
        Activation(
            "gelu:tanh",
            of.gelu_tanh,
            of.gelu_tanh_slope,
            _GELU_TANH_SLOPES,
            turns=(-_GELU_TANH_TURN, _GELU_TANH_TURN),
        ),
    )


PRESETS = {activation.name: activation for activation in _presets()}
