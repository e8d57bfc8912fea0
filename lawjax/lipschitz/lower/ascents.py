"""The ascents of many networks at a time: those of like size run padded, in one program, side by side off the CPU.

Where psi is piecewise linear they are those of `lawjax.lipschitz.lower.ascent`, on spheres of several radii; where it
is smooth, those of `lawjax.lipschitz.lower.free` on the domain itself.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lawjax.domains import Ball, Domain, Space, Sphere, with_radius
from lawjax.lipschitz.lower.ascent import ascend
from lawjax.lipschitz.lower.free import ascend_freely
from lawjax.lipschitz.lower.patterns import PATTERNS, typical_distance
from lawjax.lipschitz.lower.problem import Problem
from lawjax.lipschitz.padding import padded_size
from lawjax.network import TwoLayer
from lawjax.vectors import lengths

Array = Any

_SPACE_RADII = (4.0, 1000.0, 1.0, 0.3)  # of the ascents in R^d, in units of a typical kink's distance from 0
_BALL_RADII = (1.0, 0.7, 0.3)  # of those in the ball
_REACH = (0.1, 3.0)  # of the lengths of random starts for smooth psi, in units of the least and largest typical one
_MOST_LENGTHS = 16  # of them
_ON_RIM = 4  # times as many starts on the sphere and the ball's rim
_ROUND = 64  # starts for smooth psi are made a multiple of it, so that few programs are compiled
_WORK = 3e10  # floating-point operations of an ascent, roughly, above which it has fewer starts
_BATCH = 64  # networks whose ascents run side by side on an accelerator


def ascents(
    problems: Sequence[Problem], candidates: Sequence[np.ndarray], starts: int, steps: int, key: Array | None
) -> list[np.ndarray]:
    """The ends (m, d) of each problem's ascents, from its best candidates and from random starts."""
    key = jax.random.key(0, impl="threefry2x32") if key is None else key
    groups: dict[Any, list[int]] = defaultdict(list)
    for i, problem in enumerate(problems):
        network = problem.network
        psi = network.activation
        if isinstance(problem.domain, Space) and psi.slope_interval is None:
            continue  # the slopes of polynomials grow without end
        if psi.has_kink and problem.is_large and _is_as_on_the_sphere(problem):
            continue
        size = padded_size(*network.W.shape)
        domain = problem.search_domain
        kind = len(_radii(problem)), problem.is_large, network.activation, type(domain), domain.tangential
        groups[(*size, *kind)].append(i)
    ends = [points[:0] for points in candidates]
    batch = 1 if jax.default_backend() == "cpu" else _BATCH
    for (k, d, *_), everyone in groups.items():
        for first in range(0, len(everyone), batch):
            members = everyone[first : first + batch]
            padded = members + members[:1] * (batch - len(members))
            group = [problems[i] for i in padded]
            lengths_of_starts = 1 if group[0].network.activation.has_kink else _MOST_LENGTHS
            affordable = _WORK / (10.0 * k * d * steps * lengths_of_starts) - PATTERNS
            few = int(np.clip(affordable, min(4, starts), starts))
            own = [_padded_best(problems[i], candidates[i], d) for i in padded]
            found = _of_group(group, own, (k, d), few, steps, key)
            for place, i in enumerate(members):
                points = found[place][:, : problems[i].network.dimension].astype(np.float64)
                ends[i] = problems[i].search_domain.project(points)
    return ends


def _of_group(
    group: Sequence[Problem], own: Sequence[np.ndarray], size: tuple[int, int], starts: int, steps: int, key: Array
) -> np.ndarray:
    """(batch, m, d) ends of the ascents of problems of one padded size."""
    one = group[0]
    is_smooth = not one.network.activation.has_kink
    dtype = np.float32 if one.is_large and not is_smooth else np.float64
    side_by_side = len(group) > 1
    with jax.enable_x64(True):
        stack = jax.tree.map(
            lambda *leaves: jnp.asarray(np.stack(leaves)),
            *[problem.network.padded(*size).astype(dtype) for problem in group],
        )
        if is_smooth:
            begun = [_smooth_starts(*pair, starts, key) for pair in zip(group, own, strict=True)]
            count = max(map(len, begun))
            count += -count % _ROUND
            points = np.stack([np.resize(points, (count, size[1])) for points in begun])
            domains = jax.tree.map(lambda *radii: np.array(radii), *[problem.search_domain for problem in group])
            return np.asarray(_free_ascents(stack, points, domains, steps, side_by_side))
        directions = np.stack([points / lengths(points)[:, None] for points in own]).astype(dtype)
        dimensions = np.array([problem.network.dimension for problem in group], dtype)
        witnesses = []
        for number, radii in enumerate(zip(*map(_radii, group), strict=True)):
            spheres = with_radius(Sphere(tangential=one.domain.tangential), np.array(radii, dtype))
            arguments = (stack, spheres, directions, dimensions)
            random = jax.random.fold_in(key, number)
            witnesses.append(np.asarray(_on_sphere(arguments, random, starts, steps, side_by_side)))
        return np.stack(witnesses, axis=1)


