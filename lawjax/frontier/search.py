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

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lawjax import activations, data
from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.frontier import descent
from lawjax.frontier.finish import EXACT, interpolating, shrunk
from lawjax.frontier.objective import Params, start_of_relaxation
from lawjax.frontier.resize import resized
from lawjax.lipschitz import Bracket, certify
from lawjax.lipschitz.brackets import brackets
from lawjax.lipschitz.domains import DOMAINS, check_domain
from lawjax.network import TwoLayer

Array = Any

ACTIVATIONS = ("relu", "leaky_relu", "abs", "tanh", "softplus", "gelu", "power:2")
_QUADRATIC_RATE = 0.1  # of psi = t^2, whose values go with the squares of its weights, in units of the usual rate
_CHUNK = 1000  # steps between looks of the host
_START = 0.03  # standard deviation of W's first entries, in units of the usual ones: small, so that features are learnt
_RANK = 16  # columns of U
_TOGETHER = 0.85  # widths from this share of the largest on are padded to it and run side by side
_FIRST_TARGET = 0.02  # mean square error that the search for an exact fit goes through first
_ROUNDING = 1e-5  # of the loss, left for rounding the weights to float32
_LAST_TARGET = 3e-5  # and what it ends with, before Newton's steps


@dataclass(frozen=True)
class FrontierConfig:
    """What to search for, and how hard.

    Attributes:
        epsilon: mean square error at most this, and every sign right; 0 for f(x_i) = y_i (to 1e-6, in float64).
        activation: of the networks.
        domain: where the gradient is bounded: "space" (R^d), "ball" or "sphere".
        radius: of the ball or sphere.
        steps: of the descent.
        starts: how many starts at random.
        rate: of Adam's first steps, times 1/sqrt(k), in units in which the points have root-mean-square length one.

    Raises:
        UserError: a number out of range, an activation or domain that cannot be searched.
    """

    epsilon: float = 0.02
    activation: str = "relu"
    domain: str = "space"
    radius: float = 1.0
    steps: int = 20_000
    starts: int = 2
    rate: float = 1.0

    def __post_init__(self) -> None:
        """Check every field."""
        activations.get(self.activation)
        if self.activation not in ACTIVATIONS:
            raise UserError(f"The search is for {', '.join(ACTIVATIONS)}, not for {self.activation}.")
        if self.domain not in DOMAINS:
            raise UserError(f"The domain must be one of {', '.join(DOMAINS)}, not {self.domain!r}.")
        check_domain(self.domain, self.radius, False)
        if self.quadratic and self.domain == "space":
            raise UserError('Gradients of power:2 are unbounded on R^d; search on domain="ball" or "sphere".')
        if not (0 <= self.epsilon < 1 and math.isfinite(self.rate) and self.rate > 0):
            raise UserError("epsilon must be in [0, 1), where 1 is the error of f = 0, and rate positive.")
        if self.steps < 1 or self.starts < 0:
            raise UserError(f"steps must be at least 1 and starts at least 0, not {self.steps} and {self.starts}.")

    @property
    def exact(self) -> bool:
        """Whether every label is to be met."""
        return self.epsilon == 0

    @property
    def quadratic(self) -> bool:
        """Whether it is for psi = t^2, which has neither biases nor c here (appendix D.2)."""
        return self.activation == "power:2"


