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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lawjax import activations, check
from lawjax.errors import UserError
from lawjax.lipschitz import verified
from lawjax.lipschitz.crowds import best_crowd, proved_crowd_bound, quadratic
from lawjax.lipschitz.domains import check_domain, check_single
from lawjax.lipschitz.polynomial import polynomial_bound
from lawjax.lipschitz.relaxation import RANK, best_weights
from lawjax.lipschitz.rows import centred_rows, proved_bound, rows_of_cases
from lawjax.lipschitz.slopes import cases, slope_intervals
from lawjax.network import TwoLayer

_CASE_STEPS = 1000.0  # operations for each entry of a case's rows and column of the factor, roughly
_CASE_WORK = 5e12  # operations that all cases of a network may cost


@dataclass(frozen=True)
class Certificate:
    """A proved upper bound on a Lipschitz constant, and what proves it.

    Attributes:
        bound: Lip(f) <= bound on the domain, a theorem about the float weights of f; infinite where nothing is known.
        weights: (k + 1,), lambda: lambda_0 for the constant part, then one for each neuron, all positive, of sum one.
        domain: "space" (R^d), "ball" or "sphere" (around 0).
        radius: of the ball or sphere.
        tangential: whether the bound is for the gradient's part along the sphere only.
        cases: where the proof goes case by case (`lawjax.lipschitz.slopes.cases`): each one's leader, the neurons
            whose slope is not known there, and weights for the constant part and for them.
        crowd: rho and kappa where the proof counts how many neurons can be on together (`lawjax.lipschitz.crowds`).
        candidates: (m, d), points of the domain where the gradient may be largest, if the proof came upon any.
    """

    bound: float
    weights: np.ndarray
    domain: str = "space"
    radius: float = 1.0
    tangential: bool = False
    cases: tuple[tuple[int, np.ndarray, np.ndarray], ...] = ()
    crowd: tuple[float, float] | None = None
    candidates: np.ndarray | None = None

    def record(self, network: TwoLayer) -> dict[str, Any]:
        """What a certificate file holds, for `lawjax check`: it names the network by the digest of its weights.

        The bound in it is larger by some 1e-11 of itself, as the checker counts roundings more simply than the proof.

        Raises:
            UserError: there is no finite bound, or no checkable one.
        """
        psi = activations.get(network.activation)
        form = psi.name == check.FORM and self.domain != "space" and not self.tangential and not np.any(network.b)
        if psi.slope_interval is None and not form:
            raise UserError(
                f"Bounds of {psi.name!r} can be checked apart only where it is {check.FORM}, without biases, on a ball "
                "or sphere: its slopes are unbounded, and other proofs have no weights."
            )
        host = network.astype(network.W.dtype)
        cases = []
        if not form:
            alpha, beta = slope_intervals(network, self.domain, self.radius)
            unknown = np.flatnonzero(alpha != beta)
            cases = [
                {"leader": None if leader < 0 else leader, "neurons": neurons.tolist(), "weights": own.tolist()}
                for leader, neurons, own in self.cases or ((-1, unknown, self.weights[np.append(0, 1 + unknown)]),)
            ]
        statement = {
            "domain": self.domain,
            "radius": self.radius,
            "tangential": self.tangential,
            "cases": cases,
            "crowd": None if self.crowd is None else list(self.crowd),
        }
        bound = least_proved(
            self.bound, lambda bound: check.proves(host.W, host.b, host.a, host.activation, statement, bound)
        )
        name = check.digest((host.W, host.b, host.a, host.c), host.activation)
        return {"kind": check.KIND, "network": name, "bound": bound, **statement}


def least_proved(bound: float, proves: Callable[[float], bool]) -> float:
    """A bound that the checker takes, larger by as little as it asks for: it counts roundings more simply.

    Raises:
        UserError: there is none near.
    """
    tried, more = float(bound), 1e-15
    try:
        while more < 1e-6:
            if proves(tried):
                return tried
            tried, more = float(bound * (1.0 + more)), 4.0 * more
    except OverflowError:  # sizes that are not checked
        pass
    raise UserError("This bound is beyond what float64 can check; rescale the network.")


