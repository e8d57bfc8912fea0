"""Check a certificate of a Lipschitz constant, with nothing but NumPy: no solver, no eigenvalues, nothing of lawjax.

    python check.py NETWORK.npz CERTIFICATE.json        (the same as `lawjax check`)
    python check.py NETWORK.npz                         (where it holds its certificate, the array `certificate`)

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

For psi(t) = t^2 without biases the gradient is 2 T x, T = sum_l a_l w_l w_l'; on the ball and the sphere of radius R

    bound / (2 R) I - T and bound / (2 R) I + T positive semidefinite   implies   ||grad f|| <= bound.

For two hidden layers, f(x) = g(ReLU(A x + u)), Lip(f) <= N Lip(g) if N^2 I - A A' is positive semidefinite.
"""

import hashlib
import json
import math
import sys
from collections.abc import Iterable, Iterator
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
DEEP = "lawjax certificate of two hidden layers 1"
FORM = "power:2"
KINKED = ("relu", "leaky_relu", "abs")
FAR = 1e60
TURNS = {"tanh": (0.0,), "softplus": (), "gelu": (-math.sqrt(2), math.sqrt(2))}  # where psi'' = 0


def g(n: int) -> float:
    """A bound on the relative error of n roundings, and of an inner product of length n."""
    return 2.0 * n * U


def digest(arrays: Iterable[Any], activation: str) -> str:
    """What a certificate names its network by: SHA-256 of the activation, shapes, precisions and bytes."""
    sha = hashlib.sha256(str(activation).encode())
    for array in map(np.asarray, arrays):
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
        tail = math.exp(-2.0 * abs(t))  # 1 - tanh(t)^2 cancels
        return 4.0 * tail / (1.0 + tail) ** 2
    if activation == "softplus":
        return 0.5 + 0.5 * math.tanh(t / 2)
    return 0.5 * math.erfc(-t / math.sqrt(2)) + t * math.exp(-min(t * t, 1400.0) / 2) / math.sqrt(2 * math.pi)


def slope_range(activation: str) -> tuple[float, float] | None:
    """The interval of psi' on R; a polynomial has one if it is affine. None where none is known."""
    kind, _, parameters = activation.partition(":")
    try:
        if kind == "power" and int(parameters) == 1:
            return 1.0, 1.0
        if kind == "polynomial":
            c = [float(number) for number in parameters.split(",")]
            if np.isfinite(c).all() and not any(c[2:]):
                return (c[1], c[1]) if len(c) > 1 else (0.0, 0.0)
    except ValueError:
        return None
    return SLOPES.get(activation)


def slopes(W: np.ndarray, b: np.ndarray, activation: str, domain: str, radius: float) -> tuple[Any, Any]:
    """Intervals [alpha_l, beta_l] of slopes on the domain: on a ball or sphere pre-activations are b_l +- R ||w_l||."""
    low, high = slope_range(activation) or (-np.inf, np.inf)
    alpha, beta = np.full(len(b), low), np.full(len(b), high)
    if domain == "space":
        return alpha, beta
    reach = radius * safe_norms(W) * (1.0 + g(4))
    if activation in KINKED:
        alpha[b >= reach], beta[-b >= reach] = high, low
        for i in np.flatnonzero((np.abs(b) < reach) & (np.abs(b) >= reach * (1.0 - 1e-11)) & (b != 0)):
            if Fraction(float(b[i])) ** 2 >= Fraction(radius) ** 2 * square_of(W[i]):  # tangent, in exact fractions
                alpha[i] = beta[i] = high if b[i] > 0 else low
    elif activation in TURNS:
        for neuron, (at, far) in enumerate(zip(b, reach, strict=True)):
            first, last = at - far - 4 * U * (abs(at) + far), at + far + 4 * U * (abs(at) + far)
            places = [first, last, *(turn for turn in TURNS[activation] if first <= turn <= last)]
            values = [smooth_slope(activation, t) for t in places]
            alpha[neuron], beta[neuron] = max(low, min(values) - 1e-13), min(high, max(values) + 1e-13)
    return alpha, beta


def square_of(row: Any) -> Fraction:
    """The exact square of a norm."""
    return sum((Fraction(float(v)) ** 2 for v in row), Fraction(0))


