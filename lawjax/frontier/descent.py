"""The descent: bound^2 + mu loss by Adam with Nesterov's momentum, mu led so that the loss ends at epsilon.

Searches of one shape run side by side (vmap), each with its own points, start and mu; the loop is compiled once for a
shape and is left to itself for a thousand steps at a time.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lawjax.frontier.objective import Params, outputs, relaxed

Array = Any

_OPTIMIZER = optax.scale_by_adam(nesterov=True)
_WARM_UP = 0.02  # share of the steps in which the rate rises
_FIT_FIRST = 0.05  # share of the steps in which mu follows the bound, high enough for any network to fit
_FIRST_MU = 10.0  # mu in that time, in units of the squared bound
_LARGEST_MU = 4.0  # mu is at most this times (1 + 4 epsilon) / sqrt(epsilon) squared bounds: what is stuck waits
_LEAD = 100.0  # the logarithm that mu may change by in all later steps together
_MARGIN = 0.1  # f(x_i) y_i is to be above: no sign may be wrong
_MARGIN_WEIGHT = 30.0  # of squared shortfalls, beside the mean square error


class Searches(NamedTuple):
    """What stays as it is; every array has a leading axis of searches.

    Attributes:
        x: (m, n, d), points in units of their root-mean-square length.
        y: (m, n).
        signs: (m, k), +-1/sqrt(k); zero for neurons that are padding.
        first: (m,), the loss to aim at in the first two fifths of the steps.
        last: (m,), and in the last tenth; between them it falls geometrically.
        radius: (m,), of the sphere or ball in these units, infinite for R^d.
        around: (m, d), its middle, None where that is 0.
    """

    x: Array
    y: Array
    signs: Array
    first: Array
    last: Array
    radius: Array
    around: Array | None = None


class State(NamedTuple):
    """What a step changes, with the same leading axis.

    Attributes:
        params: the networks.
        moments: of Adam.
        mu: (m,), the price of the loss.
        U: (m, k + 1, r), see `lawjax.frontier.objective`.
        loss: (m,), mean square error before the last step.
        bound: (m,), estimate of the bound there.
    """

    params: Params
    moments: Any
    mu: Array
    U: Array
    loss: Array
    bound: Array


class Schedule(NamedTuple):
    """Numbers that change no program: rate of the first steps, and how many steps there are."""

    rate: Array
    steps: Array


def begin(params: Params, U: Array) -> State:
    """The state before the first step."""
    m = params.c.shape[0]
    return State(params, jax.vmap(_OPTIMIZER.init)(params), jnp.ones(m), U, jnp.ones(m), jnp.ones(m))


@functools.partial(jax.jit, static_argnames=("count", "activation", "free_sizes", "biases"), donate_argnums=(1,))
def advance(
    searches: Searches,
    state: State,
    schedule: Schedule,
    start: Array,
    count: int,
    activation: str,
    free_sizes: bool,
    biases: bool,
) -> State:
    """Steps start, ..., start + count - 1 of all searches; none beyond the schedule's last."""

    def of_one(search: Searches, state: State) -> State:
        def step(state: State, t: Array) -> tuple[State, None]:
            after = _step(search, state, schedule, t, activation, free_sizes, biases)
            return jax.tree.map(lambda new, old: jnp.where(t < schedule.steps, new, old), after, state), None

        return jax.lax.scan(step, state, start + jnp.arange(count, dtype=start.dtype))[0]

    return jax.vmap(of_one)(searches, state)


def _step(
    search: Searches,
    state: State,
    schedule: Schedule,
    t: Array,
    activation: str,
    free_sizes: bool,
    biases: bool,
) -> State:
    x, y, signs, first, last, radius, around = search

    def objective(params: Params) -> tuple[Array, tuple[Array, Array, Array]]:
        f = outputs(params, signs, x, activation)
        loss = jnp.mean((f - y) ** 2)
        short = jnp.mean(jax.nn.relu(_MARGIN - f * y) ** 2)
        squared, U = relaxed(params, signs, state.U, radius, activation, around)
        return squared + mu * (loss + _MARGIN_WEIGHT * short), (loss, squared, U)

    share = t / schedule.steps
    target = first * (last / first) ** jnp.clip(2.0 * share - 0.8, 0.0, 1.0)
    mu = jnp.where(share < _FIT_FIRST, _FIRST_MU * jnp.maximum(state.bound, 1.0) ** 2, state.mu)
    gradient, (loss, squared, U) = jax.grad(objective, has_aux=True)(state.params)
    with jax.numpy_dtype_promotion("standard"):  # Optax counts steps in integers
        updates, moments = _OPTIMIZER.update(gradient, state.moments)
    rate = schedule.rate * jnp.minimum(1.0, (t + 1) / (_WARM_UP * schedule.steps)) * 0.5 * (1 + jnp.cos(jnp.pi * share))
    rate = rate / jnp.sqrt(jnp.sum(signs != 0, dtype=rate.dtype))
    updates = jax.tree.map(lambda update: -rate * update, updates)
    updates = updates._replace(
        s=updates.s if free_sizes else jnp.zeros_like(updates.s),
        b=updates.b if biases else jnp.zeros_like(updates.b),
        c=updates.c if biases else jnp.zeros_like(updates.c),
    )
    lead = _LEAD / schedule.steps * jnp.clip(jnp.log(loss / target), -1.0, 1.0)
    ceiling = _LARGEST_MU * (1.0 / jnp.sqrt(target) + 4.0 * jnp.sqrt(target)) * jnp.maximum(squared, 1.0)
    mu = jnp.where(share < _FIT_FIRST, mu, jnp.minimum(mu * jnp.exp(lead), ceiling))
    return State(optax.apply_updates(state.params, updates), moments, mu, U, loss, jnp.sqrt(squared))
