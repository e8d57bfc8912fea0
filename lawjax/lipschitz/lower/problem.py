"""One network's search for a witness on one domain: its coordinates, its scales, and what a point is worth there.

A network is first brought into the form in which it is searched (`prepare`): float64, rows of length one, and with
fewer neurons than coordinates in the span of the rows of W, where the sphere's points appear as those of the ball.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Float

from lawjax.domains import Domain, Space, Sphere, ball_of
from lawjax.lipschitz.lower.effort import Search
from lawjax.lipschitz.lower.evaluate import scaled_norms
from lawjax.lipschitz.lower.sign_patterns import preimages, sign_patterns
from lawjax.lipschitz.scale import Scaled
from lawjax.network import TwoLayer
from lawjax.vectors import lengths

_USUAL = Search()
_ORTHONORMAL = 1e-6  # what a basis may lack of it; it only serves the search


class Scored(NamedTuple):
    """Points of a search, with the gradient norms that were found there.

    Attributes:
        points: (m, d).
        norms: (m,), those of `lawjax.lipschitz.lower.evaluate`.
    """

    points: Float[np.ndarray, "m d"]
    norms: Float[np.ndarray, " m"]

    def joined(self, other: Scored) -> Scored:
        """These, then others."""
        return Scored(np.concatenate([self.points, other.points]), np.concatenate([self.norms, other.norms]))

    def best(self, count: int | None = None) -> Scored:
        """In falling order of their norms; the first of them if a count is given."""
        order = np.argsort(-self.norms, kind="stable")[:count]
        return Scored(self.points[order], self.norms[order])

    def without_zero(self) -> Scored:
        """Those that have a direction."""
        counts = self.points.any(1)
        return Scored(self.points[counts], self.norms[counts])


class Searched(NamedTuple):
    """A network as searches on any domain see it.

    Attributes:
        network: of size one, in float64, rows of length one where psi allows it, without neurons that never count.
        basis: (d, m), orthonormal; points of the search are coordinates in it. None for all of R^d.
        preimages: (2 * patterns, m), points that come near good sign patterns: without and with biases.
        is_large: whether it is a matter of time what can be tried.
    """

    network: TwoLayer
    basis: Float[np.ndarray, "d m"] | None
    preimages: Float[np.ndarray, "patterns m"]
    is_large: bool


def prepare(
    network: TwoLayer, weights: Float[np.ndarray, " neurons"], tangential: bool, search: Search = _USUAL
) -> Searched:
    """What searches on all domains share.

    Args:
        network: a single one, of size one (`lawjax.lipschitz.scale`).
        weights: (k + 1,), of its certificate on any domain.
        tangential: whether the gradient's part along a sphere is looked for, so that every coordinate counts.
        search: how hard to look.
    """
    counts = (network.a != 0) & network.W.any(1)
    if not counts.any():
        counts[0] = True
    W, b, a = network.W[counts], network.b[counts], network.a[counts]
    if network.activation.has_kink:
        norms = np.linalg.norm(W, axis=1)
        norms = np.where(norms > 0, norms, 1.0)
        W, b, a = W / norms[:, None], b / norms, a * norms
    basis = None
    if len(W) < W.shape[1] and not tangential:
        W, basis = _narrowed(W, W.size > search.large)
    plain = TwoLayer(W, b, a, 0.0, network.activation)
    patterns = sign_patterns(plain, weights[1:][counts], search.patterns)
    far = 10.0 * float(np.abs(b).max()) + typical_distance(plain)
    with np.errstate(over="ignore", invalid="ignore"):
        points = preimages(W, np.concatenate([patterns, far * patterns - b[:, None]], axis=1))
        squares = (points**2).sum(1, keepdims=True)
    fine = np.isfinite(squares) & (squares > 0)
    return Searched(plain, basis, np.where(fine, points, np.eye(1, W.shape[1])), W.size > search.large)


def typical_distance(network: TwoLayer) -> float:
    """The distance of a typical kink from 0, 1 where they pass through it."""
    norms = np.linalg.norm(network.W, axis=1)
    distances = np.abs(network.b[norms > 0]) / norms[norms > 0]
    return (float(np.median(distances)) if distances.size else 0.0) or 1.0


def bending_distance(network: TwoLayer) -> float:
    """Over which the pre-activation of a typical neuron changes by one."""
    norms = lengths(network.W)
    return 1.0 / (float(np.median(norms[norms > 0])) if norms.any() else 1.0)


def _narrowed(W: np.ndarray, is_large: bool) -> tuple[np.ndarray, np.ndarray]:
    """W = R B' with B (d, k) orthonormal, for k < d: from Cholesky's factor of W W', the quickest, where it serves."""
    if is_large:
        try:
            R = np.linalg.cholesky(W @ W.T)
        except np.linalg.LinAlgError:
            pass
        else:
            basis = scipy.linalg.solve_triangular(R, W, lower=True, check_finite=False).T
            if np.abs((basis**2).sum(0) - 1.0).max() < _ORTHONORMAL:
                return R, basis
    basis = np.linalg.qr(W.T)[0]
    return W @ basis, basis


