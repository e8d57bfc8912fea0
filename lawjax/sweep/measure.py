"""What is measured on every finished network: the paper's proxy, the ascent, Theorem 3's product, and brackets."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from lawjax import arguments, keys
from lawjax.domains import Space, Sphere
from lawjax.lipschitz import (
    Ascent,
    RandomGradients,
    ascend,
    brackets,
    max_random_gradient,
    path_product,
    spectral_product,
)
from lawjax.lipschitz.lower.evaluate import gradient_norms
from lawjax.network import TwoLayer
from lawjax.sweep.grid import NetworkId

BRACKETS = ("lower_space", "upper_space", "lower_sphere", "upper_sphere")
_MOST = 10**7  # points or steps: more would fill the memory, after the networks were trained
COLUMNS = ("proxy", "linear_part", "residual", "ascent", "spectral_product", "path_product", *BRACKETS)


@dataclass(frozen=True)
class ProbeConfig:
    """How networks are probed.

    Attributes:
        points: T, fresh Gaussian points of the proxy (1000 in the paper); 0 leaves the networks unmeasured.
        ascent_starts: starts of the projected gradient ascent on the sphere.
        ascent_steps: its steps.
        brackets: whether Lipschitz constants are bounded from both sides, on R^d and on the unit sphere; `lawjax
            bracket` does it later for a run without.
    """

    points: int = 1000
    ascent_starts: int = 32
    ascent_steps: int = 40
    brackets: bool = True

    def __post_init__(self) -> None:
        """Check numbers."""
        arguments.whole("points", self.points, 0, _MOST)  # 0 to measure nothing
        for name in ("ascent_starts", "ascent_steps"):
            arguments.whole(name, getattr(self, name), 1, _MOST)
        arguments.flag("brackets", self.brackets)


@functools.partial(jax.jit, static_argnames="config")
def _probe(network: TwoLayer, key: Any, dimension: Any, config: ProbeConfig) -> tuple[RandomGradients, Ascent]:
    points, starts = jax.random.split(key)
    gradients = max_random_gradient(network, points, config.points, dimension)
    climbed = ascend(network, starts, config.ascent_starts, config.ascent_steps, dimension=dimension)
    return gradients, climbed


class _Probed(NamedTuple):
    """Estimates of one network, and what its probes prove in float64: 0 where a point lies on a kink there.

    Attributes:
        estimates: the columns proxy, linear_part, residual and ascent.
        on_sphere: ||grad f|| at the ascent's witness, on the unit sphere.
        anywhere: at that or at the proxy's, whichever is larger.
    """

    estimates: dict[str, float]
    on_sphere: float
    anywhere: float


def _probed(network: TwoLayer, name: NetworkId, config: ProbeConfig) -> _Probed:
    padded = network.padded(*_compiled_size(network.n_neurons, network.dimension))
    with keys.settled():
        probes, climbed = _probe(padded, keys.probe_key(*name), np.asarray(network.dimension, network.W.dtype), config)
    witness, end = (np.asarray(found.witness)[None, : network.dimension] for found in (probes, climbed))
    proxy = float(gradient_norms(network, witness)[0])
    ascent = float(gradient_norms(network, Sphere().project(end.astype(np.float64)), Sphere())[0])
    estimates = {
        "proxy": proxy or float(probes.maximum),
        "linear_part": float(probes.linear_part),
        "residual": float(probes.residual),
        "ascent": ascent or float(climbed.value),
    }
    return _Probed(estimates, ascent, max(proxy, ascent))


def measure(network: TwoLayer, name: NetworkId, config: ProbeConfig) -> dict[str, float | None]:
    """The columns `COLUMNS` of a folded network; all None where the configuration asks for no points.

    proxy, linear_part and residual are over full gradients at Gaussian points, ascent is the largest full gradient
    norm found on the unit sphere; all four are lower estimates. proxy and ascent are evaluated once more in float64 at
    their points, so that they are none too large by float32's rounding. The two products are upper bounds on R^d. For
    the brackets see `bracket_columns`.
    """
    if not config.points:
        return dict.fromkeys(COLUMNS)
    probed = _probed(network, name, config)
    products = {"spectral_product": spectral_product(network), "path_product": path_product(network)}
    bounds: dict[str, float | None] = dict.fromkeys(BRACKETS)
    if config.brackets:
        [bounds] = _bounds([network], [probed])
    return {**probed.estimates, **products, **bounds}


def bracket_columns(networks: Mapping[NetworkId, TwoLayer], config: ProbeConfig) -> list[dict[str, float | None]]:
    """The columns `BRACKETS` of networks: for R^d and the unit sphere, sup ||grad f|| between two bounds.

    The lower one is ||grad f|| in float64 at a point of the domain, the upper one a certificate, proved for the float
    weights; infinite where the slopes are unbounded. The lower bounds are at least what the probes show, too.
    """
    probed = [_probed(network, name, config) if config.points else None for name, network in networks.items()]
    return _bounds(list(networks.values()), probed)


def _bounds(networks: Sequence[TwoLayer], probed: Sequence[_Probed | None]) -> list[dict[str, float | None]]:
    with keys.settled():
        found = brackets(networks, (Space(), Sphere()))
    rows: list[dict[str, float | None]] = []
    for space, sphere, shown in zip(found[Space()], found[Sphere()], probed, strict=True):
        on_sphere = max(sphere.lower, shown.on_sphere if shown else 0.0)
        anywhere = max(space.lower, on_sphere, shown.anywhere if shown else 0.0)
        rows.append(dict(zip(BRACKETS, (anywhere, space.upper, on_sphere, sphere.upper), strict=True)))
    return rows


def _compiled_size(k: int, d: int) -> tuple[int, int]:
    """Sizes to pad to, so that a sweep compiles the probes a few times and not for every (k, d)."""
    if k * d > 2**16:  # arithmetic outweighs a compilation
        return k, d
    return max(64, 8 ** math.ceil(math.log(k, 8))), max(64, 4 ** math.ceil(math.log(d, 4)))
