"""What the benchmarks share: the machine they name, and the tests' networks."""

from __future__ import annotations

import importlib.util
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parents[1] / "tests" / "lipschitz_networks.py"


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


def reference() -> Any:
    """The module with the tests' networks."""
    spec = importlib.util.spec_from_file_location("lipschitz_networks", REFERENCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
