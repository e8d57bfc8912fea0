"""The last steps of the search for smooth psi, whose gradient changes everywhere and whose maxima are many.

Good points are looked for in three ways: near the best cells of the network whose psi has two slopes, those of psi at
both ends of the line; by many ascents side by side, from points that are kicked whenever they have come to rest; and by
walks from slab to slab around hyperplanes, where neurons are steep. From the best of all, as far as they are apart,
L-BFGS goes to the end.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lawjax import activations
from lawjax.activations import Activation
from lawjax.domains import Space, Sphere
from lawjax.lipschitz.lower.effort import SmoothWalks, Walks
from lawjax.lipschitz.lower.problem import Problem, Scored
from lawjax.lipschitz.lower.smooth_ascent import followed, log_norms, polished, to_jax
from lawjax.lipschitz.lower.walks import walk
from lawjax.network import TwoLayer
from lawjax.vectors import lengths

_FARTHEST = 1e100  # that a move may lead
_WALKS = Walks()
_FAR = 1e6  # pre-activation at which a slope is that at infinity
_SURE = 1e-6  # rounding of a pre-activation beyond which points are not tried
_EPS = float(np.finfo(np.float64).eps)
_MULTIPLE = 64  # of points that are kicked
_SAME = 1e-9  # relative distance of the gradient norms at one point found twice


def explored(problem: Problem, found: Scored, tuning: SmoothWalks) -> Scored:
    """With random points at many scales, and where walks and ascents lead from the best of all, several times."""
    random = np.random.default_rng(2)
    count = int(np.clip(tuning.sample_work[problem.is_large] / problem.network.W.size, *tuning.samples))
    scales = problem.typical * 10.0 ** random.uniform(-2, 3, count)
    drawn = _drawn(scales, problem.network.dimension, random)
    found = found.joined(problem.scored(problem.search_domain.project(drawn)))
    far, best = _as_from_far(problem, found, tuning), _best_apart(problem, found, tuning.followed, tuning)
    found = found.joined(problem.scored(far))
    for starts in (far, best):
        found = found.joined(problem.scored(_followed(problem, starts, tuning.followed, tuning)))
    found = found.joined(problem.scored(_kicked(problem, found, tuning, random)))
    for _ in range(tuning.rounds):
        found = found.joined(problem.scored(_walked(problem, found, tuning, random)))
        found = _with_maxima(problem, found, tuning.followed, tuning)
    return _with_maxima(problem, found, tuning.to_the_end, tuning)


def _with_maxima(problem: Problem, found: Scored, most: tuple[int, int], tuning: SmoothWalks) -> Scored:
    """With the points to which the best, as far as they are apart, lead."""
    starts = _best_apart(problem, found, most, tuning)
    return found.joined(problem.scored(_followed(problem, starts, most, tuning)))


def _kicked(problem: Problem, found: Scored, tuning: SmoothWalks, random: np.random.Generator) -> np.ndarray:
    """Ends of ascents from many points, each moved at random again and again, and back where that leads no higher."""
    domain, d = problem.search_domain, problem.network.dimension
    steps = tuning.kick_steps * (tuning.kicks + 1)
    most = tuning.kicked * problem.network.n_neurons
    count = int(np.clip(tuning.kick_work / (problem.network.W.size * steps), 1, most))
    count += -count % _MULTIPLE  # few programs are compiled
    known = _best_apart(problem, found, (count // 4, 1), tuning)
    scales = problem.typical * 10.0 ** random.uniform(-1, 2, count - len(known))
    points = domain.project(np.concatenate([known, _drawn(scales, d, random)]))
    with jax.enable_x64(True):
        padded = to_jax(problem.network)

        def climbed(starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            starts = np.pad(starts, [(0, 0), (0, padded.dimension - d)])
            ends = np.asarray(followed(padded, jnp.asarray(starts), domain, tuning.kick_steps))[:, :d]
            return ends, log_norms(problem.network, ends, domain)

        points, norms = climbed(points)
        for _ in range(tuning.kicks):
            shares = np.geomspace(*tuning.kick_reach, count)[random.permutation(count)]
            moves = _drawn(lengths(points) * shares, d, random)
            ends, higher = climbed(domain.project(points + moves))
            points = np.where((higher > norms)[:, None], ends, points)
            norms = np.fmax(norms, higher)
    return domain.project(points)


def _as_from_far(problem: Problem, found: Scored, tuning: SmoothWalks) -> np.ndarray:
    """The ends of walks from cell to cell of the network whose psi has two slopes, those of psi at either infinity.

    Far from all hyperplanes the two gradients are equal; near the best cells lie good points of a smooth psi.
    """
    network, domain, d = problem.network, problem.search_domain, problem.network.dimension
    low, high = _slopes_at_infinity(network.activation)
    if not -np.inf < low < high < np.inf or high <= 0:
        return np.zeros((0, d))
    a, limit = high * network.a, activations.get(f"leaky_relu:{low / high!r}")
    starts = _best_apart(problem, found, (tuning.far_walks, 1), tuning)
    from_far = TwoLayer(network.W, network.b, a, 0.0, limit)
    rounds = int(np.clip(tuning.work / (40.0 * _WALKS.lines * network.W.size * max(1, len(starts))), 1, _WALKS.rounds))
    ends = walk(from_far, starts, domain, rounds, _WALKS)
    rays = TwoLayer(network.W, 0.0 * network.b, a, 0.0, limit)
    far = [np.multiply.outer(tuning.far_shares, ends)]
    if isinstance(domain, Space):
        directions = walk(rays, starts, Sphere(), rounds, _WALKS)
        far.append(np.multiply.outer(problem.typical * np.array(tuning.far_shares), directions))
    return domain.project(np.concatenate(far).reshape(-1, d))


def _slopes_at_infinity(psi: Activation) -> tuple[float, float]:
    """The slopes of psi at both ends of the line; NaN where they grow without end."""
    if psi.slope_interval is None:
        return np.nan, np.nan
    with np.errstate(all="ignore"):
        return float(psi.slope(np.float64(-_FAR))), float(psi.slope(np.float64(_FAR)))


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


def _best_apart(problem: Problem, found: Scored, most: tuple[int, int], tuning: SmoothWalks) -> np.ndarray:
    """The best points that are not near one another, as many as are worth following."""
    count = _worth_following(problem, most, tuning)
    return _apart(_distinct(found), count, tuning.apart * problem.typical, tuning.apart)


def _worth_following(problem: Problem, most: tuple[int, int], tuning: SmoothWalks) -> int:
    count, iterations = most
    return int(np.clip(tuning.follow_work / (iterations * problem.network.W.size), 1, count))


def _followed(problem: Problem, starts: np.ndarray, most: tuple[int, int], tuning: SmoothWalks) -> np.ndarray:
    """Where points lead, as many as that is worth; `most` says how many at most, and in how many iterations."""
    domain, iterations = problem.search_domain, most[1]
    starts = starts[: _worth_following(problem, most, tuning)]
    return domain.project(polished(problem.network, starts, domain, iterations))


def _apart(points: np.ndarray, count: int, least: float, share: float) -> np.ndarray:
    """The first of the points, so many, of which none is within a share of its length, and more, of one before it."""
    chosen: list[int] = []
    is_free = np.ones(len(points), bool)
    sizes = lengths(points)
    while len(chosen) < count and is_free.any():
        first = int(is_free.argmax())
        chosen.append(first)
        is_free &= lengths(points - points[first]) > least + share * sizes[first]
    return points[chosen]


def _distinct(found: Scored) -> np.ndarray:
    """The points but 0 in falling order of their gradient norms, each norm once."""
    points, norms = found.without_zero().best()
    return points[np.append(True, norms[1:] < norms[:-1] * (1.0 - _SAME))[: len(points)]]
