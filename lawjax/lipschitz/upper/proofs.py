"""Proofs of upper bounds: what makes each kind true, and what a certificate file records of it.

Lip(f) <= bound on the domain is a theorem about the float weights of f; the kinds differ in what proves it. Each has
its section in docs/certificates.md.

>>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
>>> proof = SlopeProof(12.0, Space(), weights=np.array([0.5, 0.25, 0.25]))
>>> proof.record(f)["proof"]
{'by': 'slopes', 'neurons': [0, 1], 'weights': [0.5, 0.25, 0.25], 'ties': [], 'thin': []}
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from lawjax import check
from lawjax.domains import Domain, Space, in_words
from lawjax.errors import UserError
from lawjax.lipschitz.upper.assumed import assumed
from lawjax.lipschitz.upper.gradients import gradients_on
from lawjax.lipschitz.upper.products import path_product
from lawjax.lipschitz.upper.ties import Tie
from lawjax.network import TwoLayer


@dataclass(frozen=True)
class Proof:
    """Why Lip(f) <= bound on a domain.

    Attributes:
        bound: rounded upwards; infinite where nothing is known.
        domain: where.
    """

    bound: float
    domain: Domain
    by: ClassVar[str]

    def record(self, network: TwoLayer) -> dict[str, Any]:
        """What a certificate file holds, for `lawjax check`: it names the network by the digest of its weights.

        For an activation of one's own it also holds what of it the proof assumes (`lawjax.lipschitz.upper.assumed`).
        The bound in it is larger by some 1e-11 of itself, as the checker counts roundings more simply than the proof.

        Raises:
            UserError: there is no finite bound, or no checkable one.
        """
        psi = network.activation
        host = jax.tree.map(np.asarray, network)
        statement = {**in_words(self.domain), "proof": {"by": self.by, **self._statement(network)}}
        of_own_activation = assumed(network, self.domain)
        if of_own_activation is not None:
            statement["assumed"] = of_own_activation
        stated = check.statement_of(statement)
        bound = least_proved(
            self.bound,
            lambda bound: check.proves(host.W, host.b, host.a, psi.name, stated, bound),
            path_product(network) if psi.slope_interval is not None else 0.0,
        )
        name = check.digest((host.W, host.b, host.a, host.c), psi.name)
        return {"kind": check.KIND, "network": name, "bound": bound, **statement}

    def _statement(self, network: TwoLayer) -> dict[str, Any]:
        """What the file says of the proof besides its kind."""
        raise NotImplementedError


@dataclass(frozen=True)
class SlopeProof(Proof):
    """All gradients lie in a zonotope, for which weights prove the bound.

    Attributes:
        weights: lambda_0 for the constant part, then one for each neuron, none negative. A neuron of weight 0 is added
            by its length.
        ties: neurons that are switched together with another one, whose generators the proof adds up
            (`lawjax.lipschitz.upper.ties`): neuron, the other one, and the sign; their own weights are not used.
        thin: neurons of thin caps that the proof adds by their part along the sphere (`lawjax.lipschitz.upper.caps`).
    """

    weights: Float[np.ndarray, " vectors"]
    ties: tuple[Tie, ...] = ()
    thin: tuple[int, ...] = ()
    by: ClassVar[str] = "slopes"

    def _statement(self, network: TwoLayer) -> dict[str, Any]:
        beside = [*self.thin, *(neuron for neuron, _, _ in self.ties)]
        neurons = np.setdiff1d(gradients_on(network, self.domain).unknown, beside)
        return {
            "neurons": neurons.tolist(),
            "weights": self.weights[np.append(0, 1 + neurons)].tolist(),
            "ties": [list(tie) for tie in self.ties],
            "thin": list(self.thin),
        }


class OnePart(NamedTuple):
    """The zonotope of one part of the sphere, and its weights.

    Attributes:
        leader: the neuron in whose cap the part lies, None for the points in no leader's cap.
        neurons: those whose slope is not known there.
        weights: for the constant part and for them.
    """

    leader: int | None
    neurons: Int[np.ndarray, " m"]
    weights: Float[np.ndarray, " vectors"]


@dataclass(frozen=True)
class DisjointCaps(Proof):
    """Caps that are apart divide the sphere; weights prove the bound in each part (`lawjax.lipschitz.upper.caps`).

    Attributes:
        parts: in order; a part leaves out the caps of the leaders before it.
    """

    parts: tuple[OnePart, ...]
    by: ClassVar[str] = "disjoint caps"

    def _statement(self, network: TwoLayer) -> dict[str, Any]:
        return {
            "parts": [
                {"leader": leader, "neurons": neurons.tolist(), "weights": weights.tolist()}
                for leader, neurons, weights in self.parts
            ]
        }


@dataclass(frozen=True)
class OverlappingCaps(Proof):
    """Only so many caps overlap at a point (`lawjax.lipschitz.upper.overlaps`).

    Attributes:
        neurons: whose slope is not known.
        weights: for the constant part and for them.
        rho: multiplier of the norm, in units of (2^exponent)^2.
        kappa: of the pull.
        exponent: of the unit of gradients in which rho was found.
    """

    neurons: Int[np.ndarray, " m"]
    weights: Float[np.ndarray, " vectors"]
    rho: float
    kappa: float
    exponent: int = 0
    by: ClassVar[str] = "overlapping caps"

    def _statement(self, network: TwoLayer) -> dict[str, Any]:
        try:
            rho = math.ldexp(self.rho, 2 * self.exponent)
        except OverflowError:
            rho = math.inf
        return {
            "neurons": self.neurons.tolist(),
            "weights": self.weights.tolist(),
            "rho": rho,
            "kappa": self.kappa,
        }


@dataclass(frozen=True)
class CellProof(Proof):
    """The steepest of all cells, for at most two coordinates (`lawjax.lipschitz.lower.cells`).

    Attributes:
        lower: the truth rounded downwards, as the bound is upwards.
        witness: a point of the steepest cell, or next to it where no float lies in it.
    """

    lower: float
    witness: Float[np.ndarray, " d"]
    by: ClassVar[str] = "cells"

    def _statement(self, network: TwoLayer) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class FormProof(Proof):
    """The norms of a polynomial's symmetric forms (`lawjax.lipschitz.upper.polynomial`); on R^d most have no bound.

    Attributes:
        points: of the domain, where the gradient may be largest; None on R^d.
    """

    points: Float[np.ndarray, "m d"] | None = None
    by: ClassVar[str] = "form"

    def record(self, network: TwoLayer) -> dict[str, Any]:
        """As for every proof, for quadratic forms without biases on the ball and on the sphere."""
        is_whole = not isinstance(self.domain, Space) and not self.domain.tangential
        if network.activation.name != check.FORM or not is_whole or np.any(network.b):
            raise UserError(
                f"Bounds of {network.activation.name!r} can be checked apart only where it is {check.FORM}, without "
                "biases, on a ball or sphere: its slopes are unbounded, and other proofs have no weights."
            )
        return super().record(network)

    def _statement(self, network: TwoLayer) -> dict[str, Any]:
        return {}


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
