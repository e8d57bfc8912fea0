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
sphere or ball the proof may go part by part (`each_part`). For the gradient's part along the sphere,
|grad f(x) . x| / R >= along leaves ||grad f||^2 <= bound^2 + along^2 to be proved. Every rounding is counted: n of them
have a relative error of at most g(n) = 2 n u, u = 2^-53.

For psi(t) = t^2 without biases the gradient is 2 T x, T = sum_l a_l w_l w_l'; on the ball and the sphere of radius R

    bound / (2 R) I - T and bound / (2 R) I + T positive semidefinite   implies   ||grad f|| <= bound.

For two hidden layers, f(x) = g(ReLU(A x + u)), Lip(f) <= N Lip(g) if N^2 I - A A' is positive semidefinite.
"""

import hashlib
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

U = 2.0**-53
SLOPES = {  # of smooth activations, on R
    "tanh": (0.0, 1.0),
    "sigmoid": (0.0, 0.25),
    "softplus": (0.0, 1.0),
    "silu": (-0.099839320128868, 1.099839320128868),
    "elu": (0.0, 1.0),
    "gelu": (-0.128904145185156, 1.128904145185156),
    "gelu:tanh": (-0.128993068658773, 1.128993068658773),
}
TURNS = {  # where psi'' changes its sign
    "tanh": (0.0,),
    "sigmoid": (0.0,),
    "softplus": (),
    "silu": (-2.3993572805154677, 2.3993572805154677),  # t tanh(t / 2) = 2
    "elu": (),
    "gelu": (-math.sqrt(2), math.sqrt(2)),
    "gelu:tanh": (-1.4185040087908284, 1.4185040087908284),
}
PIECES = {  # kinks of piecewise-linear activations, and the slopes before, between and after them
    "identity": ((), (1.0,)),
    "relu": ((0.0,), (0.0, 1.0)),
    "leaky_relu": ((0.0,), (0.01, 1.0)),
    "abs": ((0.0,), (-1.0, 1.0)),
    "relu6": ((0.0, 6.0), (0.0, 1.0, 0.0)),
    "hard_tanh": ((-1.0, 1.0), (0.0, 1.0, 0.0)),
}
ALIASES = {"swish": "silu"}
FAMILIES = ("leaky_relu", "power", "polynomial")
KIND = "lawjax certificate 2"
DEEP = "lawjax certificate of two hidden layers 2"
FORM = "power:2"
FIELDS = {"kind", "network", "bound", "domain", "radius", "tangential", "proof", "assumed"}
BY = {
    "slopes": {"by", "neurons", "weights", "ties", "thin"},
    "disjoint caps": {"by", "parts"},
    "overlapping caps": {"by", "neurons", "weights", "rho", "kappa"},
    "cells": {"by"},
    "form": {"by"},
}
FAR = 1e60


class Assumed(NamedTuple):
    """What a certificate says of an activation that this checker does not know: it is proved if that is true.

    `slopes` hold psi' on R, `neurons` (k, 2) the slopes of each neuron on the domain; or psi is piecewise linear with
    these kinks, and these slopes, `sides`, before, between and after them.
    """

    name: str
    slopes: tuple[float, float]
    neurons: np.ndarray | None
    kinks: tuple[float, ...]
    sides: tuple[float, ...]

    @property
    def condition(self) -> str:
        """In words."""
        name = self.name if re.fullmatch(r"[A-Za-z0-9_.:+-]+", self.name) else ascii(self.name)  # in plain letters
        sides, kinks = ([repr(number).removesuffix(".0") for number in of] for of in (self.sides, self.kinks))
        if len(sides) == 1:
            return f"if the slope of {name} is {sides[0]}"
        if len(sides) == 2:
            return f"if the slope of {name} is {sides[0]} before its kink at {kinks[0]} and {sides[1]} behind it"
        if sides:
            between = f"before, between and behind its kinks at {', '.join(kinks)}"
            return f"if the slopes of {name} are {', '.join(sides)} {between}"
        low, high = (repr(number).removesuffix(".0") for number in self.slopes)
        everywhere = f"if the slopes of {name} are in [{low}, {high}]"
        return everywhere + ("" if self.neurons is None else ", and on the domain in the interval given to each neuron")


Psi = str | Assumed


def name_of(psi: Psi) -> str:
    """Its name in quotes, in plain letters."""
    return ascii(psi.name if isinstance(psi, Assumed) else psi)


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


def logistic(t: float) -> float:
    """1 / (1 + exp(-t))."""
    tail = math.exp(-abs(t))
    return (1.0 if t > 0 else tail) / (1.0 + tail)


def smooth_slope(activation: str, t: float) -> float:
    """psi'(t) for the smooth activations, to some 1e-15."""
    t = min(max(t, -1e3), 1e3)  # beyond, nothing but the limits is left
    if activation in ("tanh", "sigmoid"):
        tail = math.exp(-(2.0 if activation == "tanh" else 1.0) * abs(t))  # 1 - tanh(t)^2 cancels
        return (4.0 if activation == "tanh" else 1.0) * tail / (1.0 + tail) ** 2
    if activation == "softplus":
        return logistic(t)
    if activation == "elu":
        return math.exp(min(t, 0.0))
    if activation == "silu":
        return logistic(t) * (1.0 + t * logistic(-t))
    if activation == "gelu:tanh":
        factor = 2.0 * math.sqrt(2.0 / math.pi)
        cubic = factor * (t + 0.044715 * t**3)
        return logistic(cubic) * (1.0 + t * factor * (1.0 + 3.0 * 0.044715 * t * t) * logistic(-cubic))
    return 0.5 * math.erfc(-t / math.sqrt(2)) + t * math.exp(-min(t * t, 1400.0) / 2) / math.sqrt(2 * math.pi)


