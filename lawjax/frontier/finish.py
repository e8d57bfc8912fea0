"""From the search's float32 weights to a network whose fit is checked in float64: folding, shrinking, exact fit."""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg
from jaxtyping import Float

from lawjax import arguments, data
from lawjax.data import Dataset
from lawjax.domains import check_single
from lawjax.frontier.config import FrontierConfig, Newton
from lawjax.network import TwoLayer
from lawjax.standard import StandardForm

EXACT = 1e-6  # |f(x_i) - y_i| that counts as an exact fit
_ROUNDING = 1e-5  # of the loss, left for rounding the weights to float32
_USUAL = Newton()


def finished(
    network: TwoLayer, form: StandardForm, dataset: Dataset, config: FrontierConfig, *, biases: bool
) -> TwoLayer:
    """The network of the points as given, from one of their standard form, made to fit as asked for.

    Args:
        network: in float64.
        form: the standard form.
        dataset: in float64.
        config: what is asked for.
        biases: whether b and c may be other than 0.
    """
    if config.exact:
        own = Dataset(form.points(dataset.x), dataset.y)
        exact = form.given(interpolating(network, own, biases, config.newton))
        return exact if fits(exact(dataset.x) - dataset.y, dataset, config) else form.given(network)
    network = shrunk(form.given(network), dataset, config.epsilon * (1.0 - _ROUNDING), constant=biases)
    return form.rounded(network, np.float32)


def fits(error: Float[np.ndarray, " n"], dataset: Dataset, config: FrontierConfig) -> bool:
    """Whether errors f(x_i) - y_i are as small as asked for."""
    if config.exact:
        return bool(np.abs(error).max() <= EXACT)
    return bool(np.mean(error**2) <= config.epsilon and (error * dataset.y > -1.0).all())


def shrunk(network: TwoLayer, dataset: Dataset, epsilon: float, constant: bool = True) -> TwoLayer:
    """The network s f + c' of least s >= 0 with mean square error epsilon; of least error where none is that small.

    The Lipschitz constant of s f + c' is s times that of f.

    Args:
        network: in float64.
        dataset: in float64.
        epsilon: mean square error.
        constant: whether c' is free; otherwise the network is s f.
    """
    check_single(network)
    dataset = data.float64(dataset)
    arguments.not_negative("epsilon", epsilon)
    arguments.flag("constant", constant)
    f = network(dataset.x) - network.c * constant
    values, labels = (f - f.mean(), dataset.y - dataset.y.mean()) if constant else (f, dataset.y)
    square, product = float(np.mean(values**2)), float(np.mean(values * labels))
    excess = float(np.mean(labels**2)) - epsilon * (1.0 - 1e-12)
    discriminant = max(product**2 - square * excess, 0.0)
    scale = max((product - math.sqrt(discriminant)) / square, 0.0) if square > 0 else 0.0
    c = float(dataset.y.mean() - scale * f.mean()) if constant else scale * float(network.c)
    return TwoLayer(network.W, network.b, scale * network.a, c, network.activation)


def interpolating(network: TwoLayer, dataset: Dataset, biases: bool = True, tuning: Newton = _USUAL) -> TwoLayer:
    """The network after Newton's steps to f(x_i) = y_i, each the smallest relative change of the neurons.

    Where a kink lies at a point and stops them, the least relative change of a follows, and of c.

    With slopes D_il = psi'(w_l . x_i + b_l) a step solves (K + m) u = y - f for the kernel
    K_ij = (x_i . x_j + 1) sum_l D_il D_jl a_l^2 m_l and moves w_l by a_l m_l sum_i u_i D_il x_i, b_l and c likewise.
    m_l is ||w_l||^2 + b_l^2 in units of the points' length, and a little for neurons that are 0; m, for c, is the mean
    of K_ii.

    Args:
        network: in float64, near an exact fit.
        dataset: in float64, n points.
        biases: whether b and c may change, too.
        tuning: how many steps.
    """
    check_single(network)
    arguments.flag("biases", biases)
    arguments.instance("tuning", tuning, Newton, "such as Newton(steps=60)")
    x, y = data.float64(dataset)
    psi = network.activation
    inner = x @ x.T + float(biases)
    length = float(np.mean(np.sum(x**2, axis=1)))
    W, b, c = network.W, network.b, float(network.c)
    a = network.a
    residual = y - (psi(x @ W.T + b) @ a + c)
    for _ in range(tuning.steps):
        if np.abs(residual).max() <= tuning.converged:
            break
        sizes = np.sum(W**2, axis=1) + b**2 / length
        sizes = sizes + 1e-3 * sizes.mean()
        slopes = psi.slope(x @ W.T + b)
        weighted = slopes * a
        kernel = inner * ((weighted * sizes) @ weighted.T)
        offset = float(np.mean(np.diag(kernel))) if biases else 0.0
        try:
            u = scipy.linalg.lstsq(kernel + offset, residual, cond=1e-12, check_finite=False)[0]
        except np.linalg.LinAlgError:
            break
        per_neuron = weighted * u[:, None]
        steps = (sizes[:, None] * (per_neuron.T @ x), sizes * per_neuron.sum(0) * biases, offset * float(u.sum()))
        for halving in range(tuning.halvings):
            share = 0.5**halving
            trial = W + share * steps[0], b + share * steps[1], c + share * steps[2]
            after = y - (psi(x @ trial[0].T + trial[1]) @ a + trial[2])
            if np.linalg.norm(after) < np.linalg.norm(residual):
                W, b, c, residual = *trial, after
                break
        else:
            break
    if np.abs(residual).max() > tuning.converged:  # kinks at points stop Newton's steps, but not a change of a alone
        hidden = psi(x @ W.T + b)
        columns = np.concatenate([hidden * a, np.full((len(x), 1), float(biases))], axis=1)
        change = scipy.linalg.lstsq(columns, residual, cond=1e-12, check_finite=False)[0]
        a, c = a * (1.0 + change[:-1]), c + float(change[-1]) * biases
    return TwoLayer(W, b, a, c, network.activation)
