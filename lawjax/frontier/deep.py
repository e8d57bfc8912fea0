"""Networks of two hidden layers: how smooth can they be? A sound bound, if a looser one, and the same search.

f(x) = g(ReLU(A x + u)) for a two-layer network g of k neurons on R^k'. ReLU commutes with positive diagonal matrices D,
so that f(x) = g(D^-1 ReLU(D A x + D u)), and ReLU is no steeper than the identity:

    Lip(f) <= ||D A||_op Lip(g D^-1) for every D > 0,

the latter bounded by the certificate of g D^-1. The search minimises it for D = 1, which is no restriction: D can be
moved into the weights.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from lawjax import arguments, check, data
from lawjax.data import Dataset
from lawjax.domains import Space
from lawjax.errors import UserError
from lawjax.frontier.batches import descended
from lawjax.frontier.config import FrontierConfig, checked_config
from lawjax.frontier.finish import shrunk
from lawjax.frontier.objective import Params, start_of_relaxation
from lawjax.frontier.starts import RANK, Start, in_own_units
from lawjax.lipschitz import certify
from lawjax.lipschitz.upper.proofs import least_proved
from lawjax.lipschitz.verified import spectral_norm, up
from lawjax.network import TwoLayer

Array = Any

_RATE = 0.3  # of the usual one: values go with the product of two matrices
_START = 0.3  # standard deviation of the first entries, in units of the usual ones


class ThreeLayer(NamedTuple):
    """f(x) = outer(ReLU(A x + u)).

    Attributes:
        A: (k', d), float64.
        u: (k',), float64.
        outer: a two-layer network of dimension k' with ReLU.
    """

    A: np.ndarray
    u: np.ndarray
    outer: TwoLayer

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """f at points (n, d), shape (n,)."""
        return self.outer(np.maximum(x @ self.A.T + self.u, 0.0))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """The gradient at points (n, d), same shape."""
        before = x @ self.A.T + self.u
        return (self.outer.gradient(np.maximum(before, 0.0)) * (before > 0)) @ self.A

    def bound(self) -> float:
        """A proved upper bound on Lip(f) on R^d, with D = 1."""
        return float(up(spectral_norm(self.A) * certify(self.outer).bound))

    def record(self) -> dict[str, Any]:
        """What a certificate file holds, for `lawjax check`: the two factors of the bound, and what proves each.

        Raises:
            UserError: a bound is beyond what float64 can check.
        """
        outer = certify(self.outer).record(self.outer)
        norm = least_proved(spectral_norm(self.A), lambda norm: check.proves_norm(self.A, norm))
        inner = check.digest((self.A, self.u), "relu")
        return {
            "kind": check.DEEP,
            "bound": float(up(norm * outer["bound"])),
            "inner": inner,
            "norm": norm,
            "outer": outer,
        }

    def save(self, path: str | Path) -> None:
        """Write A, u and the outer network's arrays as outer_W, ... to an `.npz` file."""
        W, b, a, c = (np.asarray(leaf) for leaf in (self.outer.W, self.outer.b, self.outer.a, self.outer.c))
        with Path(path).open("wb") as file:
            np.savez_compressed(file, A=self.A, u=self.u, outer_W=W, outer_b=b, outer_a=a, outer_c=c)


class DeepFrontier(NamedTuple):
    """The smoothest network of two hidden layers that a search found.

    Attributes:
        network: float64.
        lower: the largest gradient at the data and at 1000 Gaussian points of their size around their mean.
        upper: a proved bound on Lip(f) on R^d.
        loss: mean square error.
        fitted: whether it is at most epsilon, with every sign right.
    """

    network: ThreeLayer
    lower: float
    upper: float
    loss: float
    fitted: bool


def search_deep(
    dataset: Dataset, k: int, config: FrontierConfig | None = None, key: Array | None = None, inner: int | None = None
) -> DeepFrontier:
    """Search for the smoothest network of two hidden layers that fits, by the bound above.

    Args:
        dataset: n points of dimension d.
        k: neurons of the second hidden layer.
        config: what to search for: ReLU on R^d, epsilon > 0.
        key: of the starts; that of seed 0 if None.
        inner: k', neurons of the first hidden layer; k if None.

    Raises:
        UserError: another activation or domain, an exact fit, k < 1.
    """
    config = checked_config(config)
    inner = k if inner is None else inner
    for name, size in (("The number of neurons k", k), ("inner", inner)):
        arguments.whole(name, size)
    if key is not None:
        arguments.key(key)
    if config.activation != "relu" or not isinstance(config.domain, Space) or config.exact or config.starts < 1:
        raise UserError("Two hidden layers are searched for ReLU on R^d, epsilon > 0 and starts >= 1.")
    config = dataclasses.replace(config, rate=_RATE * config.rate)
    units = in_own_units(dataset, config)
    key = jax.random.fold_in(jax.random.key(0, impl="threefry2x32") if key is None else key, k)
    starts = []
    for i in range(config.starts):
        of_inner, of_outer, of_factor = jax.random.split(jax.random.fold_in(key, i), 3)
        A = _START * np.asarray(jax.random.normal(of_inner, (inner, len(units.centre))))
        W = _START * np.asarray(jax.random.normal(of_outer, (k, inner)))
        signs = np.where((np.arange(k) + i) % 2, 1.0, -1.0) / math.sqrt(k)
        params = Params(W, np.zeros(k), np.ones(k), np.zeros(()), (A, np.zeros(inner)))
        U = np.asarray(start_of_relaxation(of_factor, k, RANK))
        starts.append(Start(i, *units, params, signs, U))
    points = data.float64(dataset)
    found = [_finished(params, start, points, config) for start, params in descended(starts, config)]
    return min(found, key=lambda one: (not one.fitted, one.upper if one.fitted else one.loss))


def _finished(params: Params, start: Start, dataset: Dataset, config: FrontierConfig) -> DeepFrontier:
    assert params.inner is not None
    A = params.inner[0] / start.length
    u = params.inner[1] - A @ start.centre
    first = start.form.given(TwoLayer(A, u, np.ones(len(u))))
    A, u = first.W, first.b
    hidden = Dataset(np.maximum(dataset.x @ A.T + u, 0.0), dataset.y)
    outer = TwoLayer(params.W / math.sqrt(len(A)), params.b, start.signs * params.s, params.c)
    network = ThreeLayer(A, u, shrunk(outer, hidden, config.epsilon))
    error = network(dataset.x) - dataset.y
    normal = np.random.default_rng(0).standard_normal((1000, len(start.centre)))
    around = start.form.given_points(start.centre + start.length / math.sqrt(len(start.centre)) * normal)
    gradients = network.gradient(np.concatenate([dataset.x, around]))
    loss = float(np.mean(error**2))
    fitted = loss <= config.epsilon and bool((error * dataset.y > -1.0).all())
    return DeepFrontier(network, float(np.linalg.norm(gradients, axis=1).max()), network.bound(), loss, fitted)
