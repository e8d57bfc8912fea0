"""Exact Lipschitz constants of small piecewise-linear networks, by going through every cell: oracles for the bounds.

The kinks cut R^d into cells on which the gradient is constant. Lip on R^d is the largest gradient norm over all cells
of full dimension. There are up to sum_{i <= d} binomial(k, i) of them, so this is for small k and d.

    >>> f = TwoLayer(W=[[1.0, 0.0], [-1.0, 0.0]], b=[-1.0, -1.0], a=[1.0, 1.0])  # never on together
    >>> exact_space(f)
    1.0
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from jaxtyping import Bool, Float

from lawjax import activations, arguments
from lawjax.domains import Sphere, check_single
from lawjax.errors import UserError
from lawjax.lipschitz.splitting import split_at_kinks
from lawjax.network import TwoLayer

MAX_CELLS = 5_000_000
_ZERO = 1e-9  # of unit vectors' products, below which one lies in the other's hyperplane


def _weights(network: TwoLayer) -> tuple[np.ndarray, np.ndarray, np.ndarray, activations.Activation]:
    check_single(network)
    psi = network.activation
    if not psi.is_piecewise_linear:
        raise UserError(f"Exact constants are for networks of a piecewise-linear psi such as relu, not {network!r}.")
    network = split_at_kinks(network)
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    return W, b, a, network.activation


def exact_space(network: TwoLayer) -> float:
    """Lip(f) on R^d for a small network with piecewise-linear psi, up to rounding.

    Raises:
        UserError: a stack, another psi, more than some five million cells.
    """
    W, b, a, psi = _weights(network)
    fixed = ~W.any(1) | (a == 0)
    W, b, a = W[~fixed], b[~fixed], a[~fixed]
    if not len(a):
        return 0.0
    k, d = W.shape
    if sum(math.comb(k, i) for i in range(min(k, d) + 1)) > MAX_CELLS:
        raise UserError(f"Too many cells to go through for k={k}, d={d}; use lawjax.bracket.")
    signs = space_patterns(W, b)
    low, high = psi.sides[0], psi.sides[-1]
    slopes = np.where(signs, high, low)
    return float(np.linalg.norm((slopes * a) @ W, axis=1).max())


def space_patterns(W: Float[np.ndarray, "k d"], b: Float[np.ndarray, " k"]) -> Bool[np.ndarray, "cells k"]:
    """Which neurons are on, for every cell of full dimension. No row of W may be zero."""
    rows = np.concatenate([W, b[:, None]], 1)
    rows = rows / np.abs(rows).max(1, keepdims=True)
    rows = np.concatenate([rows, np.eye(1, rows.shape[1], rows.shape[1] - 1)])  # points of R^d are rays with last > 0
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cells = _central_patterns(rows)
    return cells[cells[:, -1]][:, :-1]


def _central_patterns(rows: np.ndarray) -> np.ndarray:
    """(cells, m): signs, as booleans, of all cells of full dimension cut out by hyperplanes through 0."""
    m = len(rows)
    # Rows that are multiples of one another have one sign between them.
    kinds: list[int] = []
    of_kind, side = np.zeros(m, int), np.ones(m, bool)
    for i in range(m):
        for place, kind in enumerate(kinds):
            product = rows[i] @ rows[kind]
            if abs(product) > 1 - _ZERO**1.5 and np.linalg.norm(rows[i] - np.sign(product) * rows[kind]) < _ZERO:
                of_kind[i], side[i] = place, product > 0
                break
        else:
            of_kind[i] = len(kinds)
            kinds.append(i)
    cells = _patterns_of_different(rows[kinds])
    return cells[:, of_kind] == side


def _patterns_of_different(rows: np.ndarray) -> np.ndarray:
    m = len(rows)
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    rank = int((sizes > _ZERO * sizes[0]).sum())
    if rank == m:
        return np.array(list(itertools.product((False, True), repeat=m)), bool).reshape(-1, m)
    rows = rows @ basis[:rank].T
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    # Every cell is a pointed cone, so it has a ray, which lies in at least rank - 1 of the hyperplanes.
    seen: set[bytes] = set()
    found: set[bytes] = set()
    for chosen in itertools.combinations(range(m), rank - 1):
        _, sizes, vectors = np.linalg.svd(rows[list(chosen)])
        if rank > 1 and sizes[-1] < _ZERO:
            continue
        products = rows @ vectors[-1]
        within = np.abs(products) < _ZERO
        if within.tobytes() in seen:
            continue
        seen.add(within.tobytes())
        around = _central_patterns(rows[within])
        for ray in (products > 0, products < 0):
            cells = np.tile(ray, (len(around), 1))
            cells[:, within] = around
            found.update(cell.tobytes() for cell in cells)
    return np.array([np.frombuffer(cell, bool) for cell in found])


def exact_circle(network: TwoLayer, circle: Sphere = Sphere()) -> float:
    """sup ||grad f(x)|| over a circle in R^2, or of the part of it along the circle: from sorted kinks.

    Raises:
        UserError: another d than 2, a stack, psi that is not piecewise linear.
    """
    W, b, a, psi = _weights(network)
    arguments.instance("The circle", circle, Sphere, "such as lawjax.Sphere(1.0)")
    radius = circle.radius
    if network.dimension != 2:
        raise UserError(f"The circle needs d = 2, not {network.dimension}.")
    norms = np.hypot(W[:, 0], W[:, 1])
    cut = (norms > 0) & (np.abs(b) < radius * norms)
    towards = np.arctan2(W[cut, 1], W[cut, 0])
    opening = np.arccos(np.clip(-b[cut] / (radius * norms[cut]), -1.0, 1.0))
    kinks = np.sort(np.concatenate([[0.0], (towards - opening) % (2 * np.pi), (towards + opening) % (2 * np.pi)]))
    ends = np.append(kinks, kinks[0] + 2 * np.pi)
    arcs = [(low, high) for low, high in itertools.pairwise(ends) if high - low > 1e-12]
    largest = 0.0
    for low, high in arcs:
        middle = 0.5 * (low + high)
        slopes = psi.slope(W @ (radius * np.array([np.cos(middle), np.sin(middle)])) + b)
        gradient = (slopes * a) @ W
        size = float(np.linalg.norm(gradient))
        if circle.tangential:  # |g| |sin(angle - direction of g)|, largest where the angle is at a right angle to g
            direction = np.arctan2(gradient[1], gradient[0])
            inside = any(
                low <= direction + quarter * np.pi + turn <= high
                for quarter in (0.5, -0.5)
                for turn in (-2 * np.pi, 0.0, 2 * np.pi, 4 * np.pi)
            )
            size *= 1.0 if inside else max(abs(np.sin(low - direction)), abs(np.sin(high - direction)))
        largest = max(largest, size)
    return largest
