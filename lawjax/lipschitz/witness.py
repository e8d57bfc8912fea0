"""The search for witnesses: points of a domain where a network's gradient is as large as can be found.

In order: sign patterns that the certificate's largest directions ask for, with the points that come nearest to them;
projected gradient ascents from those and from random points, many networks at a time; corners of small networks; and
from the best of all a search from cell to cell. Everything is a lower estimate: what counts in the end is the gradient
at the point, in float64.

With fewer neurons than coordinates the search goes on in the span of the rows of W, where the sphere's points appear as
those of the ball.
"""

from __future__ import annotations

import functools
import math
import operator
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from lawjax import activations
from lawjax.lipschitz.ascent import ascend
from lawjax.lipschitz.certificate import Certificate
from lawjax.lipschitz.climb import LINES, ROUNDS, climb, corner_points, gradient_norms, into
from lawjax.lipschitz.relaxation import padded_size
from lawjax.network import TwoLayer

Array = Any

_PATTERNS = 8  # sign patterns, and as many ascents that start from their points
_TILTS = 3  # products that turn random directions towards the certificate's largest
_FLIPS = 50  # of single signs in a pattern, at most
_SPACE_RADII = (4.0, 1000.0, 1.0, 0.3)  # of the ascents in R^d, in units of a typical kink's distance from 0
_BALL_RADII = (1.0, 0.7, 0.3)  # of those in the ball
_LARGE = 2**10  # entries of W above which ascents run in float32 and at one radius, and searches are shorter
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
_ORTHONORMAL = 1e-6  # what a basis may lack of it; it only serves the search
_CLOSE = (1e-9, 1e-3)  # relative distance from the upper bound at which a search ends, on a small and a large network


class Searched(NamedTuple):
    """A network as searches on any domain see it.

    Attributes:
        network: float64, rows of length one where psi allows it, without neurons that never count.
        basis: (d, m), orthonormal; points of the search are coordinates in it. None for all of R^d.
        preimages: (2 * patterns, m), points that come near good sign patterns: without and with biases.
    """

    network: TwoLayer
    basis: np.ndarray | None
    preimages: np.ndarray


class _Problem(NamedTuple):
    """A search on one domain.

    Attributes:
        network: see `Searched`.
        basis: see `Searched`.
        radius: of the ball or sphere, None for all of R^d.
        inside: search the ball, not its sphere.
        typical: distance of a typical kink from 0, or the radius.
    """

    network: TwoLayer
    basis: np.ndarray | None
    radius: float | None
    inside: bool
    typical: float

    @property
    def is_large(self) -> bool:
        """Whether it is a matter of time what can be tried."""
        return self.network.W.size > _LARGE

    @property
    def radii(self) -> list[float]:
        """Of the ascents' spheres, each of which has starts of its own."""
        shares = _SPACE_RADII if self.radius is None else _BALL_RADII if self.inside else (1.0,)
        return [self.typical * share for share in shares[: 1 if self.is_large else None]]

    @property
    def climb_work(self) -> float:
        """Floating-point operations for its searches."""
        return _CLIMB_WORK[self.is_large]

    def is_close(self, lower: float, upper: float) -> bool:
        """Whether more search is not worth its time."""
        return lower >= (1.0 - _CLOSE[self.is_large]) * upper

    def lifted(self, points: np.ndarray, on_sphere: bool) -> np.ndarray:
        """Points (m, d) of the domain for points of the search; the ball and the sphere are not left by rounding."""
        if self.basis is not None:
            lifted = points @ self.basis.T
            if on_sphere and self.radius is not None:
                outward = np.random.default_rng(0).standard_normal(len(self.basis))
                for _ in range(2):  # once more for what rounding left
                    outward -= self.basis @ (self.basis.T @ outward)
                outward /= np.linalg.norm(outward)
                rest = np.sqrt(np.maximum(self.radius**2 - (lifted**2).sum(1, keepdims=True), 0.0))
                lifted = lifted + rest * outward
            points = lifted
        if self.radius is None:
            return points
        norms = np.linalg.norm(points, axis=1, keepdims=True)
        return points * np.minimum(1.0, self.radius / np.where(norms > 0, norms, 1.0))


