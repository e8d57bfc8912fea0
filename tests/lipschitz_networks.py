"""Random networks that are hard on bounds: extreme scales, duplicated, zero, parallel, cancelling, constant neurons."""

import numpy as np

from lawjax import TwoLayer


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


def grouped_caps(n, d, k, seed=0):
    """Section 3.3: groups of about n/k points of one label, a neuron each, which is 1 on its group."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = rng.choice([-1.0, 1.0], n)
    n_positive = max(1, round(k * (y > 0).mean()))
    groups = [*np.array_split(x[y > 0], n_positive), *np.array_split(x[y < 0], k - n_positive)]
    W = np.array([np.linalg.pinv(group) @ np.ones(len(group)) for group in groups])
    a = np.where(np.arange(k) < n_positive, 2.0, -2.0)
    return TwoLayer(W, np.full(k, -0.5), a)
