"""What a run was made with, for the record."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import jax


def environment() -> dict[str, Any]:
    """Versions, git commit, command line and device."""
    packages = ("lawjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "polars")
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
        "git_commit": _git_commit(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "device": device_name(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def device_name() -> str:
    """The kind and number of this process's JAX devices, such as "cpu x 1"."""
    devices = jax.local_devices()
    return f"{devices[0].device_kind} x {len(devices)}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    here = Path(__file__).parent
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
