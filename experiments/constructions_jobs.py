"""What experiments/constructions.py builds: its jobs, and how large they are in each preset."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from lawjax.sweep.grid import check_positive

_MOST_CLUSTERED = 10_000  # points: clusters take n^2 inner products


@dataclass(frozen=True)
class Job:
    """One network.

    Attributes:
        construction: a name of `BUILDERS`, or trained.
        n: points.
        d: their dimension.
        k: what the construction is given; most have a width of their own.
        seed: of the data set.
    """

    construction: str
    n: int
    d: int
    k: int
    seed: int


@dataclass(frozen=True)
class Ladders:
    """What is built: each construction on a ladder of n/k, at sizes where its conditions hold.

    Attributes:
        grouped: (n, d, k) of the grouped caps.
        tensor_d: dimension and width of Theorem 2's forms; n is a multiple, eps = sqrt(n log(n)) / d.
        tensor_ratios: n/d of these.
        exact_ratios: n/d of those that fit exactly, well below d/2, where no form fits any more.
        partial: (n, d) of the partial tensors, for which k alone changes.
        partial_coordinates: m of these, k = m (2d + 1).
        smoothest_d: dimension and width of the smoothest quadratic forms, whose solver takes O(n^3).
        smoothest_ratios: n/d of these.
        caps: (n, d) of caps, ramps and the linear network.
        trained: (n, d) of the trained networks.
        trained_ratios: n/k of these.
        seeds: of every rung.
    """

    grouped: tuple[tuple[int, int, int], ...] = (
        (1000, 10_000, 1000),
        (1000, 10_000, 500),
        (1000, 10_000, 250),
        (1000, 10_000, 125),
        (2000, 10_000, 125),
        (5120, 10_000, 160),
        (20_480, 10_000, 320),
        (50_000, 16_000, 500),
    )
    tensor_d: int = 1200
    tensor_ratios: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 100)
    exact_ratios: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    partial: tuple[int, int] = (1600, 40)
    partial_coordinates: tuple[int, ...] = (1, 2, 4, 8, 16, 40)
    smoothest_d: int = 100
    smoothest_ratios: tuple[int, ...] = (1, 2, 4, 8, 12)
    caps: tuple[int, int] = (100, 4000)
    trained: tuple[int, int] = (500, 2000)
    trained_ratios: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check sizes."""
        check_positive(**dataclasses.asdict(self))

    def jobs(self) -> list[Job]:
        """One for each network: construction, n, d, k, seed."""
        sizes = [("grouped caps", *size) for size in self.grouped]
        sizes += [("clustered caps", *size) for size in self.grouped if size[0] <= _MOST_CLUSTERED]
        for name, d, ratios in (
            ("tensor", self.tensor_d, self.tensor_ratios),
            ("exact tensor", self.tensor_d, self.exact_ratios),
            ("smoothest quadratic", self.smoothest_d, self.smoothest_ratios),
        ):
            sizes += [(name, ratio * d, d, d) for ratio in ratios]
        n, d = self.partial
        sizes += [("partial tensor", n, d, m * (2 * d + 1)) for m in self.partial_coordinates]
        n, d = self.caps
        sizes += [("caps", n, d, n), ("ramps", n, d, 2 * n), ("linear", n, d, 1)]
        sizes += [("trained", *self.trained, self.trained[0] // ratio) for ratio in self.trained_ratios]
        return [Job(*size, seed) for size in sizes for seed in range(self.seeds)]


PRESETS = {
    "smoke": Ladders(
        grouped=((20, 120, 20), (20, 120, 5)),
        tensor_d=8,
        tensor_ratios=(1, 2),
        exact_ratios=(1, 2),
        partial=(20, 5),
        partial_coordinates=(1, 5),
        smoothest_d=8,
        smoothest_ratios=(1, 2),
        caps=(20, 120),
        trained=(20, 30),
        trained_ratios=(1, 4),
        seeds=1,
    ),
    "laptop": Ladders(
        grouped=((500, 4000, 500), (500, 4000, 250), (500, 4000, 125), (500, 4000, 62), (1280, 4000, 80)),
        tensor_d=200,
        tensor_ratios=(1, 2, 4, 8, 16),
        exact_ratios=(1, 2, 4, 8, 16),
        partial=(400, 20),
        partial_coordinates=(1, 4, 20),
        smoothest_d=40,
        smoothest_ratios=(1, 2, 4),
        trained=(200, 500),
        trained_ratios=(1, 4, 16),
    ),
    "paper": Ladders(),
}