def root_below(square: Fraction) -> Fraction:
    """A number at most the root, to some 100 bits."""
    if square <= 0:
        return Fraction(0)
    shift = 120 + max(0, square.denominator.bit_length() - square.numerator.bit_length())
    return Fraction(math.isqrt(int(square * 4**shift)), 2**shift)


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
    for i in statement["thin"]:
        alpha[i] = beta[i] = SLOPES[activation][int(b[i] > 0)]  # outside of its cap
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


def beside_thin(W: np.ndarray, b: np.ndarray, a: np.ndarray, activation: str, statement: dict[str, Any]) -> Fraction:
    """What thin caps add to the gradient along the sphere: (beta - alpha) |a| ||w|| sin(angle), 90 degrees at most.

    In the cap the angle between x and w_l is at most the cap's, and ||w||^2 sin^2 = ||w||^2 - b^2 / R^2.
    """
    low, high = SLOPES[activation] if statement["thin"] else (0.0, 0.0)
    total = Fraction(0)
    for i in statement["thin"]:
        square = square_of(W[i]) - (Fraction(float(b[i])) / Fraction(statement["radius"])) ** 2
        if b[i] == 0 or square <= 0:
            raise ValueError("a thin cap is none")
        size = root_below(square) * (1 + Fraction(1, 2**60))
        total += (Fraction(high) - Fraction(low)) * abs(Fraction(float(a[i]))) * size
    return total


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
    errors = g(5) * safe_norms(rows) + len(a) * 1e-300
    errors[0] += g(len(a) + 4) * safe_norms((np.abs(m) @ np.abs(V))[None, :])[0]
    return Form(rows, errors, Fraction(2) ** (size_w + size_a))


def tied(
    form: Form,
    W: np.ndarray,
    b: np.ndarray,
    activation: str,
    alpha: Any,
    beta: Any,
    free: list[int],
    ties: list[tuple[int, int, int]],
) -> Form:
    """The form where neurons on one hyperplane are switched together: the rows at the end are added to their heads'.

    With (w_i, b_i) = t (w_j, b_j) the kink of both is at the same points, and r_i = sign(t) r_j if both slopes have the
    whole interval; without kinks t = 1.
    """
    F, errors = form.F.copy(), form.errors.copy()
    for place, (neuron, head, sign) in enumerate(ties, start=1 + len(free)):
        one, other = ([Fraction(float(v)) for v in (*W[i].tolist(), b[i])] for i in (neuron, head))
        pivot = next(i for i, v in enumerate(other) if v)
        p, q = one[pivot], other[pivot]
        is_one_plane = all(v * q == w * p for v, w in zip(one, other, strict=True)) and p * q * sign > 0
        alike = is_one_plane if activation in KINKED else one == other and sign == 1
        if not alike or abs(sign) != 1 or alpha[neuron] != alpha[head] or beta[neuron] != beta[head]:
            raise ValueError("neurons that are tied are not on one hyperplane")
        row = 1 + free.index(head)
        F[row] += sign * F[place]
        errors[row] += errors[place] + g(2) * np.abs(F[row]).sum()
    return form._replace(F=F[: 1 + len(free)], errors=errors[: 1 + len(free)])


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
    return dominates(mu, S, error_S + (2.0 * size + error_A) * error_A * (1.0 + g(8)))


def dominates(mu: float, S: np.ndarray, error: float) -> bool:
    """Whether mu I - S is positive semidefinite, for every symmetric matrix that is within `error` of S in norm."""
    n = len(S)
    target, error = mu * np.eye(n) - S, error * (1.0 + g(4))
    for shift in (4.0, 64.0):  # roundings of R R' that a small one does not outweigh, a larger one may
        try:
            R = np.linalg.cholesky(target - (shift * g(n + 2) * np.sqrt(n) * mu + error) * np.eye(n))
        except np.linalg.LinAlgError:
            return False
        E = target - R @ R.T
        # What R R' is off by when computed, and the subtractions on the diagonal and in E.
        rounding = g(n + 4) * (np.abs(R) @ np.abs(R).sum(0)) + 4.0 * U * np.abs(target).sum(1)
        beside = (np.abs(E).sum(1) - np.abs(E.diagonal())) * (1.0 + g(n))
        if (E.diagonal() - beside - rounding).min() >= error * (1.0 + g(8)):  # Gershgorin's discs of E
            return True
    return False


