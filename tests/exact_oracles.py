"""The truth about small networks with piecewise-linear psi, in integers: nothing here is shared with lawjax.lipschitz.

A float is an integer times a power of two, so the kinks w_l . x + b_l = 0 and the gradient of every cell are known
exactly, and which cells a domain meets is decided without rounding: points of a sphere have coordinates p + s sqrt(D)
with fractions p, s, D, whose signs are those of integers. Values are right to a few units in the last place.

What counts. A cell is an open set cut out by the kinks at which the gradient jumps (neurons that cancel there make
none). A domain's supremum is over the cells that it meets: one that only touches a ball or sphere from outside does not
count. In d = 1 the sphere is the two points -R and R, and a kink may lie on one of them: `surely` then leaves that
point out, as f has no gradient there, and `possibly` takes the gradient on its inner side. Nowhere else do they differ.

How. A cell that is not all of a flat lies beside a kink, and the kink is a flat of one dimension less, cut by the other
kinks: down to lines, on which kinks are sorted, and to circles, on which both arcs at every corner are known.

>>> hat = TwoLayer(W=[[1.0]] * 3, b=[1.0, 0.0, -1.0], a=[1.0, -2.0, 1.0])
>>> exact(hat)
Sup(surely=1.0, possibly=1.0)
>>> exact(hat, "sphere", 1.0)
Sup(surely=0.0, possibly=1.0)
"""

import functools
import itertools
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import scipy.special

from lawjax import TwoLayer

PIECES = {  # kinks, and the slopes before, between and after them
    "relu": ((0.0,), (0.0, 1.0)),
    "leaky_relu": ((0.0,), (0.01, 1.0)),
    "abs": ((0.0,), (-1.0, 1.0)),
    "identity": ((0.0,), (1.0, 1.0)),
    "relu6": ((0.0, 6.0), (0.0, 1.0, 0.0)),
    "hard_tanh": ((-1.0, 1.0), (0.0, 1.0, 0.0)),
    "leaky_relu:0.2": ((0.0,), (0.2, 1.0)),
}
PIECEWISE_LINEAR = tuple(PIECES)
MARGIN = Fraction(1, 2**43)  # 1e-13
_BITS = 80  # of a number before it is rounded to a float

Vector = tuple[int, ...]


class Sup(NamedTuple):
    """A supremum: of what surely counts, and of what a convention may count besides."""

    surely: float
    possibly: float


class Kinks(NamedTuple):
    """Gradients on a flat: base, plus jumps[i] wherever rows[i] . (y, 1) > 0. No row is a multiple of another."""

    rows: list[Vector]
    jumps: list[Vector]
    base: Vector


class Point(NamedTuple):
    """(p + s sqrt(D)) / size."""

    p: Vector
    s: Vector
    D: int
    size: int


class Ball(NamedTuple):
    """A ball's part of a flat. Row i of the frame is the coordinate x_i at (y, 1), the last one 1, up to a factor."""

    frame: list[Vector]
    radius: Fraction


def exact(network: TwoLayer, domain: str = "space", radius: float = 1.0, tangential: bool = False) -> Sup:
    """sup ||grad f||, or of its part along the sphere, over R^d, the ball or the sphere around 0, for d <= 3."""
    return _supremum(*kinks_of(network), network.dimension, domain, radius, tangential)


def visible(network: TwoLayer, domain: str = "space", radius: float = 1.0, tangential: bool = False) -> float:
    """The same over the points that lie off every kink by MARGIN or more of their distance from 0.

    It is what a point in float64 can show for certain: cells may be thinner than the distance of two floats. On R^d it
    is the largest value on balls of many sizes.
    """
    if domain != "space":
        kinks = kinks_of(network, Fraction(float(radius)))
        return _supremum(*kinks, network.dimension, domain, radius, tangential).surely
    return max(visible(network, "ball", size) for size in _sizes(network))


def _sizes(network: TwoLayer) -> set[float]:
    """Of balls that show all that there is: around the nearest kinks, up to far beyond the last one."""
    W, b = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b))
    sizes = np.abs(W).max(1)
    with np.errstate(all="ignore"):
        distances = np.abs(b) / sizes
    distances = np.append(distances, [np.abs(kink) / sizes for kink in PIECES[network.activation.name][0] if kink])
    distances = distances[np.isfinite(distances) & (distances > 1e-100) & (distances < 1e100)]
    some = np.quantile(distances, [0.0, 0.25, 0.5, 0.75, 1.0]) if len(distances) else np.ones(1)
    return {float(factor * size) for size in some for factor in (2.0, 16.0, 1e3, 1e6)}


