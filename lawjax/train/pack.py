"""Many networks trained in one compiled loop: lanes of a pack, each lane a data set with its networks side by side.

A lane holds one data set and up to M networks with up to K neurons together, all started at once; lanes are vmapped. A
lane whose networks have all ended takes the next group of networks without a new compilation. Everything here is a pure
function on `Lanes`; what to put where is the caller's business (`training.memorize`, `sweep.run`).
"""

from __future__ import annotations

import enum
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lawjax import keys
from lawjax.data import Dataset
from lawjax.standard import standard_form
from lawjax.train.config import TrainingConfig, optimizer
from lawjax.train.model import Pack, pack_params

Array = Any


class Status(enum.IntEnum):
    """How a network of a pack stands."""

    TRAINING = 0
    FITTED = 1
    STEP_LIMIT = 2
    DIVERGED = 3
    UNUSED = 4

    @property
    def label(self) -> str:
        """The word used in tables: "fitted", "step limit", "diverged"."""
        return self.name.lower().replace("_", " ")


DIVERGED_LOSS = 1e12  # a mean square above this is given up: it is on its way to overflow
_BATCHES = 2**31 - 1  # folded into a lane's key for its mini-batches; no network is this wide


class PackShape(NamedTuple):
    """The shape of a compiled pack.

    Attributes:
        lanes: B, data sets trained at once.
        n: rows of a lane's data set, true and padded.
        d: columns.
        neurons: K, hidden neurons of a lane.
        heads: M, networks of a lane.
    """

    lanes: int
    n: int
    d: int
    neurons: int
    heads: int


class Lane(NamedTuple):
    """One data set and its networks in training; `Lanes` are the same arrays with a leading axis B.

    Attributes:
        x: (n, d), in standard form and centred (under batch norm), with zero rows and columns as padding.
        y: (n,), labels, 0 in padded rows.
        second_moment: (d, d), x'x/n, or (0, 0) where variances are taken over activations.
        owner: (K,), the network of each neuron, -1 for none.
        key: (2,) uint32, from which mini-batches are drawn.
        step: (), updates made since the lane was filled.
        status: (M,), see `Status`.
        steps: (M,), updates each network had when it ended.
        loss: (M,), mean square error at the last full look at the data.
        params: parameters of the `Pack`.
        optimizer_state: of the optax optimiser; set up by the first step, of no meaning before.
    """

    x: Array
    y: Array
    second_moment: Array
    owner: Array
    key: Array
    step: Array
    status: Array
    steps: Array
    loss: Array
    params: Any
    optimizer_state: Any


Lanes = Lane  # with a leading axis B on every array


def uses_second_moment(config: TrainingConfig, n: int, d: int) -> bool:
    """Whether variances are taken in weight space: the same function, faster when d is well below n."""
    return config.batch_norm and config.batch_size is None and 8 * d <= n


def _module(config: TrainingConfig, neurons: int, heads: int) -> Pack:
    return Pack(neurons, heads, config.activation, config.batch_norm, config.readout_bias)


_split = jax.jit(jax.random.split)  # uncompiled, it would cost as much as drawing a narrow network


@jax.jit
def _network_key(key_data: Array, width: Array) -> Array:
    return jax.random.fold_in(jax.random.wrap_key_data(key_data, impl=keys.GENERATOR), width)


