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
from jaxtyping import Array, Float

from lawjax.frontier.config import Descent
from lawjax.frontier.objective import Objective

_OPTIMIZER = optax.scale_by_adam(nesterov=True)


class Searches(NamedTuple):
    """What stays as it is; every array has a leading axis of searches.

    Attributes:
        x: (m, n, d), points of root-mean-square length one.
        y: (m, n).
        signs: (m, k), +-1/sqrt(k); zero for neurons that are padding.
        first: (m,), the loss to aim at in the first two fifths of the steps.
        last: (m,), and in the last tenth; between them it falls geometrically.
        radius: (m,), of the sphere or ball, infinite for R^d.
        around: (m, d), its middle, None where that is 0.
    """

    x: Float[Array, "m n d"]
    y: Float[Array, "m n"]
    signs: Float[Array, "m k"]
    first: Float[Array, " m"]
    last: Float[Array, " m"]
    radius: Float[Array, " m"]
    around: Float[Array, "m d"] | None = None


class State(NamedTuple):
    """What a step changes, with the same leading axis.

    Attributes:
        params: the networks, of the objective's kind.
        moments: of Adam.
        mu: (m,), the price of the loss.
        U: (m, k + 1, r), see `lawjax.frontier.relaxation`.
        loss: (m,), mean square error before the last step.
        bound: (m,), estimate of the bound there.
    """

    params: Any
    moments: Any
    mu: Float[Array, " m"]
    U: Float[Array, "m rows r"]
    loss: Float[Array, " m"]
    bound: Float[Array, " m"]


class Schedule(NamedTuple):
    """Numbers that change no program: rate of the first steps, and how many steps there are."""

    rate: Float[Array, ""]
    steps: Float[Array, ""]


def begin(params: Any, U: Float[Array, "m rows r"]) -> State:
    """The state before the first step, of params of the objective's kind."""
    m = U.shape[0]
    return State(params, jax.vmap(_OPTIMIZER.init)(params), jnp.ones(m), U, jnp.ones(m), jnp.ones(m))


@functools.partial(jax.jit, static_argnames=("count", "objective", "tuning"), donate_argnums=(1,))
def advance(
    searches: Searches,
    state: State,
    schedule: Schedule,
    start: Float[Array, ""],
    count: int,
    objective: Objective[Any, Any],
    tuning: Descent,
) -> State:
    """Steps start, ..., start + count - 1 of all searches; none beyond the schedule's last.

    Args:
        searches: what stays.
        state: what changes; its memory is used for the result.
        schedule: of the rate.
        start: number of the first step.
        count: of the steps.
        objective: what is minimised.
        tuning: how.
    """

    def of_one(search: Searches, state: State) -> State:
        def step(state: State, t: Array) -> tuple[State, None]:
            after = _step(search, state, schedule, t, objective, tuning)
            return jax.tree.map(lambda new, old: jnp.where(t < schedule.steps, new, old), after, state), None

        return jax.lax.scan(step, state, start + jnp.arange(count, dtype=start.dtype))[0]

    return jax.vmap(of_one)(searches, state)


def _step(
    search: Searches,
    state: State,
    schedule: Schedule,
    t: Array,
    objective: Objective[Any, Any],
    tuning: Descent,
) -> State:
    x, y, signs, first, last, radius, around = search

    def minimised(params: Any) -> tuple[Array, tuple[Array, Array, Array]]:
        f = objective.outputs(params, signs, x)
        loss = jnp.mean((f - y) ** 2)
        short = jnp.mean(jax.nn.relu(tuning.margin - f * y) ** 2)
        squared, U = objective.squared_bound(params, signs, state.U, radius, around)
        return squared + mu * (loss + tuning.margin_weight * short), (loss, squared, U)

    share = t / schedule.steps
    target = first * (last / first) ** jnp.clip(2.0 * share - 0.8, 0.0, 1.0)
    mu = jnp.where(share < tuning.fit_first, tuning.first_mu * jnp.maximum(state.bound, 1.0) ** 2, state.mu)
    gradient, (loss, squared, U) = jax.grad(minimised, has_aux=True)(state.params)
    with jax.numpy_dtype_promotion("standard"):  # Optax counts steps in integers
        updates, moments = _OPTIMIZER.update(gradient, state.moments)
    rising = jnp.minimum(1.0, (t + 1) / (tuning.warm_up * schedule.steps))
    rate = schedule.rate * rising * 0.5 * (1 + jnp.cos(jnp.pi * share))
    rate = rate / jnp.sqrt(jnp.sum(signs != 0, dtype=rate.dtype))
    updates = objective.moved(jax.tree.map(lambda update: -rate * update, updates))
    lead = tuning.lead / schedule.steps * jnp.clip(jnp.log(loss / target), -1.0, 1.0)
    ceiling = tuning.largest_mu * (1.0 / jnp.sqrt(target) + 4.0 * jnp.sqrt(target)) * jnp.maximum(squared, 1.0)
    mu = jnp.where(share < tuning.fit_first, mu, jnp.minimum(mu * jnp.exp(lead), ceiling))
    return State(optax.apply_updates(state.params, updates), moments, mu, U, loss, jnp.sqrt(squared))
