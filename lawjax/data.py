"""Generic data (section 1): i.i.d. points on the sphere or Gaussian of covariance I/d, with random labels.

>>> dataset = gaussian(jax.random.key(0), n=100, d=20)
>>> dataset.x.shape, sorted(set(dataset.y.tolist()))
((100, 20), [-1.0, 1.0])
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Num, PRNGKeyArray
from numpy.typing import ArrayLike

from lawjax import arguments, files, keys
from lawjax.errors import UserError

_MOST = 2**31 - 1  # points or dimensions


class Dataset(NamedTuple):
    """Points and their labels.

    Attributes:
        x: rows x_i.
        y: labels in {-1, +1}.
    """

    x: Num[Any, "n d"]
    y: Num[Any, " n"]

    @property
    def n(self) -> int:
        """Number of points."""
        return self.x.shape[0]

    @property
    def d(self) -> int:
        """Dimension of the points."""
        return self.x.shape[1]


def dataset(x: ArrayLike, y: ArrayLike) -> Dataset:
    """A checked `Dataset` from array-likes, as NumPy arrays.

    Points keep their precision, up to float64; integers and booleans become float64.

    Raises:
        UserError: shapes that do not fit, fewer than one point, NaN or infinite points, labels other than -1 and +1.
    """
    points, labels = _array("x", x), _array("y", y)
    _check_shapes(points, labels)
    points = _checked_points(points)
    _check_labels(labels)
    return Dataset(points, labels.astype(points.dtype))


def checked(given: Any) -> Dataset:
    """A data set that a function was given, or a pair of x and y, checked.

    Raises:
        UserError: it is neither, or no valid one.
    """
    if not isinstance(given, tuple) or len(given) != 2:
        raise UserError(f"A data set is a lawjax.Dataset, or a pair of x and y, not {arguments.shown(given)}.")
    return dataset(*given)


def _array(name: str, values: ArrayLike) -> np.ndarray:
    if np.ma.is_masked(values):
        raise UserError(f"{name} has masked entries; fill them or remove those points.")
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(
            f"{name} is no rectangular array; a data set needs x of shape (n, d) and y of shape (n,)."
        ) from None


def _check_shapes(x: np.ndarray, y: np.ndarray) -> None:
    given = f"x has shape {x.shape}, y {y.shape}"
    if x.ndim == 1:
        raise UserError(f"{given}: x must have shape (n, d); pass x[:, None] for points of dimension 1.")
    if x.ndim > 2:
        raise UserError(f"{given}: x must have shape (n, d); pass x.reshape(len(x), -1).")
    if x.ndim != 2:
        raise UserError(f"{given}: x must be an array of shape (n, d); of a sparse matrix pass x.toarray().")
    if 0 in x.shape:
        raise UserError(f"A data set needs n >= 1 points of dimension d >= 1, not x of shape {x.shape}.")
    if y.shape == (len(x), 1):
        raise UserError(f"{given}: y must have shape (n,); pass y.ravel() or, from a table, that one column.")
    if y.ndim == 2 and len(y) == len(x):
        raise UserError(f"{given}: y must have shape (n,) and hold -1 or +1; from one-hot rows pass 2*y[:, 1]-1.")
    if y.shape != x.shape[:1]:
        raise UserError(f"{given}: y must have shape (n,), one label for each of the {len(x)} rows of x.")


def _checked_points(x: np.ndarray) -> np.ndarray:
    """The points in float64, or in the lower precision they have, in this machine's byte order."""
    if x.dtype.kind in "bO" or jnp.issubdtype(x.dtype, jnp.integer):
        try:
            x = x.astype(np.float64)
        except (TypeError, ValueError):
            raise UserError("x holds entries that are not finite real numbers; remove or encode them.") from None
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise UserError(f"x must hold finite real numbers, not {x.dtype}; encode its features as numbers.")
    if x.dtype.kind == "f":  # bfloat16 and float8 are not NumPy's own and have one byte order
        x = x.astype(np.float64 if x.dtype.itemsize > 8 else x.dtype.newbyteorder("="))
    wrong = np.argwhere(~np.isfinite(x))
    if len(wrong):
        row, column = wrong[0]
        raise UserError(
            f"x has {len(wrong)} entries that are not finite, the first in row {row}, column {column} (from 0); "
            "remove or repair those points."
        )
    return x


