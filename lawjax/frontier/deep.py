"""Networks of two hidden layers: how smooth can they be? A sound bound, if a looser one, and the same search.

f(x) = g(ReLU(A x + u)) for a two-layer network g of k neurons on R^k'. ReLU commutes with positive diagonal matrices D,
so that f(x) = g(D^-1 ReLU(D A x + D u)), and ReLU is no steeper than the identity:

    Lip(f) <= ||D A||_op Lip(g D^-1) for every D > 0,

the latter bounded by the certificate of g D^-1. The search minimises it for D = 1, which is no restriction: D can be
moved into the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from lawjax import activations, arguments, check, data
from lawjax.data import Dataset
from lawjax.domains import Space
from lawjax.errors import UserError
from lawjax.frontier.config import Descent, FrontierConfig, Starts, checked_config
from lawjax.frontier.finish import shrunk
from lawjax.frontier.objective import Start, Weights
from lawjax.frontier.points import Points, standardised
from lawjax.frontier.relaxation import centred_rows, relaxed, squared_norm, start_of_relaxation
from lawjax.frontier.selection import selected
from lawjax.frontier.shallow import Floats, Params
from lawjax.frontier.starts import random_starts
from lawjax.lipschitz import certify
from lawjax.lipschitz.upper.proofs import least_proved
from lawjax.lipschitz.verified import spectral_norm, up
from lawjax.network import TwoLayer


class ThreeLayer(NamedTuple):
    """f(x) = outer(ReLU(A x + u)).

    Attributes:
        A: (k', d), float64.
        u: (k',), float64.
        outer: a two-layer network of dimension k' with ReLU.
    """

    A: Float[np.ndarray, "inner d"]
    u: Float[np.ndarray, " inner"]
    outer: TwoLayer

    def __call__(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """f at points (n, d), shape (n,)."""
        return self.outer(np.maximum(x @ self.A.T + self.u, 0.0))

    def gradient(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
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


class DeepParams(NamedTuple):
    """The weights of two hidden layers.

    Attributes:
        outer: of the network g; W is (k, k') and acts on values over sqrt(k'), so that its entries are of order one.
        A: (k', d).
        u: (k',).
    """

    outer: Params
    A: Floats
    u: Floats


@dataclass(frozen=True)
class TwoHiddenLayers:
    """Networks of two hidden layers of ReLUs, and the bound above, as an objective of a search.

    Attributes:
        inner: k'.
        squarings: of A'A, see `lawjax.frontier.relaxation.largest_eigenvalue`.
    """

    inner: int
    squarings: int

    def rate(self, tuning: Descent) -> float:
        """Values go with the product of two matrices."""
        return tuning.deep_rate

    def drawn(self, key: PRNGKeyArray, number: int, k: int, dimension: int, tuning: Starts) -> Weights:
        """Both matrices small and at random, and as many neurons of each sign."""
        of_inner, of_outer, of_factor = jax.random.split(key, 3)
        A = tuning.deep_scale * np.asarray(jax.random.normal(of_inner, (self.inner, dimension)))
        W = tuning.deep_scale * np.asarray(jax.random.normal(of_outer, (k, self.inner)))
        signs = np.where((np.arange(k) + number) % 2, 1.0, -1.0) / math.sqrt(k)
        params = DeepParams(Params(W, np.zeros(k), np.ones(k), np.zeros(())), A, np.zeros(self.inner))
        return Weights(params, signs, np.asarray(start_of_relaxation(of_factor, k, tuning.rank)))

    def padded(self, params: DeepParams, k: int) -> DeepParams:
        """With neurons of weight 0 up to width k."""
        return params._replace(outer=params.outer.padded(k))

    def unpadded(self, params: DeepParams, k: int) -> DeepParams:
        """Without them."""
        return params._replace(outer=params.outer.unpadded(k))

    def outputs(self, params: DeepParams, signs: Float[Array, " k"], x: Float[Array, "n d"]) -> Float[Array, " n"]:
        """f at the points."""
        psi, outer = activations.get("relu"), params.outer
        hidden = psi(x @ params.A.T + params.u[None, :]) / math.sqrt(self.inner)
        return psi(hidden @ outer.W.T + outer.b[None, :]) @ (signs * outer.s) + outer.c

    def squared_bound(
        self,
        params: DeepParams,
        signs: Float[Array, " k"],
        U: Float[Array, "rows r"],
        radius: Float[Array, ""] | float,
        around: Float[Array, " d"] | None = None,
    ) -> tuple[Float[Array, ""], Float[Array, "rows r"]]:
        """The relaxation of the outer network times ||A||_op^2: the first layer is no steeper than its matrix."""
        outer = params.outer
        alpha, beta = jnp.zeros_like(outer.b), jnp.ones_like(outer.b)
        squared, U = relaxed(centred_rows((signs * outer.s)[:, None] * outer.W, alpha, beta), U)
        return squared * squared_norm(jnp.asarray(params.A), self.squarings) / self.inner, U

    def moved(self, updates: DeepParams) -> DeepParams:
        """The sizes s stay one, as ReLU is homogeneous."""
        outer = updates.outer
        return updates._replace(outer=outer._replace(s=jnp.zeros_like(outer.s)))

    def finished(self, params: DeepParams, start: Start, dataset: Dataset, config: FrontierConfig) -> ThreeLayer:
        """The network of the points as given, of least size."""
        points, outer = start.points, params.outer
        A = params.A / points.length
        u = params.u - A @ points.centre
        first = points.form.given(TwoLayer(A, u, np.ones(len(u))))
        A, u = first.W, first.b
        hidden = Dataset(np.maximum(dataset.x @ A.T + u, 0.0), dataset.y)
        network = TwoLayer(outer.W / math.sqrt(len(A)), outer.b, start.weights.signs * outer.s, outer.c)
        return ThreeLayer(A, u, shrunk(network, hidden, config.epsilon))

    def bound(self, network: ThreeLayer, config: FrontierConfig) -> float:
        """The bound above."""
        return network.bound()


def search_deep(
    dataset: Dataset,
    k: int,
    config: FrontierConfig | None = None,
    key: PRNGKeyArray | None = None,
    inner: int | None = None,
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
    key = jax.random.key(0, impl="threefry2x32") if key is None else key
    points = standardised(dataset, config)
    objective = TwoHiddenLayers(inner, config.descent.squarings)
    starts = list(random_starts(0, points, k, key, objective, config))
    [best] = selected(starts, [dataset], objective, config)
    upper = float(np.nanmin(best.uppers)) if best.fitted else best.network.bound()
    lower = _largest_gradient(best.network, data.float64(dataset), points)
    return DeepFrontier(best.network, lower, upper, best.loss, best.fitted)


def _largest_gradient(network: ThreeLayer, dataset: Dataset, points: Points) -> float:
    """At the data and at 1000 Gaussian points of their size around their mean."""
    normal = np.random.default_rng(0).standard_normal((1000, len(points.centre)))
    around = points.form.given_points(points.centre + points.length / math.sqrt(len(points.centre)) * normal)
    gradients = network.gradient(np.concatenate([dataset.x, around]))
    return float(np.linalg.norm(gradients, axis=1).max())
