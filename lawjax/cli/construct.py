"""`lawjax construct`: the networks of section 3."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lawjax import files
from lawjax.cli.parser import Positional
from lawjax.cli.refusals import check_counts, check_device
from lawjax.errors import UserError


@dataclass(frozen=True)
class Construct:
    """Build one of section 3's networks on generic data, say what is claimed of it, and write it to an .npz file.

    Attributes:
        name: linear (3.1), caps (3.2), ramps, grouped-caps (3.3), clustered-caps, tensor (3.4) or exact-tensor.
        file: where to write; existing files are left alone.
        n: number of points.
        d: dimension.
        k: number of groups, for grouped-caps and clustered-caps; the others have widths of their own.
        seed: of the data set, that of a sweep with the same n and d.
        order: p, for tensor and exact-tensor.
        data_model: sphere or gaussian.
        data: where to write the data set, too, for `lawjax bounds`.
    """

    name: Positional[Literal["linear", "caps", "ramps", "grouped-caps", "clustered-caps", "tensor", "exact-tensor"]]
    file: Positional[Path]
    n: int
    d: int
    k: int | None = None
    seed: int = 0
    order: int = 2
    data_model: Literal["sphere", "gaussian"] = "sphere"
    data: Path | None = None

    def __call__(self) -> None:
        """Write it and print its claims."""
        import numpy as np

        from lawjax import data, keys
        from lawjax.theory import constructions

        files.check_new(*filter(None, (self.file, self.data)))
        check_counts(n=self.n, d=self.d, k=self.k)
        check_device()
        grouped = self.name in ("grouped-caps", "clustered-caps")
        if (self.k is None) == grouped:
            raise UserError(f"{self.name} {'needs' if grouped else 'has a width of its own, so it takes no'} --k.")
        points = data.MODELS[self.data_model](keys.data_key(self.n, self.d, self.seed), self.n, self.d)
        if grouped:
            built = constructions.grouped_caps(points, self.k or 0, self.name == "clustered-caps")
        elif self.name in ("tensor", "exact-tensor"):
            built = constructions.tensor(points, self.order, self.name == "exact-tensor")
        else:
            built = getattr(constructions, self.name)(points)
        contents = {self.file: built.network.as_npz()}
        if self.data is not None:
            contents[self.data] = files.npz(x=np.asarray(points.x), y=np.asarray(points.y))
        files.write_all(contents)
        print(built)
