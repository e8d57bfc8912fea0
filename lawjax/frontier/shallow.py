"""Networks of one hidden layer, and quadratic forms, as objectives of a search.

f(x) = sum_l sign_l s_l psi(w_l . x + b_l) + c, sign_l = +-1/sqrt(k). Where psi is positively homogeneous s_l stays one:
|a_l| and ||w_l|| are one number. For points of root-mean-square length one the entries of W are then of order one at
every width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from lawjax import activations
from lawjax.activations import Activation
from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.frontier.config import Descent, FrontierConfig, Starts
from lawjax.frontier.finish import finished
from lawjax.frontier.objective import Start, Weights
from lawjax.frontier.points import Points
from lawjax.frontier.relaxation import centred_rows, largest_eigenvalue, relaxed, start_of_relaxation
from lawjax.frontier.resize import resized
from lawjax.lipschitz import certify
from lawjax.network import TwoLayer

Floats = Float[np.ndarray, "..."] | Float[Array, "..."]


class Params(NamedTuple):
    """The weights of a network of one hidden layer.

    Attributes:
        W: (k, d).
        b: (k,).
        s: (k,), sizes of the read-out weights.
        c: ().
    """

    W: Floats
    b: Floats
    s: Floats
    c: Floats

    def padded(self, k: int) -> Params:
        """With neurons of weight 0 up to width k, NumPy arrays."""
        more = k - len(self.b)
        W, b, s = (np.pad(leaf, [(0, more)] + [(0, 0)] * (leaf.ndim - 1)) for leaf in self[:3])
        return Params(W, b, s, self.c)

    def unpadded(self, k: int) -> Params:
        """The first k neurons."""
        return Params(self.W[:k], self.b[:k], self.s[:k], self.c)


@dataclass(frozen=True)
class OneHiddenLayer:
    """Networks of one hidden layer of a psi with bounded slopes, and the relaxation of their certificates.

    Attributes:
        activation: name of psi.
        has_biases: whether b and c may be other than 0.
    """

    activation: str
    has_biases: ClassVar[bool] = True

    @property
    def psi(self) -> Activation:
        """The activation itself."""
        return activations.get(self.activation)

    def rate(self, tuning: Descent) -> float:
        """The usual one."""
        return 1.0

    def scale(self, k: int, tuning: Starts) -> float:
        """Standard deviation of W's first entries."""
        return tuning.scale

    def drawn(self, key: PRNGKeyArray, number: int, k: int, dimension: int, tuning: Starts) -> Weights:
        """Small W at random, and as many neurons of each sign."""
        of_weights, of_factor, of_signs = jax.random.split(key, 3)
        W = self.scale(k, tuning) * np.asarray(jax.random.normal(of_weights, (k, dimension)))
        # As many neurons of each sign; then the other way round, for odd k; then as they come, for the smallest k.
        alternating = np.where((np.arange(k) + number) % 2, 1.0, -1.0)
        signs = (alternating if number < 2 else np.asarray(jax.random.rademacher(of_signs, (k,)))) / math.sqrt(k)
        U = np.asarray(start_of_relaxation(of_factor, k, tuning.rank))
        return Weights(Params(W, np.zeros(k), np.ones(k), np.zeros(())), signs, U)

    def taken(self, network: TwoLayer, points: Points, key: PRNGKeyArray, k: int, tuning: Starts) -> Weights:
        """Weights from a network of the points as given, split or merged to k neurons; noise lets split neurons part.

        Raises:
            UserError: its neurons cannot be merged, or it has biases that networks of this kind have not.
        """
        of_noise, of_factor = jax.random.split(key)
        network = resized(points.form.own(network), k)
        W, b, a, c = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a, network.c))
        signs, sizes = np.where(a < 0, -1.0, 1.0) / math.sqrt(k), np.abs(a) * math.sqrt(k)
        W, b = W * points.length, b + W @ points.centre
        if self.psi.has_kink:
            W, b, sizes = W * sizes[:, None], b * sizes, np.ones(k)
        noise = tuning.scale * np.asarray(jax.random.normal(of_noise, W.shape))
        U = np.asarray(start_of_relaxation(of_factor, k, tuning.rank))
        return Weights(Params(W + noise, b, sizes, c), signs, U)

    def padded(self, params: Params, k: int) -> Params:
        """With neurons of weight 0 up to width k."""
        return params.padded(k)

    def unpadded(self, params: Params, k: int) -> Params:
        """Without them."""
        return params.unpadded(k)

    def outputs(self, params: Params, signs: Float[Array, " k"], x: Float[Array, "n d"]) -> Float[Array, " n"]:
        """f at the points."""
        return self.psi(x @ params.W.T + params.b[None, :]) @ (signs * params.s) + params.c

    def squared_bound(
        self,
        params: Params,
        signs: Float[Array, " k"],
        U: Float[Array, "rows r"],
        radius: Float[Array, ""] | float,
        around: Float[Array, " d"] | None = None,
    ) -> tuple[Float[Array, ""], Float[Array, "rows r"]]:
        """The relaxation with the slopes that occur in the ball: neurons that never cross their kink have one."""
        low, high = self.psi.slope_interval or (0.0, 0.0)
        alpha, beta = jnp.full_like(params.b, low), jnp.full_like(params.b, high)
        if self.psi.has_kink:
            reach = radius * jnp.linalg.norm(params.W, axis=1)
            middle = params.b if around is None else params.b + params.W @ around
            alpha, beta = jnp.where(middle >= reach, high, alpha), jnp.where(-middle >= reach, low, beta)
        return relaxed(centred_rows((signs * params.s)[:, None] * params.W, alpha, beta), U)

    def moved(self, updates: Params) -> Params:
        """Where psi has a kink, and so is homogeneous, s stays."""
        return updates._replace(s=jnp.zeros_like(updates.s)) if self.psi.has_kink else updates

    def finished(self, params: Params, start: Start, dataset: Dataset, config: FrontierConfig) -> TwoLayer:
        """The scale of the points goes into W, which is right for every psi; then the network is made to fit."""
        centre, form = start.points.centre, start.points.form
        W = params.W / start.points.length
        a = start.weights.signs * params.s
        network = TwoLayer(W, params.b - W @ centre, a, params.c, self.activation)
        return finished(network, form, dataset, config, biases=self.has_biases)

    def bound(self, network: TwoLayer, config: FrontierConfig) -> float:
        """That of its certificate."""
        return certify(network, config.domain).bound