def proves_form(W: np.ndarray, a: np.ndarray, radius: float, bound: float) -> bool:
    """Whether -bound / (2 R) I <= sum_l a_l w_l w_l' <= bound / (2 R) I, all errors counted."""
    size_w, size_a = (int(np.frexp(float(np.abs(array).max()) or 1.0)[1]) for array in (W, a))
    W, a = np.ldexp(W, -size_w), np.ldexp(a, -size_a)  # exact: powers of two
    T = np.tril(W.T @ (a[:, None] * W))
    T = T + np.tril(T, -1).T
    k, d = W.shape
    error = g(k + 2) * (np.abs(W).T @ (np.abs(a) * np.abs(W).sum(1))).max() * (1.0 + g(k + d + 4)) + k * d * 1e-300
    unit = Fraction(2) ** (2 * size_w + size_a)
    mu = float(Fraction(bound) / (2 * Fraction(radius) * unit)) * (1.0 - g(2))
    return 0 < mu < np.inf and dominates(mu, T, error) and dominates(mu, -T, error)


def is_moderate(W: np.ndarray, a: np.ndarray, domain: str, radius: float) -> bool:
    """Whether squares and products keep their size: nothing but 0 is FAR from 1, or, on R^d, from the rest."""
    sizes = [np.abs(W).max(1), np.abs(a)]
    if domain == "space":  # where a common factor of W or a only scales the gradient
        sizes = [size / (size.max() or 1.0) for size in sizes]
    else:
        sizes.append(np.array([radius]))
    return all(((size == 0) | ((size >= 1 / FAR) & (size <= FAR))).all() for size in sizes)


def proves_norm(A: np.ndarray, norm: float) -> bool:
    """Whether ||A||_op <= norm."""
    if not A.any():
        return norm >= 0
    size = int(np.frexp(float(np.abs(A).max()) or 1.0)[1])
    form = Form(np.ldexp(A, -size), np.zeros(len(A)), Fraction(2) ** size)
    mu = float(Fraction(norm) ** 2 / form.unit**2) * (1.0 - g(2))
    return 0 < mu < np.inf and is_below(form, np.ones(len(A)), mu)


def proves(W: Any, b: Any, a: Any, activation: str, statement: dict[str, Any], bound: float) -> bool:
    """Whether the weights of every case prove that the gradient is at most `bound` there; a form needs no cases."""
    W, b, a = (np.asarray(array, np.float64) for array in (W, b, a))
    if statement["tangential"] and W.shape[1] == 1:
        return bound >= 0  # nothing lies along a sphere of two points
    if statement["cells"]:
        return all(square <= Fraction(bound) ** 2 for square in squares_of_cells(W, b, a, activation, statement, bound))
    if not is_moderate(W, a, statement["domain"], statement["radius"]):
        raise OverflowError
    if activation == FORM:
        return proves_form(W, a, statement["radius"], bound)
    active = (a != 0) & W.any(1)
    thin = beside_thin(W, b, a, activation, statement)
    low, high = slopes(W, b, activation, statement["domain"], statement["radius"])
    for (alpha, beta, along), case in zip(each_case(W, b, a, activation, statement), statement["cases"], strict=True):
        free, weights = np.array(case["neurons"], int), np.array(case["weights"], float)
        if weights.shape != (1 + len(free),):
            raise ValueError(f"there are {weights.size} weights where {1 + len(free)} are needed")
        alpha[free], beta[free] = low[free], high[free]  # the weights are for neurons of which no more is known
        with_tied = np.array([*free, *(neuron for neuron, _, _ in statement["ties"])], int)
        if np.delete((alpha < beta) & active, with_tied).any():
            raise ValueError("a neuron without a weight has an unknown slope")
        if not (active & ((alpha != 0) | (beta != 0))).any() and not thin:
            continue  # the gradient is 0
        form = gradient_form(W, a, alpha, beta, with_tied)
        form = tied(form, W, b, activation, alpha, beta, free.tolist(), statement["ties"])
        if statement["crowd"] is None:
            if not proves_case(form, weights, Fraction(bound) ** 2 + Fraction(along) ** 2, thin):
                return False
            continue
        caps = caps_of(W, b, activation, statement["radius"])
        sign = np.where(caps.inside == beta, 1.0, -1.0)[free]
        rho, kappa = statement["crowd"]
        form = with_crowd(form, rho, kappa, caps.t[free], caps.n[free], sign)
        left = Fraction(bound) ** 2 / form.unit**2 - form.constant - Fraction(form.slack)
        mu = float(left / sum(map(Fraction, weights.tolist()))) * (1.0 - g(2))
        if not (0 < mu < np.inf and is_below(form, weights, mu)):
            return False
    return True


