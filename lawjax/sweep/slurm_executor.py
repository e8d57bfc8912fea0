"""A run as an array of SLURM jobs that share its directory; the only place that imports submitit.

Each job does as the command itself would with `--shard i/N`: it takes pieces of work by lease until nothing is left. A
job that is preempted or comes to its time limit is submitted again, by submitit, and goes on from what was stored.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lawjax import arguments
from lawjax.errors import Stopped, UserError

_POLL = 2.0  # seconds between looks at the jobs
_RAISED = re.compile(r"[\w.]+(Error|Exception|Interrupt|Exit)\b.*")  # the last line of a traceback


@dataclass(frozen=True)
class Slurm:
    """How jobs are submitted.

    Attributes:
        shards: number of jobs.
        cluster: "slurm"; or "local", which stands for it in trials: processes of this machine.
        parameters: of `submitit.AutoExecutor.update_parameters`, such as timeout_min, gpus_per_node, slurm_partition.
    """

    shards: int = 4
    cluster: str = "slurm"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the number of jobs."""
        arguments.whole("shards", self.shards)


class Shard:
    """One job: a callable that submitit stores, and submits again where it is preempted."""

    def __init__(self, run: Callable[..., Any], config: Any, out: Path, shard: tuple[int, int]):
        self._arguments = run, config, out, shard

    def __call__(self) -> None:
        """Do the work."""
        run, config, out, shard = self._arguments
        run(config, out, shard)

    def checkpoint(self) -> Any:
        """What is submitted again; all that counts is in the run directory."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def run_on_slurm(run: Callable[..., Any], config: Any, out: str | Path, slurm: Slurm) -> None:
    """Submit the shards of a run, and wait until all have ended.

    Args:
        run: a function (config, out, shard), such as `lawjax.sweep.run`.
        config: what to do.
        out: run directory, on a file system that the nodes share; the jobs' logs go to `slurm` in it.
        slurm: how.

    Raises:
        UserError: submitit is not installed, there is no SLURM here, or a job failed.
        Stopped: Ctrl-C; the jobs go on.
    """
    try:
        import submitit
    except ImportError:
        raise UserError("submitit is not installed; install it with: pip install 'lawjax[slurm]'.") from None
    folder = Path(out).absolute() / "slurm"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        executor = submitit.AutoExecutor(folder=folder, cluster=slurm.cluster)
        executor.update_parameters(**slurm.parameters)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror or error}).") from None
    except (RuntimeError, NameError, TypeError, ValueError, AssertionError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(f"Jobs cannot be submitted to {slurm.cluster} ({first.rstrip('.')}).") from None
    shards = [Shard(run, config, Path(out).absolute(), (i, slurm.shards)) for i in range(1, slurm.shards + 1)]
    with executor.batch():  # one array of jobs
        jobs = [executor.submit(shard) for shard in shards]
    try:
        while not all(job.done() for job in jobs):
            time.sleep(_POLL)
    except KeyboardInterrupt:
        raise Stopped from None
    failed = [(job.job_id, failure) for job in jobs if (failure := job.exception()) is not None]
    if failed:
        job_id, first_failure = failed[0]
        lines = [line.strip() for line in str(first_failure).splitlines()]
        raised = [line for line in lines if _RAISED.match(line)] or lines[:1]
        raise UserError(
            f"{len(failed)} of {len(jobs)} jobs failed, the first one, {job_id}, with {raised[-1].rstrip('.')}; their "
            f"logs are in {folder}."
        )
