"""`lawjax bounds`: what no network on a data set can be below."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lawjax.cli.parser import Positional
from lawjax.cli.refusals import check_counts, check_device


@dataclass(frozen=True)
class Bounds:
    """Print the lower bounds that are known for networks on a data set.

    Attributes:
        file: the data set, an .npz file with x (n, d) and y (n,) of -1 and +1.
        k: number of neurons.
        activation: of the networks: identity, relu, leaky_relu, abs, relu6, hard_tanh, tanh, sigmoid, softplus, silu,
            elu, gelu, gelu:tanh, leaky_relu:slope, power:p (t^p) or polynomial:c0,c1,... (c0 + c1 t + ...).
        network: an .npz file of a network, to add the bounds that look at it.
    """

    file: Positional[Path]
    k: int
    activation: str = "relu"
    network: Path | None = None

    def __call__(self) -> None:
        """Print the table."""
        from lawjax import data
        from lawjax.network import TwoLayer
        from lawjax.theory import lower_bounds

        check_counts(k=self.k)
        check_device()
        points = data.load(self.file)
        found = lower_bounds.all(points, self.k, self.activation)
        if self.network is not None:
            found += lower_bounds.network_bounds(TwoLayer.load(self.network), points)
        print(lower_bounds.table(found))