def initial_weights(key: Array, d: int, k: int, config: TrainingConfig) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (d, k) with entries N(0, hidden_scale^2 / d) and read-out (k,) with N(0, readout_scale^2 / k).

    Every neuron has a key of its own: the same bits whatever stands beside the network, on any device.
    """
    with keys.settled():
        of_kernel, of_readout = _split(key)
    blocks = keys.normal_blocks(of_kernel, k, d, config.dtype), keys.normal_blocks(of_readout, k, 1, config.dtype)
    kernel, readout = (np.concatenate([np.asarray(block) for block in drawn])[:k] for drawn in blocks)
    dtype = np.dtype(config.dtype).type
    return kernel.T * dtype(config.hidden_scale / np.sqrt(d)), readout[:, 0] * dtype(config.readout_scale / np.sqrt(k))


def empty(shape: PackShape, config: TrainingConfig) -> Lanes:
    """Lanes without networks, as NumPy arrays: every head is unused."""
    _, n, d, K, M = shape
    side = d if uses_second_moment(config, n, d) else 0

    def lane() -> Lane:
        dtype = jnp.dtype(config.dtype)
        kernel, readout = jnp.zeros((d, K), dtype), jnp.zeros((K,), dtype)
        params = pack_params(kernel, readout, M, config.batch_norm, config.readout_bias)
        return Lane(
            x=jnp.zeros((n, d), dtype),
            y=jnp.zeros((n,), dtype),
            second_moment=jnp.zeros((side, side), dtype),
            owner=jnp.zeros((K,), jnp.int32),
            key=jnp.zeros((2,), jnp.uint32),
            step=jnp.zeros((), jnp.int32),
            status=jnp.zeros((M,), jnp.int32),
            steps=jnp.zeros((M,), jnp.int32),
            loss=jnp.zeros((M,), dtype),
            params=params,
            optimizer_state=optimizer(config).init(params),
        )

    lanes = jax.tree.map(lambda leaf: np.zeros((shape.lanes, *leaf.shape), leaf.dtype), jax.eval_shape(lane))
    lanes.owner[:] = -1
    lanes.status[:] = Status.UNUSED
    lanes.loss[:] = np.inf
    return lanes


def fill(
    lanes: Lanes, lane: int, dataset: Dataset, widths: tuple[int, ...], key_data: np.ndarray, config: TrainingConfig
) -> Lanes:
    """`lanes` with `lane` holding a data set and fresh networks of the given widths.

    Args:
        lanes: donated.
        lane: index of the lane.
        dataset: n and d at most those of the pack; trained on in its standard form.
        widths: widths of the networks; at most M of them, together at most K.
        key_data: (2,) uint32; the network of width k starts from `initial_weights(fold_in(key, k), ...)`, mini-batches
            are drawn from the key itself.
        config: as the lanes were made with.
    """
    columns, K, M = lanes.x.shape[2], lanes.owner.shape[1], lanes.status.shape[1]
    fresh = jax.tree.map(lambda leaf: np.zeros(leaf.shape[1:], leaf.dtype), lanes)
    n, d = dataset.x.shape
    x = np.asarray(dataset.x, np.float64)
    x = standard_form(x).points(x)
    # Batch norm does not see the mean; centred data spare a pass over the activations.
    fresh.x[:n, :d] = x - x.mean(0) if config.batch_norm else x
    fresh.y[:n] = dataset.y
    if fresh.second_moment.size:
        fresh.second_moment[:] = _second_moment(fresh.x, fresh.y)
    fresh.owner[:] = -1
    fresh.key[:] = key_data
    fresh.status[:] = Status.UNUSED
    fresh.loss[:] = np.inf
    kernel, readout = np.zeros((columns, K), config.dtype), np.zeros(K, config.dtype)
    start = 0
    for head, width in enumerate(widths):
        own = slice(start, start := start + width)
        kernel[:d, own], readout[own] = initial_weights(_network_key(key_data, np.uint32(width)), d, width, config)
        fresh.owner[own], fresh.status[head] = head, Status.TRAINING
    fresh = fresh._replace(params=pack_params(kernel, readout, M, config.batch_norm, config.readout_bias))
    if lanes.step.shape[0] == 1:
        return jax.tree.map(lambda leaf: leaf[None], fresh)
    return _place(lanes, np.int32(lane), fresh)


@functools.partial(jax.jit, donate_argnums=0)
def _place(lanes: Lanes, lane: Array, fresh: Lane) -> Lanes:
    return jax.tree.map(lambda all_, one: all_.at[lane].set(one), lanes, fresh)


def _errors(params: Any, x: Array, y: Array, lane: Lane, config: TrainingConfig, full: bool) -> Any:
    """Sum of the networks' losses (its gradient splits by network); and per network: loss, all signs right, healthy."""
    true_row = y != 0
    count = true_row.sum().astype(x.dtype)
    moment = lane.second_moment if full and lane.second_moment.shape[0] else None
    module = _module(config, lane.owner.shape[0], lane.status.shape[0])
    outputs, healthy = module.apply({"params": params}, x, lane.owner, count, moment, centred=full)
    residual = jnp.where(true_row[:, None], outputs - y[:, None], jnp.zeros_like(outputs))
    loss = (residual * residual).sum(0) / count
    right = (outputs * y[:, None] > 0) | ~true_row[:, None]
    return loss.sum(), (loss, right.all(0), healthy)


