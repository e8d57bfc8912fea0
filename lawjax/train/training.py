"""Train networks until they memorise a data set, and fold them: section 5's experiment for one data set.

>>> dataset = data.gaussian(jax.random.key(0), 100, 50)
>>> [result] = memorize(dataset, [20], jax.random.key(1))
>>> result.fitted, result.network
(True, TwoLayer(k=20, d=50, activation='relu', float32))
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt32

from lawjax import arguments, data
from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.progress import Report
from lawjax.standard import StandardForm, check_separable, standard_form
from lawjax.train import pack
from lawjax.train.config import TrainingConfig
from lawjax.train.model import fold, network_params
from lawjax.train.slots import PackShape, Slots, Status, empty

ThreefryKey = Key[Array, ""] | UInt32[Array, " 2"] | UInt32[np.ndarray, " 2"]  # a key of JAX, or its words


class Memorized(NamedTuple):
    """A network at the end of its training.

    Attributes:
        network: the folded network, None if it diverged.
        status: fitted, step limit or diverged, as training saw it.
        steps: updates made.
        loss: mean square error before folding, in the training's precision.
        loss_folded: mean square error of `network`, in float64; nan if it diverged.
        fitted: training fitted it, and the folded network has all signs right and a loss of at most epsilon.
    """

    network: TwoLayer | None
    status: Status
    steps: int
    loss: float
    loss_folded: float
    fitted: bool


@contextlib.contextmanager
def numerics(config: TrainingConfig) -> Iterator[None]:
    """The precision a configuration asks for, for JAX calls of this thread: products in true float32 or float64."""
    with jax.enable_x64(config.dtype == "float64"), jax.default_matmul_precision("float32"):
        yield


def memorize(
    dataset: Dataset,
    widths: int | Sequence[int],
    key: ThreefryKey,
    config: TrainingConfig | None = None,
    chunk: int = 200,
    devices: Sequence[jax.Device] | None = None,
    *,
    progress: bool = False,
) -> list[Memorized]:
    """Train one network of each width on the data set, side by side, each until it fits or its step limit.

    The network of width k is initialised from fold_in(key, k): it is the same network, up to the rounding of larger
    matrix products, whichever widths stand beside it. Points far from 0 or of a size far from one are trained on in
    their standard form (`lawjax.standard`); the networks that come back take the points as given, in float64 where
    float32 would spoil the fit.

    Args:
        dataset: n points of dimension d with labels -1 and +1.
        widths: k, or several different ones.
        key: a JAX key.
        config: how to train; the defaults of `TrainingConfig` if None.
        chunk: steps between looks of the host.
        devices: among which the neurons are divided, for networks that one device cannot hold; JAX's default device
            if None.
        progress: whether to show how many networks have ended.

    Raises:
        UserError: an invalid data set, widths below one or repeated, a batch larger than the data set, points of
            opposite labels that are equal or that the precision cannot tell apart.
    """
    config = _checked_config(config)
    widths = _checked_widths(widths)
    arguments.whole("chunk", chunk)
    dataset = data.checked(dataset)
    check_batch(config, dataset.n)
    own = standard_form(dataset.x).points(dataset.x).astype(config.dtype)
    check_separable(dataset, own, 'train with dtype="float64" or rescale the features in which they differ')
    several = list(devices or ())
    neurons = sum(widths) + -sum(widths) % max(1, len(several))
    shape = PackShape(1, dataset.n, dataset.d, neurons, len(widths))
    with numerics(config):
        slots = pack.fill(empty(shape, config), 0, dataset, widths, key_data(key), config)
        if several:
            slots = pack.divided(slots, config, several)
        with Report("networks", len(widths), shown=progress) as report:
            left = len(widths)
            while left:
                slots = pack.advance(slots, np.int32(chunk), config)
                still = int((np.asarray(slots.status) == Status.TRAINING).sum())
                report.update(left - still, steps=int(slots.step[0]))
                left = still
        return harvest(slots, 0, dataset, range(len(widths)), config)


def _checked_config(config: TrainingConfig | None) -> TrainingConfig:
    if config is not None:
        arguments.instance("config", config, TrainingConfig, "such as lawjax.TrainingConfig(epsilon=0.02)")
    return config or TrainingConfig()


def _checked_widths(widths: int | Sequence[int]) -> tuple[int, ...]:
    try:
        checked = tuple(operator.index(width) for width in (widths if isinstance(widths, Iterable) else (widths,)))
    except TypeError:
        checked = ()
    if not checked or min(checked) < 1 or len(set(checked)) < len(checked):
        raise UserError(f"Widths must be different whole numbers k >= 1, not {arguments.shown(widths)}.")
    return checked


def key_data(key: ThreefryKey) -> UInt32[np.ndarray, " 2"]:
    """The (2,) uint32 words of a JAX key of the threefry generator."""
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.key_data(key)
    words = np.asarray(key if isinstance(key, (jax.Array, np.ndarray)) else ())
    if words.shape != (2,) or words.dtype != np.uint32:
        raise UserError("The key must be one threefry key, as jax.random.key(seed, impl='threefry2x32') makes it.")
    return words


def check_batch(config: TrainingConfig, n: int) -> None:
    """Raise UserError where a mini-batch would be larger than the data set."""
    if config.batch_size is not None and config.batch_size > n:
        raise UserError(f"batch_size is {config.batch_size}, but the data set has {n} points; take at most n or None.")


def harvest(
    slots: Slots, slot: int, dataset: Dataset, networks: Sequence[int], config: TrainingConfig
) -> list[Memorized]:
    """Networks of a slot that have ended, folded with the data set's statistics and checked once more.

    Args:
        slots: of a pack.
        slot: which one.
        dataset: what it was filled with.
        networks: which of its networks, by their places in the slot.
        config: as the slots were made with.
    """
    params = pack.slot_params(slots, slot)
    network_of, status, steps, loss = (
        np.asarray(leaf)[slot] for leaf in (slots.network_of, slots.status, slots.steps, slots.loss)
    )
    form = standard_form(dataset.x)
    return [
        _finish(
            network_params(params, np.flatnonzero(network_of == network), network, dataset.d),
            dataset,
            form,
            Status(status[network]),
            int(steps[network]),
            float(loss[network]),
            config,
        )
        for network in networks
    ]


def _finish(
    params: Any,
    dataset: Dataset,
    form: StandardForm,
    status: Status,
    steps: int,
    loss: float,
    config: TrainingConfig,
) -> Memorized:
    if status == Status.DIVERGED:
        return Memorized(None, status, steps, loss, float("nan"), False)
    own = fold(params, form.points(np.asarray(dataset.x)), config.activation)
    network = own if form.is_plain else form.rounded(form.given(own), own.W.dtype)
    loss_folded, right = check_fit(network, dataset)
    return Memorized(
        network, status, steps, loss, loss_folded, status == Status.FITTED and right and loss_folded <= config.epsilon
    )


def check_fit(network: TwoLayer, dataset: Dataset) -> tuple[float, bool]:
    """Mean square error of a network on a data set, in float64 on the host, and whether all its signs are right."""
    outputs = network.astype(np.float64)(np.asarray(dataset.x, np.float64))
    y = np.asarray(dataset.y, np.float64)
    return float(np.mean((outputs - y) ** 2)), bool((outputs * y > 0).all())


def loss_curve(
    dataset: Dataset, width: int, key: ThreefryKey, steps: int, config: TrainingConfig | None = None
) -> Float[np.ndarray, " steps"]:
    """Mean square errors of one network before each of its first `steps` updates, shape (steps,).

    The network is the one that `memorize` trains from the same key; it stays as it is once it fits. With mini-batches,
    each is the loss on all points when the epoch began.
    """
    config = _checked_config(config)
    width = arguments.whole("width", width)
    arguments.whole("steps", steps)
    dataset = data.checked(dataset)
    check_batch(config, dataset.n)
    with numerics(config):
        slots = empty(PackShape(1, dataset.n, dataset.d, width, 1), config)
        slots = pack.fill(slots, 0, dataset, (width,), key_data(key), config)
        losses = []
        for _ in range(steps):
            slots = pack.advance(slots, np.int32(1), config)
            losses.append(float(np.asarray(slots.loss)[0, 0]))
    return np.array(losses)
