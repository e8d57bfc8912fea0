"""The paper's constructions (section 3) and some beyond it: networks that fit, with what is claimed of each.

Weights are computed in float64 and returned in the precision of the data. What a construction claims, and on which
conditions, is looked up on the data set at hand; a network is returned whether they hold or not.

    >>> import jax
    >>> dataset = data.sphere(jax.random.key(0), n=100, d=200)
    >>> built = caps(dataset)
    >>> built.network.n_neurons, built.holds, round(built.bound, 4)  # sqrt(19)
    (100, True, 4.3589)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse.linalg

from lawjax import data, tensors
from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.network import TwoLayer

_BLOCK_ENTRIES = 2**22
_LARGEST = 1e30  # entries of points: far from where squares of products overflow
_ROUGH = 1e-9  # root mean square residual from which an exact fit has failed
_BEYOND = 1e-6  # by which a plateau begins beyond its point, so that no rounding lets it begin on the sphere
_DENSE_ENTRIES = 10**6  # of a tensor that is written out for Lemma 2


@dataclass(frozen=True)
class Condition:
    """Something that a claim assumes of the data.

    Attributes:
        statement: what is assumed.
        holds: whether this data set has it.
        found: what it has.
    """

    statement: str
    holds: bool
    found: str


@dataclass(frozen=True)
class Construction:
    """A network and what is claimed of it.

    Attributes:
        name: of the construction.
        reference: where it is from.
        network: f.
        fit_error: max |f(x_i) - y_i|, evaluated in float64 with the weights as they are.
        bound: the Lipschitz constant claimed, where the claim has no unnamed constant; evaluated in float64, before the
            weights are rounded to the data's precision. A bracket proves one for the network.
        rate: how it grows, as a formula; with unnamed constants C.
        domain: of the claim, "space", "ball" or "sphere".
        tangential: whether the claim is about the gradient's part along the sphere, sup of which is G_T with
            G_T <= Lip <= (pi/2) G_T on the sphere.
        conditions: of the claim.
    """

    name: str
    reference: str
    network: TwoLayer
    fit_error: float
    bound: float | None
    rate: str
    domain: str
    tangential: bool
    conditions: tuple[Condition, ...]

    @property
    def holds(self) -> bool:
        """Whether all conditions of the claim hold on this data set."""
        return all(condition.holds for condition in self.conditions)

    def __str__(self) -> str:
        """The claims and their conditions in a few lines."""
        part = ", gradient along it" if self.tangential else ""
        where = "R^d" if self.domain == "space" else f"the unit {self.domain}{part}"
        bound = f"{self.bound:.6g}, " if self.bound is not None else ""
        lines = [
            f"{self.name} ({self.reference}): {self.network!r}",
            f"largest |f(x_i) - y_i|: {self.fit_error:.3g}",
            f"claimed on {where}: Lip(f) <= {bound}{self.rate}",
        ]
        marks = ("does NOT hold", "holds")
        lines += [f"{marks[each.holds]}: {each.statement} ({each.found})" for each in self.conditions]
        return "\n".join(lines)


def linear(dataset: Dataset) -> Construction:
    """Section 3.1, k = 1, psi = id: f(x) = w . x with w = X'(XX')^-1 Y, the shortest w that fits; Lip(f) = ||w||.

    The claim ||w|| <= sqrt(2n) needs n <= c d, precisely lambda_min(XX') >= 1/2.
    """
    x, y = _arrays(dataset)
    n, d = x.shape
    w = np.linalg.lstsq(x, y, rcond=None)[0]
    least = float(np.linalg.svd(x, compute_uv=False).min()) ** 2 if n <= d else 0.0
    conditions = (
        Condition("n <= d", n <= d, f"n = {n}, d = {d}"),
        Condition("lambda_min(XX') >= 1/2", least >= 0.5, f"{least:.3g}"),
    )
    network = TwoLayer(w[None], np.zeros(1), np.ones(1), activation="identity")
    return _built(
        dataset,
        x,
        y,
        network,
        name="linear",
        reference="section 3.1",
        bound=math.sqrt(2 * n),
        rate="sqrt(2n)",
        domain="space",
        tangential=False,
        conditions=conditions,
    )


def caps(dataset: Dataset, threshold: float = 0.9) -> Construction:
    """Section 3.2, k = n: f(x) = sum_i y_i ReLU(x_i . x - t |x_i|^2) / ((1 - t) |x_i|^2).

    On the sphere model and with t = 0.9 that is sum_i 10 y_i ReLU(x_i . x - 0.9).

    It fits exactly if no other point lies in a point's cap. Where caps are disjoint the gradient's part along the
    sphere is at most max_i sqrt(1 - t^2 |x_i|^2) / ((1 - t) |x_i|): sqrt(19) at t = 0.9 on the sphere. On R^d the
    constant is about sqrt(n) times larger.

    Raises:
        UserError: a threshold outside (0, 1), or a point that is zero.
    """
    return _caps("caps", "section 3.2", dataset, threshold, flat=False)


def ramps(dataset: Dataset, width: float = 0.25) -> Construction:
    """Width 2n, bounded on R^d: f(x) = sum_i y_i (ReLU(u_i - (1 - s)) - ReLU(u_i - 1)) / s, u_i = x_i . x / |x_i|^2.

    From Shmalo (2026, arXiv 2607.07778); here plateaus begin at u_i = 1 + 1e-6, off the unit sphere. On it, where
    caps are disjoint, Lip = sqrt((2 - s)/s): sqrt(7) at s = 1/4.

    Raises:
        UserError: a width outside (0, 1), or a point that is zero.
    """
    return _caps("ramps", "Shmalo 2026, arXiv 2607.07778", dataset, 1.0 - width, flat=True)


def _caps(name: str, reference: str, dataset: Dataset, threshold: float, flat: bool) -> Construction:
    if not 0 < threshold < 1:
        raise UserError(f"The threshold of a cap must lie between 0 and 1, not at {threshold}.")
    x, y = _arrays(dataset)
    squares = (x**2).sum(1)
    if not squares.all():
        raise UserError("A cap needs a direction: remove the points that are zero.")
    norms = np.sqrt(squares)
    W, a, n = x / squares[:, None], y / (1.0 - threshold), len(x)
    b = np.full(n, -threshold)
    if flat:
        W, b, a = np.concatenate([W, W]), np.concatenate([b, np.full(n, -1.0 - _BEYOND)]), np.concatenate([a, -a])
    heights = threshold * norms  # cosines of the caps' angles on the unit sphere
    angles = np.arccos(np.minimum(heights, 1.0))
    inside, nearest = -np.inf, np.inf
    step = max(1, _BLOCK_ENTRIES // n)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        products = x[rows] @ x.T
        products[np.arange(products.shape[0]), np.arange(rows.start, rows.stop)] = -np.inf
        inside = max(inside, float((products / squares[rows, None]).max()))
        between = np.arccos(np.clip(products / (norms[rows, None] * norms), -1.0, 1.0))
        nearest = min(nearest, float((between - angles[rows, None] - angles).min()))
    conditions = (
        Condition(f"x_i . x_j < {threshold:g} |x_i|^2 for all i != j", inside < threshold, f"largest {inside:.3g}"),
        Condition("caps are disjoint on the sphere", nearest > 0, f"least angle between two {nearest:.3g}"),
    )
    with np.errstate(invalid="ignore"):
        along = np.where(heights < 1, np.sqrt(1.0 - np.minimum(heights, 1.0) ** 2), 0.0) / ((1.0 - threshold) * norms)
    return _built(
        dataset,
        x,
        y,
        TwoLayer(W, b, a),
        name=name,
        reference=reference,
        bound=float(along.max()),
        rate="max_i sqrt(1 - t^2 |x_i|^2) / ((1 - t) |x_i|)",
        domain="sphere",
        tangential=True,
        conditions=conditions,
    )


def grouped_caps(dataset: Dataset, k: int, clustered: bool = False) -> Construction:
    """Section 3.3, Theorem 1: f(x) = sum_g 2 xi_g ReLU(w_g . x - 1/2), k groups of about m = n/k points of one label.

    w_g = X_g'(X_g X_g')^-1 1 is 1 on its group. Groups are of unequal sizes where k does not divide. The theorem is for
    C n log(n)/d <= k <= C n.

    Args:
        dataset: of any labels.
        k: number of groups and of neurons.
        clustered: form groups of points near each other instead of in the order given (beyond the paper): they have
            shorter w_g.

    Raises:
        UserError: k < 1, above n, or below the number of labels that occur.
    """
    x, y = _arrays(dataset)
    n, d = x.shape
    labels = [label for label in (1.0, -1.0) if (y == label).any()]
    if not len(labels) <= k <= n:
        raise UserError(f"There must be at least {len(labels)} groups, one a label, and at most n = {n}, not k = {k}.")
    of_label = np.array([(y == label).sum() for label in labels])
    counts = np.clip(np.round(k * of_label / n).astype(int), 1, of_label)
    counts[0] += k - counts.sum() if len(labels) == 1 else 0
    if len(labels) == 2:
        counts[0] = np.clip(counts[0], k - of_label[1], min(k - 1, of_label[0]))
        counts[1] = k - counts[0]
    groups: list[np.ndarray] = []
    signs: list[float] = []
    for label, count in zip(labels, counts, strict=True):
        members = np.flatnonzero(y == label)
        groups += _clusters(x, members, int(count)) if clustered else np.array_split(members, count)
        signs += [label] * int(count)
    W = np.array([np.linalg.lstsq(x[group], np.ones(len(group)), rcond=None)[0] for group in groups])
    products = x @ W.T
    on_group = max(float(np.abs(products[group, g] - 1.0).max()) for g, group in enumerate(groups))
    for g, group in enumerate(groups):
        products[group, g] = -np.inf
    elsewhere = float(products.max())
    m = max(map(len, groups))
    conditions = (
        Condition("X_g X_g' has full rank", on_group < 1e-6, f"groups of up to {m} points, d = {d}"),
        Condition("w_g . x_i < 1/2 off the group", elsewhere < 0.5, f"largest {elsewhere:.3g}"),
    )
    network = TwoLayer(W, np.full(k, -0.5), 2.0 * np.array(signs))
    return _built(
        dataset,
        x,
        y,
        network,
        name="clustered caps" if clustered else "grouped caps",
        reference="beyond the paper" if clustered else "section 3.3, Theorem 1",
        bound=None,
        rate="C (n/k) sqrt(log d)",
        domain="sphere",
        tangential=True,
        conditions=conditions,
    )


def _clusters(x: np.ndarray, members: np.ndarray, count: int) -> list[np.ndarray]:
    """Groups of nearly equal size: each starts at the first point left and goes on with the nearest to its sum."""
    products = x[members] @ x[members].T
    is_left = np.ones(len(members), bool)
    groups = []
    for number in range(count, 0, -1):
        size = -(-int(is_left.sum()) // number)
        group = [int(is_left.argmax())]
        is_left[group] = False
        with_sum = products[group[0]].copy()  # inner products with the sum of the group
        while len(group) < size:
            group.append(int(np.where(is_left, with_sum, -np.inf).argmax()))
            is_left[group[-1]] = False
            with_sum += products[group[-1]]
        groups.append(members[group])
    return groups


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
    if order < 2:
        raise UserError(f"Order {order} is not for tensors; use `linear` for 1.")
    x, y = _arrays(dataset)
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
    return _built(
        dataset,
        x,
        y,
        network,
        name="exact tensor" if exact else "tensor",
        reference="section 3.4, Theorem 2" + (", fitting the residuals" if exact else ""),
        bound=bound,
        rate="lambda_max - lambda_min" if order == 2 else "p ||T||_op (Lemma 1)",
        domain="sphere",
        tangential=True,
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
    x, y = _arrays(dataset)
    n, d = x.shape
    if not 1 <= coordinates <= d:
        raise UserError(f"The number of coordinates must lie between 1 and d = {d}, not at {coordinates}.")
    W, a = [], []
    for j, unit in enumerate(np.eye(d)[:coordinates]):
        values, vectors = np.linalg.eigh(x.T @ ((d / coordinates * y * x[:, j])[:, None] * x))
        W += [unit + vectors.T, unit - vectors.T, unit[None]]  # 6 s t^2 = (s + t)^3 + (s - t)^3 - 2 s^3
        a += [values / 6.0, values / 6.0, -values.sum(keepdims=True) / 3.0]
    network = TwoLayer(np.concatenate(W), np.zeros(coordinates * (2 * d + 1)), np.concatenate(a), activation="power:3")
    norms = np.linalg.norm(x, axis=1)
    size = math.sqrt(3.0 * n / coordinates) / d
    return _built(
        dataset,
        x,
        y,
        network,
        name="partial tensor",
        reference="beyond the paper",
        bound=tensors.lipschitz_bound(network),
        rate="3 ||T||_op (Lemma 1)",
        domain="sphere",
        tangential=True,
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
    if steps < 1:
        raise UserError(f"The solver needs at least 1 step, not {steps}.")
    x, y = _arrays(dataset)
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
    eigenvalues, vectors = np.linalg.eigh(best)
    gap = best_norm / lower - 1.0 if lower else math.inf
    return _built(
        dataset,
        x,
        y,
        TwoLayer(vectors.T, np.zeros(d), eigenvalues, activation="power:2"),
        name="smoothest quadratic",
        reference="appendix D.2, the minimum in Theorem 7",
        bound=2.0 * best_norm,
        rate="2 min ||T||_op",
        domain="ball",
        tangential=False,
        conditions=(
            Condition("n <= d (d + 1) / 2", n <= d * (d + 1) // 2, f"n = {n}, d = {d}"),
            Condition("the minimum is reached", gap <= tolerance, f"within {gap:.2g} of it"),
        ),
    )


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
    step = max(1, _BLOCK_ENTRIES // n)

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


def _arrays(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """x and y in float64, checked."""
    checked = data.dataset(dataset.x, dataset.y)
    x, y = np.asarray(checked.x, np.float64), np.asarray(checked.y, np.float64)
    largest = np.abs(x).max()
    if largest > _LARGEST or 0 < largest < 1.0 / _LARGEST:
        raise UserError(f"The points' largest entry is {largest:.3g}; rescale them to lengths near one.")
    return x, y


def _built(dataset: Dataset, x: np.ndarray, y: np.ndarray, network: TwoLayer, **claims: Any) -> Construction:
    """The network in the data's precision, with its fit to the points in float64."""
    dtype = np.asarray(dataset.x).dtype
    network = network.astype(dtype if dtype.kind == "f" else np.float64)
    host = network.astype(np.float64)
    step = max(1, _BLOCK_ENTRIES // network.n_neurons)
    fit_error = max(float(np.abs(host(x[i : i + step]) - y[i : i + step]).max()) for i in range(0, len(x), step))
    return Construction(network=network, fit_error=fit_error, **claims)
