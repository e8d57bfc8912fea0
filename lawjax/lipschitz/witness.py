"""The search for witnesses: points of a domain where a network's gradient is as large as can be found.

In order: points near the sign patterns that the certificate's largest directions ask for (`lawjax.lipschitz.patterns`);
projected gradient ascents from those and from random points, many networks at a time; corners of small networks; and
from the best of all a search from cell to cell. Everything is a lower estimate: what counts in the end is the gradient
at the point, in float64.
"""

from __future__ import annotations

import functools
import math
import operator
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lawjax import activations
from lawjax.errors import UserError
from lawjax.lipschitz.ascent import ascend
from lawjax.lipschitz.certificate import Certificate
from lawjax.lipschitz.climb import LINES, ROUNDS, climb, corner_points, gradient_norms, into
from lawjax.lipschitz.patterns import LARGE, PATTERNS, Searched, typical_distance
from lawjax.lipschitz.relaxation import padded_size
from lawjax.network import TwoLayer

Array = Any

_SPACE_RADII = (4.0, 1000.0, 1.0, 0.3)  # of the ascents in R^d, in units of a typical kink's distance from 0
_BALL_RADII = (1.0, 0.7, 0.3)  # of those in the ball
_ASCENT_WORK = 3e10  # floating-point operations of an ascent, roughly, above which it has fewer starts
_BATCH = 64  # networks whose ascents run side by side on an accelerator
_CLIMB_WORK = (5e8, 5e7)  # operations of all searches from cell to cell of a small and a large network, roughly
_MANY = 16  # of these searches on a small network
_WALKERS = 16  # walks at random for smooth psi
_WALK = 40  # steps of each
_FAR = (10.0, 1e3, 1e5)  # in units of a typical kink's distance from 0
_CORNERS = 3500  # tried on a small network
_CORNER_WORK = 2e9
_CORNER_DIMENSION = 12  # above it a corner has too many cells around it for a few points to meet the good ones
_LIFTED = 16  # of the best points of a search, measured on the network given
_CLOSE = (1e-9, 1e-3)  # relative distance from the upper bound at which a search ends, on a small and a large network


@dataclass(frozen=True, eq=False)
class Search:
    """How hard to look for a witness.

    Attributes:
        starts: of each ascent, besides those from patterns.
        steps: of each ascent.
        points: (m, d), where to look first, such as training data; moved along their rays into the domain.
        key: a JAX key for the random starts; a fixed one unless given.

    Raises:
        UserError: fewer than one start or step; points of another shape, zero, or not finite.
    """

    starts: int = 32
    steps: int = 60
    points: Array | None = None
    key: Array | None = None

    def __post_init__(self) -> None:
        """Check what was given."""
        if min(self.starts, self.steps) < 1:
            raise UserError(f"A search needs at least 1 start and 1 step, not {self.starts} and {self.steps}.")
        if self.points is not None:
            points = np.asarray(self.points, np.float64)
            if points.ndim != 2 or not len(points):
                raise UserError(f"points must have shape (m, d), not {points.shape}.")
            if not (np.isfinite(points).all() and points.any(axis=1).all()):
                raise UserError("points must be finite and not zero: the search needs their directions.")
            object.__setattr__(self, "points", points)


