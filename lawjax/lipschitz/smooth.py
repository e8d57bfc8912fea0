"""The last steps of the search for smooth psi, whose gradient changes everywhere: walks at random, then L-BFGS.

Maxima are many, and the gradient is flat between the slabs around hyperplanes where neurons are steep: walks find the
slabs, and what is followed from there are the best points of the whole search.
"""

from __future__ import annotations

import numpy as np

from lawjax.lipschitz.evaluate import into
from lawjax.lipschitz.free import polished
from lawjax.lipschitz.problem import Problem
from lawjax.network import TwoLayer

_SAMPLE_WORK = (3e6, 3e5)  # random points, times entries of W, of a small and a large network
_SAMPLES = (10, 5000)  # of them, at least and at most
_WALKERS = 16
_WALK = 40  # steps of each
_RIDGES = 6  # kinds of a step's moves: one free, and the others parallel to some hyperplanes
_FOLLOWED = ((96, 30), (12, 500))  # points, and the iterations of L-BFGS from each of them
_FOLLOW_WORK = 1e9  # iterations from all of them, times entries of W, at most
_SAME = 1e-9  # relative distance of the gradient norms at one point found twice


def _along_ridges(network: TwoLayer, moves: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Moves (walkers, m, d), most of them made parallel to the hyperplanes of some strong neurons.

    A gradient is large where these neurons are steep, in thin slabs around their hyperplanes; a move in any direction
    leaves several such slabs at once.
    """
    strengths = np.abs(network.a) * np.linalg.norm(network.W, axis=1)
    live = np.flatnonzero(strengths > 0)
    most = min(network.dimension - 1, len(live))
    if most < 1:
        return moves
    for part in np.array_split(np.arange(moves.shape[1]), _RIDGES)[1:]:
        size = int(random.integers(1, most + 1))
        chosen = random.choice(live, size, replace=False, p=strengths[live] / strengths[live].sum())
        across, _ = np.linalg.qr(network.W[chosen].T)
        moves[:, part] -= (moves[:, part] @ across) @ across.T
    return moves


def wandered(problem: Problem, points: np.ndarray) -> np.ndarray:
    """For smooth psi: the points, random ones at many scales, and walks at random that start from the best of all."""
    network, typical, domain, radius = problem.network, problem.typical, problem.search_domain, problem.radius
    d = network.dimension
    random = np.random.default_rng(2)
    count = int(np.clip(_SAMPLE_WORK[problem.is_large] / network.W.size, *_SAMPLES))

    def drawn(scales: np.ndarray) -> np.ndarray:
        directions = random.standard_normal((*scales.shape, d))
        return directions * (scales / np.linalg.norm(directions, axis=-1))[..., None]

    points = np.concatenate([points, into(drawn(typical * 10.0 ** random.uniform(-2, 3, count)), domain, radius)])
    walkers = problem.best_first(points)[:_WALKERS]
    for _ in range(_WALK):
        lengths = typical + np.linalg.norm(walkers, axis=1)
        scales = lengths[:, None] * 10.0 ** random.uniform(-4, 0, (len(walkers), count // 100 + 2))
        moves = _along_ridges(network, drawn(scales), random)
        tried = np.concatenate([walkers[:, None], into(walkers[:, None] + moves, domain, radius)], axis=1)
        norms = problem.norms(tried.reshape(-1, d)).reshape(tried.shape[:2])
        walkers = tried[np.arange(len(walkers)), norms.argmax(1)]
    return np.concatenate([points, walkers])


def followed(problem: Problem, points: np.ndarray) -> np.ndarray:
    """The points, and where the best of them lead; the best of these ends are followed to their maxima."""
    network, domain, radius = problem.network, problem.search_domain, problem.radius
    best = points[points.any(1)]
    for count, iterations in _FOLLOWED:
        count = int(np.clip(_FOLLOW_WORK / (iterations * network.W.size), 1, count))
        best = _distinct(problem, best)[:count]
        best = into(polished(network, best, domain, radius, problem.tangential, iterations), domain, radius)
    return np.concatenate([points, best])


def _distinct(problem: Problem, points: np.ndarray) -> np.ndarray:
    """The points in falling order of their gradient norms, each norm once."""
    points = problem.best_first(points)
    norms = problem.norms(points)
    return points[np.append(True, norms[1:] < norms[:-1] * (1.0 - _SAME))[: len(points)]]
