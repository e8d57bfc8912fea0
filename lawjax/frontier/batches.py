"""Many descents at once: starts of similar shapes are stacked, and stacks run in threads where cores are idle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lawjax import activations
from lawjax.frontier import descent
from lawjax.frontier.config import FrontierConfig
from lawjax.frontier.objective import Params
from lawjax.frontier.starts import Start

_QUADRATIC_RATE = 0.1  # of psi = t^2, whose values go with the squares of its weights, in units of the usual rate
_CHUNK = 1000  # steps between looks of the host
_TOGETHER = 0.85  # widths from this share of the largest on are padded to it and run side by side
_FIRST_TARGET = 0.02  # mean square error that the search for an exact fit goes through first
_LAST_TARGET = 3e-5  # and what it ends with, before Newton's steps


def descended(
    starts: Sequence[Start], config: FrontierConfig, on_steps: Callable[[int], None] | None = None
) -> Iterator[tuple[Start, Params]]:
    """Every start with the weights that its descent ends with, those of similar shapes made side by side."""
    groups = list(_groups(starts))
    threads = _threads()
    if len(groups) < threads:
        groups = [part for group in groups for part in _parts(group, -(-threads // len(groups)))]
    with ThreadPoolExecutor(threads) as pool:
        for group, ended in zip(groups, pool.map(lambda group: _descend(group, config, on_steps), groups), strict=True):
            yield from zip(group, ended, strict=True)


def _groups(starts: Sequence[Start]) -> Iterator[list[Start]]:
    """Starts that run side by side: of one (n, d), of widths near the group's largest."""
    group: list[Start] = []
    for start in sorted(starts, key=lambda start: (start.x.shape, len(start.signs)), reverse=True):
        if group and (start.x.shape != group[0].x.shape or len(start.signs) < _TOGETHER * len(group[0].signs)):
            yield group
            group = []
        group.append(start)
    if group:
        yield group


def _parts(group: list[Start], count: int) -> Iterator[list[Start]]:
    """The group in at most `count` parts, so that no thread is left without work."""
    size = -(-len(group) // count)
    return (group[start : start + size] for start in range(0, len(group), size))


def _descend(group: Sequence[Start], config: FrontierConfig, on_steps: Callable[[int], None] | None) -> list[Params]:
    """What the descent ends with, in units of the points' length."""
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
        _stacked_inner([start.params.inner for start in group], stacked),
    )
    first, last = (_FIRST_TARGET, _LAST_TARGET) if config.exact else (config.epsilon, config.epsilon)
    searches = descent.Searches(
        stacked([start.x for start in group]),
        stacked([start.y for start in group]),
        stacked([start.signs for start in group], k),
        jnp.full(len(group), first, jnp.float32),
        jnp.full(len(group), last, jnp.float32),
        stacked([np.array(start.radius) for start in group]),
        _stacked_around(group, stacked),
    )
    state = descent.begin(params, stacked([start.U for start in group], k + 1))
    rate = config.rate * (_QUADRATIC_RATE if config.quadratic else 1.0)
    schedule = descent.Schedule(jnp.float32(rate), jnp.float32(config.steps))
    kinked = activations.get(config.activation).has_kink
    for start in range(0, config.steps, _CHUNK):
        state = descent.advance(
            searches,
            state,
            schedule,
            jnp.float32(start),
            _CHUNK,
            config.activation,
            not kinked,
            not config.quadratic,
        )
        state.loss.block_until_ready()
        if on_steps is not None:
            on_steps(min(_CHUNK, config.steps - start) * len(group))
    ended = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.params)
    return [_unpadded(ended, i, len(start.signs)) for i, start in enumerate(group)]


def _stacked_inner(inner: Sequence[Any], stacked: Callable[[Sequence[np.ndarray]], jax.Array]) -> Any:
    return None if inner[0] is None else tuple(stacked(arrays) for arrays in zip(*inner, strict=True))


def _stacked_around(group: Sequence[Start], stacked: Callable[[Sequence[np.ndarray]], jax.Array]) -> Any:
    """The middles of the balls, None where all are 0: the program is then one without them."""
    if all(start.around is None for start in group):
        return None
    return stacked([np.zeros_like(start.centre) if start.around is None else start.around for start in group])


def _unpadded(stack: Params, place: int, k: int) -> Params:
    """One network of k neurons of the stack; all zero where its search has diverged."""
    params = jax.tree.map(lambda leaf: leaf[place], stack)
    params = params._replace(W=params.W[:k], b=params.b[:k], s=params.s[:k])
    finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    return params if finite else jax.tree.map(np.zeros_like, params)


def _threads() -> int:
    """Groups that run at once: on a CPU one for each core, for their operations are too small for several."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
