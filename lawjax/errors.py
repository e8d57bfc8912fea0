"""What ends a command with a sentence: mistakes a user can mend, and Ctrl-C with something stored; and a warning."""


class UserError(ValueError):
    """Bad input, an unusable file or a run directory that cannot be continued.

    The command line prints the message alone, without a traceback, and exits with `status`.
    """

    status = 2


class Incomplete(UserError):
    """A part of what was asked for could not be made; all the rest was."""

    status = 1


class Stopped(KeyboardInterrupt):
    """Ctrl-C where something was stored: the same command goes on from there."""


class DamageWarning(UserWarning):
    """A stored file is damaged, and what it held is made anew or read elsewhere."""
