"""Symmetric tensors as forms, kept implicit: F(x) = sum_l a_l (w_l . x)^p = <T, x^(p)> (section 3.4, appendix A).

A form is a `TwoLayer` with activation `power:p` and without biases, bracketed and stored like any network; T itself,
with d^p entries, is formed by `dense` alone. ||T||_op = max |F(x)| over unit x (Banach).

    >>> form = power_form(np.eye(3), [1.0, 2.0, -3.0], 4)
    >>> found = operator_norm(form)
    >>> round(found.lower, 9), round(found.upper, 9)
    (3.0, 3.0)
"""

from __future__ import annotations

import functools
import itertools
import math
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, PRNGKeyArray
from numpy.typing import ArrayLike

from lawjax import activations, arguments, data
from lawjax.data import Dataset
from lawjax.domains import check_network
from lawjax.errors import UserError
from lawjax.keys import GENERATOR
from lawjax.lipschitz import verified
from lawjax.lipschitz.upper.polynomial import polynomial_bound
from lawjax.network import TwoLayer

_MOST_ENTRIES = 10**7  # of a tensor written out
_BLOCK_ENTRIES = 2**22
_STEPS_BETWEEN_LOOKS = 20
_GROWTH = 1e-9  # relative growth between looks below which a start has arrived
_BEST_ROWS = 8  # of the form's own directions among the starts of the power method


class OperatorNorm(NamedTuple):
    """||T||_op between two bounds.

    Attributes:
        lower: |F(witness)| / ||witness||^p in float64, less its roundings.
        upper: a proved upper bound; for p <= 2 the two agree up to rounding, for p >= 3 it comes from flattenings, some
            sqrt(d) too large for random tensors.
        witness: (d,), of length one.
    """

    lower: float
    upper: float
    witness: Float[np.ndarray, " d"]


def power_form(directions: ArrayLike, coefficients: ArrayLike, order: int) -> TwoLayer:
    """The form F(x) = sum_l c_l (w_l . x)^p.

    Args:
        directions: (m, d), rows w_l.
        coefficients: (m,), c_l.
        order: p >= 1.

    Raises:
        UserError: shapes that do not fit together, p < 1 or above 1000.
    """
    arguments.whole("The order", order, 1, activations.MAX_POWER)
    return TwoLayer(directions, None, coefficients, activation=f"power:{order}")


def data_form(dataset: Dataset, order: int) -> TwoLayer:
    """Omega = sum_i y_i x_i^(p) (sections 3.4 and 4.3) as a form, in float64."""
    return power_form(*data.float64(dataset), order)


def order_of(form: TwoLayer) -> int:
    """p of a form.

    Raises:
        UserError: it is a stack, its activation is not power:p, or it has biases.
    """
    check_network(form)
    kind, _, order = form.activation.name.partition(":")
    if kind != "power" or form.W.ndim != 2 or np.any(form.b) or np.any(form.c):
        raise UserError(f"A form is a single network with activation power:p and no biases, not {form!r}.")
    return int(order)


