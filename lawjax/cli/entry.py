"""The command `lawjax`, and how every command ends: with a sentence and an exit status, whatever goes wrong."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from lawjax.cli import parser
from lawjax.cli.bounds import Bounds
from lawjax.cli.bracket import Bracket
from lawjax.cli.check import Check
from lawjax.cli.construct import Construct
from lawjax.cli.export import Export
from lawjax.cli.frontier import Frontier
from lawjax.cli.inspect import Inspect
from lawjax.cli.run import Run
from lawjax.errors import Stopped, UserError

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


def _fail(message: str, status: int) -> NoReturn:
    program = Path(sys.argv[0]).name.replace("__main__.py", "lawjax")  # python -m lawjax
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(status)
