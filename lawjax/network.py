"""The one type that everything speaks: f(x) = a . psi(W x + b) + c.

>>> f = TwoLayer(W=[[1.0, 0.0], [0.0, 2.0]], b=[0.0, -1.0], a=[1.0, -1.0])
>>> float(f(np.array([1.0, 1.0])))
0.0
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lawjax import activations, check, files
from lawjax.activations import Activation
from lawjax.errors import UserError

Floats = Float[Any, "..."]  # arrays of NumPy or of JAX, all of them
Matrices = Float[Any, "*stack k d"]
Vectors = Float[Any, "*stack k"]
Scalars = Float[Any, "*stack"]
Points = Float[Any, "*n d"]
Values = Float[Any, "*n"]
_FIELDS = ("W", "b", "a", "c")


def _xp(*arrays: Any) -> Any:
    return np if all(isinstance(array, (np.ndarray, np.generic)) for array in arrays) else jnp


def _as_floats(name: str, value: Any) -> Floats:
    """An array of floats: JAX arrays stay JAX arrays, all else becomes NumPy and keeps its precision.

    Bytes are put into the machine's order.
    """
    if np.ma.is_masked(value):
        raise UserError(f"{name} has masked entries: fill them, a network has no missing weights.")
    try:
        array = value if isinstance(value, jax.Array) else np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # the last two from other frameworks
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{name} is not an array of numbers ({reason}); pass a rectangular array.") from None
    kind = jnp.dtype(array.dtype).kind if jnp.issubdtype(array.dtype, jnp.floating) is False else "f"
    if kind not in "fiub":
        bytes_of_a_float = " (bfloat16 or float8 as NumPy saves them; save float32)" if array.dtype.kind == "V" else ""
        raise UserError(f"{name} must hold real numbers, not {array.dtype}{bytes_of_a_float}.")
    if array.dtype.itemsize > 8:
        raise UserError(f"{name} is {array.dtype}, which JAX does not have: round it by .astype(np.float64).")
    if kind != "f":
        return array.astype(np.float64 if isinstance(array, np.ndarray) else jnp.float32)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _without_unit_axis(array: Floats, shape: tuple[int, ...], at: int) -> Floats:
    """(k,) for (1, k), () for (1,), less the axis of the one output that frameworks keep; `at` counts from the end."""
    written = (*shape[: len(shape) - at], 1, *shape[len(shape) - at :])
    return array.reshape(shape) if array.shape == written else array


def _word(array: Any) -> str:
    """A name stored as an array of one string."""
    if array.size == 1 and array.dtype.kind in "SU":
        word = array.reshape(()).item()
        return word.decode(errors="replace") if isinstance(word, bytes) else word
    return str(array)


def _along_last(vector: Floats, like: Floats) -> Floats:
    """(k,) as (1, ..., 1, k), since JAX can be asked to refuse arrays of different ranks."""
    return vector.reshape((1,) * (like.ndim - 1) + vector.shape)


@jax.tree_util.register_pytree_with_keys_class
class TwoLayer:
    """A two-layer network of the class F_k(psi) (section 1), or a stack of them with leading axes.

    Attributes:
        W: (..., k, d), rows w_l.
        b: (..., k), biases; zero if None is given.
        a: (..., k), read-out weights; (..., 1, k) is taken, too, as are such biases.
        c: (...), output bias; zero if None is given, and (..., 1) is taken, too.
        activation: psi, see `lawjax.activations`, given as a value or by its name; static under JAX transformations.

    A padded neuron is one with a = 0 and w = 0, a padded coordinate a zero column of W: neither changes f or any
    Lipschitz number. Arrays are kept as given (NumPy in its own precision, JAX on its device).

    Raises:
        UserError: shapes that do not fit together, no neuron or no coordinate, NaN or infinite entries, an unknown
            activation.
    """

    W: Matrices
    b: Vectors
    a: Vectors
    c: Scalars
    activation: Activation

    def __init__(
        self,
        W: Any,  # anything that NumPy makes an array of; shapes are checked here, in sentences
        b: Any = None,
        a: Any = None,
        c: Any = 0.0,
        activation: Activation | str = "relu",
    ):
        psi = activations.get(activation)
        if a is None:
            raise UserError("a is missing: a network has read-out weights of shape (..., k).")
        W, a = _as_floats("W", W), _as_floats("a", a)
        if W.ndim < 2 or 0 in W.shape[-2:]:
            raise UserError(f"W must have shape (..., k, d) with k, d >= 1, not {W.shape}.")
        b = _xp(W).zeros(W.shape[:-1], W.dtype) if b is None else _as_floats("b", b)
        c = 0.0 if c is None else c
        c = np.asarray(c, W.dtype) if isinstance(c, (int, float)) else _as_floats("c", c)  # a number has no precision
        b, a = (_without_unit_axis(array, W.shape[:-1], 1) for array in (b, a))
        c = _without_unit_axis(c, W.shape[:-2], 0)
        for name, array in (("b", b), ("a", a)):
            if array.shape != W.shape[:-1]:
                raise UserError(f"{name} has shape {array.shape}, but W of shape {W.shape} asks for {W.shape[:-1]}.")
        if c.shape != W.shape[:-2] and c.ndim:
            raise UserError(f"c has shape {c.shape}, but W of shape {W.shape} asks for {W.shape[:-2]} or a number.")
        if c.shape != W.shape[:-2]:
            c = _xp(c).broadcast_to(c, W.shape[:-2])
        for name, array in zip(_FIELDS, (W, b, a, c), strict=True):
            if not isinstance(array, jax.core.Tracer) and not bool(_xp(array).isfinite(array).all()):
                raise UserError(f"{name} has NaN or infinite entries; a network needs finite weights.")
        self._set(W, b, a, c, psi)

    def _set(self, W: Any, b: Any, a: Any, c: Any, activation: Activation) -> None:
        self.W, self.b, self.a, self.c, self.activation = W, b, a, c, activation

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], Activation]:
        """Pytree protocol: the four arrays are leaves, the activation is static."""
        return [(jax.tree_util.GetAttrKey(name), getattr(self, name)) for name in _FIELDS], self.activation

    @classmethod
    def tree_unflatten(cls, activation: Activation, leaves: Any) -> TwoLayer:
        """Pytree protocol: no validation, since leaves may be tracers or placeholders."""
        network = object.__new__(cls)
        W, b, a, c = leaves
        network._set(W, b, a, c, activation)
        return network

    @property
    def n_neurons(self) -> int:
        """k."""
        return self.W.shape[-2]

    @property
    def dimension(self) -> int:
        """d."""
        return self.W.shape[-1]

    def __call__(self, x: Points) -> Values:
        """f(x) for one point (d,) or many (..., d); shape (...).

        On a stack use `jax.vmap(lambda f: f(x))(stack)`.
        """
        x = self._points(x)
        return self.activation(self._preactivations(x)) @ self.a + self.c

    def gradient(self, x: Points) -> Points:
        """The gradient of f at one point (d,) or many (..., d); same shape. On a kink, the gradient from the left."""
        x = self._points(x)
        slopes = self.activation.slope(self._preactivations(x))
        return (slopes * _along_last(self.a, slopes)) @ self.W

    def _preactivations(self, x: Points) -> Floats:
        products = x @ self.W.T
        return products + _along_last(self.b, products)

    def _points(self, x: Any) -> Points:
        if self.W.ndim != 2:
            raise UserError(
                f"This is a stack of shape {self.W.shape[:-2]}; call it through jax.vmap or index it first."
            )
        x = x if isinstance(x, jax.Array) else np.asarray(x)
        if x.ndim < 1 or x.shape[-1] != self.dimension:
            raise UserError(f"x has shape {x.shape}, but the network takes points of shape (..., {self.dimension}).")
        return x

    def __getitem__(self, index: Any) -> TwoLayer:
        """The networks of a stack at `index` along the leading axes."""
        if self.W.ndim == 2:
            raise UserError("This is a single network, not a stack: there is nothing to index.")
        return jax.tree.map(lambda leaf: leaf[index], self)

    def __iter__(self) -> Iterator[TwoLayer]:
        """The networks of a stack along its first axis; Python's own way would not end, as JAX clamps indices."""
        if self.W.ndim == 2:
            raise UserError("This is a single network, not a stack: there is nothing to index.")
        return (self[i] for i in range(self.W.shape[0]))

    def __repr__(self) -> str:
        stack = f"stack={self.W.shape[:-2]}, " if self.W.ndim > 2 else ""
        psi = f"activation={self.activation.name!r}"
        return f"TwoLayer({stack}k={self.n_neurons}, d={self.dimension}, {psi}, {self.W.dtype})"

    def padded(self, n_neurons: int, dimension: int) -> TwoLayer:
        """The same function with zero neurons and coordinates appended, for stacking and for fewer compilations."""
        rows, columns = n_neurons - self.n_neurons, dimension - self.dimension
        if min(rows, columns) < 0:
            raise UserError(f"{self!r} cannot be padded to the smaller size k={n_neurons}, d={dimension}.")
        lead = [(0, 0)] * (self.W.ndim - 2)
        pad = _xp(self.W).pad
        leaves = (
            pad(self.W, [*lead, (0, rows), (0, columns)]),
            pad(self.b, [*lead, (0, rows)]),
            pad(self.a, [*lead, (0, rows)]),
            self.c,
        )
        return TwoLayer.tree_unflatten(self.activation, leaves)

    def astype(self, dtype: Any) -> TwoLayer:
        """The same weights rounded to `dtype`, as NumPy arrays on the host."""
        return jax.tree.map(lambda leaf: np.asarray(leaf).astype(dtype), self)

    def save(self, path: str | Path, overwrite: bool = True) -> None:
        """Write W, b, a, c and the activation's name to an `.npz` file, whole or not at all.

        bfloat16 and float8, for which the format has no name, are stored as float64, exactly.

        Args:
            path: of the file.
            overwrite: whether a file that exists is replaced.

        Raises:
            UserError: it cannot be written, or exists while `overwrite` is False.
        """
        files.write(path, self.as_npz(), overwrite)

    def as_npz(self) -> bytes:
        """The content of the file that `save` writes."""
        W, b, a, c = (np.asarray(leaf) for leaf in (self.W, self.b, self.a, self.c))
        return files.npz(W=W, b=b, a=a, c=c, activation=np.array(self.activation.name))

    @classmethod
    def load(cls, path: str | Path, activation: Activation | None = None) -> TwoLayer:
        """Read an `.npz` file with arrays W, a and, if they are not 0, 0 and "relu", b, c and activation.

        An array `certificate`, which `lawjax check` reads, may stand beside them.

        Args:
            path: of the file.
            activation: one's own, where the file names it.

        Raises:
            UserError: the file cannot be read, lacks an array, has one of another name, or holds no valid network.
        """
        arrays = files.read_npz(path, "a network")
        missing = [name for name in ("W", "a") if name not in arrays]
        if missing:
            deep = "outer_W" in arrays
            remedy = "it is one of two hidden layers" if deep else "save W (k, d), b (k,) and a (k,)"
            raise UserError(f"{path} is no two-layer network: it lacks {', '.join(missing)}; {remedy}.")
        unknown = sorted(set(arrays) - {*_FIELDS, "activation", check.CERTIFICATE})
        if unknown:
            raise UserError(
                f"{path} is no two-layer network: it has an array {unknown[0]!r}, of which nothing is known; "
                "leave it out, or it would be ignored."
            )
        named = {name: arrays[name] for name in _FIELDS if name in arrays}
        try:
            name = _word(arrays["activation"]) if "activation" in arrays else "relu"
            own = None if activation is None else activations.get(activation)
            return cls(**named, activation=own if own is not None and own.name == name else name)
        except UserError as error:
            raise UserError(f"{path} is no valid network: {error}") from None
