"""The best proof of an upper bound: each kind is tried, from the gradients that a network may have on a domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lawjax import arguments
from lawjax.domains import Domain, Space, Sphere, as_domain, check_single
from lawjax.lipschitz import verified
from lawjax.lipschitz.lower import cells
from lawjax.lipschitz.upper import overlaps
from lawjax.lipschitz.upper.caps import parts, thin_caps
from lawjax.lipschitz.upper.gradients import Gradients, gradients_on
from lawjax.lipschitz.upper.polynomial import polynomial_bound
from lawjax.lipschitz.upper.proofs import (
    CellProof,
    DisjointCaps,
    FormProof,
    OnePart,
    OverlappingCaps,
    Proof,
    SlopeProof,
)
from lawjax.lipschitz.upper.relaxation import USUAL, best_weights
from lawjax.lipschitz.upper.zonotope import Zonotope, path_bound, proved_bound, zonotope_of, zonotopes_of
from lawjax.network import TwoLayer

_PART_STEPS = 1000.0  # operations for each entry of a part's generators and column of the factor, roughly
_PART_WORK = 5e12  # operations that all parts of a network may cost


def certify(network: TwoLayer, domain: Domain | str = Space(), *, by_cells: bool = True) -> Proof:
    """The best proof of an upper bound on a network's Lipschitz constant that is found; for polynomial psi see there.

    Args:
        network: one network.
        domain: where; `Space()`, `Ball(radius)`, `Sphere(radius, tangential)`, or the name of one of radius 1.
        by_cells: whether to go through every cell where that can be done (`lawjax.lipschitz.lower.cells`).

    Raises:
        UserError: a stack, an unknown domain.
    """
    arguments.flag("by_cells", by_cells)
    return prove([network], domain, by_cells=by_cells)[0].proof


class Proved(NamedTuple):
    """The best proof that was found for a network.

    Attributes:
        gradients: what is known of them on the domain.
        proof: of the upper bound.
        weights: of the relaxation, lambda for the constant part and for each neuron: where large gradients are to be
            looked for. They prove the bound where `proof` is a `SlopeProof`.
    """

    gradients: Gradients
    proof: Proof
    weights: Float[np.ndarray, " vectors"]


def prove(
    networks: Sequence[TwoLayer],
    domain: Domain | str = Space(),
    wider: Sequence[Proved] | None = None,
    *,
    by_cells: bool = True,
) -> list[Proved]:
    """Proofs for networks of any sizes.

    Args:
        networks: single ones.
        domain: see `certify`.
        wider: what was proved for them on a domain that contains this one. It holds here, too, and no weights are
            better where no more is known of the slopes.
        by_cells: see `certify`.
    """
    domain = as_domain(domain)
    for network in networks:
        check_single(network)
    gradients = [gradients_on(network, domain) for network in networks]
    found: list[Proved | None] = [None] * len(networks)
    for i, own in enumerate(gradients):
        if not np.isfinite(own.slopes).all():
            found[i] = _by_forms(own)
        elif by_cells and cells.can_enumerate(own.network, domain):
            found[i] = _by_cells(own)
        elif wider is not None and np.array_equal(wider[i].gradients.slopes, own.slopes):
            found[i] = wider[i]._replace(gradients=own, proof=replace(wider[i].proof, domain=domain))
    new = [i for i, own in enumerate(found) if own is None]
    weights = best_weights([gradients[i].zonotope.vectors for i in new])
    for i, of_zonotope in zip(new, weights, strict=True):
        proof = _by_slopes(gradients[i], of_zonotope)
        found[i] = Proved(gradients[i], proof, proof.weights)
    return [_with_caps(own) for own in found if own is not None]


def _with_caps(own: Proved) -> Proved:
    """What proofs that look at caps make of it."""
    if isinstance(own.proof, CellProof) or not own.gradients.has_caps:
        return own
    by_thin = _by_thin_caps(own.gradients)
    if by_thin is not None and by_thin.bound < own.proof.bound:
        own = own._replace(proof=by_thin, weights=by_thin.weights)
    others = (_by_disjoint_caps(own.gradients), _by_overlapping_caps(own.gradients))
    return own._replace(proof=min((own.proof, *filter(None, others)), key=lambda proof: proof.bound))


def _by_forms(gradients: Gradients) -> Proved:
    """For a polynomial of degree two or more, which on R^d has no bound unless it is constant."""
    proof = FormProof(np.inf, gradients.domain)
    if not isinstance(gradients.domain, Space) or not gradients.has_live_neurons:
        found = polynomial_bound(gradients.network, gradients.domain)
        proof = FormProof(found.upper, gradients.domain, found.candidates)
    k = gradients.network.n_neurons
    return Proved(gradients, proof, np.full(k + 1, 1.0 / (k + 1)))


def _by_cells(gradients: Gradients) -> Proved:
    """From every cell; there are no weights."""
    exact = cells.steepest(gradients.network, gradients.domain)
    proof = CellProof(exact.upper, gradients.domain, exact.lower, exact.witness)
    return Proved(gradients, proof, np.zeros(gradients.network.n_neurons + 1))


def _by_slopes(gradients: Gradients, weights: np.ndarray) -> SlopeProof:
    """By the weights of the zonotope, or by no weights at all, the path bound, where that is smaller."""
    tied = [1 + neuron for neuron, _, _ in gradients.ties]
    own = np.setdiff1d(np.arange(gradients.network.n_neurons + 1), tied)
    bound, weights = _bound_of(gradients.zonotope, weights)
    of_all = np.zeros(gradients.network.n_neurons + 1)
    of_all[own] = weights
    return SlopeProof(gradients.restored(bound), gradients.domain, of_all, ties=gradients.ties)


def _bound_of(zonotope: Zonotope, weights: np.ndarray) -> tuple[float, np.ndarray]:
    bound, path = proved_bound(zonotope, weights), path_bound(zonotope)
    return (path, np.zeros_like(weights)) if path < bound else (bound, weights)


def _by_thin_caps(gradients: Gradients) -> SlopeProof | None:
    """Along the sphere: neurons of thin caps are added by what they can be there."""
    sphere, network = gradients.domain, gradients.one.network
    if not (isinstance(sphere, Sphere) and sphere.tangential):
        return None
    thin, sines, outside = thin_caps(network, sphere)
    if not len(thin):
        return None
    alpha, beta = gradients.slopes
    gaps = verified.up(beta - alpha)[thin]
    beside = gaps * np.abs(network.a[thin]) * verified.row_norms(network.W[thin]) * sines * (1.0 + verified.gamma(8))
    slopes = alpha.copy(), beta.copy()
    for ends in slopes:
        ends[thin] = outside
    vectors, errors = zonotope_of(network, *slopes)
    bound, weights = _bound_of(Zonotope(vectors, np.append(errors, beside)), best_weights([vectors])[0])
    return SlopeProof(gradients.restored(bound), sphere, weights, thin=tuple(thin.tolist()))


def _by_disjoint_caps(gradients: Gradients) -> DisjointCaps | None:
    """Part by part, where some caps are apart and there are not too many parts."""
    network, tangential = gradients.one.network, gradients.domain.tangential
    found = parts(network, gradients.domain)
    neurons = [np.flatnonzero(part.alpha != part.beta) for part in found]
    sizes = [(len(own) + 1.0) * min(len(own) + 1, network.dimension) for own in neurons]
    if not found or _PART_STEPS * USUAL.rank * sum(sizes) + 10.0 * len(found) * network.W.size > _PART_WORK:
        return None
    alpha, beta = (np.stack([getattr(part, name) for part in found]) for name in ("alpha", "beta"))
    zonotopes = list(zonotopes_of(network, alpha, beta, neurons))
    weights = [np.ones(1)] * len(found)
    several = [i for i, own in enumerate(neurons) if len(own)]
    for i, of_part in zip(several, best_weights([zonotopes[i].vectors for i in several]), strict=True):
        weights[i] = of_part
    bound = 0.0
    for part, zonotope, of_part in zip(found, zonotopes, weights, strict=True):
        within = proved_bound(zonotope, of_part)
        bound = max(bound, verified.leg(within, part.along) if tangential and part.along > 0 else within)
    leaders = [part.leader for part in found]
    proved = tuple(OnePart(*of_part) for of_part in zip(leaders, neurons, weights, strict=True))
    return DisjointCaps(gradients.restored(bound), gradients.domain, proved)


def _by_overlapping_caps(gradients: Gradients) -> OverlappingCaps | None:
    """From how many caps can overlap, where that says anything."""
    alpha, beta = gradients.slopes
    of = overlaps.quadratic(gradients.one.network, alpha, beta, gradients.domain.radius)
    if of is None:
        return None
    found = overlaps.best_overlap(of)
    bound = gradients.restored(overlaps.proved_overlap_bound(of, found))
    return OverlappingCaps(
        bound,
        gradients.domain,
        gradients.unknown,
        found.weights,
        found.rho,
        found.kappa,
        gradients.one.gradient_exponent,
    )