def _is_as_on_the_sphere(problem: Problem) -> bool:
    """Whether the ascents would be where those on the sphere, which come first, were: on the rim, or as far from 0."""
    far = isinstance(problem.domain, Space) and problem.ascended >= _SPACE_RADII[0] * problem.typical
    return far or isinstance(problem.domain, Ball)


def _radii(problem: Problem) -> list[float]:
    """Of the spheres of the ascents of piecewise-linear networks, each of which has starts of its own."""
    shares = {Space: _SPACE_RADII, Ball: _BALL_RADII, Sphere: (1.0,)}[type(problem.search_domain)]
    if isinstance(problem.domain, Ball):
        shares = shares[1:]  # those on its rim were the sphere's
    return [problem.typical * share for share in shares[: 1 if problem.is_large else None]]


@functools.partial(jax.jit, static_argnames=("n_starts", "steps", "side_by_side"))
def _on_sphere(
    stacked: tuple[TwoLayer, Sphere, Array, Array], key: Array, n_starts: int, steps: int, side_by_side: bool
) -> Array:
    def of_one(arguments: tuple[TwoLayer, Sphere, Array, Array]) -> Array:
        network, sphere, directions, dimension = arguments
        return ascend(network, key, n_starts, steps, sphere, dimension=dimension, starts=directions).witness

    return jax.vmap(of_one)(stacked) if side_by_side else jax.lax.map(of_one, stacked)


@functools.partial(jax.jit, static_argnames=("steps", "side_by_side"))
def _free_ascents(stack: TwoLayer, starts: Array, domains: Domain, steps: int, side_by_side: bool) -> Array:
    def of_one(arguments: tuple[TwoLayer, Array, Domain]) -> Array:
        return ascend_freely(*arguments, steps)

    stacked = (stack, starts, domains)
    return jax.vmap(of_one)(stacked) if side_by_side else jax.lax.map(of_one, stacked)


def _smooth_starts(problem: Problem, own: np.ndarray, count: int, key: Array) -> np.ndarray:
    """(m, d) the problem's best candidates, and random points of its domain, `count` of each of many lengths.

    The lengths are powers of two, and every domain that has points of a length begins with the same ones.
    """
    d = problem.network.dimension
    seed = np.asarray(jax.random.key_data(key)).tolist()
    starts = [own[:, :d]]
    for exponent in _exponents(problem):
        drawn = np.random.default_rng([*seed, exponent % 2**32]).standard_normal((count, d))
        starts.append(drawn * (2.0**exponent / lengths(drawn))[:, None])
    if not isinstance(problem.search_domain, Space):
        drawn = np.random.default_rng(seed).standard_normal((_ON_RIM * count, d))
        starts.append(drawn * (problem.domain.radius / lengths(drawn))[:, None])
    found = np.concatenate(starts)
    return np.pad(found, [(0, 0), (0, own.shape[1] - d)])


def _exponents(problem: Problem) -> list[int]:
    """Of two, for the lengths of random starts inside the domain: near the kinks' distances, and those to bend over."""
    network, domain = problem.network, problem.search_domain
    if isinstance(domain, Sphere):
        return []
    norms = lengths(network.W)
    typical = typical_distance(network), 1.0 / (float(np.median(norms[norms > 0])) if norms.any() else 1.0)
    first, last = (int(np.rint(np.log2(c * t))) for c, t in zip(_REACH, (min(typical), max(typical)), strict=True))
    if isinstance(domain, Ball):
        last = min(last, int(np.ceil(np.log2(domain.radius))) - 1)
    return list(range(last, first - 1, -1))[:_MOST_LENGTHS]


def _padded_best(problem: Problem, candidates: np.ndarray, dimension: int) -> np.ndarray:
    """(PATTERNS, dimension): the best candidates, not 0, again and again if there are fewer."""
    points = candidates[candidates.any(1)]
    points = problem.best_first(points)[:PATTERNS] if len(points) else np.eye(1, problem.network.dimension)
    points = points[np.arange(PATTERNS) % len(points)]
    return np.pad(points, [(0, 0), (0, dimension - points.shape[1])])
