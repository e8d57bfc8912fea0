"""Certificates: upper bounds on Lipschitz constants with weights from which anybody can prove them.

Every gradient of f is sum_l s_l v_l with v_l = a_l w_l and slopes s_l in [alpha_l, beta_l]. With m_l and h_l the middle
and half the length of that interval, v'_0 = sum_l m_l v_l and v'_l = h_l v_l, it is v'_0 + sum_l r_l v'_l with
|r_l| <= 1, and for every weight vector lambda > 0 (docs/certificates.md)

    Lip(f)^2 <= (sum_l lambda_l) * lambda_max(sum_l v'_l v'_l^T / lambda_l),    l = 0, ..., k.

The best weights give the semidefinite relaxation of max ||v'_0 + sum r_l v'_l||; they are found by products with the
matrix of the v'_l alone. Whatever weights a solver returns, the bound is then computed and proved in float64.

    >>> f = TwoLayer(W=[[3.0, 0.0], [0.0, 4.0]], b=[0.0, 0.0], a=[1.0, 1.0])
    >>> round(certify(f).bound, 6)
    5.0
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lawjax import activations, check
from lawjax.errors import UserError
from lawjax.lipschitz import verified
from lawjax.network import TwoLayer

Array = Any

DOMAINS = ("space", "ball", "sphere")
RANK = 32  # columns of the relaxation's factor; the optimum of r constraints has one of rank sqrt(2r)
STEPS = 3000  # of the relaxation's iteration, at most
_STEPS_BETWEEN_LOOKS = 50
_TOLERANCE = 1e-10  # relative growth of the primal value between looks at which the iteration ends
_EXTRAPOLATION = 0.8
_FLOOR = 1e-9  # of the norm of a row, below which its weight is not let fall


@dataclass(frozen=True)
class Certificate:
    """A proved upper bound on a Lipschitz constant, and what proves it.

    Attributes:
        bound: Lip(f) <= bound on the domain, a theorem about the float weights of f; infinite where nothing is known.
        weights: (k + 1,), lambda: lambda_0 for the constant part, then one for each neuron, all positive, of sum one.
        domain: "space" (R^d), "ball" or "sphere" (around 0).
        radius: of the ball or sphere.
    """

    bound: float
    weights: np.ndarray
    domain: str = "space"
    radius: float = 1.0

    def record(self, network: TwoLayer) -> dict[str, Any]:
        """What a certificate file holds, for `lawjax check`: it names the network by the digest of its weights.

        The bound in it is larger by some 1e-11 of itself, as the checker counts roundings more simply than the proof.

        Raises:
            UserError: there is no finite bound, or no checkable one.
        """
        if not math.isfinite(self.bound):
            raise UserError(f"There is no finite bound for the activation {network.activation!r} to certify.")
        host = network.astype(network.W.dtype)
        bound, more = self.bound, 1e-15
        while not check.proves(
            host.W, host.b, host.a, host.activation, self.domain, self.radius, self.weights, float(bound)
        ):
            bound, more = self.bound * (1.0 + more), 4.0 * more
            if more > 1e-6:
                raise UserError("This bound is beyond what float64 can check; rescale the network.")
        return {
            "kind": check.KIND,
            "network": check.digest(host.W, host.b, host.a, host.c, host.activation),
            "domain": self.domain,
            "radius": self.radius,
            "bound": float(bound),
            "weights": self.weights.tolist(),
        }


def slope_intervals(network: TwoLayer, domain: str = "space", radius: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Float64 vectors alpha, beta (k,) with alpha_l <= psi' <= beta_l wherever neuron l gets on the domain.

    On the ball and the sphere of radius R, neuron l sees pre-activations within b_l +- R ||w_l||. One with
    |b_l| >= R ||w_l|| never crosses its kink: its slope is known. Infinite where psi' is unbounded.
    """
    psi = activations.get(network.activation)
    W, b = np.asarray(network.W, np.float64), np.asarray(network.b, np.float64)
    low, high = (-math.inf, math.inf) if psi.slope_interval is None else psi.slope_interval
    alpha, beta = np.full(len(b), low), np.full(len(b), high)
    if domain != "space" and psi.has_kink:
        reach = verified.up(radius * verified.row_norms(W))
        off, on = -b >= reach, b >= reach
        left, right = (float(psi.slope(np.float64(side))) for side in (-1.0, 1.0))
        alpha, beta = np.where(off, left, alpha), np.where(off, left, beta)
        alpha, beta = np.where(on, right, alpha), np.where(on, right, beta)
    return alpha, beta


