"""Generic data (section 1): i.i.d. points on the sphere or Gaussian of covariance I/d, with random labels.

>>> dataset = gaussian(jax.random.key(0), n=100, d=20)
>>> dataset.x.shape, sorted(set(dataset.y.tolist()))
((100, 20), [-1.0, 1.0])
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lawjax import files, keys
from lawjax.errors import UserError

Array = Any


class Dataset(NamedTuple):
    """Points and their labels.

    Attributes:
        x: (n, d), rows x_i.
        y: (n,), labels in {-1, +1}.
    """

    x: Array
    y: Array

    @property
    def n(self) -> int:
        """Number of points."""
        return self.x.shape[0]

    @property
    def d(self) -> int:
        """Dimension of the points."""
        return self.x.shape[1]


def dataset(x: Array, y: Array) -> Dataset:
    """A checked `Dataset` from array-likes.

    Raises:
        UserError: shapes that do not fit, fewer than one point, NaN or infinite points, labels other than -1 and +1.
    """
    try:
        x, y = np.asarray(x), np.asarray(y)
    except ValueError:
        raise UserError("A data set needs rectangular arrays x of shape (n, d) and y of shape (n,).") from None
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise UserError(f"A data set needs x of shape (n, d) and y of shape (n,), not {x.shape} and {y.shape}.")
    if 0 in x.shape:
        raise UserError(f"A data set needs n >= 1 points of dimension d >= 1, not shape {x.shape}.")
    if not (np.issubdtype(x.dtype, np.number) and np.isrealobj(x) and np.isfinite(x).all()):
        raise UserError("x has entries that are not finite real numbers; remove or repair those points.")
    if not np.isin(y, (-1, 1)).all():
        raise UserError("Labels must be -1 or +1.")
    x = x if np.issubdtype(x.dtype, np.floating) else x.astype(np.float64)
    return Dataset(x, y.astype(x.dtype))


def float64(dataset_: Dataset) -> Dataset:
    """The data set, checked, in float64 on the host.

    Raises:
        UserError: as `dataset`.
    """
    checked = dataset(dataset_.x, dataset_.y)
    return Dataset(np.asarray(checked.x, np.float64), np.asarray(checked.y, np.float64))


def load(path: str | Path) -> Dataset:
    """Read a data set from an `.npz` file with arrays x (n, d) and y (n,).

    Raises:
        UserError: the file cannot be read, lacks an array, or holds no data set.
    """
    arrays = files.read_npz(path, "a data set")
    if not {"x", "y"} <= set(arrays):
        raise UserError(f"{path} is no data set: save x (n, d) and y (n,) in it.")
    return dataset(arrays["x"], arrays["y"])


def _check_size(n: int, d: int) -> None:
    if n < 1 or d < 1:
        raise UserError(f"A data set needs n >= 1 points of dimension d >= 1, not n={n}, d={d}.")


def _normal(key: Array, n: int, d: int, dtype: Any) -> Array:
    return jnp.concatenate(keys.normal_blocks(key, n, d, jnp.dtype(dtype).name))[:n]


def _labels(key: Array, n: int, dtype: Any) -> Array:
    return jax.random.rademacher(key, (n,), dtype)


def gaussian(key: Array, n: int, d: int, dtype: Any = jnp.float32) -> Dataset:
    """The Gaussian model: x_i ~ N(0, I_d / d), y_i uniform on {-1, +1}, all independent.

    Raises:
        UserError: n or d below one.
    """
    _check_size(n, d)
    with keys.settled(keys.is_double(dtype)):
        key_x, key_y = jax.random.split(key)
        return Dataset(_normal(key_x, n, d, dtype) / np.sqrt(d).astype(dtype), _labels(key_y, n, dtype))


def sphere(key: Array, n: int, d: int, dtype: Any = jnp.float32) -> Dataset:
    """The sphere model: x_i uniform on S^{d-1}, y_i uniform on {-1, +1}, all independent.

    Raises:
        UserError: n or d below one.
    """
    _check_size(n, d)
    with keys.settled(keys.is_double(dtype)):
        key_x, key_y = jax.random.split(key)
        x = _normal(key_x, n, d, dtype)
        return Dataset(x / jnp.linalg.norm(x, axis=1, keepdims=True), _labels(key_y, n, dtype))


def low_rank(key: Array, n: int, d: int, rank: int, dtype: Any = jnp.float32) -> Dataset:
    """Gaussian points of covariance P / rank, P the projection onto a random subspace; labels uniform on {-1, +1}.

    Their mean squared length is one, as that of `gaussian`, but only `rank` of the d dimensions are in use.

    Raises:
        UserError: n or d below one, a rank that is not between 1 and d.
    """
    _check_size(n, d)
    if not 1 <= rank <= d:
        raise UserError(f"The rank must be between 1 and d = {d}, not {rank}.")
    with keys.settled(keys.is_double(dtype)):
        key_x, key_y, key_basis = jax.random.split(key, 3)
        basis = jnp.linalg.qr(_normal(key_basis, d, rank, dtype))[0]
        x = _normal(key_x, n, rank, dtype) @ basis.T / np.sqrt(rank).astype(dtype)
        return Dataset(x, _labels(key_y, n, dtype))


def clustered(key: Array, n: int, d: int, clusters: int, spread: float = 0.3, dtype: Any = jnp.float32) -> Dataset:
    """A mixture of Gaussians: centres ~ N(0, (1 - spread^2) I/d), points around them ~ N(0, spread^2 I/d).

    Point i belongs to cluster i mod `clusters`; labels are uniform on {-1, +1} and independent of the clusters. The
    mean squared length is one.

    Raises:
        UserError: n, d or clusters below one, a spread outside of (0, 1].
    """
    _check_size(n, d)
    if clusters < 1 or not 0 < spread <= 1:
        raise UserError(f"clusters must be at least 1 and spread in (0, 1], not {clusters} and {spread}.")
    with keys.settled(keys.is_double(dtype)):
        key_x, key_y, key_centres = jax.random.split(key, 3)
        centres = math.sqrt(1.0 - spread**2) * _normal(key_centres, clusters, d, dtype)[jnp.arange(n) % clusters]
        x = (centres + spread * _normal(key_x, n, d, dtype)) / np.sqrt(d).astype(dtype)
        return Dataset(x.astype(dtype), _labels(key_y, n, dtype))


MODELS = {"gaussian": gaussian, "sphere": sphere}


def floor(dataset: Dataset, block: int = 1024) -> float:
    """max 2 / ||x_i - x_j|| over pairs of opposite labels: no function that fits can have a smaller Lipschitz constant.

    Computed in float64 on the host, `block` rows at a time; 0 when only one label occurs, infinite when two equal
    points carry opposite labels. The distances are taken by differences for the closest pair, so that cancellation in
    the inner products cannot raise the floor.
    """
    x, y = np.asarray(dataset.x, np.float64), np.asarray(dataset.y)
    exponent = int(np.frexp(float(np.abs(x).max()))[1])
    x = np.ldexp(x, -exponent)  # so that no square overflows or vanishes
    positive, negative = x[y > 0], x[y < 0]
    if not len(positive) or not len(negative):
        return 0.0
    squares = (negative**2).sum(1)
    closest = np.inf
    for start in range(0, len(positive), block):
        rows = positive[start : start + block]
        gram = (rows**2).sum(1)[:, None] + squares - 2.0 * rows @ negative.T
        nearest = gram.argmin(1)
        closest = min(closest, float(np.sqrt(((rows - negative[nearest]) ** 2).sum(1).min())))
    return np.inf if closest == 0 else float(np.ldexp(2.0 / closest, -exponent))
