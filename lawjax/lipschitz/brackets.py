"""Brackets: every network's Lipschitz constant bounded from both sides, below by a point, above by a certificate.

>>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
>>> found = bracket(f)
>>> round(found.lower, 9), round(found.upper, 9)
(5.0, 5.0)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lawjax import activations, arguments
from lawjax.errors import UserError
from lawjax.lipschitz.certificate import Certificate, certify, certify_all
from lawjax.lipschitz.domains import DOMAINS, check_domain, check_network
from lawjax.lipschitz.evaluate import norm_at
from lawjax.lipschitz.patterns import Searched, prepare
from lawjax.lipschitz.problem import Problem
from lawjax.lipschitz.scale import Scaled, scaled
from lawjax.lipschitz.witness import Search, witnesses
from lawjax.network import TwoLayer

_USUAL = Search()


class Bracket(NamedTuple):
    """A Lipschitz constant between two bounds.

    What lies between them is sup ||grad f|| over the certificate's domain: for "space" and "ball" the Lipschitz
    constant there, for "sphere" that of f near the sphere, or, if `tangential`, the supremum of the gradient's part
    along the sphere.

    Attributes:
        lower: ||grad f(witness)||, evaluated in float64; where the proof goes through every cell and the best one is
            thinner than floats are apart, the truth, rounded downwards.
        upper: a proved upper bound, rounded upwards; infinite where nothing is known.
        witness: (d,), a point of the domain, off every kink; next to the best cell where no float lies in it.
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
    found = brackets(networks, (domain,), radius, tangential, search)[domain]
    return found[0] if alone else found


def brackets(
    networks: TwoLayer | Sequence[TwoLayer],
    domains: Sequence[str],
    radius: float = 1.0,
    tangential: bool = False,
    search: Search = _USUAL,
) -> dict[str, list[Bracket]]:
    """Brackets of networks on several domains, which costs less than one domain after the other.

    A bound for a domain is one for every part of it, and a point of a part is one of the whole. Arguments and errors
    as for `bracket`.
    """
    if not (isinstance(domains, Collection) and domains) or isinstance(domains, (str, bytes, Mapping)):
        raise UserError('Name at least one domain: a list of "space", "ball" and "sphere".')
    for domain in domains:
        check_domain(domain, radius, tangential)
    arguments.instance("search", search, Search, "such as lawjax.Search(starts=32, steps=60)")
    networks = _singles(networks)
    certificates: dict[str, list[Certificate]] = {}
    for domain in filter(domains.__contains__, DOMAINS):  # the widest first
        wider = next(reversed(certificates.values()), None)
        certificates[domain] = certify_all(networks, domain, radius, tangential, wider)
    exact = [all(of_domain[i].cells for of_domain in certificates.values()) for i in range(len(networks))]
    searched = [i for i, is_exact in enumerate(exact) if not is_exact]
    points = _searched(
        [networks[i] for i in searched],
        {domain: [of_domain[i] for i in searched] for domain, of_domain in certificates.items()},
        radius,
        tangential,
        search,
    )
    found: dict[str, list[Bracket]] = {}
    for domain, of_domain in certificates.items():
        own = dict(zip(searched, points[domain], strict=True))
        found[domain] = [
            _bracket(network, certificate, own.get(i))
            for i, (network, certificate) in enumerate(zip(networks, of_domain, strict=True))
        ]
    return found


def _bracket(network: TwoLayer, certificate: Certificate, point: np.ndarray | None) -> Bracket:
    if certificate.cells and certificate.candidates is not None:
        return Bracket(certificate.lower, certificate.bound, certificate.candidates[0], certificate)
    assert point is not None
    attained = norm_at(network, point, certificate.domain, certificate.radius, certificate.tangential)
    return Bracket(min(attained, certificate.bound), certificate.bound, point, certificate)


def _searched(
    networks: Sequence[TwoLayer],
    certificates: dict[str, list[Certificate]],
    radius: float,
    tangential: bool,
    search: Search,
) -> dict[str, list[np.ndarray]]:
    """The best point found for each network on each domain; narrower domains than those asked for are searched, too."""
    if not networks:
        return dict.fromkeys(certificates, [])
    widest = next(iter(certificates))
    ones = [scaled(network) for network in networks]
    prepared = [
        prepare(one.network, certificate.weights, tangential)
        for one, certificate in zip(ones, certificates[widest], strict=True)
    ]
    of_domain: dict[str, list[Problem]] = {}
    above = certificates[widest]
    for domain in ("sphere",) if tangential else DOMAINS[DOMAINS.index(widest) :]:
        above = certificates.get(domain, above)
        own = [_with_candidates(network, one, domain, radius) for network, one in zip(networks, above, strict=True)]
        of_domain[domain] = [_problem(*each, domain, radius) for each in zip(ones, prepared, own, strict=True)]
    points: dict[str, list[np.ndarray]] = {}
    for domain in reversed(of_domain):
        points[domain] = witnesses(of_domain[domain], search, next(reversed(points.values()), None))
    with np.errstate(over="ignore", under="ignore"):
        return {
            domain: [np.ldexp(point, -one.stretch) for one, point in zip(ones, points[domain], strict=True)]
            for domain in certificates
        }


def _with_candidates(network: TwoLayer, above: Certificate, domain: str, radius: float) -> Certificate:
    """The certificate, or for polynomials, whose points come with their proofs, that of a narrower domain."""
    if above.domain == domain or activations.get(network.activation).slope_interval is not None:
        return above
    return certify(network, domain, radius)


def _problem(one: Scaled, searched: Searched, certificate: Certificate, domain: str, radius: float) -> Problem:
    """In the units of the network of size one; the bound may be that of a wider domain."""
    with np.errstate(over="ignore", under="ignore"):
        bound = float(np.ldexp(certificate.bound, -one.unit))
        radius = float(np.ldexp(radius, one.stretch))
        known = certificate.candidates if certificate.domain == domain else None
        known = None if known is None else np.ldexp(known, one.stretch)
    return Problem(one, searched, domain, radius, certificate.tangential, bound, known)


def _singles(networks: Any) -> list[TwoLayer]:
    if isinstance(networks, TwoLayer) and networks.W.ndim == 2:
        return [networks]
    if not isinstance(networks, TwoLayer):
        if not isinstance(networks, Sequence) or isinstance(networks, (str, bytes)):
            raise UserError(f"Give networks: a lawjax.TwoLayer, a stack or a list, not {arguments.shown(networks)}.")
        for network in networks:
            check_network(network)
    return [one for network in networks for one in _singles(network)]
