"""The one exception for mistakes a user can mend: its message is a sentence that says what was wrong and what to do."""


class UserError(ValueError):
    """Bad input, an unusable file or a run directory that cannot be continued.

    The command line prints the message alone, without a traceback, and exits with status 2.
    """
