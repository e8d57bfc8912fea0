"""Brackets: every network's Lipschitz constant bounded from both sides, below by a point, above by a certificate.

>>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
>>> found = bracket(f)
>>> round(found.lower, 9), round(found.upper, 9)
(5.0, 5.0)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lawjax.errors import UserError
from lawjax.lipschitz.certificate import Certificate, certify_all
from lawjax.lipschitz.climb import gradient_norms
from lawjax.lipschitz.domains import DOMAINS, check_domain
from lawjax.lipschitz.witness import prepare, witnesses
from lawjax.network import TwoLayer

Array = Any


class Bracket(NamedTuple):
    """A Lipschitz constant between two bounds.

    What lies between them is sup ||grad f|| over the domain: for "space" and "ball" the Lipschitz constant there, for
    "sphere" that of f near the sphere, or with `tangential` the supremum of the gradient's part along the sphere.

    Attributes:
        lower: ||grad f(witness)||, evaluated in float64.
        upper: a proved upper bound, rounded upwards; infinite where nothing is known.
        witness: (d,), a point of the domain, off every kink.
        weights: (k + 1,), the weights of the certificate.
        domain: "space", "ball" or "sphere".
        radius: of the ball or sphere.
        tangential: whether only the gradient's part along the sphere counts.
        certificate: what proves the upper bound.
    """

    lower: float
    upper: float
    witness: np.ndarray
    weights: np.ndarray
    domain: str
    radius: float
    tangential: bool
    certificate: Certificate


def bracket(
    networks: TwoLayer | Sequence[TwoLayer],
    domain: str = "space",
    radius: float = 1.0,
    tangential: bool = False,
    key: Array | None = None,
    starts: int = 32,
    steps: int = 60,
    points: Array | None = None,
) -> Any:
    """The bracket of a network; of a stack or a list of networks of any shapes, the list of their brackets.

    Args:
        networks: of any activation; unbounded slopes have no upper bound.
        domain: "space" (R^d), "ball" or "sphere" (around 0).
        radius: of the ball or sphere.
        tangential: on the sphere, the gradient's part along it.
        key: a JAX key for the random starts; a fixed one unless given.
        starts: of each ascent.
        steps: of each ascent.
        points: (m, d), where to look first, such as training data; moved along their rays into the domain.

    Raises:
        UserError: an unknown domain, a radius that is not positive, `tangential` off the sphere, points of another
            dimension.
    """
    alone = isinstance(networks, TwoLayer) and networks.W.ndim == 2
    found = brackets(_singles(networks), (domain,), radius, tangential, key, starts, steps, points)[domain]
    return found[0] if alone else found


def brackets(
    networks: Sequence[TwoLayer],
    domains: Sequence[str],
    radius: float = 1.0,
    tangential: bool = False,
    key: Array | None = None,
    starts: int = 32,
    steps: int = 60,
    points: Array | None = None,
) -> dict[str, list[Bracket]]:
    """Brackets of single networks on several domains, which costs less than one domain after the other.

    A bound for a domain is one for every part of it, and a point of a part is one of the whole. Arguments and errors
    as for `bracket`.
    """
    for domain in domains:
        check_domain(domain, radius, tangential)
    key = jax.random.key(0, impl="threefry2x32") if key is None else key
    given = None if points is None else _checked_points(points, networks)
    certificates: dict[str, list[Certificate]] = {}
    for domain in filter(domains.__contains__, DOMAINS):  # the widest first
        wider = next(reversed(certificates.values()), None)
        certificates[domain] = certify_all(networks, domain, radius, tangential, wider)
    widest = next(iter(certificates.values()))
    pairs = zip(networks, widest, strict=True)
    prepared = [prepare(network, certificate.weights, tangential) for network, certificate in pairs]
    found: dict[str, list[Bracket]] = {}
    for domain in reversed(certificates):
        within = [one.witness for one in next(reversed(found.values()))] if found else None
        reached = witnesses(networks, prepared, certificates[domain], tangential, key, starts, steps, within, given)
        found[domain] = [
            Bracket(
                float(gradient_norms(network, point[None], tangential)[0]),
                certificate.bound,
                point,
                certificate.weights,
                domain,
                float(radius),
                tangential,
                certificate,
            )
            for network, certificate, point in zip(networks, certificates[domain], reached, strict=True)
        ]
    return found


def _checked_points(points: Array, networks: Sequence[TwoLayer]) -> np.ndarray:
    points = np.asarray(points, np.float64)
    dimensions = {network.dimension for network in networks}
    if points.ndim != 2 or not len(points) or dimensions - {points.shape[-1]}:
        raise UserError(f"points must have shape (m, d) with the networks' d, not {points.shape}.")
    if not (np.isfinite(points).all() and points.any(axis=1).all()):
        raise UserError("points must be finite and not zero: the search needs their directions.")
    return points


def _singles(networks: TwoLayer | Sequence[TwoLayer]) -> list[TwoLayer]:
    if isinstance(networks, TwoLayer) and networks.W.ndim == 2:
        return [networks]
    return [one for network in networks for one in _singles(network)]
