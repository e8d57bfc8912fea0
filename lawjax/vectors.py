"""Lengths of vectors: of any size for NumPy arrays, and differentiable everywhere for JAX arrays."""

from __future__ import annotations

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_Points = TypeVar("_Points", Float[np.ndarray, "..."], Float[Array, "..."])
_SMALL = 1e-200  # squares between this and its inverse have lost nothing
_TINY = 1e-300  # added to squares, so that a root has a derivative at 0


def lengths(rows: Float[np.ndarray, "m d"]) -> Float[np.ndarray, " m"]:
    """Norms of rows whose squares may overflow or vanish."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", rows, rows)
        norms = np.sqrt(squares)
        far = ~((squares > _SMALL) & (squares < 1.0 / _SMALL))
        if far.any():
            rows = rows[far]
            largest = np.abs(rows).max(1, keepdims=True, initial=0.0)
            rows = rows / np.where(largest > 0, largest, 1.0)
            found = np.sqrt(np.einsum("ij,ij->i", rows, rows)) * largest[:, 0]
            norms[far] = np.where(np.isinf(largest[:, 0]), np.inf, found)
    return norms


def smooth_lengths(points: Float[Array, "*m d"]) -> Float[Array, "*m 1"]:
    """Norms along the last axis, which stays, of float64 points of ordinary size; positive at 0, with a derivative."""
    return jnp.sqrt((points * points).sum(-1, keepdims=True) + _TINY)


def divisors(points: _Points) -> _Points:
    """Norms (..., 1) of points (..., d), to divide by: what stands for the norm of 0 is positive."""
    if isinstance(points, jax.Array):
        return smooth_lengths(points)
    norms = lengths(points.reshape(-1, points.shape[-1])).reshape(*points.shape[:-1], 1)
    return np.where(norms > 0, norms, 1.0)
