"""Many descents at once: starts of similar shapes are stacked, and stacks run in threads where cores are idle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lawjax.frontier import descent
from lawjax.frontier.config import FrontierConfig
from lawjax.frontier.objective import Objective, P, Start


def descended(
    starts: Sequence[Start],
    objective: Objective[P, Any],
    config: FrontierConfig,
    on_steps: Callable[[int], None] | None = None,
) -> Iterator[tuple[Start, P]]:
    """Every start with the weights that its descent ends with, those of similar shapes made side by side.

    Args:
        starts: of any shapes.
        objective: what is minimised.
        config: how.
        on_steps: called from time to time with the number of steps that were made, a step of each start counted.
    """
    stacks = list(_stacks(starts, config.descent.together))
    threads = _threads()
    if len(stacks) < threads:
        stacks = [part for stack in stacks for part in _parts(stack, -(-threads // len(stacks)))]
    with ThreadPoolExecutor(threads) as pool:
        ended = pool.map(lambda stack: _descend(stack, objective, config, on_steps), stacks)
        for stack, params in zip(stacks, ended, strict=True):
            yield from zip(stack, params, strict=True)


def _stacks(starts: Sequence[Start], together: float) -> Iterator[list[Start]]:
    """Starts that run side by side: of one (n, d), of widths near the stack's largest."""
    stack: list[Start] = []
    for start in sorted(starts, key=lambda start: (start.points.x.shape, start.n_neurons), reverse=True):
        fits = stack and start.points.x.shape == stack[0].points.x.shape
        if stack and not (fits and start.n_neurons >= together * stack[0].n_neurons):
            yield stack
            stack = []
        stack.append(start)
    if stack:
        yield stack


def _parts(stack: list[Start], count: int) -> Iterator[list[Start]]:
    """The stack in at most `count` parts, so that no thread is left without work."""
    size = -(-len(stack) // count)
    return (stack[start : start + size] for start in range(0, len(stack), size))


def _descend(
    stack: Sequence[Start],
    objective: Objective[P, Any],
    config: FrontierConfig,
    on_steps: Callable[[int], None] | None,
) -> list[P]:
    """What the descent ends with."""
    tuning = config.descent
    searches, state = _stacked(stack, objective, config)
    rate = config.rate * objective.rate(tuning)
    schedule = descent.Schedule(jnp.float32(rate), jnp.float32(config.steps))
    for start in range(0, config.steps, tuning.chunk):
        state = descent.advance(searches, state, schedule, jnp.float32(start), tuning.chunk, objective, tuning)
        state.loss.block_until_ready()
        if on_steps is not None:
            on_steps(min(tuning.chunk, config.steps - start) * len(stack))
    ended = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.params)
    return [_network(ended, i, start.n_neurons, objective) for i, start in enumerate(stack)]


def _stacked(
    stack: Sequence[Start], objective: Objective[P, Any], config: FrontierConfig
) -> tuple[descent.Searches, descent.State]:
    """Starts side by side in float32, filled up with neurons of weight 0."""
    k = stack[0].n_neurons
    points, weights = [start.points for start in stack], [start.weights for start in stack]

    def stacked(arrays: Sequence[np.ndarray]) -> jax.Array:
        return jnp.asarray(np.stack(arrays), jnp.float32)

    def filled(arrays: Sequence[np.ndarray], size: int) -> jax.Array:
        return stacked([np.pad(a, [(0, size - len(a))] + [(0, 0)] * (a.ndim - 1)) for a in arrays])

    around = None  # the program is then one without middles
    if any(one.around is not None for one in points):
        around = stacked([np.zeros_like(one.centre) if one.around is None else one.around for one in points])
    exact = config.descent.first_target, config.descent.last_target
    first, last = exact if config.exact else (config.epsilon, config.epsilon)
    searches = descent.Searches(
        stacked([one.x for one in points]),
        stacked([one.y for one in points]),
        filled([one.signs for one in weights], k),
        jnp.full(len(stack), first, jnp.float32),
        jnp.full(len(stack), last, jnp.float32),
        stacked([np.array(one.radius) for one in points]),
        around,
    )
    params = jax.tree.map(lambda *own: stacked(own), *(objective.padded(one.params, k) for one in weights))
    return searches, descent.begin(params, filled([one.U for one in weights], k + 1))


def _network(stacked: P, place: int, k: int, objective: Objective[P, Any]) -> P:
    """The weights of one network of k neurons; all zero where its search has diverged."""
    params = objective.unpadded(jax.tree.map(lambda leaf: leaf[place], stacked), k)
    finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    return params if finite else jax.tree.map(np.zeros_like, params)


def _threads() -> int:
    """Stacks that run at once: on a CPU one for each core, for their operations are too small for several."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