def _supremum(kinks: Kinks, unit: Fraction, d: int, domain: str, radius: float, tangential: bool) -> Sup:
    if domain == "space":
        return _both(_largest(_cells(kinks, None), unit, d))
    frame = [tuple(int(i == j) for j in range(d + 1)) for i in range(d + 1)]
    ball = Ball(frame, Fraction(float(radius)))
    if domain == "ball":
        return _both(_largest(_cells(kinks, ball), unit, d))
    if d == 1:
        return Sup(0.0, 0.0) if tangential else _two_points(kinks, unit, ball.radius)
    return _both(_largest_along(kinks, unit, ball) if tangential else _largest(_on_sphere(kinks, ball), unit, d))


def norm_at(network: TwoLayer, x: np.ndarray, tangential: bool = False) -> float | None:
    """||grad f(x)||, or the norm of its part orthogonal to x, at a float point; None where the gradient jumps."""
    kinks, unit = kinks_of(network)
    (p,), scale = _integers([np.asarray(x, np.float64).tolist()])
    gradient = _gradient_at(kinks, Point(p, (0,) * len(p), 0, scale.denominator))
    if gradient is None:
        return None
    if not tangential:
        return _root(_dot(gradient, gradient) * unit**2)
    across = _wedge(gradient, p)
    return _root(_dot(across, across) * unit**2 / _dot(p, p))


def path(network: TwoLayer, lipschitz: float = 1.0) -> float:
    """L sum_l |a_l| ||w_l||, whatever the sizes: at least every constant of the network."""
    W, a = (np.asarray(leaf, np.float64).tolist() for leaf in (network.W, network.a))
    squares = (Fraction(weight) ** 2 * sum(Fraction(w) ** 2 for w in row) for weight, row in zip(a, W, strict=True))
    return lipschitz * sum(map(_root, squares))


def sampled(
    network: TwoLayer,
    domain: str = "space",
    radius: float = 1.0,
    tangential: bool = False,
    count: int = 20_000,
    points: np.ndarray | None = None,
) -> float:
    """The largest gradient norm at points, or at many of a domain, random and near kinks; for any psi, in float64."""
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    x = _many_points(W, b, domain, radius, count) if points is None else points
    gradients = (_slopes(network.activation.name, x @ W.T + b) * a) @ W
    if tangential:
        normals = x / np.linalg.norm(x, axis=1, keepdims=True)
        gradients = gradients - (gradients * normals).sum(1, keepdims=True) * normals
    return float(np.linalg.norm(gradients, axis=1).max())


def _slopes(activation: str, t: np.ndarray) -> np.ndarray:
    if activation in PIECES:
        kinks, sides = PIECES[activation]
        return np.array(sides)[np.searchsorted(kinks, t)]
    t = np.clip(t, -300.0, 300.0)
    if activation == "tanh":
        return np.cosh(t) ** -2.0
    if activation == "softplus":
        return 1.0 / (1.0 + np.exp(-t))
    if activation == "sigmoid":
        return 1.0 / (2.0 + np.exp(t) + np.exp(-t))
    if activation == "elu":
        return np.exp(np.minimum(t, 0.0))
    if activation == "silu":  # t / (1 + exp(-t)), differentiated
        return (1.0 + np.exp(-t) * (1.0 + t)) / (1.0 + np.exp(-t)) ** 2
    if activation == "gelu:tanh":
        t = np.clip(t, -30.0, 30.0)
        scale = math.sqrt(2.0 / math.pi)
        u = np.clip(scale * (t + 0.044715 * t**3), -300.0, 300.0)
        return 0.5 * (1.0 + np.tanh(u)) + 0.5 * t * scale * (1.0 + 3.0 * 0.044715 * t * t) / np.cosh(u) ** 2
    assert activation == "gelu"
    return scipy.special.ndtr(t) + t * np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)  # gelu