def pieces_of(psi: Psi) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """The kinks of a piecewise-linear psi, and its slopes before, between and after them; None for any other."""
    if isinstance(psi, Assumed):
        return (psi.kinks, psi.sides) if psi.sides else None
    kind, _, parameters = psi.partition(":")
    try:
        if kind == "leaky_relu" and parameters:
            slope = float(parameters)
            return ((0.0,), (slope, 1.0)) if -np.inf < slope < 1.0 else None
        if kind == "power" and int(parameters) == 1:
            return (), (1.0,)
        if kind == "polynomial":
            c = [float(number) for number in parameters.split(",")]
            if np.isfinite(c).all() and not any(c[2:]):
                return (), (c[1] if len(c) > 1 else 0.0,)
    except ValueError:
        return None
    return PIECES.get(psi)


def sides_of(psi: Psi) -> tuple[float, float]:
    """The slopes left and right of a psi with one kink, at 0."""
    kinks, sides = pieces_of(psi) or ((), ())
    if kinks != (0.0,):
        raise ValueError("the activation is not bent at 0 alone")
    return sides[0], sides[1]


def is_kinked(psi: Psi) -> bool:
    """Whether psi is linear on either side of 0, so that kinks are hyperplanes w . x + b = 0."""
    kinks, sides = pieces_of(psi) or ((), ())
    return kinks == (0.0,) and sides[0] < sides[1]


def slope_range(psi: Psi) -> tuple[float, float] | None:
    """The interval of psi' on R; a polynomial has one if it is affine. None where none is known."""
    pieces = pieces_of(psi)
    if pieces:
        return min(pieces[1]), max(pieces[1])
    return psi.slopes if isinstance(psi, Assumed) else SLOPES.get(psi)


def is_strange(activation: str) -> bool:
    """Whether a name means none of the activations known here, in any spelling that could be taken for one."""
    kind = activation.partition(":")[0]
    known = {re.sub("[^a-z0-9]", "", name) for name in (*PIECES, *SLOPES, *ALIASES, *FAMILIES)}
    return not {re.sub("[^a-z0-9]", "", name.lower()) for name in (activation, kind)} & known


