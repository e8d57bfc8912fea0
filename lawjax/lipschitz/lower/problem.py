"""One network's search for a witness on one domain: its coordinates, its scales, and what a point is worth there."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from lawjax.domains import Domain, Space, Sphere, ball_of
from lawjax.lipschitz.lower.evaluate import scaled_norms
from lawjax.lipschitz.lower.patterns import LARGE, Searched, typical_distance
from lawjax.lipschitz.scale import Scaled
from lawjax.network import TwoLayer
from lawjax.vectors import lengths

_LIFTED = 16  # of the best points of a search, measured on the network given
_CLOSE = (1e-9, 1e-3)  # relative distance from the upper bound at which a search ends, on a small and a large network


@dataclass(frozen=True)
class Problem:
    """The search for one network's witness on one domain.

    Attributes:
        one: the network at size one; points and norms are in its units.
        searched: what the search sees of it.
        domain: where, in units of the network at size one.
        bound: an upper bound on what can be found.
        ascended: radius of the sphere whose search came before, 0 if none did.
        known: (m, d) points of the domain that the upper bound's proof came upon, if any.
    """

    one: Scaled
    searched: Searched
    domain: Domain
    bound: float
    ascended: float = 0.0
    known: np.ndarray | None = None

    @property
    def network(self) -> TwoLayer:
        """The network in the search's coordinates."""
        return self.searched.network

    @property
    def search_domain(self) -> Domain:
        """The domain in the search's coordinates: in the span of fewer neurons the sphere is a ball."""
        is_ball = isinstance(self.domain, Sphere) and self.searched.basis is not None
        return ball_of(self.domain) if is_ball else self.domain

    @functools.cached_property
    def typical(self) -> float:
        """Distance of a typical kink from 0, or the radius."""
        return typical_distance(self.network) if isinstance(self.domain, Space) else self.domain.radius

    @property
    def is_large(self) -> bool:
        """Whether it is a matter of time what can be tried."""
        return self.network.W.size > LARGE

    def is_close(self, lower: float) -> bool:
        """Whether more search is not worth its time."""
        return lower >= (1.0 - _CLOSE[self.is_large]) * self.bound

    def norms(self, points: np.ndarray) -> np.ndarray:
        """The gradient norms (m,) at points of the search."""
        return scaled_norms(self.network, points, self.search_domain)

    def best_first(self, points: np.ndarray) -> np.ndarray:
        """Points of the search in falling order of their gradient norms."""
        return points[np.argsort(-self.norms(points), kind="stable")]

    def best(self, points: np.ndarray) -> tuple[float, np.ndarray]:
        """The largest gradient norm of the network itself at points of the search, and the point of the domain."""
        return self.best_of_domain(self.lifted(self.best_first(points)[:_LIFTED]))

    def best_of_domain(self, points: np.ndarray) -> tuple[float, np.ndarray]:
        """The same for points (m, d) of the domain."""
        norms = scaled_norms(self.one.network, points, self.domain)
        winner = int(norms.argmax())
        return float(norms[winner]), points[winner]

    def lowered(self, points: np.ndarray) -> np.ndarray:
        """Points (m, d) of the domain in the search's coordinates."""
        basis = self.searched.basis
        return points if basis is None else self.search_domain.project(points @ basis)

    def lifted(self, points: np.ndarray) -> np.ndarray:
        """Points (m, d) of the domain for points of the search; the ball and the sphere are not left by rounding."""
        basis, radius = self.searched.basis, self.domain.radius
        if basis is not None:
            lifted = points @ basis.T
            if isinstance(self.domain, Sphere):
                outward = np.random.default_rng(0).standard_normal(len(basis))
                for _ in range(2):  # once more for what rounding left
                    outward -= basis @ (basis.T @ outward)
                outward /= np.linalg.norm(outward)
                sizes = np.minimum(lengths(lifted)[:, None], radius)
                lifted = lifted + np.sqrt((radius - sizes) * (radius + sizes)) * outward
            points = lifted
        return self.domain.project(points)
