"""Strict settings for every test: see also `filterwarnings` in pyproject.toml, which turns warnings into errors."""

import jax
import matplotlib
from hypothesis import settings

matplotlib.use("Agg")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

settings.register_profile("deterministic", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("deterministic")
