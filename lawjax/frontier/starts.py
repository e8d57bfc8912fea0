"""Where searches start: weights at random, or networks at hand, for points in units of their own length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lawjax import activations, arguments, data
from lawjax.data import Dataset
from lawjax.domains import Space, check_single
from lawjax.errors import UserError
from lawjax.frontier.config import FrontierConfig
from lawjax.frontier.objective import Params, start_of_relaxation
from lawjax.frontier.resize import resized
from lawjax.network import TwoLayer
from lawjax.standard import StandardForm, check_separable, standard_form

Array = Any

RANK = 16  # columns of U
_LARGEST_RADIUS = 1e12  # in units of the points' length: for float32 as good as none
_LEAST_OF_FORMS = 0.5
_FARTHEST_OF_FORMS = 50.0
_FARTHEST_OF_EXACT_FITS = 2e9  # times 2^-53: a tenth of what an exact fit may be off by
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
        x: (n, d), float32, the points in standard form less `centre`, in units of `length`, their root mean square.
        y: (n,), float32.
        form: the standard form.
        centre: (d,).
        length: see x.
        radius: of the ball or sphere in these units, infinite for R^d.
        around: (d,), the middle of the ball or sphere in these units, None where it is 0.
        params: weights for these points.
        signs: (k,), of the neurons, times 1/sqrt(k).
        U: (k + 1, r), see `lawjax.frontier.objective`.
    """

    problem: int
    x: np.ndarray
    y: np.ndarray
    form: StandardForm
    centre: np.ndarray
    length: float
    radius: float
    around: np.ndarray | None
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
    arguments.whole("The number of neurons k", k)
    arguments.key(problem.key)
    arguments.sequence("initial", problem.initial)
    if not config.starts and not problem.initial:
        raise UserError("There is nothing to start from: ask for starts >= 1 or give initial networks.")
    units = in_own_units(problem.dataset, config)
    d = len(units.centre)
    key = jax.random.fold_in(problem.key, k)
    for i in range(config.starts):
        of_weights, of_factor, of_signs = jax.random.split(jax.random.fold_in(key, i), 3)
        scale = _START if not config.quadratic else 1.0 / math.sqrt(k)
        W = scale * np.asarray(jax.random.normal(of_weights, (k, d)))
        # As many neurons of each sign; then the other way round, for odd k; then as they come, for the smallest k.
        alternating = np.where((np.arange(k) + i) % 2, 1.0, -1.0)
        signs = (alternating if i < 2 else np.asarray(jax.random.rademacher(of_signs, (k,)))) / math.sqrt(k)
        U = np.asarray(start_of_relaxation(of_factor, k, RANK))
        yield Start(number, *units, Params(W, np.zeros(k), np.ones(k), np.zeros(())), signs, U)
    for i, network in enumerate(problem.initial):
        check_single(network)
        if network.dimension != d or network.activation.name != config.activation:
            raise UserError(f"{network!r} cannot start a search in dimension {d} for {config.activation}.")
        if config.quadratic and (np.any(network.b) or np.any(network.c)):
            raise UserError(f"{network!r} has biases or a constant, which quadratic forms have not here.")
        of_noise, of_factor = jax.random.split(jax.random.fold_in(key, config.starts + i))
        params, signs = _unfolded(resized(units.form.own(network), k), units, config)
        noise = _START * np.asarray(jax.random.normal(of_noise, params.W.shape))  # so that split neurons part
        U = np.asarray(start_of_relaxation(of_factor, k, RANK))
        yield Start(number, *units, params._replace(W=params.W + noise), signs, U)


class Units(NamedTuple):
    """What a `Start` says of its points: x, y, form, centre, length, radius and around."""

    x: np.ndarray
    y: np.ndarray
    form: StandardForm
    centre: np.ndarray
    length: float
    radius: float
    around: np.ndarray | None


def in_own_units(dataset: Dataset, config: FrontierConfig) -> Units:
    """The points as they are searched.

    A shift moves R^d into itself, and a ball into one around another point; forms t^2 have no biases to follow it.

    Raises:
        UserError: an invalid data set, points of opposite labels that are equal or that float32 cannot tell apart,
            points too far from 0 for what is asked for.
    """
    dataset = data.float64(dataset)
    form = standard_form(dataset.x, movable=not config.quadratic)
    x, space = form.points(dataset.x), isinstance(config.domain, Space)
    centre = x.mean(0) if space else np.zeros(x.shape[1])
    length = math.sqrt(float(np.mean(np.sum((x - centre) ** 2, axis=1)))) or 1.0
    own = ((x - centre) / length).astype(np.float32)
    check_separable(dataset, own, "rescale the features in which they differ, or remove a point")
    origin = None if form.shift is None else form.points(np.zeros(x.shape[1])) / length
    _check_near_enough(own, origin, config)
    radius = math.inf if space else _searched_radius(math.ldexp(config.domain.radius, -form.exponent) / length, config)
    around = None if space else origin
    return Units(own, dataset.y.astype(np.float32), form, centre, length, radius, around)


def _check_near_enough(own: np.ndarray, origin: np.ndarray | None, config: FrontierConfig) -> None:
    """Refuse what no precision at hand can search, for the mean is too many times the points' length around it."""
    mean = float(np.linalg.norm(own.mean(0, dtype=np.float64)))
    if config.quadratic and 1.0 - mean**2 < _FARTHEST_OF_FORMS**-2:
        raise UserError(
            f"The mean of the points is more than {_FARTHEST_OF_FORMS:g} times their spread, and forms t^2 have no "
            "biases to follow it: pass x - x.mean(0), or take another activation."
        )
    if config.exact and origin is not None and np.linalg.norm(origin) > _FARTHEST_OF_EXACT_FITS:
        raise UserError(
            f"The mean of the points is {np.linalg.norm(origin):.2g} times their spread, where float64 cannot tell an "
            "exact fit: pass x - x.mean(0), or epsilon > 0."
        )


def _searched_radius(radius: float, config: FrontierConfig) -> float:
    """The radius within float32; for forms t^2, whose gradient it only multiplies, never so small that none is left."""
    if config.quadratic and radius < _LEAST_OF_FORMS:
        return 1.0
    return min(max(radius, 1.0 / _LARGEST_RADIUS), _LARGEST_RADIUS)


def folded(params: Params, start: Start, config: FrontierConfig) -> TwoLayer:
    """The network of points in standard form: the unit goes into W, which is right for every psi."""
    W = params.W / start.length
    return TwoLayer(W, params.b - W @ start.centre, start.signs * params.s, params.c, config.activation)


def _unfolded(network: TwoLayer, units: Units, config: FrontierConfig) -> tuple[Params, np.ndarray]:
    """The inverse: parameters and signs for points in units of their length."""
    W, b, a, c = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a, network.c))
    k = len(a)
    signs, sizes = np.where(a < 0, -1.0, 1.0) / math.sqrt(k), np.abs(a) * math.sqrt(k)
    W, b = W * units.length, b + W @ units.centre
    if activations.get(config.activation).has_kink:
        W, b, sizes = W * sizes[:, None], b * sizes, np.ones(k)
    return Params(W, b, sizes, c), signs
