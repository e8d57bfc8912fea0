"""What a construction is: a network, its fit, and what is claimed of it on which conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from lawjax import data
from lawjax.data import Dataset
from lawjax.domains import Domain
from lawjax.errors import UserError
from lawjax.network import TwoLayer

BLOCK_ENTRIES = 2**22
_LARGEST = 1e30  # entries of points: far from where squares of products overflow


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
        domain: of the claim. Along the sphere, the supremum G_T has G_T <= Lip <= (pi/2) G_T on the sphere.
        conditions: of the claim.
    """

    name: str
    reference: str
    network: TwoLayer
    fit_error: float
    bound: float | None
    rate: str
    domain: Domain
    conditions: tuple[Condition, ...]

    @property
    def holds(self) -> bool:
        """Whether all conditions of the claim hold on this data set."""
        return all(condition.holds for condition in self.conditions)

    def __str__(self) -> str:
        """The claims and their conditions in a few lines."""
        part = ", gradient along it" if self.domain.tangential else ""
        bound = f"{self.bound:.6g}, " if self.bound is not None else ""
        lines = [
            f"{self.name} ({self.reference}): {self.network!r}",
            f"largest |f(x_i) - y_i|: {self.fit_error:.3g}",
            f"claimed on {self.domain}{part}: Lip(f) <= {bound}{self.rate}",
        ]
        marks = ("does NOT hold", "holds")
        lines += [f"{marks[each.holds]}: {each.statement} ({each.found})" for each in self.conditions]
        return "\n".join(lines)


def arrays(dataset: Dataset) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
    """x and y in float64, checked."""
    x, y = data.float64(dataset)
    largest = np.abs(x).max()
    if largest > _LARGEST or 0 < largest < 1.0 / _LARGEST:
        raise UserError(f"The points' largest entry is {largest:.3g}; rescale them to lengths near one.")
    return x, y


def built(
    dataset: Dataset, x: Float[np.ndarray, "n d"], y: Float[np.ndarray, " n"], network: TwoLayer, **claims: Any
) -> Construction:
    """The network in the data's precision, with its fit to the points in float64."""
    dtype = np.asarray(dataset[0]).dtype
    network = network.astype(dtype if dtype.kind == "f" else np.float64)
    host = network.astype(np.float64)
    step = max(1, BLOCK_ENTRIES // network.n_neurons)
    fit_error = max(float(np.abs(host(x[i : i + step]) - y[i : i + step]).max()) for i in range(0, len(x), step))
    return Construction(network=network, fit_error=fit_error, **claims)
