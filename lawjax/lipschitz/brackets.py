"""Brackets: every network's Lipschitz constant bounded from both sides, below by a point, above by a certificate.

>>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
>>> found = bracket(f)
>>> round(found.lower, 9), round(found.upper, 9)
(5.0, 5.0)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lawjax.errors import UserError
from lawjax.lipschitz.certificate import Certificate, certify_all
from lawjax.lipschitz.climb import gradient_norms
from lawjax.lipschitz.domains import DOMAINS, check_domain
from lawjax.lipschitz.patterns import prepare
from lawjax.lipschitz.witness import Search, witnesses
from lawjax.network import TwoLayer

_USUAL = Search()


class Bracket(NamedTuple):
    """A Lipschitz constant between two bounds.

    What lies between them is sup ||grad f|| over the certificate's domain: for "space" and "ball" the Lipschitz
    constant there, for "sphere" that of f near the sphere, or, if `tangential`, the supremum of the gradient's part
    along the sphere.

    Attributes:
        lower: ||grad f(witness)||, evaluated in float64.
        upper: a proved upper bound, rounded upwards; infinite where nothing is known.
        witness: (d,), a point of the domain, off every kink.
        certificate: what proves the upper bound, with its weights and the domain.
    """

    lower: float
    upper: float
    witness: np.ndarray
    certificate: Certificate


def bracket(
    networks: TwoLayer | Sequence[TwoLayer],
    domain: str = "space",
    radius: float = 1.0,
    tangential: bool = False,
    search: Search = _USUAL,
) -> Any:
    """The bracket of a network; of a stack or a list of networks of any shapes, the list of their brackets.

    Args:
        networks: of any activation; unbounded slopes have no upper bound on R^d.
        domain: "space" (R^d), "ball" or "sphere" (around 0).
        radius: of the ball or sphere.
        tangential: on the sphere, the gradient's part along it.
        search: how hard to look for a witness, and where first.

    Raises:
        UserError: an unknown domain, a radius that is not positive, `tangential` off the sphere, points to search of
            another dimension.
    """
    alone = isinstance(networks, TwoLayer) and networks.W.ndim == 2
    found = brackets(_singles(networks), (domain,), radius, tangential, search)[domain]
    return found[0] if alone else found


def brackets(
    networks: Sequence[TwoLayer],
    domains: Sequence[str],
    radius: float = 1.0,
    tangential: bool = False,
    search: Search = _USUAL,
) -> dict[str, list[Bracket]]:
    """Brackets of single networks on several domains, which costs less than one domain after the other.

    A bound for a domain is one for every part of it, and a point of a part is one of the whole. Arguments and errors
    as for `bracket`.
    """
    if not domains:
        raise UserError("Name at least one domain: space, ball or sphere.")
    for domain in domains:
        check_domain(domain, radius, tangential)
    certificates: dict[str, list[Certificate]] = {}
    for domain in filter(domains.__contains__, DOMAINS):  # the widest first
        wider = next(reversed(certificates.values()), None)
        certificates[domain] = certify_all(networks, domain, radius, tangential, wider)
    widest = next(iter(certificates.values()))
    searched = [prepare(*pair) for pair in zip(networks, widest, strict=True)]
    found: dict[str, list[Bracket]] = {}
    for domain in reversed(certificates):
        within = [one.witness for one in next(reversed(found.values()))] if found else None
        reached = witnesses(networks, searched, certificates[domain], search, within)
        found[domain] = [
            Bracket(float(gradient_norms(network, point[None], tangential)[0]), certificate.bound, point, certificate)
            for network, certificate, point in zip(networks, certificates[domain], reached, strict=True)
        ]
    return found


def _singles(networks: TwoLayer | Sequence[TwoLayer]) -> list[TwoLayer]:
    if isinstance(networks, TwoLayer) and networks.W.ndim == 2:
        return [networks]
    return [one for network in networks for one in _singles(network)]
