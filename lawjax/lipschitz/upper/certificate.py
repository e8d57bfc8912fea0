"""Certificates: upper bounds on Lipschitz constants with weights from which anybody can prove them.

Every gradient of f is sum_l s_l v_l with v_l = a_l w_l and slopes s_l in [alpha_l, beta_l]. With m_l and h_l the middle
and half the length of that interval, v'_0 = sum_l m_l v_l and v'_l = h_l v_l, it is v'_0 + sum_l r_l v'_l with
|r_l| <= 1, and for every weight vector lambda > 0 (docs/certificates.md)

    Lip(f)^2 <= (sum_l lambda_l) * lambda_max(sum_l v'_l v'_l^T / lambda_l),    l = 0, ..., k.

The best weights give the semidefinite relaxation of max ||v'_0 + sum r_l v'_l||; they are found by products with the
matrix of the v'_l alone. Whatever weights a solver returns, the bound is then computed and proved in float64.

    >>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
    >>> round(certify(f).bound, 6)
    5.0
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from lawjax import arguments, check
from lawjax.domains import Domain, Space, Sphere, as_domain, check_single, in_words
from lawjax.errors import UserError
from lawjax.lipschitz import verified
from lawjax.lipschitz.lower import cells
from lawjax.lipschitz.scale import Scaled, scaled
from lawjax.lipschitz.upper.overlaps import best_crowd, proved_crowd_bound, quadratic
from lawjax.lipschitz.upper.polynomial import polynomial_bound
from lawjax.lipschitz.upper.products import path_product
from lawjax.lipschitz.upper.relaxation import RANK, best_weights
from lawjax.lipschitz.upper.rows import centred_rows, path_bound, proved_bound, rows_of_cases
from lawjax.lipschitz.upper.slopes import cases, slope_intervals, thin_caps
from lawjax.lipschitz.upper.ties import Tie, tied, ties_of
from lawjax.network import TwoLayer

_CASE_STEPS = 1000.0  # operations for each entry of a case's rows and column of the factor, roughly
_CASE_WORK = 5e12  # operations that all cases of a network may cost


@dataclass(frozen=True)
class Certificate:
    """A proved upper bound on a Lipschitz constant, and what proves it.

    Attributes:
        bound: Lip(f) <= bound on the domain, a theorem about the float weights of f; infinite where nothing is known.
        weights: (k + 1,), lambda: lambda_0 for the constant part, then one for each neuron, none negative, of sum one.
            A neuron of weight 0 is added by its length. They prove the bound where `cases`, `crowd` and `cells` are
            empty.
        domain: where.
        ties: neurons that are switched together with another one, whose rows the proof adds up
            (`lawjax.lipschitz.upper.ties`): neuron, the other one, and the sign; their own weights are not used.
        thin: neurons of thin caps that the proof adds by their part along the sphere (`lawjax.lipschitz.upper.slopes`).
        cases: where the proof goes case by case (`lawjax.lipschitz.upper.slopes.cases`): each one's leader, the neurons
            whose slope is not known there, and weights for the constant part and for them.
        crowd: rho and kappa where the proof counts how many neurons can be on together
            (`lawjax.lipschitz.upper.overlaps`), in the unit 2^unit of gradients in which the weights were found.
        cells: whether the proof went through every cell, for d <= 2 (`lawjax.lipschitz.lower.cells`).
        unit: see crowd.
        candidates: (m, d), points of the domain where the gradient may be largest, if the proof came upon any.
        lower: a lower bound at the first of these, if the proof goes through every cell.
    """

    bound: float
    weights: np.ndarray
    domain: Domain = Space()
    ties: tuple[Tie, ...] = ()
    thin: tuple[int, ...] = ()
    cases: tuple[tuple[int, np.ndarray, np.ndarray], ...] = ()
    crowd: tuple[float, float] | None = None
    cells: bool = False
    unit: int = 0
    candidates: np.ndarray | None = None
    lower: float = 0.0

    def record(self, network: TwoLayer) -> dict[str, Any]:
        """What a certificate file holds, for `lawjax check`: it names the network by the digest of its weights.

        The bound in it is larger by some 1e-11 of itself, as the checker counts roundings more simply than the proof.

        Raises:
            UserError: there is no finite bound, or no checkable one.
        """
        psi = network.activation
        domain = self.domain
        is_whole = not isinstance(domain, Space) and not domain.tangential
        form = psi.name == check.FORM and is_whole and not np.any(network.b)
        if psi.slope_interval is not None and check.slope_range(psi.name) is None:
            raise UserError(f"The checker knows nothing of {psi.name!r}: its bounds hold if its slopes are as it says.")
        if psi.slope_interval is None and not form:
            raise UserError(
                f"Bounds of {psi.name!r} can be checked apart only where it is {check.FORM}, without biases, on a ball "
                "or sphere: its slopes are unbounded, and other proofs have no weights."
            )
        host = jax.tree.map(np.asarray, network)
        statement = {
            **in_words(domain),
            "cases": [] if form or self.cells else list(self._case_records(network)),
            "crowd": None,
            "ties": [list(tie) for tie in self.ties],
            "thin": list(self.thin),
            "cells": self.cells,
        }
        if self.crowd is not None:
            statement["crowd"] = [_times_power_of_two(self.crowd[0], 2 * self.unit), self.crowd[1]]
        bound = least_proved(
            self.bound,
            lambda bound: check.proves(host.W, host.b, host.a, psi.name, statement, bound),
            path_product(network) if psi.slope_interval is not None else 0.0,
        )
        name = check.digest((host.W, host.b, host.a, host.c), psi.name)
        return {"kind": check.KIND, "network": name, "bound": bound, **statement}

    def _case_records(self, network: TwoLayer) -> Iterator[dict[str, Any]]:
        """Each case's leader, the neurons whose slope is not known there, and the weights."""
        one = scaled(network)
        alpha, beta = slope_intervals(one.network, self.domain.stretched(one.point_exponent))
        beta[list(self.thin)] = alpha[list(self.thin)]
        beta[[neuron for neuron, _, _ in self.ties]] = alpha[[neuron for neuron, _, _ in self.ties]]
        unknown = np.flatnonzero(alpha != beta)
        for leader, neurons, weights in self.cases or ((-1, unknown, self.weights[np.append(0, 1 + unknown)]),):
            yield {
                "leader": None if leader < 0 else leader,
                "neurons": neurons.tolist(),
                "weights": weights.tolist(),
            }


