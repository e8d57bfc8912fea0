"""The options that all experiments share."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from lawjax.errors import UserError

Config = TypeVar("Config")


@dataclass(frozen=True)
class ExperimentOptions(Generic[Config]):
    """What to run, where, and how much of it.

    Attributes:
        out: run directory; an interrupted run continues there.
        sweep: every field of the configuration.
        preset: sizes: seconds, minutes, or the paper's own.
        stage: run and draw, or one of the two.
        executor: what does the work: threads on this machine's devices, tasks on a Ray cluster (sweeps only), or jobs
            of SLURM that share the run directory.
        cluster: how, as NAME=VALUE: for ray address, num_cpus, num_gpus, retries; for slurm shards, and whatever
            submitit takes, such as timeout_min, gpus_per_node, slurm_partition.
        log_json: whether progress is a line of JSON a minute; otherwise it is a bar, or lines without a terminal.
        plan: print what the run would take, on this machine (`here`) or on others (`h100:8`, `v5e:16`), and do nothing.
        shard: i/N begins with the i-th of N parts of the work, for job arrays that share the directory.
    """

    out: Path
    sweep: Config
    preset: Literal["smoke", "laptop", "paper"] = "laptop"
    stage: Literal["all", "run", "plot"] = "all"
    executor: Literal["threads", "ray", "slurm"] = "threads"
    cluster: tuple[str, ...] = ()
    log_json: bool = False
    plan: str | None = None
    shard: str = "1/1"


def parse_shard(text: str) -> tuple[int, int]:
    """(i, N) of the text "i/N".

    Raises:
        UserError: the text has another form.
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)  # int() and \d would also take digits of other scripts
    if match is None:
        raise UserError(f"The shard must be i/N, such as 1/4, not {text!r}.")
    return int(match[1]), int(match[2])


def check_shard(shard: tuple[int, int]) -> None:
    """Refuse numbers of which none is the i-th of N.

    Raises:
        UserError: it is so.
    """
    index, shards = shard
    if not 1 <= index <= shards:
        raise UserError(f"The shard must be i/N with 1 <= i <= N, not {index}/{shards}.")


def parse_values(texts: Sequence[str]) -> dict[str, Any]:
    """Texts such as "num_gpus=1" by name: numbers where they are numbers.

    Raises:
        UserError: one has another form.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name.isidentifier() and sign):
            raise UserError(f"--cluster takes NAME=VALUE, such as num_gpus=1, not {text!r}.")
        found[name] = value
        for number in (float, int):
            with contextlib.suppress(ValueError):
                found[name] = number(value)
    return found