def prepare(network: TwoLayer, weights: np.ndarray, tangential: bool) -> Searched:
    """What searches on all domains share.

    Args:
        network: a single one.
        weights: (k + 1,), of a certificate of it.
        tangential: whether the gradient's part along the sphere will count.
    """
    plain = _balanced(network)
    counts = (plain.a != 0) & plain.W.any(1)
    if not counts.any():
        counts[0] = True
    W, b, a = plain.W[counts], plain.b[counts], plain.a[counts]
    basis = None
    if len(W) < W.shape[1] and not tangential:
        W, basis = _narrowed(W)
    plain = TwoLayer(W, b, a, 0.0, network.activation)
    patterns = _patterns(plain, weights[1:][counts])
    far = 10.0 * float(np.abs(b).max()) + _typical(plain)
    points = _preimages(W, np.concatenate([patterns, far * patterns - b[:, None]], axis=1))
    fine = np.isfinite(points).all(1, keepdims=True) & points.any(1, keepdims=True)
    return Searched(plain, basis, np.where(fine, points, np.eye(1, W.shape[1])))


def witnesses(
    networks: Sequence[TwoLayer],
    prepared: Sequence[Searched],
    certificates: Sequence[Certificate],
    tangential: bool,
    key: Array,
    n_starts: int,
    steps: int,
    hints: Sequence[np.ndarray] | None = None,
    points: np.ndarray | None = None,
) -> list[np.ndarray]:
    """The best point (d,) found for each network on the domain of its certificate.

    Args:
        networks: single ones, of any shapes.
        prepared: what `prepare` made of them.
        certificates: of the same networks.
        tangential: on the sphere, count the gradient's part along it.
        key: a JAX key for the random starts.
        n_starts: of each ascent, besides those from patterns.
        steps: of each ascent.
        hints: a point of the domain for each network that is known to be good.
        points: (m, d), such as data: the best of them are among the starts.
    """
    problems = [_problem(*pair) for pair in zip(prepared, certificates, strict=True)]
    candidates = [_starting_points(problem, one.preimages) for problem, one in zip(problems, prepared, strict=True)]
    if points is not None:
        pairs = zip(problems, candidates, strict=True)
        candidates = [np.concatenate([_best_given(problem, points, tangential), own]) for problem, own in pairs]
    found: list[tuple[float, np.ndarray]] = []
    for i, points in enumerate(candidates):
        found.append(_best(networks[i], problems[i], certificates[i], points, tangential))
        given = certificates[i].candidates if hints is None else hints[i][None]
        if given is not None:
            norms = gradient_norms(networks[i], given, tangential)
            found[i] = max(found[i], (float(norms.max()), given[norms.argmax()]), key=operator.itemgetter(0))

    def is_open(i: int) -> bool:
        return not problems[i].is_close(found[i][0], certificates[i].bound)

    still = list(filter(is_open, range(len(problems))))
    if hints is not None:  # a hint stands for an ascent where these take long
        still = [i for i in still if not problems[i].is_large]
    starts = _ascents([problems[i] for i in still], [candidates[i] for i in still], tangential, key, n_starts, steps)
    for further in (lambda _, points: points, functools.partial(_further, tangential=tangential)):
        for i, ends in zip(still, starts, strict=True):
            if is_open(i):
                points = further(problems[i], np.concatenate([candidates[i], ends]))
                better = _best(networks[i], problems[i], certificates[i], points, tangential)
                found[i] = max(found[i], better, key=operator.itemgetter(0))
    if not tangential:
        return [point for _, point in found]
    return [_to_the_rim(network, point) for network, (_, point) in zip(networks, found, strict=True)]


def _to_the_rim(network: TwoLayer, point: np.ndarray) -> np.ndarray:
    """The best point of the great circle through the gradient: in a cell the part along the sphere still grows."""
    radius = np.linalg.norm(point)
    towards = network.astype(np.float64).gradient(point)
    towards = towards - (towards @ point) / radius**2 * point
    size = np.linalg.norm(towards)
    if not 0 < size < np.inf:
        return point
    towards = towards * (radius / size)
    angle, reach = 0.0, 0.5 * math.pi
    while reach > 1e-9:
        angles = np.append(angle, angle + reach * np.linspace(-1.0, 1.0, 201))
        circle = np.multiply.outer(np.cos(angles), point) + np.multiply.outer(np.sin(angles), towards)
        circle *= np.minimum(1.0, radius / np.linalg.norm(circle, axis=1, keepdims=True))
        best = int(gradient_norms(network, circle, True).argmax())
        angle, reach = float(angles[best]), reach / 50.0
    return circle[best]


