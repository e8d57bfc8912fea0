"""Check a certificate of a Lipschitz constant, with nothing but NumPy: no solver, no eigenvalues, nothing of lawjax.

    python check.py NETWORK.npz CERTIFICATE.json        (the same as `lawjax check`)

What is checked. f(x) = a . psi(W x + b) + c has gradients sum_l s_l a_l w_l with slopes s_l of psi in an interval
[alpha_l, beta_l]. Put m_l = (alpha_l + beta_l) / 2, h_l = (beta_l - alpha_l) / 2, v_0 = sum_l m_l a_l w_l and
v_l = h_l a_l w_l. Every gradient is v_0 + sum_l r_l v_l with |r_l| <= 1, so by Cauchy's inequality, for weights
lambda_0, ..., lambda_k > 0 and any mu,

    mu I - sum_l v_l v_l' / lambda_l positive semidefinite   implies   Lip(f)^2 <= mu * sum_l lambda_l.

Here mu = bound^2 / sum(lambda), in exact fractions, rounded down. With A = [v_l / sqrt(lambda_l)] and any matrix R,
mu I - A A' = R R' + E is positive semidefinite if E is, and E is if its diagonal outweighs the rest of each row. R is
a floating-point Cholesky factor of the left side less a small multiple of I; how well it does does not matter. On a
sphere or ball the proof may go case by case (`each_case`). For the gradient's part along the sphere,
|grad f(x) . x| / R >= along leaves ||grad f||^2 <= bound^2 + along^2 to be proved. Every rounding is counted: n of them
have a relative error of at most g(n) = 2 n u, u = 2^-53.
"""

import hashlib
import json
import math
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

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
TURNS = {"tanh": (0.0,), "softplus": (), "gelu": (-math.sqrt(2), math.sqrt(2))}  # where psi'' = 0


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


def smooth_slope(activation: str, t: float) -> float:
    """psi'(t) for the smooth activations."""
    if activation == "tanh":
        return 1.0 - math.tanh(t) ** 2
    if activation == "softplus":
        return 0.5 + 0.5 * math.tanh(t / 2)
    return 0.5 * math.erfc(-t / math.sqrt(2)) + t * math.exp(-min(t * t, 1400.0) / 2) / math.sqrt(2 * math.pi)


def slopes(W: np.ndarray, b: np.ndarray, activation: str, domain: str, radius: float) -> tuple[Any, Any]:
    """Intervals [alpha_l, beta_l] of slopes on the domain: on a ball or sphere pre-activations are b_l +- R ||w_l||."""
    low, high = SLOPES[activation]
    alpha, beta = np.full(len(b), low), np.full(len(b), high)
    if domain == "space":
        return alpha, beta
    reach = radius * safe_norms(W) * (1.0 + g(4))
    if activation in KINKED:
        alpha[b >= reach], beta[-b >= reach] = high, low
    elif activation in TURNS:
        for neuron, (at, far) in enumerate(zip(b, reach, strict=True)):
            first, last = at - far - 4 * U * (abs(at) + far), at + far + 4 * U * (abs(at) + far)
            places = [first, last, *(turn for turn in TURNS[activation] if first <= turn <= last)]
            values = [smooth_slope(activation, t) for t in places]
            alpha[neuron], beta[neuron] = max(low, min(values) - 1e-13), min(high, max(values) + 1e-13)
    return alpha, beta


def safe_norms(rows: np.ndarray) -> np.ndarray:
    """Upper bounds on the norms of rows of any size."""
    size = np.maximum(np.abs(rows).max(1), 1e-300)
    return norms(rows / size[:, None]) * size * (1.0 + g(2))


class Caps(NamedTuple):
    """The smaller part {n_l . x > t_l R}, |n_l| = 1, 0 <= t_l < 1, into which the kink of neuron l cuts the sphere."""

    n: np.ndarray
    t: np.ndarray
    s: np.ndarray  # sqrt(1 - t^2)
    cut: np.ndarray  # whether there is one
    size: np.ndarray  # bounds on ||w_l||
    inside: np.ndarray  # the slope in it
    outside: np.ndarray


