"""How a sweep's networks are packed for a device: few shapes to compile, yet tight enough to waste little arithmetic.

A compiled shape costs about a second on a CPU and several on a GPU; arithmetic is dear on the one and nearly free on
the other. The plan minimises predicted compile time plus predicted training time, so it comes out tight on a CPU and
coarse on a GPU. For several devices it is the plan of which they are predicted to be done first: the more there are,
the less it is merged, and the more its units are split. It decides speed alone: a network is the same network in any
plan, up to rounding.
"""

from __future__ import annotations

import collections
import dataclasses
import heapq
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lawjax.sweep.devices import Device
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.packing import PlannedPack, merge, packs_of
from lawjax.sweep.work import Job, WorkUnit
from lawjax.train.config import TrainingConfig
from lawjax.train.slots import PackShape
from lawjax.tuning import Tuning


@dataclass(frozen=True)
class Search(Tuning):
    """The plans that are compared for several devices.

    Attributes:
        compiling: shares of the compile time by which packs are merged, as if compiling cost so much.
        shares: of a device's fair share of the training, above which a pack's jobs are dealt out to several units.
        patience: shares tried in a row that make nothing better.
        enough: times an even share of the training and one compilation, at which a plan is good enough.
    """

    compiling: tuple[float, ...] = (1.0, 0.5, 0.25, 0.12, 0.06, 0.03, 0.01)
    shares: tuple[float, ...] = (1.0, 0.85, 0.7, 0.6, 0.5, 0.42, 0.35, 0.3, 0.25, 0.2, 0.16, 0.125, 0.1)
    patience: int = 5
    enough: float = 1.1


_USUAL = Search()


def plan(
    networks: Iterable[NetworkId], config: TrainingConfig, on: Device, devices: int = 1, tuning: Search = _USUAL
) -> list[WorkUnit]:
    """Work units that together train every network once, the largest first.

    Args:
        networks: what to train.
        config: how to train it.
        on: what is assumed of a device; `on.unit_time` splits the jobs of a shape.
        devices: how many there are.
        tuning: the plans among which that for several devices is chosen.
    """
    networks = set(networks)
    alone = _units(merge(packs_of(networks, config, on), on), on)
    if devices == 1 or not alone:
        return alone
    best, least = alone, makespan(alone, on, devices)
    for compiling in tuning.compiling:
        cheaper = dataclasses.replace(on, compile_time=compiling * on.compile_time)
        packs = merge(packs_of(networks, config, cheaper), cheaper)
        total = sum(pack.training_time(on) for pack in packs)
        in_vain = 0
        for share in tuning.shares:
            units = _units(packs, on, share * total / devices)
            in_vain += 1
            if (time := makespan(units, on, devices)) < least:
                best, least, in_vain = units, time, 0
            if least <= tuning.enough * (total / devices + on.compile_time):
                return best
            if in_vain == tuning.patience:
                break
    return best


def makespan(units: Sequence[WorkUnit], on: Device, devices: int) -> float:
    """Predicted seconds until devices have trained all units, each taking the next as soon as it is free, by `choice`.

    Every device compiles every shape that it comes to.
    """
    free = [(0.0, device) for device in range(devices)]
    compiled: list[set[PackShape]] = [set() for _ in range(devices)]
    taken: set[PackShape] = set()
    left: dict[PackShape, collections.deque[tuple[int, float]]] = {}  # each shape's units: place in the order, cost
    for place, unit in enumerate(units):
        left.setdefault(unit.shape, collections.deque()).append((place, unit.cost))
    while left:  # `choice`, but for many units at a time
        time, device = heapq.heappop(free)
        own = [shape for shape in compiled[device] if shape in left]
        shapes = own or [shape for shape in left if shape not in taken] or list(left)
        shape = min(shapes, key=lambda one: left[one][0])
        _, cost = left[shape].popleft()
        if not left[shape]:
            del left[shape]
        heapq.heappush(free, (time + cost + (on.compile_time if shape not in compiled[device] else 0.0), device))
        compiled[device].add(shape)
        taken.add(shape)
    return max(time for time, _ in free)


def choice(units: Sequence[WorkUnit], own: Collection[PackShape], taken: Collection[PackShape]) -> int:
    """The place of the unit that a device takes next: of a shape that it has compiled, or else that no other has.

    Args:
        units: to choose from, not none.
        own: shapes compiled for this device.
        taken: shapes compiled for any.
    """
    for fits in (lambda unit: unit.shape in own, lambda unit: unit.shape not in taken):
        place = next((i for i, unit in enumerate(units) if fits(unit)), None)
        if place is not None:
            return place
    return 0


def _units(packs: Sequence[PlannedPack], on: Device, at_most: float = math.inf) -> list[WorkUnit]:
    """The packs' jobs in units, the largest first; packs that take more than `at_most` seconds are dealt out evenly."""
    units = []
    for pack in packs:
        longest_first = sorted(pack.jobs, key=lambda item: (-item[1], item[0]))
        deals = min(len(pack.jobs), math.ceil(pack.training_time(on) / at_most)) if at_most < math.inf else 1
        for first in range(deals):
            jobs = tuple(longest_first[first::deals])
            units += _split(dataclasses.replace(pack, jobs=jobs), on)
    return sorted(units, key=lambda unit: (-unit.cost, unit.name))


def _split(pack: PlannedPack, on: Device) -> list[WorkUnit]:
    """The pack's jobs in their order, in units of some `on.unit_time` seconds."""
    units = []
    shape = pack.shape(on)
    of_a_step = on.step_time(shape)
    chunk = max(1, min(on.max_chunk, int(on.chunk_time / of_a_step)))
    part: list[tuple[Job, float]] = []

    def unit() -> WorkUnit:
        own = shape._replace(slots=min(shape.slots, len(part)))
        each = [steps for _, steps in part]
        cost = on.step_time(own) * max(max(each), sum(each) / own.slots)
        return WorkUnit(own, tuple(job for job, _ in part), chunk, cost)

    steps = 0.0
    for item in pack.jobs:
        if part and of_a_step * steps / shape.slots > on.unit_time and len(part) >= shape.slots:
            units.append(unit())
            part, steps = [], 0.0
        part.append(item)
        steps += item[1]
    return [*units, unit()]
