"""Command lines: `lawjax inspect`, `export`, `bracket`, ... and the options of the scripts in `experiments/`.

Mistakes print one sentence and exit with status 2; Ctrl-C exits with 130, having stored what was in training.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import tyro

from lawjax import files
from lawjax.errors import Stopped, UserError

if TYPE_CHECKING:
    from lawjax.lipschitz import Certificate
    from lawjax.network import TwoLayer


def guarded(command: Callable[[], Any]) -> None:
    """Run a command; a `UserError` becomes one sentence on standard error and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # what a terminal cannot show is spelt out, and stops nothing
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        command()
    except UserError as error:
        _fail(str(error), error.status)
    except OSError as error:
        _fail(f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}.", 2)
    except Stopped:
        _fail("Stopped; run the same command again to go on from here.", 130)
    except KeyboardInterrupt:
        _fail("Stopped; what was not written yet is lost.", 130)
    except ValueError as error:
        if "for environment 'JAX_" not in str(error):  # JAX's words, when it is imported
            raise
        _fail(f"JAX does not start: {error}; correct it, or unset it.", 2)
    except Exception as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):  # JAX's word for it
            raise
        _fail("This takes more memory than there is; ask for less.", 2)


def check_device() -> None:
    """Refuse, before any work, to compute where JAX has no device for it."""
    import jax

    try:
        jax.local_devices()
    except Exception as error:  # a RuntimeError, or an AssertionError of a plugin that is not there
        asked = os.environ.get("JAX_PLATFORMS")
        if asked:
            raise UserError(f"JAX has no device here for JAX_PLATFORMS={asked}; unset it, or ask for cpu.") from None
        raise UserError(f"JAX has no device to compute on ({' '.join(str(error).split())}).") from None


def check_drawing() -> None:
    """Refuse, before any work, figures that could not be drawn after it."""
    try:
        import matplotlib  # noqa: F401
    except ValueError:
        backend = os.environ.get("MPLBACKEND")
        raise UserError(f"Matplotlib has no backend {backend!r}; unset MPLBACKEND: figures go to files.") from None


def _check_counts(**counts: int | None) -> None:
    """Refuse numbers of which no computer makes so many networks, neurons or steps."""
    for name, count in counts.items():
        if count is not None and count >= 2**31:
            raise UserError(f"--{name} must be below {2**31}, not {count}.")


def _fail(message: str, status: int) -> NoReturn:
    program = Path(sys.argv[0]).name.replace("__main__.py", "lawjax")  # python -m lawjax
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(status)


@dataclass(frozen=True)
class Inspect:
    """Print what a run directory holds.

    Attributes:
        dir: the run directory.
        n: with d, k and seed, show this network alone.
        d: see n.
        k: see n.
        seed: see n.
        rows: how many networks to list.
    """

    dir: tyro.conf.Positional[Path]
    n: int | None = None
    d: int | None = None
    k: int | None = None
    seed: int | None = None
    rows: int = 40

    def __call__(self) -> None:
        """Print it."""
        from lawjax.sweep import inspect
        from lawjax.sweep.grid import NetworkId

        identity = [number for number in (self.n, self.d, self.k, self.seed) if number is not None]
        if len(identity) == 4:
            check_device()
            print(inspect.describe_network(self.dir, NetworkId(*identity)))
        elif identity:
            raise UserError("Give all of --n, --d, --k and --seed to see one network, or none of them.")
        elif self.rows < 1:
            raise UserError(f"--rows must be at least 1, not {self.rows}.")
        else:
            with _plain_tables():
                print(inspect.describe_run(self.dir, self.rows))


@contextlib.contextmanager
def _plain_tables() -> Iterator[None]:
    """Tables without box-drawing characters where the terminal has none."""
    import polars as pl

    try:
        "│┌╞".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        with pl.Config(tbl_formatting="ASCII_FULL_CONDENSED"):
            yield
        return
    yield


@dataclass(frozen=True)
class Export:
    """Write one stored network to an .npz file with arrays W, b, a, c and its activation.

    Attributes:
        dir: the run directory.
        file: where to write; an existing file is left alone.
        n: number of points.
        d: dimension.
        k: number of neurons.
        seed: seed of the network.
    """

    dir: tyro.conf.Positional[Path]
    file: tyro.conf.Positional[Path]
    n: int
    d: int
    k: int
    seed: int

    def __call__(self) -> None:
        """Write it."""
        from lawjax.sweep.grid import NetworkId
        from lawjax.sweep.store import Store

        files.check_new(self.file, inputs=[self.dir])
        check_device()
        store = Store(self.dir)
        store.read_config()
        network = store.network(NetworkId(self.n, self.d, self.k, self.seed))
        network.save(self.file, overwrite=False)
        print(f"{self.file}: {network!r}")