def certify(network: TwoLayer, domain: str = "space", radius: float = 1.0, tangential: bool = False) -> Certificate:
    """The certificate with the best weights that the relaxation's iteration finds; for polynomial psi see there.

    Args:
        network: one network.
        domain: "space", "ball" or "sphere".
        radius: of the ball or sphere.
        tangential: on the sphere, bound the gradient's part along it.

    Raises:
        UserError: a stack, an unknown domain, a radius that is not positive, `tangential` off the sphere.
    """
    return certify_all([network], domain, radius, tangential)[0]


def certify_all(
    networks: Sequence[TwoLayer],
    domain: str = "space",
    radius: float = 1.0,
    tangential: bool = False,
    wider: Sequence[Certificate] | None = None,
) -> list[Certificate]:
    """Certificates of networks of any sizes.

    Args:
        networks: single ones.
        domain: see `certify`.
        radius: see `certify`.
        tangential: see `certify`.
        wider: certificates of the same networks on a domain that contains this one. They hold here, too, and are the
            best there are where no more is known of the slopes.
    """
    check_domain(domain, radius, tangential)
    for network in networks:
        check_single(network)
    intervals = [slope_intervals(network, domain, radius) for network in networks]
    found: list[Certificate | None] = [None] * len(networks)
    for i, network in enumerate(networks):
        if not np.isfinite(intervals[i]).all():
            upper, points = polynomial_bound(network, domain, radius, tangential)
            uniform = np.full(network.n_neurons + 1, 1.0 / (network.n_neurons + 1))
            found[i] = Certificate(upper, uniform, domain, float(radius), tangential, candidates=points)
        elif wider is not None:
            before = wider[i]
            if np.array_equal(slope_intervals(network, before.domain, before.radius), intervals[i]):
                found[i] = replace(before, domain=domain, radius=float(radius))
    new = [i for i, one in enumerate(found) if one is None]
    prepared = [centred_rows(networks[i], *intervals[i]) for i in new]
    for i, of_one, own in zip(new, prepared, best_weights([rows for rows, _ in prepared]), strict=True):
        found[i] = Certificate(proved_bound(*of_one, own), own, domain, float(radius))
    whole = [one for one in found if one is not None]
    if domain == "space":
        return whole
    by_cases = [_by_cases(*pair, tangential) for pair in zip(networks, whole, strict=True)]
    return [_by_crowds(*pair) for pair in zip(networks, by_cases, strict=True)]


def _by_cases(network: TwoLayer, whole: Certificate, tangential: bool) -> Certificate:
    """The certificate that takes caps case by case, where there are any and it is better."""
    whole = replace(whole, tangential=tangential)
    parts = cases(network, whole.radius)
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
        bound = max(bound, verified.leg(within, part.along) if tangential and part.along > 0 else within)
    if bound >= whole.bound:
        return whole
    leaders = [part.leader for part in parts]
    return replace(whole, bound=bound, cases=tuple(zip(leaders, neurons, weights, strict=True)))


def _by_crowds(network: TwoLayer, before: Certificate) -> Certificate:
    """The certificate that counts how many neurons can be on together, where that is better."""
    if not activations.get(network.activation).has_kink:
        return before
    alpha, beta = slope_intervals(network, before.domain, before.radius)
    unknown = np.flatnonzero(alpha != beta)
    of = quadratic(network, alpha, beta, before.radius)
    if of is None:
        return before
    found = best_crowd(of)
    bound = proved_crowd_bound(of, found)
    if bound >= before.bound:
        return before
    return replace(before, bound=bound, cases=((-1, unknown, found.weights),), crowd=(found.rho, found.kappa))
