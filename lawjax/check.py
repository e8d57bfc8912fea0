"""Check a certificate of a Lipschitz constant, with nothing but NumPy: no solver, no eigenvalues, nothing of lawjax.

    python check.py NETWORK.npz CERTIFICATE.json        (the same as `lawjax check`)

What is checked. f(x) = a . psi(W x + b) + c has gradients sum_l s_l a_l w_l with slopes s_l of psi in an interval
[alpha_l, beta_l]. Put m_l = (alpha_l + beta_l) / 2, h_l = (beta_l - alpha_l) / 2, v_0 = sum_l m_l a_l w_l and
v_l = h_l a_l w_l. Every gradient is v_0 + sum_l r_l v_l with |r_l| <= 1, so by Cauchy's inequality, for weights
lambda_0, ..., lambda_k > 0 and any mu,

    mu I - sum_l v_l v_l' / lambda_l positive semidefinite   implies   Lip(f)^2 <= mu * sum_l lambda_l.

Here mu = bound^2 / sum(lambda), in exact fractions, rounded down. With A = [v_l / sqrt(lambda_l)] and any matrix R,
mu I - A A' = R R' + E is positive semidefinite if E is, and E is if its diagonal outweighs the rest of each row. R is
a floating-point Cholesky factor of the left side less a small multiple of I; how well it does does not
matter. Every rounding is counted: n of them have a relative error of at most g(n) = 2 n u, u = 2^-53.
"""

import hashlib
import json
import sys
from fractions import Fraction
from typing import Any

import numpy as np

U = 2.0**-53
SLOPES = {
    "identity": (1.0, 1.0),
    "relu": (0.0, 1.0),
    "leaky_relu": (0.01, 1.0),
    "abs": (-1.0, 1.0),
    "tanh": (0.0, 1.0),
    "softplus": (0.0, 1.0),
    "gelu": (-0.128904145185156, 1.128904145185156),
}
KIND = "lawjax certificate 1"
KINKED = ("relu", "leaky_relu", "abs")


def g(n: int) -> float:
    """A bound on the relative error of n roundings, and of an inner product of length n."""
    return 2.0 * n * U


def digest(W: Any, b: Any, a: Any, c: Any, activation: str) -> str:
    """What a certificate names its network by: SHA-256 of the activation, shapes, precisions and bytes."""
    sha = hashlib.sha256(str(activation).encode())
    for array in map(np.asarray, (W, b, a, c)):
        floats = array if array.dtype.kind == "f" else array.astype(np.float64)
        plain = np.ascontiguousarray(floats).astype(floats.dtype.newbyteorder("<"))
        sha.update(f"{plain.dtype.name}{array.shape}".encode() + plain.tobytes())
    return sha.hexdigest()


def norms(rows: np.ndarray) -> np.ndarray:
    """Upper bounds on the Euclidean norms of rows, for entries whose squares neither overflow nor vanish."""
    return np.sqrt((rows * rows).sum(1)) * (1.0 + g(rows.shape[1] + 4))


def slopes(W: np.ndarray, b: np.ndarray, activation: str, domain: str, radius: float) -> tuple[Any, Any]:
    """Intervals [alpha_l, beta_l] of slopes on the domain: on a ball or sphere some neurons never cross their kink."""
    low, high = SLOPES[activation]
    alpha, beta = np.full(len(b), low), np.full(len(b), high)
    if domain != "space" and activation in KINKED:
        size = np.maximum(np.abs(W).max(1), 1e-300)
        reach = radius * (norms(W / size[:, None]) * size) * (1.0 + g(4))
        alpha[b >= reach], beta[-b >= reach] = high, low
    return alpha, beta


