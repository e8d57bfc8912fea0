"""The one door to tyro: command lines that follow from the fields and docstrings of dataclasses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tyro
from tyro.conf import Positional as Positional


def command(commands: Mapping[str, Callable[..., Any]], program: str, description: str) -> Any:
    """The command that is asked for on the command line, of the type that stands under its name, with its options."""
    return tyro.extras.subcommand_cli_from_dict(dict(commands), prog=program, description=description)


def overridden(default: Any, kind: Any, description: str) -> Any:
    """`default`, a dataclass of type `kind` that holds others, with every field replaced that is named as an option."""
    plain = (tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff)
    return tyro.cli(kind, default=default, description=description, config=plain)
