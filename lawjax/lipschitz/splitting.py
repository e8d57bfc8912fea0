"""A piecewise-linear psi of any kinks is a sum of ReLUs, so a network of it is a ReLU network of more neurons.

With the slopes s_0, ..., s_m before, between and after the kinks p_1 < ... < p_m,

    psi(t) = constant + s_0 t + sum_j (s_j - s_{j-1}) relu(t - p_j),    t = relu(t) - relu(-t).

Searches for lower bounds go from cell to cell of the ReLU network: only its biases b_l - p_j are rounded, and what a
point proves is evaluated on the network given. Upper bounds take the slopes of every neuron as they are; of the ReLUs
that it is a sum of they would not know that these move together.

    >>> f = TwoLayer(W=[[2.0]], b=[1.0], a=[3.0], activation="relu6")
    >>> g = split_at_kinks(f)
    >>> g.W.tolist(), g.b.tolist(), g.a.tolist(), g.activation.name
    ([[2.0], [2.0]], [1.0, -5.0], [3.0, -3.0], 'relu')
"""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lawjax import activations
from lawjax.network import TwoLayer


def split_at_kinks(network: TwoLayer) -> TwoLayer:
    """A network whose gradient is the same, up to the rounding of its biases, and that has one kink, at 0, if any.

    Those of smooth psi, and of one that is linear on either side of 0 and steeper on the right, come back as they are.
    Works on stacks, and under JAX transformations.
    """
    psi = network.activation
    if psi.has_kink or not (psi.is_piecewise_linear and psi.kinks):
        return network
    W, b, a = network.W, network.b, network.a
    xp = np if isinstance(W, np.ndarray) else jnp
    parts = [
        (W, b - kink, a * (after - before))
        for kink, (before, after) in zip(psi.kinks, itertools.pairwise(psi.sides), strict=True)
    ]
    if psi.sides[0] != 0:
        parts += [(W, b, a * psi.sides[0]), (-W, -b, -a * psi.sides[0])]
    rows, biases, weights = zip(*parts, strict=True)
    leaves = xp.concatenate(rows, axis=-2), xp.concatenate(biases, axis=-1), xp.concatenate(weights, axis=-1)
    return TwoLayer.tree_unflatten(activations.get("relu"), (*leaves, network.c))


def repeated(weights: Float[np.ndarray, " weights"], n_neurons: int) -> Float[np.ndarray, " more_weights"]:
    """Weights (1 + k,) of a constant part and of k neurons for those that these were split into."""
    return np.append(weights[0], np.resize(weights[1:], n_neurons))
