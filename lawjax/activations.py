"""Activations psi by name, each with its derivative and its slope interval [alpha, beta].

The paper's class F_k(psi) (section 1) asks for a Lipschitz psi; every certificate needs the interval that holds psi'.
Functions follow their argument: NumPy arrays are computed by NumPy in their own precision, JAX arrays by JAX.

    >>> get("relu").slope_interval
    (0.0, 1.0)
    >>> get("polynomial:1,0,2")(np.array(3.0))
    np.float64(19.0)

One's own is a value, which goes wherever a name goes. Written with operators alone it is good for both kinds of arrays:

    >>> softsign = Activation("softsign", lambda t: t / (1 + abs(t)), lambda t: 1 / (1 + abs(t)) ** 2, (0.0, 1.0))
    >>> get(softsign) is softsign
    True
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special
import numpy as np
import scipy.special

from lawjax import arguments
from lawjax.errors import UserError

Array = Any  # np.ndarray or jax.Array: both follow the array API used here


@dataclass(frozen=True)
class Activation:
    """A non-linearity psi: R -> R applied entry by entry.

    Attributes:
        name: the name under which `get` finds it, or another one for one's own.
        function: psi.
        slope: psi', with psi'(kink) from the left for piecewise-linear psi (as `jax.nn.relu` has it).
        slope_interval: (alpha, beta) with alpha <= psi' <= beta almost everywhere; None where psi' is unbounded on R.
        coefficients: (c_0, ..., c_p) of a polynomial psi, None for all others.
        turns: the points at which a smooth psi' turns from growing to falling or back; what is known of slopes on an
            interval follows from them. None where they are not known, or psi is not smooth.
        has_kink: whether psi' jumps at 0 and is constant on either side, its slopes being those of the interval.
        is_homogeneous: whether psi(c t) = c psi(t) for c > 0.

    What is proved of a network holds if these statements are true of psi; `get` tries them at some thousand points.
    """

    name: str
    function: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    slope_interval: tuple[float, float] | None
    coefficients: tuple[float, ...] | None = None
    turns: tuple[float, ...] | None = None
    has_kink: bool = False
    is_homogeneous: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without a computation; lists of numbers are taken as tuples."""
        arguments.instance("The name of an activation", self.name, str, "such as 'softsign'")
        if not (callable(self.function) and callable(self.slope)):
            raise UserError(f"{self.name}: function and slope must be functions of an array.")
        for name, length in (("slope_interval", 2), ("coefficients", None), ("turns", None)):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, tuple(arguments.numbers(name, given, (length,)).tolist()))
        for name in ("has_kink", "is_homogeneous"):
            arguments.flag(name, getattr(self, name))

    def __str__(self) -> str:
        """Its name."""
        return self.name

    def __repr__(self) -> str:
        """Its name; the functions have none."""
        return f"Activation({self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Those with a name of the program's are pickled by it."""
        return (get, (self.name,)) if _is_known(self.name) else super().__reduce__()  # type: ignore[return-value]

    def __call__(self, t: Array) -> Array:
        """psi(t), of the shape of t."""
        return self.function(t)

    @property
    def lipschitz(self) -> float:
        """L = sup |psi'|, infinite for polynomials of degree two or more."""
        return math.inf if self.slope_interval is None else max(abs(s) for s in self.slope_interval)

    @property
    def is_piecewise_linear(self) -> bool:
        """True where psi' takes finitely many values, so that gradients of networks are piecewise constant."""
        is_affine = self.coefficients is not None and self.slope_interval is not None
        return is_affine or self.has_kink

    @property
    def sides(self) -> tuple[float, float]:
        """The slopes left and right of 0 of a piecewise-linear psi: the ends of its slope interval."""
        if self.slope_interval is None or not self.is_piecewise_linear:
            raise ValueError(f"{self.name} has more than two slopes.")
        return self.slope_interval


LEAKY_SLOPE = 0.01
MAX_POWER = 1000  # far above any use; a slip such as power:1000000000 would otherwise fill the memory
_NO_TAIL = 40.0  # the normal distribution has none beyond, in float64
_GELU_SLOPES = (-0.128904145185156, 1.128904145185156)  # attained at t = -sqrt(2), sqrt(2); rounded outwards


