"""Polynomial forms: section 3.4's tensors, the quadratic form of least norm, and cubic ones of every width between."""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg
import scipy.sparse.linalg

from lawjax import activations, arguments
from lawjax.data import Dataset
from lawjax.domains import Ball, Sphere
from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.theory import tensors
from lawjax.theory.constructions.record import BLOCK_ENTRIES, Condition, Construction, arrays, built

_ROUGH = 1e-9  # root mean square residual from which an exact fit has failed
_DENSE_ENTRIES = 10**6  # of a tensor that is written out for Lemma 2


def tensor(dataset: Dataset, order: int = 2, exact: bool = False) -> Construction:
    """Section 3.4, Theorem 2, psi = t^p: f(x) = sum_i y_i (x_i . x)^p = <T, x^(p)>, |f(x_i) - y_i| <= C_p eps.

    With n log n = eps^2 d^p and p even, Lip on the sphere is at most p ||T||_op <= C_p sqrt(n/k), k = C_p d^(p-1); at
    p = 2 it is lambda_max - lambda_min. The neurons are T's eigenvectors for p = 2, else Lemma 2's or the data points,
    whichever are fewer. Odd p is beyond the paper.

    Args:
        dataset: the claims are for points of the sphere.
        order: p >= 2.
        exact: fit exactly instead: coefficients c_i in place of y_i, found by adding forms in the residuals, as the
            paper suggests, with the weights of conjugate gradients (plain steps diverge where ||(x_i . x_j)^p|| > 2,
            as at p = 2 for n > 2d). The result is the T of least Frobenius norm that fits.

    Raises:
        UserError: p < 2.
    """
    arguments.whole("The order of a tensor (`linear` is for 1)", order, 2, activations.MAX_POWER)
    arguments.flag("exact", exact)
    x, y = arrays(dataset)
    n, d = x.shape
    coefficients = _interpolating(x, y, order) if exact else y
    form = tensors.power_form(x, coefficients, order)
    symmetric = math.comb(d + order - 1, order)
    norms = np.linalg.norm(x, axis=1)
    conditions = [
        Condition("|x_i| = 1", bool(np.abs(norms - 1).max() < 1e-5), f"{norms.min():.3g} to {norms.max():.3g}"),
        Condition("p is even", order % 2 == 0, f"p = {order}" + ("" if order % 2 == 0 else ", beyond the paper")),
    ]
    if exact:
        conditions.append(Condition("n <= dimension of the symmetric tensors", n <= symmetric, f"{n}, {symmetric}"))
    else:
        size = math.sqrt(n * math.log(n)) * float(d) ** (-0.5 * order)
        conditions.append(Condition("eps = sqrt(n log(n) / d^p) < 1", size < 1, f"{size:.3g}"))
    if order == 2:
        network, bound = _eigen_network(form)
    else:
        network, bound = form, tensors.lipschitz_bound(form)
        if 2 ** (order - 1) * d ** (order - 1) < n and d**order <= _DENSE_ENTRIES:
            network = tensors.decompose(tensors.dense(form))
    return built(
        dataset,
        x,
        y,
        network,
        name="exact tensor" if exact else "tensor",
        reference="section 3.4, Theorem 2" + (", fitting the residuals" if exact else ""),
        bound=bound,
        rate="lambda_max - lambda_min" if order == 2 else "p ||T||_op (Lemma 1)",
        domain=Sphere(tangential=True),
        conditions=tuple(conditions),
    )


def partial_tensor(dataset: Dataset, coordinates: int) -> Construction:
    """Between Theorems 1 and 2, beyond the paper, psi = t^3: widths from 2d to 2d^2 for one data set.

    f(x) = (d/m) sum_i y_i (P x_i . P x) (x_i . x)^2 with P onto the first m coordinates is a cubic form of m quadratic
    ones, x_j x'T_j x, whose eigenvectors u give two neurons (e_j + u) and (e_j - u) each, and one e_j for all:
    k = m (2d + 1). As in Theorem 2, the points interfere by chance, here by some sqrt(3n/m)/d, and the norm of T falls
    as m grows, in heuristics like sqrt(n)/m: sqrt(n/k) times sqrt(d/m).

    Args:
        dataset: the claims are for points of the sphere.
        coordinates: m, 1 <= m <= d.

    Raises:
        UserError: m outside 1, ..., d.
    """
    x, y = arrays(dataset)
    n, d = x.shape
    arguments.whole("The number of coordinates", coordinates, 1, d)
    W, a = [], []
    for j, axis in enumerate(np.eye(d)[:coordinates]):
        values, vectors = np.linalg.eigh(x.T @ ((d / coordinates * y * x[:, j])[:, None] * x))
        W += [axis + vectors.T, axis - vectors.T, axis[None]]  # 6 s t^2 = (s + t)^3 + (s - t)^3 - 2 s^3
        a += [values / 6.0, values / 6.0, -values.sum(keepdims=True) / 3.0]
    network = TwoLayer(np.concatenate(W), np.zeros(coordinates * (2 * d + 1)), np.concatenate(a), activation="power:3")
    norms = np.linalg.norm(x, axis=1)
    size = math.sqrt(3.0 * n / coordinates) / d
    return built(
        dataset,
        x,
        y,
        network,
        name="partial tensor",
        reference="beyond the paper",
        bound=tensors.lipschitz_bound(network),
        rate="3 ||T||_op (Lemma 1)",
        domain=Sphere(tangential=True),
        conditions=(
            Condition("|x_i| = 1", bool(np.abs(norms - 1).max() < 1e-5), f"{norms.min():.3g} to {norms.max():.3g}"),
            Condition("eps = sqrt(3n/m)/d < 1", size < 1, f"{size:.3g}"),
        ),
    )


