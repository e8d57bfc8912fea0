"""Statements with unnamed constants, or that hold with some probability: what they say with the constant left out."""

from __future__ import annotations

import math

from lawjax import arguments, data
from lawjax.data import Dataset
from lawjax.theory.lower_bounds.record import LowerBound


def conjecture1(dataset: Dataset, k: int) -> LowerBound:
    """Conjecture 1: Lip(f) on the sphere is at least c sqrt(n/k)."""
    arguments.whole("The number of neurons k", k)
    return LowerBound(
        "Conjecture 1",
        "section 2",
        math.sqrt(data.checked(dataset).n / k),
        "Lip on the sphere",
        f"F_k(psi) that fit, k = {k}",
        False,
        "conjectured, times a constant c",
    )


def theorem3(dataset: Dataset, k: int, biases: bool = False) -> LowerBound:
    """Theorem 3, (6): L |a| ||W||_op >= sqrt(n/k) / 2 without biases, for generic data with positive probability.

    The constant 1/2 is what the argument gives for read-out weights of both signs. With biases it is about the rows
    (w_l, b_l) and the points (x_i, 1).
    """
    arguments.whole("The number of neurons k", k)
    arguments.flag("biases", biases)
    quantity = "L ‖a‖ ‖(W, b)‖_op" if biases else "L ‖a‖ ‖W‖_op"
    return LowerBound(
        "Theorem 3",
        "section 4.1, (6)",
        0.5 * math.sqrt(data.checked(dataset).n / k),
        quantity,
        f"F_k(psi) that fit, psi L-Lipschitz, k = {k}",
        False,
        "for generic data with positive probability; of the product, not of Lip",
    )


def theorem3_path(dataset: Dataset) -> LowerBound:
    """Inside Theorem 3's proof: L sum_l |a_l| |w_l| >= sqrt(n), here half of it, as in `theorem3`."""
    return LowerBound(
        "Theorem 3, inside",
        "section 4.1, proof",
        0.5 * math.sqrt(data.checked(dataset).n),
        "L Σ_l ‖a_l w_l‖",
        "F_k(psi) that fit, psi L-Lipschitz, no biases",
        False,
        "for generic data with positive probability; of the product, not of Lip",
    )


def bubeck_sellke(dataset: Dataset, k: int) -> LowerBound:
    """Bubeck and Sellke (2021): Lip(f) >= c sqrt(nd/p) for classes of p parameters, here p = k (d + 2) + 1."""
    arguments.whole("The number of neurons k", k)
    dataset = data.checked(dataset)
    parameters = k * (dataset.d + 2) + 1
    return LowerBound(
        "universal law",
        "Bubeck and Sellke 2021",
        math.sqrt(dataset.n * dataset.d / parameters),
        "Lip on R^d",
        f"{parameters} bounded parameters, that fit below noise",
        False,
        "times a constant, up to logarithms",
    )