@dataclass(frozen=True)
class _Problem:
    """The search for one network's witness on one domain.

    Attributes:
        given: the network as it was given.
        certificate: of its upper bound there.
        searched: what the search sees of it.
    """

    given: TwoLayer
    certificate: Certificate
    searched: Searched

    @property
    def network(self) -> TwoLayer:
        """The network in the search's coordinates."""
        return self.searched.network

    @property
    def radius(self) -> float | None:
        """Of the ball or sphere, None for all of R^d."""
        return None if self.certificate.domain == "space" else self.certificate.radius

    @property
    def inside(self) -> bool:
        """Whether the ball is searched, and not its sphere."""
        return self.certificate.domain == "ball" or self.searched.basis is not None

    @property
    def tangential(self) -> bool:
        """Whether the gradient's part along the sphere counts."""
        return self.certificate.tangential

    @functools.cached_property
    def typical(self) -> float:
        """Distance of a typical kink from 0, or the radius."""
        return typical_distance(self.network) if self.radius is None else self.radius

    @property
    def is_large(self) -> bool:
        """Whether it is a matter of time what can be tried."""
        return self.network.W.size > LARGE

    @property
    def radii(self) -> list[float]:
        """Of the ascents' spheres, each of which has starts of its own."""
        shares = _SPACE_RADII if self.radius is None else _BALL_RADII if self.inside else (1.0,)
        return [self.typical * share for share in shares[: 1 if self.is_large else None]]

    @property
    def climb_work(self) -> float:
        """Floating-point operations for its searches."""
        return _CLIMB_WORK[self.is_large]

    def is_close(self, lower: float) -> bool:
        """Whether more search is not worth its time."""
        return lower >= (1.0 - _CLOSE[self.is_large]) * self.certificate.bound

    def norms(self, points: np.ndarray) -> np.ndarray:
        """The gradient norms (m,) at points of the search."""
        return gradient_norms(self.network, points, self.tangential)

    def best_first(self, points: np.ndarray) -> np.ndarray:
        """Points of the search in falling order of their gradient norms."""
        return points[np.argsort(-self.norms(points), kind="stable")]

    def best(self, points: np.ndarray) -> tuple[float, np.ndarray]:
        """The largest gradient norm of the network given at points of the search, and where, in its own coordinates."""
        return self.best_of_domain(self.lifted(self.best_first(points)[:_LIFTED]))

    def best_of_domain(self, points: np.ndarray) -> tuple[float, np.ndarray]:
        """The same for points (m, d) of the domain."""
        norms = gradient_norms(self.given, points, self.tangential)
        winner = int(norms.argmax())
        return float(norms[winner]), points[winner]

    def lifted(self, points: np.ndarray) -> np.ndarray:
        """Points (m, d) of the domain for points of the search; the ball and the sphere are not left by rounding."""
        basis = self.searched.basis
        if basis is not None:
            lifted = points @ basis.T
            if self.certificate.domain == "sphere":
                outward = np.random.default_rng(0).standard_normal(len(basis))
                for _ in range(2):  # once more for what rounding left
                    outward -= basis @ (basis.T @ outward)
                outward /= np.linalg.norm(outward)
                rest = np.sqrt(np.maximum(self.typical**2 - (lifted**2).sum(1, keepdims=True), 0.0))
                lifted = lifted + rest * outward
            points = lifted
        if self.radius is None:
            return points
        norms = np.linalg.norm(points, axis=1, keepdims=True)
        return points * np.minimum(1.0, self.radius / np.where(norms > 0, norms, 1.0))


def witnesses(
    networks: Sequence[TwoLayer],
    searched: Sequence[Searched],
    certificates: Sequence[Certificate],
    search: Search,
    hints: Sequence[np.ndarray] | None = None,
) -> list[np.ndarray]:
    """The best point (d,) found for each network on the domain of its certificate.

    Args:
        networks: single ones, of any shapes.
        searched: what `lawjax.lipschitz.patterns.prepare` made of them.
        certificates: of the same networks.
        search: how hard to look.
        hints: a point of the domain for each network that is known to be good.
    """
    problems = [_Problem(*each) for each in zip(networks, certificates, searched, strict=True)]
    candidates = [_starting_points(problem, search.points) for problem in problems]
    found = [problem.best(points) for problem, points in zip(problems, candidates, strict=True)]

    def offer(i: int, better: tuple[float, np.ndarray]) -> None:
        found[i] = max(found[i], better, key=operator.itemgetter(0))

    def is_open(i: int) -> bool:
        return not problems[i].is_close(found[i][0])

    for i, problem in enumerate(problems):
        known = problem.certificate.candidates if hints is None else hints[i][None]
        if known is not None:
            offer(i, problem.best_of_domain(known))
    still = list(filter(is_open, range(len(problems))))
    if hints is not None:  # a hint stands for an ascent where these take long
        still = [i for i in still if not problems[i].is_large]
    ends = _ascents([problems[i] for i in still], [candidates[i] for i in still], search)
    for i, own in zip(still, ends, strict=True):
        candidates[i] = np.concatenate([candidates[i], own])
        offer(i, problems[i].best(candidates[i]))
    for i in filter(is_open, still):
        offer(i, problems[i].best(_further(problems[i], candidates[i])))
    return [
        _to_the_rim(problem, point) if problem.tangential else point
        for problem, (_, point) in zip(problems, found, strict=True)
    ]


