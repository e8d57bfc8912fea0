"""What a command refuses before it begins to work."""

from __future__ import annotations

import os

from lawjax.errors import UserError


def check_device() -> None:
    """Refuse, before any work, to compute where JAX has no device for it."""
    import jax

    try:
        jax.local_devices()
    except Exception as error:  # a RuntimeError, or an AssertionError of a plugin that is not there
        asked = os.environ.get("JAX_PLATFORMS")
        if asked:
            raise UserError(f"JAX has no device here for JAX_PLATFORMS={asked}; unset it, or ask for cpu.") from None
        raise UserError(f"JAX has no device to compute on ({' '.join(str(error).split())}).") from None


def check_drawing() -> None:
    """Refuse, before any work, figures that could not be drawn after it."""
    try:
        import matplotlib  # noqa: F401
    except ValueError:
        backend = os.environ.get("MPLBACKEND")
        raise UserError(f"Matplotlib has no backend {backend!r}; unset MPLBACKEND: figures go to files.") from None


def check_counts(**counts: int | None) -> None:
    """Refuse numbers of which no computer makes so many networks, neurons or steps."""
    for name, count in counts.items():
        if count is not None and count >= 2**31:
            raise UserError(f"--{name} must be below {2**31}, not {count}.")