def smoothest_quadratic(dataset: Dataset, steps: int = 3000, tolerance: float = 2e-3) -> Construction:
    """The quadratic form f(x) = x'Tx of least ||T||_op that fits: what Theorem 7 bounds from below, at k = d.

    A convex problem, solved by the alternating direction method of multipliers: T stays among the forms that fit, a
    copy of it is drawn towards small norms. For all c, ||T||_op >= c . y / ||sum_i c_i x_i x_i'||_* for every T that
    fits (Theorem 7 with weights), and the multipliers give a c for which this is nearly attained.

    Args:
        dataset: n <= d (d + 1) / 2 points.
        steps: of the solver, at most.
        tolerance: relative distance from that lower bound at which it ends.
    """
    arguments.whole("steps", steps)
    arguments.positive("tolerance", tolerance)
    x, y = arrays(dataset)
    n, d = x.shape
    best, best_norm, lower = _least_operator_norm(x, y, steps, tolerance)
    eigenvalues, vectors = np.linalg.eigh(best)
    gap = best_norm / lower - 1.0 if lower else math.inf
    return built(
        dataset,
        x,
        y,
        TwoLayer(vectors.T, np.zeros(d), eigenvalues, activation="power:2"),
        name="smoothest quadratic",
        reference="appendix D.2, the minimum in Theorem 7",
        bound=2.0 * best_norm,
        rate="2 min ||T||_op",
        domain=Ball(),
        conditions=(
            Condition("n <= d (d + 1) / 2", n <= d * (d + 1) // 2, f"n = {n}, d = {d}"),
            Condition("the minimum is reached", gap <= tolerance, f"within {gap:.2g} of it"),
        ),
    )


def _least_operator_norm(x: np.ndarray, y: np.ndarray, steps: int, tolerance: float) -> tuple[np.ndarray, float, float]:
    """T of least ||T||_op with x_i'T x_i = y_i, its norm, and a lower bound on that of every T that fits."""
    n, d = x.shape
    gram = (x @ x.T) ** 2
    if not gram.any():
        raise UserError("All points are zero; no form fits their labels.")
    gram[np.diag_indices(n)] += 1e-13 * gram.trace()
    factor = scipy.linalg.cho_factor(gram)

    def values(T: np.ndarray) -> np.ndarray:
        return np.asarray(((x @ T) * x).sum(1))

    def combined(c: np.ndarray) -> np.ndarray:
        return np.asarray(x.T @ (c[:, None] * x))

    T = combined(scipy.linalg.cho_solve(factor, y))
    step = 0.3 * float(np.abs(np.linalg.eigvalsh(T)).max())
    multipliers, best, best_norm, lower = np.zeros((d, d)), T, math.inf, 0.0
    for number in range(steps):
        small = _shrunk(T + multipliers, step)
        multipliers += T - small
        guess = small - multipliers
        T = guess + combined(scipy.linalg.cho_solve(factor, y - values(guess)))
        if number % 10 == 0:
            norm = float(np.abs(np.linalg.eigvalsh(T)).max())
            best, best_norm = (T, norm) if norm < best_norm else (best, best_norm)
            c = scipy.linalg.cho_solve(factor, values(multipliers))
            nuclear = float(np.abs(np.linalg.eigvalsh(combined(c))).sum())
            lower = max(lower, float(c @ y) / nuclear if nuclear else 0.0)
            if best_norm <= (1.0 + tolerance) * lower:
                break
    return best, best_norm, lower


def _shrunk(T: np.ndarray, by: float) -> np.ndarray:
    """The minimiser Z of ||Z||_op + ||Z - T||_F^2 / (2 by): eigenvalues cut at a level where they lose `by` in all."""
    values, vectors = np.linalg.eigh(T)
    sizes = np.sort(np.abs(values))[::-1]
    levels = (np.cumsum(sizes) - by) / np.arange(1, len(sizes) + 1)
    level = max(float(levels.max()), 0.0)
    return np.asarray((vectors * np.clip(values, -level, level)) @ vectors.T)


def _eigen_network(form: TwoLayer) -> tuple[TwoLayer, float]:
    """sum_l lambda_l (u_l . x)^2 without the zero eigenvalues, and lambda_max - lambda_min on the sphere."""
    values, vectors = np.linalg.eigh(form.W.T @ (form.a[:, None] * form.W))
    used = np.abs(values) > 1e-14 * np.abs(values).max()
    if not used.any():
        used[0] = True
    network = TwoLayer(vectors.T[used], np.zeros(used.sum()), values[used], activation="power:2")
    return network, float(values[-1] - values[0])


def _interpolating(x: np.ndarray, y: np.ndarray, order: int) -> np.ndarray:
    """c with sum_j c_j (x_i . x_j)^p = y_i, or near it, by conjugate gradients."""
    n = len(x)
    step = max(1, BLOCK_ENTRIES // n)

    def product(c: np.ndarray) -> np.ndarray:
        if order == 2:  # through the matrix T
            return np.asarray(((x @ (x.T @ (c[:, None] * x))) * x).sum(1))
        return np.concatenate([(x[i : i + step] @ x.T) ** order @ c for i in range(0, n, step)])

    gram = scipy.sparse.linalg.LinearOperator((n, n), matvec=product, dtype=np.float64)
    with np.errstate(all="ignore"):
        found = scipy.sparse.linalg.cg(gram, y, rtol=1e-14, maxiter=min(10 * n, 2000))[0]
        residual = np.linalg.norm(product(found) - y)
        if not residual <= _ROUGH * math.sqrt(n):  # nothing fits exactly: as near as can be
            found = scipy.sparse.linalg.minres(gram, y, rtol=1e-10, maxiter=min(10 * n, 2000))[0]
    return np.asarray(found)
