"""The paper's network as Flax modules: one alone, and many side by side; and folding to `TwoLayer`.

Section 5: "k ReLU units and batch normalization between the linear layer and ReLU layer". Batch norm is a function of
the training set here: its statistics are those of all n points (or of the mini-batch), and `fold` moves them into the
weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from lawjax import activations
from lawjax.activations import Activation
from lawjax.network import TwoLayer
from lawjax.standard import standard_form

AnyArray = Array | np.ndarray
Params = Mapping[str, PyTree[Float[AnyArray, "..."]]]
NORM_EPSILON = 1e-5


class PaperNetwork(nn.Module):
    """Linear without bias, batch norm, psi, linear: the network of section 5, for use alone.

    `init(key, x)` gives `params` (hidden/kernel (d, k), norm/scale and norm/bias (k,), readout/kernel (k, 1) and
    readout/bias (1,)) and `batch_stats`; `apply(variables, x, mutable="batch_stats")` normalises by the statistics of x
    and returns f(x), (n,), beside Flax's running averages, which are not used.

    Attributes:
        width: k.
        activation: name of psi.
    """

    width: int
    activation: str | Activation = "relu"

    @nn.compact
    def __call__(self, x: Float[AnyArray, "n d"]) -> Float[Array, " n"]:
        """f(x) at the rows of x (n, d), normalised over these rows; shape (n,)."""
        h = nn.Dense(self.width, use_bias=False, name="hidden")(x)
        # Without fast variance: E[h^2] - E[h]^2 cancels where the mean of h is large.
        h = nn.BatchNorm(use_running_average=False, epsilon=NORM_EPSILON, use_fast_variance=False, name="norm")(h)
        return nn.Dense(1, name="readout")(activations.get(self.activation)(h))[:, 0]


def _affine(
    x: Float[AnyArray, "n d"], kernel: Float[AnyArray, "d K"], bias: Float[AnyArray, " K"]
) -> Float[Array, "n K"]:
    """x @ kernel + bias as one product, so that the gradient of the bias costs no pass of its own over (n, K)."""
    ones = jnp.ones((x.shape[0], 1), x.dtype)
    return jnp.concatenate([x, ones], 1) @ jnp.concatenate([kernel, bias[None, :]], 0)


def product(x: Float[AnyArray, "n d"], kernel: Float[AnyArray, "d K"], narrow: int = 64) -> Float[AnyArray, "n K"]:
    """x @ kernel; for few neurons its gradient is taken as g'x and not x'g, up to three times faster on CPUs.

    Args:
        x: the points.
        kernel: the weights.
        narrow: K up to which neurons are few, if it is at most d/4, too.
    """
    if kernel.shape[1] > min(narrow, x.shape[1] // 4):
        return x @ kernel
    return x @ jax.lax.optimization_barrier(kernel.T).T  # without the barrier, XLA would turn it round again


class _Hidden(nn.Module):
    """The hidden layer of `PackedNetworks`: kernel (d, K), then batch norm or a bias.

    Returns (n, K), and (K,) a sum over each neuron's weights, which is finite only where they all are.
    """

    neurons: int
    batch_norm: bool

    @nn.compact
    def __call__(
        self,
        x: Float[AnyArray, "n d"],
        count: Float[AnyArray, ""],
        second_moment: Float[AnyArray, "d d"] | None,
        *,
        centred: bool,
    ) -> tuple[Float[AnyArray, "n K"], Float[AnyArray, " K"]]:
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (x.shape[1], self.neurons), x.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.neurons,), x.dtype)
        if not self.batch_norm:
            return _affine(x, kernel, bias), (kernel * kernel).sum(0) + bias
        scale = self.param("scale", nn.initializers.ones, (self.neurons,), x.dtype)
        if second_moment is not None:  # the variance of neuron w is w'Sw: no pass over (n, K) is needed for it
            variance = ((second_moment @ kernel) * kernel).sum(0)
            gain = scale * jax.lax.rsqrt(variance + NORM_EPSILON)
            return _affine(x, kernel * gain[None, :], bias), variance + scale + bias
        h = product(x, kernel)
        if not centred:
            h = h - h.mean(0, keepdims=True)
        variance = (h * h).sum(0) / count
        gain = scale * jax.lax.rsqrt(variance + NORM_EPSILON)
        return h * gain[None, :] + bias[None, :], variance + scale + bias


class PackedNetworks(nn.Module):
    """M networks of any widths side by side in one hidden layer of K neurons, on one data set.

    Which network a neuron belongs to is data (`network_of`), not structure, so one compiled program serves every mix of
    widths. Neurons of no network have -1 there. Rows of zeros in x (padding) change nothing, since x is centred.

    Attributes:
        neurons: K.
        networks: M.
        activation: name of psi.
        batch_norm: whether the hidden layer is normalised; without it, it has biases.
        readout_bias: whether f has the constant c.
    """

    neurons: int
    networks: int
    activation: str | Activation = "relu"
    batch_norm: bool = True
    readout_bias: bool = True

    @nn.compact
    def __call__(
        self,
        x: Float[AnyArray, "n d"],
        network_of: Int[AnyArray, " K"],
        count: Float[AnyArray, ""],
        second_moment: Float[AnyArray, "d d"] | None = None,
        *,
        centred: bool = True,
    ) -> tuple[Float[Array, "n M"], Bool[Array, " M"]]:
        """All networks at all points.

        Args:
            x: (n, d), centred over the data set if `centred` (batch norm then needs no mean), zero rows as padding.
            network_of: (K,), the network each neuron belongs to, -1 for none.
            count: (), the number of true rows of x.
            second_moment: (d, d), x'x/n; if given, variances are computed from it in weight space, which is faster for
                d well below n and the same function.
            centred: see x.

        Returns:
            outputs (n, M), and healthy (M,): False for a network with weights or squared outputs that overflowed. Such
            neurons and outputs are switched off, so that they cannot spoil the networks beside them: infinity times the
            zeros between networks would, also in the gradients.
        """
        h, size = _Hidden(self.neurons, self.batch_norm, name="hidden")(x, count, second_moment, centred=centred)
        readout = self.param("readout", nn.initializers.normal(1.0), (self.neurons,), x.dtype)
        hidden = activations.get(self.activation)(h)
        hidden = jnp.where(jnp.isfinite(hidden), hidden, jnp.zeros_like(hidden))
        membership = jnp.arange(self.networks, dtype=network_of.dtype)[:, None] == network_of[None, :]
        # (M, K) and not its transpose: XLA's product for the gradient is then several times faster on CPUs.
        readouts = jnp.where(membership, readout[None, :], jnp.zeros_like(readout)[None, :])
        outputs = hidden @ readouts.T
        if self.readout_bias:
            outputs = outputs + self.param("readout_bias", nn.initializers.zeros, (self.networks,), x.dtype)[None, :]
        broken = ~(jnp.isfinite(size) & jnp.isfinite(readout))
        whole = jnp.abs(outputs) < float(jnp.finfo(x.dtype).max) ** 0.5
        return jnp.where(whole, outputs, jnp.zeros_like(outputs)), whole.all(0) & ~(membership & broken[None, :]).any(1)


def packed_params(
    kernel: Float[AnyArray, "d K"],
    readout: Float[AnyArray, " K"],
    networks: int,
    *,
    batch_norm: bool = True,
    readout_bias: bool = True,
) -> dict[str, Any]:
    """Parameters of `PackedNetworks` at initialisation, from kernel and read-outs: unit scales, zero biases."""
    xp = np if isinstance(readout, np.ndarray) else jnp
    hidden = {"kernel": kernel, "bias": xp.zeros_like(readout)}
    if batch_norm:
        hidden["scale"] = xp.ones_like(readout)
    params: dict[str, Any] = {"hidden": hidden, "readout": readout}
    if readout_bias:
        params["readout_bias"] = xp.zeros((networks,), readout.dtype)
    return params


def network_params(params: Params, neurons: Int[np.ndarray, " k"], network: int, dimension: int) -> dict[str, Any]:
    """One network's part of `PackedNetworks`' parameters, on the host.

    Args:
        params: of all M networks.
        neurons: the places of its neurons among all K.
        network: its place among the M, for its constant.
        dimension: rows of the kernel that are not padding.
    """
    part = {name: np.asarray(value)[..., neurons] for name, value in params["hidden"].items()}
    part["kernel"] = part["kernel"][:dimension]
    own = {"hidden": part, "readout": np.asarray(params["readout"])[neurons]}
    if "readout_bias" in params:
        own["readout_bias"] = np.asarray(params["readout_bias"])[network]
    return own


def fold(params: Params, x: Float[AnyArray, "n d"], activation: str | Activation = "relu") -> TwoLayer:
    """The `TwoLayer` that one network computes once batch norm is fixed at the statistics of the rows of x.

    w <- gamma w / sqrt(sigma^2 + eps), b <- beta - gamma mu / sqrt(sigma^2 + eps), with mu and sigma^2 over all of x,
    computed in float64 on the host; the weights are then rounded to the precision of the parameters, unless the points
    are so far from 0 that the biases need float64.

    Args:
        params: one network's parameters, from `network_params` or a `PaperNetwork`'s `params`.
        x: (n, d), the training set as it was drawn (not centred).
        activation: name of psi.
    """
    x, kernel = np.asarray(x, np.float64), np.asarray(params["hidden"]["kernel"])
    if "norm" in params:  # a PaperNetwork
        scale, bias = np.asarray(params["norm"]["scale"]), np.asarray(params["norm"]["bias"])
        readout, constant = np.asarray(params["readout"]["kernel"])[:, 0], np.asarray(params["readout"]["bias"])[0]
    else:
        scale, bias = params["hidden"].get("scale"), np.asarray(params["hidden"]["bias"])
        readout, constant = np.asarray(params["readout"]), np.asarray(params.get("readout_bias", 0.0))
    W, b = kernel.T.astype(np.float64), bias.astype(np.float64)
    if scale is not None:
        h = x @ W.T
        gain = np.asarray(scale, np.float64) / np.sqrt(h.var(0) + NORM_EPSILON)
        W, b = gain[:, None] * W, b - gain * h.mean(0)
    network = TwoLayer(W, b, readout.astype(np.float64), constant.astype(np.float64), activation)
    return standard_form(x).rounded(network, kernel.dtype)
