"""`lawjax check`: certificates, proved again with NumPy alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from lawjax import files
from lawjax.cli.parser import Positional
from lawjax.errors import UserError


@dataclass(frozen=True)
class Check:
    """Check certificates with NumPy alone; exits with 1 where one proves nothing.

    Attributes:
        file: the network, an .npz file; or a folder that holds, in folders too, networks NAME.npz, each with its
            certificate NAME.json or in itself.
        certificate: what `lawjax bracket --certificate` wrote; none for a folder, or a network that holds its own.
    """

    file: Positional[Path]
    certificate: Positional[Path | None] = None

    def __call__(self) -> None:
        """Say what is valid, and why."""
        from lawjax.check import check, holds_certificate

        if self.file.is_dir():
            self._of_folder()
            return
        if self.certificate is None and not holds_certificate(self.file):
            raise UserError("Name the certificate's file after the network's, or a folder with pairs of both.")
        valid, why = check(self.file, self.certificate)
        print(why)
        if not valid:
            sys.exit(1)

    def _of_folder(self) -> None:
        from tqdm import tqdm

        from lawjax.check import check, holds_certificate

        if self.certificate is not None:
            raise UserError(f"{self.file} is a folder: its certificates are looked for there, so name none.")
        networks = files.below(self.file, ".npz")
        if not networks:
            raise UserError(f"{self.file} has no networks NAME.npz to check.")
        failed = 0
        for network in tqdm(networks, unit=" certificates", disable=None):
            certificate = network.with_suffix(".json")
            if certificate.exists():
                valid, why = check(network, certificate)
            elif holds_certificate(network):
                valid, why = check(network)
            else:
                valid, why = False, f"{certificate} is missing."
            failed += not valid
            if not valid or why.startswith("Proved, if"):  # of an activation that the checker does not know
                tqdm.write(f"{network.relative_to(self.file)}: {why}")
        print(f"{len(networks) - failed} of {len(networks)} networks have a certificate that is proved.")
        if failed:
            sys.exit(1)