def caps_of(W: np.ndarray, b: np.ndarray, activation: str, radius: float) -> Caps:
    """The caps of all neurons of a piecewise-linear activation."""
    low, high = SLOPES[activation]
    size = np.where(W.any(1), safe_norms(W), 1.0)
    t = -b / size / radius
    side, cut = np.where(t >= 0, 1.0, -1.0), W.any(1) & (np.abs(t) < 1.0 - 1e-10)
    n, t = W / size[:, None] * side[:, None], np.where(cut, np.abs(t), 0.0)
    inside, outside = np.where(side > 0, high, low), np.where(side > 0, low, high)
    return Caps(n, t, np.sqrt(1.0 - t * t), cut, size, inside, outside)


def each_case(
    W: np.ndarray, b: np.ndarray, a: np.ndarray, activation: str, statement: dict[str, Any]
) -> Iterator[tuple[Any, Any, float]]:
    """alpha, beta and a lower bound on |grad f(x) . x| / R for each case.

    Two caps are apart if n_i . n_j < t_i t_j - s_i s_j, the cosine of the sum of their angles, and i lies in j if
    n_i . n_j > t_i t_j + s_i s_j and t_i > t_j. A case is: in the cap of its leader, in none of a leader before it; the
    last one has no leader. So every point lies in one of the cases.
    """
    domain, radius = statement["domain"], statement["radius"]
    alpha, beta = slopes(W, b, activation, domain, radius)
    leaders = [case["leader"] for case in statement["cases"][:-1]]
    if leaders:
        low, high = SLOPES[activation]
        n, t, s, cut, size, inside, outside = caps_of(W, b, activation, radius)
        margin = 1e-10 + g(W.shape[1] + 16)
    for i, leader in enumerate(leaders):
        if not cut[leader]:
            raise ValueError("a leader has no cap")
        cosine, both, rest = n @ n[leader], t * t[leader], s * s[leader]
        lower, upper = alpha.copy(), beta.copy()
        contains = cut & (cosine >= both + rest + margin) & (t[leader] > t)
        lower[contains] = upper[contains] = inside[contains]
        out = cut & (cosine <= both - rest - margin)
        out[leaders[:i]] = True
        lower[out] = upper[out] = outside[out]
        lower[leader] = upper[leader] = inside[leader]
        along = 0.0
        if statement["tangential"]:
            # grad f(x) . x / R: of the part that is known, over the cap; of every other neuron, on either side.
            known = lower == upper
            v = (np.where(known, lower, 0.0) * a) @ W
            p, length = v @ n[leader], np.linalg.norm(v)
            across = np.linalg.norm(v - p * n[leader]) * s[leader]
            least = p * t[leader] - across if p >= -t[leader] * length else -length
            most = p * t[leader] + across if p <= t[leader] * length else length
            ends = [low * -size, low * -b / radius, high * -b / radius, high * size]
            terms = a * np.where(known, 0.0, np.array(ends))
            slack = 1e-10 * max(abs(low), abs(high)) * (np.abs(a) @ size)
            along = max(least + terms.min(0).sum() - slack, -(most + terms.max(0).sum()) - slack, 0.0)
        yield lower, upper, along
    lower, upper = alpha.copy(), beta.copy()
    if leaders:
        lower[leaders] = upper[leaders] = outside[leaders]
    yield lower, upper, 0.0


class Form(NamedTuple):
    """constant + r' (F F' + arrow) r, which over r_0 = 1, |r_l| <= 1 no squared gradient norm of a case exceeds.

    F has a row for v_0 and one for each free neuron; the arrow is a matrix with entries in row and column 0 alone. All
    in units of `unit`^2, a power of two. `errors` bounds the norms of what the rows of F are off by, `slack` what
    constant and arrow are.
    """

    F: np.ndarray
    errors: np.ndarray
    unit: Fraction
    arrow: np.ndarray | None = None
    constant: Fraction = Fraction(0)
    slack: float = 0.0


