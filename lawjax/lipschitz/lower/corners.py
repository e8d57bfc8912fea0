"""Points near corners of cells, where as many kinks as can meet: small cells have corners as large ones do.

>>> from lawjax.domains import Space
>>> f = TwoLayer(W=[[1.0, 0.0], [0.0, 1.0]], b=[0.0, 0.0], a=[1.0, 1.0])  # one corner, at 0, of four cells
>>> len(np.unique(np.sign(corner_points(f, 10, Space(), Corners())), axis=0))
4
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from jaxtyping import Float

from lawjax.domains import Ball, Domain, Sphere
from lawjax.lipschitz.lower.effort import Corners
from lawjax.network import TwoLayer
from lawjax.vectors import lengths


def corner_points(network: TwoLayer, count: int, domain: Domain, tuning: Corners) -> Float[np.ndarray, "m d"]:
    """Points in the cells around corners.

    In R^d and in the ball d kinks meet in a corner, on the sphere d - 1 of them meet the sphere in two. Not every cell
    of the ball has a corner there. But the point of its closure that is nearest to 0 is also the nearest of all where
    certain kinks meet: where `count` allows for all sets of kinks, these points are tried, and no cell is missed.

    Args:
        network: one network of ordinary size.
        count: corners that are tried, drawn at random where there are more.
        domain: where.
        tuning: how many points around a corner.
    """
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    used = W.any(1) & (a != 0)
    W, b = W[used], b[used]
    k, d = W.shape
    norms = np.linalg.norm(W, axis=1)
    W, b = W / norms[:, None], b / norms
    meeting = d - isinstance(domain, Sphere)
    fewer = _fewer(k, d, domain)
    if sum(math.comb(k, number) for number in fewer) > count:
        fewer = range(0)
    found = [_around(W, b, number, count, domain, tuning) for number in (*fewer, meeting) if 0 < number <= k]
    return np.concatenate([np.zeros((min(len(fewer), 1), d)), *found])


def are_all_met(k: int, d: int, count: int, domain: Domain) -> bool:
    """Whether so many corners are all, and in the ball all points where fewer kinks meet."""
    return max(math.comb(k, min(d, k)), sum(math.comb(k, number) for number in _fewer(k, d, domain))) <= count


def _fewer(k: int, d: int, domain: Domain) -> range:
    """The numbers of kinks, less than in a corner, whose meeting points show cells that have no corner."""
    return range(1, min(k + 1, d)) if isinstance(domain, Ball) else range(0)


def _around(
    W: np.ndarray, b: np.ndarray, meeting: int, count: int, domain: Domain, tuning: Corners
) -> Float[np.ndarray, "m d"]:
    """Points around those where so many kinks meet; where these are lines or more, around the one nearest to 0."""
    k, d = W.shape
    random = np.random.default_rng(k * 1000003 + d)
    if math.comb(k, meeting) <= count:
        chosen = np.array(list(itertools.combinations(range(k), meeting)))
    else:
        chosen = random.random((count, k)).argsort(1)[:, :meeting]
    left, sizes, right = np.linalg.svd(W[chosen])
    independent = sizes[:, -1] > 1e-6
    chosen, left, sizes, right = chosen[independent], left[independent], sizes[independent], right[independent]
    inverse = np.einsum("njd,nj,nij->ndi", right[:, :meeting], 1.0 / sizes, left)  # of the meeting rows
    corners = -np.einsum("ndi,ni->nd", inverse, b[chosen])
    away = _directions(inverse, tuning, random)
    corners, away = _within(domain, corners, right[:, -1], away)
    if not len(corners):
        return corners
    # To the nearest kink that does not belong to the corner, or to the rim; where there is none, any distance will do.
    distances = np.abs(corners @ W.T + b)
    distances = np.where(distances > 1e-9 * (1.0 + np.abs(corners).max(1, keepdims=True)), distances, np.inf)
    nearest = distances.min(1, keepdims=True)
    room = np.where(np.isfinite(nearest), nearest, 1.0 + np.abs(corners).max(1, keepdims=True))
    if isinstance(domain, Ball):
        room = np.minimum(room, domain.radius - lengths(corners)[:, None])
    away = away / np.linalg.norm(away, axis=-1, keepdims=True)
    return domain.project((corners + 0.4 * room * away).reshape(-1, d))


def _directions(inverse: np.ndarray, tuning: Corners, random: np.random.Generator) -> np.ndarray:
    """(s, n, d): into the cells around n corners, or as many of them at random; more where more kinks meet by chance.

    `inverse` (n, d, meeting) leads from values of the kinks that meet to points.
    """
    _, d, meeting = inverse.shape
    if 2**meeting <= tuning.around:
        sides = np.array(list(itertools.product((-1.0, 1.0), repeat=meeting)))
    else:
        sides = random.choice((-1.0, 1.0), (tuning.around, meeting))
    at_random = random.standard_normal((tuning.at_random, 1, d))
    at_random = np.broadcast_to(at_random, (tuning.at_random, len(inverse), d))
    return np.concatenate([np.einsum("ndi,si->snd", inverse, sides), at_random])


def _within(domain: Domain, corners: np.ndarray, lines: np.ndarray, away: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners (n, d) of the domain, and the directions from there; on the sphere, where `lines` (n, d) meet it."""
    if isinstance(domain, Sphere):
        with np.errstate(over="ignore"):
            rest = domain.radius**2 - (corners**2).sum(1)
        met = rest > 0
        corners, line, rest, away = corners[met], lines[met], np.sqrt(rest[met])[:, None], away[:, met]
        return np.concatenate([corners + rest * line, corners - rest * line]), np.tile(away, (1, 2, 1))
    if isinstance(domain, Ball):
        met = lengths(corners) < domain.radius
        return corners[met], away[:, met]
    return corners, away