@dataclass(frozen=True)
class Bracket:
    """Bound Lipschitz constants from both sides: one network's, or those of all networks that a run stored.

    Attributes:
        file: an .npz file with W (k, d), a (k,) and, if you like, b, c and activation; or a run directory, whose
            table gets columns for R^d and the unit sphere. Stopped, it goes on where it was.
        domain: where: space (R^d), ball or sphere (around 0).
        radius: of the ball or sphere.
        tangential: on the sphere, count only the gradient's part along it.
        json: print a JSON object, with the witness and what proves the upper bound: null where nothing checks it apart.
        certificate: where to write what proves the upper bound, for `lawjax check`; an existing file is left alone.
    """

    file: tyro.conf.Positional[Path]
    domain: Literal["space", "ball", "sphere"] = "space"
    radius: float = 1.0
    tangential: bool = False
    json: bool = False
    certificate: Path | None = None

    def __call__(self) -> None:
        """Print it."""
        check_device()
        if self.file.is_dir():
            self._of_run()
        else:
            self._of_file()

    def _of_run(self) -> None:
        from lawjax.sweep.brackets import bracket_run, summary

        if self != Bracket(self.file):
            raise UserError(
                f"{self.file} is a run directory, bracketed on R^d and the unit sphere without further options; "
                "export a network to choose a domain or to get its certificate."
            )
        print(summary(bracket_run(self.file)))

    def _of_file(self) -> None:
        import json

        from lawjax.domains import named
        from lawjax.lipschitz import bracket
        from lawjax.network import TwoLayer

        if self.certificate is not None:
            files.check_new(self.certificate, inputs=[self.file])
        network = TwoLayer.load(self.file)
        if network.W.ndim > 2:
            raise UserError(f"{self.file} holds a stack of networks; save one network a file.")
        found = bracket(network, named(self.domain, self.radius, self.tangential))
        try:
            if self.certificate is not None:
                files.write_text(self.certificate, json.dumps(found.certificate.record(network)) + "\n")
        finally:  # what was computed is said, also where it cannot be written
            self._say(network, found)

    def _say(self, network: TwoLayer, found: Any) -> None:
        import json

        from lawjax.domains import in_words

        if self.json:
            record = {
                "lower": found.lower,
                "upper": found.upper if math.isfinite(found.upper) else None,
                "witness": found.witness.tolist(),
                "certificate": _record(found.certificate, network),
                **in_words(found.certificate.domain),
            }
            print(json.dumps(record))
        else:
            part = "gradient along the sphere" if self.tangential else "Lipschitz constant"
            where = found.certificate.domain
            print(f"{network!r}\n{part} on {where}: between {found.lower:.9g} (a point) and {found.upper:.9g} (proved)")


def _record(certificate: Certificate, network: TwoLayer) -> dict[str, Any] | None:
    """What proves the upper bound; None where that cannot be checked apart."""
    try:
        return certificate.record(network)
    except UserError:
        return None


@dataclass(frozen=True)
class Check:
    """Check certificates with NumPy alone; exits with 1 where one proves nothing.

    Attributes:
        file: the network, an .npz file; or a folder that holds, in folders too, networks NAME.npz, each with its
            certificate NAME.json or in itself.
        certificate: what `lawjax bracket --certificate` wrote; none for a folder, or a network that holds its own.
    """

    file: tyro.conf.Positional[Path]
    certificate: tyro.conf.Positional[Path | None] = None

    def __call__(self) -> None:
        """Say what is valid, and why."""
        from lawjax.check import check, holds_certificate

        if self.file.is_dir():
            self._of_folder()
            return
        if self.certificate is None and not holds_certificate(self.file):
            raise UserError("Name the certificate's file after the network's, or a folder with pairs of both.")
        valid, why = check(self.file, self.certificate)
        print(why)
        if not valid:
            sys.exit(1)

    def _of_folder(self) -> None:
        from tqdm import tqdm

        from lawjax.check import check, holds_certificate

        if self.certificate is not None:
            raise UserError(f"{self.file} is a folder: its certificates are looked for there, so name none.")
        networks = files.below(self.file, ".npz")
        if not networks:
            raise UserError(f"{self.file} has no networks NAME.npz to check.")
        failed = 0
        for network in tqdm(networks, unit=" certificates", disable=None):
            certificate = network.with_suffix(".json")
            if certificate.exists():
                valid, why = check(network, certificate)
            elif holds_certificate(network):
                valid, why = check(network)
            else:
                valid, why = False, f"{certificate} is missing."
            if not valid:
                failed += 1
                tqdm.write(f"{network.relative_to(self.file)}: {why}")
        print(f"{len(networks) - failed} of {len(networks)} networks have a certificate that is proved.")
        if failed:
            sys.exit(1)


