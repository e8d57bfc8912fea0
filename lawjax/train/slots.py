"""What a pack is: its shape, and the arrays of its slots, each a data set with the networks in training on it."""

from __future__ import annotations

import enum
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, PyTree, UInt32

from lawjax.train.config import TrainingConfig, optimizer
from lawjax.train.model import packed_params


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


class PackShape(NamedTuple):
    """The shape of a compiled pack.

    Attributes:
        slots: B, data sets trained at once.
        n: rows of a slot's data set, true and padded.
        d: columns.
        neurons: K, hidden neurons of a slot.
        networks: M, networks of a slot.
    """

    slots: int
    n: int
    d: int
    neurons: int
    networks: int


class Slot(NamedTuple):
    """One data set and its networks in training; `Slots` are the same arrays with a leading axis B.

    Attributes:
        x: in standard form and centred (under batch norm), with zero rows and columns as padding.
        y: labels, 0 in padded rows.
        second_moment: x'x/n, or (0, 0) where variances are taken over activations.
        network_of: the network of each neuron, -1 for none.
        key: from which mini-batches are drawn.
        step: updates made since the slot was filled.
        status: see `Status`.
        steps: updates each network had when it ended.
        loss: mean square error at the last full look at the data.
        params: parameters of `PackedNetworks`.
        optimizer_state: of the optax optimiser; set up by the first step, of no meaning before.
    """

    x: Float[Array, "*B n d"]
    y: Float[Array, "*B n"]
    second_moment: Float[Array, "*B side side"]
    network_of: Int32[Array, "*B K"]
    key: UInt32[Array, "*B 2"]
    step: Int32[Array, "*B"]
    status: Int32[Array, "*B M"]
    steps: Int32[Array, "*B M"]
    loss: Float[Array, "*B M"]
    params: PyTree[Float[Array, "*B ..."]]
    optimizer_state: PyTree[Array]

    @property
    def shape(self) -> PackShape:
        """The pack's shape; of all slots, not of one."""
        slots, n, d = self.x.shape
        return PackShape(slots, n, d, self.network_of.shape[-1], self.status.shape[-1])


Slots = Slot  # with a leading axis B on every array


def uses_second_moment(config: TrainingConfig, n: int, d: int) -> bool:
    """Whether variances are taken in weight space: the same function, faster when d is well below n."""
    return config.batch_norm and config.batch_size is None and 8 * d <= n


def empty(shape: PackShape, config: TrainingConfig) -> Slots:
    """Slots without networks, as NumPy arrays: every network is unused."""
    _, n, d, K, M = shape
    side = d if uses_second_moment(config, n, d) else 0

    def slot() -> Slot:
        dtype = jnp.dtype(config.dtype)
        kernel, readout = jnp.zeros((d, K), dtype), jnp.zeros((K,), dtype)
        params = packed_params(kernel, readout, M, batch_norm=config.batch_norm, readout_bias=config.readout_bias)
        return Slot(
            x=jnp.zeros((n, d), dtype),
            y=jnp.zeros((n,), dtype),
            second_moment=jnp.zeros((side, side), dtype),
            network_of=jnp.zeros((K,), jnp.int32),
            key=jnp.zeros((2,), jnp.uint32),
            step=jnp.zeros((), jnp.int32),
            status=jnp.zeros((M,), jnp.int32),
            steps=jnp.zeros((M,), jnp.int32),
            loss=jnp.zeros((M,), dtype),
            params=params,
            optimizer_state=optimizer(config).init(params),
        )

    slots = jax.tree.map(lambda leaf: np.zeros((shape.slots, *leaf.shape), leaf.dtype), jax.eval_shape(slot))
    slots.network_of[:] = -1
    slots.status[:] = Status.UNUSED
    slots.loss[:] = np.inf
    return slots