@dataclass(frozen=True)
class QuadraticForms(OneHiddenLayer):
    """psi = t^2 without biases and c (appendix D.2): the gradient's norm on the ball is that of a matrix.

    Attributes:
        squarings: of the matrix, see `lawjax.frontier.relaxation.largest_eigenvalue`.
    """

    activation: str = "power:2"
    squarings: int = 8
    has_biases: ClassVar[bool] = False

    def rate(self, tuning: Descent) -> float:
        """Values go with the squares of the weights."""
        return tuning.quadratic_rate

    def scale(self, k: int, tuning: Starts) -> float:
        """Of order one in the sum over the neurons."""
        return 1.0 / math.sqrt(k)

    def taken(self, network: TwoLayer, points: Points, key: PRNGKeyArray, k: int, tuning: Starts) -> Weights:
        """Weights from a form."""
        if np.any(network.b) or np.any(network.c):
            raise UserError(f"{network!r} has biases or a constant, which quadratic forms have not here.")
        return super().taken(network, points, key, k, tuning)

    def squared_bound(
        self,
        params: Params,
        signs: Float[Array, " k"],
        U: Float[Array, "rows r"],
        radius: Float[Array, ""] | float,
        around: Float[Array, " d"] | None = None,
    ) -> tuple[Float[Array, ""], Float[Array, "rows r"]]:
        """(2 R ||T||_op)^2 for T = sum_l a_l w_l w_l^T, nearly; U stays."""
        T = (params.W.T * (signs * params.s)[None, :]) @ params.W
        return (2.0 * radius) ** 2 * largest_eigenvalue(jnp.asarray(T @ T), self.squarings), U

    def moved(self, updates: Params) -> Params:
        """b and c stay 0."""
        return updates._replace(b=jnp.zeros_like(updates.b), c=jnp.zeros_like(updates.c))


def objective_of(config: FrontierConfig) -> OneHiddenLayer:
    """The objective of a search for networks of one hidden layer."""
    return QuadraticForms(squarings=config.descent.squarings) if config.quadratic else OneHiddenLayer(config.activation)
