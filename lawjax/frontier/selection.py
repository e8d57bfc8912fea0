"""Of all starts of a search, descended and made to fit, the one with the smallest proved bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import jax
import numpy as np
from jaxtyping import Float

from lawjax import data
from lawjax.data import Dataset
from lawjax.frontier.config import FrontierConfig
from lawjax.frontier.finish import fits
from lawjax.frontier.objective import N, Objective, Start
from lawjax.frontier.stacks import descended


@dataclass(frozen=True, eq=False)
class Selected(Generic[N]):
    """The best of a problem's starts.

    Attributes:
        network: of smallest proved bound among the starts that fit; of smallest error if none does.
        loss: its mean square error, in float64.
        fit_error: max |f(x_i) - y_i|, in float64.
        fitted: whether it fits as asked for.
        uppers: (starts,), the proved bound of every start; nan for those that do not fit.
    """

    network: N
    loss: float
    fit_error: float
    fitted: bool
    uppers: Float[np.ndarray, " starts"]


def selected(
    starts: Sequence[Start],
    datasets: Sequence[Dataset],
    objective: Objective[Any, N],
    config: FrontierConfig,
    on_steps: Callable[[int], None] | None = None,
) -> list[Selected[N]]:
    """The best network of each problem.

    Args:
        starts: of all problems.
        datasets: of the problems, in the order of their numbers.
        objective: what is minimised.
        config: what is searched for.
        on_steps: see `lawjax.frontier.stacks.descended`.
    """
    datasets = [data.float64(dataset) for dataset in datasets]
    networks: list[list[N]] = [[] for _ in datasets]
    for start, params in descended(starts, objective, config, on_steps):
        networks[start.problem].append(objective.finished(params, start, datasets[start.problem], config))
    return [_best(own, dataset, objective, config) for own, dataset in zip(networks, datasets, strict=True)]


def _best(networks: Sequence[N], dataset: Dataset, objective: Objective[Any, N], config: FrontierConfig) -> Selected[N]:
    exact = [jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), network) for network in networks]
    errors = [network(dataset.x) - dataset.y for network in exact]
    fit = [fits(error, dataset, config) for error in errors]
    uppers = np.array(
        [objective.bound(network, config) if fit else np.nan for network, fit in zip(networks, fit, strict=True)]
    )
    best = int(np.nanargmin(uppers)) if any(fit) else int(np.argmin([np.mean(error**2) for error in errors]))
    loss, fit_error = float(np.mean(errors[best] ** 2)), float(np.abs(errors[best]).max())
    return Selected(networks[best], loss, fit_error, fit[best], uppers)
