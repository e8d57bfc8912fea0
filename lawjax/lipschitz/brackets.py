"""Brackets: every network's Lipschitz constant bounded from both sides, below by a point, above by a certificate.

>>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
>>> found = bracket(f)
>>> round(found.lower, 9), round(found.upper, 9)
(5.0, 5.0)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lawjax import activations
from lawjax.errors import UserError
from lawjax.lipschitz.ascent import ascend
from lawjax.lipschitz.certificate import Certificate, certify_all
from lawjax.lipschitz.climb import LINES, ROUNDS, climb, corner_points, gradient_norms, into
from lawjax.network import TwoLayer

Array = Any

_SPACE_RADII = (0.3, 1.0, 4.0, 1000.0)  # of the ascents in R^d, in units of a typical kink's distance from 0
_BALL_RADII = (0.3, 0.7, 1.0)  # of those in the ball
_CLIMB_WORK = 2e9  # floating-point operations of all searches from cell to cell together, roughly
_MANY = 16  # searches on a small network
_FAR = (10.0, 1e3, 1e5)  # in units of a typical kink's distance from 0
_CORNERS = 3500  # tried on a small network
_CORNER_DIMENSION = 12  # above it a corner has too many cells around it for a few points to meet the good ones


class Bracket(NamedTuple):
    """A Lipschitz constant between two bounds.

    What lies between them is sup ||grad f|| over the domain: for "space" and "ball" the Lipschitz constant there, for
    "sphere" that of f near the sphere, or with `tangential` the supremum of the gradient's part along the sphere.

    Attributes:
        lower: ||grad f(witness)||, evaluated in float64.
        upper: a proved upper bound, rounded upwards; infinite where nothing is known.
        witness: (d,), a point of the domain, off every kink.
        weights: (k + 1,), the weights of the certificate.
        domain: "space", "ball" or "sphere".
        radius: of the ball or sphere.
        tangential: whether only the part along the sphere counts; upper then bounds the whole gradient, too.
    """

    lower: float
    upper: float
    witness: np.ndarray
    weights: np.ndarray
    domain: str
    radius: float
    tangential: bool

    @property
    def certificate(self) -> Certificate:
        """What proves the upper bound."""
        return Certificate(self.upper, self.weights, self.domain, self.radius)


def bracket(
    networks: TwoLayer | Sequence[TwoLayer],
    domain: str = "space",
    radius: float = 1.0,
    tangential: bool = False,
    key: Array | None = None,
    starts: int = 32,
    steps: int = 60,
) -> Any:
    """The bracket of a network; of a stack or a list of networks of any shapes, the list of their brackets.

    Args:
        networks: of any activation; unbounded slopes have no upper bound.
        domain: "space" (R^d), "ball" or "sphere" (around 0).
        radius: of the ball or sphere.
        tangential: on the sphere, the gradient's part along it.
        key: a JAX key for the random starts; a fixed one unless given.
        starts: of each ascent.
        steps: of each ascent.

    Raises:
        UserError: an unknown domain, a radius that is not positive, `tangential` off the sphere.
    """
    if tangential and domain != "sphere":
        raise UserError(f"tangential=True is for the sphere; on the domain {domain!r} the whole gradient counts.")
    alone = isinstance(networks, TwoLayer) and networks.W.ndim == 2
    several = _singles(networks)
    certificates = certify_all(several, domain, radius)
    key = jax.random.key(0, impl="threefry2x32") if key is None else key
    found = []
    for network, certificate in zip(several, certificates, strict=True):
        witness = _witness(network, certificate, tangential, key, starts, steps)
        lower = float(gradient_norms(network, witness[None], tangential)[0])
        found.append(Bracket(lower, certificate.bound, witness, certificate.weights, domain, float(radius), tangential))
    return found[0] if alone else found


def _singles(networks: TwoLayer | Sequence[TwoLayer]) -> list[TwoLayer]:
    if isinstance(networks, TwoLayer) and networks.W.ndim == 2:
        return [networks]
    return [one for network in networks for one in _singles(network)]


def _witness(
    network: TwoLayer, certificate: Certificate, tangential: bool, key: Array, n_starts: int, steps: int
) -> np.ndarray:
    """The best point that ascents, the certificate's pattern and searches from cell to cell lead to."""
    domain, radius = certificate.domain, certificate.radius
    plain = _balanced(network)
    d = network.dimension
    if not (plain.a != 0).any():
        return np.full(d, radius / math.sqrt(d))
    typical = radius
    if domain == "space":
        cuts = np.abs(plain.b) / np.maximum(np.linalg.norm(plain.W, axis=1), 1e-300)
        typical = float(np.median(cuts[plain.a != 0])) or 1.0
        radii = [typical * share for share in _SPACE_RADII]
    else:
        radii = [radius * share for share in (_BALL_RADII if domain == "ball" else (1.0,))]
    directions = _pattern_points(plain, certificate.weights)
    padded = plain.padded(*(_rounded(size) for size in plain.W.shape))
    others = np.pad(directions, [(0, 0), (0, padded.dimension - d)])
    points = []
    with jax.enable_x64(True):
        for i, size in enumerate(radii):
            climbed = ascend(
                padded, jax.random.fold_in(key, i), n_starts, steps, tangential, np.float64(d), others, size
            )
            points.append(np.asarray(climbed.witness)[:d])
    points += [radii[-1] * direction for direction in directions]
    candidates = np.array(points)
    # Many searches where they cost little, one from the best point where they cost much.
    work = 40.0 * LINES * network.W.size
    searches = int(np.clip(_CLIMB_WORK / (10.0 * work), 1, _MANY))
    rounds = int(np.clip(_CLIMB_WORK / (searches * work), 3, ROUNDS))
    within = None if domain == "space" else radius
    corners = int(min(_CORNERS, _CLIMB_WORK / (100.0 * network.W.size * (d + 8.0))))
    if corners and d <= _CORNER_DIMENSION:
        candidates = np.concatenate([candidates, corner_points(plain, corners, within, domain == "ball")])
        if domain == "space":  # cells that reach to infinity meet in rays there, where biases no longer count
            rays = corner_points(TwoLayer(plain.W, 0.0 * plain.b, plain.a, 0.0, plain.activation), corners, 1.0)
            candidates = np.concatenate([candidates, *(typical * far * rays for far in _FAR)])
    if not activations.get(network.activation).has_kink:
        candidates = _wander(network, candidates, typical, within, domain == "ball", tangential)
    order = np.argsort(-gradient_norms(network, candidates, tangential), kind="stable")
    ends = climb(network, candidates[order[:searches]], within, domain == "ball", tangential, rounds)
    everything = np.concatenate([candidates, ends])
    if domain != "space":  # the ball and the sphere are closed; rounding must not lead out of them
        norms = np.linalg.norm(everything, axis=1, keepdims=True)
        everything = everything * np.minimum(1.0, radius / np.where(norms > 0, norms, 1.0))
    return everything[int(gradient_norms(network, everything, tangential).argmax())]


