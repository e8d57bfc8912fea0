"""One step of training of one slot: look at the fit, then update the networks that are still in training.

Pure functions on `Slot`, compiled and vmapped by `lawjax.train.pack`.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from lawjax import keys
from lawjax.train.config import TrainingConfig, optimizer
from lawjax.train.model import PackedNetworks
from lawjax.train.slots import Slot, Status

DIVERGED_LOSS = 1e12  # a mean square above this is given up: it is on its way to overflow
_BATCHES = 2**31 - 1  # folded into a slot's key for its mini-batches; no network is this wide

Look = tuple[Float[Array, " M"], Bool[Array, " M"], Bool[Array, " M"]]  # loss, all signs right, healthy


def started(slot: Slot, config: TrainingConfig) -> Slot:
    """The slot with the optimiser's state set up, if it was filled since the last step."""
    initial = optimizer(config).init(slot.params)
    state = jax.tree.map(lambda new, old: jnp.where(slot.step == 0, new, old), initial, slot.optimizer_state)
    return slot._replace(optimizer_state=state)


def stepped(slot: Slot, config: TrainingConfig) -> Slot:
    """The slot after a look at the fit and one update of every network that is still in training."""
    grads, (loss, right, healthy), checked = _gradients(slot, config)
    training = slot.status == Status.TRAINING
    # Without a look, the loss is that of the last one.
    lost = training & checked & ~(healthy & (loss < DIVERGED_LOSS))
    fits = training & checked & ~lost & right & (loss <= config.epsilon)
    status = jnp.where(fits, jnp.int32(Status.FITTED), slot.status)
    status = jnp.where(lost, jnp.int32(Status.DIVERGED), status)
    out_of_steps = (status == Status.TRAINING) & (slot.step >= config.step_limit)
    status = jnp.where(out_of_steps, jnp.int32(Status.STEP_LIMIT), status)
    updates, optimizer_state = optimizer(config).update(grads, slot.optimizer_state, slot.params)
    params = _updated(slot.params, updates, status == Status.TRAINING, slot.network_of)
    return slot._replace(
        step=slot.step + 1,
        status=status,
        steps=jnp.where(training, slot.step, slot.steps),
        loss=jnp.where(lost, jnp.full_like(loss, jnp.inf), jnp.where(training, loss, slot.loss)),
        params=params,
        optimizer_state=optimizer_state,
    )


def _gradients(slot: Slot, config: TrainingConfig) -> tuple[PyTree[Array], Look, Bool[Array, ""]]:
    """Gradients on all points or this step's mini-batch; a look at the fit on all points, and whether it was taken."""
    look = functools.partial(_errors, slot=slot, config=config, full=True)
    if config.batch_size is None or config.batch_size >= slot.y.shape[0]:
        grads, seen = jax.grad(look, has_aux=True)(slot.params, slot.x, slot.y)
        return grads, seen, jnp.bool_(True)
    count = (slot.y != 0).sum(dtype=jnp.int32)
    x, y, checked = mini_batch(slot, count, config.batch_size)
    checked = checked | (slot.step >= config.step_limit)  # the last look is at the weights that are returned
    batch = functools.partial(_errors, slot=slot, config=config, full=False)
    grads, _ = jax.grad(batch, has_aux=True)(slot.params, x, y)
    networks = slot.status.shape
    _, seen = jax.lax.cond(
        checked,
        lambda: look(slot.params, slot.x, slot.y),
        lambda: (slot.loss.sum(), (slot.loss, jnp.zeros(networks, bool), jnp.ones(networks, bool))),
    )
    return grads, seen, checked


def _errors(
    params: PyTree[Array],
    x: Float[Array, "rows d"],
    y: Float[Array, " rows"],
    *,
    slot: Slot,
    config: TrainingConfig,
    full: bool,
) -> tuple[Float[Array, ""], Look]:
    """Sum of the networks' losses (its gradient splits by network), and what a look at each says."""
    true_row = y != 0
    count = true_row.sum().astype(x.dtype)
    moment = slot.second_moment if full and slot.second_moment.shape[0] else None
    module = PackedNetworks(
        slot.network_of.shape[0], slot.status.shape[0], config.activation, config.batch_norm, config.readout_bias
    )
    applied: Any = module.apply({"params": params}, x, slot.network_of, count, moment, centred=full)
    outputs, healthy = applied
    residual = jnp.where(true_row[:, None], outputs - y[:, None], jnp.zeros_like(outputs))
    loss = (residual * residual).sum(0) / count
    right = (outputs * y[:, None] > 0) | ~true_row[:, None]
    return loss.sum(), (loss, right.all(0), healthy)


def mini_batch(
    slot: Slot, count: Int[Array, ""], size: int
) -> tuple[Float[Array, "size d"], Float[Array, " size"], Bool[Array, ""]]:
    """This step's mini-batch (x, y), and whether an epoch begins here.

    An epoch takes a permutation of the true rows in order; what is left at its end is less than a batch and left out.

    Args:
        slot: its `step` says where in which epoch.
        count: number of true rows.
        size: rows of a batch.
    """
    per_epoch = jnp.maximum(count // size, 1)
    epoch, position = slot.step // per_epoch, slot.step % per_epoch
    key = jax.random.fold_in(jax.random.wrap_key_data(slot.key, impl=keys.GENERATOR), _BATCHES)
    ticket = jax.random.uniform(jax.random.fold_in(key, epoch), slot.y.shape, jnp.float32)
    order = jnp.argsort(jnp.where(slot.y != 0, ticket, jnp.inf))
    rows = jax.lax.dynamic_slice(order, (position * size,), (size,))
    return slot.x[rows], slot.y[rows], position == 0


def _updated(params: Any, updates: Any, training: Bool[Array, " M"], network_of: Int[Array, " K"]) -> dict[str, Any]:
    """`params` with updates for the networks in training only: one that has ended keeps its weights."""
    moving = (network_of >= 0) & training[network_of]

    def move(name: str) -> Any:
        mask = training if name == "readout_bias" else moving
        return jax.tree.map(lambda p, u: p + jnp.where(mask, u, jnp.zeros_like(u)), params[name], updates[name])

    return {name: move(name) for name in params}