class Frontier(NamedTuple):
    """The smoothest network that a search found.

    Attributes:
        network: of smallest certified bound among the starts that fit; of smallest error if none does. Its weights are
            float32, in float64 for an exact fit.
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
        UserError: an invalid data set, k < 1, nothing to start from, initial networks of another dimension.
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
    config = config or FrontierConfig()
    prepared = [start for i, problem in enumerate(problems) for start in _starts(i, problem, config)]
    groups = list(_groups(prepared))
    threads = _threads()
    if len(groups) < threads:
        groups = [part for group in groups for part in _parts(group, -(-threads // len(groups)))]
    with ThreadPoolExecutor(threads) as pool:
        searched = list(pool.map(lambda group: _descend(group, config, on_steps), groups))
    found: list[list[TwoLayer]] = [[] for _ in problems]
    order = [start.problem for group in groups for start in group]
    for i, network in zip(order, (network for networks in searched for network in networks), strict=True):
        found[i].append(network)
    datasets = [data.float64(problem.dataset) for problem in problems]
    return [_best(networks, dataset, config) for networks, dataset in zip(found, datasets, strict=True)]


class _Start(NamedTuple):
    """One start: points in units of their root-mean-square length, and weights for them."""

    problem: int
    x: np.ndarray
    y: np.ndarray
    centre: np.ndarray
    length: float
    params: Params
    signs: np.ndarray
    U: np.ndarray


def _starts(number: int, problem: Problem, config: FrontierConfig) -> Iterator[_Start]:
    k = problem.k
    if k < 1:
        raise UserError(f"A network has k >= 1 neurons, not {k}.")
    if not config.starts and not problem.initial:
        raise UserError("There is nothing to start from: ask for starts >= 1 or give initial networks.")
    x, y = data.float64(problem.dataset)
    centre = x.mean(0) if config.domain == "space" else np.zeros(x.shape[1])  # a shift moves R^d into itself
    length = math.sqrt(float(np.mean(np.sum((x - centre) ** 2, axis=1)))) or 1.0
    points = ((x - centre) / length).astype(np.float32), y.astype(np.float32)
    key = jax.random.fold_in(problem.key, k)
    for i in range(config.starts):
        of_weights, of_factor, of_signs = jax.random.split(jax.random.fold_in(key, i), 3)
        scale = _START if not config.quadratic else 1.0 / math.sqrt(k)
        W = scale * np.asarray(jax.random.normal(of_weights, (k, x.shape[1])))
        # As many neurons of each sign; then the other way round, for odd k; then as they come, for the smallest k.
        alternating = np.where((np.arange(k) + i) % 2, 1.0, -1.0)
        signs = (alternating if i < 2 else np.asarray(jax.random.rademacher(of_signs, (k,)))) / math.sqrt(k)
        U = np.asarray(start_of_relaxation(of_factor, k, _RANK))
        yield _Start(number, *points, centre, length, Params(W, np.zeros(k), np.ones(k), np.zeros(())), signs, U)
    for i, network in enumerate(problem.initial):
        if network.dimension != x.shape[1] or network.activation != config.activation:
            raise UserError(f"{network!r} cannot start a search in dimension {x.shape[1]} for {config.activation}.")
        of_noise, of_factor = jax.random.split(jax.random.fold_in(key, config.starts + i))
        params, signs = _unfolded(resized(network, k), centre, length, config)
        noise = _START * np.asarray(jax.random.normal(of_noise, params.W.shape))  # so that split neurons part
        U = np.asarray(start_of_relaxation(of_factor, k, _RANK))
        yield _Start(number, *points, centre, length, params._replace(W=params.W + noise), signs, U)


def _groups(starts: Sequence[_Start]) -> Iterator[list[_Start]]:
    """Starts that run side by side: of one (n, d), of widths near the group's largest."""
    group: list[_Start] = []
    for start in sorted(starts, key=lambda start: (start.x.shape, len(start.signs)), reverse=True):
        if group and (start.x.shape != group[0].x.shape or len(start.signs) < _TOGETHER * len(group[0].signs)):
            yield group
            group = []
        group.append(start)
    if group:
        yield group


