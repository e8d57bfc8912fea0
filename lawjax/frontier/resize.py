"""A network of another width that is the same function, or nearly: neurons split in two, or merged with the nearest."""

from __future__ import annotations

import numpy as np

from lawjax import arguments
from lawjax.domains import check_single
from lawjax.errors import UserError
from lawjax.network import TwoLayer


def resized(network: TwoLayer, k: int) -> TwoLayer:
    """The network with k neurons.

    Wider: the neurons with the largest |a_l| ||w_l|| are split into two equal halves, again and again; f stays.
    Narrower: the two neurons of one sign that are nearest as vectors |a_l| (w_l, b_l) are merged into their sum, again
    and again; f changes as little as that allows. Merging needs a positively homogeneous psi.

    Args:
        network: a single one.
        k: number of neurons.

    Raises:
        UserError: k < 1, or neurons of a psi that is not homogeneous to be merged.
    """
    check_single(network)
    arguments.whole("The number of neurons k", k)
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    while len(a) < k:
        more = min(k - len(a), len(a))
        split = np.argsort(-np.abs(a) * np.linalg.norm(W, axis=1), kind="stable")[:more]
        a = a.copy()
        a[split] /= 2.0
        W, b, a = np.concatenate([W, W[split]]), np.concatenate([b, b[split]]), np.concatenate([a, a[split]])
    if len(a) > k:
        W, b, a = _merged(network, W, b, a, k)
    return TwoLayer(W, b, a, np.asarray(network.c, np.float64), network.activation)


def _merged(network: TwoLayer, W: np.ndarray, b: np.ndarray, a: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    if not network.activation.has_kink:
        raise UserError(f"Neurons of {network.activation} cannot be merged; start from a network of at most {k}.")
    rows = np.abs(a)[:, None] * np.concatenate([W, b[:, None]], axis=1)
    signs = np.where(a < 0, -1.0, 1.0)
    distances = np.sum(rows**2, 1)[:, None] + np.sum(rows**2, 1) - 2.0 * rows @ rows.T
    distances[signs[:, None] != signs] += 1e3 * float(distances.max()) + 1.0  # only where no two of one sign are left
    np.fill_diagonal(distances, np.inf)
    while len(rows) > k:
        i, j = sorted(map(int, np.unravel_index(np.argmin(distances), distances.shape)))
        rows[i] = rows[i] + signs[i] * signs[j] * rows[j]
        rows, signs = np.delete(rows, j, 0), np.delete(signs, j)
        distances = np.delete(np.delete(distances, j, 0), j, 1)
        fresh = np.sum((rows - rows[i]) ** 2, 1)
        fresh[signs != signs[i]] += 1e3 * float(fresh.max()) + 1.0
        distances[i], distances[:, i] = fresh, fresh
        distances[i, i] = np.inf
    return rows[:, :-1], rows[:, -1], signs
