"""`lawjax bracket`: Lipschitz constants from both sides, of one network or of a run."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lawjax import files
from lawjax.cli.parser import Positional
from lawjax.cli.refusals import check_device
from lawjax.errors import UserError

if TYPE_CHECKING:
    from lawjax import lipschitz
    from lawjax.network import TwoLayer


@dataclass(frozen=True)
class Bracket:
    """Bound Lipschitz constants from both sides: one network's, or those of all networks that a run stored.

    Attributes:
        file: an .npz file with W (k, d), a (k,) and, if you like, b, c and activation; or a run directory, whose
            table gets columns for R^d and the unit sphere. Stopped, it goes on where it was.
        domain: where: space (R^d), ball or sphere (around 0).
        radius: of the ball or sphere.
        tangential: on the sphere, count only the gradient's part along it.
        json: print a JSON object, with the witness and what proves the upper bound: null where nothing checks it apart.
        certificate: where to write what proves the upper bound, for `lawjax check`; an existing file is left alone.
    """

    file: Positional[Path]
    domain: Literal["space", "ball", "sphere"] = "space"
    radius: float = 1.0
    tangential: bool = False
    json: bool = False
    certificate: Path | None = None

    def __call__(self) -> None:
        """Print it."""
        check_device()
        if self.file.is_dir():
            self._of_run()
        else:
            self._of_file()

    def _of_run(self) -> None:
        from lawjax.sweep.brackets import bracket_run, summary

        if self != Bracket(self.file):
            raise UserError(
                f"{self.file} is a run directory, bracketed on R^d and the unit sphere without further options; "
                "export a network to choose a domain or to get its certificate."
            )
        print(summary(bracket_run(self.file)))

    def _of_file(self) -> None:
        from lawjax.domains import named
        from lawjax.lipschitz import bracket
        from lawjax.network import TwoLayer

        if self.certificate is not None:
            files.check_new(self.certificate, inputs=[self.file])
        network = TwoLayer.load(self.file)
        if network.W.ndim > 2:
            raise UserError(f"{self.file} holds a stack of networks; save one network a file.")
        found = bracket(network, named(self.domain, self.radius, self.tangential))
        try:
            if self.certificate is not None:
                files.write_text(self.certificate, json.dumps(found.proof.record(network)) + "\n")
        finally:  # what was computed is said, also where it cannot be written
            self._say(network, found)

    def _say(self, network: TwoLayer, found: lipschitz.Bracket) -> None:
        from lawjax.domains import in_words

        if self.json:
            record = {
                "lower": found.lower,
                "upper": found.upper if math.isfinite(found.upper) else None,
                "witness": found.witness.tolist(),
                "certificate": _record(found.proof, network),
                **in_words(found.domain),
            }
            print(json.dumps(record))
        else:
            part = "gradient along the sphere" if self.tangential else "Lipschitz constant"
            where = found.domain
            print(f"{network!r}\n{part} on {where}: between {found.lower:.9g} (a point) and {found.upper:.9g} (proved)")


def _record(proof: lipschitz.Proof, network: TwoLayer) -> dict[str, Any] | None:
    """What proves the upper bound; None where that cannot be checked apart."""
    try:
        return proof.record(network)
    except UserError:
        return None
