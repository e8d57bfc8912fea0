"""What is known to bound Lipschitz constants from below (section 4, appendix D), as numbers for a data set at hand.

Each function takes data, and the width or order that the statement speaks of, and returns a `LowerBound`. *Certified*
ones are theorems about this data set, evaluated with a margin for rounding; the others hold for generic data, with an
unnamed constant that is left out (1), or with positive probability. `network_bounds` adds those of one network.

    >>> import jax
    >>> dataset = data.gaussian(jax.random.key(0), n=1000, d=100)
    >>> found = theorem4(dataset, k=5)
    >>> found.certified, found.value > theorem4(dataset, k=50).value > 1.0
    (True, True)
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy.optimize
import scipy.spatial

from lawjax import activations, arguments, data
from lawjax.activations import Activation
from lawjax.data import Dataset
from lawjax.domains import check_single
from lawjax.errors import UserError
from lawjax.lipschitz.lower.kinks import kink_bound
from lawjax.lipschitz.lower.pairs import values_with_errors
from lawjax.network import TwoLayer
from lawjax.theory import tensors

_MARGIN = 1.0 - 1e-9  # far above the rounding of eigenvalues and sums in float64
_NEAR_ONE = 30  # powers of two that points are left with: their squares, cubes, ... are far from over- and underflow
_SQUARES_VANISH = 1e-140  # distances below are taken once more, with care
_BISECTIONS = 10_000  # at most: enough from any float64 to any other


@dataclass(frozen=True)
class LowerBound:
    """A lower bound on a Lipschitz constant, or on what the paper has in its place.

    Attributes:
        name: what the bound is called.
        reference: where it is from.
        value: the bound; None where it says nothing.
        quantity: what it bounds.
        functions: of which functions.
        certified: whether it is a theorem about this data set; otherwise a rate without its constant, or a statement
            that holds with some probability.
        reason: why there is no value, or what the value lacks.
    """

    name: str
    reference: str
    value: float | None
    quantity: str
    functions: str
    certified: bool
    reason: str = ""


def floor(dataset: Dataset, epsilon: float = 0.0) -> LowerBound:
    """The least Lipschitz constant of any function that fits, on any set with the points.

    Exactly: max 2 / |x_i - x_j| over opposite labels (`lawjax.data.floor`). With mean square error epsilon: errors at
    two points of opposite labels add up to 2 - Lip |x_i - x_j| or more. So over disjoint pairs, here nearest first,
    sum (2 - Lip |x_i - x_j|)_+^2 / 2 <= n epsilon.

    Args:
        dataset: points and labels.
        epsilon: mean square error that is allowed.

    Raises:
        UserError: a negative epsilon.
    """
    arguments.not_negative("epsilon", epsilon)
    dataset = data.checked(dataset)
    value = data.floor(dataset) if epsilon == 0 else _approximate_floor(*data.float64(dataset), epsilon)
    one_label = len(np.unique(np.asarray(dataset.y))) == 1
    return LowerBound(
        "data floor",
        "two points of opposite labels",
        None if one_label else value * _MARGIN,
        "Lip on any set with the points",
        _that_fit("all", epsilon),
        True,
        "only one label occurs" if one_label else "",
    )


def _approximate_floor(x: np.ndarray, y: np.ndarray, epsilon: float) -> float:
    around = x - (data.centre(x) if np.abs(x).max() < 2.0**900 else 0.0)
    exponent = _unit(around)
    z = np.ldexp(around, -exponent) if exponent else x
    positive, negative = np.flatnonzero(y > 0), np.flatnonzero(y < 0)
    far = scipy.spatial.distance.cdist(z[positive], z[negative])
    order = np.argsort(far, axis=None, kind="stable")
    free = np.ones(len(positive), bool), np.ones(len(negative), bool)
    matched: list[tuple[int, int]] = []
    for i, j in zip(*np.unravel_index(order, far.shape), strict=True):
        if free[0][i] and free[1][j]:
            free[0][i] = free[1][j] = False
            matched.append((int(i), int(j)))
    if not matched:
        return 0.0
    first, second = np.array(matched).T
    pairs, exact = far[first, second], data.distances(x[positive[first]], x[negative[second]])
    equal = exact == 0
    rounded = pairs < _SQUARES_VANISH if exponent == 0 else True
    pairs = np.where(rounded, np.maximum(np.ldexp(exact, -exponent), sys.float_info.min), pairs)

    def excess(lipschitz: float) -> float:
        return float(np.sum(np.maximum(2.0 - lipschitz * pairs, 0.0) ** 2)) / 2.0 - epsilon * len(y)

    if excess(0.0) <= 0:
        return 0.0
    if 2.0 * np.sum(equal) > epsilon * len(y):  # points of opposite labels
        return math.inf
    pairs[equal] = 0.0
    found = scipy.optimize.brentq(excess, 0.0, 2.0 / pairs[~equal].min(), rtol=1e-12, maxiter=_BISECTIONS)
    found = float(found) * (1.0 - 1e-11)
    while excess(found) < 0:  # its absolute tolerance may be more than that
        found *= 0.999
    return _times_two_to_the(found, -exponent)


def _unit(x: np.ndarray) -> int:
    """The exponent of a power of two near the largest entry; 0 where that is of a size near one."""
    exponent = int(np.frexp(float(np.abs(x).max()))[1])
    return exponent if abs(exponent) > _NEAR_ONE else 0


def _times_two_to_the(value: float, exponent: int) -> float:
    """value 2^exponent for value >= 0, at most the largest number there is: what is finite stays so."""
    with np.errstate(over="ignore"):
        scaled = float(np.ldexp(value, exponent))
    return scaled if math.isinf(value) else min(scaled, sys.float_info.max)


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


def theorem4(
    dataset: Dataset,
    k: int,
    values: np.ndarray | None = None,
    errors: np.ndarray | None = None,
    epsilon: float = 0.0,
) -> LowerBound:
    """Theorem 4 on the data at hand: Lip(f) on R^d is at least 2 sqrt(n' / sum_(j<=k) lambda_j(sum_i z_i z_i')).

    f(x) = g(Px) with P of rank k; z_i are the differences of n' disjoint pairs of opposite labels. From
    2 n' <= sum_i |f(x_i) - f(x_i')| <= Lip sum_i |P z_i|, P a projection. It exceeds sqrt(d/k) times a constant for
    generic data, n >= d.

    Args:
        dataset: with both labels.
        k: rank of P, such as the number of neurons.
        values: (n,), f(x_i) of a function that does not fit exactly; its differences replace 2.
        errors: (n,), bounds on what rounding makes the values wrong by.
        epsilon: for all functions whose mean square distance from the values is at most this: their differences add up
            to less by sqrt(2 n' n epsilon) at most.

    Raises:
        UserError: k < 1, values of another shape or not finite, a negative epsilon.
    """
    arguments.whole("The number of neurons k", k)
    arguments.not_negative("epsilon", epsilon)
    x, y = data.float64(dataset)
    f = y if values is None else arguments.numbers("values", values, y.shape)
    wrong = np.zeros(len(y)) if errors is None else np.abs(arguments.numbers("errors", errors, y.shape, finite=False))
    first, second = np.flatnonzero(y > 0), np.flatnonzero(y < 0)
    pairs = min(len(first), len(second))
    value, reason = None, "only one label occurs"
    if pairs:
        first, second = first[:pairs], second[:pairs]
        z, halved = data.differences(x[first], x[second])
        scale = float(np.abs(z).max()) or 1.0  # so that no square overflows or vanishes
        rounding = wrong[first] + wrong[second] + 1e-15 * (np.abs(f[first]) + np.abs(f[second]))
        gap = float((f[first] - f[second] - rounding).sum()) - math.sqrt(2.0 * pairs * len(y) * epsilon)
        eigenvalues = np.linalg.svd(z / scale, compute_uv=False) ** 2
        length = math.sqrt(pairs * float(eigenvalues[:k].sum())) * scale
        reason, value = "", 0.0
        if gap > 0:
            value = math.inf if length == 0 else _times_two_to_the(gap / length * _MARGIN, -halved)
    return LowerBound(
        "Theorem 4", "section 4.2", value, "Lip on R^d", _that_fit(f"g(Px), rank P <= {k},", epsilon), True, reason
    )


def theorem5(dataset: Dataset, order: int) -> LowerBound:
    """Theorem 5 on the data at hand, psi = t^p without biases: Lip(f) on the unit ball is p ||T||_op.

    ||T||_op >= n / ||Omega||_{op,*}, as n = <T, Omega> <= ||T||_op ||Omega||_{op,*}, Omega = sum_i y_i x_i^(p), and
    Lemma 3 bounds the last factor. The paper's form, n / (d^(p-1) ||Omega||_op), is not above it.
    """
    scaled, exponent = _in_units(dataset)
    nuclear = tensors.nuclear_norm_bound(tensors.data_form(scaled, order))
    value = math.inf if nuclear == 0 else _times_two_to_the(order * dataset.n / nuclear * _MARGIN, -order * exponent)
    return LowerBound(
        "Theorem 5",
        "section 4.3",
        value,
        "Lip on the unit ball",
        f"power:{order}, any k, no biases, that fit",
        True,
    )


def theorem6(dataset: Dataset, degree: int) -> LowerBound:
    """Theorem 6 on the data at hand: Lip(f) on the unit ball for psi a polynomial of degree p, biases allowed.

    On n_b points with as many labels of each kind, n_b = sum_q <T_q, Omega_q>, q = 1...p. With M = Lip and x a
    maximiser of T_q, the polynomial t -> f(tx) has |f'| <= M on [-1, 1], so its coefficient q T_q[x^q] of t^(q-1) is at
    most M kappa_(p-1,q-1), see `markov_coefficient`. Hence M >= n_b / sum_q kappa_(p-1,q-1) ||Omega_q||_{op,*} / q. The
    paper spends n_b / p on one q.

    Raises:
        UserError: a degree below 1.
    """
    arguments.whole("degree", degree)
    x, y = data.float64(dataset)
    pairs = int(min((y > 0).sum(), (y < 0).sum()))
    functions = f"polynomial psi of degree {degree}, any k, that fit"
    if not pairs:
        return LowerBound(
            "Theorem 6", "appendix D.1", None, "Lip on the unit ball", functions, True, "only one label occurs"
        )
    kept = np.concatenate([np.flatnonzero(y > 0)[:pairs], np.flatnonzero(y < 0)[:pairs]])
    balanced, exponent = _in_units(Dataset(x[kept], y[kept]))
    weights = []
    for q in range(1, degree + 1):
        nuclear = tensors.nuclear_norm_bound(tensors.data_form(balanced, q))
        weights.append(_upwards(markov_coefficient(degree - 1, q - 1) * nuclear / q, q * exponent))
    total = math.fsum(weights)
    value = math.inf if total == 0 else 2 * pairs / total * _MARGIN
    return LowerBound("Theorem 6", "appendix D.1", value, "Lip on the unit ball", functions, True)


def markov_coefficient(degree: int, power: int) -> float:
    """The largest |coefficient of t^power| of a polynomial of this degree that is at most 1 in magnitude on [-1, 1].

    It is attained by the Chebyshev polynomial T_degree or T_(degree-1), whichever has the parity of the power
    (V. A. Markov 1892).
    """
    arguments.whole("degree", degree, 0)
    arguments.whole("power", power, 0, degree)
    m = degree if (degree - power) % 2 == 0 else degree - 1
    i = (m - power) // 2
    try:  # 2^(m-2i-1) m/(m-i) binomial(m-i, i)
        return float(Fraction(m * math.comb(m - i, i), m - i) * Fraction(2) ** (m - 2 * i - 1)) if m else 1.0
    except OverflowError:
        return math.inf


def theorem7(dataset: Dataset, k: int) -> LowerBound:
    """Theorem 7 on the data at hand, psi = t^2 without biases: Lip(f) on the unit ball is 2 ||T||_op, T of rank k.

    ||T||_op >= n / (sum of the k largest |eigenvalues| of Omega = sum_i y_i x_i x_i'), at least c sqrt(nd)/k.
    """
    arguments.whole("The number of neurons k", k)
    scaled, exponent = _in_units(dataset)
    largest = tensors.largest_eigenvalues(tensors.data_form(scaled, 2), k)
    value = math.inf if largest == 0 else _times_two_to_the(2 * dataset.n / largest * _MARGIN, -2 * exponent)
    return LowerBound(
        "Theorem 7",
        "appendix D.2",
        value,
        "Lip on the unit ball",
        f"power:2, k = {k}, no biases, that fit",
        True,
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


def table(bounds: Sequence[LowerBound]) -> str:
    """The bounds as a Markdown table."""
    for bound in arguments.sequence("bounds", bounds):
        arguments.instance("A bound", bound, LowerBound, "such as lower_bounds.all gives")
    lines = ["| bound | value | of | functions | certified | reference |", "| --- " * 6 + "|"]
    for bound in bounds:
        value = "none" if bound.value is None else f"{bound.value:.6g}"
        status = "yes" if bound.certified and bound.value is not None else "no"
        status += f": {bound.reason}" if bound.reason else ""
        lines.append(
            f"| {bound.name} | {value} | {bound.quantity} | {bound.functions} | {status} | {bound.reference} |"
        )
    return "\n".join(lines)


def _in_units(dataset: Dataset) -> tuple[Dataset, int]:
    """The points times 2^-exponent, and the exponent: 0 where they are of a size near one."""
    x, y = data.float64(dataset)
    exponent = _unit(x)
    return Dataset(np.ldexp(x, -exponent), y), exponent


def _upwards(value: float, exponent: int) -> float:
    """An upper bound on value 2^exponent, value >= 0: above 0 unless the value is 0, whatever underflows."""
    if value == 0:
        return 0.0
    with np.errstate(over="ignore", under="ignore"):
        return max(float(np.ldexp(value, exponent)), sys.float_info.min)


def _absent(name: str, reference: str, reason: str) -> LowerBound:
    return LowerBound(name, reference, None, "", "", False, reason)


def _that_fit(functions: str, epsilon: float) -> str:
    return f"{functions} that fit" + (f" up to a mean square error of {epsilon:g}" if epsilon else "")
