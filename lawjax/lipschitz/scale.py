"""Networks of any size brought to size one by powers of two, so that no square overflows and no product vanishes.

>>> one = scaled(TwoLayer(W=[[3 * 2.0**600, 0.0]], b=[2.0**601], a=[5 * 2.0**300]))
>>> one.network.W.tolist(), one.network.b.tolist(), one.network.a.tolist(), one.gradient_exponent
([[0.75, 0.0]], [0.5], [0.625], 905)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lawjax.network import TwoLayer

_FARTHEST = 1e300  # of a kink, over its row's length; nothing in float64 is beyond


class Scaled(NamedTuple):
    """A network g in float64 with f(x) = 2^(e - p) g(2^p x) + constant.

    So grad f(x) = 2^e grad g(2^p x). A neuron 1e-300 times weaker than the strongest may have become 0.

    Attributes:
        network: g, with c = 0. Where psi is positively homogeneous, every row of W that is not 0 has its largest entry
            in [1/2, 1), and so has a; otherwise W as a whole and a have.
        point_exponent: p, 0 where psi is positively homogeneous.
        gradient_exponent: e.
    """

    network: TwoLayer
    point_exponent: int
    gradient_exponent: int

    def restored(self, norms: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        """Gradient norms of f for those of g."""
        with np.errstate(over="ignore"):
            return np.ldexp(norms, self.gradient_exponent)


def scaled(network: TwoLayer) -> Scaled:
    """The network at size one; a polynomial psi of degree two or more stays as it is, only in float64."""
    psi = network.activation
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    if psi.slope_interval is None:
        return Scaled(TwoLayer(W, b, a, 0.0, network.activation), 0, 0)
    live = W.any(1) & (a != 0)
    of_rows = np.frexp(np.abs(W).max(1, initial=0.0))[1]
    of_a = np.frexp(a)[1]
    if psi.is_homogeneous:
        gradient_exponent, point_exponent = int((of_rows + of_a)[live].max(initial=-5000)), 0
        with np.errstate(over="ignore", under="ignore"):
            b = np.clip(np.ldexp(b, -of_rows), -_FARTHEST, _FARTHEST)
    else:
        point_exponent = int(of_rows[live].max(initial=-5000))
        of_rows = np.full(len(b), point_exponent)
        gradient_exponent = point_exponent + int(of_a[live].max(initial=-5000))
    if not live.any():
        return Scaled(TwoLayer(np.zeros_like(W), np.zeros_like(b), np.zeros_like(a), 0.0, network.activation), 0, 0)
    with np.errstate(over="ignore", under="ignore"):  # rows that do not count may have any size
        W = np.where(live[:, None], np.ldexp(W, -of_rows[:, None]), 0.0)
        a = np.where(live, np.ldexp(a, of_rows - gradient_exponent), 0.0)
    one = TwoLayer(W, np.where(live, b, 0.0), a, 0.0, network.activation)
    return Scaled(one, point_exponent, gradient_exponent)