def proves_case(form: Form, weights: np.ndarray, square: Fraction, beside: Fraction) -> bool:
    """Whether (||F' r|| + beside)^2 <= square; rows of weight 0 and all errors are added by their lengths."""
    heavy = (weights > 0) & form.F.any(1)
    lengths = [*safe_norms(form.F[~heavy & form.F.any(1)]).tolist(), *form.errors.tolist()]
    left = root_below(square) / form.unit - beside / form.unit - sum(map(Fraction, lengths))
    if left < 0 or not heavy.any():
        return left >= 0
    mu = float(left**2 / sum(map(Fraction, weights[heavy].tolist()))) * (1.0 - g(2))
    exact = Form(form.F[heavy], np.zeros(int(heavy.sum())), form.unit)
    return 0 < mu < np.inf and is_below(exact, weights[heavy], mu)


# --- Cells, for d <= 2: exact fractions throughout -------------------------------------------------------------------


class Line(NamedTuple):
    """{n . x + c = 0}, and how the gradient jumps to the side where n . x + c > 0."""

    n: tuple[Fraction, Fraction]
    c: Fraction
    jump: tuple[Fraction, Fraction]


Vector = tuple[Fraction, Fraction]


def dot(v: Vector, w: Vector) -> Fraction:
    """v . w."""
    return v[0] * w[0] + v[1] * w[1]


def left_of(v: Vector) -> Vector:
    """The vector turned left by 90 degrees."""
    return -v[1], v[0]


def sign_of(p: Fraction, q: Fraction, square: Fraction) -> int:
    """The sign of p + q sqrt(square)."""
    if p >= 0 and q >= 0 or p <= 0 and q <= 0:
        return int(p > 0 or (q > 0 and square > 0)) - int(p < 0 or (q < 0 and square > 0))
    larger = p * p - q * q * square
    return 0 if larger == 0 else (1 if (larger > 0) == (p > 0) else -1)


def lines_of(W: np.ndarray, b: np.ndarray, a: np.ndarray, activation: str) -> tuple[list[Line], Vector]:
    """Different lines across which the gradient jumps, and the gradient where all n . x + c < 0, if there is such x."""
    low, high = map(Fraction, SLOPES[activation])
    base = (Fraction(0), Fraction(0))
    merged: dict[tuple[Fraction, Fraction, Fraction], Vector] = {}
    for row, bias, factor in zip(W.tolist(), b.tolist(), a.tolist(), strict=True):
        if not factor or not any(row):
            continue
        w = (Fraction(row[0]), Fraction(row[1]))
        pivot = w[0] or w[1]
        v = (Fraction(factor) * w[0], Fraction(factor) * w[1])
        at_minus, jump = (low, high - low) if pivot > 0 else (high, low - high)
        base = base[0] + at_minus * v[0], base[1] + at_minus * v[1]
        key = w[0] / pivot, w[1] / pivot, Fraction(bias) / pivot
        before = merged.get(key, (Fraction(0), Fraction(0)))
        merged[key] = before[0] + jump * v[0], before[1] + jump * v[1]
    return [Line((p, q), c, jump) for (p, q, c), jump in merged.items() if any(jump)], base


def gradient_where(lines: list[Line], base: Vector, signs: Iterable[int]) -> Vector:
    """The gradient where the lines have these signs."""
    for line, sign in zip(lines, signs, strict=True):
        if sign > 0:
            base = base[0] + line.jump[0], base[1] + line.jump[1]
    return base


def squares_of_cells(
    W: np.ndarray, b: np.ndarray, a: np.ndarray, activation: str, statement: dict[str, Any], bound: float
) -> Iterator[Fraction]:
    """The squared gradient norms of all cells that meet the domain; along the circle, what they reach there."""
    used = np.ones(W.shape[1], bool) if statement["tangential"] else W[a != 0].any(0)
    if used.sum() > 2:
        raise ValueError("cells are for two dimensions at most")
    domain = "ball" if statement["domain"] == "sphere" and not used.all() else statement["domain"]
    radius = None if domain == "space" else Fraction(statement["radius"])
    lines, base = lines_of(np.pad(W[:, used], [(0, 0), (0, 2 - used.sum())]), b, a, activation)
    if used.sum() <= 1:
        points = places_on_line([-line.c / line.n[0] for line in lines], radius, domain == "sphere")
        signs = [[1 if line.n[0] * x + line.c > 0 else -1 for line in lines] for x in points]
        gradients = [gradient_where(lines, base, each) for each in signs]
        yield from (dot(g, g) for g in gradients)
    elif domain == "sphere":
        yield from squares_on_circle(lines, base, Fraction(statement["radius"]), statement["tangential"], bound)
    else:
        yield from squares_in_plane(lines, base, radius)


