"""All bounds that apply: to a width and an activation on a data set, or to one network."""

from __future__ import annotations

import math

import numpy as np

from lawjax import activations, data
from lawjax.activations import Activation
from lawjax.data import Dataset
from lawjax.domains import check_single
from lawjax.errors import UserError
from lawjax.lipschitz.lower.kinks import kink_bound
from lawjax.lipschitz.lower.pairs import values_with_errors
from lawjax.network import TwoLayer
from lawjax.theory.lower_bounds.any_function import floor
from lawjax.theory.lower_bounds.certified import theorem4, theorem5, theorem6, theorem7
from lawjax.theory.lower_bounds.rates import bubeck_sellke, conjecture1, theorem3, theorem3_path
from lawjax.theory.lower_bounds.record import LowerBound


def network_bounds(network: TwoLayer, dataset: Dataset) -> list[LowerBound]:
    """The bounds that look at one network on its data, fitting or not: its values in Theorem 4, and its kinks."""
    check_single(network)
    if network.dimension != data.checked(dataset).d:
        raise UserError(f"The network takes points of dimension {network.dimension}, not {data.checked(dataset).d}.")
    bounds = [theorem4(dataset, network.n_neurons, *values_with_errors(network, data.float64(dataset).x))]
    if network.activation.has_kink:
        found = kink_bound(network)
        bounds.append(
            LowerBound("kinks", "Shmalo 2026", found.value, "G_T, the gradient along the sphere", "this one", True)
        )
    return bounds


def all(dataset: Dataset, k: int, activation: Activation | str = "relu") -> list[LowerBound]:
    """What is known for networks of k neurons with this activation on this data set.

    Statements that do not apply are listed without a value, with the reason.

    Raises:
        UserError: k < 1, an unknown activation, a data set that is none.
    """
    dataset = data.float64(dataset)
    psi = activations.get(activation)
    kind, _, order = psi.name.partition(":")
    bounds = [floor(dataset), conjecture1(dataset, k), theorem4(dataset, k), bubeck_sellke(dataset, k)]
    if math.isfinite(psi.lipschitz):
        bounds += [theorem3(dataset, k), theorem3_path(dataset)]
    else:
        bounds.append(_absent("Theorem 3", "section 4.1", f"{psi} is not Lipschitz on R"))
    degree = 0 if psi.coefficients is None else max(np.flatnonzero(psi.coefficients), default=0)
    if kind == "power":
        bounds.append(theorem5(dataset, int(order)))
    else:
        bounds.append(_absent("Theorem 5", "section 4.3", f"it is for psi = t^p without biases, not {psi}"))
    if degree:
        bounds.append(theorem6(dataset, int(degree)))
    else:
        bounds.append(_absent("Theorem 6", "appendix D.1", f"it is for polynomial psi, not {psi}"))
    if psi.name == "power:2":
        bounds.append(theorem7(dataset, k))
    else:
        bounds.append(_absent("Theorem 7", "appendix D.2", f"it is for psi = t^2 without biases, not {psi}"))
    return bounds


def _absent(name: str, reference: str, reason: str) -> LowerBound:
    return LowerBound(name, reference, None, "", "", False, reason)
