"""Polynomial networks: exactness in degree two, exact arithmetic, explicit tensors, dense sampling, symmetries."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lipschitz_networks import random_network

from lawjax import TwoLayer, UserError, activations
from lawjax.domains import Ball, Sphere, named
from lawjax.lipschitz.upper import flattenings
from lawjax.lipschitz.upper.expansion import expand
from lawjax.lipschitz.upper.polynomial import Forms, polynomial_bound

SEEDS = st.integers(0, 2**32 - 1)
QUADRATIC = ("power:2", "polynomial:1,-2,0.5", "polynomial:0,0,1,0,0")
HIGHER = ("power:3", "power:4", "power:5", "power:6", "polynomial:1,-2,0.5,0.25", "polynomial:0,1,0,-0.1,0.3,0.01,-0.2")


def norms(f, points, tangential=False):
    """||grad f|| at points (m, d), or of the part along the sphere, without overflow of its square."""
    gradients = f.gradient(points)
    if tangential:
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
        gradients = gradients - (gradients * points).sum(1, keepdims=True) * points
    size = np.abs(gradients).max() or 1.0
    return np.linalg.norm(gradients / size, axis=1) * size


def lower(f, found, tangential=False):
    return norms(f, found.candidates, tangential).max()


def random_points(rng, count, d, radius=1.0, inside=False):
    points = rng.standard_normal((count, d))
    points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
    return points * rng.uniform(0, 1, (count, 1)) if inside else points


def quadratic_form(A, b=0.0):
    """A network with f(x) = x' A x + 2 b x in an eigenbasis of the symmetric A, as far as b lies in its range."""
    values, vectors = np.linalg.eigh(A)
    return TwoLayer(vectors.T, np.broadcast_to(b, len(values)).copy(), values, 0.0, "power:2")


# --- Degree two ------------------------------------------------------------------------------------------------------


@given(SEEDS, st.sampled_from(QUADRATIC), st.sampled_from(["ball", "sphere", "tangential"]))
def test_degree_two_is_exact(seed, activation, where):
    rng = np.random.default_rng(seed)
    f = random_network(rng, activation, max_d=8, scales=10.0 if activation == "power:2" else 0.0)
    domain, tangential = ("sphere", True) if where == "tangential" else (where, False)
    radius = float(10.0 ** rng.uniform(-2, 2))
    found = polynomial_bound(f, named(domain, radius, tangential))
    points = random_points(rng, 2000, f.dimension, radius, domain == "ball")
    size = norms(f, points).max()  # twins that cancel leave a part along the sphere far below all other numbers
    assert norms(f, points, tangential).max() <= found.upper * (1 + 1e-12) + 1e-12 * size
    assert found.upper * (1 - 1e-9) <= lower(f, found, tangential) + 1e-11 * size
    lengths = np.linalg.norm(found.candidates, axis=1)
    np.testing.assert_allclose(lengths.max(), radius, rtol=1e-12)