def places_on_line(kinks: list[Fraction], radius: Fraction | None, two_points: bool) -> list[Fraction]:
    """A point of every interval between kinks within the radius; or the two ends that are no kinks."""
    if two_points and radius is not None:
        return [end for end in (-radius, radius) if end not in kinks]
    ends = (min([*kinks, Fraction(0)]) - 2, max([*kinks, Fraction(0)]) + 2) if radius is None else (-radius, radius)
    edges = sorted({*ends, *(kink for kink in kinks if ends[0] < kink < ends[1])})
    return [(first + last) / 2 for first, last in zip(edges, edges[1:], strict=False)]


def squares_in_plane(lines: list[Line], base: Vector, radius: Fraction | None) -> Iterator[Fraction]:
    """Every cell has an edge on a line: a point of each edge, and the gradients on both sides of it."""
    cutting = [line for line in lines if radius is None or line.c**2 < radius**2 * dot(line.n, line.n)]
    signs = [1 if line.c > 0 else -1 for line in lines]
    if not cutting:
        g = gradient_where(lines, base, signs)
        yield dot(g, g)
    for own in cutting:
        size, u = dot(own.n, own.n), left_of(own.n)
        foot = (-own.c * own.n[0] / size, -own.c * own.n[1] / size)

        def at(place: Fraction, foot: Vector = foot, u: Vector = u) -> Vector:
            return foot[0] + place * u[0], foot[1] + place * u[1]

        crossings = {-(dot(line.n, foot) + line.c) / dot(line.n, u) for line in lines if dot(line.n, u) != 0}
        if radius is not None:
            crossings = {place for place in crossings if dot(at(place), at(place)) < radius**2}
        places = sorted(crossings)
        middles = [(first + last) / 2 for first, last in zip(places, places[1:], strict=False)]
        for end, step in ((places[0], -1), (places[-1], 1)) if places else ((Fraction(0), 0),):
            reach = Fraction(step)
            while radius is not None and dot(at(end + reach), at(end + reach)) >= radius**2:
                reach /= 2
            middles.append(end + reach)
        for x in map(at, middles):
            others = [line for line in lines if line is not own]
            g = gradient_where(others, base, [1 if dot(line.n, x) + line.c > 0 else -1 for line in others])
            yield dot(g, g)
            g = g[0] + own.jump[0], g[1] + own.jump[1]
            yield dot(g, g)


def squares_on_circle(
    lines: list[Line], base: Vector, radius: Fraction, tangential: bool, bound: float
) -> Iterator[Fraction]:
    """Every arc begins behind a point where a line cuts the circle: y = (-c n + side sqrt(D) u) / |n|^2, |y| = 1.

    There the sign of a line is that of p + q sqrt(D), and if that is 0, of how it grows along the circle. The
    gradient's part along the circle is largest at an end of the arc or, being all of it, where y is at a right angle.
    """
    lines = [line._replace(n=(line.n[0] * radius, line.n[1] * radius)) for line in lines]
    constant = [1 if line.c > 0 else -1 for line in lines]
    cutting = [line for line in lines if line.c**2 < dot(line.n, line.n)]
    if not cutting:
        g = gradient_where(lines, base, constant)
        yield dot(g, g)
    for own in cutting:
        size, u = dot(own.n, own.n), left_of(own.n)
        D = size - own.c**2
        for side in (1, -1):
            for onwards in (1, -1) if tangential else (1,):
                signs = []
                for line, outside in zip(lines, constant, strict=True):
                    along, across = dot(line.n, own.n), dot(line.n, u)
                    sign = sign_of(line.c * size - own.c * along, side * across, D)
                    if sign == 0:  # n . y turned left
                        grows = sign_of(-own.c * dot(line.n, u), -side * dot(line.n, own.n), D)
                        sign = onwards * grows if line.c**2 < dot(line.n, line.n) else outside
                    signs.append(sign)
                g = gradient_where(lines, base, signs)
                if not tangential:
                    yield dot(g, g)
                    continue
                # g . (y turned left) = (-c (g . u) - side sqrt(D) (g . n)) / |n|^2, compared with the bound
                p, q = -own.c * dot(g, u), -side * dot(g, own.n)
                limit = Fraction(bound) * size
                is_below_there = sign_of(limit - p, -q, D) >= 0 and sign_of(limit + p, q, D) >= 0
                yield Fraction(0) if is_below_there else dot(g, g) + limit**2 + 1
                if dot(g, g) > Fraction(bound) ** 2 and holds_normal(lines, signs, g):
                    yield dot(g, g)