def _wander(
    network: TwoLayer, points: np.ndarray, typical: float, radius: float | None, inside: bool, tangential: bool
) -> np.ndarray:
    """For smooth psi: the points, random ones at many scales, and a walk at random that starts from the best of all."""
    d = network.dimension
    random = np.random.default_rng(2)
    count = int(np.clip(_CLIMB_WORK / (100.0 * network.W.size), 10, 1000))

    def drawn(scales: np.ndarray) -> np.ndarray:
        directions = random.standard_normal((len(scales), d))
        return directions * (scales / np.linalg.norm(directions, axis=1))[:, None]

    points = np.concatenate([points, into(drawn(typical * 10.0 ** random.uniform(-2, 3, count)), radius, inside)])
    best = points[int(gradient_norms(network, points, tangential).argmax())]
    for _ in range(20):
        steps = drawn((typical + np.linalg.norm(best)) * 10.0 ** random.uniform(-4, 0, count // 10 + 1))
        tried = np.concatenate([best[None], into(best + steps, radius, inside)])
        best = tried[int(gradient_norms(network, tried, tangential).argmax())]
    return np.concatenate([points, best[None]])


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


def _pattern_points(network: TwoLayer, weights: np.ndarray) -> np.ndarray:
    """(m, d) unit points where neurons tend to be on as the certificate's largest directions ask for.

    The best gradient along a direction g has every neuron on for which a_l w_l . g > 0; least squares gives a point
    that is on the right side of many of them.
    """
    W, a = network.W, network.a
    rows = (a / np.sqrt(weights[1:] / weights[1:].max()))[:, None] * W
    rows = rows / max(np.abs(rows).max(), 1e-300)
    block = np.random.default_rng(1).standard_normal((W.shape[1], min(4, W.shape[1])))
    for _ in range(20):
        block, _ = np.linalg.qr(rows.T @ (rows @ block))
    asked = np.sign(a)[:, None] * (W @ block)
    points = np.linalg.lstsq(W, asked, rcond=None)[0].T if W.size <= 2**17 else (W.T @ asked).T
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    points = points[norms[:, 0] > 0] / norms[norms[:, 0] > 0]
    points = points if len(points) else np.eye(1, W.shape[1])
    return np.concatenate([points, -points])


def _rounded(size: int) -> int:
    """Sizes to pad to, so that networks of many shapes share few compiled ascents."""
    step = max(8, 2 ** (size.bit_length() - 2))
    return -(-size // step) * step
