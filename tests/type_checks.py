"""How signatures are checked where CHECK_TYPES=1: by beartype, as far as it understands them."""

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintException

CONF = BeartypeConf(is_pep484_tower=True)  # an int is a float


def checked(function):
    """The function with its arguments and results checked; as it is where beartype knows no such type (Polars')."""
    try:
        return beartype(conf=CONF)(function)
    except BeartypeDecorHintException:
        return function