@pytest.mark.parametrize("d", [2, 3, 30, 350])
def test_along_the_sphere_a_quadratic_form_has_the_spread_of_its_eigenvalues(d):
    """Section 3.4: exact for p = 2."""
    rng = np.random.default_rng(d)
    k = max(d // 2, 3)
    W, a = rng.standard_normal((k, d)), rng.standard_normal(k)
    biased = TwoLayer(W, rng.standard_normal(k), a, 0.0, "power:2")
    found = polynomial_bound(biased, Sphere(tangential=True))
    assert lower(biased, found, True) == pytest.approx(found.upper, rel=1e-10)
    values = np.linalg.eigvalsh((W.T * a) @ W)
    f = TwoLayer(W, np.zeros(k), a, 0.0, "power:2")
    found = polynomial_bound(f, Sphere(tangential=True))
    assert found.upper == pytest.approx(values[-1] - values[0], rel=1e-10)
    assert lower(f, found, True) == pytest.approx(found.upper, rel=1e-10)
    whole = polynomial_bound(f)
    assert whole.upper == pytest.approx(2 * np.abs(values).max(), rel=1e-10)
    assert lower(f, whole) == pytest.approx(whole.upper, rel=1e-10)


@pytest.mark.parametrize("tangential", [False, True])
@pytest.mark.parametrize(
    ("values", "b"),
    [
        ([2.0, 1.0, -1.0], [0.0, 0.3, 0.1]),  # the linear part is orthogonal to the leading direction
        ([2.0, 2.0, -1.0], [0.0, 0.0, 0.1]),
        ([2.0, -2.0, 0.5], [0.0, 0.0, 0.3]),  # ... and to both ends of the spectrum
        ([2.0, -2.0, 0.5], [0.0, 1e-13, 0.3]),
        ([2.0, -2.0, -2.0, 0.5], [0.0, 0.0, 0.0, 3.0]),
        ([1.0, 1.0, 1.0], [0.5, 0.0, 0.0]),  # a multiple of ||x||^2
        ([1.0, 0.0, 0.0], [1e-9, 1.0, 1.0]),
        ([1e-12, 1.0, -1.0], [1e12, 0.0, 0.0]),
        ([1.0, 1.0 - 1e-12, -1.0], [1e-7, 1e-8, 1e-9]),
    ],
)
def test_hard_cases_of_degree_two(values, b, tangential):
    """Where the maximiser is not unique, or nearly so."""
    f = quadratic_form(np.diag(values))
    order = np.abs(f.W).argmax(1)
    f = TwoLayer(f.W, np.array(b)[order] * f.W[np.arange(len(b)), order], f.a, 0.0, "power:2")
    found = polynomial_bound(f, Sphere(tangential=tangential))
    points = random_points(np.random.default_rng(0), 100_000, len(b))
    assert norms(f, points, tangential).max() <= found.upper * (1 + 1e-12)
    assert found.upper == pytest.approx(lower(f, found, tangential), rel=1e-9)


@given(SEEDS, st.integers(1, 4), st.integers(1, 6), st.sampled_from([1e-10, 1.0, 1e10]))
def test_the_bound_holds_in_exact_arithmetic(seed, d, k, scale):
    """At the maximiser, which is inside the ball in fractions, the gradient in fractions is not above the bound."""
    rng = np.random.default_rng(seed)
    f = TwoLayer(rng.standard_normal((k, d)) * scale, rng.standard_normal(k), rng.standard_normal(k), 0.0, "power:2")
    radius = float(10.0 ** rng.uniform(-1, 1))
    found = polynomial_bound(f, Ball(radius))
    W, b, a = ([list(map(Fraction, row)) for row in leaf] for leaf in (f.W, f.b[None], f.a[None]))
    for x in found.candidates:
        x = list(map(Fraction, x))
        assert sum(entry**2 for entry in x) <= Fraction(radius) ** 2
        slopes = [2 * a[0][i] * (sum(w * entry for w, entry in zip(W[i], x, strict=True)) + b[0][i]) for i in range(k)]
        squared = sum(sum(slopes[i] * W[i][j] for i in range(k)) ** 2 for j in range(d))
        assert squared <= Fraction(found.upper) ** 2


# --- Degree three and more -------------------------------------------------------------------------------------------


@given(SEEDS, st.sampled_from(HIGHER), st.sampled_from(["ball", "sphere", "tangential"]))
def test_no_sample_is_above_the_bound(seed, activation, where):
    rng = np.random.default_rng(seed)
    f = random_network(rng, activation, max_d=5, max_k=40, scales=0.0)
    domain, tangential = ("sphere", True) if where == "tangential" else (where, False)
    radius = float(rng.choice([0.3, 1.0, 2.0]))
    found = polynomial_bound(f, named(domain, radius, tangential))
    points = random_points(rng, 20_000, f.dimension, radius, domain == "ball")
    size = norms(f, points).max()
    sampled = norms(f, points, tangential).max()
    below = lower(f, found, tangential)
    assert max(sampled, below) <= found.upper + 1e-12 * size
    assert below >= 0.999 * sampled - 1e-12 * size
    assert np.linalg.norm(found.candidates, axis=1).max() <= radius * (1 + 1e-12)


@pytest.mark.parametrize("activation", [*QUADRATIC, *HIGHER])
@pytest.mark.parametrize("tangential", [False, True])
def test_the_circle_sampled_densely(activation, tangential):
    """The points for the lower bound reach its maximum, and the upper bound is not far above."""
    angles = np.linspace(0, 2 * np.pi, 20_001)
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        k = int(rng.integers(1, 12))
        f = TwoLayer(rng.standard_normal((k, 2)), 0.5 * rng.standard_normal(k), rng.standard_normal(k), 0, activation)
        found = polynomial_bound(f, Sphere(tangential=tangential))
        sampled = norms(f, circle, tangential).max()
        assert lower(f, found, tangential) == pytest.approx(sampled, rel=1e-6)
        assert sampled <= found.upper * (1 + 1e-12) <= 4.0 * sampled


def tensor(U, c, q):
    """Sum_l c_l u_l^(q) with all its d^q entries."""
    found = np.asarray(c)
    for _ in range(q):
        found = found[..., None] * U.reshape(len(c), *(1,) * (found.ndim - 1), -1)
    return found.sum(0)


@pytest.mark.parametrize("k", [1, 2, 7, 60])
@pytest.mark.parametrize(("d", "q"), [(1, 3), (2, 3), (2, 4), (3, 3), (3, 4), (3, 5), (2, 6), (4, 4), (2, 7), (5, 3)])
def test_flattenings_have_the_norms_of_explicit_tensors(d, q, k):
    """Through (k, k) and (d, d) matrices and through monomials, whichever is smaller."""
    rng = np.random.default_rng(k)
    U, c = random_points(rng, k, d), rng.standard_normal(k)
    T = tensor(U, c, q)
    assert flattenings.first_flattening(U, c, q)[0] == pytest.approx(np.linalg.norm(T.reshape(d, -1), 2), rel=1e-8)
    half = q // 2
    M = T.reshape(d**half, -1)
    if q % 2:
        assert flattenings.balanced_flattening(U, c, q) == pytest.approx(np.linalg.norm(M, 2), rel=1e-8)
        return
    found = flattenings.square_flattening(U, c, half, spread=False)
    assert found <= np.linalg.norm(M, 2) * (1 + 1e-8)
    points = random_points(rng, 1000, d)
    assert np.abs(((points @ U.T) ** q) @ c).max() <= found * (1 + 1e-12)
    values = np.linalg.eigvalsh(M)
    assert flattenings.square_flattening(U, c, half, spread=True) <= 0.5 * (values[-1] - values[0]) * (1 + 1e-8)


@pytest.mark.parametrize("power", [3, 4, 5, 6])
def test_all_ways_to_flatten_agree(power):
    """With as many monomials as neurons nearly, either way is taken by hand."""
    rng = np.random.default_rng(power)
    U, c = random_points(rng, 40, 4), rng.standard_normal(40)
    wide, weights = np.vstack([U, np.zeros((30000, 4))]), np.append(c, np.zeros(30000))
    by_factor = flattenings.factor(U, power // 2, with_identity=False)
    by_monomials = flattenings.monomials(4, power // 2)
    other = flattenings.features(U, power - power // 2, 4096)
    norms = [np.linalg.norm(flattenings.flattening(U, c, one, other, 2**22), 2) for one in (by_factor, by_monomials)]
    assert norms[1] <= norms[0] * (1 + 1e-12) <= norms[1] * (1 + 1e-8)
    assert flattenings.first_flattening(wide, weights, power)[0] == pytest.approx(
        flattenings.first_flattening(U, c, power)[0], rel=1e-8
    )
    blocked = flattenings.flattening(U, c, by_monomials, other, 100)
    assert np.linalg.norm(blocked, 2) == pytest.approx(norms[1], rel=1e-12)


def test_what_is_too_large_to_flatten_keeps_the_path_bound():
    rng = np.random.default_rng(0)
    f = TwoLayer(random_points(rng, 30, 6), np.zeros(30), rng.standard_normal(30), 0.0, "power:4")
    flattened = polynomial_bound(f).upper
    none = Forms(flattenings=flattenings.Flattenings(budget=0.0))
    assert flattened < polynomial_bound(f, effort=none).upper == pytest.approx(4 * np.abs(f.a).sum(), rel=1e-12)
    along = polynomial_bound(f, Sphere(tangential=True), effort=none).upper
    assert along == pytest.approx(2 * 0.75**1.5 * np.abs(f.a).sum(), rel=1e-9)


def test_a_power_of_the_norm_is_constant_on_the_sphere():
    """Sum_j (u_j . x)^4 over m directions of a regular 2m-gon is 3m/8 ||x||^4."""
    m = 5
    angles = np.pi * np.arange(m) / m
    W = np.stack([np.cos(angles), np.sin(angles)], 1)
    f = TwoLayer(W, np.zeros(m), np.ones(m), 0.0, "power:4")
    assert polynomial_bound(f).upper == pytest.approx(4 * 3 * m / 8, rel=1e-10)
    assert polynomial_bound(f, Sphere(tangential=True)).upper <= 1e-10


@pytest.mark.parametrize("q", [1, 2, 3, 4, 5, 8])
def test_orthogonal_neurons_and_a_single_one_are_exact(q):
    """||T||_op of an orthogonal tensor is its largest coefficient; lemma 1 is an equality for the whole gradient."""
    basis = np.linalg.qr(np.random.default_rng(q).standard_normal((6, 6)))[0]
    a = np.array([1.0, -3.0, 2.0, 0.5])
    f = TwoLayer(basis[:4], np.zeros(4), a, 0.0, f"power:{q}")
    expected = q * 3.0 if q > 1 else math.sqrt(14.25)
    found = polynomial_bound(f, Ball(2.0))
    assert found.upper == pytest.approx(expected * 2.0 ** (q - 1), rel=1e-9)
    assert lower(f, found) == pytest.approx(found.upper, rel=1e-9)
    one = TwoLayer([[3.0, 4.0]], [0.0], [-0.5], 0.0, f"power:{q}")
    assert polynomial_bound(one).upper == pytest.approx(0.5 * q * 5.0**q, rel=1e-9)
    along = polynomial_bound(one, Sphere(tangential=True))
    assert along.upper == pytest.approx(lower(one, along, True), rel=1e-9)


# --- The expansion, scales, symmetries -------------------------------------------------------------------------------


@given(SEEDS, st.sampled_from(["power:3", "polynomial:1,-2,0.5,0.25", "power:4"]), st.sampled_from([1e-60, 1.0, 1e60]))
def test_the_expansion_is_within_its_errors_in_exact_arithmetic(seed, activation, scale):
    rng = np.random.default_rng(seed)
    d, k, radius = 2, 3, 0.7
    W, b, a = rng.standard_normal((k, d)) * scale, rng.standard_normal(k) * scale, rng.standard_normal(k)
    psi = activations.get(activation).coefficients
    found = expand(W, b, a, psi, radius)
    unit = Fraction(2) ** found.exponent
    for q in range(1, len(psi)):
        squared = Fraction(0)
        for ones in range(q + 1):  # entries of a symmetric tensor in two dimensions
            exact = floats = Fraction(0)
            for i in range(k):
                c = sum(
                    Fraction(psi[p]) * math.comb(p, q) * Fraction(b[i]) ** (p - q) for p in range(q, len(psi))
                ) * Fraction(a[i])
                exact += c * Fraction(radius) ** q * Fraction(W[i, 0]) ** ones * Fraction(W[i, 1]) ** (q - ones)
                u = found.directions[i]
                floats += (
                    Fraction(found.coefficients[q, i]) * Fraction(u[0]) ** ones * Fraction(u[1]) ** (q - ones) * unit
                )
            squared += math.comb(q, ones) * (exact - floats) ** 2
        assert squared <= (Fraction(found.errors[q]) * unit) ** 2
        assert found.errors[q] <= 1e-13 * np.abs(found.coefficients[q]).sum() + 1e-14


@pytest.mark.parametrize("activation", ["power:2", "power:3", "power:4"])
@pytest.mark.parametrize("of_w", [1e-10, 1.0, 1e10])
@pytest.mark.parametrize("of_a", [1e-100, 1.0, 1e100])
def test_scales(activation, of_w, of_a):
    """Homogeneous of degree p in (W, b), of degree one in a."""
    rng = np.random.default_rng(0)
    W, b, a = rng.standard_normal((20, 4)), rng.standard_normal(20), rng.standard_normal(20)
    p = int(activation[-1])
    for domain, tangential in (("ball", False), ("sphere", True)):
        plain = polynomial_bound(TwoLayer(W, b, a, 0.0, activation), named(domain, tangential=tangential)).upper
        scaled = polynomial_bound(
            TwoLayer(W * of_w, b * of_w, a * of_a, 0.0, activation), named(domain, tangential=tangential)
        )
        assert scaled.upper == pytest.approx(plain * of_w**p * of_a, rel=1e-9)
        # x = R y with W / R: the gradient in x is that in y over R.
        for radius in (1e-10, 1e10):
            found = polynomial_bound(TwoLayer(W / radius, b, a, 0.0, activation), named(domain, radius, tangential))
            assert found.upper == pytest.approx(plain / radius, rel=1e-9)


def test_what_goes_beyond_float64_is_infinite_or_nearly_zero_and_never_below():
    W, b = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([1.0, 0.0])
    assert polynomial_bound(TwoLayer(W * 1e200, b, [1.0, 1.0], 0.0, "power:2")).upper == math.inf
    assert 0 < polynomial_bound(TwoLayer(W * 1e-200, 0 * b, [1.0, 1.0], 0.0, "power:2")).upper <= 1e-320
    small = polynomial_bound(TwoLayer(W * 0.1, b, [1.0, 1.0], 0.0, "power:1000"))
    assert small.upper >= 1000 * (1 + 0.1 * math.sqrt(5)) ** 999 * 0.1 * math.sqrt(5) * (1 - 1e-9)
    weak = TwoLayer(W * 1e-150, np.array([1.0, 1.0]), [1.0, 1.0], 0.0, "power:3")
    assert polynomial_bound(weak).upper == pytest.approx(3e-150 * np.linalg.norm([1.5, 1.0]), rel=1e-9)


@pytest.mark.parametrize(
    "activation", ["power:1", "power:2", "polynomial:0,1,1,1", "power:4", "polynomial:1,1,0,1,0,1"]
)
@pytest.mark.parametrize("k", [3, 30])
def test_symmetries(activation, k):
    rng = np.random.default_rng(k)
    d = 4
    W, b, a = rng.standard_normal((k, d)), rng.standard_normal(k), rng.standard_normal(k)
    f = TwoLayer(W, b, a, 0.0, activation)
    order, rotation = rng.permutation(k), np.linalg.qr(rng.standard_normal((d, d)))[0]
    half = np.append(a / 2, a / 2)
    same = [
        TwoLayer(W[order], b[order], a[order], 3.0, activation),
        TwoLayer(W @ rotation, b, a, 0.0, activation),
        TwoLayer(np.vstack([W, W]), np.append(b, b), half, 0.0, activation),
        TwoLayer(np.vstack([W, 0 * W]), np.append(b, b), np.append(a, a), 0.0, activation),  # constants
        f.padded(k + 5, d),
    ]
    for domain, tangential in (("ball", False), ("sphere", False), ("sphere", True)):
        expected = polynomial_bound(f, named(domain, 1.5, tangential)).upper
        for other in same + ([] if tangential else [f.padded(k, d + 3)]):
            found = polynomial_bound(other, named(domain, 1.5, tangential))
            assert found.upper == pytest.approx(expected, rel=1e-8)
            assert found.candidates.shape[1] == other.dimension


def test_along_the_sphere_is_not_above_the_whole_and_the_sphere_not_above_the_ball():
    rng = np.random.default_rng(0)
    for seed in range(20):
        f = random_network(rng, HIGHER[seed % len(HIGHER)], scales=0.0)
        along, sphere, ball = (
            polynomial_bound(f, domain).upper for domain in (Sphere(tangential=True), Sphere(), Ball())
        )
        assert along <= sphere * (1 + 1e-9) and sphere <= ball * (1 + 1e-12)


def test_affine_functions():
    rng = np.random.default_rng(0)
    W, b, a = rng.standard_normal((9, 4)), rng.standard_normal(9), rng.standard_normal(9)
    for activation, slope in (("identity", 1.0), ("power:1", 1.0), ("polynomial:3,-2", 2.0), ("polynomial:1,2,0", 2.0)):
        f = TwoLayer(W, b, a, 0.0, activation)
        for domain, tangential in (("space", False), ("ball", False), ("sphere", False), ("sphere", True)):
            found = polynomial_bound(f, named(domain, 3.0, tangential))
            assert found.upper == pytest.approx(slope * np.linalg.norm(a @ W), rel=1e-12)
            assert lower(f, found, tangential) == pytest.approx(found.upper, rel=1e-12)


@pytest.mark.parametrize("activation", ["polynomial:5", "power:1", "power:2", "power:3", "polynomial:1,2,3,4,5"])
def test_no_function_and_no_direction(activation):
    zero = [
        TwoLayer(np.zeros((3, 2)), np.ones(3), np.ones(3), 1.0, activation),
        TwoLayer(np.ones((3, 2)), np.ones(3), np.zeros(3), 1.0, activation),
    ]
    for f in zero:
        for domain in ("space", "ball", "sphere"):
            found = polynomial_bound(f, domain)
            assert found.upper == 0.0 and found.candidates.shape == (1, 2)
        assert polynomial_bound(f, Sphere(tangential=True)).upper == 0.0
    W, b, a = np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([0.5, 0.5]), np.array([1.0, -1.0])
    assert polynomial_bound(TwoLayer(W, b, a, 0.0, activation)).upper <= 1e-3  # of some hundreds each


def test_one_dimension():
    rng = np.random.default_rng(0)
    x = np.linspace(-2.0, 2.0, 100_001)[:, None]
    for seed in range(12):
        k = seed % 3 + 1
        f = TwoLayer(
            rng.standard_normal((k, 1)), rng.standard_normal(k), rng.standard_normal(k), 0.0, HIGHER[seed % len(HIGHER)]
        )
        ball = polynomial_bound(f, Ball(2.0))
        sampled = norms(f, x)
        assert sampled.max() <= ball.upper * (1 + 1e-12) and lower(f, ball) >= sampled.max() * (1 - 1e-6)
        sphere = polynomial_bound(f, Sphere(2.0))
        assert lower(f, sphere) == pytest.approx(max(sampled[0], sampled[-1]), rel=1e-12)
        assert polynomial_bound(f, Sphere(2.0, tangential=True)).upper == 0.0


def test_space_is_unbounded_and_mistakes_are_named():
    f = TwoLayer(np.eye(2), np.zeros(2), np.ones(2), 0.0, "power:2")
    assert polynomial_bound(f, "space").upper == math.inf
    with pytest.raises(UserError, match="no polynomial"):
        polynomial_bound(TwoLayer(np.eye(2), np.zeros(2), np.ones(2)))
    with pytest.raises(UserError, match="stack"):
        polynomial_bound(TwoLayer(np.ones((3, 2, 2)), np.zeros((3, 2)), np.ones((3, 2)), 0.0, "power:2"))
    with pytest.raises(UserError, match="domain"):
        polynomial_bound(f, "cube")
    with pytest.raises(UserError, match="radius"):
        polynomial_bound(f, Ball(0.0))


def test_the_same_call_gives_the_same_answer():
    f = random_network(np.random.default_rng(3), "power:4", scales=0.0)
    first, second = polynomial_bound(f), polynomial_bound(f)
    assert first.upper == second.upper
    np.testing.assert_array_equal(first.candidates, second.candidates)