def holds_normal(lines: list[Line], signs: list[int], g: Vector) -> bool:
    """Whether a point of the unit circle at a right angle to g lies where the lines have these signs, or on the rim."""
    for side in (1, -1):
        u = left_of(g)
        at = [sign_of(line.c * dot(g, g), side * dot(line.n, u), dot(g, g)) for line in lines]
        if all(there * sign >= 0 for there, sign in zip(at, signs, strict=True)):
            return True
    return False


class Refused(Exception):
    """Why a certificate proves nothing."""


def require(holds: Any, why: str) -> None:
    """Refuse a certificate with a sentence where something does not hold."""
    if not holds:
        raise Refused(why)


def require_numbers(**arrays: np.ndarray) -> None:
    """Refuse what is not finite, or not exactly a float64."""
    for name, array in arrays.items():
        numbers = array.dtype.kind in "iuf" and array.dtype.itemsize <= 8
        require(numbers, f"The network's {name} does not hold numbers of double precision or less.")
        require(np.isfinite(array).all(), f"The network's {name} has NaN or infinite weights.")
        exact = array.dtype.kind == "f" or bool((np.abs(array.astype(np.float64)) < 2**53).all())
        require(exact, f"The network's {name} has integers too large for double precision.")


def check_network(arrays: dict[str, np.ndarray], record: dict[str, Any]) -> tuple[Fraction, str]:
    """The bound that is proved for a network of one hidden layer, and on what, in words."""
    require({"W", "b", "a"} <= set(arrays), "The network file lacks W, b or a.")
    W, b, a = (arrays[name] for name in "Wba")
    c, activation = arrays.get("c", np.zeros((), W.dtype)), str(arrays.get("activation", "relu"))
    try:
        network, bound = record["network"], float(record["bound"])
        domain, radius, tangential = record["domain"], float(record["radius"]), bool(record["tangential"])
        crowd = None if record["crowd"] is None else tuple(map(float, record["crowd"]))
        leaders = [case["leader"] for case in record["cases"]]
        if not all(leader is None or type(leader) is int for leader in leaders):
            raise TypeError(leaders)
        thin, cells, ties = record.get("thin", []), record.get("cells", False), record.get("ties", [])
        if not all(len(tie) == 3 and all(type(number) is int for number in tie) for tie in ties):
            raise TypeError(ties)
        if type(cells) is not bool or not all(type(neuron) is int for neuron in thin):
            raise TypeError(thin)
        cases = [
            {**case, "neurons": np.array(case["neurons"], int), "weights": np.array(case["weights"], float)}
            for case in record["cases"]
        ]
        if not all(case["neurons"].ndim == case["weights"].ndim == 1 for case in cases):
            raise TypeError(cases)
    except Exception:
        raise Refused("This is not a certificate: it is damaged or of another kind.") from None
    require_numbers(W=W, b=b, a=a, c=c)
    fits = W.ndim == 2 and b.shape == W.shape[:1] and a.shape == W.shape[:1] and c.ndim == 0 and 0 not in W.shape
    require(fits, "The network's arrays do not fit together.")
    require(slope_range(activation) or activation == FORM, f"There is no slope interval for {activation!r}.")
    require(network == digest((W, b, a, c), activation), "The certificate is for another network.")
    known = domain in ("space", "ball", "sphere") and 0 < radius < np.inf and not (tangential and domain != "sphere")
    require(known, f"The domain {domain!r} of radius {radius} is unknown.")
    require(0 <= bound < np.inf, f"A bound of {bound} says nothing.")
    if activation == FORM:
        plain = domain != "space" and not b.any() and not cases and crowd is None and not thin and not cells
        require(plain, "Quadratic forms are checked on a ball or sphere, without biases, cases and crowds.")
    else:
        covers = cells or (
            leaders[-1:] == [None] and set(leaders[:-1]) <= set(range(len(a))) and len(set(leaders)) == len(leaders)
        )
        require(covers, "The cases do not cover the domain: their leaders must be different neurons, and at last none.")
    has_caps = domain != "space" and activation in KINKED
    plain = not thin or (tangential and has_caps and len(leaders) == 1 and crowd is None)
    require(plain and set(thin) <= set(range(len(a))), "Thin caps are for neurons with a kink, along the sphere.")
    require(len(set(thin)) == len(thin), "A thin cap is named twice.")
    require(has_caps or (len(leaders) <= 1 and crowd is None), "There are no caps on this domain or activation.")
    if crowd is not None:
        plain = len(leaders) == 1 and len(crowd) == 2 and all(0 < number < np.inf for number in crowd)
        require(plain, "A crowd is two positive numbers, and has no cases.")
    for case in cases:
        named, weights = case["neurons"].tolist(), case["weights"]
        there = set(named) <= set(range(len(a)))
        require(there, "The certificate is for another network: it names a neuron that is not there.")
        require(len(set(named)) == len(named), "A case names a neuron twice.")
        usable = np.isfinite(weights).all() and ((weights > 0) | ((weights == 0) & (crowd is None))).all()
        require(usable, "The weights must be finite and not negative, and positive in a crowd.")
    tied_neurons = [neuron for neuron, _, _ in ties]
    plain = not ties or (len(leaders) == 1 and crowd is None and not thin and not cells)
    there = {number for neuron, head, _ in ties for number in (neuron, head)} <= set(range(len(a)))
    twice = len({*tied_neurons, *(cases[0]["neurons"].tolist() if cases else [])}) < len(tied_neurons) + sum(
        len(case["neurons"]) for case in cases
    )
    require(plain and there and not (ties and twice), "The ties do not fit the network or the rest of the proof.")
    plain = not cells or (activation in (*KINKED, "identity") and not cases and crowd is None and not thin)
    require(plain, "A proof by cells is for piecewise-linear activations and has no weights.")
    statement = {
        "domain": domain,
        "radius": radius,
        "tangential": tangential,
        "cases": cases,
        "crowd": crowd,
        "ties": ties,
        "thin": thin,
        "cells": cells,
    }
    try:
        proved = proves(W, b, a, activation, statement, bound)
    except ValueError as error:
        raise Refused(f"The certificate is damaged or for another network: {error}.") from None
    except (OverflowError, FloatingPointError):
        raise Refused(f"The weights or the bound {bound!r} are too large, too small or too far apart.") from None
    require(proved, f"The weights do not prove the bound {bound!r}.")
    where = "R^d" if domain == "space" else f"the {domain} of radius {radius:g}"
    return Fraction(bound), f"gradient's part along {where}" if tangential else f"Lipschitz constant on {where}"