@dataclass(frozen=True)
class Construct:
    """Build one of section 3's networks on generic data, say what is claimed of it, and write it to an .npz file.

    Attributes:
        name: linear (3.1), caps (3.2), ramps, grouped-caps (3.3), clustered-caps, tensor (3.4) or exact-tensor.
        file: where to write; existing files are left alone.
        n: number of points.
        d: dimension.
        k: number of groups, for grouped-caps and clustered-caps; the others have widths of their own.
        seed: of the data set, that of a sweep with the same n and d.
        order: p, for tensor and exact-tensor.
        data_model: sphere or gaussian.
        data: where to write the data set, too, for `lawjax bounds`.
    """

    name: tyro.conf.Positional[
        Literal["linear", "caps", "ramps", "grouped-caps", "clustered-caps", "tensor", "exact-tensor"]
    ]
    file: tyro.conf.Positional[Path]
    n: int
    d: int
    k: int | None = None
    seed: int = 0
    order: int = 2
    data_model: Literal["sphere", "gaussian"] = "sphere"
    data: Path | None = None

    def __call__(self) -> None:
        """Write it and print its claims."""
        import numpy as np

        from lawjax import data, keys
        from lawjax.theory import constructions

        files.check_new(*filter(None, (self.file, self.data)))
        _check_counts(n=self.n, d=self.d, k=self.k)
        check_device()
        grouped = self.name in ("grouped-caps", "clustered-caps")
        if (self.k is None) == grouped:
            raise UserError(f"{self.name} {'needs' if grouped else 'has a width of its own, so it takes no'} --k.")
        points = data.MODELS[self.data_model](keys.data_key(self.n, self.d, self.seed), self.n, self.d)
        if grouped:
            built = constructions.grouped_caps(points, self.k or 0, self.name == "clustered-caps")
        elif self.name in ("tensor", "exact-tensor"):
            built = constructions.tensor(points, self.order, self.name == "exact-tensor")
        else:
            built = getattr(constructions, self.name)(points)
        contents = {self.file: built.network.as_npz()}
        if self.data is not None:
            contents[self.data] = files.npz(x=np.asarray(points.x), y=np.asarray(points.y))
        files.write_all(contents)
        print(built)


@dataclass(frozen=True)
class Bounds:
    """Print the lower bounds that are known for networks on a data set.

    Attributes:
        file: the data set, an .npz file with x (n, d) and y (n,) of -1 and +1.
        k: number of neurons.
        activation: of the networks: identity, relu, leaky_relu, abs, tanh, softplus, gelu, power:p (t^p) or
            polynomial:c0,c1,... (c0 + c1 t + ...).
        network: an .npz file of a network, to add the bounds that look at it.
    """

    file: tyro.conf.Positional[Path]
    k: int
    activation: str = "relu"
    network: Path | None = None

    def __call__(self) -> None:
        """Print the table."""
        from lawjax import data
        from lawjax.network import TwoLayer
        from lawjax.theory import lower_bounds

        _check_counts(k=self.k)
        check_device()
        points = data.load(self.file)
        found = lower_bounds.all(points, self.k, self.activation)
        if self.network is not None:
            found += lower_bounds.network_bounds(TwoLayer.load(self.network), points)
        print(lower_bounds.table(found))


