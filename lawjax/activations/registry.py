"""Activations by name: the presets, and the families that take parameters.

>>> get("leaky_relu:0.2").sides, get("swish").name
((0.2, 1.0), 'silu')
"""

from __future__ import annotations

import copyreg
import functools
import math
import re
from collections.abc import Callable
from typing import Any

from lawjax import arguments
from lawjax.activations import presets
from lawjax.activations.activation import Activation
from lawjax.activations.trial import tried
from lawjax.errors import UserError


def _leaky_relu(name: str, parameters: str) -> Activation | None:
    slope = float(parameters)
    return presets.leaky_relu(name, slope) if -math.inf < slope < 1.0 else None


def _power(name: str, parameters: str) -> Activation | None:
    order = int(parameters)
    return presets.power(name, order) if 1 <= order <= presets.MAX_POWER else None


def _polynomial(name: str, parameters: str) -> Activation | None:
    coefficients = tuple(float(c) for c in parameters.split(","))
    return presets.polynomial(name, coefficients) if all(map(math.isfinite, coefficients)) else None


_FAMILIES: dict[str, tuple[str, Callable[[str, str], Activation | None]]] = {
    "leaky_relu": ("leaky_relu:slope", _leaky_relu),
    "power": ("power:p", _power),
    "polynomial": ("polynomial:c0,c1,...", _polynomial),
}
NAMES = (*presets.PRESETS, *(shown for shown, _ in _FAMILIES.values()))
ALIASES = {"swish": "silu"}


def get(name: str | Activation) -> Activation:
    """The activation called `name`.

    That is one of `PRESETS` (`swish` is silu), `leaky_relu:slope` (slope < 1), `power:p` (t^p, 1 <= p <= 1000) or
    `polynomial:c0,c1,...` (sum c_q t^q). One's own comes back, once what it says of itself was tried at some thousand
    points.

    Raises:
        UserError: the name is unknown or its parameters are not numbers; one's own is not what it says, or has a name
            that could be taken for one of the program's.
    """
    if isinstance(name, Activation):
        return _own(name)
    if not isinstance(name, str):
        raise UserError(f"Unknown activation {arguments.shown(name)}: use the name of one of {', '.join(NAMES)}.")
    return _by_name(ALIASES.get(name, name))


@functools.cache
def _by_name(name: str) -> Activation:
    if name in presets.PRESETS:
        return presets.PRESETS[name]
    kind, _, parameters = name.partition(":")
    try:
        found = _FAMILIES[kind][1](name, parameters) if kind in _FAMILIES else None
    except ValueError:
        found = None
    if found is None:
        raise UserError(f"Unknown activation {name!r}: use one of {', '.join(NAMES)}; one's own is passed as a value.")
    return found


@functools.cache
def _own(psi: Activation) -> Activation:
    if _is_ours(psi):
        return psi
    if {_spelled(psi.name), _spelled(psi.name.partition(":")[0])} & _SPELLINGS:
        raise UserError(f"{psi.name!r} is the name of an activation that there is; give yours another one.")
    return tried(psi)


def _spelled(name: str) -> str:
    """Without what makes no difference to a reader."""
    return re.sub("[^a-z0-9]", "", name.lower())


def _is_ours(psi: Activation) -> bool:
    try:
        return _by_name(psi.name) is psi
    except UserError:
        return False


def _reduced(psi: Activation) -> Any:
    """How one is pickled: the program's own by name, as its functions are made on the spot."""
    return (get, (psi.name,)) if _is_ours(psi) else object.__reduce_ex__(psi, 2)


_SPELLINGS = {_spelled(name) for name in (*presets.PRESETS, *_FAMILIES, *ALIASES)}
copyreg.pickle(Activation, _reduced)
