"""Many networks trained in one compiled loop: slots of a pack, each slot a data set with its networks side by side.

A slot holds one data set and up to M networks with up to K neurons together, all started at once; slots are vmapped. A
slot whose networks have all ended takes the next job without a new compilation (continuous batching). Everything here
is a pure function on `Slots`; what to put where is the caller's business (`training.memorize`, `sweep.loop`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, PyTree, UInt32

from lawjax import keys
from lawjax.data import Dataset
from lawjax.standard import standard_form
from lawjax.train.config import TrainingConfig, optimizer
from lawjax.train.initial import initial_weights, network_key
from lawjax.train.model import packed_params
from lawjax.train.slots import PackShape, Slot, Slots, Status, empty
from lawjax.train.step import started, stepped


def fill(
    slots: Slots,
    slot: int,
    dataset: Dataset,
    widths: tuple[int, ...],
    key_data: UInt32[np.ndarray, " 2"],
    config: TrainingConfig,
) -> Slots:
    """`slots` with one of them holding a data set and fresh networks of the given widths.

    Args:
        slots: donated.
        slot: which one.
        dataset: n and d at most those of the pack; trained on in its standard form.
        widths: widths of the networks; at most M of them, together at most K.
        key_data: the network of width k starts from `initial_weights(fold_in(key, k), ...)`, mini-batches are drawn
            from the key itself.
        config: as the slots were made with.
    """
    columns, K, M = slots.x.shape[2], slots.network_of.shape[1], slots.status.shape[1]
    fresh = jax.tree.map(lambda leaf: np.zeros(leaf.shape[1:], leaf.dtype), slots)
    n, d = dataset.x.shape
    x = np.asarray(dataset.x, np.float64)
    x = standard_form(x).points(x)
    # Batch norm does not see the mean; centred data spare a pass over the activations.
    fresh.x[:n, :d] = x - x.mean(0) if config.batch_norm else x
    fresh.y[:n] = dataset.y
    if fresh.second_moment.size:
        fresh.second_moment[:] = _second_moment(fresh.x, fresh.y)
    fresh.network_of[:] = -1
    fresh.key[:] = key_data
    fresh.status[:] = Status.UNUSED
    fresh.loss[:] = np.inf
    kernel, readout = np.zeros((columns, K), config.dtype), np.zeros(K, config.dtype)
    start = 0
    for network, width in enumerate(widths):
        own = slice(start, start := start + width)
        kernel[:d, own], readout[own] = initial_weights(network_key(key_data, np.uint32(width)), d, width, config)
        fresh.network_of[own], fresh.status[network] = network, Status.TRAINING
    params = packed_params(kernel, readout, M, batch_norm=config.batch_norm, readout_bias=config.readout_bias)
    fresh = fresh._replace(params=params)
    if slots.step.shape[0] == 1:
        return jax.tree.map(lambda leaf: leaf[None], fresh)
    return _place(slots, np.int32(slot), fresh)


@functools.partial(jax.jit, donate_argnums=0)
def _place(slots: Slots, slot: Int[Array, ""], fresh: Slot) -> Slots:
    return jax.tree.map(lambda all_, one: all_.at[slot].set(one), slots, fresh)


def divided(slots: Slots, config: TrainingConfig, devices: Sequence[jax.Device]) -> Slots:
    """The slots with their neurons divided among devices, for a network that one device cannot hold.

    The points are on every device. A step then needs no word between devices but the sum over neurons, and what is
    summed over a network's. Slots that are divided already are left as they are.

    Args:
        slots: any.
        config: as they were made with.
        devices: of one platform; as many of them are used as divide K evenly.
    """
    neurons = slots.shape.neurons
    used = next(count for count in range(len(devices), 0, -1) if neurons % count == 0)
    mesh = jax.make_mesh((used,), ("neurons",), devices=devices[:used], axis_types=(AxisType.Auto,))
    whole, last_axis = (
        NamedSharding(mesh, P()),
        lambda leaf: NamedSharding(mesh, P(*[None] * (leaf.ndim - 1), "neurons")),
    )
    params, state = _per_neuron(slots, config)
    shardings: Any = jax.tree.map(lambda _: whole, slots)
    shardings = shardings._replace(
        network_of=last_axis(slots.network_of),
        params=jax.tree.map(lambda leaf, own: last_axis(leaf) if own else whole, slots.params, params),
        optimizer_state=jax.tree.map(lambda leaf, own: last_axis(leaf) if own else whole, slots.optimizer_state, state),
    )
    return jax.device_put(slots, shardings)


def advance(slots: Slots, steps: np.int32, config: TrainingConfig) -> Slots:
    """Up to `steps` further steps of every slot, fewer if every network has ended. `slots` is donated."""
    with keys.settled():  # mini-batches are drawn
        return _advance(slots, steps, config)


@functools.partial(jax.jit, static_argnames="config", donate_argnums=0)
def _advance(slots: Slots, steps: Int[Array, ""], config: TrainingConfig) -> Slots:
    one_slot = functools.partial(stepped, config=config)
    alone = slots.step.shape[0] == 1  # a batch axis of one would keep XLA on CPUs off its fast matrix product
    state = jax.tree.map(lambda leaf: leaf[0], slots) if alone else slots
    start = functools.partial(started, config=config)
    body = one_slot if alone else jax.vmap(one_slot)
    state = start(state) if alone else jax.vmap(start)(state)

    def go_on(carry: tuple[Slots, Array]) -> Array:
        return (carry[1] < steps) & (carry[0].status == Status.TRAINING).any()

    state, _ = jax.lax.while_loop(go_on, lambda carry: (body(carry[0]), carry[1] + 1), (state, jnp.int32(0)))
    return jax.tree.map(lambda leaf: leaf[None], state) if alone else state


@jax.jit
def _params_of(params: PyTree[Array], slot: Int[Array, ""]) -> PyTree[Array]:
    return jax.tree.map(lambda leaf: leaf[slot], params)


def slot_params(slots: Slots, slot: int) -> dict[str, Any]:
    """The parameters of one slot, on the host."""
    if slots.step.shape[0] == 1:  # nothing to pick out, so nothing to compile
        return jax.tree.map(lambda leaf: leaf[0], jax.device_get(slots.params))
    return jax.device_get(_params_of(slots.params, np.int32(slot)))


def compact(slots: Slots, shape: PackShape, config: TrainingConfig) -> tuple[Slots, list[int]]:
    """The slots and neurons still in training, moved as they stand into a smaller pack.

    One network that will not fit must not keep a whole pack in motion: its steps are then those of its own width.
    Networks keep their places in a slot, so that they are harvested from where they ended.

    Args:
        slots: any.
        shape: of the smaller pack: networks as before; slots, n, d and neurons enough for what is still in training.
        config: as the slots were made with.

    Returns:
        The smaller pack, and for each of its slots in use the slot it was.
    """
    host = jax.device_get(slots)
    small: Any = empty(shape, config)
    kept = [int(slot) for slot in np.flatnonzero((host.status == Status.TRAINING).any(1))]
    per_neuron, per_neuron_state = _per_neuron(host, config)
    for new, old in enumerate(kept):
        training = host.status[old] == Status.TRAINING
        neurons = np.flatnonzero((host.network_of[old] >= 0) & training[host.network_of[old]])

        def move(to: np.ndarray, by: np.ndarray, own: bool, at: Any = (new, old), neurons: Any = neurons) -> None:
            target, source = to[at[0] : at[0] + 1], by[at[1] : at[1] + 1]  # a view of `small`, and what goes there
            if own:
                target, source = target[..., : len(neurons)], source[..., neurons]
            target[...] = source[tuple(slice(size) for size in target.shape)]

        small.step[new] = host.step[old]
        for name in ("x", "y", "key", "steps", "loss"):
            move(getattr(small, name), getattr(host, name), False)
        move(small.network_of, host.network_of, True)
        small.status[new] = np.where(training, host.status[old], Status.UNUSED)
        if small.second_moment.size:
            small.second_moment[new] = _second_moment(small.x[new], small.y[new])
        jax.tree.map(move, small.params, host.params, per_neuron)
        jax.tree.map(move, small.optimizer_state, host.optimizer_state, per_neuron_state)
    return small, kept


def _per_neuron(slots: Slots, config: TrainingConfig) -> tuple[PyTree[bool], PyTree[bool]]:
    """Of each leaf of the parameters and of the optimiser's state, whether its last axis is that of the neurons."""
    params = {
        name: jax.tree.map(lambda _, own=name != "readout_bias": own, part) for name, part in slots.params.items()
    }
    state = optax.tree.map_params(
        optimizer(config), lambda _, own: own, slots.optimizer_state, params, transform_non_params=lambda _: False
    )
    return params, state


def _second_moment(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, "d d"]:
    """x'x/n over the true rows, on the host."""
    return x.T @ x / x.dtype.type((y != 0).sum())
