"""Lengths of vectors of any size."""

from __future__ import annotations

import numpy as np

_SMALL = 1e-200  # squares between this and its inverse have lost nothing


def lengths(rows: np.ndarray) -> np.ndarray:
    """Norms of rows (m, d) whose squares may overflow or vanish."""
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
