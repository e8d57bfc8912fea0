"""What an exception says, in one line of a sentence."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """The first line of its message, without the full stop; its type's name where it has no message."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


def of_function(error: BaseException) -> str:
    """What a function that is not ours raised: the type, too, since the message alone may say little."""
    return f"{type(error).__name__}: {first_line(error)}" if str(error).strip() else type(error).__name__