def _times_power_of_two(value: float, exponent: int) -> float:
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.inf


def least_proved(bound: float, proves: Callable[[float], bool], path: float = 0.0) -> float:
    """A bound that the checker takes, larger by as little as it asks for: it counts roundings more simply.

    Args:
        bound: what was proved.
        proves: the checker.
        path: a bound on the sum of all terms, which where these cancel has the larger roundings.

    Raises:
        UserError: there is none near.
    """
    steps = [4.0**i * 1e-15 for i in range(15)]
    try:
        for tried in (bound, *(bound * (1.0 + more) for more in steps), *(bound + path * more for more in steps)):
            if proves(float(tried)):
                return float(tried)
    except OverflowError:  # sizes that are not checked
        pass
    raise UserError("This bound is beyond what float64 can check; rescale the network.")


def certify(network: TwoLayer, domain: Domain | str = Space(), *, by_cells: bool = True) -> Certificate:
    """The certificate with the best weights that the relaxation's iteration finds; for polynomial psi see there.

    Args:
        network: one network.
        domain: where; `Space()`, `Ball(radius)`, `Sphere(radius, tangential)`, or the name of one of radius 1.
        by_cells: whether to go through every cell where that can be done (`lawjax.lipschitz.lower.cells`).

    Raises:
        UserError: a stack, an unknown domain.
    """
    arguments.flag("by_cells", by_cells)
    return certify_all([network], domain, by_cells=by_cells)[0]


