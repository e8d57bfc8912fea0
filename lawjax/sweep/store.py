"""A run directory: its configuration, its table in parts, its networks, and packs in flight.

A commit writes networks, then the pack in flight, then renames the rows' Parquet file into place. That rename is the
commit: whatever was written before it without it is discarded by the next start, so rows, networks and packs in flight
always belong together, whenever the process is killed.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from lawjax import files
from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.sweep import checkpoints, locks, reasons, record, schema
from lawjax.sweep.environment import environment
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.measurements import BRACKETS
from lawjax.sweep.paths import RunPaths
from lawjax.sweep.schema import BRACKET_SCHEMA, CHOICES, IDENTITY

SCHEMA_VERSION = 1


class Store:
    """Writes and reads one run directory. Commits of different units may come from different threads."""

    def __init__(self, root: str | Path):
        self.paths = RunPaths(files.named(root))

    @contextlib.contextmanager
    def opened(
        self, config: Mapping[str, Any], shard: tuple[int, int] = (1, 1), jobs: int | None = None
    ) -> Iterator[Store]:
        """The directory, made if absent and held against a second writer of the same work.

        Args:
            config: what the run is, compared with what the directory holds; one that asks for all its networks and
                more takes its place.
            shard: (i, N). Different shards of one N may write at a time, shards of different N overlap.
            jobs: how many the configuration asks for, where its grid does not say it; kept for `lawjax inspect`.

        Raises:
            UserError: no such shard, it holds another configuration or something else, another process writes to it, or
                it cannot be written.
        """
        index, shards = shard
        if not 1 <= index <= shards:
            raise UserError(f"The shard must be i/N with 1 <= i <= N, not {index}/{shards}.")
        try:
            for folder in (self.paths.results, self.paths.networks, self.paths.in_flight, self.paths.figures):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.paths.root} cannot be used as a run directory ({error.strerror or error})."
            ) from None
        plain = json.loads(json.dumps(config))
        with locks.shard_held(self.paths, shard, lambda: self._settle_config(plain, jobs)):
            yield self

    def _settle_config(self, config: dict[str, Any], jobs: int | None) -> None:
        """Compare the configuration with the stored one, and store it where there is none or where it asks for more."""
        earlier = []
        if self.paths.config.exists():
            stored = self.read_config()
            if not record.goes_on(stored["configuration"], config):
                field, was, now = record.first_difference(stored["configuration"], config)
                raise UserError(
                    f"{self.paths.root} holds a run of another configuration ({field} is {was} there, {now} here); "
                    "choose another directory or the same configuration."
                )
            if not record.is_extended(stored["configuration"], config):
                return
            earlier = [*stored.get("earlier", []), {name: stored[name] for name in ("configuration", "environment")}]
        made = {"schema": SCHEMA_VERSION, "configuration": config, "environment": environment()}
        if jobs is not None:
            made["jobs"] = jobs
        if earlier:
            made["earlier"] = earlier
        files.write_text(self.paths.config, json.dumps(made, indent=2) + "\n", overwrite=True)

    def stages(self) -> list[dict[str, Any]]:
        """The configurations that the run had, each with all networks of the one before; the last is the present one.

        Raises:
            UserError: as `read_config`.
        """
        stored = self.read_config()
        return [stage["configuration"] for stage in (*stored.get("earlier", []), stored)]

    def read_config(self) -> dict[str, Any]:
        """The contents of config.json.

        Raises:
            UserError: there is none, it is unreadable, or it is of another schema.
        """
        try:
            stored = json.loads(self.paths.config.read_text(encoding="utf-8"))
            version, _, _ = stored["schema"], stored["configuration"], stored["environment"]
        except FileNotFoundError:
            raise UserError(f"{self.paths.root} is no run directory: it has no {self.paths.config.name}.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.paths.config} cannot be read as a run's configuration ({error}).") from None
        if version != SCHEMA_VERSION:
            raise UserError(f"{self.paths.config} has schema {version}, but this lawjax reads schema {SCHEMA_VERSION}.")
        return stored

    def commit(
        self,
        part: str,
        rows: Sequence[Mapping[str, Any]],
        networks: Mapping[NetworkId, TwoLayer],
        in_flight: Any = None,
        previous: str | None = None,
    ) -> None:
        """Store rows, their networks and the pack that goes on, all or nothing.

        Args:
            part: name of the commit.
            rows: rows of the table, see `schema`.
            networks: folded networks of these rows.
            in_flight: pytree of the unit's state if it goes on, None if it is done.
            previous: name of the unit's commit before, whose pack in flight this one replaces.

        Raises:
            UserError: it could not be written (a full disk); what was stored before is untouched.
        """
        try:
            if networks:
                checkpoints.save_networks(self.paths.part_networks(part), networks)
            if in_flight is not None:
                checkpoints.save_arrays(self.paths.snapshot(part), in_flight)
            write_table(self.paths.part(part), pl.DataFrame(list(rows), schema=self.schema, orient="row"))
        except Exception as error:
            raise UserError(
                f"Could not write to {self.paths.root} ({reasons.first_line(error)}); what was stored before is kept: "
                "make room or mend the permissions there, then run the same command again."
            ) from None
        if previous is not None:
            checkpoints.remove([self.paths.snapshot(previous)])

    def discard_uncommitted(self, unit_names: Sequence[str]) -> None:
        """Remove what a killed process left of commits it did not complete, for the units named."""
        parts = self.paths.part_names()
        last = {name.split("-")[0]: name for name in parts}
        kept = {self.paths.networks: set(parts), self.paths.in_flight: set(last.values())}
        for path in self.paths.checkpoints():
            name = path.name.split(".")[0].removeprefix("part-")
            if name.split("-")[0] in unit_names and name not in kept[path.parent]:
                checkpoints.remove([path])

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
        return pl.concat([pl.DataFrame(schema=columns), *parts]).sort(*IDENTITY, *CHOICES)

    def whole_table(self) -> pl.DataFrame:
        """The table that was written in one file for other programs.

        Raises:
            UserError: it cannot be read.
        """
        return _read(self.paths.table, None, "write it anew")

    def _rows(self, part: str, columns: pl.Schema) -> pl.DataFrame:
        rows = _read(self.paths.part(part), columns, "train its networks again")
        brackets = self.paths.part_brackets(part)
        if brackets.exists():
            rows = rows.update(_read(brackets, BRACKET_SCHEMA, "measure its networks again"), on=IDENTITY)
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
        return checkpoints.stored_networks(self.paths.part_networks(part))

    def networks(self, part: str) -> dict[NetworkId, TwoLayer]:
        """The networks of one commit.

        Raises:
            UserError: its checkpoint cannot be read.
        """
        return checkpoints.load_networks(self.paths.part_networks(part))

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
                found += [part] if name in checkpoints.stored_networks(path) else []
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
        return checkpoints.load_network(self.paths.part_networks(parts[0]), name)


def _read(path: Path, columns: pl.Schema | None, remedy: str) -> pl.DataFrame:
    """A Parquet file; columns of the schema that an earlier lawjax did not have yet are null."""
    try:
        with path.open("rb") as file:  # Polars would take the name for a pattern or a URL
            return pl.read_parquet(file, schema=columns, missing_columns="insert")
    except Exception as error:
        raise UserError(f"{path} cannot be read ({reasons.first_line(error)}); remove it to {remedy}.") from None


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a Parquet file whole or not at all, in place of one that exists.

    Raises:
        UserError: it cannot be written.
    """
    content = io.BytesIO()  # not by its name: Polars would expand it
    table.write_parquet(content, compression="zstd")
    files.write(path, content.getvalue(), overwrite=True)
