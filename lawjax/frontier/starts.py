"""Where searches start: weights at random, or networks at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
from jaxtyping import PRNGKeyArray

from lawjax import arguments
from lawjax.data import Dataset
from lawjax.domains import check_single
from lawjax.errors import UserError
from lawjax.frontier.config import FrontierConfig
from lawjax.frontier.objective import Objective, Start
from lawjax.frontier.points import Points, standardised
from lawjax.frontier.shallow import OneHiddenLayer
from lawjax.network import TwoLayer


class Problem(NamedTuple):
    """One search.

    Attributes:
        dataset: n points of dimension d.
        k: number of neurons.
        key: of the starts; a start's weights hang on the key, k and the start's number alone.
        initial: networks to start from besides, of any widths: split or merged to k.
    """

    dataset: Dataset
    k: int
    key: PRNGKeyArray
    initial: Sequence[TwoLayer] = ()


def random_starts(
    number: int, points: Points, k: int, key: PRNGKeyArray, objective: Objective[Any, Any], config: FrontierConfig
) -> Iterator[Start]:
    """Starts at random.

    Args:
        number: of the problem.
        points: those of its data set.
        k: number of neurons.
        key: of the problem.
        objective: which weights are drawn.
        config: how many starts.
    """
    key = jax.random.fold_in(key, k)
    for i in range(config.starts):
        own = jax.random.fold_in(key, i)
        yield Start(number, points, objective.drawn(own, i, k, len(points.centre), config.random))


def starts_of(number: int, problem: Problem, objective: OneHiddenLayer, config: FrontierConfig) -> Iterator[Start]:
    """All starts of a problem.

    Args:
        number: of the problem.
        problem: what is searched.
        objective: among which networks.
        config: how.

    Raises:
        UserError: an invalid data set, k < 1, nothing to start from, initial networks of another dimension or
            activation, quadratic ones with biases.
    """
    k = problem.k
    arguments.whole("The number of neurons k", k)
    arguments.key(problem.key)
    arguments.sequence("initial", problem.initial)
    if not config.starts and not problem.initial:
        raise UserError("There is nothing to start from: ask for starts >= 1 or give initial networks.")
    points = standardised(problem.dataset, config)
    yield from random_starts(number, points, k, problem.key, objective, config)
    key = jax.random.fold_in(problem.key, k)
    d = len(points.centre)
    for i, network in enumerate(problem.initial, config.starts):
        check_single(network)
        if network.dimension != d or network.activation.name != config.activation:
            raise UserError(f"{network!r} cannot start a search in dimension {d} for {config.activation}.")
        yield Start(number, points, objective.taken(network, points, jax.random.fold_in(key, i), k, config.random))
