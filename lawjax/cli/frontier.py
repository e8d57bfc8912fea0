"""`lawjax frontier`: the smoothest network that fits a data set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lawjax import files
from lawjax.cli.parser import Positional
from lawjax.cli.refusals import check_counts, check_device
from lawjax.errors import UserError


@dataclass(frozen=True)
class Frontier:
    """Search for the smoothest network that fits a data set, and write it with the certificate of its bound.

    Attributes:
        file: the data set, an .npz file with x (n, d) and y (n,) of -1 and +1.
        network: where to write the network, an .npz file; its certificate goes beside it, ending in .json. Existing
            files are left alone.
        k: number of neurons.
        epsilon: mean square error that is allowed; 0 for an exact fit.
        activation: relu, leaky_relu, abs, tanh, softplus, gelu or power:2.
        domain: where the gradient is bounded: space (R^d), ball or sphere (around 0).
        radius: of the ball or sphere.
        steps: of the descent.
        starts: at random.
        seed: of the starts.
    """

    file: Positional[Path]
    network: Positional[Path]
    k: int
    epsilon: float = 0.02
    activation: str = "relu"
    domain: Literal["space", "ball", "sphere"] = "space"
    radius: float = 1.0
    steps: int = 20_000
    starts: int = 2
    seed: int = 0

    def __call__(self) -> None:
        """Search, write, and print the bracket; nothing is written where no start fits."""
        from tqdm import tqdm

        from lawjax import data, frontier, keys
        from lawjax.domains import named
        from lawjax.frontier.config import ACTIVATIONS

        certificate = self._certificate()
        check_counts(k=self.k, steps=self.steps, starts=self.starts)
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise UserError(f"The search is for an activation among {known}, not {self.activation!r}.")
        check_device()
        config = frontier.FrontierConfig(
            self.epsilon, self.activation, named(self.domain, self.radius), self.steps, self.starts
        )
        points = data.load(self.file)
        problem = frontier.Problem(points, self.k, keys.weights_key(points.n, points.d, self.seed))
        with (
            tqdm(total=config.steps * config.starts, unit=" steps", disable=None) as bar,
            keys.settled(x64=False),
        ):
            [found] = frontier.search_all([problem], config, bar.update)
        if not found.fitted:
            raise UserError(
                f"No start fits: the best has loss {found.loss:.3g}, |f(x_i) - y_i| up to {found.fit_error:.3g}. "
                "Ask for more neurons, starts or steps."
            )
        found.network.save(self.network, overwrite=False)  # first, as a bound may be beyond what can be checked
        try:
            files.write_text(certificate, json.dumps(found.bracket.proof.record(found.network)) + "\n")
        finally:
            print(
                f"{found.network!r}\nloss {found.loss:.6g}, |f(x_i) - y_i| at most {found.fit_error:.3g}; Lipschitz "
                f"constant between {found.bracket.lower:.9g} (a point) and {found.bracket.upper:.9g} (proved)"
            )

    def _certificate(self) -> Path:
        """Where the certificate goes, once it is sure that both files can be written."""
        files.check_new(self.network, inputs=[self.file])
        certificate = self.network.with_suffix(".json")
        if certificate == self.network:
            raise UserError(f"{self.network} is where the certificate goes; give the network a name ending in .npz.")
        files.check_new(certificate, inputs=[self.file])
        return certificate