def _best(
    network: TwoLayer, problem: _Problem, certificate: Certificate, points: np.ndarray, tangential: bool
) -> tuple[float, np.ndarray]:
    """The largest gradient norm of the network given at points of a search, and where, in its own coordinates."""
    order = np.argsort(-gradient_norms(problem.network, points, tangential), kind="stable")
    lifted = problem.lifted(points[order[:_LIFTED]], certificate.domain == "sphere")
    norms = gradient_norms(network, lifted, tangential)
    winner = int(norms.argmax())
    return float(norms[winner]), lifted[winner]


def _narrowed(W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W = R B' with B (d, k) orthonormal, for k < d: from Cholesky's factor of W W', the quickest, where it serves."""
    if W.size > _LARGE:
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


def _problem(searched: Searched, certificate: Certificate) -> _Problem:
    radius = None if certificate.domain == "space" else certificate.radius
    inside = certificate.domain == "ball" or searched.basis is not None
    typical = _typical(searched.network) if radius is None else radius
    return _Problem(searched.network, searched.basis, radius, inside, typical)


def _typical(network: TwoLayer) -> float:
    """The distance of a typical kink from 0, 1 where they pass through it."""
    norms = np.linalg.norm(network.W, axis=1)
    distances = np.abs(network.b[norms > 0]) / norms[norms > 0]
    return (float(np.median(distances)) if distances.size else 0.0) or 1.0


def _balanced(network: TwoLayer) -> TwoLayer:
    """In float64 and, where psi is positively homogeneous, with rows of length one: no square overflows."""
    network = network.astype(np.float64)
    if not activations.get(network.activation).has_kink:
        return network
    largest = np.abs(network.W).max(1)
    safe = np.where(largest > 0, largest, 1.0)
    norms = np.linalg.norm(network.W / safe[:, None], axis=1) * safe
    safe = np.where(largest > 0, norms, 1.0)
    a = np.where(largest > 0, network.a * safe, 0.0)
    strongest = np.abs(a).max() or 1.0
    b = np.where(largest > 0, network.b / safe, 0.0)
    return TwoLayer(network.W / safe[:, None], b, a / strongest, 0.0, network.activation)


def _starting_points(problem: _Problem, preimages: np.ndarray) -> np.ndarray:
    """(m, d) points of the domain, the first of them along the preimages of patterns."""
    directions = preimages / np.linalg.norm(preimages, axis=1, keepdims=True)
    along, with_biases = np.split(directions, 2)
    if problem.radius is None:
        return np.concatenate([1000.0 * problem.typical * along, preimages[len(along) :]])
    within = into(preimages[len(along) :], problem.radius, problem.inside)
    return np.concatenate([problem.radius * along, problem.radius * with_biases, within])


def _best_given(problem: _Problem, points: np.ndarray, tangential: bool) -> np.ndarray:
    """The best of the points given, moved into the domain, in the search's coordinates; half as many as patterns."""
    points = points if problem.basis is None else points @ problem.basis
    points = points[points.any(1)]
    moved = into(points, problem.radius, problem.inside)
    order = np.argsort(-gradient_norms(problem.network, moved, tangential), kind="stable")
    return moved[order[: _PATTERNS // 2]]


def _patterns(network: TwoLayer, weights: np.ndarray) -> np.ndarray:
    """(k, _PATTERNS) signs r for which v'_0 + sum_l r_l v'_l is large: its fixed points, then single signs flipped."""
    W, a = network.W, network.a
    psi = activations.get(network.activation)
    low, high = psi.sides if psi.has_kink else (-1.0, 1.0)
    rows = 0.5 * (high - low) * a[:, None] * W
    rows = rows / max(np.abs(rows).max(), 1e-300)
    scaled = rows / np.sqrt(weights / weights.max())[:, None]
    scaled = scaled / max(np.abs(scaled).max(), 1e-300)
    middle = (high + low) / (high - low) * rows.sum(0)
    block = np.random.default_rng(1).standard_normal((W.shape[1], _PATTERNS // 2))
    for _ in range(_TILTS):
        block = scaled.T @ (scaled @ block)
        block /= np.maximum(np.linalg.norm(block, axis=0), 1e-300)
    gradients = np.concatenate([block, -block], axis=1)
    patterns = np.zeros((len(rows), gradients.shape[1]))
    for _ in range(20):
        before, patterns = patterns, np.where(rows @ gradients >= 0, 1.0, -1.0)
        gradients = middle[:, None] + rows.T @ patterns
        if (before == patterns).all():
            break
    squares = (rows**2).sum(1)[:, None]
    columns = np.arange(patterns.shape[1])
    for _ in range(_FLIPS):
        gain = squares - patterns * (rows @ gradients)  # of the squared norm, over 4
        worst = gain.argmax(0)
        flip = gain[worst, columns] > 1e-12 * squares.max()
        if not flip.any():
            break
        flipped = np.where(flip, patterns[worst, columns], 0.0)
        gradients = gradients - 2.0 * rows[worst].T * flipped
        patterns[worst, columns] -= 2.0 * flipped
    return patterns


def _preimages(W: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(m, d) rows z with W z near the columns of `asked` (k, m), by regularised normal equations."""
    k, d = W.shape
    gram = W @ W.T if k <= d else W.T @ W
    gram[np.diag_indices(len(gram))] += 1e-12 * float(gram.trace()) or 1.0
    if k <= d:
        return np.linalg.solve(gram, asked).T @ W
    return np.linalg.solve(gram, W.T @ asked).T


def _ascents(
    problems: Sequence[_Problem],
    candidates: Sequence[np.ndarray],
    tangential: bool,
    key: Array,
    n_starts: int,
    steps: int,
) -> list[np.ndarray]:
    """The ends (m, d) of each problem's ascents; problems of like size run padded, and side by side off the CPU."""
    groups: dict[tuple[int, int, int, bool, str], list[int]] = defaultdict(list)
    for i, problem in enumerate(problems):
        psi = problem.network.activation
        groups[*padded_size(*problem.network.W.shape), len(problem.radii), problem.is_large, psi].append(i)
    ends: list[np.ndarray] = [np.zeros(0)] * len(problems)
    batch = 1 if jax.default_backend() == "cpu" else _BATCH
    for (k, d, _, is_large, _), everyone in groups.items():
        starts = int(np.clip(_ASCENT_WORK / (10.0 * k * d * steps) - _PATTERNS, 4, n_starts))
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
                    found.append(_stacked_ascents(arguments, random, starts, steps, tangential, batch > 1))
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
    directions = points[np.arange(_PATTERNS) % len(points)]
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return np.pad(directions, [(0, 0), (0, dimension - points.shape[1])])


def _further(problem: _Problem, points: np.ndarray, tangential: bool) -> np.ndarray:
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
        return _wander(problem, points, tangential)
    work = 40.0 * LINES * k * d
    searches = int(np.clip(problem.climb_work / (10.0 * work), 1, _MANY))
    rounds = int(np.clip(problem.climb_work / (searches * work), 0, ROUNDS))
    order = np.argsort(-gradient_norms(network, points, tangential), kind="stable")
    return np.concatenate([points, climb(network, points[order[:searches]], radius, inside, tangential, rounds)])


def _wander(problem: _Problem, points: np.ndarray, tangential: bool) -> np.ndarray:
    """For smooth psi: the points, random ones at many scales, and walks at random that start from the best of all."""
    network, typical, radius, inside = problem.network, problem.typical, problem.radius, problem.inside
    d = network.dimension
    random = np.random.default_rng(2)
    count = int(np.clip(problem.climb_work / (100.0 * network.W.size), 10, 5000))

    def drawn(scales: np.ndarray) -> np.ndarray:
        directions = random.standard_normal((*scales.shape, d))
        return directions * (scales / np.linalg.norm(directions, axis=-1))[..., None]

    points = np.concatenate([points, into(drawn(typical * 10.0 ** random.uniform(-2, 3, count)), radius, inside)])
    order = np.argsort(-gradient_norms(network, points, tangential), kind="stable")
    walkers = points[order[:_WALKERS]]
    for _ in range(_WALK):
        lengths = typical + np.linalg.norm(walkers, axis=1)
        scales = lengths[:, None] * 10.0 ** random.uniform(-4, 0, (len(walkers), count // 100 + 2))
        tried = np.concatenate([walkers[:, None], into(walkers[:, None] + drawn(scales), radius, inside)], axis=1)
        norms = gradient_norms(network, tried.reshape(-1, d), tangential).reshape(tried.shape[:2])
        walkers = tried[np.arange(len(walkers)), norms.argmax(1)]
    return np.concatenate([points, walkers])
