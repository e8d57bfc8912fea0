"""A run directory: its configuration, its table in parts, its networks, and packs in flight.

A commit writes networks, then the pack in flight, then renames the rows' Parquet file into place. That rename is the
commit: whatever was written before it without it is discarded by the next start, so rows, networks and packs in flight
always belong together, whenever the process is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import polars as pl

from lawjax import files
from lawjax.errors import UserError
from lawjax.network import TwoLayer
from lawjax.sweep import checkpoints
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.measure import BRACKETS
from lawjax.sweep.paths import RunPaths

SCHEMA_VERSION = 1
IDENTITY = ("n", "d", "k", "seed")
SCHEMA = pl.Schema(
    {
        **dict.fromkeys(IDENTITY, pl.Int64),
        "status": pl.String,
        "fitted": pl.Boolean,
        "steps": pl.Int64,
        "loss": pl.Float64,
        "loss_folded": pl.Float64,
        "proxy": pl.Float64,
        "linear_part": pl.Float64,
        "residual": pl.Float64,
        "ascent": pl.Float64,
        "spectral_product": pl.Float64,
        "path_product": pl.Float64,
        **dict.fromkeys(BRACKETS, pl.Float64),
        "seconds": pl.Float64,
        "data_model": pl.String,
        "epsilon": pl.Float64,
        "optimizer": pl.String,
        "learning_rate": pl.Float64,
        "optimizer_options": pl.String,
        "step_limit": pl.Int64,
        "batch_size": pl.Int64,
        "hidden_scale": pl.Float64,
        "readout_scale": pl.Float64,
        "batch_norm": pl.Boolean,
        "readout_bias": pl.Boolean,
        "activation": pl.String,
        "dtype": pl.String,
        "points": pl.Int64,
        "ascent_starts": pl.Int64,
        "ascent_steps": pl.Int64,
        "brackets": pl.Boolean,
        "device": pl.String,
    }
)

BRACKET_SCHEMA = pl.Schema({name: SCHEMA[name] for name in (*IDENTITY, *BRACKETS)})


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
            config: what the run is, compared with what the directory holds.
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
        with contextlib.ExitStack() as locks:
            with _locked(self.paths.lock, wait=True):  # one at a time looks which shards are taken, and takes its own
                for other in self.paths.shard_locks(but_of=shards):
                    with _locked(other):
                        pass
                locks.enter_context(_locked(self.paths.shard_lock(index, shards)))
            self._check_config(config, jobs)
            yield self

    def _check_config(self, config: Mapping[str, Any], jobs: int | None) -> None:
        config = json.loads(json.dumps(config))
        if self.paths.config.exists():
            stored = self.read_config()["configuration"]
            if stored != config:
                field, was, now = _first_difference(stored, config)
                raise UserError(
                    f"{self.paths.root} holds a run of another configuration ({field} is {was} there, {now} here); "
                    "choose another directory or the same configuration."
                )
            return
        record = {"schema": SCHEMA_VERSION, "configuration": config, "environment": environment()}
        if jobs is not None:
            record["jobs"] = jobs
        files.write_text(self.paths.config, json.dumps(record, indent=2) + "\n", overwrite=True)

    def read_config(self) -> dict[str, Any]:
        """The contents of config.json.

        Raises:
            UserError: there is none, it is unreadable, or it is of another schema.
        """
        try:
            record = json.loads(self.paths.config.read_text(encoding="utf-8"))
            version, _, _ = record["schema"], record["configuration"], record["environment"]
        except FileNotFoundError:
            raise UserError(f"{self.paths.root} is no run directory: it has no {self.paths.config.name}.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.paths.config} cannot be read as a run's configuration ({error}).") from None
        if version != SCHEMA_VERSION:
            raise UserError(f"{self.paths.config} has schema {version}, but this lawjax reads schema {SCHEMA_VERSION}.")
        return record

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
            rows: rows of the table, see `SCHEMA`.
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
            write_table(self.paths.part(part), pl.DataFrame(list(rows), schema=SCHEMA, orient="row"))
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"Could not write to {self.paths.root} ({reason.rstrip('.')}); what was stored before is kept: make "
                "room or mend the permissions there, then run the same command again."
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

    def table(self) -> pl.DataFrame:
        """All rows stored so far, sorted by (n, d, k, seed).

        Raises:
            UserError: a part is unreadable.
        """
        parts = [self._rows(name) for name in self.paths.part_names()]
        return pl.concat([pl.DataFrame(schema=SCHEMA), *parts]).sort(IDENTITY)

    def whole_table(self) -> pl.DataFrame:
        """The table that was written in one file for other programs.

        Raises:
            UserError: it cannot be read.
        """
        return _read(self.paths.table, None, "write it anew")

    def _rows(self, part: str) -> pl.DataFrame:
        rows = _read(self.paths.part(part), SCHEMA, "train its networks again")
        brackets = self.paths.part_brackets(part)
        if brackets.exists():
            rows = rows.update(_read(brackets, BRACKET_SCHEMA, "measure its networks again"), on=IDENTITY)
        return rows

    def unbracketed(self) -> dict[str, int]:
        """The parts with networks that have not been bracketed, and how many networks each stores."""
        found: dict[str, int] = {}
        for part in self.paths.part_names():
            if self.paths.part_networks(part).exists():
                names = set(self.network_names(part))
                rows = self._rows(part).filter(pl.col(BRACKETS[0]).is_null())
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

    def network_part(self, name: NetworkId) -> str | None:
        """The commit that holds a network, None if it is not stored.

        Raises:
            UserError: the part of the table or the checkpoint that should hold it cannot be read.
        """
        of_network = [pl.col(field) == number for field, number in zip(IDENTITY, name, strict=True)]
        for part in self.paths.part_names():
            if not self._rows(part).filter(*of_network).is_empty():
                path = self.paths.part_networks(part)
                return part if path.exists() and name in checkpoints.stored_networks(path) else None
        return None

    def network(self, name: NetworkId) -> TwoLayer:
        """A stored network.

        Raises:
            UserError: it is not stored, or its checkpoint cannot be read.
        """
        name = NetworkId(*name)
        part = self.network_part(name)
        if part is None:
            raise UserError(
                f"{self.paths.root} stores no network with n={name.n}, d={name.d}, k={name.k}, seed={name.seed}; "
                f"`lawjax inspect {self.paths.root}` lists those it has."
            )
        return checkpoints.load_network(self.paths.part_networks(part), name)


def _read(path: Path, schema: pl.Schema | None, remedy: str) -> pl.DataFrame:
    """A Parquet file; columns of the schema that an earlier lawjax did not have yet are null."""
    try:
        with path.open("rb") as file:  # Polars would take the name for a pattern or a URL
            return pl.read_parquet(file, schema=schema, missing_columns="insert")
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} cannot be read ({reason}); remove it to {remedy}.") from None


@contextlib.contextmanager
def _locked(path: Path, wait: bool = False) -> Iterator[None]:
    try:
        file = path.open("w")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}).") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"Another process is writing to {path.parent} ({path.name} is held); wait for it or stop it."
            ) from None
        except OSError as error:
            raise UserError(
                f"{path} cannot be locked ({error.strerror or error}); use a file system with locks."
            ) from None
        yield


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a Parquet file whole or not at all, in place of one that exists.

    Raises:
        UserError: it cannot be written.
    """
    content = io.BytesIO()  # not by its name: Polars would expand it
    table.write_parquet(content, compression="zstd")
    files.write(path, content.getvalue(), overwrite=True)


def _first_difference(stored: Any, asked: Any, field: str = "configuration") -> tuple[str, Any, Any]:
    if isinstance(stored, dict) and isinstance(asked, dict):
        for name in {**stored, **asked}:
            if stored.get(name) != asked.get(name):
                return _first_difference(stored.get(name), asked.get(name), name)
    return field, stored, asked


def environment() -> dict[str, Any]:
    """Versions, git commit, command line and device, for the record."""
    packages = ("lawjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "polars")
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
        "git_commit": _git_commit(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "device": device_name(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def device_name() -> str:
    """The kind and number of this process's JAX devices, such as "cpu x 1"."""
    devices = jax.local_devices()
    return f"{devices[0].device_kind} x {len(devices)}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    here = Path(__file__).parent
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
