"""Where searches start: weights at random, or networks at hand, for points in units of their own length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lawjax import activations, data
from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.frontier.config import FrontierConfig
from lawjax.frontier.objective import Params, start_of_relaxation
from lawjax.frontier.resize import resized
from lawjax.network import TwoLayer

Array = Any

RANK = 16  # columns of U
_START = 0.03  # standard deviation of W's first entries, in units of the usual ones: small, so that features are learnt


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
    key: Array
    initial: Sequence[TwoLayer] = ()


class Start(NamedTuple):
    """One start of a search.

    Attributes:
        problem: which one it belongs to.
        x: (n, d), float32, the points less `centre`, in units of `length`, which is their root mean square.
        y: (n,), float32.
        centre: (d,).
        length: see x.
        params: weights for these points.
        signs: (k,), of the neurons, times 1/sqrt(k).
        U: (k + 1, r), see `lawjax.frontier.objective`.
    """

    problem: int
    x: np.ndarray
    y: np.ndarray
    centre: np.ndarray
    length: float
    params: Params
    signs: np.ndarray
    U: np.ndarray


def starts_of(number: int, problem: Problem, config: FrontierConfig) -> Iterator[Start]:
    """All starts of a problem.

    Args:
        number: of the problem.
        problem: what is searched.
        config: how.

    Raises:
        UserError: an invalid data set, k < 1, nothing to start from, initial networks of another dimension or
            activation, quadratic ones with biases.
    """
    k = problem.k
    if k < 1:
        raise UserError(f"A network has k >= 1 neurons, not {k}.")
    if not config.starts and not problem.initial:
        raise UserError("There is nothing to start from: ask for starts >= 1 or give initial networks.")
    x, y, centre, length = in_own_units(problem.dataset, config)
    d = len(centre)
    key = jax.random.fold_in(problem.key, k)
    for i in range(config.starts):
        of_weights, of_factor, of_signs = jax.random.split(jax.random.fold_in(key, i), 3)
        scale = _START if not config.quadratic else 1.0 / math.sqrt(k)
        W = scale * np.asarray(jax.random.normal(of_weights, (k, d)))
        # As many neurons of each sign; then the other way round, for odd k; then as they come, for the smallest k.
        alternating = np.where((np.arange(k) + i) % 2, 1.0, -1.0)
        signs = (alternating if i < 2 else np.asarray(jax.random.rademacher(of_signs, (k,)))) / math.sqrt(k)
        U = np.asarray(start_of_relaxation(of_factor, k, RANK))
        yield Start(number, x, y, centre, length, Params(W, np.zeros(k), np.ones(k), np.zeros(())), signs, U)
    for i, network in enumerate(problem.initial):
        if network.dimension != d or network.activation != config.activation:
            raise UserError(f"{network!r} cannot start a search in dimension {d} for {config.activation}.")
        if config.quadratic and (np.any(network.b) or np.any(network.c)):
            raise UserError(f"{network!r} has biases or a constant, which quadratic forms have not here.")
        of_noise, of_factor = jax.random.split(jax.random.fold_in(key, config.starts + i))
        params, signs = _unfolded(resized(network, k), centre, length, config)
        noise = _START * np.asarray(jax.random.normal(of_noise, params.W.shape))  # so that split neurons part
        U = np.asarray(start_of_relaxation(of_factor, k, RANK))
        yield Start(number, x, y, centre, length, params._replace(W=params.W + noise), signs, U)


def in_own_units(dataset: Dataset, config: FrontierConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """x, y, centre and length of a `Start`."""
    x, y = data.float64(dataset)
    centre = x.mean(0) if config.domain == "space" else np.zeros(x.shape[1])  # a shift moves R^d into itself
    length = math.sqrt(float(np.mean(np.sum((x - centre) ** 2, axis=1)))) or 1.0
    return ((x - centre) / length).astype(np.float32), y.astype(np.float32), centre, length


def folded(params: Params, start: Start, config: FrontierConfig) -> TwoLayer:
    """In the units of the data: the unit goes into W, which is right for every psi."""
    W = params.W / start.length
    return TwoLayer(W, params.b - W @ start.centre, start.signs * params.s, params.c, config.activation)


def _unfolded(
    network: TwoLayer, centre: np.ndarray, length: float, config: FrontierConfig
) -> tuple[Params, np.ndarray]:
    """The inverse: parameters and signs for points in units of their length."""
    W, b, a, c = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a, network.c))
    k = len(a)
    signs, sizes = np.where(a < 0, -1.0, 1.0) / math.sqrt(k), np.abs(a) * math.sqrt(k)
    W, b = W * length, b + W @ centre
    if activations.get(config.activation).has_kink:
        W, b, sizes = W * sizes[:, None], b * sizes, np.ones(k)
    return Params(W, b, sizes, c), signs
