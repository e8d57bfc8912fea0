"""Random networks that are hard on bounds: extreme scales, duplicated, zero, parallel, cancelling, constant neurons."""

import numpy as np

from lawjax import Dataset, Search, TwoLayer, data, keys
from lawjax.lipschitz.lower.effort import SmoothWalks

# Enough on the small networks of tests; the usual search takes seconds on each smooth one.
USUAL = Search()
QUICK = Search(smooth_walks=SmoothWalks(rounds=1, walkers=32, followed=(12, 30), to_the_end=(4, 200)))


def random_network(rng, activation, max_d=6, max_k=14, scales=20.0):
    d, k = int(rng.integers(1, max_d + 1)), int(rng.integers(1, max_k + 1))
    W, a = rng.standard_normal((k, d)), rng.standard_normal(k)
    b = rng.standard_normal(k) * rng.choice([0.0, 0.1, 1.0, 3.0])
    if k > 2 and rng.random() < 0.3:  # a duplicate
        W[1], b[1] = W[0], b[0]
    if k > 3 and rng.random() < 0.3:  # parallel, the other way round
        W[2] = -2.0 * W[0]
    if k > 4 and rng.random() < 0.2:  # cancels its twin
        W[3], b[3], a[3] = W[0], b[0], -a[0]
    if rng.random() < 0.2:
        a[0] = 0.0
    if rng.random() < 0.2:
        W[-1] = 0.0
    of_w, of_a = (10.0 ** rng.uniform(-scales, scales) if rng.random() < 0.5 else 1.0 for _ in range(2))
    return TwoLayer(W * of_w, b * of_w, a * of_a, 0.0, activation)


def paper_weights(d, k):
    """The networks of docs/certificates.md: W ~ N(0, 1/d), a ~ N(0, 1/k), b ~ 0.1 N(0, 1) from default_rng(0)."""
    rng = np.random.default_rng(0)
    W = rng.standard_normal((k, d)) / np.sqrt(d)
    a = rng.standard_normal(k) / np.sqrt(k)
    return TwoLayer(W, 0.1 * rng.standard_normal(k), a)


def generic(n, d, seed=0, model="sphere", dtype=np.float64):
    """The data set of (n, d, seed) in float64, on the unit sphere to its last bits."""
    found = data.MODELS[model](keys.data_key(n, d, seed), n, d)
    x = np.asarray(found.x, np.float64)
    if model == "sphere":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    return Dataset(x.astype(dtype), np.asarray(found.y, dtype))