def psi_of(activation: str, said: Any, k: int) -> Psi:
    """The activation, with what a certificate says of one that is not known here; of those known it may say nothing."""
    if said is None:
        return activation
    require(is_strange(activation), f"The slopes of {ascii(activation)} are not the certificate's to say.")
    try:
        low, high = map(float, said["slopes"])
        kinks, sides = (tuple(map(float, said[name])) for name in ("kinks", "sides"))
        neurons = None if said["neurons"] is None else np.array(said["neurons"], float).reshape(k, 2)
        ordered = all(one < other for one, other in zip(kinks, kinks[1:], strict=False))
        plain = neurons is None and ordered and len(sides) == len(kinks) + 1 if sides else not kinks
        usable = np.isfinite([low, high, *kinks, *sides]).all() and low <= high
        if sides:
            usable = usable and (low, high) == (min(sides), max(sides))
        if neurons is not None:
            usable = usable and (low <= neurons[:, 0]).all() and (neurons[:, 1] <= high).all()
            usable = usable and (neurons[:, 0] <= neurons[:, 1]).all()
    except Exception:
        raise Refused("This is not a certificate: it is damaged or of another kind.") from None
    require(plain and usable, "What the certificate says of its activation's slopes does not fit together.")
    return Assumed(activation, (low, high), neurons, kinks, sides)


def side_of_kink(W: np.ndarray, b: np.ndarray, kink: float, radius: float) -> np.ndarray:
    """1 or -1 where pre-activations are above or below the kink in the whole open ball, 0 where they cross it."""
    reach, offset = radius * safe_norms(W) * (1.0 + g(4)), b - kink
    side = np.where(np.abs(offset) * (1.0 - g(2)) >= reach, np.sign(offset), 0.0)
    for i in np.flatnonzero((side == 0) & (np.abs(offset) >= reach * (1.0 - 1e-11)) & (offset != 0)):
        if (Fraction(float(b[i])) - Fraction(kink)) ** 2 >= Fraction(radius) ** 2 * square_of(W[i]):  # tangent, exactly
            side[i] = np.sign(offset[i])
    return side


def slopes(W: np.ndarray, b: np.ndarray, activation: Psi, domain: str, radius: float) -> tuple[Any, Any]:
    """Intervals [alpha_l, beta_l] of slopes on the domain: on a ball or sphere pre-activations are b_l +- R ||w_l||."""
    low, high = slope_range(activation) or (-np.inf, np.inf)
    alpha, beta = np.full(len(b), low), np.full(len(b), high)
    if domain == "space":
        return alpha, beta
    pieces = pieces_of(activation)
    if pieces:
        met = np.ones((len(pieces[1]), len(b)), bool)  # whether pre-activations reach a piece
        for place, kink in enumerate(pieces[0], start=1):
            side = side_of_kink(W, b, kink, radius)
            met[:place] &= side <= 0
            met[place:] &= side >= 0
        each = np.array(pieces[1])[:, None]
        return np.where(met, each, np.inf).min(0), np.where(met, each, -np.inf).max(0)
    if isinstance(activation, Assumed):
        return (alpha, beta) if activation.neurons is None else tuple(activation.neurons.T.copy())
    if activation in TURNS:
        reach = radius * safe_norms(W) * (1.0 + g(4))
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


def caps_of(W: np.ndarray, b: np.ndarray, activation: Psi, radius: float) -> Caps:
    """The caps of all neurons of a piecewise-linear activation."""
    low, high = sides_of(activation)
    size = np.where(W.any(1), safe_norms(W), 1.0)
    t = -b / size / radius
    side, cut = np.where(t >= 0, 1.0, -1.0), W.any(1) & (np.abs(t) < 1.0 - 1e-10)
    n, t = W / size[:, None] * side[:, None], np.where(cut, np.abs(t), 0.0)
    inside, outside = np.where(side > 0, high, low), np.where(side > 0, low, high)
    return Caps(n, t, np.sqrt(1.0 - t * t), cut, size, inside, outside)


