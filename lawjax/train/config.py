"""How networks are trained: every choice that the paper's section 5 leaves unstated, and the optimiser it names."""

from __future__ import annotations

import functools
import textwrap
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from lawjax import activations, arguments
from lawjax.errors import UserError

_MOST_STEPS = 2**31 - 2  # steps are counted in int32

# Optimisers of optax that treat every coordinate alike, known to do so with their own defaults.
OPTIMIZERS = tuple(
    name
    for name in (
        *("adabelief", "adadelta", "adagrad", "adam", "adamax", "adamaxw", "adamw", "adan", "amsgrad", "lion"),
        *("nadam", "nadamw", "radam", "rmsprop", "rprop", "sgd", "sign_sgd", "yogi"),
    )
    if hasattr(optax, name)
)


@dataclass(frozen=True)
class TrainingConfig:
    """How networks are trained; every choice that section 5 leaves unstated is a field.

    Attributes:
        epsilon: a network fits when all signs are right and its mean square error is at most this.
        optimizer: name of an optax optimiser that treats every coordinate alike: adabelief, adadelta, adagrad, adam,
            adamax, adamaxw, adamw, adan, amsgrad, lion, nadam, nadamw, radam, rmsprop, rprop, sgd, sign_sgd, yogi, or
            another.
        learning_rate: its learning rate.
        optimizer_options: its other parameters, as (name, value) pairs.
        step_limit: updates after which a network is given up.
        batch_size: rows of a mini-batch; None for the full batch. The fit is then checked once an epoch and at the end.
        hidden_scale: standard deviation of the initial w_l in units of 1/sqrt(d) (an entry is N(0, scale^2/d)).
        readout_scale: standard deviation of the initial a_l in units of 1/sqrt(k).
        batch_norm: batch normalisation before psi; without it, the hidden layer has biases instead.
        readout_bias: whether f has an output constant c.
        activation: identity, relu, leaky_relu, abs, relu6, hard_tanh, tanh, sigmoid, softplus, silu, elu, gelu,
            gelu:tanh, leaky_relu:slope, power:p or polynomial:c0,c1,...
        dtype: "float32" or "float64".
    """

    epsilon: float = 0.02
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    optimizer_options: tuple[tuple[str, float], ...] = ()
    step_limit: int = 5000
    batch_size: int | None = None
    hidden_scale: float = 1.0
    readout_scale: float = 1.0
    batch_norm: bool = True
    readout_bias: bool = True
    activation: str = "relu"  # or a value of one's own, which no command line can make
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Check what can be checked before anything is trained."""
        for name in ("epsilon", "learning_rate", "hidden_scale", "readout_scale"):
            arguments.positive(name, getattr(self, name))
        if not isinstance(self.optimizer_options, tuple) or not all(map(_is_option, self.optimizer_options)):
            raise UserError('optimizer_options must be a tuple of pairs, such as (("b1", 0.9),).')
        arguments.whole("step_limit", self.step_limit, 1, _MOST_STEPS)
        if self.batch_size is not None:
            arguments.whole("batch_size", self.batch_size, 2)  # batch norm needs a variance
        for name in ("batch_norm", "readout_bias"):
            arguments.flag(name, getattr(self, name))
        arguments.word("dtype", self.dtype, ("float32", "float64"))
        activations.get(self.activation)
        optimizer(self)


def _is_option(pair: Any) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)


def optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """The optax optimiser of a configuration.

    Raises:
        UserError: optax has none of this name and these options, or it mixes coordinates (LAMB, global-norm clipping):
            networks that share a pack would then disturb one another.
    """
    try:
        hash((config.optimizer, config.optimizer_options))
    except TypeError:
        raise UserError("optimizer must be a name, and optimizer_options pairs of a name and a number.") from None
    return _optimizer(config.optimizer, config.learning_rate, config.optimizer_options)


@functools.cache
def _optimizer(name: str, learning_rate: float, options: tuple[tuple[str, float], ...]) -> optax.GradientTransformation:
    factory = getattr(optax, name, None) if isinstance(name, str) else None
    if not callable(factory):
        raise UserError(f"optax has no optimiser {arguments.shown(name)}; use one of {', '.join(OPTIMIZERS)}.")
    known = name in OPTIMIZERS
    try:
        made = _lenient(factory(learning_rate, **dict(options)))
        # What is known is not tried, so that a configuration can be made where JAX has no device.
        mixes = False if known and not options else mixes_coordinates(made)
    except Exception as error:
        reason = textwrap.shorten(str(error) or type(error).__name__, 80)
        others = "" if known else f"; use one of {', '.join(OPTIMIZERS)}"
        raise UserError(
            f"optax has no usable optimiser {name!r} with options {dict(options)} ({reason}){others}."
        ) from None
    if mixes:
        raise UserError(
            f"Optimiser {name!r} mixes coordinates, so networks of a pack would disturb one another; "
            f"use one of {', '.join(OPTIMIZERS)}."
        )
    return made


def mixes_coordinates(tx: optax.GradientTransformation) -> bool:
    """Whether an optimiser moves a coordinate in another way beside others than alone."""
    # As the last of a matrix that is large enough for optimisers that factorise such.
    among_others = np.random.default_rng(0).uniform(0.5, 2.0, (128, 128))
    among_others[-1, -1] = 1.0
    ends = [_two_updates(tx, start)[-1, -1] for start in (np.ones((1, 1)), among_others)]
    return not np.allclose(ends[0], ends[1], rtol=1e-4, atol=0)


def _lenient(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """The same optimiser for callers who asked JAX for strict promotion: optax raises floats to integer powers."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return tx.update(updates, state, params)

    return optax.GradientTransformation(tx.init, update)


def _two_updates(tx: optax.GradientTransformation, start: Float[np.ndarray, "i j"]) -> Float[np.ndarray, "i j"]:
    """The sum of two updates from `start`."""
    params = jnp.asarray(start, jnp.float32)
    state, total = tx.init(params), jnp.zeros_like(params)
    for _ in range(2):
        # Not in proportion to params, or the ratio of their norms (LARS) would be that of each coordinate.
        updates, state = tx.update(0.3 * jnp.cos(params), state, params)
        params, total = params + updates, total + updates
    return np.asarray(total)
