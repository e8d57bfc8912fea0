"""Networks of caps, and the linear one: sections 3.1 to 3.3, and the ramps of a later preprint."""

from __future__ import annotations

import math

import numpy as np

from lawjax import arguments
from lawjax.data import Dataset
from lawjax.domains import Space, Sphere
from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.theory.constructions.record import BLOCK_ENTRIES, Condition, Construction, arrays, built

_BEYOND = 1e-6  # by which a plateau begins beyond its point, so that no rounding lets it begin on the sphere


def linear(dataset: Dataset) -> Construction:
    """Section 3.1, k = 1, psi = id: f(x) = w . x with w = X'(XX')^-1 Y, the shortest w that fits; Lip(f) = ||w||.

    The claim ||w|| <= sqrt(2n) needs n <= c d, precisely lambda_min(XX') >= 1/2.
    """
    x, y = arrays(dataset)
    n, d = x.shape
    w = np.linalg.lstsq(x, y, rcond=None)[0]
    least = float(np.linalg.svd(x, compute_uv=False).min()) ** 2 if n <= d else 0.0
    conditions = (
        Condition("n <= d", n <= d, f"n = {n}, d = {d}"),
        Condition("lambda_min(XX') >= 1/2", least >= 0.5, f"{least:.3g}"),
    )
    network = TwoLayer(w[None], np.zeros(1), np.ones(1), activation="identity")
    return built(
        dataset,
        x,
        y,
        network,
        name="linear",
        reference="section 3.1",
        bound=math.sqrt(2 * n),
        rate="sqrt(2n)",
        domain=Space(),
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
    arguments.share("width", width)
    return _caps("ramps", "Shmalo 2026, arXiv 2607.07778", dataset, 1.0 - width, flat=True)


def _caps(name: str, reference: str, dataset: Dataset, threshold: float, flat: bool) -> Construction:
    arguments.share("The threshold of a cap", threshold)
    x, y = arrays(dataset)
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
    step = max(1, BLOCK_ENTRIES // n)
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
    return built(
        dataset,
        x,
        y,
        TwoLayer(W, b, a),
        name=name,
        reference=reference,
        bound=float(along.max()),
        rate="max_i sqrt(1 - t^2 |x_i|^2) / ((1 - t) |x_i|)",
        domain=Sphere(tangential=True),
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
    x, y = arrays(dataset)
    n, d = x.shape
    arguments.whole("The number of groups k", k)
    arguments.flag("clustered", clustered)
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
    return built(
        dataset,
        x,
        y,
        network,
        name="clustered caps" if clustered else "grouped caps",
        reference="beyond the paper" if clustered else "section 3.3, Theorem 1",
        bound=None,
        rate="C (n/k) sqrt(log d)",
        domain=Sphere(tangential=True),
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
