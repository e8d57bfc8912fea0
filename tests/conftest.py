"""Strict settings for every test: see also `filterwarnings` in pyproject.toml, which turns warnings into errors."""

import sys

import jax
import matplotlib
import pytest
from hypothesis import settings

from lawjax import cli

matplotlib.use("Agg")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

settings.register_profile("deterministic", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("deterministic")


@pytest.fixture
def lawjax(monkeypatch, capfd):
    """`lawjax` with arguments, in this process: exit status, standard output, standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["/somewhere/lawjax", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        return status, *capfd.readouterr()

    return call
