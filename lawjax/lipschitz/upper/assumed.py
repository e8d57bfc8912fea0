"""What a certificate file says of an activation that the checker does not know: its proof holds if that is true.

>>> from lawjax import Ball
>>> from lawjax.activations import Activation
>>> softsign = Activation("softsign", lambda t: t / (1 + abs(t)), lambda t: 1 / (1 + abs(t)) ** 2, (0, 1), turns=(0,))
>>> f = TwoLayer(W=[[1.0]], b=[3.0], a=[1.0], activation=softsign)
>>> assumed(f, Space())
{'slopes': [0.0, 1.0], 'neurons': None, 'kinks': [], 'sides': []}
>>> [[round(end, 6) for end in ends] for ends in assumed(f, Ball(1.0))["neurons"]]  # 1/25 to 1/9
[[0.04, 0.111111]]
"""

from __future__ import annotations

from typing import Any

from lawjax import check
from lawjax.domains import Domain, Space
from lawjax.lipschitz.upper.gradients import gradients_on
from lawjax.network import TwoLayer


def assumed(network: TwoLayer, domain: Domain) -> dict[str, Any] | None:
    """The kinks and slopes of a piecewise-linear psi; of any other its interval on R and each neuron's on the domain.

    None for an activation of which the checker has a table of its own, or whose slopes are unbounded.
    """
    psi = network.activation
    if psi.slope_interval is None or not check.is_strange(psi.name):
        return None
    facts: dict[str, Any] = {"slopes": list(psi.slope_interval), "neurons": None, "kinks": [], "sides": []}
    if psi.is_piecewise_linear:
        ends = [min(psi.sides), max(psi.sides)]
        return {**facts, "slopes": ends, "kinks": list(psi.kinks), "sides": list(psi.sides)}
    if not isinstance(domain, Space):
        gradients = gradients_on(network, domain)
        neurons, one = gradients.slopes.T.copy(), gradients.one.network
        neurons[(one.a == 0) | ~one.W.any(1)] = psi.slope_interval  # what never counts may be anything
        facts["neurons"] = neurons.tolist()
    return facts
