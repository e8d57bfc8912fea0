"""Where a Lipschitz constant is asked for: all of R^d, a ball or a sphere around 0; and what such a question may be."""

from __future__ import annotations

from typing import Any

from lawjax import arguments
from lawjax.errors import UserError
from lawjax.network import TwoLayer

_FAR = 1e100  # radii whose squares are far from overflow
DOMAINS = ("space", "ball", "sphere")  # each contains the next


def check_domain(domain: Any, radius: Any, tangential: Any = False) -> None:
    """Check a domain and its radius.

    Raises:
        UserError: an unknown domain, a radius that is not positive or beyond 1e100, `tangential` off the sphere.
    """
    arguments.word("The domain", domain, DOMAINS)
    arguments.flag("tangential", tangential)
    arguments.positive("The radius of the ball or sphere", radius)
    if domain != "space" and not 1.0 / _FAR <= radius <= _FAR:
        raise UserError(f"A radius of {radius} is beyond what is searched safely; rescale the weights of W instead.")
    if tangential and domain != "sphere":
        raise UserError(f"tangential=True is for the sphere; on the domain {domain!r} the whole gradient counts.")


def check_network(network: Any) -> None:
    """Check that this is a network or a stack.

    Raises:
        UserError: it is something else.
    """
    arguments.instance("The network", network, TwoLayer, "made by lawjax.TwoLayer(W, b, a) or TwoLayer.load(path)")


def check_single(network: Any) -> None:
    """Check that this is a network, and not a stack.

    Raises:
        UserError: it is something else.
    """
    check_network(network)
    if network.W.ndim != 2:
        raise UserError(f"This is a stack of shape {network.W.shape[:-2]}; take its networks one by one.")
