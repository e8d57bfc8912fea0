"""Brackets: every network's Lipschitz constant bounded from both sides, below by a point, above by a proof.

>>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
>>> found = bracket(f)
>>> round(found.lower, 9), round(found.upper, 9)
(5.0, 5.0)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from lawjax import arguments
from lawjax.domains import Ball, Domain, Space, Sphere, as_domain, ball_of, check_network, sphere_of
from lawjax.errors import UserError
from lawjax.lipschitz.lower.effort import Search
from lawjax.lipschitz.lower.evaluate import norm_at
from lawjax.lipschitz.lower.problem import Problem, Searched, prepare
from lawjax.lipschitz.lower.search import witnesses
from lawjax.lipschitz.scale import Scaled, scaled
from lawjax.lipschitz.splitting import repeated, split_at_kinks
from lawjax.lipschitz.upper.gradients import Gradients
from lawjax.lipschitz.upper.proofs import CellProof, FormProof, Proof
from lawjax.lipschitz.upper.proving import Proved, certify, prove
from lawjax.network import TwoLayer
from lawjax.progress import Report

_USUAL = Search()


class Bracket(NamedTuple):
    """A Lipschitz constant between two bounds.

    What lies between them is sup ||grad f|| over the domain: on R^d and a ball the Lipschitz constant
    there, on a sphere that of f near it, or, if `tangential`, the supremum of the gradient's part along the sphere.

    Attributes:
        lower: ||grad f(witness)||, evaluated in float64; where the proof goes through every cell and the best one is
            thinner than floats are apart, the truth, rounded downwards.
        upper: a proved upper bound, rounded upwards; infinite where nothing is known.
        witness: (d,), a point of the domain, off every kink; next to the best cell where no float lies in it.
        proof: of the upper bound; `proof.record(network)` is what `lawjax check` takes.
        domain: where.
    """

    lower: float
    upper: float
    witness: Float[np.ndarray, " d"]
    proof: Proof
    domain: Domain


def bracket(
    networks: TwoLayer | Sequence[TwoLayer],
    domain: Domain | str = Space(),
    search: Search = _USUAL,
    *,
    progress: bool = False,
) -> Any:
    """The bracket of a network; of a stack or a list of networks of any shapes, the list of their brackets.

    Args:
        networks: of any activation; unbounded slopes have no upper bound on R^d.
        domain: `Space()`, `Ball(radius)` or `Sphere(radius, tangential)`, or the name of one of radius 1.
        search: how hard to look for a witness, and where first.
        progress: whether to show how many searches are done.

    Raises:
        UserError: an unknown domain, points to search of another dimension.
    """
    alone = isinstance(networks, TwoLayer) and networks.W.ndim == 2
    found = brackets(networks, (domain,), search, progress=progress)[domain]
    return found[0] if alone else found


def brackets(
    networks: TwoLayer | Sequence[TwoLayer],
    domains: Sequence[Domain | str],
    search: Search = _USUAL,
    *,
    progress: bool = False,
) -> dict[Domain | str, list[Bracket]]:
    """Brackets of networks on several domains, by domain, which costs less than one domain after the other.

    A bound for a domain is one for every part of it, and a point of a part is one of the whole. Arguments and errors
    as for `bracket`.
    """
    if not (isinstance(domains, Collection) and domains) or isinstance(domains, (str, bytes, Mapping)):
        raise UserError('Name at least one domain: a list such as [lawjax.Space(), lawjax.Sphere(2.0)] or ["sphere"].')
    asked = {domain: as_domain(domain) for domain in domains}
    arguments.instance("search", search, Search, "such as lawjax.Search(starts=32, steps=60)")
    networks = _singles(networks)
    proved: dict[Domain, list[Proved]] = {}
    for domain in sorted(set(asked.values()), key=_size, reverse=True):
        wider = [own for other, own in proved.items() if domain.is_part_of(other)]
        proved[domain] = prove(networks, domain, wider[-1] if wider else None)
    exact = [all(isinstance(own[i].proof, CellProof) for own in proved.values()) for i in range(len(networks))]
    searched = [i for i, is_exact in enumerate(exact) if not is_exact]
    points = _searched({domain: [own[i] for i in searched] for domain, own in proved.items()}, search, progress)
    found: dict[Domain, list[Bracket]] = {}
    for domain, of_domain in proved.items():
        own = dict(zip(searched, points[domain], strict=True))
        found[domain] = [_bracket(of_network, own.get(i)) for i, of_network in enumerate(of_domain)]
    return {given: found[domain] for given, domain in asked.items()}


def _size(domain: Domain) -> tuple[float, int, bool]:
    """An order in which every domain comes after its parts."""
    return domain.radius, (Sphere, Ball, Space).index(type(domain)), not domain.tangential


def _bracket(own: Proved, point: np.ndarray | None) -> Bracket:
    proof = own.proof
    if isinstance(proof, CellProof):
        return Bracket(proof.lower, proof.bound, proof.witness, proof, proof.domain)
    assert point is not None
    attained = norm_at(own.gradients.one, point, proof.domain)
    return Bracket(min(attained, proof.bound), proof.bound, point, proof, proof.domain)


def _searched(proved: dict[Domain, list[Proved]], search: Search, progress: bool) -> dict[Domain, list[np.ndarray]]:
    """The best point found for each network on each domain; their parts are searched, too, from the narrowest on."""
    widest = next(iter(proved.values()))
    if not widest:
        return dict.fromkeys(proved, [])
    whole, ones = [own.gradients.one for own in widest], [_one_to_search(own.gradients) for own in widest]
    weights = [repeated(own.weights, one.network.n_neurons) for own, one in zip(widest, ones, strict=True)]
    prepared = {
        tangential: [prepare(one.network, own, tangential, search) for one, own in zip(ones, weights, strict=True)]
        for tangential in {domain.tangential for domain in proved}
    }
    points: dict[Domain, list[np.ndarray]] = {}
    searched = sorted(_with_parts(proved), key=_size)
    with Report("searches", len(searched) * len(ones), shown=progress) as report:
        for domain in searched:
            above = next(own for other, own in reversed(proved.items()) if domain.is_part_of(other))
            parts = [part for part in points if part.is_part_of(domain)]
            ascended = max((part.radius for part in parts if isinstance(part, Sphere)), default=0.0)
            each = zip(ones, prepared[domain.tangential], above, strict=True)
            problems = [_problem(*of_network, domain, ascended) for of_network in each]
            hints = [np.stack(own) for own in zip(*(points[part] for part in parts), strict=True)] if parts else None
            found = witnesses(problems, search, hints, report.update)
            if hints is not None:  # what a point of a part shows, this domain shows to the last digit
                found = [
                    _steepest(own, one, domain, (point, *others))
                    for own, one, point, others in zip(whole, ones, found, hints, strict=True)
                ]
            points[domain] = found
    with np.errstate(over="ignore", under="ignore"):
        return {
            domain: [np.ldexp(point, -one.point_exponent) for one, point in zip(ones, points[domain], strict=True)]
            for domain in proved
        }


def _steepest(whole: Scaled, one: Scaled, domain: Domain, points: Sequence[np.ndarray]) -> np.ndarray:
    """Of points in the units of the network searched, that where the whole one is steepest; of equal ones the first."""
    with np.errstate(over="ignore", under="ignore"):
        norms = [norm_at(whole, np.ldexp(point, -one.point_exponent), domain) for point in points]
    return points[int(np.argmax(norms))]


def _with_parts(domains: Collection[Domain]) -> set[Domain]:
    """The domains, the sphere of each ball, and for R^d that of each sphere, or the one of radius 1."""
    found = set(domains)
    if Space() in found and not any(isinstance(domain, (Ball, Sphere)) for domain in found):
        found.add(Ball())
    found |= {ball_of(domain) for domain in found if isinstance(domain, Sphere) and Space() in found}
    return found | {sphere_of(domain) for domain in found if isinstance(domain, Ball)}


def _one_to_search(gradients: Gradients) -> Scaled:
    """The network at size one; where psi has several kinks it is made of ReLUs."""
    split = split_at_kinks(gradients.network)
    return gradients.one if split is gradients.network else scaled(split)


def _problem(one: Scaled, searched: Searched, above: Proved, domain: Domain, ascended: float) -> Problem:
    """In the units of the network of size one; the bound may be that of a wider domain."""
    network, proof = above.gradients.network, above.proof
    if isinstance(proof, FormProof) and proof.domain != domain:
        proof = certify(network, domain)  # the points of polynomials come with their proofs
    with np.errstate(over="ignore", under="ignore"):
        bound = float(np.ldexp(proof.bound, -one.gradient_exponent))
        known = proof.points if isinstance(proof, FormProof) else None
        known = None if known is None else np.ldexp(known, one.point_exponent)
        ascended = float(np.ldexp(ascended, one.point_exponent))
    return Problem(one, searched, domain.stretched(one.point_exponent), bound, ascended, known)


def _singles(networks: Any) -> list[TwoLayer]:
    if isinstance(networks, TwoLayer) and networks.W.ndim == 2:
        return [networks]
    if not isinstance(networks, TwoLayer):
        if not isinstance(networks, Sequence) or isinstance(networks, (str, bytes)):
            raise UserError(f"Give networks: a lawjax.TwoLayer, a stack or a list, not {arguments.shown(networks)}.")
        for network in networks:
            check_network(network)
    return [one for network in networks for one in _singles(network)]
