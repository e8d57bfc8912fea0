"""The ascents of many networks at a time: those of like size run padded, in one program, side by side off the CPU.

Where psi is piecewise linear they are those of `lawjax.lipschitz.lower.ascent`, on spheres of several radii; where it
is smooth, those of `lawjax.lipschitz.lower.smooth_ascent` on the domain itself.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from lawjax.domains import Ball, Domain, Space, Sphere, with_radius
from lawjax.lipschitz.lower.ascent import ascend
from lawjax.lipschitz.lower.effort import Annealing, Ascents, Following, Search
from lawjax.lipschitz.lower.problem import Problem, Scored, bending_distance, typical_distance
from lawjax.lipschitz.lower.smooth_ascent import followed
from lawjax.lipschitz.padding import padded_size
from lawjax.network import TwoLayer
from lawjax.vectors import lengths

_MULTIPLE = 64  # starts for smooth psi are made a multiple of it, so that few programs are compiled


def ascents(
    problems: Sequence[Problem], candidates: Sequence[Scored], search: Search
) -> list[Float[np.ndarray, "_ _"]]:
    """The ends (m, d) of each problem's ascents, from its best candidates and from random starts."""
    ends = [own.points[:0] for own in candidates]
    for size, members in _batches(problems, search.ascents):
        padded = [problems[i] for i in members]
        own = [_padded_best(candidates[i], search.patterns.count, size[1]) for i in members]
        found = _of_batch(padded, own, size, search)
        for i, points in zip(members, found, strict=True):
            points = points[:, : problems[i].network.dimension].astype(np.float64)
            ends[i] = problems[i].search_domain.project(points)
    return ends


def _batches(problems: Sequence[Problem], tuning: Ascents) -> Iterator[tuple[tuple[int, int], list[int]]]:
    """The padded size (k, d) of problems that one program serves, and their places; the last again to fill a batch."""
    alike: dict[tuple[tuple[int, int], Hashable], list[int]] = defaultdict(list)
    for i, problem in enumerate(problems):
        psi, domain = problem.network.activation, problem.search_domain
        if isinstance(problem.domain, Space) and psi.slope_interval is None:
            continue  # the slopes of polynomials grow without end
        if psi.has_kink and problem.is_large and _is_as_on_the_sphere(problem, tuning):
            continue
        kind = len(_radii(problem, tuning)), problem.is_large, psi, type(domain), domain.tangential
        alike[padded_size(*problem.network.W.shape), kind].append(i)
    batch = 1 if jax.default_backend() == "cpu" else tuning.batch
    for (size, _), places in alike.items():
        for first in range(0, len(places), batch):
            members = places[first : first + batch]
            yield size, members + members[:1] * (batch - len(members))


def _of_batch(batch: Sequence[Problem], own: Sequence[np.ndarray], size: tuple[int, int], search: Search) -> np.ndarray:
    """(batch, m, d) ends of the ascents of problems of one padded size."""
    one, tuning = batch[0], search.ascents
    is_smooth = not one.network.activation.has_kink
    affordable = tuning.work / (10.0 * size[0] * size[1] * search.steps * (tuning.lengths if is_smooth else 1))
    starts = int(np.clip(affordable - search.patterns.count, min(tuning.fewest, search.starts), search.starts))
    key = jax.random.key(0, impl="threefry2x32") if search.key is None else search.key
    dtype = np.float32 if one.is_large and not is_smooth else np.float64
    side_by_side = len(batch) > 1
    with jax.enable_x64(True):
        stack = jax.tree.map(
            lambda *leaves: jnp.asarray(np.stack(leaves)),
            *[problem.network.padded(*size).astype(dtype) for problem in batch],
        )
        if is_smooth:
            begun = [_smooth_starts(*pair, starts, key, tuning) for pair in zip(batch, own, strict=True)]
            count = max(map(len, begun))
            count += -count % _MULTIPLE
            points = np.stack([np.resize(points, (count, size[1])) for points in begun])
            domains = jax.tree.map(lambda *radii: np.array(radii), *[problem.search_domain for problem in batch])
            return np.asarray(
                _on_domain(stack, points, domains, search.steps, search.following, side_by_side=side_by_side)
            )
        directions = np.stack([points / lengths(points)[:, None] for points in own]).astype(dtype)
        dimensions = np.array([problem.network.dimension for problem in batch], dtype)
        witnesses = []
        for number, radii in enumerate(zip(*(_radii(problem, tuning) for problem in batch), strict=True)):
            spheres = with_radius(Sphere(tangential=one.domain.tangential), np.array(radii, dtype))
            stacked = (stack, spheres, directions, dimensions)
            random = jax.random.fold_in(key, number)
            found = _on_sphere(stacked, random, starts, search.steps, search.annealing, side_by_side=side_by_side)
            witnesses.append(np.asarray(found))
        return np.stack(witnesses, axis=1)


