"""What a sweep will take: shapes to compile, units, memory and time, predicted before anything runs.

Times follow from assumptions about the device (`lawjax.sweep.devices`) and a rule of thumb for the steps until a
network fits; a prediction is a guess within a factor, the shapes and the memory are what will be.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

from lawjax.errors import UserError
from lawjax.sweep.config import SweepConfig
from lawjax.sweep.devices import Device, pack_bytes
from lawjax.sweep.plan import makespan, plan
from lawjax.sweep.work import WorkUnit
from lawjax.train.slots import PackShape

_LISTED = 12  # shapes, the dearest ones


class Forecast(NamedTuple):
    """A plan's cost.

    Attributes:
        networks: to train.
        units: of work, in all settings.
        on: what is assumed of a device.
        devices: how many there are.
        training: seconds of training of all units, one after the other.
        makespan: seconds until all devices are done, with the compilation of what each comes to.
    """

    networks: int
    units: list[WorkUnit]
    on: Device
    devices: int
    training: float
    makespan: float

    @property
    def shapes(self) -> dict[PackShape, list[WorkUnit]]:
        """The shapes to compile, with their units, the dearest first."""
        found: dict[PackShape, list[WorkUnit]] = defaultdict(list)
        for unit in self.units:
            found[unit.shape].append(unit)
        return dict(sorted(found.items(), key=lambda item: -sum(unit.cost for unit in item[1])))

    @property
    def compilation(self) -> float:
        """Seconds to compile every shape once."""
        return self.on.compile_time * len(self.shapes)

    def __str__(self) -> str:
        """In words and a table."""
        largest = max(self.units, key=lambda unit: pack_bytes(unit.shape))
        share = self.training / self.devices + self.on.compile_time
        lines = [
            f"{self.networks} networks in {len(self.units)} units of {len(self.shapes)} shapes",
            f"device         {self.on.name} x {self.devices}, {self.on.rate:.2g} operations a second each (assumed)",
            f"training       {_time(self.training)} on one device, {_time(self.training / self.devices)} on each of "
            f"{self.devices} if it were shared evenly",
            f"compilation    {_time(self.compilation)} for every shape once",
            f"done after     {_time(self.makespan)}, {self.makespan / share:.2f} of an even share and one compilation",
            f"memory         {_bytes(pack_bytes(largest.shape))} for the largest pack, of {_bytes(self.on.memory)}"
            + self._divided(pack_bytes(largest.shape)),
            "",
            f"{'slots':>6} {'n':>7} {'d':>6} {'neurons':>8} {'networks':>8} {'units':>6} {'jobs':>7} {'memory':>9} "
            f"{'training':>9}",
        ]
        for shape, units in list(self.shapes.items())[:_LISTED]:
            slots, n, d, neurons, networks = shape
            jobs = sum(len(unit.jobs) for unit in units)
            seconds = sum(unit.cost for unit in units)
            lines.append(
                f"{slots:6} {n:7} {d:6} {neurons:8} {networks:8} {len(units):6} {jobs:7} "
                f"{_bytes(pack_bytes(shape)):>9} {_time(seconds):>9}"
            )
        if len(self.shapes) > _LISTED:
            lines.append(f"... and {len(self.shapes) - _LISTED} more shapes")
        return "\n".join(lines)

    def _divided(self, takes: float) -> str:
        """What becomes of a pack that a device cannot hold."""
        needed = math.ceil(takes / self.on.memory)
        if needed == 1:
            return ""
        enough = "" if needed <= self.devices else ": too few here, and refused"
        return f"; its neurons are divided among at least {needed} devices of one process{enough}"


def forecast(config: SweepConfig, on: Device, devices: int = 1) -> Forecast:
    """What a sweep will take on a number of devices.

    Args:
        config: of the sweep.
        on: what is assumed of a device.
        devices: how many there are.

    Raises:
        UserError: the grid asks for no network.
    """
    configs = config.configurations()
    networks = config.grid.networks()
    if not networks:
        raise UserError("The grid asks for no network: every d or k is above every n; ask for smaller d and k.")
    units = [unit for one in configs for unit in plan(networks, one.training, on, devices)]
    units.sort(key=lambda unit: (-unit.cost, unit.name))
    training = sum(unit.cost for unit in units)
    return Forecast(len(networks) * len(configs), units, on, devices, training, makespan(units, on, devices))


def _time(seconds: float) -> str:
    for size, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.1f} s"


def _bytes(number: float) -> str:
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= size:
            return f"{number / size:.1f} {name}"
    return f"{number:.0f} B"
