"""The work units of a run, over its settings and stages.

There is one plan for each setting, since a pack is compiled for one way of training; and where a run was extended, one
for each stage, so that what was planned before stays as it was, with what it had in training.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from lawjax.sweep import record, schema
from lawjax.sweep.config import SweepConfig
from lawjax.sweep.devices import Device
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.plan import plan
from lawjax.sweep.record import Record
from lawjax.sweep.schema import CHOICES, IDENTITY, Setting
from lawjax.sweep.work import WorkUnit

InSetting = tuple[int, NetworkId]  # a network and the number of the setting in which it is trained


@dataclass(frozen=True)
class StagedPlan:
    """All work of a run.

    Attributes:
        configs: for each setting a configuration, in the order in which the run came to them.
        units: work units in order; `unit.setting` is the number of its configuration.
        on: what is assumed of the device.
    """

    configs: Sequence[SweepConfig]
    units: Sequence[WorkUnit]
    on: Device

    def stored(self, table: pl.DataFrame) -> set[InSetting]:
        """The networks of a run's table."""
        numbers = {schema.setting(config.choices()): number for number, config in enumerate(self.configs)}
        found = set()
        for of_setting in table.partition_by(CHOICES):
            number = numbers[schema.setting(of_setting.select(CHOICES).row(0, named=True))]
            found |= {(number, NetworkId(*row)) for row in of_setting.select(IDENTITY).iter_rows()}
        return found

    def left(
        self, units: Sequence[WorkUnit], done: set[InSetting], is_in_flight: Callable[[WorkUnit], bool]
    ) -> Iterator[WorkUnit]:
        """The units with work left; one whose pack in flight is lost is planned anew from the networks it lacks.

        Args:
            units: some of these.
            done: networks that are stored.
            is_in_flight: whether a unit's pack in flight is stored.
        """
        for unit in units:
            missing = [network for network in unit.networks() if (unit.setting, network) not in done]
            if not missing:
                continue
            if len(missing) == len(unit.networks()) or is_in_flight(unit):
                yield unit
            else:
                of = unit.rest_of or unit.name
                for rest in _planned(missing, self.configs[unit.setting], unit.setting, self.on):
                    yield rest._replace(rest_of=of)


def _planned(
    networks: Sequence[NetworkId], config: SweepConfig, setting: int, on: Device, devices: int = 1
) -> list[WorkUnit]:
    """The plan of one setting, known by its number."""
    return [unit._replace(setting=setting) for unit in plan(networks, config.training, on, devices)]


def staged(config: SweepConfig, stages: Sequence[Record], on: Device, devices: int = 1) -> StagedPlan:
    """The work of a run in the order of its stages, in each the largest units first.

    Args:
        config: of the run as it is now.
        stages: the configurations that it had, see `Store.stages`; the last asks for what `config` does.
        on: what is assumed of a device.
        devices: how many there are.
    """
    config_of = {schema.setting(one.choices()): one for one in config.configurations()}
    numbers: dict[Setting, int] = {}
    seen: dict[Setting, set[NetworkId]] = defaultdict(set)
    units: list[WorkUnit] = []
    for stage in stages:
        of_stage: list[WorkUnit] = []
        for setting in record.settings(stage):
            number = numbers.setdefault(setting, len(numbers))
            new = [network for network in record.networks(stage) if network not in seen[setting]]
            seen[setting] |= set(new)
            of_stage += _planned(new, config_of[setting], number, on, devices)
        units += sorted(of_stage, key=lambda unit: (-unit.cost, unit.name))
    return StagedPlan([config_of[setting] for setting in numbers], units, on)
