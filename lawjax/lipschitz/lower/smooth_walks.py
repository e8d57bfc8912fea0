"""The last steps of the search for smooth psi, whose gradient changes everywhere: walks at random and L-BFGS.

Maxima are many, and the gradient is flat between the slabs around hyperplanes where neurons are steep: walks go from
slab to slab, and what is followed from there are the best points of the whole search.
"""

from __future__ import annotations

import numpy as np

from lawjax.lipschitz.lower.effort import SmoothWalks
from lawjax.lipschitz.lower.problem import Problem, Scored
from lawjax.lipschitz.lower.smooth_ascent import log_norms, polished
from lawjax.network import TwoLayer
from lawjax.vectors import lengths

_FARTHEST = 1e100  # that a move may lead
_SURE = 1e-6  # rounding of a pre-activation beyond which points are not tried
_EPS = float(np.finfo(np.float64).eps)
_SAME = 1e-9  # relative distance of the gradient norms at one point found twice


def explored(problem: Problem, found: Scored, tuning: SmoothWalks) -> Scored:
    """With random points at many scales, and where walks and ascents lead from the best of all, several times."""
    random = np.random.default_rng(2)
    count = int(np.clip(tuning.sample_work[problem.is_large] / problem.network.W.size, *tuning.samples))
    scales = problem.typical * 10.0 ** random.uniform(-2, 3, count)
    drawn = _drawn(scales, problem.network.dimension, random)
    found = found.joined(problem.scored(problem.search_domain.project(drawn)))
    for _ in range(tuning.rounds):
        found = found.joined(problem.scored(_walked(problem, found, tuning, random)))
        found = found.joined(problem.scored(_polished(problem, found, tuning.followed, tuning.follow_work)))
    return found.joined(problem.scored(_polished(problem, found, tuning.to_the_end, tuning.follow_work)))


def _walked(problem: Problem, found: Scored, tuning: SmoothWalks, random: np.random.Generator) -> np.ndarray:
    """The ends of walks, half of which start from the best points, and half from others, be they good or bad."""
    network, domain = problem.network, problem.search_domain
    moves = tuning.work / (4.0 * network.W.size * tuning.steps)  # of all walkers in one step
    count = int(np.clip(moves / tuning.fewest_moves, 1, tuning.walkers))
    points = _distinct(found)
    others = np.linspace(count // 2, max(len(points) - 1, count // 2), count - count // 2).astype(int)
    walkers = points[np.minimum(np.append(np.arange(count // 2), others), len(points) - 1)]
    farthest = _SURE / (_EPS * network.dimension * max(float(lengths(network.W).max()), 1e-200))  # or all are 0
    for _ in range(tuning.steps):
        reach = problem.typical + lengths(walkers)
        scales = reach[:, None] * 10.0 ** random.uniform(-4, 0, (count, tuning.free))
        free = _drawn(scales, network.dimension, random)
        tried = np.concatenate([free, _crossing(network, walkers, int(moves / count), tuning, random)], axis=1)
        tried = domain.project(walkers[:, None] + tried)
        too_far = lengths(tried.reshape(-1, network.dimension)).reshape(tried.shape[:2]) > farthest
        tried = np.where(too_far[..., None], walkers[:, None], tried)
        ends = np.concatenate([walkers[:, None], tried], axis=1)
        norms = log_norms(network, ends.reshape(-1, network.dimension), domain).reshape(ends.shape[:2])
        walkers = ends[np.arange(count), np.where(np.isfinite(norms), norms, -np.inf).argmax(1)]
    return walkers


def _drawn(scales: np.ndarray, dimension: int, random: np.random.Generator) -> np.ndarray:
    """Vectors of these lengths in random directions."""
    directions = random.standard_normal((*scales.shape, dimension))
    return directions * (scales / np.linalg.norm(directions, axis=-1))[..., None]


def _crossing(
    network: TwoLayer, walkers: np.ndarray, count: int, tuning: SmoothWalks, random: np.random.Generator
) -> np.ndarray:
    """Moves (walkers, about count, d) to where other neurons are steep, past hyperplanes of those steep now.

    A gradient is large where many neurons are steep, in thin slabs around their hyperplanes. Along a line parallel to
    the hyperplanes of some of these, drawn by how much they give to the gradient, the others are met one by one.
    """
    W, a, (k, d) = network.W, network.a, network.W.shape
    met = random.permutation(k)[: max(1, count)]
    shape = len(walkers), int(np.clip(count // len(met), 1, tuning.lines))
    pre_activations = walkers @ W.T + network.b
    with np.errstate(divide="ignore", over="ignore"):
        share = np.abs(network.activation.slope(pre_activations) * a) * lengths(W)
        rank = np.log(share)[:, None] + random.gumbel(size=(*shape, k))
    kept = np.argsort(-rank, axis=-1)[:, :, : int(random.integers(0, min(d, k, tuning.kept)))]
    across, _ = np.linalg.qr(np.swapaxes(W[kept], -1, -2))
    lines = random.standard_normal((*shape, d))
    for _ in range(2):  # once more for what rounding left
        lines -= np.einsum("wmds,wms->wmd", across, np.einsum("wmds,wmd->wms", across, lines))
    lines /= np.linalg.norm(lines, axis=-1, keepdims=True)
    sides = random.choice(tuning.sides, (*shape, len(met)))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        steps = (sides - pre_activations[:, None, met]) / (lines @ W[met].T)
        steps = np.where(np.abs(steps) < _FARTHEST, steps, 0.0)
    return (steps[..., None] * lines[:, :, None]).reshape(len(walkers), -1, d)


def _polished(problem: Problem, found: Scored, most: tuple[int, int], work: float) -> np.ndarray:
    """Where the best points lead; `most` says how many of them at most, and in how many iterations."""
    network, domain = problem.network, problem.search_domain
    count, iterations = most
    count = int(np.clip(work / (iterations * network.W.size), 1, count))
    best = _distinct(found)[:count]
    return domain.project(polished(network, best, domain, iterations))


def _distinct(found: Scored) -> np.ndarray:
    """The points but 0 in falling order of their gradient norms, each norm once."""
    points, norms = found.without_zero().best()
    return points[np.append(True, norms[1:] < norms[:-1] * (1.0 - _SAME))[: len(points)]]
