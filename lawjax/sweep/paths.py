"""The one module that knows what the files of a run directory are called."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lawjax.errors import UserError


class RunPaths(NamedTuple):
    """File names of a run directory.

    Attributes:
        root: the run directory.
    """

    root: Path

    @property
    def config(self) -> Path:
        """Resolved configuration, with versions, commit, command line and device."""
        return self.root / "config.json"

    @property
    def config_copy(self) -> Path:
        """The same once more, for the day when it is damaged."""
        return self.root / "config.copy.json"

    @property
    def damaged(self) -> Path:
        """Folder of what was found damaged, and made anew."""
        return self.root / "damaged"

    @property
    def table(self) -> Path:
        """The whole table in one file, for other programs."""
        return self.root / "table.parquet"

    @property
    def summary(self) -> Path:
        """Counts and fits in words and Markdown tables."""
        return self.root / "summary.md"

    @property
    def results(self) -> Path:
        """Folder of the table's parts."""
        return self.root / "results"

    @property
    def networks(self) -> Path:
        """Folder of Orbax checkpoints, one for each part of the table."""
        return self.root / "networks"

    @property
    def brackets(self) -> Path:
        """Folder of brackets measured after the networks were stored."""
        return self.root / "brackets"

    @property
    def in_flight(self) -> Path:
        """Folder of Orbax checkpoints of packs in training."""
        return self.root / "in_flight"

    @property
    def figures(self) -> Path:
        """Folder of figures."""
        return self.root / "figures"

    @property
    def lock(self) -> Path:
        """Held for the moments in which a process looks at the configuration, or takes a lease."""
        return self.root / "lock"

    @property
    def leases(self) -> Path:
        """Folder of the leases on what is being done."""
        return self.root / "leases"

    def lease(self, name: str) -> Path:
        """The lease on a piece of work."""
        return self.leases / f"lease-{name}"

    def holder(self, name: str) -> Path:
        """The sign of life of a process that holds leases."""
        return self.leases / f"holder-{name}"

    def part(self, name: str) -> Path:
        """The rows of one commit."""
        return self.results / f"part-{name}.parquet"

    def checksums(self, name: str) -> Path:
        """Checksums of all that one commit stored."""
        return self.results / f"part-{name}.sha256"

    def part_networks(self, name: str) -> Path:
        """The networks of one commit."""
        return self.networks / f"part-{name}"

    def part_brackets(self, name: str) -> Path:
        """Brackets of the networks of one commit, where they were measured later."""
        return self.brackets / f"part-{name}.parquet"

    def bracketed(self) -> list[Path]:
        """The brackets measured later, so far."""
        return _listed(self.brackets, "part-", ".parquet")

    def row(self, name: str) -> Path:
        """The row of one job."""
        return self.results / f"row-{name}.json"

    def rows(self) -> list[Path]:
        """The rows of all jobs done so far."""
        return _listed(self.results, "row-", ".json")

    def snapshot(self, name: str) -> Path:
        """The pack in training as of one commit."""
        return self.in_flight / f"part-{name}"

    def part_names(self) -> list[str]:
        """Names of the commits made so far."""
        return [path.stem.removeprefix("part-") for path in _listed(self.results, "part-", ".parquet")]

    def checkpoints(self) -> list[Path]:
        """Everything of networks and packs in flight, whether a commit completed it or not."""
        return [*_listed(self.networks, "part-"), *_listed(self.in_flight, "part-")]


def _listed(folder: Path, start: str, end: str = "") -> list[Path]:
    """What a folder holds by the beginning and end of its names, sorted; nothing where there is no folder.

    Not by a pattern: the search for one passes over folders that cannot be read, and rows would seem to be missing.

    Raises:
        UserError: it cannot be read.
    """
    try:
        found = list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror or error}).") from None
    return sorted(path for path in found if path.name.startswith(start) and path.name.endswith(end))
