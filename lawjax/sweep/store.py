"""A run directory: its configuration, its table in parts, its networks, and packs in flight.

A commit writes networks, then the pack in flight, then the checksums of everything, then renames the rows' Parquet
file into place. That rename is the commit: whatever was written before it without it is discarded by the next start, so
rows, networks and packs in flight always belong together, whenever the process is killed.

Whatever is read is compared with its checksum (`lawjax.sweep.damage`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lawjax import checksums, files
from lawjax.checksums import DamagedError
from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.sweep import checkpoints, damage, reasons, record, schema
from lawjax.sweep.environment import environment
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.locks import locked
from lawjax.sweep.measurements import BRACKETS
from lawjax.sweep.paths import RunPaths
from lawjax.sweep.schema import BRACKET_SCHEMA, CHOICES, IDENTITY

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Commit:
    """What is stored of a work unit at a time, all or nothing.

    Attributes:
        part: its name.
        rows: of the table.
        networks: those of the rows that were trained to a network.
        in_flight: a pytree of the unit's state if it goes on, else None.
        previous: name of the unit's commit before, whose pack in flight this one replaces.
    """

    part: str
    rows: Sequence[Mapping[str, Any]]
    networks: Mapping[NetworkId, TwoLayer]
    in_flight: Any = None
    previous: str | None = None


class Store:
    """Writes and reads one run directory. Commits of different units may come from different threads."""

    def __init__(self, root: str | Path):
        self.paths = RunPaths(files.named(root))

    def open(self, config: Mapping[str, Any], **besides: Any) -> None:
        """Make the directory if it is absent, and its configuration, or compare that with the one it has.

        Args:
            config: what the run is; one that asks for all networks of the directory's and more takes its place.
            besides: what is kept of the first call with it: `jobs`, how many there are, where no grid says it;
                `planned_for`, the platform and the number of devices for which the work is cut.

        Raises:
            UserError: it holds another configuration or something else, or cannot be written.
        """
        try:
            for folder in (self.paths.results, self.paths.networks, self.paths.in_flight, self.paths.figures):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.paths.root} cannot be used as a run directory ({error.strerror or error})."
            ) from None
        with locked(self.paths.lock):  # of several processes that begin, one makes it
            self._settle_config(json.loads(json.dumps(config)), besides)

    def _settle_config(self, config: dict[str, Any], besides: Mapping[str, Any]) -> None:
        """Compare the configuration with the stored one, and store it where there is none or where it asks for more."""
        earlier = []
        made = {"schema": SCHEMA_VERSION, "configuration": config, "environment": environment(), **besides}
        if self.paths.config.exists():
            stored = self.read_config()
            if not record.goes_on(stored["configuration"], config):
                field, was, now = record.first_difference(stored["configuration"], config)
                raise UserError(
                    f"{self.paths.root} holds a run of another configuration ({field} is {was} there, {now} here); "
                    "choose another directory or the same configuration."
                )
            if not record.is_extended(stored["configuration"], config):
                self._write_config(stored)  # which mends a copy that is damaged or was lost
                return
            earlier = [*stored.get("earlier", []), {name: stored[name] for name in ("configuration", "environment")}]
            made |= {name: stored[name] for name in besides if name in stored}
        elif self.paths.part_names() or self.paths.rows():
            kept = f"copy {self.paths.config_copy.name} there" if self.paths.config_copy.exists() else "restore it"
            raise UserError(
                f"{self.paths.root} has results but no {self.paths.config.name}, so what they are of is not known; "
                f"{kept}, or choose another directory."
            )
        if earlier:
            made["earlier"] = earlier
        self._write_config(made)

    def _write_config(self, stored: Mapping[str, Any]) -> None:
        """Where the files do not hold it yet: first the copy, so that one of the two is always whole."""
        text = checksums.sealed(stored)
        for path in (self.paths.config_copy, self.paths.config):
            if not path.exists() or path.read_bytes() != text.encode():
                files.write_text(path, text, overwrite=True)

    def planned_for(self) -> tuple[str, int] | None:
        """The platform and the number of devices for which the work is cut; None for a run of an earlier lawjax.

        Raises:
            UserError: as `read_config`.
        """
        stored = self.read_config().get("planned_for")
        return stored and (str(stored["platform"]), int(stored["devices"]))

    def stages(self) -> list[dict[str, Any]]:
        """The configurations that the run had, each with all networks of the one before; the last is the present one.

        Raises:
            UserError: as `read_config`.
        """
        stored = self.read_config()
        return [stage["configuration"] for stage in (*stored.get("earlier", []), stored)]

    def read_config(self) -> dict[str, Any]:
        """The contents of config.json; of its copy, with a warning, where it is damaged.

        Raises:
            UserError: there is none, neither can be read, or it is of another schema.
        """
        try:
            stored = _config(self.paths.config, sealed=self.paths.config_copy.exists())
        except FileNotFoundError:
            raise UserError(f"{self.paths.root} is no run directory: it has no {self.paths.config.name}.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            try:
                stored = _config(self.paths.config_copy, sealed=True)
            except (OSError, ValueError, KeyError, TypeError):
                raise UserError(
                    f"{self.paths.config} cannot be read as a run's configuration ({reasons.first_line(error)})."
                ) from None
            damage.warn(f"{self.paths.config} is damaged ({reasons.first_line(error)}); its copy is read in its place")
        version = stored["schema"]
        if version != SCHEMA_VERSION:
            raise UserError(f"{self.paths.config} has schema {version}, but this lawjax reads schema {SCHEMA_VERSION}.")
        return stored

    def commit(self, commit: Commit) -> None:
        """Store rows, their networks and the pack that goes on, all or nothing.

        Raises:
            UserError: it could not be written (a full disk); what was stored before is untouched.
        """
        part, paths = commit.part, self.paths
        try:
            content = _parquet(pl.DataFrame(list(commit.rows), schema=self.schema, orient="row"))
            covered = [(paths.part(part), checksums.digest(content))]
            if commit.networks:
                checkpoints.save_networks(paths.part_networks(part), commit.networks)
                covered += checksums.of_folder(paths.part_networks(part))
            if commit.in_flight is not None:
                checkpoints.save_arrays(paths.snapshot(part), commit.in_flight)
                covered += checksums.of_folder(paths.snapshot(part))
            checksums.store(paths.checksums(part), paths.root, covered)
            files.write(paths.part(part), content)  # never in place of one that another process stored
        except Exception as error:
            raise UserError(
                f"Could not write to {paths.root} ({reasons.first_line(error)}); what was stored before is kept: "
                "make room or mend the permissions there, then run the same command again."
            ) from None
        if commit.previous is not None:
            checkpoints.remove([paths.snapshot(commit.previous)])

    def discard(self, unit: str, live: Collection[str]) -> None:
        """Remove what a killed process left of commits of a work unit that it did not complete, and stale packs.

        Args:
            unit: the unit's name, with which those of its rests begin.
            live: of these, the names of those whose packs in flight are of use.
        """
        parts = self.paths.part_names()
        last = {name.split("-")[0]: name for name in parts}
        in_flight = {name for of_unit, name in last.items() if of_unit in live}
        kept = {self.paths.networks: set(parts), self.paths.in_flight: in_flight}
        for path in self.paths.checkpoints():
            name = path.name.split(".")[0].removeprefix("part-")
            if name.startswith(unit) and name not in kept[path.parent]:
                checkpoints.remove([path])

    def discard_packs(self, units: Iterable[str]) -> None:
        """Remove packs in flight of work units that are done."""
        done = set(units)
        for path in self.paths.checkpoints():
            if path.parent == self.paths.in_flight and path.name.removeprefix("part-")[:12] in done:
                checkpoints.remove([path])

    def identities(self, part: str) -> list[NetworkId]:
        """The networks whose rows a commit stored.

        Raises:
            UserError: it cannot be read.
        """
        return [NetworkId(*row) for row in self._rows(part, self.schema).select(IDENTITY).iter_rows()]

    def in_flight(self, part: str, like: Any) -> Any:
        """The first leaves of the pack in flight that a commit stored, in the structure of `like`.

        Raises:
            UserError: it cannot be read, or its leaves differ from those of `like` in shape or dtype.
        """
        return checkpoints.load_arrays(self.paths.snapshot(part), like)

    def leaves_in_flight(self, part: str) -> dict[str, np.ndarray]:
        """All leaves of that pack, by name, to be sent elsewhere.

        Raises:
            UserError: it cannot be read.
        """
        return checkpoints.load_leaves(self.paths.snapshot(part))

    def is_in_flight(self, part: str) -> bool:
        """Whether a commit stored a pack in flight that is whole; one that is damaged is put aside, with a warning."""
        snapshot = self.paths.snapshot(part)
        if not snapshot.exists():
            return False
        try:
            damage.check(self.paths, part, snapshot)
        except DamagedError as error:
            damage.put_aside(self.paths, f"{error}: its networks are trained from their beginning", [snapshot])
            return False
        return True

    @property
    def schema(self) -> pl.Schema:
        """The columns of the run's table: ours, and those of the user's probes.

        Raises:
            UserError: as `read_config`, where there is a configuration.
        """
        probes = self.read_config()["configuration"].get("probe_columns", {}) if self.paths.config.exists() else {}
        return schema.with_probes(column for columns in probes.values() for column in columns)

    def table(self) -> pl.DataFrame:
        """All rows stored so far, sorted by (n, d, k, seed) and the settings.

        Raises:
            UserError: a part is unreadable.
        """
        columns = self.schema
        parts = [self._rows(name, columns) for name in self.paths.part_names()]
        rows = pl.concat([pl.DataFrame(schema=columns), *parts])
        # A process that was stopped for a while may have stored what another one made in its place.
        return rows.unique([*IDENTITY, *CHOICES], keep="first", maintain_order=True).sort(*IDENTITY, *CHOICES)

    def whole_table(self) -> pl.DataFrame:
        """The table that was written in one file for other programs.

        Raises:
            UserError: it cannot be read.
        """
        return _read(self.paths.table, None, "write it anew")

    def _rows(self, part: str, columns: pl.Schema) -> pl.DataFrame:
        brackets = self.paths.part_brackets(part)
        rows = _read(self._checked(part, self.paths.part(part)), columns, "train its networks again")
        if brackets.exists():
            measured = _read(brackets, BRACKET_SCHEMA, "measure its networks again")
            rows = rows.update(measured, on=IDENTITY)
        return rows

    def unbracketed(self) -> dict[str, int]:
        """The parts with networks that have not been bracketed, and how many networks each stores."""
        found: dict[str, int] = {}
        columns = self.schema
        for part in self.paths.part_names():
            if self.paths.part_networks(part).exists():
                names = set(self.network_names(part))
                rows = self._rows(part, columns).filter(pl.col(BRACKETS[0]).is_null())
                if any(NetworkId(*row) in names for row in rows.select(IDENTITY).iter_rows()):
                    found[part] = len(names)
        return found

    def network_names(self, part: str) -> list[NetworkId]:
        """The identities of the networks of one commit."""
        return checkpoints.stored_networks(self._checked_networks(part))

    def networks(self, part: str) -> dict[NetworkId, TwoLayer]:
        """The networks of one commit.

        Raises:
            UserError: its checkpoint cannot be read.
        """
        return checkpoints.load_networks(self._checked_networks(part))

    def add_brackets(self, part: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store the columns `BRACKETS` of networks of one commit; `table` has them from then on.

        Raises:
            UserError: they could not be written.
        """
        path = self.paths.part_brackets(part)
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror or error}).") from None
        write_table(path, pl.DataFrame(list(rows), schema=BRACKET_SCHEMA, orient="row"))

    def network_parts(self, name: NetworkId, **setting: Any) -> list[str]:
        """The commits that hold a network: one for each setting that it was trained in.

        Args:
            name: its identity.
            setting: values of `TrainingConfig`'s fields and of data_model, to find it in settings with these alone.

        Raises:
            UserError: a part of the table or a checkpoint that should hold it cannot be read; no such field.
        """
        wanted = {**NetworkId(*name)._asdict(), **schema.as_columns(setting)}
        columns = self.schema
        found = []
        for part in self.paths.part_names():
            path = self.paths.part_networks(part)
            of_network = [pl.col(field).eq_missing(value) for field, value in wanted.items()]
            if not self._rows(part, columns).filter(*of_network).is_empty() and path.exists():
                found += [part] if name in self.network_names(part) else []
        return found

    def network(self, name: NetworkId, **setting: Any) -> TwoLayer:
        """A stored network.

        Args:
            name: its identity.
            setting: values of `TrainingConfig`'s fields and of data_model, where it was trained in several settings.

        Raises:
            UserError: it is not stored, or in several settings; its checkpoint cannot be read.
        """
        name = NetworkId(*name)
        parts = self.network_parts(name, **setting)
        which = schema.in_words({**name._asdict(), **setting})
        if not parts:
            raise UserError(
                f"{self.paths.root} stores no network with {which}; "
                f"`lawjax inspect {self.paths.root}` lists those it has."
            )
        if len(parts) > 1:
            varied = schema.varied(self.table())
            raise UserError(
                f"{self.paths.root} stores {len(parts)} networks with {which}; choose one by its {' or '.join(varied)}."
            )
        return checkpoints.load_network(self._checked_networks(parts[0]), name)

    def _checked_networks(self, part: str) -> Path:
        """The folder of a commit's networks.

        Raises:
            UserError: it is damaged.
        """
        return self._checked(part, self.paths.part_networks(part))

    def _checked(self, part: str, path: Path) -> Path:
        """The same path, of a file or folder of a commit, once it was compared with its checksums."""
        try:
            damage.check(self.paths, part, path)
        except DamagedError as error:
            raise UserError(f"{error}; run the same command again to train its networks anew.") from None
        return path


def _config(path: Path, *, sealed: bool) -> dict[str, Any]:
    stored = checksums.unsealed(path.read_text(encoding="utf-8"), always=sealed)
    for name in ("schema", "configuration", "environment"):
        if name not in stored:
            raise KeyError(name)
    return stored


def _read(path: Path, columns: pl.Schema | None, remedy: str) -> pl.DataFrame:
    """A Parquet file; columns of the schema that an earlier lawjax did not have yet are null."""
    try:
        content = io.BytesIO(damage.read(path))  # Polars would take its name for a pattern or a URL
        return pl.read_parquet(content, schema=columns, missing_columns="insert")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # of Polars some are no Exception
        raise UserError(f"{path} cannot be read ({reasons.first_line(error)}); remove it to {remedy}.") from None


def _parquet(table: pl.DataFrame) -> bytes:
    content = io.BytesIO()  # not by its name: Polars would expand it
    table.write_parquet(content, compression="zstd")
    return content.getvalue()


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a Parquet file of a run directory, and its checksum, whole or not at all, in place of one that exists.

    Raises:
        UserError: it cannot be written.
    """
    checksums.replace(path, _parquet(table))
