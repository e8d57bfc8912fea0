"""What a search minimises, and over which networks: an interface that starts, descent and finish share.

There are networks of one hidden layer, quadratic forms (`lawjax.frontier.shallow`) and networks of two hidden layers
(`lawjax.frontier.deep`). Another kind of network is one more class with these methods.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from lawjax.data import Dataset
from lawjax.frontier.config import Descent, FrontierConfig, Starts
from lawjax.frontier.points import Points

P = TypeVar("P")  # the weights that the descent moves: a pytree of arrays
N = TypeVar("N")  # a network of one's own, a pytree that is called on points


class Weights(NamedTuple):
    """What a descent starts from.

    Attributes:
        params: the weights that the descent moves, for points of root-mean-square length one.
        signs: (k,), +-1/sqrt(k), of the last hidden layer's neurons.
        U: (k + 1, r), see `lawjax.frontier.relaxation`.
    """

    params: Any
    signs: Float[np.ndarray, " k"]
    U: Float[np.ndarray, "rows r"]


class Start(NamedTuple):
    """One start of a search: the number of its problem, the points, and the weights."""

    problem: int
    points: Points
    weights: Weights

    @property
    def n_neurons(self) -> int:
        """k."""
        return len(self.weights.signs)


@runtime_checkable
class Objective(Protocol[P, N]):
    """A kind of network, and the bound that is made small.

    Values are frozen and can be hashed: compiled programs take them as static arguments.
    """

    def rate(self, tuning: Descent) -> float:
        """Factor of the usual rate of the descent."""

    def drawn(self, key: PRNGKeyArray, number: int, k: int, dimension: int, tuning: Starts) -> Weights:
        """Weights at random for start `number` of k neurons; they hang on the arguments alone."""

    def padded(self, params: P, k: int) -> P:
        """The same network with neurons of weight 0 up to width k, NumPy arrays."""

    def unpadded(self, params: P, k: int) -> P:
        """Without them."""

    def outputs(self, params: P, signs: Float[Array, " k"], x: Float[Array, "n d"]) -> Float[Array, " n"]:
        """f at the points."""

    def squared_bound(
        self,
        params: P,
        signs: Float[Array, " k"],
        U: Float[Array, "rows r"],
        radius: Float[Array, ""],
        around: Float[Array, " d"] | None,
    ) -> tuple[Float[Array, ""], Float[Array, "rows r"]]:
        """A smooth estimate of the squared bound, and U after one more step of the iteration.

        Args:
            params: of one network.
            signs: (k,).
            U: (k + 1, r), rows of length one.
            radius: of the sphere or ball on which the bound is to hold; infinite for R^d.
            around: the middle of the sphere or ball, 0 where None is given.
        """

    def moved(self, updates: P) -> P:
        """The updates, those of weights that stay as they are set to 0."""

    def finished(self, params: P, start: Start, dataset: Dataset, config: FrontierConfig) -> N:
        """The network of the points as given, in float64, made to fit as asked for."""

    def bound(self, network: N, config: FrontierConfig) -> float:
        """A proved upper bound on its Lipschitz constant on the domain searched."""
