"""Intervals: by the bootstrap over groups, by Wilson's rule for shares, and how they are written."""

from __future__ import annotations

import math

import numpy as np
import scipy.stats
from jaxtyping import Float

from lawjax import arguments

Interval = tuple[float, float]
NO_INTERVAL: Interval = (math.nan, math.nan)


def check_resampling(n_resamples: int, level: float, rng_seed: int) -> None:
    """Check the arguments that all fits share.

    Raises:
        UserError: one of them is out of range.
    """
    arguments.share("The level of an interval", level)
    arguments.whole("The number of resamples", n_resamples)
    arguments.whole("rng_seed", rng_seed, 0)


def times_drawn(n_groups: int, n_resamples: int, rng_seed: int) -> Float[np.ndarray, "n_resamples n_groups"]:
    """How often each group is drawn in each resample of as many groups as there are, with replacement."""
    rng = np.random.default_rng(rng_seed)
    return rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_resamples).astype(np.float64)


def percentile(samples: Float[np.ndarray, " m"], level: float) -> Interval:
    """The central `level` of the samples that are numbers; (nan, nan) where none is."""
    samples = samples[np.isfinite(samples)]
    if len(samples) == 0:
        return NO_INTERVAL
    low, high = np.quantile(samples, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def proportion(successes: int, trials: int, level: float = 0.95) -> tuple[float, float, float]:
    """successes / trials with its Wilson interval: (share, low, high).

    Raises:
        UserError: no trials, or more successes than trials.
    """
    arguments.share("The level of an interval", level)
    arguments.whole("trials", trials)
    arguments.whole("successes", successes, 0, trials)
    interval = scipy.stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    return successes / trials, float(interval.low), float(interval.high)


def with_interval(value: float, interval: Interval) -> str:
    """For example "0.873 [0.861, 0.884]"; the value alone where there is no interval."""
    return f"{value:.3f}" if np.isnan(interval[0]) else f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