def proves(
    W: Any, b: Any, a: Any, activation: str, domain: str, radius: float, weights: np.ndarray, bound: float
) -> bool:
    """Whether the weights prove Lip(f) <= bound on the domain."""
    W, b, a = (np.asarray(array, np.float64) for array in (W, b, a))
    alpha, beta = slopes(W, b, activation, domain, radius)
    m, h = (alpha + beta) / 2, (beta - alpha) / 2 * (1.0 + g(2))
    size_w, size_a = float(np.abs(W).max()) or 1.0, float(np.abs(a).max()) or 1.0
    W, a = W / 2.0 ** np.frexp(size_w)[1], a / 2.0 ** np.frexp(size_a)[1]  # exact: a power of two
    unit = Fraction(2) ** int(np.frexp(size_w)[1] + np.frexp(size_a)[1])
    V = a[:, None] * W
    rows = np.vstack([m @ V, h[:, None] * V])
    errors = g(5) * norms(rows) + len(a) * 1e-300
    errors[0] += g(len(a) + 4) * norms((np.abs(m) @ np.abs(V))[None, :])[0]
    live = (a != 0) & W.any(1) & ((alpha != 0) | (beta != 0))
    if not live.any():
        return bound >= 0
    mu = (Fraction(bound) / unit) ** 2 / sum(map(Fraction, weights.tolist()))
    top = float(mu) * (1.0 - g(2))
    if not 0 < top < np.inf:
        return False
    scale = 1.0 / np.sqrt(weights)
    keep = np.concatenate([[True], live])
    A, scale, errors = (rows * scale[:, None])[keep], scale[keep], errors[keep]
    error_A = float(norms((g(5) * norms(A) + errors * scale * (1.0 + g(4)))[None, :])[0])
    if len(A) > A.shape[1]:
        A = A.T  # A A' and A' A have the same largest eigenvalue
    n, p = A.shape
    S = np.tril(A @ A.T)
    S = S + np.tril(S, -1).T
    error_S = g(p) * (np.abs(A) @ np.abs(A).sum(0)).max() * (1.0 + g(n + p)) + n * p * 1e-300
    error_S += (2.0 * np.sqrt(top) + error_A) * error_A * (1.0 + g(8))  # of A itself, given ||A|| <= sqrt(mu)
    target = top * np.eye(n) - S
    try:
        R = np.linalg.cholesky(target - (4.0 * g(n + 2) * np.sqrt(n) * top + error_S) * np.eye(n))
    except np.linalg.LinAlgError:
        return False
    E = target - R @ R.T
    # What R R' is off by when computed, and the subtractions on the diagonal and in E.
    rounding = g(n + 4) * (np.abs(R) @ np.abs(R).sum(0)) + 4.0 * U * np.abs(target).sum(1)
    beside = (np.abs(E).sum(1) - np.abs(E.diagonal())) * (1.0 + g(n))
    return bool((E.diagonal() - beside - rounding).min() >= error_S * (1.0 + g(8)))  # Gershgorin's discs of E


def check(network_path: Any, certificate_path: Any) -> tuple[bool, str]:
    """(valid, why)."""
    try:
        with np.load(network_path, allow_pickle=False) as file:
            W, b, a = file["W"], file["b"], file["a"]
            c = file["c"] if "c" in file.files else np.zeros((), W.dtype)
            activation = str(file["activation"]) if "activation" in file.files else "relu"
    except Exception:
        return False, f"{network_path} is not a network file."
    try:
        with open(certificate_path, encoding="utf-8") as file:
            record = json.load(file)
        kind, domain, radius, bound = (record[name] for name in ("kind", "domain", "radius", "bound"))
        weights, network = np.array(record["weights"], np.float64), record["network"]
        bound, radius = float(bound), float(radius)
    except Exception:
        return False, f"{certificate_path} is not a certificate: it is damaged or of another kind."
    if kind != KIND:
        return False, f"{certificate_path} is of a kind this checker does not know: {kind!r}."
    if W.ndim != 2 or b.shape != W.shape[:1] or a.shape != W.shape[:1] or 0 in W.shape:
        return False, "The network's arrays do not fit together."
    if not all(np.isfinite(array).all() for array in (W, b, a)):
        return False, "The network has NaN or infinite weights."
    if network != digest(W, b, a, c, activation):
        return False, "The certificate is for another network."
    if activation not in SLOPES:
        return False, f"There is no slope interval for the activation {activation!r}."
    if domain not in ("space", "ball", "sphere") or not 0 < radius < np.inf:
        return False, f"The domain {domain!r} of radius {radius} is unknown."
    if not 0 <= bound < np.inf:
        return False, f"A bound of {bound} says nothing."
    if weights.shape != (len(a) + 1,):
        return False, f"There are {weights.size} weights, but the network needs {len(a) + 1}."
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        return False, "The weights must be positive and finite."
    if not proves(W, b, a, activation, domain, radius, weights, bound):
        return False, f"The weights do not prove the bound {bound!r}."
    where = "R^d" if domain == "space" else f"the {domain} of radius {radius:g}"
    return True, f"Proved: the Lipschitz constant on {where} is at most {bound!r}."


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: check.py NETWORK.npz CERTIFICATE.json")
    valid, why = check(*sys.argv[1:])
    print(why)
    sys.exit(0 if valid else 1)
