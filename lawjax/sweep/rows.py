"""The rows of a sweep's table."""

from __future__ import annotations

import dataclasses
from typing import Any

from lawjax.data import Dataset
from lawjax.sweep.config import SweepConfig
from lawjax.sweep.environment import device_name
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.measurements import measure, unmeasured
from lawjax.sweep.probes import Probes
from lawjax.sweep.schema import Outcome
from lawjax.train.training import Memorized


def row(
    name: NetworkId, result: Memorized, seconds: float, dataset: Dataset, config: SweepConfig, probes: Probes
) -> dict[str, Any]:
    """The row of a network: how its training ended, what is measured, and how both were done.

    Args:
        name: its identity.
        result: the folded network and how it ended.
        seconds: of training.
        dataset: that it was trained on.
        config: of its setting alone.
        probes: the user's.

    Raises:
        UserError: a probe of the user's fails.
    """
    network = result.network
    ours = unmeasured() if network is None else measure(network, name, config.probes)
    own = probes.unmeasured() if network is None else probes.measure(network, dataset)
    return {
        **name._asdict(),
        **dataclasses.asdict(Outcome.of(result)),
        **ours,
        "seconds": seconds,
        **config.choices(),
        **dataclasses.asdict(config.probes),
        "device": device_name(),
        **own,
    }