@dataclass(frozen=True)
class Problem:
    """The search for one network's witness on one domain.

    Attributes:
        one: the network at size one; points and norms are those of this network.
        searched: what the search sees of it.
        domain: where, for the network at size one.
        bound: an upper bound on what can be found.
        ascended: radius of the sphere whose search came before, 0 if none did.
        known: (m, d) points of the domain that the upper bound's proof came upon, if any.
    """

    one: Scaled
    searched: Searched
    domain: Domain
    bound: float
    ascended: float = 0.0
    known: Float[np.ndarray, "m d"] | None = None

    @property
    def network(self) -> TwoLayer:
        """The network in the search's coordinates."""
        return self.searched.network

    @property
    def is_large(self) -> bool:
        """Whether it is a matter of time what can be tried."""
        return self.searched.is_large

    @property
    def search_domain(self) -> Domain:
        """The domain in the search's coordinates: in the span of fewer neurons the sphere is a ball."""
        is_ball = isinstance(self.domain, Sphere) and self.searched.basis is not None
        return ball_of(self.domain) if is_ball else self.domain

    @functools.cached_property
    def typical(self) -> float:
        """Distance of a typical kink from 0, that over which a smooth psi bends if that is more, or the radius."""
        if not isinstance(self.domain, Space):
            return self.domain.radius
        bends = 0.0 if self.network.activation.has_kink else bending_distance(self.network)
        return max(typical_distance(self.network), bends)

    def scored(self, points: Float[np.ndarray, "m d"]) -> Scored:
        """Points of the search with their gradient norms."""
        return Scored(points, scaled_norms(self.network, points, self.search_domain))

    def best(self, found: Scored, measured: int) -> tuple[float, Float[np.ndarray, " D"]]:
        """The largest gradient norm of the network itself at the best of some points, and the point of the domain.

        Args:
            found: points of the search.
            measured: how many of them, the best, are measured on the network itself.
        """
        return self.best_of_domain(self.lifted(found.best(measured).points))

    def best_of_domain(self, points: Float[np.ndarray, "m D"]) -> tuple[float, Float[np.ndarray, " D"]]:
        """The same for points (m, d) of the domain, all of which are measured."""
        norms = scaled_norms(self.one.network, points, self.domain)
        winner = int(norms.argmax())
        return float(norms[winner]), points[winner]

    def lowered(self, points: Float[np.ndarray, "m D"]) -> Float[np.ndarray, "m d"]:
        """Points (m, d) of the domain in the search's coordinates."""
        basis = self.searched.basis
        return points if basis is None else self.search_domain.project(points @ basis)

    def lifted(self, points: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m D"]:
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
