"""Where a Lipschitz constant is asked for: all of R^d, a ball or a sphere around 0; and what such a question may be."""

from __future__ import annotations

import math

import numpy as np

from lawjax.errors import UserError
from lawjax.network import TwoLayer

_FAR = 1e100  # radii whose squares are far from overflow
DOMAINS = ("space", "ball", "sphere")  # each contains the next


def check_domain(domain: str, radius: float, tangential: bool = False) -> None:
    """Check a domain and its radius.

    Raises:
        UserError: an unknown domain, a radius that is not positive or beyond 1e100, `tangential` off the sphere.
    """
    if not isinstance(domain, str) or domain not in DOMAINS:
        raise UserError(f"Unknown domain {domain!r}: use one of {', '.join(DOMAINS)}.")
    if isinstance(radius, bool) or not isinstance(radius, (int, float, np.integer, np.floating)):
        raise UserError(f"The radius of the ball or sphere must be a number, not {radius!r}.")
    if not isinstance(tangential, (bool, np.bool_)):
        raise UserError(f"tangential must be True or False, not {tangential!r}.")
    if not 0 < radius < math.inf:
        raise UserError(f"The radius of the ball or sphere must be positive and finite, not {radius}.")
    if domain != "space" and not 1.0 / _FAR <= radius <= _FAR:
        raise UserError(f"A radius of {radius} is beyond what is searched safely; rescale the weights of W instead.")
    if tangential and domain != "sphere":
        raise UserError(f"tangential=True is for the sphere; on the domain {domain!r} the whole gradient counts.")


def check_single(network: TwoLayer) -> None:
    """Check that a network is not a stack.

    Raises:
        UserError: it is one.
    """
    if network.W.ndim != 2:
        raise UserError(f"This is a stack of shape {network.W.shape[:-2]}; take its networks one by one.")
