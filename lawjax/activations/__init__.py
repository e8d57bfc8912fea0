"""Activations psi as values: psi, psi', the interval of psi' over any interval of pre-activations, kinks, symmetries.

The paper's class F_k(psi) (section 1) asks for a Lipschitz psi; every certificate needs the interval that holds psi'.
Functions follow their argument: NumPy arrays are computed by NumPy in their own precision, JAX arrays by JAX.

    >>> import numpy as np
    >>> get("relu").slope_interval
    (0.0, 1.0)
    >>> get("polynomial:1,0,2")(np.array(3.0))
    np.float64(19.0)
    >>> alpha, beta = get("relu6").slopes_over(np.array([-2.0, 1.0, 5.0]), np.array([-1.0, 2.0, 7.0]))
    >>> alpha.tolist(), beta.tolist()
    ([0.0, 1.0, 0.0], [0.0, 1.0, 1.0])

One's own is a value, which goes wherever a name goes, but into a sweep, which is stored with its configuration. Written
with operators, abs and the functions of `xp_of(t)`, which is numpy or jax.numpy, it is good for both kinds of arrays:

    >>> softsign = Activation("softsign", lambda t: t / (1 + abs(t)), lambda t: 1 / (1 + abs(t)) ** 2, (0.0, 1.0))
    >>> get(softsign) is softsign
    True
"""

from lawjax.activations.activation import Activation
from lawjax.activations.functions import xp_of
from lawjax.activations.presets import MAX_POWER, PRESETS
from lawjax.activations.registry import ALIASES, NAMES, get

__all__ = ["ALIASES", "MAX_POWER", "NAMES", "PRESETS", "Activation", "get", "xp_of"]