def _check_labels(y: np.ndarray) -> None:
    wanted = "Labels (y) must be -1 or +1"
    numbers = any(jnp.issubdtype(y.dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))
    if not numbers and not (y.dtype.kind == "O" and all(map(_is_real, y))):
        words = all(isinstance(label, str) for label in y.tolist())
        remedy = f"pass np.where(y == {str(y[0])!r}, 1, -1)" if words else "encode them as numbers"
        raise UserError(f"{wanted}, not {'words' if words else y.dtype}; {remedy}.")
    missing = np.flatnonzero(y != y)
    if len(missing):
        raise UserError(f"{wanted}, but {len(missing)} are NaN, the first at {missing[0]}; remove those points.")
    found = sorted(set(y.tolist()))
    if set(found) <= {-1, 1} and y.dtype.kind != "b":
        return
    if set(found) <= {0, 1}:
        raise UserError(f"{wanted}, not 0 and 1; pass {'2*y.astype(int)-1' if y.dtype.kind == 'u' else '2*y-1'}.")
    if len(found) <= 2:
        raise UserError(f"{wanted}, not {' and '.join(map(repr, found))}; pass np.where(y == {found[-1]!r}, 1, -1).")
    raise UserError(
        f"{wanted}, but y holds {len(found)} different values, such as {found[0]!r}, {found[1]!r} and {found[2]!r}; "
        f"keep two classes, or set one against the rest by np.where(y == {found[-1]!r}, 1, -1)."
    )


def _is_real(label: Any) -> bool:
    return isinstance(label, (bool, int, float, np.bool_, np.integer, np.floating))


def twins(x: np.ndarray, y: np.ndarray) -> tuple[int, int] | None:
    """The places of two equal points of opposite labels, if there are any."""
    seen: dict[bytes, tuple[int, Any]] = {}
    for place, (row, label) in enumerate(zip(x + np.zeros((), x.dtype), y, strict=True)):  # -0.0 becomes 0.0
        first, other = seen.setdefault(row.tobytes(), (place, label))
        if other != label:
            return first, place
    return None


def float64(dataset_: Dataset) -> Dataset:
    """The data set, checked, in float64 on the host.

    Raises:
        UserError: as `dataset`.
    """
    x, y = checked(dataset_)
    return Dataset(np.asarray(x, np.float64), np.asarray(y, np.float64))


def load(path: str | Path) -> Dataset:
    """Read a data set from an `.npz` file with arrays x (n, d) and y (n,).

    Raises:
        UserError: the file cannot be read, lacks an array, or holds no data set.
    """
    arrays = files.read_npz(path, "a data set")
    if not {"x", "y"} <= set(arrays):
        raise UserError(f"{path} is no data set: save x (n, d) and y (n,) in it.")
    try:
        return dataset(arrays["x"], arrays["y"])
    except UserError as error:
        raise UserError(f"{path} holds no data set: {error}") from None


def _check_draw(key: PRNGKeyArray, n: int, d: int, dtype: DTypeLike) -> None:
    arguments.key(key)
    arguments.whole("n", n, 1, _MOST)
    arguments.whole("d", d, 1, _MOST)
    arguments.floating("dtype", dtype)


def _normal(key: PRNGKeyArray, n: int, d: int, dtype: DTypeLike) -> Float[Array, "n d"]:
    return jnp.concatenate(keys.normal_blocks(key, n, d, jnp.dtype(dtype).name))[:n]


def _labels(key: PRNGKeyArray, n: int, dtype: DTypeLike) -> Float[Array, " n"]:
    return jax.random.rademacher(key, (n,), dtype)


def gaussian(key: PRNGKeyArray, n: int, d: int, dtype: DTypeLike = jnp.float32) -> Dataset:
    """The Gaussian model: x_i ~ N(0, I_d / d), y_i uniform on {-1, +1}, all independent.

    Raises:
        UserError: n or d below one.
    """
    _check_draw(key, n, d, dtype)
    with keys.settled(keys.is_double(dtype)):
        key_x, key_y = jax.random.split(key)
        return Dataset(_normal(key_x, n, d, dtype) / np.sqrt(d).astype(dtype), _labels(key_y, n, dtype))


def sphere(key: PRNGKeyArray, n: int, d: int, dtype: DTypeLike = jnp.float32) -> Dataset:
    """The sphere model: x_i uniform on S^{d-1}, y_i uniform on {-1, +1}, all independent.

    Raises:
        UserError: n or d below one.
    """
    _check_draw(key, n, d, dtype)
    with keys.settled(keys.is_double(dtype)):
        key_x, key_y = jax.random.split(key)
        x = _normal(key_x, n, d, dtype)
        return Dataset(x / jnp.linalg.norm(x, axis=1, keepdims=True), _labels(key_y, n, dtype))


def low_rank(key: PRNGKeyArray, n: int, d: int, rank: int, dtype: DTypeLike = jnp.float32) -> Dataset:
    """Gaussian points of covariance P / rank, P the projection onto a random subspace; labels uniform on {-1, +1}.

    Their mean squared length is one, as that of `gaussian`, but only `rank` of the d dimensions are in use.

    Raises:
        UserError: n or d below one, a rank that is not between 1 and d.
    """
    _check_draw(key, n, d, dtype)
    arguments.whole("rank", rank, 1, d)
    with keys.settled(keys.is_double(dtype)):
        key_x, key_y, key_basis = jax.random.split(key, 3)
        basis = jnp.linalg.qr(_normal(key_basis, d, rank, dtype))[0]
        x = _normal(key_x, n, rank, dtype) @ basis.T / np.sqrt(rank).astype(dtype)
        return Dataset(x, _labels(key_y, n, dtype))