def certify_all(
    networks: Sequence[TwoLayer],
    domain: Domain | str = Space(),
    wider: Sequence[Certificate] | None = None,
    *,
    by_cells: bool = True,
) -> list[Certificate]:
    """Certificates of networks of any sizes.

    Args:
        networks: single ones.
        domain: see `certify`.
        wider: certificates of the same networks on a domain that contains this one. They hold here, too, and are the
            best there are where no more is known of the slopes.
        by_cells: see `certify`.
    """
    domain = as_domain(domain)
    for network in networks:
        check_single(network)
    problems = [_Problem.of(network, domain) for network in networks]
    found: list[Certificate | None] = [None] * len(networks)
    for i, problem in enumerate(problems):
        if not np.isfinite(problem.slopes).all():
            found[i] = _of_polynomial(problem)
        elif by_cells and cells.can_enumerate(networks[i], domain):
            found[i] = _by_cells(problem)
        elif wider is not None:
            before = wider[i]
            if np.array_equal(_Problem.of(networks[i], before.domain).slopes, problem.slopes):
                found[i] = replace(before, domain=domain)
    new = [i for i, one in enumerate(found) if one is None]
    prepared = [problems[i].tied_rows() for i in new]
    for i, of_one, own in zip(new, prepared, best_weights([rows for rows, *_ in prepared]), strict=True):
        found[i] = _by_weights(problems[i], *of_one, own)
    whole = [one for one in found if one is not None]
    if isinstance(domain, Space):
        return whole
    with_thin = [_by_thin_caps(*pair) for pair in zip(problems, whole, strict=True)]
    by_cases = [_by_cases(*pair) for pair in zip(problems, with_thin, strict=True)]
    return [_by_crowds(*pair) for pair in zip(problems, by_cases, strict=True)]


@dataclass(frozen=True)
class _Problem:
    """A network, what it is at size one, and its slopes alpha, beta (2, k) on the domain."""

    given: TwoLayer
    one: Scaled
    slopes: np.ndarray
    domain: Domain

    @classmethod
    def of(cls, network: TwoLayer, domain: Domain) -> _Problem:
        """What all proofs share."""
        one = scaled(network)
        slopes = np.stack(slope_intervals(one.network, domain.stretched(one.point_exponent)))
        return cls(network, one, slopes, domain)

    @property
    def has_caps(self) -> bool:
        """Whether kinks may cut caps off the sphere."""
        return not isinstance(self.domain, Space) and self.given.activation.has_kink

    @property
    def has_live_neurons(self) -> bool:
        """Whether f may change at all."""
        return bool(((self.one.network.a != 0) & self.one.network.W.any(1)).any())

    def tied_rows(self) -> tuple[np.ndarray, np.ndarray, list[Tie]]:
        """The rows of the constant part and the neurons, bounds on their errors, and which of these are one."""
        alpha, beta = self.slopes
        free = alpha < beta
        ties = [tie for tie in ties_of(self.one.network) if free[tie[0]] and free[tie[1]]]
        rows, errors, _ = tied(*centred_rows(self.one.network, alpha, beta), ties)
        return rows, errors, ties

    def restored(self, bound: float) -> float:
        """The bound in the units of the network given, rounded upwards."""
        return verified.restored(bound, self.one.gradient_exponent)


def _of_polynomial(problem: _Problem) -> Certificate:
    """The certificate of a polynomial of degree two or more, which on R^d has no bound unless it is constant."""
    k = problem.given.n_neurons
    upper, points = math.inf, None
    if not isinstance(problem.domain, Space) or not problem.has_live_neurons:
        upper, points = polynomial_bound(problem.given, problem.domain)
    return Certificate(upper, np.full(k + 1, 1.0 / (k + 1)), problem.domain, candidates=points)


def _by_cells(problem: _Problem) -> Certificate:
    """The certificate that went through every cell; there are no weights."""
    exact = cells.steepest(problem.given, problem.domain)
    k = problem.given.n_neurons
    return Certificate(
        exact.upper,
        np.zeros(k + 1),
        problem.domain,
        cells=True,
        candidates=exact.witness[None],
        lower=exact.lower,
    )


