"""What is measured on every finished network: the paper's proxy, the ascent, Theorem 3's product, and brackets."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from lawjax import keys
from lawjax.errors import UserError
from lawjax.lipschitz import (
    Ascent,
    RandomGradients,
    ascend,
    brackets,
    max_random_gradient,
    path_product,
    spectral_product,
)
from lawjax.lipschitz.evaluate import gradient_norms
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
        if not 0 <= self.points <= _MOST:
            raise UserError(f"points must be from 1 to {_MOST}, or 0 to measure nothing, not {self.points}.")
        for name in ("ascent_starts", "ascent_steps"):
            if not 1 <= getattr(self, name) <= _MOST:
                raise UserError(f"{name} must be from 1 to {_MOST}, not {getattr(self, name)}.")


@functools.partial(jax.jit, static_argnames="config")
def _probe(network: TwoLayer, key: Any, dimension: Any, config: ProbeConfig) -> tuple[RandomGradients, Ascent]:
    points, starts = jax.random.split(key)
    gradients = max_random_gradient(network, points, config.points, dimension)
    climbed = ascend(network, starts, config.ascent_starts, config.ascent_steps, dimension=dimension)
    return gradients, climbed


def measure(network: TwoLayer, name: NetworkId, config: ProbeConfig) -> dict[str, float | None]:
    """The columns `COLUMNS` of a folded network; all None where the configuration asks for no points.

    proxy, linear_part and residual are over full gradients at Gaussian points, ascent is the largest full gradient
    norm found on the unit sphere; all four are lower estimates. The two products are upper bounds on R^d. For the
    brackets see `bracket_columns`; the lower one on R^d is at least what the points of proxy and ascent attain.
    """
    if not config.points:
        return dict.fromkeys(COLUMNS)
    padded = network.padded(*_compiled_size(network.n_neurons, network.dimension))
    with keys.settled():
        probes, climbed = _probe(padded, keys.probe_key(*name), np.asarray(network.dimension, network.W.dtype), config)
    values = map(float, (probes.maximum, probes.linear_part, probes.residual, climbed.value))
    products = spectral_product(network), path_product(network)
    bounds: dict[str, float | None] = dict.fromkeys(BRACKETS)
    if config.brackets:
        bounds = bracket_columns([network])[0]
        witnesses = np.stack([probes.witness, climbed.witness])[:, : network.dimension]
        bounds["lower_space"] = max(bounds["lower_space"] or 0.0, float(gradient_norms(network, witnesses).max()))
    return dict(zip(COLUMNS, (*values, *products, *bounds.values()), strict=True))


def bracket_columns(networks: Sequence[TwoLayer]) -> list[dict[str, float | None]]:
    """The columns `BRACKETS` of networks: for R^d and the unit sphere, sup ||grad f|| between two bounds.

    The lower one is ||grad f|| in float64 at a point of the domain, the upper one a certificate, proved for the float
    weights; infinite where the slopes are unbounded.
    """
    with keys.settled():
        found = brackets(networks, ("space", "sphere"))
    bounds = zip(*(found[domain] for domain in ("space", "sphere")), strict=True)
    return [
        dict(zip(BRACKETS, (space.lower, space.upper, sphere.lower, sphere.upper), strict=True))
        for space, sphere in bounds
    ]


def _compiled_size(k: int, d: int) -> tuple[int, int]:
    """Sizes to pad to, so that a sweep compiles the probes a few times and not for every (k, d)."""
    if k * d > 2**16:  # arithmetic outweighs a compilation
        return k, d
    return max(64, 8 ** math.ceil(math.log(k, 8))), max(64, 4 ** math.ceil(math.log(d, 4)))