def _xp(t: Array) -> Any:
    return np if isinstance(t, (np.ndarray, np.generic, float, int)) else jnp


def _relu(t: Array) -> Array:
    # The gradient of jnp.maximum shares itself out at ties, by a division; this one is the slope below.
    return np.maximum(t, 0.0) if _xp(t) is np else jax.nn.relu(t)


def _sigmoid(t: Array) -> Array:
    return scipy.special.expit(t) if _xp(t) is np else jax.scipy.special.expit(t)


def _normal_cdf(t: Array) -> Array:
    return scipy.special.ndtr(t) if _xp(t) is np else jax.scipy.special.ndtr(t)


def _normal_pdf(t: Array) -> Array:
    """exp(-t^2 / 2) / sqrt(2 pi) for |t| <= 40, to a few roundings: t^2 alone would have t^2 / 2 of them."""
    xp = _xp(t)
    head = xp.round(16.0 * t) / 16.0  # its square is exact
    return xp.exp(-0.5 * head * head) * xp.exp(-0.5 * (t - head) * (t + head)) * (1.0 / math.sqrt(2.0 * math.pi))


def _gelu(t: Array) -> Array:
    xp = _xp(t)
    return xp.where(t > _NO_TAIL, t, xp.clip(t, -_NO_TAIL, _NO_TAIL) * _normal_cdf(t))


def _gelu_slope(t: Array) -> Array:
    near = _xp(t).clip(t, -_NO_TAIL, _NO_TAIL)
    return _normal_cdf(t) + near * _normal_pdf(near)


def _tanh_slope(t: Array) -> Array:
    """1 / cosh(t)^2 without the cancellation of 1 - tanh(t)^2 far from 0 and the overflow of cosh(t); never above 1."""
    xp = _xp(t)
    tail = xp.exp(-2.0 * abs(t))
    return xp.where(tail > 0.5, 1.0 - xp.tanh(t) ** 2, 4.0 * tail / (1.0 + tail) ** 2)


def _step(t: Array, low: float, high: float) -> Array:
    xp = _xp(t)
    return xp.where(t > 0, xp.ones_like(t) * high, xp.ones_like(t) * low)


def _kinked(name: str, function: Callable[[Array], Array], low: float, high: float) -> Activation:
    return Activation(name, function, lambda t: _step(t, low, high), (low, high), has_kink=True, is_homogeneous=True)


_FIXED = (
    Activation("identity", lambda t: t, lambda t: _xp(t).ones_like(t), (1.0, 1.0), (0.0, 1.0), is_homogeneous=True),
    _kinked("relu", _relu, 0.0, 1.0),
    _kinked("leaky_relu", lambda t: _xp(t).where(t > 0, t, LEAKY_SLOPE * t), LEAKY_SLOPE, 1.0),
    _kinked("abs", lambda t: abs(t), -1.0, 1.0),
    Activation("tanh", lambda t: _xp(t).tanh(t), _tanh_slope, (0.0, 1.0), turns=(0.0,)),
    Activation("softplus", lambda t: _xp(t).logaddexp(t, 0.0), _sigmoid, (0.0, 1.0), turns=()),
    Activation("gelu", _gelu, _gelu_slope, _GELU_SLOPES, turns=(-math.sqrt(2.0), math.sqrt(2.0))),
)
_REGISTRY = {activation.name: activation for activation in _FIXED}
_TRIED = np.concatenate([np.linspace(-8.0, 8.0, 2001), -np.logspace(0, 4, 50), np.logspace(0, 4, 50)])
_STEP, _CLOSE = 1e-6, 1e-5  # of central differences, and how close they come to a slope of order one
NAMES = (*_REGISTRY, "power:p", "polynomial:c0,c1,...")


def _horner(coefficients: tuple[float, ...], t: Array) -> Array:
    value = _xp(t).zeros_like(t)
    for coefficient in reversed(coefficients):
        value = value * t + coefficient
    return value


