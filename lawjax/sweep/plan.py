"""How a sweep's networks are packed for a device: few shapes to compile, yet tight enough to waste little arithmetic.

A compiled shape costs about a second on a CPU and several on a GPU; arithmetic is dear on the one and nearly free on
the other. The plan minimises predicted compile time plus predicted training time, so it comes out tight on a CPU and
coarse on a GPU. It decides speed alone: a network is the same network in any plan, up to rounding.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lawjax.sweep.grid import NetworkId
from lawjax.train.config import TrainingConfig
from lawjax.train.pack import PackShape


@dataclass(frozen=True)
class Device:
    """What the plan assumes of a device; rough figures suffice.

    Attributes:
        rate: floating-point operations a second in large matrix products.
        overhead: seconds a training step takes besides arithmetic.
        compile_time: seconds to compile the programs of one shape.
        workers: packs in training at once on one device, each from a thread of its own.
        saturating: floating-point operations a step should have to fill the device.
        memory: bytes that one pack may take.
        chunk_time: seconds of training between looks of the host.
        max_chunk: steps between looks, at most: fewer cost time of the host, more leave idle packs uncompacted.
    """

    rate: float
    overhead: float
    compile_time: float
    workers: int
    saturating: float
    memory: float
    chunk_time: float
    max_chunk: int = 250


DEVICES = {
    "cpu": Device(rate=8e10, overhead=1.5e-5, compile_time=0.8, workers=2, saturating=0.0, memory=6e9, chunk_time=0.5),
    "gpu": Device(  # and TPUs
        rate=2e13, overhead=3e-4, compile_time=6.0, workers=2, saturating=2e10, memory=16e9, chunk_time=0.5
    ),
}


def device(platform: str) -> Device:
    """The assumptions for a JAX platform name."""
    return DEVICES["cpu" if platform == "cpu" else "gpu"]


class Group(NamedTuple):
    """Networks that train side by side in one lane: widths on the data set (n, d, seed)."""

    n: int
    d: int
    seed: int
    widths: tuple[int, ...]

    def networks(self) -> list[NetworkId]:
        """The identities, in the order of the widths."""
        return [NetworkId(self.n, self.d, k, self.seed) for k in self.widths]


class Unit(NamedTuple):
    """A piece of work of one worker: groups that pass through the lanes of one pack, in order.

    Attributes:
        shape: of the pack.
        groups: first come, first placed; a lane that has ended takes the next.
        chunk: training steps between looks of the host.
        cost: predicted seconds without compilation, for the order of work and the time left.
    """

    shape: PackShape
    groups: tuple[Group, ...]
    chunk: int
    cost: float

    @property
    def name(self) -> str:
        """A name that two units share only if they are the same work in the same order."""
        text = repr((tuple(self.shape), tuple(tuple(group) for group in self.groups), self.chunk))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def networks(self) -> list[NetworkId]:
        """All identities of the unit."""
        return [network for group in self.groups for network in group.networks()]


def predicted_steps(n: int, d: int, k: int, config: TrainingConfig) -> float:
    """Steps until a network fits: a rule of thumb from full-batch Adam, for planning alone."""
    steps = 670.0 * n**0.42 * d**-0.65 * k**-0.37 * (1e-3 / config.learning_rate) ** 0.7
    steps *= math.exp(1.85 * min(n / (k * d), 5.0))  # with few parameters it takes long, or all the steps there are
    if k < 16:  # of such narrow networks many stall in high dimension
        steps += 0.4 * config.step_limit * min(d / 1000, 1.0)
    if config.batch_size is not None:
        steps *= max(1.0, n / config.batch_size) ** 0.5
    return min(max(steps, 20.0), float(config.step_limit))


def _step_flops(shape: PackShape) -> float:
    lanes, n, d, neurons, heads = shape
    return lanes * (4.0 * n * d * neurons + 6.0 * n * neurons * heads + 100.0 * n * neurons + 40.0 * d * neurons)


def step_time(shape: PackShape, on: Device) -> float:
    """Predicted seconds of one training step of a pack."""
    return on.overhead + _step_flops(shape) / on.rate


def _rounded(neurons: int) -> int:
    """A width that matrix products like: 16 or a multiple of 32. The few neurons more cost less than nothing."""
    return 16 if neurons <= 16 else -(-neurons // 32) * 32


@dataclass
class _Bucket:
    """Groups that will share one compiled shape."""

    n: int
    d: int
    neurons: int
    heads: int
    groups: list[tuple[Group, float]]  # with predicted steps

    def shape(self, on: Device) -> PackShape:
        neurons = _rounded(self.neurons)
        one = PackShape(1, self.n, self.d, neurons, self.heads)
        fills = math.ceil(on.saturating / _step_flops(one))
        words = self.n * self.d + self.d * self.d + 8 * self.d * neurons + 6 * self.n * neurons
        fits = max(1, int(on.memory / (4.0 * words)))
        return one._replace(lanes=max(1, min(fills, fits, len(self.groups))))

    def training_time(self, on: Device) -> float:
        shape = self.shape(on)
        steps = sorted((steps for _, steps in self.groups), reverse=True)
        return step_time(shape, on) * max(steps[0], sum(steps) / shape.lanes)

    def cost(self, on: Device) -> float:
        return on.compile_time + self.training_time(on)

    def merged(self, other: _Bucket) -> _Bucket:
        return _Bucket(
            max(self.n, other.n),
            max(self.d, other.d),
            max(self.neurons, other.neurons),
            max(self.heads, other.heads),
            self.groups + other.groups,
        )


def _tiers(widths: Sequence[int], steps: Sequence[float], n: int, d: int, copies: int, on: Device) -> list[list[int]]:
    """Split widths (ascending) into consecutive tiers so that compile plus training time is least.

    A tier runs until its slowest network ends, so narrow and slow networks should not hold up wide ones.
    """

    def tier_cost(i: int, j: int) -> float:
        shape = PackShape(1, n, d, _rounded(sum(widths[i:j])), j - i)
        rounds = copies / max(1.0, min(copies, on.saturating / _step_flops(shape)))
        return on.compile_time + rounds * max(steps[i:j]) * step_time(shape, on)

    best: list[tuple[float, list[list[int]]]] = [(0.0, [])]
    for j in range(1, len(widths) + 1):
        best.append(min((best[i][0] + tier_cost(i, j), [*best[i][1], list(widths[i:j])]) for i in range(j)))
    return best[-1][1]


def _buckets(networks: Iterable[NetworkId], config: TrainingConfig, on: Device) -> list[_Bucket]:
    widths_of: dict[tuple[int, int], set[int]] = defaultdict(set)
    data_sets: dict[tuple[int, int, int], set[int]] = defaultdict(set)
    for n, d, k, seed in networks:
        widths_of[n, d].add(k)
        data_sets[n, d, seed].add(k)
    buckets = []
    for (n, d), width_set in sorted(widths_of.items()):
        widths = sorted(width_set)
        steps = [predicted_steps(n, d, k, config) for k in widths]
        seeds = sorted(seed for m, e, seed in data_sets if (m, e) == (n, d))
        for tier in _tiers(widths, steps, n, d, len(seeds), on):
            groups = []
            for seed in seeds:
                members = tuple(k for k in tier if k in data_sets[n, d, seed])
                if members:
                    slowest = max(predicted_steps(n, d, k, config) for k in members)
                    groups.append((Group(n, d, seed, members), slowest))
            neurons = max(sum(group.widths) for group, _ in groups)
            heads = max(len(group.widths) for group, _ in groups)
            buckets.append(_Bucket(n, d, neurons, heads, groups))
    return buckets


def _merge(buckets: list[_Bucket], on: Device) -> list[_Bucket]:
    """Merge shapes while that saves more compile time than the padding costs, the best merger first."""
    alive = dict(enumerate(buckets))
    costs = {i: bucket.cost(on) for i, bucket in alive.items()}

    def gain(i: int, j: int) -> float:
        return costs[i] + costs[j] - alive[i].merged(alive[j]).cost(on)

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


def plan(
    networks: Iterable[NetworkId], config: TrainingConfig, platform: str = "cpu", unit_time: float = 30.0
) -> list[Unit]:
    """Units of work that together train every network once, the largest first.

    Args:
        networks: what to train.
        config: how to train it.
        platform: JAX's name for the device's platform.
        unit_time: predicted seconds after which a shape's groups are split into another unit.
    """
    on = device(platform)
    units = []
    for bucket in _merge(_buckets(set(networks), config, on), on):
        shape = bucket.shape(on)
        of_a_step = step_time(shape, on)
        chunk = max(1, min(on.max_chunk, int(on.chunk_time / of_a_step)))
        longest_first = sorted(bucket.groups, key=lambda item: (-item[1], item[0]))
        part: list[Group] = []
        cost = 0.0
        for group, steps in longest_first:
            if part and cost > unit_time and len(part) >= shape.lanes:
                units.append(Unit(shape, tuple(part), chunk, cost))
                part, cost = [], 0.0
            part.append(group)
            cost += steps * of_a_step / shape.lanes
        units.append(Unit(shape._replace(lanes=min(shape.lanes, len(part))), tuple(part), chunk, cost))
    return sorted(units, key=lambda unit: (-unit.cost, unit.name))
