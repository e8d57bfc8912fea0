"""What functions were given, checked: every wrong thing gets one sentence that names it and says what to pass.

>>> whole("n_points", 3), positive("radius", 2)
(3, 2.0)
>>> whole("n_points", 2.5)
Traceback (most recent call last):
    ...
lawjax.errors.UserError: n_points must be a whole number of at least 1, not 2.5.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from lawjax.errors import UserError


def shown(value: Any) -> str:
    """A value in a few characters of one line."""
    try:
        text = f"an array of shape {value.shape}" if getattr(value, "ndim", 0) else reprlib.repr(value)
    except Exception:  # a stranger's __repr__
        text = type(value).__name__
    return " ".join(text.split())


def whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """A whole number in a range.

    Raises:
        UserError: it is none.
    """
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise UserError(f"{name} must be a whole number {span}, not {shown(value)}.")
    return int(value)


def number(name: str, value: Any, what: str = "a finite number") -> float:
    """A finite real number.

    Raises:
        UserError: it is none; `what` says what it should be.
    """
    one = value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value
    try:
        found = float(one) if isinstance(one, (int, float)) and not isinstance(one, bool) else math.nan
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise UserError(f"{name} must be {what}, not {shown(value)}.")
    return found


def positive(name: str, value: Any) -> float:
    """A positive finite number.

    Raises:
        UserError: it is none.
    """
    found = number(name, value, "a positive finite number")
    if found <= 0:
        raise UserError(f"{name} must be a positive finite number, not {shown(value)}.")
    return found


def not_negative(name: str, value: Any) -> float:
    """A finite number of at least 0.

    Raises:
        UserError: it is none.
    """
    what = "a finite number of at least 0"
    found = number(name, value, what)
    if found < 0:
        raise UserError(f"{name} must be {what}, not {shown(value)}.")
    return found


def share(name: str, value: Any) -> float:
    """A number strictly between 0 and 1.

    Raises:
        UserError: it is none.
    """
    what = "a number strictly between 0 and 1"
    found = number(name, value, what)
    if not 0 < found < 1:
        raise UserError(f"{name} must be {what}, not {shown(value)}.")
    return found


def flag(name: str, value: Any) -> bool:
    """True or False.

    Raises:
        UserError: it is neither.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise UserError(f"{name} must be True or False, not {shown(value)}.")
    return bool(value)


def word(name: str, value: Any, words: Sequence[str]) -> str:
    """One of some words.

    Raises:
        UserError: it is none of them.
    """
    if not isinstance(value, str) or value not in words:
        raise UserError(f"{name} must be one of {', '.join(words)}, not {shown(value)}.")
    return value


def sequence(name: str, value: Any) -> Sequence[Any]:
    """A list or tuple.

    Raises:
        UserError: it is none.
    """
    if not isinstance(value, (list, tuple)):
        raise UserError(f"{name} must be a list or tuple, not {shown(value)}.")
    return value


def instance(name: str, value: Any, kind: type, how: str) -> None:
    """Check that a value is of a type.

    Raises:
        UserError: it is not; `how` says how such a thing is made.
    """
    if not isinstance(value, kind):
        raise UserError(f"{name} must be a {kind.__name__} ({how}), not {shown(value)}.")


def key(value: Any) -> Any:
    """One JAX key, as `jax.random.key(seed)` or the older `jax.random.PRNGKey(seed)` makes it; a tracer passes.

    Raises:
        UserError: it is none.
    """
    import jax

    if isinstance(value, jax.core.Tracer):
        return value
    if isinstance(value, (jax.Array, np.ndarray)):
        is_typed = jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key)
        if (is_typed and value.ndim == 0) or (value.dtype == np.uint32 and value.ndim == 1 and len(value) in (2, 4)):
            return value
    raise UserError(f"The key must be one JAX key, such as jax.random.key(0), not {shown(value)}.")


def floating(name: str, value: Any) -> np.dtype:
    """A floating-point precision.

    Raises:
        UserError: it is none.
    """
    import jax.numpy as jnp

    try:
        dtype = jnp.dtype(value)
    except Exception:  # whatever a stranger raises
        dtype = None
    if value is None or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        raise UserError(f"{name} must be a floating-point precision, such as float32, not {shown(value)}.")
    return dtype


def numbers(name: str, values: Any, shape: Sequence[int | None] | None, finite: bool = True) -> np.ndarray:
    """An array of real numbers in float64.

    Args:
        name: of the argument.
        values: what was given.
        shape: the sizes of its axes, None for any size; None for any axes.
        finite: whether infinite ones are refused, as NaN always is.

    Raises:
        UserError: it is none, or of another shape.
    """
    wanted = f"{name} must be an array of {'finite ' * finite}real numbers"
    if shape is not None:
        sizes = ", ".join("m" if size is None else str(size) for size in shape)
        wanted += f" of shape ({sizes}{',' * (len(shape) == 1)})"
    if np.ma.is_masked(values):
        raise UserError(f"{wanted}; it has masked entries.")
    try:
        given = np.asarray(values)
        found = given.astype(np.float64) if given.dtype.kind not in "cSUMm" else None
    except (TypeError, ValueError, RuntimeError, OverflowError):
        found = None
    if found is None:
        raise UserError(f"{wanted}, not {shown(values)}.")
    if shape is not None and (
        found.ndim != len(shape) or any(size not in (None, own) for size, own in zip(shape, found.shape, strict=True))
    ):
        raise UserError(f"{wanted}, not of shape {found.shape}.")
    if np.isnan(found).any() or (finite and np.isinf(found).any()):
        raise UserError(f"{wanted}; it has NaN{' or infinite' * finite} entries.")
    return found
