"""A lower bound in closed form: the strongest kink that meets a sphere.

>>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
>>> round(kink_bound(f).value, 6)
2.0
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lawjax import arguments
from lawjax.domains import Sphere, along, check_single
from lawjax.lipschitz.lower.evaluate import gradient_norms
from lawjax.network import TwoLayer

_EPS = float(np.finfo(np.float64).eps)
_BLOCK_ENTRIES = 2**22
_STEPS = np.array([-1e-7, 1e-7, -1e-10, 1e-10, -1e-13, 1e-13])  # to either side of a kink, relative to the radius
_TOGETHER = 1e-8  # distance of a kink from a point within which it belongs to the kinks crossed there
_ALONG = 1e-6  # of a random vector's length, left at a right angle to a normal, that is too little


class KinkBound(NamedTuple):
    """The strongest kink that meets a sphere.

    Attributes:
        value: half the jump of the gradient along the sphere there; 0 without a kink.
        neuron: one whose kink it is; 0 without one.
        witness: (d,), a point of the sphere beside it where the gradient's part along the sphere is at least the value.
    """

    value: float
    neuron: int
    witness: Float[np.ndarray, " d"]


def kink_bound(network: TwoLayer, sphere: Sphere = Sphere(), tried: int = 64) -> KinkBound:
    """A lower bound on the gradient along a sphere around 0: half of its largest jump across a kink.

    Where only the kink of neuron l is crossed, the gradient jumps by (beta - alpha) a_l w_l, alpha and beta being the
    slopes of psi; one of its two values along the sphere is at least half of that in length. For distinct hyperplanes

        Lip_{S^{d-1}}(f) >= G_T >= (beta - alpha)/2 max_l |a_l| ||w_l|| sqrt(1 - t_l^2),   t_l = -b_l / (R ||w_l||)

    over those that cut the sphere, |t_l| < 1 (Shmalo 2026, d >= 3). Jumps of neurons on one hyperplane add up,
    whichever way each looks. Which neurons share one cannot be told from rounded weights, and on a circle two kinks can
    meet wherever they cut it. So a point of the sphere is drawn on each kink, the jumps of all kinks at that point are
    added, and the gradients on either side are evaluated: the value is never above what the witness attains. Time
    O(k^2 d).

    Args:
        network: one network; with a psi that is no ReLU, leaky ReLU or absolute value there are no kinks.
        sphere: of radius R. For d = 1 nothing lies along it, and the bound is 0.
        tried: kinks at which gradients are evaluated, those of the largest jumps, at most.

    Raises:
        UserError: a stack, another domain, fewer than one kink to try.
    """
    check_single(network)
    arguments.instance("The sphere", sphere, Sphere, "such as lawjax.Sphere(1.0)")
    arguments.whole("tried", tried)
    sphere = along(sphere)
    nothing = KinkBound(0.0, 0, sphere.project(np.eye(1, network.dimension))[0])
    psi = network.activation
    if not psi.has_kink or network.dimension == 1:
        return nothing
    normals, offsets, jumps, exponent, neurons = _kinks(network, sphere.radius)
    if not len(neurons):
        return nothing
    jumps = jumps * (psi.sides[1] - psi.sides[0])
    points, across = _points_on(normals, offsets)
    if network.dimension == 2:  # the other of the two points where the line meets the circle
        mirrored = 2.0 * offsets[:, None] * normals - points
        points, across = np.concatenate([points, mirrored]), np.concatenate([across, _across(normals, mirrored)])
        neurons = np.concatenate([neurons, neurons])
    halves = 0.5 * _jumps_along(normals, offsets, jumps, points, across)
    best = nothing
    for place in np.argsort(-halves, kind="stable")[:tried]:
        claimed = float(np.ldexp(halves[place], exponent))
        if not claimed > best.value:
            break
        sides = sphere.project(points[place] + _STEPS[:, None] * across[place])
        attained = gradient_norms(network, sides, sphere)
        side = int(attained.argmax())
        if min(claimed, attained[side]) > best.value:
            best = KinkBound(min(claimed, float(attained[side])), int(neurons[place]), sides[side])
    return best


def _kinks(network: TwoLayer, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, np.ndarray]:
    """Normals (m, d) of length one, offsets t (m,), a ||w|| (m,) over a power of two, its exponent, and the neurons.

    Only those whose hyperplanes {n . x = t R} cut the sphere of radius R.
    """
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    neurons = np.flatnonzero(W.any(1) & (a != 0))
    W, b, a = W[neurons], b[neurons], a[neurons]
    _, of_rows = np.frexp(np.abs(W).max(1, initial=0.0))
    W = np.ldexp(W, -of_rows[:, None])  # so that nothing overflows
    lengths = np.linalg.norm(W, axis=1)
    mantissa, of_a = np.frexp(a)
    exponent = int((of_a + of_rows).max(initial=-5000))
    with np.errstate(over="ignore"):
        offsets = -np.ldexp(b, -of_rows) / lengths / radius
    cut = np.abs(offsets) < 1.0 - 4.0 * _EPS
    jumps = np.ldexp(mantissa * lengths, of_a + of_rows - exponent)
    return (W / lengths[:, None])[cut], offsets[cut], jumps[cut], exponent, neurons[cut]


def _points_on(normals: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m, d) random points of length one, one on each hyperplane, and the directions that cross it there."""
    drawn = np.random.default_rng(0).standard_normal(normals.shape)
    for _ in range(2):  # the second time takes off what rounding left of the first
        drawn = drawn - (drawn * normals).sum(1, keepdims=True) * normals
        along = np.linalg.norm(drawn, axis=1) < _ALONG  # a normal may have been drawn in just this way
        drawn[along] = np.eye(normals.shape[1])[np.abs(normals[along]).argmin(1)]
        drawn = drawn - (drawn * normals).sum(1, keepdims=True) * normals
        drawn = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    points = offsets[:, None] * normals + np.sqrt((1.0 - offsets) * (1.0 + offsets))[:, None] * drawn
    return points, _across(normals, points)


def _across(normals: np.ndarray, points: np.ndarray) -> np.ndarray:
    along = normals - (normals * points).sum(1, keepdims=True) * points
    return along / np.linalg.norm(along, axis=1, keepdims=True)


def _jumps_along(
    normals: np.ndarray, offsets: np.ndarray, jumps: np.ndarray, points: np.ndarray, across: np.ndarray
) -> np.ndarray:
    """(m,): how far the gradient along the sphere of radius one jumps across all the kinks at each point."""
    sizes = np.zeros(len(points))
    step = max(1, _BLOCK_ENTRIES // max(normals.shape))
    for start in range(0, len(points), step):
        some = slice(start, start + step)
        here = np.abs(points[some] @ normals.T - offsets) <= _TOGETHER
        # On the way across, a neuron is switched on or off: its gradient changes by a w times the sign of the crossing.
        crossed = np.where(here, np.sign(across[some] @ normals.T), 0.0)
        jump = (crossed * jumps) @ normals
        jump = jump - (jump * points[some]).sum(1, keepdims=True) * points[some]
        sizes[some] = np.linalg.norm(jump, axis=1)
    return sizes
