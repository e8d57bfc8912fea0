"""`lawjax export`: one stored network as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lawjax import files
from lawjax.cli.parser import Positional
from lawjax.cli.refusals import check_device


@dataclass(frozen=True)
class Export:
    """Write one stored network to an .npz file with arrays W, b, a, c and its activation.

    Attributes:
        dir: the run directory.
        file: where to write; an existing file is left alone.
        n: number of points.
        d: dimension.
        k: number of neurons.
        seed: seed of the network.
        setting: where it was trained in several settings, NAME=VALUE of one, such as learning_rate=0.01.
    """

    dir: Positional[Path]
    file: Positional[Path]
    n: int
    d: int
    k: int
    seed: int
    setting: tuple[str, ...] = ()

    def __call__(self) -> None:
        """Write it."""
        from lawjax.sweep import schema
        from lawjax.sweep.grid import NetworkId
        from lawjax.sweep.store import Store

        files.check_new(self.file, inputs=[self.dir])
        check_device()
        store = Store(self.dir)
        store.read_config()
        network = store.network(NetworkId(self.n, self.d, self.k, self.seed), **schema.parsed(self.setting))
        network.save(self.file, overwrite=False)
        print(f"{self.file}: {network!r}")
