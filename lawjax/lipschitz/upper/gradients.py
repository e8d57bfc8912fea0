"""What every proof asks of a network on a domain: the network at size one, and its slopes there."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lawjax.domains import Domain, Space
from lawjax.lipschitz import verified
from lawjax.lipschitz.scale import Scaled, scaled
from lawjax.lipschitz.upper.slopes import slope_intervals
from lawjax.lipschitz.upper.ties import Tie, tied, ties_of
from lawjax.lipschitz.upper.zonotope import Zonotope, zonotope_of
from lawjax.network import TwoLayer


@dataclass(frozen=True)
class Gradients:
    """Where the gradients of a network on a domain may lie.

    Attributes:
        network: as given.
        domain: in its units.
        one: the network at size one.
        slopes: of that network, the least and the largest of every neuron on the domain.
    """

    network: TwoLayer
    domain: Domain
    one: Scaled
    slopes: Float[np.ndarray, "2 k"]

    @property
    def has_caps(self) -> bool:
        """Whether kinks may cut caps off the sphere."""
        return not isinstance(self.domain, Space) and self.network.activation.has_kink

    @property
    def has_live_neurons(self) -> bool:
        """Whether f may change at all."""
        return bool(((self.one.network.a != 0) & self.one.network.W.any(1)).any())

    @property
    def unknown(self) -> np.ndarray:
        """The neurons whose slope is not known."""
        alpha, beta = self.slopes
        return np.flatnonzero(alpha != beta)

    @functools.cached_property
    def ties(self) -> tuple[Tie, ...]:
        """Neurons of unknown slope that are switched together."""
        alpha, beta = self.slopes
        free = alpha < beta
        return tuple(tie for tie in ties_of(self.one.network) if free[tie[0]] and free[tie[1]])

    @functools.cached_property
    def zonotope(self) -> Zonotope:
        """All gradients, with one generator for neurons that are tied."""
        return tied(zonotope_of(self.one.network, *self.slopes), self.ties)

    def restored(self, bound: float) -> float:
        """A bound on gradients of the network at size one in the units of the network given, rounded upwards."""
        return verified.restored(bound, self.one.gradient_exponent)


def gradients_on(network: TwoLayer, domain: Domain) -> Gradients:
    """What is known of the gradients of a single network on a domain."""
    one = scaled(network)
    slopes = np.stack(slope_intervals(one.network, domain.stretched(one.point_exponent)))
    return Gradients(network, domain, one, slopes)