def _by_weights(
    problem: _Problem, rows: np.ndarray, errors: np.ndarray, ties: Sequence[Tie], weights: np.ndarray
) -> Certificate:
    """The certificate of weights, or of no weights at all, the path bound, where that is smaller."""
    bound, path = proved_bound(rows, errors, weights), path_bound(rows, errors)
    if path < bound:
        bound, weights = path, np.zeros_like(weights)
    of_all = np.zeros(problem.given.n_neurons + 1)
    of_all[np.setdiff1d(np.arange(len(of_all)), [1 + neuron for neuron, _, _ in ties])] = weights
    return Certificate(problem.restored(bound), of_all, problem.domain, ties=tuple(ties))


def _by_thin_caps(problem: _Problem, whole: Certificate) -> Certificate:
    """The certificate along the sphere that adds neurons of thin caps by what they can be there, where it is better."""
    sphere = problem.domain
    if not (isinstance(sphere, Sphere) and sphere.tangential and problem.has_caps) or whole.cells:
        return whole
    network = problem.one.network
    thin, sines, outside = thin_caps(network, sphere)
    if not len(thin):
        return whole
    alpha, beta = problem.slopes
    gaps = verified.up(beta - alpha)[thin]
    beside = gaps * np.abs(network.a[thin]) * verified.row_norms(network.W[thin]) * sines * (1.0 + verified.gamma(8))
    slopes = alpha.copy(), beta.copy()
    for bound in slopes:
        bound[thin] = outside
    rows, errors = centred_rows(network, *slopes)
    found = _by_weights(problem, rows, np.append(errors, beside), (), best_weights([rows])[0])
    return min(whole, replace(found, thin=tuple(thin.tolist())), key=lambda one: one.bound)


def _by_cases(problem: _Problem, whole: Certificate) -> Certificate:
    """The certificate that takes caps case by case, where there are any and it is better."""
    network = problem.one.network
    parts = [] if whole.cells or not problem.has_caps else cases(network, problem.domain)
    neurons = [np.flatnonzero(part.alpha != part.beta) for part in parts]
    sizes = [(len(own) + 1.0) * min(len(own) + 1, network.dimension) for own in neurons]
    if not parts or _CASE_STEPS * RANK * sum(sizes) + 10.0 * len(parts) * network.W.size > _CASE_WORK:
        return whole
    alpha, beta = (np.stack([getattr(part, name) for part in parts]) for name in ("alpha", "beta"))
    rows, errors = zip(*rows_of_cases(network, alpha, beta, neurons), strict=True)
    weights = [np.ones(1)] * len(parts)
    several = [i for i, own in enumerate(neurons) if len(own)]
    for i, found in zip(several, best_weights([rows[i] for i in several]), strict=True):
        weights[i] = found
    bound = 0.0
    for part, *of_one in zip(parts, rows, errors, weights, strict=True):
        within = proved_bound(*of_one)
        bound = max(bound, verified.leg(within, part.along) if problem.domain.tangential and part.along > 0 else within)
    bound = problem.restored(bound)
    if bound >= whole.bound:
        return whole
    leaders = [part.leader for part in parts]
    return replace(whole, bound=bound, ties=(), thin=(), cases=tuple(zip(leaders, neurons, weights, strict=True)))


def _by_crowds(problem: _Problem, before: Certificate) -> Certificate:
    """The certificate that counts how many neurons can be on together, where that is better."""
    if before.cells or not problem.has_caps:
        return before
    alpha, beta = problem.slopes
    unknown = np.flatnonzero(alpha != beta)
    of = quadratic(problem.one.network, alpha, beta, problem.domain.radius)
    if of is None:
        return before
    found = best_crowd(of)
    bound = problem.restored(proved_crowd_bound(of, found))
    if bound >= before.bound:
        return before
    crowd = (found.rho, found.kappa)
    cases = ((-1, unknown, found.weights),)
    return replace(before, bound=bound, ties=(), thin=(), cases=cases, crowd=crowd, unit=problem.one.gradient_exponent)
