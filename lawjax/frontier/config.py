"""What the search is for, and how hard it tries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

from lawjax import arguments
from lawjax.domains import Domain, Space, as_domain
from lawjax.errors import UserError
from lawjax.tuning import Tuning

ACTIVATIONS = ("relu", "leaky_relu", "abs", "tanh", "softplus", "gelu", "power:2")


@dataclass(frozen=True)
class Starts(Tuning):
    """Weights at random (`lawjax.frontier.starts`).

    Attributes:
        scale: standard deviation of W's first entries, beside the usual ones: small, so that features are learnt.
        deep_scale: the same for both matrices of two hidden layers.
        rank: columns of U (`lawjax.frontier.relaxation`).
    """

    scale: float = 0.03
    deep_scale: float = 0.3
    rank: int = 16


@dataclass(frozen=True)
class Descent(Tuning):
    """The descent (`lawjax.frontier.descent`), and how many run side by side (`lawjax.frontier.stacks`).

    Attributes:
        warm_up: share of the steps in which the rate rises.
        fit_first: share of the steps in which mu follows the bound, high enough for any network to fit.
        first_mu: mu in that time, over the squared bound.
        largest_mu: mu is at most this times (1 + 4 epsilon) / sqrt(epsilon) squared bounds: what is stuck waits.
        lead: the logarithm that mu may change by in all later steps together.
        margin: f(x_i) y_i is to be above: no sign may be wrong.
        margin_weight: of squared shortfalls, beside the mean square error.
        first_target: mean square error that the search for an exact fit goes through first.
        last_target: and what it ends with, before Newton's steps.
        quadratic_rate: factor of the rate for psi = t^2, whose values go with the squares of its weights.
        deep_rate: and for two hidden layers, whose values go with the product of two matrices.
        squarings: the largest eigenvalue is approached by the norm of all of order 2^squarings.
        chunk: steps between looks of the host.
        together: widths from this share of the largest on are padded to it and run side by side.
    """

    warm_up: float = 0.02
    fit_first: float = 0.05
    first_mu: float = 10.0
    largest_mu: float = 4.0
    lead: float = 100.0
    margin: float = 0.1
    margin_weight: float = 30.0
    first_target: float = 0.02
    last_target: float = 3e-5
    quadratic_rate: float = 0.1
    deep_rate: float = 0.3
    squarings: int = 8
    chunk: int = 1000
    together: float = 0.85


@dataclass(frozen=True)
class Newton(Tuning):
    """Newton's steps to an exact fit (`lawjax.frontier.finish`).

    Attributes:
        steps: at most.
        halvings: of a step that overshoots.
        converged: largest |f(x_i) - y_i| at which they end.
    """

    steps: int = 60
    halvings: int = 12
    converged: float = 1e-11


def epsilon_of(fit: str) -> float:
    """The epsilon that a table's column `fit` names: a number in (0, 1), or 0 for "exact".

    Raises:
        UserError: another word or number.
    """
    is_exact = isinstance(fit, str) and fit == "exact"
    try:
        epsilon = 0.0 if is_exact else float(fit)
    except (TypeError, ValueError):
        epsilon = math.nan
    if not (0 < epsilon < 1 or is_exact):
        raise UserError(f'A fit is "exact" or an epsilon between 0 and 1, not {arguments.shown(fit)}.')
    return epsilon


def checked_config(config: Any) -> FrontierConfig:
    """A configuration that was given, or the defaults for None.

    Raises:
        UserError: it is something else.
    """
    if config is None:
        return FrontierConfig()
    arguments.instance("config", config, FrontierConfig, "such as FrontierConfig(epsilon=0.02)")
    return cast(FrontierConfig, config)


@dataclass(frozen=True)
class FrontierConfig:
    """What to search for, and how hard.

    Attributes:
        epsilon: mean square error at most this, and every sign right; 0 for f(x_i) = y_i (to 1e-6, in float64).
        activation: of the networks.
        domain: where the gradient is bounded: `Space()`, `Ball(radius)` or `Sphere(radius)`, or the name of one of
            radius 1; afterwards the domain itself.
        steps: of the descent.
        starts: how many starts at random.
        rate: of Adam's first steps, times 1/sqrt(k), in units in which the points have root-mean-square length one.
        random: numbers that tune the starts at random.
        descent: those of the descent.
        newton: those of the steps to an exact fit.

    Raises:
        UserError: a number out of range, an activation or domain that cannot be searched, a part of another type.
    """

    epsilon: float = 0.02
    activation: str = "relu"
    domain: Domain | str = Space()
    steps: int = 20_000
    starts: int = 2
    rate: float = 1.0
    random: Starts = Starts()
    descent: Descent = Descent()
    newton: Newton = Newton()

    def __post_init__(self) -> None:
        """Check every field."""
        arguments.word("The activation of a search", self.activation, ACTIVATIONS)
        domain = as_domain(self.domain)
        object.__setattr__(self, "domain", domain)
        if domain.tangential:
            raise UserError("The search bounds the whole gradient; take lawjax.Sphere(radius) without tangential.")
        if self.quadratic and isinstance(domain, Space):
            raise UserError("Gradients of power:2 are unbounded on R^d; search on a ball or a sphere.")
        if not 0 <= arguments.number("epsilon", self.epsilon) < 1:
            raise UserError(f"epsilon must be in [0, 1), where 1 is the error of f = 0, not {self.epsilon}.")
        arguments.positive("rate", self.rate)
        arguments.whole("steps", self.steps)
        arguments.whole("starts", self.starts, 0)
        for name, kind in (("random", Starts), ("descent", Descent), ("newton", Newton)):
            arguments.instance(name, getattr(self, name), kind, f"such as {kind.__name__}()")

    @property
    def exact(self) -> bool:
        """Whether every label is to be met."""
        return self.epsilon == 0

    @property
    def quadratic(self) -> bool:
        """Whether it is for psi = t^2, which has neither biases nor c here (appendix D.2)."""
        return self.activation == "power:2"
