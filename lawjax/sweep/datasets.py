"""The data sets of a sweep: drawn by a data model, known by name or one's own function, or one's own data.

A function (key, n, d) -> Dataset goes where the name of a data model goes, and so does one data set, or its arrays
(x, y). A run directory keeps the function's name, or a digest of the data.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Array, Key

from lawjax import arguments, data, keys
from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.standard import check_separable, standard_form
from lawjax.sweep import reasons


@dataclass(frozen=True)
class OwnData:
    """A data set of one's own, equal to another one if their digests are.

    Attributes:
        dataset: its arrays, not to be written to.
        digest: of the arrays, hexadecimal.
    """

    dataset: Dataset = field(compare=False, repr=False)
    digest: str

    @staticmethod
    def of(given: Any) -> OwnData:
        """A data set, or a pair of x and y.

        Raises:
            UserError: it is none.
        """
        x, y = (np.array(part) for part in data.checked(given))
        digest = hashlib.sha256()
        for part in (x, y):
            part.flags.writeable = False
            digest.update(f"{part.dtype.name} {part.shape} ".encode() + np.ascontiguousarray(part).tobytes())
        return OwnData(Dataset(x, y), digest.hexdigest())


DataFunction: TypeAlias = Callable[[Key[Array, ""], int, int], Dataset]
DataModel: TypeAlias = str | DataFunction | OwnData
Given: TypeAlias = DataModel | Dataset  # what users pass


def data_model(given: Given) -> DataModel:
    """What a user passed as the data model of a sweep, checked: a name, a function that has one, or data.

    Raises:
        UserError: it is none of them.
    """
    if isinstance(given, OwnData):
        return given
    if isinstance(given, tuple):
        return OwnData.of(given)
    if callable(given):
        named = next((name for name, function in data.MODELS.items() if function is given), None)
        if named is None:
            recorded(given)
        return named or given
    if not isinstance(given, str) or given not in data.MODELS:
        raise UserError(
            f"data_model must be one of {', '.join(data.MODELS)}, a function (key, n, d) -> Dataset or a data set, "
            f"not {arguments.shown(given)}."
        )
    return given


def recorded(model: DataModel) -> str:
    """What a run directory keeps of a data model: its name, a function's qualified name, or the digest of data.

    Raises:
        UserError: a function without a name that tells it from others.
    """
    if isinstance(model, str):
        return model
    if isinstance(model, OwnData):
        return f"{model.dataset.n} x {model.dataset.d} points, sha256 {model.digest[:16]}"
    if isinstance(model, functools.partial):
        given = [*map(repr, model.args), *(f"{name}={value!r}" for name, value in sorted(model.keywords.items()))]
        return f"{recorded(model.func)}({', '.join(given)})"
    name = getattr(model, "__qualname__", "<lambda>")
    if "<lambda>" in name:
        raise UserError(
            "A run directory keeps a data model by its name: write it as a function (def), or as functools.partial of "
            f"one, not {arguments.shown(model)}."
        )
    module = model.__module__
    file = getattr(sys.modules.get(module), "__file__", None)
    return f"{Path(file).stem if module == '__main__' and file else module}.{name}"  # as another program imports it


def draw(n: int, d: int, seed: int, model: DataModel, dtype: str) -> Dataset:
    """The data set that the networks (n, d, ., seed) of a sweep are trained on, as NumPy arrays.

    Args:
        n: number of points.
        d: dimension.
        seed: from which, with n and d, its key is made; of no meaning for data of one's own.
        model: as `data_model` returns it.
        dtype: that of the training, in which a named model is drawn.

    Raises:
        UserError: a function of one's own fails, or returns no data set of n points of dimension d that can be fitted.
    """
    if isinstance(model, OwnData):
        return model.dataset
    return _drawn(n, d, seed, model, dtype)


@functools.lru_cache(maxsize=4)
def _drawn(n: int, d: int, seed: int, model: str | DataFunction, dtype: str) -> Dataset:
    with keys.settled(dtype == "float64"), jax.default_matmul_precision("float32"):
        key = keys.data_key(n, d, seed)
        if isinstance(model, str):
            return Dataset(*map(np.asarray, data.MODELS[model](key, n, d, dtype)))
        return _of_function(model, key, n, d, dtype)


def _of_function(model: DataFunction, key: Key[Array, ""], n: int, d: int, dtype: str) -> Dataset:
    where = f"The data model {recorded(model)} with n = {n} and d = {d}"
    try:
        drawn = model(key, n, d)
    except Exception as error:
        raise UserError(f"{where} failed ({reasons.of_function(error)}).") from error
    try:
        checked = data.checked(drawn)
        if checked.x.shape == (n, d):
            _check_separable(checked, dtype)
    except UserError as error:
        raise UserError(f"{where} gives no usable data set: {error}") from None
    if checked.x.shape != (n, d):
        raise UserError(f"{where} gives points of shape {checked.x.shape}, not ({n}, {d}).")
    return checked


def _check_separable(points: Dataset, dtype: str) -> None:
    own = standard_form(points.x).points(points.x).astype(dtype)
    check_separable(points, own, 'train with dtype="float64" or rescale the features in which they differ')


def check(n: int, d: int, seed: int, model: DataModel, dtype: str) -> None:
    """Try one's own function or data before anything is trained.

    Raises:
        UserError: as `draw`; a function draws other data from the same key; two points of opposite labels are equal, or
            the precision cannot tell them apart.
    """
    if isinstance(model, str):
        return
    found = draw(n, d, seed, model, dtype)
    if isinstance(model, OwnData):
        _check_separable(found, dtype)
        return
    again = _drawn.__wrapped__(n, d, seed, model, dtype)
    if not all(np.array_equal(one, other) for one, other in zip(found, again, strict=True)):
        raise UserError(
            f"The data model {recorded(model)} draws other data from the same key: draw by jax.random from the key."
        )