def _is_as_on_the_sphere(problem: Problem, tuning: Ascents) -> bool:
    """Whether the ascents would be where those on the sphere, which come first, were: on the rim, or as far from 0."""
    far = isinstance(problem.domain, Space) and problem.ascended >= tuning.space_radii[0] * problem.typical
    return far or isinstance(problem.domain, Ball)


def _radii(problem: Problem, tuning: Ascents) -> list[float]:
    """Of the spheres of the ascents of piecewise-linear networks, each of which has starts of its own."""
    shares: tuple[float, ...] = (1.0,)
    if not isinstance(problem.search_domain, Sphere):
        shares = tuning.space_radii if isinstance(problem.search_domain, Space) else tuning.ball_radii
    if isinstance(problem.domain, Ball):
        shares = shares[1:]  # those on its rim were the sphere's
    return [problem.typical * share for share in shares[: 1 if problem.is_large else None]]


@functools.partial(jax.jit, static_argnames=("n_starts", "steps", "annealing", "side_by_side"))
def _on_sphere(
    stacked: tuple[TwoLayer, Sphere, Array, Array],
    key: PRNGKeyArray,
    n_starts: int,
    steps: int,
    annealing: Annealing,
    *,
    side_by_side: bool,
) -> Array:
    def of_one(arguments: tuple[TwoLayer, Sphere, Array, Array]) -> Array:
        network, sphere, directions, dimension = arguments
        return ascend(
            network, key, n_starts, steps, sphere, dimension=dimension, starts=directions, annealing=annealing
        ).witness

    return jax.vmap(of_one)(stacked) if side_by_side else jax.lax.map(of_one, stacked)


@functools.partial(jax.jit, static_argnames=("steps", "following", "side_by_side"))
def _on_domain(
    stack: TwoLayer, starts: Array, domains: Domain, steps: int, following: Following, *, side_by_side: bool
) -> Array:
    def of_one(arguments: tuple[TwoLayer, Array, Domain]) -> Array:
        return followed(*arguments, steps, following)

    stacked = (stack, starts, domains)
    return jax.vmap(of_one)(stacked) if side_by_side else jax.lax.map(of_one, stacked)


def _smooth_starts(problem: Problem, own: np.ndarray, count: int, key: PRNGKeyArray, tuning: Ascents) -> np.ndarray:
    """(m, d) the problem's best candidates, and random points of its domain, `count` of each of many lengths.

    The lengths are powers of two, and every domain that has points of a length begins with the same ones.
    """
    d = problem.network.dimension
    seed = np.asarray(jax.random.key_data(key)).tolist()
    starts = [own[:, :d]]
    for exponent in _exponents(problem, tuning):
        drawn = np.random.default_rng([*seed, exponent % 2**32]).standard_normal((count, d))
        starts.append(drawn * (2.0**exponent / lengths(drawn))[:, None])
    if not isinstance(problem.search_domain, Space):
        drawn = np.random.default_rng(seed).standard_normal((tuning.on_rim * count, d))
        starts.append(drawn * (problem.domain.radius / lengths(drawn))[:, None])
    found = np.concatenate(starts)
    return np.pad(found, [(0, 0), (0, own.shape[1] - d)])


def _exponents(problem: Problem, tuning: Ascents) -> list[int]:
    """Of two, for the lengths of random starts inside the domain: near the kinks' distances, and those to bend over."""
    network, domain = problem.network, problem.search_domain
    if isinstance(domain, Sphere):
        return []
    typical = typical_distance(network), bending_distance(network)
    ends = zip(tuning.reach, (min(typical), max(typical)), strict=True)
    first, last = (int(np.rint(np.log2(share * distance))) for share, distance in ends)
    if isinstance(domain, Ball):
        last = min(last, int(np.ceil(np.log2(domain.radius))) - 1)
    return list(range(last, first - 1, -1))[: tuning.lengths]


def _padded_best(candidates: Scored, count: int, dimension: int) -> np.ndarray:
    """(count, dimension): the best candidates, not 0, again and again if there are fewer."""
    points = candidates.without_zero().best(count).points
    points = points if len(points) else np.eye(1, candidates.points.shape[1])
    points = points[np.arange(count) % len(points)]
    return np.pad(points, [(0, 0), (0, dimension - points.shape[1])])
