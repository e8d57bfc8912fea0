"""Strict settings for every test: see also `filterwarnings` in pyproject.toml, which turns warnings into errors."""

import os
import sys
from pathlib import Path

# A test process keeps to a core of its own: libraries that take every core would slow each other down.
if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "sched_setaffinity"):
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")) % len(cores)]})

import jax
import jaxtyping
import matplotlib
import pytest
from hypothesis import settings

# With CHECK_TYPES=1, types and shapes in signatures are checked while the tests run. Tests of wrong arguments, to which
# functions answer with a sentence of their own, ask for the fixture `unchecked`.
if os.environ.get("CHECK_TYPES"):
    jaxtyping.install_import_hook("lawjax", "type_checks.checked")

from lawjax import cli  # noqa: E402

matplotlib.use("Agg")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# What one process compiled, another takes from disk: the test processes share a cache, with the commands they start.
COMPILED = {
    "jax_compilation_cache_dir": str(Path(__file__).parent.parent / ".pytest_cache" / "jax"),
    "jax_compilation_cache_max_size": 2**30,  # with a limit the files are locked
    "jax_persistent_cache_min_compile_time_secs": 0.05,
}
for name, value in COMPILED.items():
    jax.config.update(name, value)
    os.environ[name.upper()] = str(value)

settings.register_profile("deterministic", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("deterministic")


@pytest.fixture
def unchecked():
    """Signatures are not checked."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def lawjax(monkeypatch, capfd):
    """`lawjax` with arguments, in this process: exit status, standard output, standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["/somewhere/lawjax", *map(str, arguments)])
        try:
            cli.main()
            status: int | str = 0
        except SystemExit as stop:
            status = stop.code or 0
        return status, *capfd.readouterr()

    return call