def check_deep(arrays: dict[str, np.ndarray], record: dict[str, Any]) -> tuple[Fraction, str]:
    """The bound that is proved for f(x) = g(ReLU(A x + u)), and on what: arrays A, u, and those of g as outer_W, ..."""
    require({"A", "u"} <= set(arrays), "The network file lacks A or u.")
    A, u = (arrays[name] for name in "Au")
    outer = {name.removeprefix("outer_"): array for name, array in arrays.items() if name.startswith("outer_")}
    try:
        norm, bound, inner, of_outer = float(record["norm"]), float(record["bound"]), record["inner"], record["outer"]
        whole = of_outer["domain"] == "space"
    except Exception:
        raise Refused("This is not a certificate: it is damaged or of another kind.") from None
    require_numbers(A=A, u=u)
    fits = A.ndim == 2 and u.shape == A.shape[:1] and "W" in outer and outer["W"].shape[1:] == u.shape
    require(fits and 0 not in A.shape, "The network's arrays do not fit together.")
    require(inner == digest((A, u), "relu"), "The certificate is for another network.")
    require(whole, "The bound of the outer layers must be one on R^d.")
    require(0 <= bound < np.inf and 0 <= norm < np.inf, f"A bound of {bound} says nothing.")
    proved, on = check_network(outer, of_outer)
    require(Fraction(bound) >= Fraction(norm) * proved, f"The factors do not prove the bound {bound!r}.")
    try:
        proved_norm = proves_norm(A.astype(np.float64), norm)
    except (OverflowError, FloatingPointError):
        proved_norm = False
    require(proved_norm, f"The first layer's norm is not proved to be at most {norm!r}.")
    return Fraction(bound), on