def _many_points(W: np.ndarray, b: np.ndarray, domain: str, radius: float, count: int) -> np.ndarray:
    rng, d = np.random.default_rng(0), W.shape[1]
    directions = rng.standard_normal((count, d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    norms = np.linalg.norm(W, axis=1)
    used = np.flatnonzero(norms > 0)
    own = rng.choice(used if len(used) else [0], count)
    size = np.where(norms > 0, norms, 1.0)[own, None]
    reach = radius if domain != "space" else float(np.median(np.abs(b[own]) / size[:, 0])) or 1.0
    # Pre-activations of a few units, where smooth slopes turn; and everywhere along the kink.
    across = (4.0 * rng.standard_normal((count, 1)) - b[own, None]) / size
    near = across * W[own] / size
    aside = reach * rng.standard_normal((count, d))
    near += aside - (aside * W[own]).sum(1, keepdims=True) * W[own] / size**2
    if domain == "space":
        return np.concatenate([reach * directions * 10.0 ** rng.uniform(-2, 4, (count, 1)), near])
    lengths = np.linalg.norm(near, axis=1, keepdims=True)
    near = near[lengths[:, 0] > 0] * (radius / lengths[lengths > 0])[:, None]
    if domain == "sphere":
        return np.concatenate([radius * directions, near])
    inside = np.minimum(1.0, lengths[lengths > 0] / radius)[:, None]
    return np.concatenate([radius * directions * rng.uniform(0, 1, (count, 1)) ** (1.0 / d), near * inside])


def kinks_of(network: TwoLayer, reach: Fraction | None = None) -> tuple[Kinks, Fraction]:
    """The kinks, with gradients in integers, and the unit of these gradients.

    With a reach, points within it that are nearer to a kink than MARGIN are marked: gradients have an entry more, the
    number of kinks that are so near.
    """
    places, sides = (list(map(Fraction, of)) for of in PIECES[network.activation.name])
    W, b, a = (np.asarray(leaf, np.float64) for leaf in (network.W, network.b, network.a))
    used = W.any(1) & (a != 0)
    rows = [list(map(Fraction, row)) for row in np.column_stack([W, b])[used].tolist()]
    products = [[Fraction(of) * w for w in row[:-1]] for of, row in zip(a[used].tolist(), rows, strict=True)]
    start = [sides[0] * sum(of, Fraction(0)) for of in zip(*products, strict=True)] or [Fraction(0)] * W.shape[1]
    heights = [after - before for before, after in itertools.pairwise(sides)]
    (base, *jumps), unit = _integers([start, *([h * entry for entry in row] for h in heights for row in products)])
    rows = [[*row[:-1], row[-1] - place] for place in places for row in rows]
    if reach is not None:
        some = [
            (row, jump, MARGIN * (reach * sum(map(abs, row[:-1])) + abs(row[-1])))
            for row, jump in zip(rows, jumps, strict=True)
            if any(jump)
        ]
        rows = [[*row[:-1], row[-1] + side * off] for row, _, off in some for side in (1, -1)]
        jumps = [own for _, jump, _ in some for own in ((*(0 for _ in jump), 1), (*jump, -1))]
        base = (*base, 0)
    integers = [_integers([row])[0][0] for row in rows]
    return _merged(Kinks(integers, jumps, base)), unit


def _integers(vectors: list[list[float]] | list[list[Fraction]]) -> tuple[list[Vector], Fraction]:
    """Vectors as integers, and the unit 2^n / m in which they are measured."""
    ratios = [[entry.as_integer_ratio() for entry in vector] for vector in vectors]
    scale = max((below for vector in ratios for _, below in vector), default=1)  # all are powers of two
    return [tuple(above * (scale // below) for above, below in vector) for vector in ratios], Fraction(1, scale)


def _both(value: float) -> Sup:
    return Sup(value, value)


def _dot(u: Iterable[int], v: Iterable[int]) -> int:
    return sum(map(int.__mul__, u, v))


def _sum(u: Vector, v: Vector) -> Vector:
    return tuple(map(int.__add__, u, v))


def _wedge(u: Vector, v: Vector) -> Vector:
    """The entries of u v' - v u', whose norm is that of u times the part of v orthogonal to u."""
    return tuple(u[i] * v[j] - u[j] * v[i] for i, j in itertools.combinations(range(len(u)), 2))


def _seen(gradients: Iterable[Vector], d: int) -> list[Vector]:
    """Those that are not marked as too near to a kink."""
    return [gradient[:d] for gradient in gradients if not any(gradient[d:])]


def _largest(gradients: Iterable[Vector], unit: Fraction, d: int) -> float:
    return _root(max((_dot(g, g) for g in _seen(gradients, d)), default=0) * unit**2)


def _root(square: Fraction | int) -> float:
    """The square root of a fraction as a float; infinite beyond floats."""
    if not square:
        return 0.0
    shift = _BITS - (square.numerator.bit_length() - square.denominator.bit_length()) // 2
    scaled = square * Fraction(4) ** shift
    try:
        return math.ldexp(float(math.isqrt(int(scaled))), -shift)
    except OverflowError:
        return math.inf


def _sign(p: int, s: int, D: int) -> int:
    """Of p + s sqrt(D)."""
    value = p * abs(p) + s * abs(s) * D
    return (value > 0) - (value < 0)


def _restrict(functions: list[Vector], row: Vector) -> list[Vector]:
    """Affine functions on the flat row . (y, 1) = 0, one coordinate less; all times one positive number."""
    pivot = max(range(len(row) - 1), key=lambda j: abs(row[j]))
    size, side = abs(row[pivot]), 1 if row[pivot] > 0 else -1
    rest = [j for j in range(len(row)) if j != pivot]
    return [tuple([size * of[j] - side * of[pivot] * row[j] for j in rest]) for of in functions]


def _merged(kinks: Kinks) -> Kinks:
    """One row for kinks that coincide, none where nothing jumps, and functions without a kink in the base."""
    base, jumps = kinks.base, dict[Vector, Vector]()
    for row, jump in zip(kinks.rows, kinks.jumps, strict=True):
        lead = next(filter(None, row[:-1]), 0)
        if not lead:
            base = _sum(base, jump) if row[-1] > 0 else base
            continue
        divisor = math.gcd(*row)
        if lead < 0:  # on where the row's other side is not
            divisor, base, jump = -divisor, _sum(base, jump), tuple(-entry for entry in jump)
        row = tuple([entry // divisor for entry in row])
        jumps[row] = _sum(jumps[row], jump) if row in jumps else jump
    kept = {row: jump for row, jump in jumps.items() if any(jump)}
    return Kinks(list(kept), list(kept.values()), base)


def _others(kinks: Kinks, i: int) -> Kinks:
    """What kinks cut on the flat of kink i, with the gradients on its negative side."""
    rows, jumps = ([*of[:i], *of[i + 1 :]] for of in (kinks.rows, kinks.jumps))
    return _merged(Kinks(_restrict(rows, kinks.rows[i]), jumps, kinks.base))


def _on_flat(ball: Ball, row: Vector) -> Ball:
    frame = _restrict(ball.frame, row)
    divisor = math.gcd(*itertools.chain(*frame))
    return Ball([tuple(entry // divisor for entry in function) for function in frame], ball.radius)


def _form(ball: Ball) -> list[list[int]]:
    """The symmetric Q with (y, 1) Q (y, 1)' < 0 inside the ball."""
    inside, outside = ball.radius.denominator**2, ball.radius.numerator**2
    *coordinates, one = ball.frame
    n = range(len(one))
    return [[inside * sum(c[i] * c[j] for c in coordinates) - outside * one[i] * one[j] for j in n] for i in n]


def _determinant(matrix: list[list[int]]) -> int:
    if not matrix:
        return 1
    first, *rest = matrix
    minors = ([row[:j] + row[j + 1 :] for row in rest] for j in range(len(first)))
    return sum(
        (-1) ** j * entry * _determinant(minor)
        for j, (entry, minor) in enumerate(zip(first, minors, strict=True))
        if entry
    )


def _within(kinks: Kinks, ball: Ball) -> Kinks:
    """The kinks that meet the open ball; what the others do there is in the base.

    With A the adjugate of Q, a row meets the ball if row A row' < 0, and the ball's centre is A's last column.
    """
    Q = _form(ball)
    n = range(len(Q))
    A = [[(-1) ** (i + j) * _determinant([r[:i] + r[i + 1 :] for r in Q[:j] + Q[j + 1 :]]) for j in n] for i in n]
    rows, jumps, base = [], [], kinks.base
    for row, jump in zip(kinks.rows, kinks.jumps, strict=True):
        image = [_dot(row, column) for column in A]
        if _dot(image, row) < 0:
            rows.append(row)
            jumps.append(jump)
        elif image[-1] > 0:
            base = _sum(base, jump)
    return Kinks(rows, jumps, base)


def _cells(kinks: Kinks, ball: Ball | None) -> set[Vector]:
    """The gradients of all cells of a flat that meet the open ball, if there is one."""
    kinks = kinks if ball is None else _within(kinks, ball)
    if not kinks.rows:
        return {kinks.base}
    if len(kinks.rows[0]) == 2:
        return set(_along_line(kinks))
    found: set[Vector] = set()
    for i, (row, jump) in enumerate(zip(kinks.rows, kinks.jumps, strict=True)):
        beside = _cells(_others(kinks, i), None if ball is None else _on_flat(ball, row))
        found |= beside
        found.update(_sum(gradient, jump) for gradient in beside)
    return found


def _along_line(kinks: Kinks) -> Iterator[Vector]:
    """The gradients between the kinks of a line, whose rows (n, c) have n > 0."""

    def compare(i: int, j: int) -> int:
        (n, c), (m, e) = kinks.rows[i], kinks.rows[j]
        return e * n - c * m

    order = sorted(range(len(kinks.rows)), key=functools.cmp_to_key(compare))
    return itertools.accumulate((kinks.jumps[i] for i in order), _sum, initial=kinks.base)


def _gradient_at(kinks: Kinks, point: Point) -> Vector | None:
    gradient = kinks.base
    for row, jump in zip(kinks.rows, kinks.jumps, strict=True):
        sign = _sign(_dot(row, (*point.p, point.size)), _dot(row, point.s), point.D)
        if sign == 0:
            return None
        gradient = _sum(gradient, jump) if sign > 0 else gradient
    return gradient


def _two_points(kinks: Kinks, unit: Fraction, radius: Fraction) -> Sup:
    surely, possibly = set[Vector](), set[Vector]()
    kept = [abs(Fraction(c, n)) for n, c in kinks.rows]
    inner = (max((at for at in kept if at < radius), default=Fraction(0)) + radius) / 2  # no kink from here to radius
    for side in (1, -1):
        at_point, inside = (
            _gradient_at(kinks, Point((side * at.numerator,), (0,), 0, at.denominator)) for at in (radius, inner)
        )
        assert inside is not None
        surely.update([] if at_point is None else [at_point])
        possibly.add(inside if at_point is None else at_point)
    return Sup(_largest(surely, unit, 1), _largest(possibly, unit, 1))


class Circle(NamedTuple):
    """A circle of the sphere on which cells lie side by side.

    In R^2 the sphere itself; in R^3 one for each kink that cuts it, with that kink's normal and jump.
    """

    kinks: Kinks  # on its flat, those that cut it
    ball: Ball
    normal: Vector | None
    jump: Vector
    corners: list[tuple[Point, list[Vector]]]  # the ends of its arcs, with the gradients around them
    gradients: set[Vector]  # of all cells beside it


def _circles(kinks: Kinks, ball: Ball) -> list[Circle]:
    """All circles, for kinks that cut the sphere."""
    if len(ball.frame) == 3:
        return [_circle(kinks, ball, None, ())]
    return [
        _circle(_others(kinks, i), _on_flat(ball, row), row[:-1], jump)
        for i, (row, jump) in enumerate(zip(kinks.rows, kinks.jumps, strict=True))
    ]


def _circle(kinks: Kinks, ball: Ball, normal: Vector | None, jump: Vector) -> Circle:
    kinks = _within(kinks, ball)
    circle = Circle(kinks, ball, normal, jump, [], set())
    for i, (row, own) in enumerate(zip(kinks.rows, kinks.jumps, strict=True)):
        rows, jumps = ([*of[:i], *of[i + 1 :]] for of in (kinks.rows, kinks.jumps))
        for point, before, after in _crossings(Kinks(rows, jumps, kinks.base), ball, row):
            circle.corners.append((point, _beside(circle, before, _sum(after, own))))
    around = [gradients for _, gradients in circle.corners]
    circle.gradients.update(*(around or [_beside(circle, kinks.base)]))
    return circle


def _beside(circle: Circle, *gradients: Vector) -> list[Vector]:
    """Gradients on the circle's flat, as those on either side of it."""
    return [*gradients, *(_sum(gradient, circle.jump) for gradient in gradients if circle.normal)]


def _crossings(kinks: Kinks, ball: Ball, row: Vector) -> Iterator[tuple[Point, Vector, Vector]]:
    """Where a line crosses a circle of its flat, and the gradients there on the line's negative and positive side."""
    line = _on_flat(ball, row)
    (alpha, beta), (_, gamma) = _form(line)
    D = beta * beta - alpha * gamma
    if D <= 0:
        return
    on_line = _restrict(kinks.rows, row)
    normals = _restrict([tuple(of) for of in _form(ball)[:2]], row)  # of the circle, in the flat's coordinates
    for root in (1, -1):

        def at(functions: list[Vector], root: int = root) -> list[tuple[int, int]]:
            return [(c * alpha - n * beta, root * n) for n, c in functions]

        (p, r), (q, s) = at(normals)

        def turns(of: Vector, p: int = p, q: int = q, r: int = r, s: int = s) -> int:
            return _sign(of[0] * q - of[1] * p, of[0] * s - of[1] * r, D)

        before = after = kinks.base
        for value, kink, jump in zip(at(on_line), kinks.rows, kinks.jumps, strict=True):
            sign = _sign(*value, D)
            side = turns(kink) * turns(row) if sign == 0 else 0  # of a kink through the point, as the row grows
            before = _sum(before, jump) if sign > 0 or side < 0 else before
            after = _sum(after, jump) if sign > 0 or side > 0 else after
        (*rational, size), (*irrational, _) = zip(*at(line.frame), strict=True)
        yield Point(tuple(rational), tuple(irrational), D, size), before, after


def _on_sphere(kinks: Kinks, ball: Ball) -> set[Vector]:
    """The gradients of all cells that meet the sphere, d >= 2."""
    kinks = _within(kinks, ball)
    return set().union(*(circle.gradients for circle in _circles(kinks, ball))) or {kinks.base}


def _largest_along(kinks: Kinks, unit: Fraction, ball: Ball) -> float:
    """The largest part of a gradient along the sphere.

    In a cell with gradient g it is ||g|| where g . x = 0, and if that is nowhere in it the least |g . x| is on a circle
    beside it: at the end of an arc, or in the plane of the circle's normal and g.
    """
    kinks = _within(kinks, ball)
    circles = _circles(kinks, ball)
    unit, d = unit / ball.radius, len(ball.frame) - 1
    ends = [(point, own) for circle in circles for point, around in circle.corners for own in _seen(around, d)]
    best = max((_along(gradient, point, unit) for point, gradient in ends), default=0.0)
    beside: list[tuple[Vector, Circle | None]]
    beside = [(own, circle) for circle in circles for own in _seen(circle.gradients, d)]
    beside = beside or [(own, None) for own in _seen([kinks.base], d)]
    beside.sort(key=lambda each: -_dot(each[0], each[0]))
    for gradient, circle in beside:
        if _root(_dot(gradient, gradient) * (unit * ball.radius) ** 2) <= best:
            break
        places = [*_square_to(kinks, ball, gradient), *_inside_arcs(circle, gradient)]
        best = max([best, *(_along(own[:d], point, unit) for point, own in places if not any(own[d:]))])
    return best


def _square_to(kinks: Kinks, ball: Ball, gradient: Vector) -> Iterator[tuple[Point, Vector]]:
    """A point of the sphere at a right angle to a gradient, with the gradient there."""
    across = _orthogonal(gradient)
    square = _dot(across, across)
    along = tuple(entry * ball.radius.numerator for entry in across)
    point = Point((0,) * len(along), along, square, square * ball.radius.denominator)
    here = _gradient_at(kinks, point)
    if here is not None:
        yield point, here


def _inside_arcs(circle: Circle | None, gradient: Vector) -> Iterator[tuple[Point, Vector]]:
    """Points of a circle where |g . x| is 0 or stationary, with the gradients beside them."""
    if circle is None:
        return
    planes = [gradient]
    if circle.normal is not None:
        both = _wedge(circle.normal, gradient)
        plane: Vector = (both[2], -both[1], both[0])  # the cross product
        planes.append(plane if any(plane) else _orthogonal(gradient))
    for plane in planes:
        row = tuple(_dot(plane, column) for column in zip(*circle.ball.frame[:-1], strict=True))
        if any(row[:-1]):
            for point, before, after in _crossings(circle.kinks, circle.ball, row):
                yield from ((point, own) for own in _beside(circle, before, after))


def _orthogonal(vector: Vector) -> Vector:
    """A vector at a right angle to one that is not 0."""
    i = next(i for i, entry in enumerate(vector) if entry)
    j = (i + 1) % len(vector)
    found = [0] * len(vector)
    found[i], found[j] = -vector[j], vector[i]
    return tuple(found)


def _along(gradient: Vector, point: Point, unit: Fraction) -> float:
    """The part of a gradient orthogonal to a point, times the point's norm."""
    parts = list(zip(_wedge(gradient, point.p), _wedge(gradient, point.s), strict=True))
    if not any(_sign(p, s, point.D) for p, s in parts):
        return 0.0
    bits, sizes = 0, [0]
    while max(sizes) < 2**_BITS:
        bits = 2 * bits + _BITS
        sizes = [abs((p << bits) + (s > 0 or -1) * math.isqrt(s * s * point.D << 2 * bits)) for p, s in parts]
    return _root(_dot(sizes, sizes) * (unit / (point.size << bits)) ** 2)
