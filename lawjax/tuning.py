"""Numbers that say how hard a search tries: frozen dataclasses with defaults, whose fields are checked by their types.

>>> @dataclass(frozen=True)
... class Steps(Tuning):
...     count: int = 100
...     lengths: tuple[float, float] = (0.3, 0.03)
>>> Steps(count=0)
Traceback (most recent call last):
lawjax.errors.UserError: Steps.count must be a whole number of at least 1, not 0.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from lawjax import arguments
from lawjax.errors import UserError


@dataclass(frozen=True)
class Tuning:
    """Whole numbers of at least one, positive numbers, and tuples of as many finite numbers as the default has.

    They can be hashed, so that a compiled program takes them as a static argument.

    Raises:
        UserError: a field is something else.
    """

    def __post_init__(self) -> None:
        """Check every field."""
        for field in fields(self):
            name, value = f"{type(self).__name__}.{field.name}", getattr(self, field.name)
            if isinstance(field.default, tuple):
                if not isinstance(value, tuple) or len(value) != len(field.default):
                    wanted = f"a tuple of {len(field.default)} numbers"
                    raise UserError(f"{name} must be {wanted}, not {arguments.shown(value)}.")
                for one in value:
                    arguments.number(f"An entry of {name}", one)
            elif isinstance(field.default, int):
                arguments.whole(name, value)
            elif isinstance(field.default, float):
                arguments.positive(name, value)
