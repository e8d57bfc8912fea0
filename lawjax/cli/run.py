"""`lawjax run`: the scripts of `experiments/`, in a checkout and after `pip install`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from lawjax.cli.parser import Positional
from lawjax.errors import UserError

_PACKAGE = Path(__file__).parents[1]
_MARK = '__name__ == "__main__"'  # of a script; the other files are parts of one


def scripts() -> dict[str, Path]:
    """The experiments by name: the checkout's that the package lies in, or those that were installed with it.

    Raises:
        UserError: there are none.
    """
    for folder in (_PACKAGE / "_experiments", _PACKAGE.parent / "experiments"):  # the first only where installed
        found = {path.stem: path for path in sorted(folder.glob("*.py")) if _MARK in path.read_text("utf-8")}
        if found:
            return found
    raise UserError(f"No experiments were installed with {_PACKAGE}; install lawjax again.")


@dataclass(frozen=True)
class Run:
    """Run an experiment with its own options; without a name, list the experiments.

    Attributes:
        name: of the experiment.
        options: of the experiment; `lawjax run NAME --help` says what there is.
    """

    name: Positional[str | None] = None
    options: Positional[tuple[str, ...]] = ()

    def __call__(self) -> None:
        """Do as `python experiments/NAME.py` does."""
        known = scripts()
        if self.name is None:
            width = max(map(len, known))
            print("\n".join(f"{name:{width}}  {_purpose(path)}" for name, path in known.items()))
        elif self.name in known:
            _run(known[self.name], self.options)
        else:
            raise UserError(f"There is no experiment {self.name!r}; there are {', '.join(known)}.")


def _purpose(script: Path) -> str:
    """The first line of what a script says of itself."""
    import ast

    return (ast.get_docstring(ast.parse(script.read_text("utf-8"))) or "").partition("\n")[0]


def _run(script: Path, options: tuple[str, ...]) -> None:
    """In this process, as Python runs a script: under its own name, and with its neighbours to import."""
    import runpy

    sys.argv = [str(script), *options]
    sys.path.insert(0, str(script.parent))
    runpy.run_path(str(script), run_name="__main__")
