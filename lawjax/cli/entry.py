"""The command `lawjax`, and how every command ends: with a sentence and an exit status, whatever goes wrong."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from lawjax.cli import parser, signals
from lawjax.cli.bounds import Bounds
from lawjax.cli.bracket import Bracket
from lawjax.cli.check import Check
from lawjax.cli.construct import Construct
from lawjax.cli.export import Export
from lawjax.cli.frontier import Frontier
from lawjax.cli.inspect import Inspect
from lawjax.cli.run import Run
from lawjax.errors import DamageWarning, Stopped, UserError

COMMANDS = {
    "inspect": Inspect,
    "export": Export,
    "bracket": Bracket,
    "check": Check,
    "construct": Construct,
    "bounds": Bounds,
    "frontier": Frontier,
    "run": Run,
}
_DESCRIPTION = (
    "Inspect a run, export a network, bracket its Lipschitz constant, check a certificate, build a network of the "
    "paper, bound all networks on a data set from below, search for the smoothest one, run an experiment."
)


def main() -> None:
    """Entry point of the command `lawjax`."""
    guarded(lambda: _command(sys.argv[1:])())


def _command(arguments: list[str]) -> Callable[[], None]:
    if len(arguments) > 1 and arguments[0] == "run" and not arguments[1].startswith("-"):
        return Run(arguments[1], tuple(arguments[2:]))  # whose options are the experiment's, which are not known here
    return parser.command(COMMANDS, "lawjax", _DESCRIPTION)


def guarded(command: Callable[[], Any]) -> None:
    """Run a command; a `UserError` becomes one sentence on standard error and its exit status."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # what a terminal cannot show is spelt out, and stops nothing
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        with _warnings_said():
            command()
    except UserError as error:
        _fail(str(error), error.status)
    except OSError as error:
        _fail(f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}.", 2)
    except Stopped:
        _fail("Stopped; run the same command again to go on from here.", signals.status())
    except KeyboardInterrupt:
        _fail("Stopped; what was not written yet is lost.", signals.status())
    except ValueError as error:
        if "for environment 'JAX_" not in str(error):  # JAX's words, when it is imported
            raise
        _fail(f"JAX does not start: {error}; correct it, or unset it.", 2)
    except Exception as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):  # JAX's word for it
            raise
        _fail("This takes more memory than there is; ask for less.", 2)
    finally:
        signals.ignore_at_exit()


@contextlib.contextmanager
def _warnings_said() -> Iterator[None]:
    """Each warning of damaged files is a sentence on standard error, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", DamageWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
            if issubclass(category, DamageWarning):
                _say(str(message))
            else:
                usual(message, category, *where, **options)

        warnings.showwarning = show
        yield


def _fail(message: str, status: int) -> NoReturn:
    _say(message)
    sys.exit(status)


def _say(message: str) -> None:
    program = Path(sys.argv[0]).name.replace("__main__.py", "lawjax")  # python -m lawjax
    print(f"{program}: {message}", file=sys.stderr)
