"""The search for witnesses: points of a domain where a network's gradient is as large as can be found.

A sphere is part of its ball, and the ball of R^d: the search goes from the narrow domain to the wide one and takes the
best point along, whichever of them was asked for, so that bounds never contradict one another. On each domain, in
order: points near the sign patterns that the certificate's largest directions ask for, points given and neurons' own
(`lawjax.lipschitz.lower.starts`); ascents from those and from random points, many networks at a time
(`lawjax.lipschitz.lower.ascents`). Then for smooth psi walks at random and ascents to the end, from the best of all and
from others (`lawjax.lipschitz.lower.smooth`); else corners of small networks, and from the best of all a search from
cell to cell.
Everything is a lower estimate: what counts in the end is the gradient at the point, in float64.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lawjax import arguments
from lawjax.domains import Space, Sphere
from lawjax.errors import UserError
from lawjax.lipschitz.lower.ascents import ascents
from lawjax.lipschitz.lower.evaluate import scaled_norms
from lawjax.lipschitz.lower.problem import Problem
from lawjax.lipschitz.lower.smooth import explored
from lawjax.lipschitz.lower.starts import placed, starting_points
from lawjax.lipschitz.lower.walks import LINES, ROUNDS, climb, corner_points
from lawjax.network import TwoLayer

Array = Any

_OF_GIVEN = 8  # of the points given from which ascents start
_CLIMB_WORK = (3e8, 3e7)  # operations of all searches from cell to cell of a small and a large network, roughly
_MANY = 16  # of these searches on a small network
_FEW = 2  # and on one of which all corners were tried
_NEAR_RIM = 1e-11  # angle from the rim of a cell, and share of the gradient lost by it, that are small enough
_FAR = (10.0, 1e3, 1e5)  # in units of a typical kink's distance from 0
_CORNERS = 3500  # tried on a small network
_CORNER_WORK = 2e9
_CORNER_DIMENSION = 12  # above it a corner has too many cells around it for a few points to meet the good ones


@dataclass(frozen=True, eq=False)
class Search:
    """How hard to look for a witness.

    Attributes:
        starts: of each ascent, besides those from patterns.
        steps: of each ascent.
        points: (m, d), where to look first, such as training data; moved along their rays into the domain. What is
            found is at least what they attain, and on R^d and the ball as steep as f between any two of the first 500.
        key: a JAX key for the random starts; a fixed one unless given.

    Raises:
        UserError: fewer than one start or step; points of another shape, no numbers, zero, or not finite.
    """

    starts: int = 32
    steps: int = 60
    points: Array | None = None
    key: Array | None = None

    def __post_init__(self) -> None:
        """Check what was given."""
        for name in ("starts", "steps"):
            arguments.whole(name, getattr(self, name))
        if self.key is not None:
            arguments.key(self.key)
        if self.points is not None:
            object.__setattr__(self, "points", _checked_points(self.points))


def _checked_points(given: Array) -> np.ndarray:
    points = arguments.numbers("points", given, (None, None))
    if not (points.size and points.any(axis=1).all()):
        raise UserError("points must be at least one, and not zero: the search needs their directions.")
    return points


def witnesses(
    problems: Sequence[Problem], search: Search, hints: Sequence[np.ndarray] | None = None
) -> list[np.ndarray]:
    """The best point (d,) found for each problem, in the coordinates of its network of size one.

    Args:
        problems: networks of any shapes, each with a domain.
        search: how hard to look.
        hints: points (m, d) of the domain for each problem that are known to be good.
    """
    candidates = [starting_points(problem) for problem in problems]
    found = [problem.best(points) for problem, points in zip(problems, candidates, strict=True)]

    def offer(i: int, better: tuple[float, np.ndarray]) -> None:
        found[i] = max(found[i], better, key=operator.itemgetter(0))

    def is_open(i: int) -> bool:
        return not problems[i].is_close(found[i][0])

    for i, problem in enumerate(problems):
        given = None if search.points is None else placed(problem, search.points)
        for points in (given, problem.known, None if hints is None else hints[i]):
            if points is not None and len(points):
                offer(i, problem.best_of_domain(points))
                best = problem.best_first(problem.lowered(points))[:_OF_GIVEN]
                candidates[i] = np.concatenate([best, candidates[i]])
    still = list(filter(is_open, range(len(problems))))
    chosen = [problems[i] for i in still], [candidates[i] for i in still]
    ends = ascents(*chosen, search.starts, search.steps, search.key)
    for i, own in zip(still, ends, strict=True):
        candidates[i] = np.concatenate([candidates[i], own])
        offer(i, problems[i].best(candidates[i]))
    for i in filter(is_open, still):
        offer(i, problems[i].best(_further(problems[i], candidates[i])))
    return [
        _to_the_rim(problem, point) if problem.domain.tangential else point
        for problem, (_, point) in zip(problems, found, strict=True)
    ]


def _to_the_rim(problem: Problem, point: np.ndarray) -> np.ndarray:
    """The best point of the great circle through the gradient: in a cell the part along the sphere still grows."""
    sphere = problem.domain
    radius = sphere.radius
    towards = problem.one.network.gradient(point)
    towards = towards - (towards @ (point / radius)) * (point / radius)
    size = np.linalg.norm(towards)
    if not 0 < size < np.inf:
        return point
    towards = towards * (radius / size)
    angle, reach = 0.0, 0.5 * np.pi
    while reach > _NEAR_RIM:
        angles = np.append(angle, angle + reach * np.linspace(-1.0, 1.0, 201))
        circle = np.multiply.outer(np.cos(angles), point) + np.multiply.outer(np.sin(angles), towards)
        circle = sphere.project(circle)
        norms = scaled_norms(problem.one.network, circle, sphere)
        angle, reach = float(angles[norms.argmax()]), reach / 50.0
    best = np.flatnonzero(norms >= norms.max() * (1.0 - _NEAR_RIM))  # in the middle of the best, float64 is sure
    return np.asarray(circle[best[len(best) // 2]])


def _further(problem: Problem, points: np.ndarray) -> np.ndarray:
    """The points and those of the last searches, as far as the network's size allows."""
    network, typical, domain = problem.network, problem.typical, problem.search_domain
    k, d = network.W.shape
    psi = network.activation
    if not psi.has_kink:
        grows_without_end = isinstance(domain, Space) and psi.slope_interval is None
        return points if grows_without_end else explored(problem, points)
    corners = int(min(_CORNERS, _CORNER_WORK / (100.0 * k * d * (d + 8.0))))
    if corners and d <= _CORNER_DIMENSION:
        points = np.concatenate([points, corner_points(network, corners, domain)])
        if isinstance(domain, Space):  # cells that reach to infinity meet in rays there, where biases no longer count
            through_zero = TwoLayer(network.W, 0.0 * network.b, network.a, 0.0, network.activation)
            rays = corner_points(through_zero, corners, Sphere())
            points = np.concatenate([points, *(typical * far * rays for far in _FAR)])
    work = 40.0 * LINES * k * d
    climb_work = _CLIMB_WORK[problem.is_large]
    is_complete = corners >= math.comb(k, min(d, k)) and d <= _CORNER_DIMENSION  # every cell with a corner was seen
    searches = int(np.clip(climb_work / (10.0 * work), 1, _FEW if is_complete else _MANY))
    rounds = int(np.clip(climb_work / (searches * work), 0, ROUNDS))
    starts = problem.best_first(points)[:searches]
    return np.concatenate([points, climb(network, starts, domain, rounds)])
