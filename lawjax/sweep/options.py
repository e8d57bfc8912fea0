"""The options that all experiments share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

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
        shard: i/N does the i-th of N parts of the work, for job arrays that share the directory.
    """

    out: Path
    sweep: Config
    preset: Literal["smoke", "laptop", "paper"] = "laptop"
    stage: Literal["all", "run", "plot"] = "all"
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
