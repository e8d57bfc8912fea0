"""What is measured on every finished network: the paper's proxy, the ascent, Theorem 3's product, and brackets."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Key

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

_MOST = 10**7  # points or steps: more would fill the memory, after the networks were trained


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


@dataclass(frozen=True)
class Estimates:
    """Estimates of a network's Lipschitz constant; None where it was not measured.

    Attributes:
        proxy: the paper's maximum random gradient, over Gaussian points: a lower estimate on R^d.
        linear_part: norm of the mean gradient at these points.
        residual: the largest deviation from the mean gradient.
        ascent: the largest gradient norm found on the unit sphere.
        spectral_product: L ||a|| ||W||, Theorem 3's upper bound on R^d.
        path_product: L sum_l |a_l| ||w_l||, an upper bound on R^d.
    """

    proxy: float | None = None
    linear_part: float | None = None
    residual: float | None = None
    ascent: float | None = None
    spectral_product: float | None = None
    path_product: float | None = None


@dataclass(frozen=True)
class Bounds:
    """sup ||grad f|| between two bounds, on R^d and on the unit sphere; None where it was not bracketed.

    Attributes:
        lower_space: a gradient norm in float64 at a point of R^d.
        upper_space: proved for the float weights on R^d; infinite where the slopes are unbounded.
        lower_sphere: as lower_space, on the unit sphere.
        upper_sphere: as upper_space, on the unit sphere.
    """

    lower_space: float | None = None
    upper_space: float | None = None
    lower_sphere: float | None = None
    upper_sphere: float | None = None


@dataclass(frozen=True)
class Padding:
    """Sizes that networks are padded to, so that a sweep compiles the probes a few times and not for every (k, d).

    Attributes:
        least: neurons or dimensions that every network is padded to.
        factor_k: from one padded width to the next.
        factor_d: from one padded dimension to the next.
        alone: weights k d from which on arithmetic outweighs a compilation, and nothing is padded.
    """

    least: int = 64
    factor_k: int = 8
    factor_d: int = 4
    alone: int = 2**16

    def of(self, k: int, d: int) -> tuple[int, int]:
        """The padded width and dimension."""
        if k * d > self.alone:
            return k, d
        powers = ((k, self.factor_k), (d, self.factor_d))
        width, dimension = (max(self.least, factor ** math.ceil(math.log(size, factor))) for size, factor in powers)
        return width, dimension


_PADDING = Padding()
BRACKETS = tuple(field.name for field in dataclasses.fields(Bounds))


@functools.partial(jax.jit, static_argnames="config")
def _probe(
    network: TwoLayer, key: Key[Array, ""], dimension: Float[Any, ""], config: ProbeConfig
) -> tuple[RandomGradients, Ascent]:
    points, starts = jax.random.split(key)
    gradients = max_random_gradient(network, points, config.points, dimension)
    return gradients, ascend(network, starts, config.ascent_starts, config.ascent_steps, dimension=dimension)


class _Probed(NamedTuple):
    """Estimates of one network, and what its probes prove in float64: 0 where a point lies on a kink there.

    Attributes:
        estimates: without the products.
        on_sphere: ||grad f|| at the ascent's witness, on the unit sphere.
        anywhere: at that or at the proxy's, whichever is larger.
    """

    estimates: Estimates
    on_sphere: float
    anywhere: float


def _probed(network: TwoLayer, name: NetworkId, config: ProbeConfig) -> _Probed:
    padded = network.padded(*_PADDING.of(network.n_neurons, network.dimension))
    with keys.settled():
        probes, found = _probe(padded, keys.probe_key(*name), np.asarray(network.dimension, network.W.dtype), config)
    witness, end = (np.asarray(each.witness)[None, : network.dimension] for each in (probes, found))
    proxy = float(gradient_norms(network, witness)[0])
    ascent = float(gradient_norms(network, Sphere().project(end.astype(np.float64)), Sphere())[0])
    estimates = Estimates(
        proxy=proxy or float(probes.maximum),
        linear_part=float(probes.linear_part),
        residual=float(probes.residual),
        ascent=ascent or float(found.value),
    )
    return _Probed(estimates, ascent, max(proxy, ascent))


def measure(network: TwoLayer, name: NetworkId, config: ProbeConfig) -> dict[str, float | None]:
    """The fields of `Estimates` and `Bounds` of a folded network; all None where the configuration asks for no points.

    proxy, linear_part and residual are over full gradients at Gaussian points, ascent is the largest full gradient
    norm found on the unit sphere; all four are lower estimates. proxy and ascent are evaluated once more in float64 at
    their points, so that they are none too large by float32's rounding. The two products are upper bounds on R^d. For
    the brackets see `bracket_columns`.
    """
    if not config.points:
        return unmeasured()
    probed = _probed(network, name, config)
    estimates = dataclasses.replace(
        probed.estimates, spectral_product=spectral_product(network), path_product=path_product(network)
    )
    bounds = _bounds([network], [probed])[0] if config.brackets else Bounds()
    return {**dataclasses.asdict(estimates), **dataclasses.asdict(bounds)}


def unmeasured() -> dict[str, float | None]:
    """What `measure` gives for a network that is not measured, such as one that diverged."""
    return {**dataclasses.asdict(Estimates()), **dataclasses.asdict(Bounds())}


def bracket_columns(networks: Mapping[NetworkId, TwoLayer], config: ProbeConfig) -> list[dict[str, float | None]]:
    """The fields of `Bounds` of networks: for R^d and the unit sphere, sup ||grad f|| between two bounds.

    The lower one is ||grad f|| in float64 at a point of the domain, the upper one a certificate, proved for the float
    weights; infinite where the slopes are unbounded. The lower bounds are at least what the probes show, too.
    """
    probed = [_probed(network, name, config) if config.points else None for name, network in networks.items()]
    return [dataclasses.asdict(bounds) for bounds in _bounds(list(networks.values()), probed)]


def _bounds(networks: Sequence[TwoLayer], probed: Sequence[_Probed | None]) -> list[Bounds]:
    with keys.settled():
        found = brackets(networks, (Space(), Sphere()))
    rows = []
    for space, sphere, shown in zip(found[Space()], found[Sphere()], probed, strict=True):
        on_sphere = max(sphere.lower, shown.on_sphere if shown else 0.0)
        anywhere = max(space.lower, on_sphere, shown.anywhere if shown else 0.0)
        rows.append(Bounds(anywhere, space.upper, on_sphere, sphere.upper))
    return rows
