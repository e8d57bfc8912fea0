"""How signatures are checked while the tests run: by beartype, where it understands them."""

from beartype import beartype
from beartype.roar import BeartypeDecorHintException


def checked(function):
    """The function with its arguments and results checked; as it is where beartype knows no such type (Polars')."""
    try:
        return beartype(function)
    except BeartypeDecorHintException:
        return function