def dense(form: TwoLayer) -> Float[np.ndarray, "*d"]:
    """T with its d^p entries, for small ones.

    Raises:
        UserError: no form, or more than 10^7 entries.
    """
    p, d = order_of(form), form.dimension
    if d**p > _MOST_ENTRIES:
        raise UserError(f"A tensor of order {p} in dimension {d} has {d}^{p} entries; keep it implicit.")
    W, a = np.asarray(form.W, np.float64), np.asarray(form.a, np.float64)
    step = max(1, _BLOCK_ENTRIES // d**p)
    total = np.zeros((d,) * p)
    for start in range(0, len(W), step):
        rows = W[start : start + step]
        product = a[start : start + step]
        for _ in range(p):
            product = product[..., None] * rows.reshape(len(rows), *(1,) * (product.ndim - 1), d)
        total += product.sum(0)
    return total


def decompose(T: ArrayLike) -> TwoLayer:
    """Lemma 2: a tensor (d, ..., d) of order p, as a form, is a sum of at most 2^(p-1) d^(p-1) terms xi_l (w_l . x)^p.

    For each (i_1, ..., i_(p-1)) the last axis v = T[i_1, ..., i_(p-1), :] gives, by polarisation,
    w = (p! 2^(p-1))^(-1/p) (sum_q eps_q e_(i_q) + v) and xi = prod_q eps_q over the signs eps of the first p - 1; the
    paper's other half of the signs repeats these. T need not be symmetric, and xi_l = +-1.

    Raises:
        UserError: axes of different lengths, or none.
    """
    T = arguments.numbers("T", T, None)
    d, p = (T.shape[0] if T.ndim else 0), T.ndim
    if not d or set(T.shape) != {d}:
        raise UserError(f"A tensor must have shape (d, ..., d), not {T.shape}.")
    if d ** (p - 1) * 2 ** (p - 1) * d > 100 * _MOST_ENTRIES:
        raise UserError(f"A tensor of order {p} in dimension {d} has {2 ** (p - 1)} {d}^{p - 1} terms: too many.")
    places = np.array(list(itertools.product(range(d), repeat=p - 1)), int).reshape(d ** (p - 1), p - 1)
    last = T.reshape(-1, d)
    used = last.any(1)
    places, last = places[used], last[used]
    basis = np.eye(d)[places]  # (terms, p - 1, d)
    W, xi = [np.zeros((0, d))], [np.zeros(0)]
    for signs in itertools.product((1.0, -1.0), repeat=p - 1):
        W.append((np.array(signs)[:, None] * basis).sum(1) + last)
        xi.append(np.full(len(last), math.prod(signs)))
    scale = float(math.factorial(p) * 2 ** (p - 1)) ** (-1.0 / p)
    if not used.any():
        return power_form(np.zeros((1, d)), np.zeros(1), p)
    return power_form(scale * np.concatenate(W), np.concatenate(xi), p)


def operator_norm(form: TwoLayer, key: PRNGKeyArray | None = None, starts: int = 32, steps: int = 300) -> OperatorNorm:
    """||T||_op from below by the shifted symmetric higher-order power method, from above by flattenings.

    A step x <- (T[x^(p-1), .] + alpha x) / length costs O(m d) for each start; alpha adapts so that |F| never falls
    (Kolda and Mayo, Shifted power method for computing tensor eigenpairs, SIAM J. Matrix Anal. 32, 2011). For p = 2 the
    extreme eigenvectors are taken instead.

    Args:
        form: of any order.
        key: a JAX key for the random starts; a fixed one unless given.
        starts: random ones, besides the form's own best directions and those of its flattenings.
        steps: of the power method, at most.

    Raises:
        UserError: no form, fewer than one start or step.
    """
    p = order_of(form)
    arguments.whole("starts", starts)
    arguments.whole("steps", steps)
    if key is not None:
        arguments.key(key)
    bound = polynomial_bound(form.astype(np.float64), "sphere", ascents=False)
    upper = float(verified.up(bound.upper / p))
    scaled = _scaled(form)
    form = scaled.form
    rows = form.W[np.any(form.W, 1)]
    if not len(rows) or upper == 0:
        return OperatorNorm(0.0, upper, np.eye(1, form.dimension)[0])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    if p <= 2:
        points = _extreme_directions(form, p)
    else:
        own = rows[np.argsort(-np.abs(_values(form, rows[:4096])))[:_BEST_ROWS]]
        key = jax.random.key(0, impl=GENERATOR) if key is None else key
        with jax.enable_x64(True), jax.default_matmul_precision("float32"):
            random = jax.random.normal(key, (starts, form.dimension), jnp.float64)
            first = jnp.concatenate([random, jnp.asarray(own), jnp.asarray(bound.candidates)])
            weights = form.W / np.abs(form.W).max()
            read_out = form.a / np.abs(form.a).max()
            points = np.asarray(_power_method(jnp.asarray(weights), jnp.asarray(read_out), first, p, steps))
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    values = np.abs(_values(form, points))
    best = int(values.argmax())
    # Each term of F has p (d + 1) roundings, their sum m, and the witness has length one but for d + 4 roundings.
    magnitude = float(np.abs(form.a) @ (np.abs(form.W) @ np.abs(points[best])) ** p)
    slack = verified.gamma(2 * p * (form.dimension + 8) + len(form.W) + 16) * magnitude
    lower = scaled.back(float(values[best]) - slack) * (1.0 - scaled.rounding)
    return OperatorNorm(min(max(lower, 0.0), upper, sys.float_info.max), upper, points[best])


def _extreme_directions(form: TwoLayer, p: int) -> np.ndarray:
    if p == 1:
        gradient = form.a @ form.W
        return gradient[None] if gradient.any() else np.eye(1, form.dimension)
    vectors = np.linalg.eigh(form.W.T @ (form.a[:, None] * form.W))[1]
    return vectors.T[[0, -1]]


def _values(form: TwoLayer, points: np.ndarray) -> np.ndarray:
    """F at points (m, d), a block of points at a time."""
    step = max(1, _BLOCK_ENTRIES // len(form.W))
    return np.concatenate([form(points[i : i + step]) for i in range(0, len(points), step)])


@functools.partial(jax.jit, static_argnames=("order", "steps"))
def _power_method(W: Array, a: Array, starts: Array, order: int, steps: int) -> Array:
    """Where the starts (s, d) lead, one half uphill and one half downhill where p is even."""

    def normalised(x: Array) -> Array:
        return x / jnp.linalg.norm(x, axis=1, keepdims=True)

    def look(x: Array, signs: Array) -> tuple[Array, Array]:
        """F and its gradient over p at x (s, d), both times the signs."""
        u = x @ W.T
        lower = signs[:, None] * a[None, :] * u ** (order - 1)
        return (lower * u).sum(1), lower @ W

    def step(_: Integer[Array, ""], carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        x, value, gradient, shift = carry
        ahead = normalised(gradient + shift[:, None] * x)
        value_ahead, gradient_ahead = look(ahead, signs)
        better = value_ahead >= value
        size = jnp.linalg.norm(gradient, axis=1)
        return (
            jnp.where(better[:, None], ahead, x),
            jnp.where(better, value_ahead, value),
            jnp.where(better[:, None], gradient_ahead, gradient),
            jnp.where(better, 0.5 * shift, 2.0 * shift + 0.1 * size + 1e-300),
        )

    if order % 2 == 0:
        starts = jnp.concatenate([starts, starts])
        signs = jnp.repeat(jnp.array([1.0, -1.0], W.dtype), starts.shape[0] // 2)
    else:
        signs = jnp.ones(starts.shape[0], W.dtype)

    def grows(carry: tuple[Any, Array, Array, Array]) -> Array:
        (_, value, _, _), before, done, _ = carry
        return (done < steps) & (value > before + _GROWTH * jnp.abs(value)).any()

    def many(carry: tuple[Any, Array, Array, Array]) -> tuple[Any, Array, Array, Array]:
        state, _, done, count = carry
        return jax.lax.fori_loop(0, count, step, state), state[1], done + count, count

    x = normalised(starts)
    value, gradient = look(x, signs)
    state = (x, value, gradient, jnp.zeros_like(value))
    count = jnp.int32(min(steps, _STEPS_BETWEEN_LOOKS))
    (x, *_), *_ = jax.lax.while_loop(grows, many, (state, jnp.full_like(value, -jnp.inf), jnp.int32(0), count))
    return x


def frobenius_norm(form: TwoLayer) -> float:
    """An upper bound on ||T||_F, tight up to rounding: its square is sum_lm a_l a_m (w_l . w_m)^p."""
    scaled = _scaled(form)
    return scaled.upwards(_frobenius(scaled.form))


def nuclear_norm_bound(form: TwoLayer) -> float:
    """An upper bound on ||T||_{op,*}, the dual of the operator norm: |<S, T>| <= ||S||_op ||T||_{op,*}.

    Lemma 3: ||T||_{op,*} <= d^((p-1)/2) ||T||_F. For p = 2 it is the sum of the eigenvalues' magnitudes, never above
    sum_l |a_l| ||w_l||^p.
    """
    p, d = order_of(form), form.dimension
    scaled = _scaled(form)
    W, a = scaled.form.W, scaled.form.a
    bounds = [verified.total(np.abs(a) * verified.row_norms(W) ** p) * (1.0 + verified.gamma(2 * p + 4))]
    if p == 2:
        bounds.append(_largest_eigenvalues(scaled.form, d))
    if (p - 1) / 2 * math.log2(d) < 900:
        bounds.append(float(verified.up(d ** ((p - 1) / 2) * (1.0 + 1e-12) * _frobenius(scaled.form))))
    return scaled.upwards(min(bounds))


def largest_eigenvalues(form: TwoLayer, k: int) -> float:
    """An upper bound on the sum of the k largest |eigenvalues| of a form of order two."""
    arguments.whole("k", k)
    if order_of(form) != 2:
        raise UserError(f"Eigenvalues are for forms of order 2, not {order_of(form)}.")
    scaled = _scaled(form)
    return scaled.upwards(_largest_eigenvalues(scaled.form, k))


def _frobenius(form: TwoLayer) -> float:
    p = order_of(form)
    W, a = form.W, form.a
    step = max(1, _BLOCK_ENTRIES // len(W))
    total = 0.0
    for start in range(0, len(W), step):
        products = W[start : start + step] @ W.T
        total += float(a[start : start + step] @ (products**p @ a))
    magnitude = float((np.abs(a) * verified.row_norms(W) ** p).sum())
    slack = math.sqrt(verified.gamma(p * (form.dimension + 8) + 2 * len(W) + 16)) * magnitude
    # sqrt(total + slack^2); what underflow takes from it is far below 1e-150
    return float(verified.up(math.hypot(math.sqrt(max(total, 0.0)), slack))) + 1e-150


def _largest_eigenvalues(form: TwoLayer, k: int) -> float:
    W, a = form.W, form.a
    values = np.sort(np.abs(np.linalg.eigvalsh(W.T @ (a[:, None] * W))))[::-1]
    # Forming the matrix and finding its eigenvalues (backward stable) moves each by some roundings of this size.
    size = verified.total(np.abs(a) * verified.row_norms(W) ** 2)
    slack = verified.gamma(len(W) + 100 * form.dimension + 100) * size + 1e-290
    return float(values[:k].sum() + min(k, len(values)) * slack)


class _Scaled(NamedTuple):
    """A form over 2^exponent, in float64: the longest direction and the strongest coefficient have length one.

    Attributes:
        form: the scaled one.
        exponent: of the power of two; no integer.
        rounding: a bound on the relative error that the scaling makes, of T and of what is scaled back.
    """

    form: TwoLayer
    exponent: float
    rounding: float

    def back(self, value: float) -> float:
        """value 2^exponent."""
        whole = math.floor(self.exponent)
        with np.errstate(over="ignore", under="ignore"):
            return float(np.ldexp(value * 2.0 ** (self.exponent - whole), int(np.clip(whole, -5000, 5000))))

    def upwards(self, value: float) -> float:
        """An upper bound on value 2^exponent; above 0 unless the value is 0, whatever underflows."""
        return max(self.back(value) * (1.0 + self.rounding), 1e-300) if value else 0.0


def _scaled(form: TwoLayer) -> _Scaled:
    p = order_of(form)
    form = form.astype(np.float64)
    used = form.a != 0
    longest, strongest = float((verified.row_norms(form.W) * used).max()), float(np.abs(form.a).max())
    if not (longest and strongest):
        return _Scaled(power_form(np.zeros_like(form.W), np.zeros_like(form.a), p), 0.0, 0.0)
    scaled = power_form(np.where(used[:, None], form.W, 0.0) / longest, form.a / strongest, p)
    exponents = p * math.log2(longest), math.log2(strongest)
    return _Scaled(scaled, sum(exponents), 1e-15 * (abs(exponents[0]) + abs(exponents[1]) + p + 10))


def lipschitz_bound(form: TwoLayer) -> float:
    """Lemma 1: on the sphere Lip(F) <= p ||T||_op; proved, with the upper bound on ||T||_op."""
    order_of(form)
    return polynomial_bound(form.astype(np.float64), "sphere", ascents=False).upper


def lemma4_ratio(dataset: Dataset, points: ArrayLike, order: int) -> Float[np.ndarray, " m"]:
    """|sum_i y_i (x_i . z)^p| / sqrt(n / d^p) at unit points z (m, d): Lemma 4 bounds it by C_p sqrt(tau) w.h.p.

    At p = 2 its root mean square is sqrt(3), as E (x . z)^4 = 3 / d^2 up to terms in 1/d, and sqrt(2) where as many
    labels are +1 as -1, which takes the mean of (x . z)^2 off.
    """
    dataset = data.checked(dataset)
    points = arguments.numbers("points", points, (None, dataset.d))
    values = np.abs(_values(data_form(dataset, order), points))
    return values / math.sqrt(dataset.n) * float(dataset.d) ** (0.5 * order)


def lemma5_ratio(dataset: Dataset, order: int, **search: Any) -> tuple[float, float]:
    """||sum_i y_i x_i^(p)||_op / sqrt(n / d^(p-1)) from below and above; at most C_p if n >= d^(p-1) (Lemma 5)."""
    dataset = data.checked(dataset)
    found = operator_norm(data_form(dataset, order), **search)
    scale = float(dataset.d) ** (0.5 * (order - 1)) / math.sqrt(dataset.n)
    return found.lower * scale, found.upper * scale