def clustered(
    key: PRNGKeyArray, n: int, d: int, clusters: int, spread: float = 0.3, dtype: DTypeLike = jnp.float32
) -> Dataset:
    """A mixture of Gaussians: centres ~ N(0, (1 - spread^2) I/d), points around them ~ N(0, spread^2 I/d).

    Point i belongs to cluster i mod `clusters`; labels are uniform on {-1, +1} and independent of the clusters. The
    mean squared length is one.

    Raises:
        UserError: n, d or clusters below one, a spread outside of (0, 1].
    """
    _check_draw(key, n, d, dtype)
    arguments.whole("clusters", clusters)
    if not 0 < arguments.number("spread", spread) <= 1:
        raise UserError(f"spread must be in (0, 1], not {spread}.")
    with keys.settled(keys.is_double(dtype)):
        key_x, key_y, key_centres = jax.random.split(key, 3)
        centres = math.sqrt(1.0 - spread**2) * _normal(key_centres, clusters, d, dtype)[jnp.arange(n) % clusters]
        x = (centres + spread * _normal(key_x, n, d, dtype)) / np.sqrt(d).astype(dtype)
        return Dataset(x.astype(dtype), _labels(key_y, n, dtype))


MODELS = {"gaussian": gaussian, "sphere": sphere}


_ENTRIES = 2**22  # of an intermediate array of differences
_CLOSER = 1e-10  # relative, of a squared distance: what is worth a second look


def floor(dataset: Dataset, block: int = 1024) -> float:
    """max 2 / ||x_i - x_j|| over pairs of opposite labels: no function that fits can have a smaller Lipschitz constant.

    Computed in float64 on the host, `block` rows at a time; 0 when only one label occurs, infinite when two equal
    points carry opposite labels. Inner products find the closest pair, and all pairs that their rounding leaves in
    doubt; its distance is taken by differences, so that no cancellation can raise the floor, wherever the points lie.
    """
    arguments.whole("block", block)
    x, y = float64(dataset)
    if not (y > 0).any() or not (y < 0).any():
        return 0.0
    z = _in_unit_box(x)
    positive, negative = np.flatnonzero(y > 0), np.flatnonzero(y < 0)
    squares = (z[negative] ** 2).sum(1)
    rounding = 2.0**-51 * (z.shape[1] + 4)  # of an inner product, relative to the squared lengths
    closest = closest_in_box = np.inf
    for start in range(0, len(positive), block):
        rows = positive[start : start + block]
        own = (z[rows] ** 2).sum(1)[:, None]
        gram = own + squares - 2.0 * z[rows] @ z[negative].T
        nearest = negative[gram.argmin(1)]
        closest = min(closest, distances(x[rows], x[nearest]).min())
        closest_in_box = min(closest_in_box, distances(z[rows], z[nearest]).min())
        doubtful = np.argwhere(gram - rounding * (own + squares) < closest_in_box**2 * (1.0 - _CLOSER))
        for part in np.array_split(doubtful, 1 + doubtful.size * x.shape[1] // _ENTRIES):
            if len(part):
                closest = min(closest, distances(x[rows[part[:, 0]]], x[negative[part[:, 1]]]).min())
    return np.inf if closest == 0 else min(2.0 / float(closest), sys.float_info.max)


def centre(x: np.ndarray) -> np.ndarray:
    """The mean of points (n, d) in float64; that of a constant feature is its value, to the last bit."""
    return x[0] + (x - x[0]).mean(0)


def differences(x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, int]:
    """x - z and 0 for float64 arrays; (x - z) / 2 and 1 where entries are so large that x - z might overflow."""
    halved = int(max(np.abs(x).max(), np.abs(z).max()) > 2.0**1000)
    return np.ldexp(x, -halved) - np.ldexp(z, -halved), halved


def distances(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """||x_i - z_i|| for rows (m, d) in float64, of any size: no square over- or underflows."""
    between, halved = differences(x, z)
    exponents = np.frexp(np.abs(between).max(1))[1]
    with np.errstate(over="ignore"):
        return np.ldexp(np.sqrt((np.ldexp(between, -exponents[:, None]) ** 2).sum(1)), exponents + halved)


def _in_unit_box(x: np.ndarray) -> np.ndarray:
    """The points around their centre, times a power of two that brings their entries to size one."""
    x = np.ldexp(x, -64) if np.abs(x).max() > 2.0**900 else x
    x = x - centre(x)
    return np.ldexp(x, -int(np.frexp(float(np.abs(x).max()))[1]))