@dataclass(frozen=True)
class Frontier:
    """Search for the smoothest network that fits a data set, and write it with the certificate of its bound.

    Attributes:
        file: the data set, an .npz file with x (n, d) and y (n,) of -1 and +1.
        network: where to write the network, an .npz file; its certificate goes beside it, ending in .json. Existing
            files are left alone.
        k: number of neurons.
        epsilon: mean square error that is allowed; 0 for an exact fit.
        activation: relu, leaky_relu, abs, tanh, softplus, gelu or power:2.
        domain: where the gradient is bounded: space (R^d), ball or sphere (around 0).
        radius: of the ball or sphere.
        steps: of the descent.
        starts: at random.
        seed: of the starts.
    """

    file: tyro.conf.Positional[Path]
    network: tyro.conf.Positional[Path]
    k: int
    epsilon: float = 0.02
    activation: str = "relu"
    domain: Literal["space", "ball", "sphere"] = "space"
    radius: float = 1.0
    steps: int = 20_000
    starts: int = 2
    seed: int = 0

    def __call__(self) -> None:
        """Search, write, and print the bracket; nothing is written where no start fits."""
        import json

        from tqdm import tqdm

        from lawjax import data, frontier, keys
        from lawjax.domains import named
        from lawjax.frontier.config import ACTIVATIONS

        certificate = self._certificate()
        _check_counts(k=self.k, steps=self.steps, starts=self.starts)
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise UserError(f"The search is for an activation among {known}, not {self.activation!r}.")
        check_device()
        config = frontier.FrontierConfig(
            self.epsilon, self.activation, named(self.domain, self.radius), self.steps, self.starts
        )
        points = data.load(self.file)
        problem = frontier.Problem(points, self.k, keys.weights_key(points.n, points.d, self.seed))
        with (
            tqdm(total=config.steps * config.starts, unit=" steps", disable=None) as bar,
            keys.settled(x64=False),
        ):
            [found] = frontier.search_all([problem], config, bar.update)
        if not found.fitted:
            raise UserError(
                f"No start fits: the best has loss {found.loss:.3g}, |f(x_i) - y_i| up to {found.fit_error:.3g}. "
                "Ask for more neurons, starts or steps."
            )
        found.network.save(self.network, overwrite=False)  # first, as a bound may be beyond what can be checked
        try:
            files.write_text(certificate, json.dumps(found.bracket.certificate.record(found.network)) + "\n")
        finally:
            print(
                f"{found.network!r}\nloss {found.loss:.6g}, |f(x_i) - y_i| at most {found.fit_error:.3g}; Lipschitz "
                f"constant between {found.bracket.lower:.9g} (a point) and {found.bracket.upper:.9g} (proved)"
            )

    def _certificate(self) -> Path:
        """Where the certificate goes, once it is sure that both files can be written."""
        files.check_new(self.network, inputs=[self.file])
        certificate = self.network.with_suffix(".json")
        if certificate == self.network:
            raise UserError(f"{self.network} is where the certificate goes; give the network a name ending in .npz.")
        files.check_new(certificate, inputs=[self.file])
        return certificate


def main() -> None:
    """Entry point of the command `lawjax`."""

    def command() -> None:
        chosen = tyro.extras.subcommand_cli_from_dict(
            {
                "inspect": Inspect,
                "export": Export,
                "bracket": Bracket,
                "check": Check,
                "construct": Construct,
                "bounds": Bounds,
                "frontier": Frontier,
            },
            prog="lawjax",
            description="Inspect a run, export a network, bracket its Lipschitz constant, check a certificate, build a "
            "network of the paper, bound all networks on a data set from below, search for the smoothest one.",
        )
        chosen()

    guarded(command)


def experiment(
    presets: Mapping[str, Any],
    run: Callable[[Any, Path, tuple[int, int]], Any],
    plot: Callable[[Path], Any],
    out: str,
    description: str,
) -> None:
    """The command line of an experiment: a preset, any field of its configuration overridden, run and plot apart."""
    guarded(lambda: _experiment(presets, run, plot, out, description))


def _experiment(
    presets: Mapping[str, Any],
    run: Callable[[Any, Path, tuple[int, int]], Any],
    plot: Callable[[Path], Any],
    out: str,
    description: str,
) -> None:
    from lawjax.sweep.options import ExperimentOptions, parse_shard

    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", default="laptop", choices=tuple(presets))
    preset = first.parse_known_args()[0].preset
    defaults = ExperimentOptions(out=Path(out.format(preset=preset)), sweep=presets[preset], preset=preset)
    kind: Any = ExperimentOptions
    options: Any = tyro.cli(
        kind[type(presets[preset])],
        default=defaults,
        description=description,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff),
    )
    if options.stage in ("all", "plot"):
        check_drawing()
    if options.stage in ("all", "run"):
        check_device()
        run(options.sweep, options.out, parse_shard(options.shard))
    if options.stage in ("all", "plot"):
        plot(options.out)