def gradient_form(W: np.ndarray, a: np.ndarray, alpha: Any, beta: Any, free: Any) -> Form:
    """||v_0 + sum_l r_l v_l||^2."""
    m, h = (alpha + beta) / 2, (beta - alpha) / 2 * (1.0 + g(2))
    size_w, size_a = (int(np.frexp(float(np.abs(array).max()) or 1.0)[1]) for array in (W, a))
    W, a = np.ldexp(W, -size_w), np.ldexp(a, -size_a)  # exact: powers of two
    V = a[:, None] * W
    rows = np.vstack([m @ V, (h[:, None] * V)[free]])
    errors = g(5) * norms(rows) + len(a) * 1e-300
    errors[0] += g(len(a) + 4) * norms((np.abs(m) @ np.abs(V))[None, :])[0]
    return Form(rows, errors, Fraction(2) ** (size_w + size_a))


def with_crowd(form: Form, rho: float, kappa: float, t: np.ndarray, n: np.ndarray, sign: np.ndarray) -> Form:
    """The form for ||grad f||^2 + rho (1 - |z|^2) + 2 rho kappa sum_l t_l y_l (n_l . z - t_l), at its largest over z.

    On the sphere or in the ball that is no less than ||grad f||^2: z = x / R, and y_l = (1 + sign_l r_l) / 2 is 1 in
    the cap of neuron l, 0 outside. The largest value is
    ||grad f||^2 + rho - 2 rho kappa sum_l t_l^2 y_l + rho kappa^2 ||sum_l t_l y_l n_l||^2.
    """
    rho = float(Fraction(rho) / form.unit**2)
    roundings = form.F.shape[0] + form.F.shape[1] + 80
    half = 0.5 * np.sqrt(rho) * kappa
    pulls = half * np.vstack([t @ n, (sign * t)[:, None] * n])
    errors = form.errors + g(roundings) * norms(pulls)
    errors[0] += g(roundings) * half * t.sum()
    constant = Fraction(rho) * (1 - Fraction(kappa) * sum(map(Fraction, (t * t).tolist())))
    slack = g(roundings) * rho * (1.0 + 2.0 * kappa * t.sum())
    arrow = -0.5 * rho * kappa * sign * t * t
    return Form(np.hstack([form.F, pulls]), errors, form.unit, arrow, constant, slack)


def is_below(form: Form, weights: np.ndarray, mu: float) -> bool:
    """Whether mu I - D (F F' + arrow) D, D = diag(weights)^(-1/2), is positive semidefinite, all errors counted."""
    scale = 1.0 / np.sqrt(weights)
    A = form.F * scale[:, None]
    error_A = float(norms((g(5) * norms(A) + form.errors * scale * (1.0 + g(4)))[None, :])[0])
    if form.arrow is None and len(A) > A.shape[1]:
        A = A.T  # A A' and A' A have the same largest eigenvalue
    n, p = A.shape
    S = np.tril(A @ A.T)
    S = S + np.tril(S, -1).T
    error_S = g(p) * (np.abs(A) @ np.abs(A).sum(0)).max() * (1.0 + g(n + p)) + n * p * 1e-300
    size = np.sqrt(mu)  # of A, as A A' <= mu I is to be shown
    if form.arrow is not None:
        arrow = form.arrow * scale[0] * scale[1:]
        S[0, 1:] += arrow
        S[1:, 0] += arrow
        error_S += g(n + p + 80) * np.abs(arrow).sum() + g(2) * np.abs(S).sum(1).max() * (1.0 + g(n))
        size = float(norms(norms(A)[None, :])[0])
    error_S += (2.0 * size + error_A) * error_A * (1.0 + g(8))
    try:
        R = np.linalg.cholesky(mu * np.eye(n) - S - (4.0 * g(n + 2) * np.sqrt(n) * mu + error_S) * np.eye(n))
    except np.linalg.LinAlgError:
        return False
    target = mu * np.eye(n) - S
    E = target - R @ R.T
    # What R R' is off by when computed, and the subtractions on the diagonal and in E.
    rounding = g(n + 4) * (np.abs(R) @ np.abs(R).sum(0)) + 4.0 * U * np.abs(target).sum(1)
    beside = (np.abs(E).sum(1) - np.abs(E.diagonal())) * (1.0 + g(n))
    return bool((E.diagonal() - beside - rounding).min() >= error_S * (1.0 + g(8)))  # Gershgorin's discs of E