class Part(NamedTuple):
    """A part of the domain, and weights for v_0 and the neurons whose slopes are not known there."""

    leader: int | None  # the part lies in its cap
    neurons: np.ndarray
    weights: np.ndarray


class Statement(NamedTuple):
    """What a certificate says besides its bound: where it holds, and how that is proved, in one of the ways of BY."""

    domain: str
    radius: float
    tangential: bool
    by: str
    parts: tuple[Part, ...] = ()
    overlap: tuple[float, float] | None = None  # rho and kappa of `with_overlap`
    ties: tuple[tuple[int, int, int], ...] = ()  # neuron, another one, sign of their r
    thin: tuple[int, ...] = ()  # neurons of thin caps
    assumed: Any = None  # of an activation that is not known here, see `Assumed`


def each_part(
    W: np.ndarray, b: np.ndarray, a: np.ndarray, activation: Psi, statement: Statement
) -> Iterator[tuple[Any, Any, float]]:
    """alpha, beta and a lower bound on |grad f(x) . x| / R for each part.

    Two caps are apart if n_i . n_j < t_i t_j - s_i s_j, the cosine of the sum of their angles, and i lies in j if
    n_i . n_j > t_i t_j + s_i s_j and t_i > t_j. A part is: in the cap of its leader, in none of a leader before it; the
    last one has no leader. So every point lies in one of the parts.
    """
    domain, radius = statement.domain, statement.radius
    alpha, beta = slopes(W, b, activation, domain, radius)
    leaders = [int(part.leader) for part in statement.parts if part.leader is not None]
    for i in statement.thin:
        alpha[i] = beta[i] = sides_of(activation)[int(b[i] > 0)]  # outside of its cap
    if leaders:
        low, high = sides_of(activation)
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
        if statement.tangential:
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


def beside_thin(W: np.ndarray, b: np.ndarray, a: np.ndarray, activation: Psi, statement: Statement) -> Fraction:
    """What thin caps add to the gradient along the sphere: (beta - alpha) |a| ||w|| sin(angle), 90 degrees at most.

    In the cap the angle between x and w_l is at most the cap's, and ||w||^2 sin^2 = ||w||^2 - b^2 / R^2.
    """
    low, high = sides_of(activation) if statement.thin else (0.0, 0.0)
    total = Fraction(0)
    for i in statement.thin:
        square = square_of(W[i]) - (Fraction(float(b[i])) / Fraction(statement.radius)) ** 2
        if b[i] == 0 or square <= 0:
            raise ValueError("a thin cap is none")
        size = root_below(square) * (1 + Fraction(1, 2**60))
        total += (Fraction(high) - Fraction(low)) * abs(Fraction(float(a[i]))) * size
    return total


