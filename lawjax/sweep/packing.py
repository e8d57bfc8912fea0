"""Which jobs share a pack: few shapes to compile, yet tight enough to waste little arithmetic.

Networks of one data set are split into jobs by width (`split_widths`), jobs of all seeds make a pack of their own
(`packs_of`), and packs merge while that saves more compile time than the padding costs (`merge`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lawjax.sweep.devices import Device, pack_bytes, step_flops
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.work import Job
from lawjax.train.config import TrainingConfig
from lawjax.train.slots import PackShape


@dataclass(frozen=True)
class PlannedPack:
    """Jobs that will share one compiled shape.

    Attributes:
        n: rows, of the largest job.
        d: columns.
        neurons: of a job.
        networks: of a job.
        jobs: each with its predicted steps.
    """

    n: int
    d: int
    neurons: int
    networks: int
    jobs: tuple[tuple[Job, float], ...]

    def shape(self, on: Device) -> PackShape:
        """As many slots as fill the device, fit its memory and have a job."""
        neurons = _rounded(self.neurons)
        one = PackShape(1, self.n, self.d, neurons, self.networks)
        fills = math.ceil(on.saturating / step_flops(one))
        fits = max(1, int(on.memory / pack_bytes(one)))
        return one._replace(slots=max(1, min(fills, fits, len(self.jobs))))

    def training_time(self, on: Device) -> float:
        """Predicted seconds of training."""
        shape = self.shape(on)
        steps = sorted((steps for _, steps in self.jobs), reverse=True)
        return on.step_time(shape) * max(steps[0], sum(steps) / shape.slots)

    def cost(self, on: Device) -> float:
        """Predicted seconds of compilation and training."""
        return on.compile_time + self.training_time(on)

    def merged(self, other: PlannedPack) -> PlannedPack:
        """One pack that holds the jobs of both."""
        return PlannedPack(
            max(self.n, other.n),
            max(self.d, other.d),
            max(self.neurons, other.neurons),
            max(self.networks, other.networks),
            self.jobs + other.jobs,
        )


def _rounded(neurons: int) -> int:
    """A width that matrix products like: 16 or a multiple of 32. The few neurons more cost less than nothing."""
    return 16 if neurons <= 16 else -(-neurons // 32) * 32


def split_widths(
    widths: Sequence[int], steps: Sequence[float], n: int, d: int, copies: int, on: Device
) -> list[list[int]]:
    """Split widths into consecutive parts, one job each, so that compile plus training time is least.

    A job runs until its slowest network ends, so narrow and slow networks should not hold up wide ones.

    Args:
        widths: ascending.
        steps: predicted for each.
        n: points of the data set.
        d: their dimension.
        copies: data sets of this size.
        on: the device.
    """

    def part_cost(i: int, j: int) -> float:
        shape = PackShape(1, n, d, _rounded(sum(widths[i:j])), j - i)
        if j - i > 1 and pack_bytes(shape) > on.memory:
            return math.inf
        rounds = copies / max(1.0, min(copies, on.saturating / step_flops(shape)))
        return on.compile_time + rounds * max(steps[i:j]) * on.step_time(shape)

    best: list[tuple[float, list[list[int]]]] = [(0.0, [])]
    for j in range(1, len(widths) + 1):
        best.append(min((best[i][0] + part_cost(i, j), [*best[i][1], list(widths[i:j])]) for i in range(j)))
    return best[-1][1]


def packs_of(networks: Iterable[NetworkId], config: TrainingConfig, on: Device) -> list[PlannedPack]:
    """A pack for each (n, d) and each part of its widths, with the jobs of all seeds."""
    widths_of: dict[tuple[int, int], set[int]] = defaultdict(set)
    data_sets: dict[tuple[int, int, int], set[int]] = defaultdict(set)
    for n, d, k, seed in networks:
        widths_of[n, d].add(k)
        data_sets[n, d, seed].add(k)
    packs = []
    for (n, d), width_set in sorted(widths_of.items()):
        widths = sorted(width_set)
        steps = [on.steps.predicted(n, d, k, config) for k in widths]
        seeds = sorted(seed for m, e, seed in data_sets if (m, e) == (n, d))
        for part in split_widths(widths, steps, n, d, len(seeds), on):
            jobs = []
            for seed in seeds:
                members = tuple(k for k in part if k in data_sets[n, d, seed])
                if members:
                    slowest = max(on.steps.predicted(n, d, k, config) for k in members)
                    jobs.append((Job(n, d, seed, members), slowest))
            neurons = max(sum(job.widths) for job, _ in jobs)
            together = max(len(job.widths) for job, _ in jobs)
            packs.append(PlannedPack(n, d, neurons, together, tuple(jobs)))
    return packs


def merge(packs: Sequence[PlannedPack], on: Device) -> list[PlannedPack]:
    """Merge packs while that saves more compile time than the padding costs, the best merger first."""
    alive = dict(enumerate(packs))
    costs = {i: pack.cost(on) for i, pack in alive.items()}

    def gain(i: int, j: int) -> float:
        merged = alive[i].merged(alive[j])
        if pack_bytes(merged.shape(on)) > max(on.memory, *(pack_bytes(alive[one].shape(on)) for one in (i, j))):
            return -math.inf  # a slot of both is too large
        return costs[i] + costs[j] - merged.cost(on)

    gains = {(i, j): gain(i, j) for i in alive for j in alive if j < i}
    while gains:
        i, j = max(gains, key=lambda pair: gains[pair])
        if gains[i, j] <= 0:
            break
        new = max(alive) + 1
        alive[new] = alive.pop(i).merged(alive.pop(j))
        costs[new] = alive[new].cost(on)
        gains = {pair: saved for pair, saved in gains.items() if i not in pair and j not in pair}
        gains |= {(new, other): gain(new, other) for other in alive if other != new}
    return list(alive.values())