def _parts(group: list[_Start], count: int) -> Iterator[list[_Start]]:
    """The group in at most `count` parts, so that no thread is left without work."""
    size = -(-len(group) // count)
    return (group[start : start + size] for start in range(0, len(group), size))


def _descend(group: Sequence[_Start], config: FrontierConfig, on_steps: Callable[[int], None] | None) -> list[TwoLayer]:
    """The networks that the descent ends with, in the units of the data."""
    k = len(group[0].signs)

    def stacked(arrays: Sequence[np.ndarray], padded: int | None = None) -> jax.Array:
        """Arrays side by side, filled up with zeros along the first axis."""
        if padded is not None:
            arrays = [np.pad(array, [(0, padded - len(array))] + [(0, 0)] * (array.ndim - 1)) for array in arrays]
        return jnp.asarray(np.stack(arrays), jnp.float32)

    params = Params(
        stacked([start.params.W for start in group], k),
        stacked([start.params.b for start in group], k),
        stacked([start.params.s for start in group], k),
        stacked([start.params.c for start in group]),
    )
    first, last = (_FIRST_TARGET, _LAST_TARGET) if config.exact else (config.epsilon, config.epsilon)
    searches = descent.Searches(
        stacked([start.x for start in group]),
        stacked([start.y for start in group]),
        stacked([start.signs for start in group], k),
        jnp.full(len(group), first, jnp.float32),
        jnp.full(len(group), last, jnp.float32),
    )
    state = descent.begin(params, stacked([start.U for start in group], k + 1))
    rate = config.rate * (_QUADRATIC_RATE if config.quadratic else 1.0)
    schedule = descent.Schedule(jnp.float32(rate), jnp.float32(config.steps))
    radius = None if config.domain == "space" else config.radius / group[0].length
    kinked = activations.get(config.activation).has_kink
    for start in range(0, config.steps, _CHUNK):
        state = descent.advance(
            searches,
            state,
            schedule,
            jnp.float32(start),
            _CHUNK,
            config.activation,
            radius,
            not kinked,
            not config.quadratic,
        )
        state.loss.block_until_ready()
        if on_steps is not None:
            on_steps(min(_CHUNK, config.steps - start) * len(group))
    W, b, s, c = (np.asarray(leaf, np.float64) for leaf in state.params)
    return [
        _folded(Params(W[i, :own], b[i, :own], s[i, :own], c[i]), start, config)
        for i, start in enumerate(group)
        for own in [len(start.signs)]
    ]


def _folded(params: Params, start: _Start, config: FrontierConfig) -> TwoLayer:
    """In the units of the data; the zero network where the search has diverged."""
    if not all(np.isfinite(leaf).all() for leaf in params):
        params = Params(*(np.zeros_like(leaf) for leaf in params))
    # psi is positively homogeneous or not; the unit goes into W, which is right for both.
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


def _best(networks: Sequence[TwoLayer], dataset: Dataset, config: FrontierConfig) -> Frontier:
    """Fit as asked for, certify every start, bracket the best."""
    finished = [_finished(network, dataset, config) for network in networks]
    errors = [network.astype(np.float64)(dataset.x) - dataset.y for network in finished]
    fits = [_fits(error, dataset, config) for error in errors]
    uppers = np.array(
        [
            certify(network, config.domain, config.radius).bound if fit else np.nan
            for network, fit in zip(finished, fits, strict=True)
        ]
    )
    best = int(np.nanargmin(uppers)) if any(fits) else int(np.argmin([np.mean(error**2) for error in errors]))
    found = brackets([finished[best]], (config.domain,), config.radius)[config.domain][0]
    loss, fit_error = float(np.mean(errors[best] ** 2)), float(np.abs(errors[best]).max())
    return Frontier(finished[best], found, loss, fit_error, fits[best], uppers)


def _finished(network: TwoLayer, dataset: Dataset, config: FrontierConfig) -> TwoLayer:
    if config.exact:
        exact = interpolating(network, dataset, biases=not config.quadratic)
        return exact if _fits(exact(dataset.x) - dataset.y, dataset, config) else network
    if config.quadratic:
        return network.astype(np.float32)
    network = shrunk(network, dataset, config.epsilon * (1.0 - _ROUNDING))
    return network.astype(np.float32)


def _fits(error: np.ndarray, dataset: Dataset, config: FrontierConfig) -> bool:
    if config.exact:
        return bool(np.abs(error).max() <= EXACT)
    return bool(np.mean(error**2) <= config.epsilon and (error * dataset.y > -1.0).all())


def _threads() -> int:
    """Groups that run at once: on a CPU one for each core, for their operations are too small for several."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