class Form(NamedTuple):
    """constant + r' (F F' + arrow) r, which over r_0 = 1, |r_l| <= 1 no squared gradient norm of a part exceeds.

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
    activation: Psi,
    alpha: Any,
    beta: Any,
    free: list[int],
    ties: Iterable[tuple[int, int, int]],
) -> Form:
    """The form where neurons on one hyperplane are switched together: the rows at the end are added to the others'.

    With (w_i, b_i) = t (w_j, b_j) the kink of both is at the same points, and r_i = sign(t) r_j if both slopes have the
    whole interval; without kinks t = 1.
    """
    F, errors = form.F.copy(), form.errors.copy()
    for place, (neuron, with_it, sign) in enumerate(ties, start=1 + len(free)):
        one, other = ([Fraction(float(v)) for v in (*W[i].tolist(), b[i])] for i in (neuron, with_it))
        pivot = next(i for i, v in enumerate(other) if v)
        p, q = one[pivot], other[pivot]
        is_one_plane = all(v * q == w * p for v, w in zip(one, other, strict=True)) and p * q * sign > 0
        alike = is_one_plane if is_kinked(activation) else one == other and sign == 1
        if not alike or abs(sign) != 1 or alpha[neuron] != alpha[with_it] or beta[neuron] != beta[with_it]:
            raise ValueError("neurons that are tied are not on one hyperplane")
        row = 1 + free.index(with_it)
        F[row] += sign * F[place]
        errors[row] += errors[place] + g(2) * np.abs(F[row]).sum()
    return form._replace(F=F[: 1 + len(free)], errors=errors[: 1 + len(free)])


def with_overlap(form: Form, rho: float, kappa: float, t: np.ndarray, n: np.ndarray, sign: np.ndarray) -> Form:
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


def proves(W: Any, b: Any, a: Any, name: str, statement: Statement, bound: float) -> bool:
    """Whether the gradient is proved to be at most `bound`: by the weights of every part, by a form, or by cells."""
    W, b, a = (np.asarray(array, np.float64) for array in (W, b, a))
    activation = psi_of(name, statement.assumed, len(a))
    if statement.tangential and W.shape[1] == 1:
        return bound >= 0  # nothing lies along a sphere of two points
    if statement.by == "cells":
        return all(square <= Fraction(bound) ** 2 for square in squares_of_cells(W, b, a, activation, statement, bound))
    if not is_moderate(W, a, statement.domain, statement.radius):
        raise OverflowError
    if statement.by == "form":
        return proves_form(W, a, statement.radius, bound)
    active = (a != 0) & W.any(1)
    thin = beside_thin(W, b, a, activation, statement)
    low, high = slopes(W, b, activation, statement.domain, statement.radius)
    for (alpha, beta, along), part in zip(each_part(W, b, a, activation, statement), statement.parts, strict=True):
        free, weights = part.neurons, part.weights
        if weights.shape != (1 + len(free),):
            raise ValueError(f"there are {weights.size} weights where {1 + len(free)} are needed")
        alpha[free], beta[free] = low[free], high[free]  # the weights are for neurons of which no more is known
        with_tied = np.array([*free, *(neuron for neuron, _, _ in statement.ties)], int)
        if np.delete((alpha < beta) & active, with_tied).any():
            raise ValueError("a neuron without a weight has an unknown slope")
        if not (active & ((alpha != 0) | (beta != 0))).any() and not thin:
            continue  # the gradient is 0
        form = gradient_form(W, a, alpha, beta, with_tied)
        form = tied(form, W, b, activation, alpha, beta, free.tolist(), statement.ties)
        if statement.overlap is None:
            if not proves_part(form, weights, Fraction(bound) ** 2 + Fraction(along) ** 2, thin):
                return False
            continue
        caps = caps_of(W, b, activation, statement.radius)
        sign = np.where(caps.inside == beta, 1.0, -1.0)[free]
        rho, kappa = statement.overlap
        form = with_overlap(form, rho, kappa, caps.t[free], caps.n[free], sign)
        left = Fraction(bound) ** 2 / form.unit**2 - form.constant - Fraction(form.slack)
        mu = float(left / sum(map(Fraction, weights.tolist()))) * (1.0 - g(2))
        if not (0 < mu < np.inf and is_below(form, weights, mu)):
            return False
    return True


def proves_part(form: Form, weights: np.ndarray, square: Fraction, beside: Fraction) -> bool:
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


def lines_of(W: np.ndarray, b: np.ndarray, a: np.ndarray, activation: Psi) -> tuple[list[Line], Vector]:
    """Different lines across which the gradient jumps, and the gradient where all n . x + c < 0, if there is such x."""
    kinks, sides = (list(map(Fraction, of)) for of in pieces_of(activation) or ((), ()))
    base = (Fraction(0), Fraction(0))
    merged: dict[tuple[Fraction, Fraction, Fraction], Vector] = {}
    for row, bias, factor in zip(W.tolist(), b.tolist(), a.tolist(), strict=True):
        if not factor or not any(row):
            continue
        w = (Fraction(row[0]), Fraction(row[1]))
        pivot = w[0] or w[1]
        v = (Fraction(factor) * w[0], Fraction(factor) * w[1])
        at_minus, sign = (sides[0], 1) if pivot > 0 else (sides[-1], -1)
        base = base[0] + at_minus * v[0], base[1] + at_minus * v[1]
        for kink, left, right in zip(kinks, sides, sides[1:], strict=False):
            jump = sign * (right - left)
            key = w[0] / pivot, w[1] / pivot, (Fraction(bias) - kink) / pivot
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
    W: np.ndarray, b: np.ndarray, a: np.ndarray, activation: Psi, statement: Statement, bound: float
) -> Iterator[Fraction]:
    """The squared gradient norms of all cells that meet the domain; along the circle, what they reach there."""
    used = np.ones(W.shape[1], bool) if statement.tangential else W[a != 0].any(0)
    if used.sum() > 2:
        raise ValueError("cells are for two dimensions at most")
    domain = "ball" if statement.domain == "sphere" and not used.all() else statement.domain
    radius = None if domain == "space" else Fraction(statement.radius)
    lines, base = lines_of(np.pad(W[:, used], [(0, 0), (0, 2 - used.sum())]), b, a, activation)
    if used.sum() <= 1:
        points = places_on_line([-line.c / line.n[0] for line in lines], radius, domain == "sphere")
        signs = [[1 if line.n[0] * x + line.c > 0 else -1 for line in lines] for x in points]
        gradients = [gradient_where(lines, base, each) for each in signs]
        yield from (dot(g, g) for g in gradients)
    elif domain == "sphere":
        yield from squares_on_circle(lines, base, Fraction(statement.radius), statement.tangential, bound)
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


def statement_of(record: dict[str, Any]) -> Statement:
    """What a record states, in types."""
    try:
        proof, unknown = record["proof"], set(record) - FIELDS
        require(not unknown, f"A certificate has no field {', '.join(sorted(unknown))}.")
        by = proof["by"]
        require(by in BY, f"There is no proof by {by!r}.")
        require(set(proof) == BY[by], f"A proof by {by} has the fields {', '.join(sorted(BY[by]))}.")
        alone = (
            [{"leader": None, "neurons": proof["neurons"], "weights": proof["weights"]}] if "weights" in proof else []
        )
        given = proof.get("parts", alone)
        require(all(set(part) == set(Part._fields) for part in given), "A part has a leader, neurons and weights.")
        statement = Statement(
            record["domain"],
            float(record["radius"]),
            bool(record["tangential"]),
            by,
            tuple(
                Part(part["leader"], np.array(part["neurons"], int), np.array(part["weights"], float)) for part in given
            ),
            (float(proof["rho"]), float(proof["kappa"])) if "rho" in proof else None,
            tuple((neuron, other, sign) for neuron, other, sign in proof.get("ties", [])),
            tuple(proof.get("thin", [])),
            record.get("assumed"),
        )
        leaders = [part.leader for part in statement.parts if part.leader is not None]
        integers = [*leaders, *statement.thin, *(number for tie in statement.ties for number in tie)]
        if not all(type(number) is int for number in integers):
            raise TypeError(integers)
        if not all(part.neurons.ndim == part.weights.ndim == 1 for part in statement.parts):
            raise TypeError(statement.parts)
    except Refused:
        raise
    except Exception:
        raise Refused("This is not a certificate: it is damaged or of another kind.") from None
    return statement


def require_fitting(statement: Statement, activation: Psi, k: int) -> None:
    """Refuse a statement that is none about a network with k neurons of this activation."""
    domain, radius, tangential, by = statement[:4]
    known = domain in ("space", "ball", "sphere") and 0 < radius < np.inf and not (tangential and domain != "sphere")
    require(known, f"The domain {domain!r} of radius {radius} is unknown.")
    has_caps = domain != "space" and is_kinked(activation)
    fitting = {
        "slopes": activation != FORM,
        "disjoint caps": has_caps,
        "overlapping caps": has_caps,
        "cells": pieces_of(activation) is not None,
        "form": activation == FORM and domain != "space" and not tangential,
    }
    require(fitting[by], f"There is no proof by {by} for {name_of(activation)} on this domain.")
    leaders = [part.leader for part in statement.parts]
    covers = by in ("cells", "form") or (
        leaders[-1:] == [None] and set(leaders[:-1]) <= set(range(k)) and len(set(leaders)) == len(leaders)
    )
    require(covers, "The parts do not cover the domain: their leaders must be different neurons, and at last none.")
    plain = not statement.thin or (tangential and has_caps)
    require(plain and set(statement.thin) <= set(range(k)), "Thin caps are for neurons with a kink, along the sphere.")
    require(len(set(statement.thin)) == len(statement.thin), "A thin cap is named twice.")
    if statement.overlap is not None:
        positive = all(0 < number < np.inf for number in statement.overlap)
        require(positive, "rho and kappa must be positive numbers.")
    for part in statement.parts:
        named, weights = part.neurons.tolist(), part.weights
        there = set(named) <= set(range(k))
        require(there, "The certificate is for another network: it names a neuron that is not there.")
        require(len(set(named)) == len(named), "The neurons of a part are named twice.")
        usable = np.isfinite(weights).all() and ((weights > 0) | ((weights == 0) & (statement.overlap is None))).all()
        require(usable, "The weights must be finite and not negative, and positive for overlapping caps.")
    tied_neurons = [neuron for neuron, _, _ in statement.ties]
    there = {number for neuron, other, _ in statement.ties for number in (neuron, other)} <= set(range(k))
    named = [*tied_neurons, *(neuron for part in statement.parts for neuron in part.neurons.tolist())]
    once = len(set(named)) == len(named)
    require(there and (once or not statement.ties), "The ties do not fit the network or the rest of the proof.")
    require(not (statement.ties and statement.thin), "The ties do not fit the thin caps.")


def check_network(arrays: dict[str, np.ndarray], record: dict[str, Any]) -> tuple[Fraction, str]:
    """The bound that is proved for a network of one hidden layer, and on what, in words."""
    require({"W", "b", "a"} <= set(arrays), "The network file lacks W, b or a.")
    W, b, a = (arrays[name] for name in "Wba")
    c, name = arrays.get("c", np.zeros((), W.dtype)), str(arrays.get("activation", "relu"))
    name = ALIASES.get(name, name)
    try:
        network, bound = record["network"], float(record["bound"])
    except Exception:
        raise Refused("This is not a certificate: it is damaged or of another kind.") from None
    statement = statement_of(record)
    require_numbers(W=W, b=b, a=a, c=c)
    fits = W.ndim == 2 and b.shape == W.shape[:1] and a.shape == W.shape[:1] and c.ndim == 0 and 0 not in W.shape
    require(fits, "The network's arrays do not fit together.")
    activation = psi_of(name, statement.assumed, len(a))
    require(slope_range(activation) or activation == FORM, f"There is no slope interval for {name!r}.")
    require(network == digest((W, b, a, c), name), "The certificate is for another network.")
    require(0 <= bound < np.inf, f"A bound of {bound} says nothing.")
    require_fitting(statement, activation, len(a))
    require(activation != FORM or not b.any(), "Quadratic forms are checked without biases.")
    try:
        proved = proves(W, b, a, name, statement, bound)
    except ValueError as error:
        raise Refused(f"The certificate is damaged or for another network: {error}.") from None
    except (OverflowError, FloatingPointError):
        raise Refused(f"The weights or the bound {bound!r} are too large, too small or too far apart.") from None
    require(proved, f"The bound {bound!r} is not proved.")
    domain, radius = statement.domain, statement.radius
    where = "R^d" if domain == "space" else f"the {domain} of radius {radius:g}"
    on = f"the gradient's part along {where}" if statement.tangential else f"the Lipschitz constant on {where}"
    return Fraction(bound), f", {activation.condition}: {on}" if isinstance(activation, Assumed) else f": {on}"


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
    return True, f"Proved{on} is at most {float(bound)!r}."


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: check.py NETWORK.npz [CERTIFICATE.json]")
    valid, why = check(*sys.argv[1:])
    print(why)
    sys.exit(0 if valid else 1)