def _to_the_rim(problem: _Problem, point: np.ndarray) -> np.ndarray:
    """The best point of the great circle through the gradient: in a cell the part along the sphere still grows."""
    radius = np.linalg.norm(point)
    towards = problem.given.astype(np.float64).gradient(point)
    towards = towards - (towards @ (point / radius)) * (point / radius)
    size = np.linalg.norm(towards)
    if not 0 < size < np.inf:
        return point
    towards = towards * (radius / size)
    angle, reach = 0.0, 0.5 * math.pi
    while reach > 1e-9:
        angles = np.append(angle, angle + reach * np.linspace(-1.0, 1.0, 201))
        circle = np.multiply.outer(np.cos(angles), point) + np.multiply.outer(np.sin(angles), towards)
        circle *= np.minimum(1.0, radius / np.linalg.norm(circle, axis=1, keepdims=True))
        best = int(gradient_norms(problem.given, circle, True).argmax())
        angle, reach = float(angles[best]), reach / 50.0
    return circle[best]


def _starting_points(problem: _Problem, given: np.ndarray | None) -> np.ndarray:
    """(m, d) points of the domain: the best of those given, then along the preimages of patterns, then near these."""
    preimages = problem.searched.preimages
    along, with_biases = np.split(preimages / np.linalg.norm(preimages, axis=1, keepdims=True), 2)
    near = preimages[len(along) :]
    if problem.radius is None:
        points = [1000.0 * problem.typical * along, near]
    else:
        within = into(near, problem.radius, problem.inside)
        points = [problem.radius * along, problem.radius * with_biases, within]
    if given is not None:
        points.insert(0, _best_given(problem, given))
    return np.concatenate(points)


