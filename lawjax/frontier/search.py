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
from typing import Any, NamedTuple

import jax
import numpy as np

from lawjax import arguments, data
from lawjax.data import Dataset
from lawjax.frontier.batches import descended
from lawjax.frontier.config import FrontierConfig, checked_config
from lawjax.frontier.finish import EXACT, interpolating, shrunk
from lawjax.frontier.starts import Problem, folded, starts_of
from lawjax.lipschitz import Bracket, bracket, certify
from lawjax.network import TwoLayer
from lawjax.standard import StandardForm

Array = Any

_ROUNDING = 1e-5  # of the loss, left for rounding the weights to float32


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
    uppers: np.ndarray


def search(
    dataset: Dataset,
    k: int,
    config: FrontierConfig | None = None,
    key: Array | None = None,
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
    prepared = [start for i, problem in enumerate(problems) for start in starts_of(i, problem, config)]
    datasets = [data.float64(problem.dataset) for problem in problems]
    finished: list[list[TwoLayer]] = [[] for _ in problems]
    for start, params in descended(prepared, config, on_steps):
        network = folded(params, start, config)
        finished[start.problem].append(_finished(network, start.form, datasets[start.problem], config))
    return [_best(networks, dataset, config) for networks, dataset in zip(finished, datasets, strict=True)]


def _best(finished: Sequence[TwoLayer], dataset: Dataset, config: FrontierConfig) -> Frontier:
    """Certify every start, bracket the best."""
    errors = [network.astype(np.float64)(dataset.x) - dataset.y for network in finished]
    fits = [_fits(error, dataset, config) for error in errors]
    uppers = np.array(
        [certify(network, config.domain).bound if fit else np.nan for network, fit in zip(finished, fits, strict=True)]
    )
    best = int(np.nanargmin(uppers)) if any(fits) else int(np.argmin([np.mean(error**2) for error in errors]))
    found = bracket(finished[best], config.domain)
    loss, fit_error = float(np.mean(errors[best] ** 2)), float(np.abs(errors[best]).max())
    return Frontier(finished[best], found, loss, fit_error, fits[best], uppers)


def _finished(network: TwoLayer, form: StandardForm, dataset: Dataset, config: FrontierConfig) -> TwoLayer:
    """The network of the points as given, from one of their standard form, made to fit as asked for."""
    if config.exact:
        own = Dataset(form.points(dataset.x), dataset.y)
        exact = form.given(interpolating(network, own, biases=not config.quadratic))
        return exact if _fits(exact(dataset.x) - dataset.y, dataset, config) else form.given(network)
    epsilon = config.epsilon * (1.0 - _ROUNDING)
    network = shrunk(form.given(network), dataset, epsilon, constant=not config.quadratic)
    return form.rounded(network, np.float32)


def _fits(error: np.ndarray, dataset: Dataset, config: FrontierConfig) -> bool:
    if config.exact:
        return bool(np.abs(error).max() <= EXACT)
    return bool(np.mean(error**2) <= config.epsilon and (error * dataset.y > -1.0).all())
