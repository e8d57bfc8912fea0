"""What the benchmarks share: the machine they name, and modules of the tests."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """Processor, cores, versions, and what else the processor was busy with."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = models[0] if models else processor
    load = f"load average {os.getloadavg()[0]:.1f} before the start" if hasattr(os, "getloadavg") else "load unknown"
    packages = [package for package in ("lawjax", "jax", "numpy", "torch") if importlib.util.find_spec(package)]
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    return f"{processor}, {cores()} cores; Python {platform.python_version()}, {versions}; {load}"


def reference(module: str = "lipschitz_networks") -> Any:
    """A module of the tests; unless named, the one with their networks."""
    if str(TESTS) not in sys.path:
        sys.path.append(str(TESTS))
    return importlib.import_module(module)
