"""What the search is for, and how hard it tries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

from lawjax import arguments
from lawjax.domains import Domain, Space, as_domain
from lawjax.errors import UserError

ACTIVATIONS = ("relu", "leaky_relu", "abs", "tanh", "softplus", "gelu", "power:2")


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
            radius 1.
        steps: of the descent.
        starts: how many starts at random.
        rate: of Adam's first steps, times 1/sqrt(k), in units in which the points have root-mean-square length one.

    Raises:
        UserError: a number out of range, an activation or domain that cannot be searched.
    """

    epsilon: float = 0.02
    activation: str = "relu"
    domain: Domain = Space()
    steps: int = 20_000
    starts: int = 2
    rate: float = 1.0

    def __post_init__(self) -> None:
        """Check every field."""
        arguments.word("The activation of a search", self.activation, ACTIVATIONS)
        object.__setattr__(self, "domain", as_domain(self.domain))
        if self.domain.tangential:
            raise UserError("The search bounds the whole gradient; take lawjax.Sphere(radius) without tangential.")
        if self.quadratic and isinstance(self.domain, Space):
            raise UserError("Gradients of power:2 are unbounded on R^d; search on a ball or a sphere.")
        if not 0 <= arguments.number("epsilon", self.epsilon) < 1:
            raise UserError(f"epsilon must be in [0, 1), where 1 is the error of f = 0, not {self.epsilon}.")
        arguments.positive("rate", self.rate)
        arguments.whole("steps", self.steps)
        arguments.whole("starts", self.starts, 0)

    @property
    def exact(self) -> bool:
        """Whether every label is to be met."""
        return self.epsilon == 0

    @property
    def quadratic(self) -> bool:
        """Whether it is for psi = t^2, which has neither biases nor c here (appendix D.2)."""
        return self.activation == "power:2"