def _best_given(problem: _Problem, points: np.ndarray) -> np.ndarray:
    """The best of the points given, moved into the domain, in the search's coordinates; half as many as patterns."""
    if points.shape[1] != problem.given.dimension:
        raise UserError(f"points must have the networks' dimension {problem.given.dimension}, not {points.shape[1]}.")
    basis = problem.searched.basis
    points = points if basis is None else points @ basis
    moved = into(points[points.any(1)], problem.radius, problem.inside)
    return problem.best_first(moved)[: PATTERNS // 2]


def _ascents(problems: Sequence[_Problem], candidates: Sequence[np.ndarray], search: Search) -> list[np.ndarray]:
    """The ends (m, d) of each problem's ascents; problems of like size run padded, and side by side off the CPU."""
    key = jax.random.key(0, impl="threefry2x32") if search.key is None else search.key
    groups: dict[tuple[int, int, int, bool, str, bool], list[int]] = defaultdict(list)
    for i, problem in enumerate(problems):
        psi = problem.network.activation
        groups[
            *padded_size(*problem.network.W.shape), len(problem.radii), problem.is_large, psi, problem.tangential
        ].append(i)
    ends: list[np.ndarray] = [np.zeros(0)] * len(problems)
    batch = 1 if jax.default_backend() == "cpu" else _BATCH
    for (k, d, _, is_large, _, tangential), everyone in groups.items():
        starts = int(
            np.clip(_ASCENT_WORK / (10.0 * k * d * search.steps) - PATTERNS, min(4, search.starts), search.starts)
        )
        for first in range(0, len(everyone), batch):
            members = everyone[first : first + batch]
            padded = members + members[:1] * (batch - len(members))
            dtype = np.float32 if is_large else np.float64
            with jax.enable_x64(True):
                stack = jax.tree.map(
                    lambda *leaves: jnp.asarray(np.stack(leaves)),
                    *[problems[i].network.padded(k, d).astype(dtype) for i in padded],
                )
                others = np.stack([_padded_directions(candidates[i], d) for i in padded]).astype(dtype)
                own = np.array([problems[i].network.dimension for i in padded], dtype)
                found = []
                for number, radii in enumerate(zip(*(problems[i].radii for i in padded), strict=True)):
                    arguments = (stack, others, own, np.array(radii, dtype))
                    random = jax.random.fold_in(key, number)
                    found.append(_stacked_ascents(arguments, random, starts, search.steps, tangential, batch > 1))
                points = np.stack([np.asarray(witness) for witness in found], axis=1)
            for place, i in enumerate(members):
                ends[i] = points[place, :, : problems[i].network.dimension].astype(np.float64)
    return ends


@functools.partial(jax.jit, static_argnames=("n_starts", "steps", "tangential", "side_by_side"))
def _stacked_ascents(
    stacked: tuple[TwoLayer, Array, Array, Array],
    key: Array,
    n_starts: int,
    steps: int,
    tangential: bool,
    side_by_side: bool,
) -> Array:
    def of_one(arguments: tuple[TwoLayer, Array, Array, Array]) -> Array:
        network, directions, dimension, radius = arguments
        return ascend(network, key, n_starts, steps, tangential, dimension, directions, radius).witness

    return jax.vmap(of_one)(stacked) if side_by_side else jax.lax.map(of_one, stacked)


def _padded_directions(points: np.ndarray, dimension: int) -> np.ndarray:
    directions = points[np.arange(PATTERNS) % len(points)]
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return np.pad(directions, [(0, 0), (0, dimension - points.shape[1])])


def _further(problem: _Problem, points: np.ndarray) -> np.ndarray:
    """Points from corners, rays, random walks and the search from cell to cell, as far as the network's size allows."""
    network, typical, radius, inside = problem.network, problem.typical, problem.radius, problem.inside
    k, d = network.W.shape
    corners = int(min(_CORNERS, _CORNER_WORK / (100.0 * k * d * (d + 8.0))))
    if corners and d <= _CORNER_DIMENSION:
        points = np.concatenate([points, corner_points(network, corners, radius, inside)])
        if radius is None:  # cells that reach to infinity meet in rays there, where biases no longer count
            through_zero = TwoLayer(network.W, 0.0 * network.b, network.a, 0.0, network.activation)
            rays = corner_points(through_zero, corners, 1.0)
            points = np.concatenate([points, *(typical * far * rays for far in _FAR)])
    if not activations.get(network.activation).has_kink:
        return _wander(problem, points)
    work = 40.0 * LINES * k * d
    searches = int(np.clip(problem.climb_work / (10.0 * work), 1, _MANY))
    rounds = int(np.clip(problem.climb_work / (searches * work), 0, ROUNDS))
    starts = problem.best_first(points)[:searches]
    return np.concatenate([points, climb(network, starts, radius, inside, problem.tangential, rounds)])


def _wander(problem: _Problem, points: np.ndarray) -> np.ndarray:
    """For smooth psi: the points, random ones at many scales, and walks at random that start from the best of all."""
    network, typical, radius, inside = problem.network, problem.typical, problem.radius, problem.inside
    d = network.dimension
    random = np.random.default_rng(2)
    count = int(np.clip(problem.climb_work / (100.0 * network.W.size), 10, 5000))

    def drawn(scales: np.ndarray) -> np.ndarray:
        directions = random.standard_normal((*scales.shape, d))
        return directions * (scales / np.linalg.norm(directions, axis=-1))[..., None]

    points = np.concatenate([points, into(drawn(typical * 10.0 ** random.uniform(-2, 3, count)), radius, inside)])
    walkers = problem.best_first(points)[:_WALKERS]
    for _ in range(_WALK):
        lengths = typical + np.linalg.norm(walkers, axis=1)
        scales = lengths[:, None] * 10.0 ** random.uniform(-4, 0, (len(walkers), count // 100 + 2))
        tried = np.concatenate([walkers[:, None], into(walkers[:, None] + drawn(scales), radius, inside)], axis=1)
        norms = problem.norms(tried.reshape(-1, d)).reshape(tried.shape[:2])
        walkers = tried[np.arange(len(walkers)), norms.argmax(1)]
    return np.concatenate([points, walkers])