def proves(W: Any, b: Any, a: Any, activation: str, statement: dict[str, Any], bound: float) -> bool:
    """Whether the weights of every case prove that the gradient is at most `bound` there."""
    W, b, a = (np.asarray(array, np.float64) for array in (W, b, a))
    active = (a != 0) & W.any(1)
    for (alpha, beta, along), case in zip(each_case(W, b, a, activation, statement), statement["cases"], strict=True):
        free, weights = np.array(case["neurons"], int), np.array(case["weights"], float)
        if weights.shape != (1 + len(free),):
            raise ValueError(f"there are {weights.size} weights where {1 + len(free)} are needed")
        if np.delete((alpha < beta) & active, free).any():
            raise ValueError("a neuron without a weight has an unknown slope")
        if not (active & ((alpha != 0) | (beta != 0))).any():
            continue  # the gradient is 0
        form = gradient_form(W, a, alpha, beta, free)
        if statement["crowd"] is not None:
            caps = caps_of(W, b, activation, statement["radius"])
            sign = np.where(caps.inside == beta, 1.0, -1.0)[free]
            rho, kappa = statement["crowd"]
            form = with_crowd(form, rho, kappa, caps.t[free], caps.n[free], sign)
        left = (Fraction(bound) ** 2 + Fraction(along) ** 2) / form.unit**2 - form.constant - Fraction(form.slack)
        mu = float(left / sum(map(Fraction, weights.tolist()))) * (1.0 - g(2))
        if not (0 < mu < np.inf and is_below(form, weights, mu)):
            return False
    return True


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
        kind, network, bound = record["kind"], record["network"], float(record["bound"])
        domain, radius, tangential = record["domain"], float(record["radius"]), bool(record["tangential"])
        crowd = None if record["crowd"] is None else tuple(map(float, record["crowd"]))
        leaders = [case["leader"] for case in record["cases"]]
        if not all(leader is None or type(leader) is int for leader in leaders):
            raise TypeError(leaders)
        cases = [
            {**case, "neurons": np.array(case["neurons"], int), "weights": np.array(case["weights"], float)}
            for case in record["cases"]
        ]
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
    if domain not in ("space", "ball", "sphere") or not 0 < radius < np.inf or (tangential and domain != "sphere"):
        return False, f"The domain {domain!r} of radius {radius} is unknown."
    if not 0 <= bound < np.inf:
        return False, f"A bound of {bound} says nothing."
    if leaders[-1:] != [None] or not set(leaders[:-1]) <= set(range(len(a))) or len(set(leaders)) < len(leaders):
        return False, "The cases do not cover the domain: their leaders must be different neurons, and at last none."
    if (len(leaders) > 1 or crowd is not None) and (domain == "space" or activation not in KINKED):
        return False, "There are no caps on this domain or with this activation."
    if crowd is not None and (len(leaders) > 1 or len(crowd) != 2 or not all(0 < number < np.inf for number in crowd)):
        return False, "A crowd is two positive numbers, and has no cases."
    if not all(set(case["neurons"].tolist()) <= set(range(len(a))) for case in cases):
        return False, "The certificate is for another network: it names a neuron that is not there."
    if not all(len(set(case["neurons"].tolist())) == len(case["neurons"]) for case in cases):
        return False, "A case names a neuron twice."
    if not all(np.isfinite(case["weights"]).all() and (case["weights"] > 0).all() for case in cases):
        return False, "The weights must be positive and finite."
    statement = {"domain": domain, "radius": radius, "tangential": tangential, "cases": cases, "crowd": crowd}
    try:
        with np.errstate(over="raise", invalid="raise"):
            if not proves(W, b, a, activation, statement, bound):
                return False, f"The weights do not prove the bound {bound!r}."
    except ValueError as error:
        return False, f"The certificate is for another network: {error}."
    except (OverflowError, FloatingPointError):
        return False, f"The bound {bound!r} is too far from the network's size to be checked."
    what = "part of the gradient along the sphere" if tangential else "Lipschitz constant"
    where = "R^d" if domain == "space" else f"the {domain} of radius {radius:g}"
    return True, f"Proved: the {what} on {where} is at most {bound!r}."


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: check.py NETWORK.npz CERTIFICATE.json")
    valid, why = check(*sys.argv[1:])
    print(why)
    sys.exit(0 if valid else 1)
