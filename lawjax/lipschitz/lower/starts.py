"""Where the search for a witness begins: preimages of sign patterns, points given, the neurons' own directions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from lawjax.domains import Space, Sphere
from lawjax.errors import UserError
from lawjax.lipschitz.lower.effort import Starts
from lawjax.lipschitz.lower.kinks import kink_bound
from lawjax.lipschitz.lower.pairs import pair_bound
from lawjax.lipschitz.lower.problem import Problem
from lawjax.network import TwoLayer
from lawjax.vectors import lengths


def starting_points(problem: Problem, tuning: Starts) -> Float[np.ndarray, "m d"]:
    """Points of the search's domain: along the preimages of sign patterns, near these, where neurons bend."""
    preimages = problem.searched.preimages
    along, with_biases = np.split(preimages / lengths(preimages)[:, None], 2)
    near = preimages[len(along) :]
    domain, radius = problem.search_domain, problem.domain.radius
    if isinstance(domain, Space):
        points = [1000.0 * problem.typical * along, near]
    else:
        points = [radius * along, radius * with_biases, domain.project(near), _in_caps(problem, tuning)]
    if not problem.network.activation.has_kink:
        points.append(_on_hyperplanes(problem, tuning))
    if isinstance(problem.domain, Sphere) and not problem.is_large:
        points.append(problem.lowered(kink_bound(problem.one.network, problem.domain, tuning.kinks).witness[None]))
    return np.concatenate(points)


def _strongest(network: TwoLayer, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Norms (m,), unit normals (m, d) and biases (m,) of the neurons with the largest |a_l| ||w_l||."""
    norms = lengths(network.W)
    strongest = np.argsort(-np.abs(network.a) * norms, kind="stable")[:count]
    strongest = strongest[norms[strongest] > 0]
    return norms[strongest], network.W[strongest] / norms[strongest, None], network.b[strongest]


def _in_caps(problem: Problem, tuning: Starts) -> np.ndarray:
    """(m, d) points in the caps of the strongest neurons: their middles, and from there towards the rim."""
    network, radius = problem.network, problem.domain.radius
    if not network.activation.has_kink:
        return np.zeros((0, network.dimension))
    norms, normals, biases = _strongest(network, tuning.strongest)
    heights = np.clip(-biases / norms / radius, -1.0, 1.0)
    normals, heights = np.where(heights < 0, -1.0, 1.0)[:, None] * normals, np.abs(heights)
    aside = np.random.default_rng(3).standard_normal(normals.shape)
    aside -= (aside * normals).sum(1, keepdims=True) * normals
    sizes = lengths(aside)[:, None]
    aside = aside / np.where(sizes > 0, sizes, 1.0)
    points = [normals, -normals]
    for share in tuning.rims:
        sines = np.minimum(share * np.sqrt((1.0 - heights) * (1.0 + heights)), 1.0)[:, None]
        points.append(np.sqrt(1.0 - sines**2) * normals + sines * aside)
    return problem.search_domain.project(radius * np.concatenate(points))


def _on_hyperplanes(problem: Problem, tuning: Starts) -> np.ndarray:
    """(m, d) where the strongest neurons are steep: the point nearest 0 of their hyperplanes, and on either side."""
    norms, normals, biases = _strongest(problem.network, tuning.strongest)
    with np.errstate(over="ignore"):
        points = [((t - biases) / norms)[:, None] * normals for t in tuning.sides]
    found = np.concatenate(points)
    return problem.search_domain.project(found[np.isfinite(found).all(1)])


def placed(problem: Problem, given: Float[np.ndarray, "n d"], tuning: Starts) -> Float[np.ndarray, "m d"]:
    """The points given, moved into the domain, and points between the steepest pair of them.

    Raises:
        UserError: points of another dimension.
    """
    one = problem.one
    if given.shape[1] != one.network.dimension:
        raise UserError(f"points must have the networks' dimension {one.network.dimension}, not {given.shape[1]}.")
    with np.errstate(over="ignore", under="ignore"):
        points = np.ldexp(given, one.point_exponent)
    points = problem.domain.project(points[np.isfinite(points).all(1) & points.any(1)])
    if not isinstance(problem.domain, Sphere) and len(points) > 1:
        _, i, j = pair_bound(one.network, points[: tuning.paired])
        shares = np.random.default_rng(4).uniform(size=tuning.between)[:, None]
        points = np.concatenate([points, points[i] + shares * (points[j] - points[i])])
    return points
