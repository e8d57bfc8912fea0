"""The smoothest networks that fit: among all networks of width k, not only those that training finds.

Conjecture 1 speaks of every network; this searches for the one with the smallest certificate. What comes back is an
upper bound on how smooth a network of width k can be, with proof; no search proves that there is no smoother one.

    >>> from lawjax import data
    >>> points = data.gaussian(jax.random.key(0), n=20, d=10)
    >>> found = search(points, 5, FrontierConfig(steps=500))
    >>> found.fitted, bool(found.bracket.lower <= found.bracket.upper)
    (True, True)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from lawjax import arguments
from lawjax.data import Dataset
from lawjax.frontier.config import FrontierConfig, checked_config
from lawjax.frontier.selection import selected
from lawjax.frontier.shallow import objective_of
from lawjax.frontier.starts import Problem, starts_of
from lawjax.lipschitz import Bracket, bracket
from lawjax.network import TwoLayer


class Frontier(NamedTuple):
    """The smoothest network that a search found.

    Attributes:
        network: of smallest certified bound among the starts that fit; of smallest error if none does. Its weights are
            float32, in float64 for an exact fit, and for points so far from 0 or of such a size that they need it.
        bracket: its Lipschitz constant from both sides, on the domain searched.
        loss: its mean square error, in float64.
        fit_error: max |f(x_i) - y_i|, in float64.
        fitted: whether it fits as asked for.
        uppers: (starts,), the certified bound of every start; nan for those that do not fit.
    """

    network: TwoLayer
    bracket: Bracket
    loss: float
    fit_error: float
    fitted: bool
    uppers: Float[np.ndarray, " starts"]


def search(
    dataset: Dataset,
    k: int,
    config: FrontierConfig | None = None,
    key: PRNGKeyArray | None = None,
    initial: Sequence[TwoLayer] = (),
) -> Frontier:
    """Search for the network of k neurons that fits with the smallest certified Lipschitz constant.

    Args:
        dataset: n points of dimension d with labels -1 and +1.
        k: number of neurons.
        config: what to search for.
        key: of the starts; that of seed 0 if None.
        initial: networks to start from besides.

    Raises:
        UserError: an invalid data set, k < 1, nothing to start from, initial networks of another dimension, points of
            opposite labels that are equal or that float32 cannot tell apart, points too far from 0 for forms t^2 or an
            exact fit.
    """
    key = jax.random.key(0, impl="threefry2x32") if key is None else key
    return search_all([Problem(dataset, k, key, initial)], config)[0]


def search_all(
    problems: Sequence[Problem],
    config: FrontierConfig | None = None,
    on_steps: Callable[[int], None] | None = None,
) -> list[Frontier]:
    """All searches, those of one (n, d) and similar widths side by side. Arguments and errors as for `search`.

    Args:
        problems: in any order.
        config: for all of them.
        on_steps: called from time to time with the number of steps that were made, a step of each start counted.
    """
    config = checked_config(config)
    for problem in arguments.sequence("problems", problems):
        arguments.instance("A problem", problem, Problem, "made by Problem(dataset, k, key)")
    objective = objective_of(config)
    starts = [start for i, problem in enumerate(problems) for start in starts_of(i, problem, objective, config)]
    found = selected(starts, [problem.dataset for problem in problems], objective, config, on_steps)
    return [
        Frontier(one.network, bracket(one.network, config.domain), one.loss, one.fit_error, one.fitted, one.uppers)
        for one in found
    ]
