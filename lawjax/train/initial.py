"""Initial weights of one network, from a key of its own: the same bits in any pack, on any device."""

from __future__ import annotations

import jax
import numpy as np
from jaxtyping import Array, Float, Key, UInt32

from lawjax import keys
from lawjax.train.config import TrainingConfig

_split = jax.jit(jax.random.split)  # uncompiled, it would cost as much as drawing a narrow network


@jax.jit
def network_key(key_data: UInt32[Array, " 2"], width: UInt32[Array, ""]) -> Key[Array, ""]:
    """The key of the network of a width, fold_in(key, width), from the words of a data set's key."""
    return jax.random.fold_in(jax.random.wrap_key_data(key_data, impl=keys.GENERATOR), width)


def initial_weights(
    key: Key[Array, ""], d: int, k: int, config: TrainingConfig
) -> tuple[Float[np.ndarray, "d k"], Float[np.ndarray, " k"]]:
    """Kernel (d, k) with entries N(0, hidden_scale^2 / d) and read-out (k,) with N(0, readout_scale^2 / k).

    Every neuron has a key of its own: the same bits whatever stands beside the network, on any device.
    """
    with keys.settled():
        of_kernel, of_readout = _split(key)
    blocks = keys.normal_blocks(of_kernel, k, d, config.dtype), keys.normal_blocks(of_readout, k, 1, config.dtype)
    kernel, readout = (np.concatenate([np.asarray(block) for block in drawn])[:k] for drawn in blocks)
    dtype = np.dtype(config.dtype).type
    return kernel.T * dtype(config.hidden_scale / np.sqrt(d)), readout[:, 0] * dtype(config.readout_scale / np.sqrt(k))