def _mini_batch(lane: Lane, count: Array, size: int) -> tuple[Array, Array, Array]:
    """This step's mini-batch, and whether an epoch begins here.

    An epoch takes a permutation of the true rows in order; what is left at its end is less than a batch and left out.
    """
    per_epoch = jnp.maximum(count // size, 1)
    epoch, position = lane.step // per_epoch, lane.step % per_epoch
    key = jax.random.fold_in(jax.random.wrap_key_data(lane.key, impl=keys.GENERATOR), _BATCHES)
    ticket = jax.random.uniform(jax.random.fold_in(key, epoch), lane.y.shape, jnp.float32)
    order = jnp.argsort(jnp.where(lane.y != 0, ticket, jnp.inf))
    rows = jax.lax.dynamic_slice(order, (position * size,), (size,))
    return lane.x[rows], lane.y[rows], position == 0


def _step(lane: Lane, config: TrainingConfig) -> Lane:
    """Look at the fit, then make one update of every network that is still in training."""
    look = functools.partial(_errors, lane=lane, config=config, full=True)
    if config.batch_size is None or config.batch_size >= lane.y.shape[0]:
        grads, (loss, right, healthy) = jax.grad(look, has_aux=True)(lane.params, lane.x, lane.y)
        checked: Array = jnp.bool_(True)
    else:
        count = (lane.y != 0).sum(dtype=jnp.int32)
        x, y, checked = _mini_batch(lane, count, config.batch_size)
        checked = checked | (lane.step >= config.step_limit)  # the last look is at the weights that are returned
        batch = functools.partial(_errors, lane=lane, config=config, full=False)
        grads, _ = jax.grad(batch, has_aux=True)(lane.params, x, y)
        heads = lane.status.shape
        _, (loss, right, healthy) = jax.lax.cond(
            checked,
            lambda: look(lane.params, lane.x, lane.y),
            lambda: (lane.loss.sum(), (lane.loss, jnp.zeros(heads, bool), jnp.ones(heads, bool))),
        )
    training = lane.status == Status.TRAINING
    # Without a look, the loss is that of the last one.
    lost = training & checked & ~(healthy & (loss < DIVERGED_LOSS))
    fits = training & checked & ~lost & right & (loss <= config.epsilon)
    status = jnp.where(fits, jnp.int32(Status.FITTED), lane.status)
    status = jnp.where(lost, jnp.int32(Status.DIVERGED), status)
    out_of_steps = (status == Status.TRAINING) & (lane.step >= config.step_limit)
    status = jnp.where(out_of_steps, jnp.int32(Status.STEP_LIMIT), status)
    updates, optimizer_state = optimizer(config).update(grads, lane.optimizer_state, lane.params)
    params = _update(lane.params, updates, status == Status.TRAINING, lane.owner)
    return lane._replace(
        step=lane.step + 1,
        status=status,
        steps=jnp.where(training, lane.step, lane.steps),
        loss=jnp.where(lost, jnp.full_like(loss, jnp.inf), jnp.where(training, loss, lane.loss)),
        params=params,
        optimizer_state=optimizer_state,
    )


def _update(params: Any, updates: Any, training: Array, owner: Array) -> Any:
    """`params` with updates for the networks in training only: one that has ended keeps its weights."""
    moving = (owner >= 0) & training[owner]

    def move(name: str) -> Any:
        mask = training if name == "readout_bias" else moving
        return jax.tree.map(lambda p, u: p + jnp.where(mask, u, jnp.zeros_like(u)), params[name], updates[name])

    return {name: move(name) for name in params}


def _start(lane: Lane, config: TrainingConfig) -> Lane:
    """The lane with the optimiser's state set up, if it was filled since the last step."""
    initial = optimizer(config).init(lane.params)
    state = jax.tree.map(lambda new, old: jnp.where(lane.step == 0, new, old), initial, lane.optimizer_state)
    return lane._replace(optimizer_state=state)


def advance(lanes: Lanes, steps: Array, config: TrainingConfig) -> Lanes:
    """Up to `steps` further steps of every lane, fewer if every network has ended. `lanes` is donated."""
    with keys.settled():  # mini-batches are drawn
        return _advance(lanes, steps, config)


@functools.partial(jax.jit, static_argnames="config", donate_argnums=0)
def _advance(lanes: Lanes, steps: Array, config: TrainingConfig) -> Lanes:
    one_lane = functools.partial(_step, config=config)
    alone = lanes.step.shape[0] == 1  # a batch axis of one would keep XLA on CPUs off its fast matrix product
    state = jax.tree.map(lambda leaf: leaf[0], lanes) if alone else lanes
    start = functools.partial(_start, config=config)
    body = one_lane if alone else jax.vmap(one_lane)
    state = start(state) if alone else jax.vmap(start)(state)

    def go_on(carry: tuple[Lanes, Array]) -> Array:
        return (carry[1] < steps) & (carry[0].status == Status.TRAINING).any()

    state, _ = jax.lax.while_loop(go_on, lambda carry: (body(carry[0]), carry[1] + 1), (state, jnp.int32(0)))
    return jax.tree.map(lambda leaf: leaf[None], state) if alone else state


@jax.jit
def _params_of(params: Any, lane: Array) -> Any:
    return jax.tree.map(lambda leaf: leaf[lane], params)


def lane_params(lanes: Lanes, lane: int) -> Any:
    """The parameters of one lane, on the host."""
    if lanes.step.shape[0] == 1:  # nothing to pick out, so nothing to compile
        return jax.tree.map(lambda leaf: leaf[0], jax.device_get(lanes.params))
    return jax.device_get(_params_of(lanes.params, np.int32(lane)))


def compact(lanes: Lanes, shape: PackShape, config: TrainingConfig) -> tuple[Lanes, list[int]]:
    """The lanes and neurons still in training, moved as they stand into a smaller pack.

    One network that will not fit must not keep a whole pack in motion: its steps are then those of its own width.
    Heads keep their numbers, so that a lane's networks are harvested from where they ended.

    Args:
        lanes: any.
        shape: of the smaller pack: heads as before; lanes, n, d and neurons enough for what is still in training.
        config: as the lanes were made with.

    Returns:
        The smaller pack, and for each of its lanes in use the lane it was.
    """
    host = jax.device_get(lanes)
    small = empty(shape, config)
    kept = [int(lane) for lane in np.flatnonzero((host.status == Status.TRAINING).any(1))]
    per_neuron = {
        name: jax.tree.map(lambda _, own=name != "readout_bias": own, part) for name, part in host.params.items()
    }
    per_neuron_state = optax.tree.map_params(
        optimizer(config), lambda _, own: own, host.optimizer_state, per_neuron, transform_non_params=lambda _: False
    )
    for new, old in enumerate(kept):
        training = host.status[old] == Status.TRAINING
        neurons = np.flatnonzero((host.owner[old] >= 0) & training[host.owner[old]])

        def move(to: np.ndarray, by: np.ndarray, own: bool, at: Any = (new, old), neurons: Any = neurons) -> None:
            target, source = to[at[0] : at[0] + 1], by[at[1] : at[1] + 1]  # a view of `small`, and what goes there
            if own:
                target, source = target[..., : len(neurons)], source[..., neurons]
            target[...] = source[tuple(slice(size) for size in target.shape)]

        small.step[new] = host.step[old]
        for name in ("x", "y", "key", "steps", "loss"):
            move(getattr(small, name), getattr(host, name), False)
        move(small.owner, host.owner, True)
        small.status[new] = np.where(training, host.status[old], Status.UNUSED)
        if small.second_moment.size:
            small.second_moment[new] = _second_moment(small.x[new], small.y[new])
        jax.tree.map(move, small.params, host.params, per_neuron)
        jax.tree.map(move, small.optimizer_state, host.optimizer_state, per_neuron_state)
    return small, kept


def _second_moment(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x'x/n over the true rows, on the host."""
    return x.T @ x / x.dtype.type((y != 0).sum())