def centred_rows(network: TwoLayer, alpha: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows v'_0, ..., v'_k in float64, shape (k + 1, d), and (k + 1,) bounds on the norms of their errors."""
    W, a = np.asarray(network.W, np.float64), np.asarray(network.a, np.float64)
    middle = 0.5 * alpha + 0.5 * beta
    half = np.where(alpha == beta, 0.0, verified.up(np.maximum(beta - middle, middle - alpha)))
    middle = np.where(alpha == beta, alpha, middle)
    products = a[:, None] * W
    rows = np.concatenate([(middle @ products)[None, :], half[:, None] * products])
    magnitudes = np.abs(middle) @ np.abs(products)
    errors = verified.gamma(4) * verified.row_norms(rows)
    errors[0] = verified.gamma(len(a) + 4) * float(verified.row_norms(magnitudes[None, :])[0])
    return rows, errors * (1.0 + verified.gamma(4))


def proved_bound(rows: np.ndarray, errors: np.ndarray, weights: np.ndarray) -> float:
    """sqrt(sum lambda) * ||Lambda^(-1/2) V'||_op, rounded upwards, for rows V' that are wrong by at most `errors`."""
    used = (np.abs(rows).max(1, initial=0.0) > 0) | (errors > 0)
    if not used.any():
        return 0.0
    rows, errors, weights = rows[used], errors[used], weights[used]
    scale = 1.0 / np.sqrt(weights)
    scaled = rows * scale[:, None]
    # Three roundings of every entry, and what the rows themselves are wrong by.
    row_errors = (verified.gamma(4) * verified.row_norms(scaled) + errors * scale) * (1.0 + verified.gamma(6))
    error = float(verified.row_norms(row_errors[None, :])[0])
    total = verified.total(weights)
    return float(verified.up(verified.spectral_norm(scaled, error) * verified.up(math.sqrt(total))))


def certify(network: TwoLayer, domain: str = "space", radius: float = 1.0) -> Certificate:
    """The certificate with the best weights that the relaxation's iteration finds.

    Args:
        network: one network, of any slope interval.
        domain: "space", "ball" or "sphere".
        radius: of the ball or sphere.

    Raises:
        UserError: a stack, an unknown domain, a radius that is not positive.
    """
    return certify_all([network], domain, radius)[0]


def certify_all(networks: list[TwoLayer], domain: str = "space", radius: float = 1.0) -> list[Certificate]:
    """Certificates of networks of any sizes; those of like size are padded and solved in one batch."""
    prepared = [_prepare(network, domain, radius) for network in networks]
    weights = best_weights([rows for rows, _ in prepared])
    return [
        Certificate(_bound_or_infinity(rows, errors, own), own, domain, float(radius))
        for (rows, errors), own in zip(prepared, weights, strict=True)
    ]


def _prepare(network: TwoLayer, domain: str, radius: float) -> tuple[np.ndarray, np.ndarray]:
    if network.W.ndim != 2:
        raise UserError(f"This is a stack of shape {network.W.shape[:-2]}; certify its networks one by one.")
    if domain not in DOMAINS:
        raise UserError(f"Unknown domain {domain!r}: use one of {', '.join(DOMAINS)}.")
    if not 0 < radius < math.inf:
        raise UserError(f"The radius of the ball must be positive and finite, not {radius}.")
    alpha, beta = slope_intervals(network, domain, radius)
    if not np.isfinite(alpha).all():
        return np.full((network.n_neurons + 1, network.dimension), np.inf), np.zeros(network.n_neurons + 1)
    return centred_rows(network, alpha, beta)


def _bound_or_infinity(rows: np.ndarray, errors: np.ndarray, weights: np.ndarray) -> float:
    return proved_bound(rows, errors, weights) if np.isfinite(rows).all() else math.inf


def best_weights(rows: list[np.ndarray]) -> list[np.ndarray]:
    """Weights lambda for each matrix of rows (k + 1, d), positive and of sum one, nearly the best there are."""
    batches: dict[tuple[int, int], list[int]] = {}
    for i, matrix in enumerate(rows):
        batches.setdefault(_padded_size(*matrix.shape), []).append(i)
    found: list[np.ndarray] = [np.zeros(0)] * len(rows)
    for (height, width), members in batches.items():
        stack = np.zeros((len(members), height, width))
        for place, i in enumerate(members):
            stack[place, : rows[i].shape[0], : rows[i].shape[1]] = _scaled(rows[i])
        with jax.enable_x64(True), jax.default_matmul_precision("float32"):
            weights = np.asarray(_relaxation(jnp.asarray(stack), min(RANK, height)))
        for place, i in enumerate(members):
            found[i] = _usable(weights[place, : len(rows[i])], rows[i])
    return found


def _padded_size(height: int, width: int) -> tuple[int, int]:
    """Sizes to pad to: few programs, little waste."""

    def rounded(size: int) -> int:
        step = max(8, 2 ** (size.bit_length() - 3))
        return -(-size // step) * step

    return rounded(height), rounded(width)


def _scaled(rows: np.ndarray) -> np.ndarray:
    largest = np.abs(rows).max(initial=0.0)
    return rows / largest if 0 < largest < np.inf else np.zeros_like(rows)


def _usable(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The weights, positive also where the relaxation leaves none, of sum one."""
    norms = np.linalg.norm(_scaled(rows), axis=1)
    if not (np.isfinite(weights).all() and weights.any()):
        weights = norms
    weights = np.maximum(weights / max(weights.sum(), 1e-300), _FLOOR * norms / max(norms.sum(), 1e-300))
    weights = np.where(weights > 0, weights, 1e-100)  # of rows of zeros
    return weights / weights.sum()


@functools.partial(jax.jit, static_argnames="rank")
def _relaxation(rows: Array, rank: int) -> Array:
    return jax.lax.map(functools.partial(_weights_of, rank=rank), rows)


def _weights_of(V: Array, rank: int) -> Array:
    """lambda_l = ||(V V'U)_l|| at a U with rows of length one that nearly maximises ||V'U||_F.

    Each step replaces U by V(V'U), rows normalised: it maximises a linear lower bound of the convex ||V'U||_F^2, which
    therefore grows; extrapolation makes it faster.
    """
    start = jax.random.normal(jax.random.key(0, impl="threefry2x32"), (V.shape[0], rank), V.dtype)

    def normalised(U: Array) -> Array:
        norms = jnp.linalg.norm(U, axis=1, keepdims=True)
        return U / jnp.where(norms > 0, norms, jnp.ones_like(norms))

    def step(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        U, previous = carry
        ahead = U + _EXTRAPOLATION * (U - previous)
        return normalised(V @ (V.T @ ahead)), U

    def grows(carry: tuple[Array, Array, Array, Array, Array]) -> Array:
        _, _, value, before, steps = carry
        return (steps < STEPS) & (value > before * (1.0 + _TOLERANCE))

    def many(carry: tuple[Array, Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array, Array]:
        U, previous, value, _, steps = carry
        U, previous = jax.lax.fori_loop(0, _STEPS_BETWEEN_LOOKS, step, (U, previous))
        return U, previous, ((V.T @ U) ** 2).sum(), value, steps + _STEPS_BETWEEN_LOOKS

    U = normalised(start)
    zero = jnp.zeros((), V.dtype)
    U, *_ = jax.lax.while_loop(grows, many, (U, U, zero + 1e-300, zero, jnp.int32(0)))
    return jnp.linalg.norm(V @ (V.T @ U), axis=1)