KINDS = {KIND: check_network, DEEP: check_deep}
CERTIFICATE = "certificate"  # the array of a network's file that may hold its certificate's JSON
OF_LAYER = ("W", "b", "a", "c", "activation")
ARRAYS = {KIND: OF_LAYER, DEEP: ("A", "u", *(f"outer_{name}" for name in OF_LAYER))}


def read_network(path: Any) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name."""
    arrays: dict[str, np.ndarray] = {}
    what = "it is no archive of arrays"
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:  # np.load leaves its own open
            for name in list(file.files):
                what = f"its array {name} cannot be read"
                require(name not in arrays, f"{path} has two arrays called {name}.")
                arrays[name] = file[name]
                if not isinstance(arrays[name], np.ndarray):
                    raise TypeError(name)
    except Refused:
        raise
    except Exception:
        raise Refused(f"{path} is not a network file: {what}.") from None
    return arrays


def holds_certificate(path: Any) -> bool:
    """Whether an .npz file has the array `certificate`."""
    try:
        return CERTIFICATE in read_network(path)
    except Refused:
        return False


def text_inside(path: Any, arrays: dict[str, np.ndarray]) -> str:
    """The certificate that stands in the network's own file, as one text."""
    require(CERTIFICATE in arrays, f"{path} holds no certificate; name the file of one.")
    array = arrays[CERTIFICATE]
    require(array.size == 1 and array.dtype.kind in "SU", f"The certificate in {path} is not one text.")
    word = array.reshape(()).item()
    return word.decode(errors="replace") if isinstance(word, bytes) else word


def text_of(path: Any) -> str:
    """The certificate in a file of its own, as one text."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except Exception:
        raise Refused(f"{path} is not a certificate: it is damaged or of another kind.") from None


def certificate_of(text: str, path: Any) -> dict[str, Any]:
    """The record of a certificate, of a kind that is known; a name that stands twice could mean either."""

    def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for name, value in pairs:
            require(name not in record, f"{path} is not a certificate: it gives {name!r} twice.")
            record[name] = value
        return record

    try:
        record = json.loads(text, object_pairs_hook=each_once)
        kind = str(record["kind"])
    except Refused:
        raise
    except Exception:
        raise Refused(f"{path} is not a certificate: it is damaged or of another kind.") from None
    require(kind in KINDS, f"{path} is of a kind this checker does not know: {kind!r}.")
    return {**record, "kind": kind}


def in_usual_shapes(arrays: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """The arrays as networks are loaded: b of zeros where there is none, axes of length one left out, a plain name."""
    unknown = sorted(set(arrays) - set(ARRAYS[kind]))
    require(not unknown, f"The network file has an array {', '.join(unknown)}, of which nothing is known.")
    of, found = "outer_" if kind == DEEP else "", dict(arrays)
    W, psi = found.get(f"{of}W"), found.get(f"{of}activation")
    if psi is not None and psi.size == 1:
        word = psi.reshape(()).item()
        found[f"{of}activation"] = np.array(word.decode(errors="replace") if isinstance(word, bytes) else str(word))
    if W is None or W.ndim != 2:
        return found
    found.setdefault(f"{of}b", np.zeros(len(W), W.dtype))
    vector = ((len(W),), (1, len(W)))
    for name, shapes in ((f"{of}b", vector), (f"{of}a", vector), (f"{of}c", ((), (1,)))):
        if name in found:
            shape = found[name].shape
            require(shape in shapes, f"{name} has shape {shape}, but {of}W of shape {W.shape} asks for {shapes[0]}.")
            found[name] = found[name].reshape(shapes[0])
    return found


def check(network_path: Any, certificate_path: Any = None) -> tuple[bool, str]:
    """(valid, why), by the certificate in a file of its own; where none is named, by the one in the network's file."""
    try:
        arrays = read_network(network_path)
        text = text_inside(network_path, arrays) if certificate_path is None else text_of(certificate_path)
        record = certificate_of(text, network_path if certificate_path is None else certificate_path)
        arrays.pop(CERTIFICATE, None)
        with np.errstate(over="raise", invalid="raise"):
            bound, on = KINDS[record["kind"]](in_usual_shapes(arrays, record["kind"]), record)
    except Refused as error:
        return False, str(error)
    except MemoryError:
        return False, "The network is too large for the memory of this machine."
    return True, f"Proved: the {on} is at most {float(bound)!r}."


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: check.py NETWORK.npz [CERTIFICATE.json]")
    valid, why = check(*sys.argv[1:])
    print(why)
    sys.exit(0 if valid else 1)
