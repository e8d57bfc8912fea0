"""Lower estimates with a witness: ascent of the gradient norm over the unit sphere.

For piecewise-linear psi the gradient norm is piecewise constant: its derivative is 0 almost everywhere, and code that
ascends it stands still. Here the slopes psi' are replaced by sigmoids that sharpen from step to step; what is reported
is the exact gradient norm at the best point passed.

    >>> f = TwoLayer(W=[[3.0, 4.0]], b=[-4.9], a=[1.0])  # a small cap around (0.6, 0.8)
    >>> float(ascend(f, jax.random.key(0)).value)
    5.0
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from lawjax import arguments
from lawjax.activations import Activation
from lawjax.domains import Sphere
from lawjax.errors import UserError
from lawjax.lipschitz.lower.effort import Annealing
from lawjax.lipschitz.lower.proxy import Scalar, as_single_network, check_dimension, normal_points, norms
from lawjax.lipschitz.splitting import split_at_kinks
from lawjax.network import TwoLayer

_USUAL = Annealing()
_KINK_MARGIN = 8.0  # roundings of a pre-activation within which its sign is not sure


class Ascent(NamedTuple):
    """The best point of an ascent; with leading axes for a stack under `jax.vmap`.

    Attributes:
        value: (), ||grad f(x)|| at the witness x, or the norm of the part of grad f(x) orthogonal to x if tangential.
        witness: (d,), a point of the sphere.
    """

    value: Float[Array, ""]
    witness: Float[Array, " d"]


def _normalised(rows: Float[Array, "m d"]) -> Float[Array, "m d"]:
    """Rows of length one; zero rows stay zero. Scaled first, since the squares of smoothed slopes can underflow."""
    largest = jnp.abs(rows).max(axis=1, keepdims=True)
    rows = rows / jnp.where(largest > 0, largest, jnp.ones_like(largest))
    lengths = jnp.linalg.norm(rows, axis=1, keepdims=True)
    return rows / jnp.where(lengths > 0, lengths, jnp.ones_like(lengths))


def _tangential(rows: Float[Array, "m d"], points: Float[Array, "m d"]) -> Float[Array, "m d"]:
    """(I - x x^T) g for every row g and its point x of length one."""
    return rows - (rows * points).sum(1, keepdims=True) * points


def _starts(
    network: TwoLayer, key: PRNGKeyArray, n_starts: int, dimension: Scalar, nudge: float
) -> Float[Array, "m d"]:
    """(n_starts, d): random points, up to a quarter of them along +-w_l for the strongest neurons.

    The directions are nudged at random: exactly along a neuron others may sit on their kink, where f has no gradient.
    """
    d = network.dimension
    draws = normal_points(key, n_starts, d, dimension, network.W.dtype)
    draws = draws * jax.lax.rsqrt(jnp.asarray(dimension, network.W.dtype))
    n_strongest = min(n_starts // 8, network.n_neurons)
    if n_strongest == 0:
        return _normalised(draws)
    row_norms = norms(network.W)
    strength, strongest = jax.lax.top_k(jnp.abs(network.a) * row_norms, n_strongest)
    # a neuron without strength, padding among them, leaves its two places to their random parts
    factors = jnp.where(strength > 0, 1.0 / row_norms[strongest], jnp.zeros_like(strength))
    directions = network.W[strongest] * factors[:, None]
    along = jnp.stack([directions, -directions], axis=1).reshape(2 * n_strongest, d)
    along = jnp.pad(along, [(0, n_starts - 2 * n_strongest), (0, 0)])
    is_along = jnp.pad(jnp.repeat(strength > 0, 2), (0, n_starts - 2 * n_strongest))
    return _normalised(along + jnp.where(is_along, nudge, 1.0).astype(draws.dtype)[:, None] * draws)


def _geometric(ends: tuple[float, float], fraction: Float[Array, ""]) -> Float[Array, ""]:
    first, last = ends
    return first * (last / first) ** fraction


class _Objective(NamedTuple):
    """The squared gradient norm on a sphere with smoothed slopes, and the exact norms beside it.

    Attributes:
        network: f.
        sphere: where.
        radius: of the sphere, in the network's precision.
        read_out: (k,), a over the strongest |a_l| ||w_l||: squares must not overflow, and steps take only directions.
        inverse_scale: (k,), one scale per neuron, so that (w, b, a) -> (cw, cb, a/c) changes nothing and no neuron
            depends on another.
        counts: (k,), which neurons have any strength.
        margin: (k,), rounding of pre-activations.
    """

    network: TwoLayer
    sphere: Sphere
    radius: Float[Array, ""]
    read_out: Float[Array, " k"]
    inverse_scale: Float[Array, " k"]
    counts: Bool[Array, " k"]
    margin: Float[Array, " k"]

    @classmethod
    def of(cls, network: TwoLayer, sphere: Sphere, dimension: Scalar) -> _Objective:
        """What all steps share."""
        W, b, a = network.W, network.b, network.a
        radius = jnp.asarray(sphere.radius, W.dtype)
        row_norms = norms(W)
        strength = jnp.abs(a) * row_norms
        counts = strength > 0
        strongest = strength.max()
        read_out = a / jnp.where(strongest > 0, strongest, jnp.ones_like(strongest))
        typical = radius * row_norms * jax.lax.rsqrt(jnp.asarray(dimension, W.dtype))
        scale = norms(jnp.stack([typical, b], axis=1))
        inverse_scale = 1.0 / jnp.where(counts, scale, jnp.ones_like(scale))
        margin = _KINK_MARGIN * jnp.finfo(W.dtype).eps * (radius * row_norms + jnp.abs(b))
        return cls(network, sphere, radius, read_out, inverse_scale, counts, margin)

    @property
    def psi(self) -> Activation:
        """The activation."""
        return self.network.activation

    def _slopes(self, pre_activations: Float[Array, "m k"], sharpness: Float[Array, ""]) -> Float[Array, "m k"]:
        """Those of psi, smoothed where they jump."""
        psi = self.psi
        if not psi.has_kink or psi.slope_interval is None:
            return psi.slope(pre_activations)
        low, high = psi.slope_interval
        return low + (high - low) * jax.nn.sigmoid(sharpness * self.inverse_scale[None, :] * pre_activations)

    def _gradients(
        self, slopes: Float[Array, "m k"], read_out: Float[Array, " k"], points: Float[Array, "m d"]
    ) -> Float[Array, "m d"]:
        gradients = (slopes * read_out[None, :]) @ self.network.W
        return _tangential(gradients, points) if self.sphere.tangential else gradients

    def value(
        self, points: Float[Array, "m d"], sharpness: Float[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, "m k"]]:
        """Half the sum of all squares, and the pre-activations."""
        pre_activations = self.radius * (points @ self.network.W.T) + self.network.b[None, :]
        gradients = self._gradients(self._slopes(pre_activations, sharpness), self.read_out, points)
        return 0.5 * (gradients**2).sum(), pre_activations

    def exact_norms(self, points: Float[Array, "m d"], pre_activations: Float[Array, "m k"]) -> Float[Array, " m"]:
        """The gradient norms, 0 within rounding of a kink: the slopes read off there need not occur together."""
        found = norms(self._gradients(self.psi.slope(pre_activations), self.network.a, points))
        if not self.psi.has_kink:
            return found
        on_kink = ((jnp.abs(pre_activations) <= self.margin[None, :]) & self.counts[None, :]).any(axis=1)
        return jnp.where(on_kink, jnp.zeros_like(found), found)


@functools.partial(jax.jit, static_argnames=("n_starts", "steps", "annealing"))
def _ascend(
    network: TwoLayer,
    key: PRNGKeyArray,
    sphere: Sphere,
    extra_starts: Float[Array, "m d"] | None,
    n_starts: int,
    steps: int,
    dimension: Scalar,
    annealing: Annealing,
) -> Ascent:
    dtype, momentum = network.W.dtype, annealing.momentum
    points = _starts(network, key, n_starts, dimension, annealing.nudge)
    if extra_starts is not None:
        points = jnp.concatenate([points, _normalised(extra_starts)])
    objective = _Objective.of(network, sphere, dimension)
    ascent_direction = jax.grad(objective.value, has_aux=True)

    def step(carry: tuple[Array, Array, Ascent], fraction: Array) -> tuple[tuple[Array, Array, Ascent], None]:
        points, velocity, best = carry
        slopes, pre_activations = ascent_direction(points, _geometric(annealing.sharpness, fraction))
        found = objective.exact_norms(points, pre_activations)
        winner = found.argmax()
        best = jax.tree.map(
            functools.partial(jnp.where, found[winner] > best.value), Ascent(found[winner], points[winner]), best
        )
        towards = _normalised(_tangential(slopes, points))
        velocity = _tangential(momentum * velocity + (1.0 - momentum) * towards, points)
        points = _normalised(points + _geometric(annealing.step_length, fraction) * _normalised(velocity))
        return (points, velocity, best), None

    with jax.default_matmul_precision("float32"):  # the default on GPUs rounds the factors to TF32
        nothing = Ascent(jnp.zeros((), dtype), points[0])
        fractions = jnp.linspace(0.0, 1.0, steps, dtype=dtype)
        (_, _, best), _ = jax.lax.scan(step, (points, jnp.zeros_like(points), nothing), fractions)
    return best._replace(witness=objective.radius * best.witness)


def ascend(
    network: TwoLayer,
    key: PRNGKeyArray,
    n_starts: int = 64,
    steps: int = 100,
    sphere: Sphere = Sphere(),
    *,
    dimension: Scalar | None = None,
    starts: ArrayLike | None = None,
    annealing: Annealing = _USUAL,
) -> Ascent:
    """The largest gradient norm that projected gradient ascent finds on a sphere around 0, with the point.

    The full gradient norm is a lower estimate of Lip on R^d, often a better one on a larger sphere, where biases matter
    less. Along the sphere it is one of G_T = sup over the unit sphere of ||(I - x x^T) grad f(x)||, for which
    G_T <= Lip on S^{d-1} <= (pi/2) G_T (section 1). Both up to rounding; a point within rounding of a kink never
    counts. The value is never below that of the best start.

    A step costs five products of (starts, d) with (d, k). Works under `jax.jit` and, for stacks of networks and keys,
    under `jax.vmap`.

    Args:
        network: one network.
        key: a JAX key for the random starts.
        n_starts: how many; a quarter of them along +-w_l of the neurons with the largest |a_l| ||w_l||.
        steps: evaluations of each start and its successors, at least one.
        sphere: where, and whether the part of the gradient along it is measured.
        dimension: the true d, a number or a scalar array, where the network carries zero columns as padding (`padded`).
        starts: (m, d), further starts, such as training points; scaled to the sphere, zero in padded coordinates.
        annealing: how slopes are smoothed and steps are led.

    Raises:
        UserError: a stack without `jax.vmap`, fewer than one start or step, starts of another shape, a start at 0,
            another domain, a dimension the network does not have, gradients that may be too large or too
            small for the precision.
    """
    arguments.whole("n_starts", n_starts)
    arguments.whole("steps", steps)
    arguments.instance("The sphere", sphere, Sphere, "such as lawjax.Sphere(1.0)")
    arguments.instance("annealing", annealing, Annealing, "such as Annealing(momentum=0.8)")
    arguments.key(key)
    network = split_at_kinks(as_single_network(network))
    if starts is not None:
        if not isinstance(starts, jax.core.Tracer):
            starts = arguments.numbers("starts", starts, (None, network.dimension))
            if not (starts.size and starts.any(axis=1).all()):
                raise UserError("starts must not be zero, and at least one: they are scaled to the sphere.")
            starts = starts / np.abs(starts).max(axis=1, keepdims=True)
        starts = jnp.asarray(starts).astype(network.W.dtype)
    return _ascend(network, key, sphere, starts, n_starts, steps, check_dimension(network, dimension), annealing)
