"""The search for witnesses: points of a domain where a network's gradient is as large as can be found.

A sphere is part of its ball, and the ball of R^d: the search goes from the narrow domain to the wide one and takes the
best point along, whichever of them was asked for, so that bounds never contradict one another. On each domain, in
order:

1. points near the sign patterns that the certificate's largest directions ask for, points given and the neurons' own
   (`lawjax.lipschitz.lower.starts`);
2. ascents from those and from random points, many networks at a time (`lawjax.lipschitz.lower.ascent_batches`);
3. for smooth psi walks at random and ascents to the end, from the best of all and from others
   (`lawjax.lipschitz.lower.smooth_walks`); else corners of small networks (`lawjax.lipschitz.lower.corners`), and from
   the best of all walks from cell to cell (`lawjax.lipschitz.lower.walks`).

Everything is a lower estimate: what counts in the end is the gradient at the point, in float64.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from lawjax.domains import Space, Sphere
from lawjax.lipschitz.lower.ascent_batches import ascents
from lawjax.lipschitz.lower.corners import are_all_met, corner_points
from lawjax.lipschitz.lower.effort import Search
from lawjax.lipschitz.lower.evaluate import scaled_norms
from lawjax.lipschitz.lower.problem import Problem, Scored
from lawjax.lipschitz.lower.smooth_walks import explored
from lawjax.lipschitz.lower.starts import placed, starting_points
from lawjax.lipschitz.lower.walks import walk
from lawjax.network import TwoLayer

_NEAR_RIM = 1e-11  # angle from the rim of a cell, and share of the gradient lost by it, that are small enough


def witnesses(
    problems: Sequence[Problem],
    search: Search,
    hints: Sequence[Float[np.ndarray, "_ _"]] | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> list[Float[np.ndarray, " _"]]:
    """The best point (d,) found for each problem, in the coordinates of its network of size one.

    Args:
        problems: networks of any shapes, each with a domain.
        search: how hard to look.
        hints: points (m, d) of the domain for each problem that are known to be good.
        tell: is told how many more problems are done.
    """
    candidates = [problem.scored(starting_points(problem, search.first)) for problem in problems]
    found = [problem.best(own, search.measured) for problem, own in zip(problems, candidates, strict=True)]

    def offer(i: int, better: tuple[float, np.ndarray]) -> None:
        found[i] = max(found[i], better, key=operator.itemgetter(0))

    def is_open(i: int) -> bool:
        close = search.close[problems[i].is_large]  # where more search is not worth its time
        return found[i][0] < (1.0 - close) * problems[i].bound

    for i, problem in enumerate(problems):
        given = None if search.points is None else placed(problem, np.asarray(search.points), search.first)
        for points in (given, problem.known, None if hints is None else hints[i]):
            if points is not None and len(points):
                offer(i, problem.best_of_domain(points))
                best = problem.scored(problem.lowered(points)).best(search.first.given)
                candidates[i] = best.joined(candidates[i])
    still = list(filter(is_open, range(len(problems))))
    chosen = [problems[i] for i in still], [candidates[i] for i in still]
    ends = ascents(*chosen, search)
    for i, own in zip(still, ends, strict=True):
        candidates[i] = candidates[i].joined(problems[i].scored(own))
        offer(i, problems[i].best(candidates[i], search.measured))
    last = list(filter(is_open, still))
    tell(len(problems) - len(last))
    for i in last:
        offer(i, problems[i].best(_further(problems[i], candidates[i], search), search.measured))
        tell(1)
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


def _further(problem: Problem, found: Scored, search: Search) -> Scored:
    """What was found and what the last searches find, as far as the network's size allows."""
    psi = problem.network.activation
    if not psi.has_kink:
        grows_without_end = isinstance(problem.search_domain, Space) and psi.slope_interval is None
        return found if grows_without_end else explored(problem, found, search.smooth_walks)
    corners, is_complete = _corners(problem, search)
    for points in corners:  # hundreds of thousands, of which no more are looked at again
        found = found.joined(problem.scored(points).best(max(search.measured, search.walks.most)))
    return _walked(problem, found, search, is_complete=is_complete)


def _corners(problem: Problem, search: Search) -> tuple[list[np.ndarray], bool]:
    """Points near corners, as many as a network of this size is worth, and whether every corner was tried."""
    network, domain, tuning = problem.network, problem.search_domain, search.corners
    k, d = network.W.shape
    count = int(min(tuning.most, tuning.work / (100.0 * k * d * (d + 8.0))))
    if not count or d > tuning.dimension:
        return [], False
    found = [corner_points(network, count, domain, tuning)]
    if isinstance(domain, Space):  # cells that reach to infinity meet in rays there, where biases no longer count
        through_zero = TwoLayer(network.W, 0.0 * network.b, network.a, 0.0, network.activation)
        rays = corner_points(through_zero, count, Sphere(), tuning)
        found += [problem.typical * far * rays for far in tuning.far]
    return found, are_all_met(k, d, count, domain)


def _walked(problem: Problem, found: Scored, search: Search, *, is_complete: bool) -> Scored:
    """With the ends of walks from the best points; few where all corners, and so all cells with one, were seen."""
    tuning = search.walks
    work, affordable = 40.0 * tuning.lines * math.prod(problem.network.W.shape), tuning.work[problem.is_large]
    walks = int(np.clip(affordable / (10.0 * work), 1, tuning.few if is_complete else tuning.most))
    rounds = int(np.clip(affordable / (walks * work), 0, tuning.rounds))
    starts = found.best(walks).points
    return found.joined(problem.scored(walk(problem.network, starts, problem.search_domain, rounds, tuning)))
