"""How a sweep's networks are packed for a device: few shapes to compile, yet tight enough to waste little arithmetic.

A compiled shape costs about a second on a CPU and several on a GPU; arithmetic is dear on the one and nearly free on
the other. The plan minimises predicted compile time plus predicted training time, so it comes out tight on a CPU and
coarse on a GPU. It decides speed alone: a network is the same network in any plan, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable

from lawjax.sweep.devices import Device
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.packing import merge, packs_of
from lawjax.sweep.work import Job, WorkUnit
from lawjax.train.config import TrainingConfig


def plan(networks: Iterable[NetworkId], config: TrainingConfig, on: Device) -> list[WorkUnit]:
    """Work units that together train every network once, the largest first.

    Args:
        networks: what to train.
        config: how to train it.
        on: the device; `on.unit_time` splits the jobs of a shape.
    """
    units = []
    for pack in merge(packs_of(set(networks), config, on), on):
        shape = pack.shape(on)
        of_a_step = on.step_time(shape)
        chunk = max(1, min(on.max_chunk, int(on.chunk_time / of_a_step)))
        longest_first = sorted(pack.jobs, key=lambda item: (-item[1], item[0]))
        part: list[Job] = []
        cost = 0.0
        for job, steps in longest_first:
            if part and cost > on.unit_time and len(part) >= shape.slots:
                units.append(WorkUnit(shape, tuple(part), chunk, cost))
                part, cost = [], 0.0
            part.append(job)
            cost += steps * of_a_step / shape.slots
        units.append(WorkUnit(shape._replace(slots=min(shape.slots, len(part))), tuple(part), chunk, cost))
    return sorted(units, key=lambda unit: (-unit.cost, unit.name))