def _power(name: str, power: int) -> Activation:
    """t^p by few products, which Horner's scheme would make p of."""
    return Activation(
        name,
        lambda t: t**power,
        lambda t: power * t ** (power - 1),
        (1.0, 1.0) if power == 1 else None,
        (0.0,) * power + (1.0,),
    )


def _polynomial(name: str, coefficients: tuple[float, ...]) -> Activation:
    derivative = tuple(q * c for q, c in enumerate(coefficients))[1:] or (0.0,)
    is_affine = all(c == 0 for c in coefficients[2:])
    slopes = (derivative[0], derivative[0]) if is_affine else None
    return Activation(
        name,
        functools.partial(_horner, coefficients),
        functools.partial(_horner, derivative),
        slopes,
        coefficients,
    )


def get(name: str | Activation) -> Activation:
    """The activation called `name`: a fixed one, `power:p` (t^p, 1 <= p <= 1000), `polynomial:c0,c1,...` (sum c_q t^q).

    One's own comes back, once what it says of itself was tried at some thousand points.

    Raises:
        UserError: the name is unknown or its parameters are not numbers; one's own is not what it says.
    """
    if isinstance(name, Activation):
        return _tried(name)
    if not isinstance(name, str):
        raise UserError(f"Unknown activation {arguments.shown(name)}: use the name of one of {', '.join(NAMES)}.")
    return _get(name)


@functools.cache
def _get(name: str) -> Activation:
    if name in _REGISTRY:
        return _REGISTRY[name]
    kind, _, parameters = name.partition(":")
    try:
        if kind == "power":
            power = int(parameters)
            if 1 <= power <= MAX_POWER:
                return _power(name, power)
        if kind == "polynomial":
            coefficients = tuple(float(c) for c in parameters.split(","))
            if all(math.isfinite(c) for c in coefficients):
                return _polynomial(name, coefficients)
    except ValueError:
        pass
    raise UserError(f"Unknown activation {name!r}: use one of {', '.join(NAMES)}.")


def _is_known(name: str) -> bool:
    try:
        return _get(name) is not None
    except UserError:
        return False


@functools.cache
def _tried(psi: Activation) -> Activation:
    """The activation, once its statements held where they were tried."""
    if _is_known(psi.name):
        if _get(psi.name) != psi:
            raise UserError(f"{psi.name!r} is the name of an activation that there is; give yours another one.")
        return psi
    t = _TRIED[np.abs(_TRIED) > 2.0 * _STEP]
    try:
        with np.errstate(all="ignore"):
            values, slopes = psi.function(t), psi.slope(t)
            central = (psi.function(t + _STEP) - psi.function(t - _STEP)) / (2.0 * _STEP)
    except Exception as error:
        raise UserError(f"{psi.name}: its functions fail for an array of numbers ({error}).") from None
    for found in (values, slopes):
        if not (isinstance(found, np.ndarray) and found.dtype == np.float64 and found.shape == t.shape):
            raise UserError(
                f"{psi.name}: its functions must make a NumPy array in float64 of one, as operators and numpy do, "
                "and a JAX array of a JAX array."
            )
    size = 1.0 + np.abs(slopes) + np.abs(values) * 1e-4
    if not (np.abs(central - slopes) <= _CLOSE * size).all():
        worst = float(t[np.argmax(np.abs(central - slopes) / size)])
        raise UserError(f"{psi.name}: at {worst:.6g} its slope is not the derivative of its function.")
    low, high = (-math.inf, math.inf) if psi.slope_interval is None else psi.slope_interval
    if not ((low <= slopes) & (slopes <= high)).all():
        raise UserError(f"{psi.name}: a slope of {slopes[np.argmax(np.abs(slopes))]:.6g} is outside its interval.")
    if psi.has_kink and not np.isin(slopes, (low, high)).all():
        raise UserError(f"{psi.name}: with has_kink its slopes are {low} and {high} alone.")
    if psi.turns is not None:
        for first, last in itertools.pairwise((-math.inf, *sorted(psi.turns), math.inf)):
            change = np.diff(psi.slope(np.sort(t[(first < t) & (t < last)])))
            if (change > 1e-12).any() and (change < -1e-12).any():
                raise UserError(f"{psi.name}: between {first:.6g} and {last:.6g} its slope turns, too.")
    return psi
