"""What a plan is made of: jobs, and the work units that are handed to a device."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from lawjax.sweep.grid import NetworkId
from lawjax.train.slots import PackShape


class Job(NamedTuple):
    """The data set (n, d, seed) with the networks trained on it side by side in one slot, given by their widths."""

    n: int
    d: int
    seed: int
    widths: tuple[int, ...]

    def networks(self) -> list[NetworkId]:
        """The identities, in the order of the widths."""
        return [NetworkId(self.n, self.d, k, self.seed) for k in self.widths]


class WorkUnit(NamedTuple):
    """What the plan hands to one worker of a device: jobs that pass through the slots of one pack, in order.

    Attributes:
        shape: of the pack.
        jobs: first come, first placed; a slot whose networks have ended takes the next.
        chunk: training steps between looks of the host.
        cost: predicted seconds without compilation, for the order of work and the time left.
        setting: number of the setting in which they are trained, where a run has several.
        rest_of: the name of the unit that this one is the rest of, where that one's pack in flight was lost.
    """

    shape: PackShape
    jobs: tuple[Job, ...]
    chunk: int
    cost: float
    setting: int = 0
    rest_of: str = ""

    @property
    def name(self) -> str:
        """A name that two work units share only if they are the same work in the same order; a rest has its whole's."""
        work = tuple(self.shape), tuple(tuple(job) for job in self.jobs), self.chunk
        text = repr((*work, self.setting) if self.setting else work)
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self.rest_of}_{name}" if self.rest_of else name

    def networks(self) -> list[NetworkId]:
        """All identities of the work unit."""
        return [network for job in self.jobs for network in job.networks()]
