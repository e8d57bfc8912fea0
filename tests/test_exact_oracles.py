"""The oracles against closed forms, lawjax's own, dense samples, and what must not change a constant."""

import math

import numpy as np
import pytest
from exact_oracles import PIECEWISE_LINEAR, exact, norm_at, path, sampled, visible
from structured_networks import KINDS, ROUGH, structured

from lawjax import TwoLayer
from lawjax.domains import Sphere
from lawjax.lipschitz import exact_circle, exact_space, path_product

QUESTIONS = (("space", False), ("ball", False), ("sphere", False), ("sphere", True))


def small(rng, d, k, activation, whole=None):
    """Random weights, or small integers."""
    whole = rng.random() < 0.5 if whole is None else whole
    W, b, a = (rng.integers(-2, 3, s) + 0.0 if whole else rng.standard_normal(s) for s in ((k, d), k, k))
    return TwoLayer(W, b, a, 0.0, activation)


@pytest.mark.parametrize(
    ("f", "values"),
    [
        (TwoLayer([[3.0, 4.0]], [2.5], [2.0]), (10.0, 10.0, 10.0, 10.0)),  # on at a right angle to its row
        (TwoLayer([[3.0, 4.0]], [-4.0], [2.0]), (10.0, 10.0, 10.0, 6.0)),  # the cap's edge: sqrt(1 - 0.8^2)
        (TwoLayer([[0.6, 0.0, 0.8]], [-0.8], [5.0]), (5.0, 5.0, 5.0, 3.0)),
        (TwoLayer([[3.0, 4.0]], [-5.0], [2.0]), (10.0, 0.0, 0.0, 0.0)),  # only touches
        (TwoLayer([[1.0], [-1.0]], [0.0, 0.0], [3.0, 3.0]), (3.0, 3.0, 3.0, 0.0)),
        (TwoLayer([[1.0]] * 3, [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]), (1.0, 1.0, (0.0, 1.0), 0.0)),
        (TwoLayer(np.eye(3), np.zeros(3), np.ones(3)), (3**0.5, 3**0.5, 3**0.5, 2**0.5)),
        (TwoLayer(np.eye(3), np.zeros(3), [1.0, 2.0, 3.0], activation="abs"), (14**0.5,) * 3 + (13**0.5,)),
        (TwoLayer(np.eye(2), np.ones(2), [3.0, 4.0], activation="identity"), (5.0,) * 4),
        (TwoLayer([[1.0, 2.0]] * 2, [0.5, 0.5], [1.0, -1.0]), (0.0,) * 4),
        (TwoLayer(np.zeros((2, 3)), np.ones(2), np.ones(2)), (0.0,) * 4),
    ],
)
def test_closed_forms(f, values):
    for (domain, tangential), value in zip(QUESTIONS, values, strict=True):
        found = exact(f, domain, 1.0, tangential)
        surely, possibly = value if isinstance(value, tuple) else (value, value)
        assert found.surely == pytest.approx(surely, rel=1e-14)
        assert found.possibly == pytest.approx(possibly, rel=1e-14)


def test_a_thin_cap_has_a_thin_rim():
    """Height 1 - 2^-50: along the circle sqrt(1 - t^2), to its last digits."""
    t = 1.0 - 2.0**-50
    for d in (2, 3):
        f = TwoLayer(np.eye(1, d), [-t], [1.0])
        assert exact(f, "sphere", 1.0, True).surely == pytest.approx(math.sqrt((1.0 - t) * (1.0 + t)), rel=1e-15)


@pytest.mark.parametrize("seed", range(40))
def test_the_oracles_of_lawjax_agree(seed):
    rng = np.random.default_rng(seed)
    d = 1 + seed % 3
    f = small(rng, d, int(rng.integers(1, 9)), PIECEWISE_LINEAR[seed % len(PIECEWISE_LINEAR)])
    assert exact(f).surely == pytest.approx(exact_space(f), rel=1e-12)
    f = small(rng, 2, 12, PIECEWISE_LINEAR[seed % len(PIECEWISE_LINEAR)], whole=False)
    for tangential in (False, True):
        found = exact(f, "sphere", 0.5, tangential).surely
        assert found == pytest.approx(exact_circle(f, Sphere(0.5, tangential)), rel=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_samples_stay_below_and_come_near(seed):
    rng = np.random.default_rng(seed)
    f = small(rng, 1 + seed % 3, 5, PIECEWISE_LINEAR[seed % 4])
    for domain, tangential in QUESTIONS[: 4 if f.dimension > 1 else 2]:
        largest, found = sampled(f, domain, 2.0, tangential), exact(f, domain, 2.0, tangential)
        assert 0.95 * found.surely <= largest <= found.possibly * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_a_network_of_the_plane_in_three_dimensions(seed):
    """The sphere of R^3 shows it what the disc of R^2 does, and so does the ball; turned by a matrix of integers."""
    rng = np.random.default_rng(seed)
    f = small(rng, 2, 7, PIECEWISE_LINEAR[seed % 4], whole=True)
    turn = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 5.0]])  # orthogonal rows of length 5
    lifted = TwoLayer(f.W @ turn, f.b * 5.0, f.a, 0.0, f.activation)
    disc = exact(f, "ball").surely
    assert exact(lifted, "sphere").surely == exact(lifted, "ball").surely == pytest.approx(5.0 * disc, rel=1e-14)
    assert exact(lifted, "sphere", 1.0, True).surely >= 5.0 * exact(f, "sphere", 1.0, True).surely * (1 - 1e-14)


@pytest.mark.parametrize("seed", range(3 * len(KINDS)))
def test_structured_networks(seed):
    """Parts of a domain have no more; large balls have all; powers of two are factors; the path product is above."""
    kind, f, radius = structured(seed)
    space, ball, sphere, along = (exact(f, domain, radius, tangential) for domain, tangential in QUESTIONS)
    assert along.possibly <= sphere.possibly * (1 + 1e-15)
    assert sphere.possibly <= ball.surely == ball.possibly <= space.surely == space.possibly
    assert space.surely <= path(f) * (1 + 1e-13)
    if kind not in ("tiny_rows", *ROUGH):
        assert exact(f, "ball", 1e40).surely == space.surely
    if kind not in ROUGH and f.W.dtype == f.b.dtype == np.float64:
        g = TwoLayer(4.0 * f.W, 2.0 * f.b, f.a, 0.0, f.activation)
        assert exact(g, "ball", 0.5 * radius).surely == 4.0 * ball.surely
        assert exact(g, "sphere", 0.5 * radius, True).surely == 4.0 * along.surely


def test_the_same_seed_is_the_same_network():
    first, again = structured(7), structured(7)
    assert first.kind == again.kind and first.network.W.tobytes() == again.network.W.tobytes()
    assert {structured(seed).kind for seed in range(len(KINDS))} == set(KINDS) and len(KINDS) >= 23


def test_the_gradient_at_a_point():
    f = TwoLayer([[1.0, 0.0], [0.0, 2.0]], [0.0, 0.0], [3.0, 2.0])
    assert norm_at(f, np.array([0.3, 0.1])) == 5.0
    assert norm_at(f, np.array([0.6, 0.8]), True) == pytest.approx(abs(-3.0 * 0.8 + 4.0 * 0.6), abs=1e-15)
    assert norm_at(f, np.array([0.0, 0.1])) is None
    assert norm_at(f, np.array([-1.0, 0.1]), True) == pytest.approx(4.0 / math.hypot(1.0, 0.1), rel=1e-15)


def test_the_path_product_of_any_size():
    f = small(np.random.default_rng(0), 3, 8, "abs", whole=False)
    assert path(f) == pytest.approx(path_product(f), rel=1e-15)
    assert path(TwoLayer(f.W * 1e200, f.b, f.a * 1e-200)) == pytest.approx(path(f), rel=1e-14)


def test_what_no_float_can_show_is_not_visible():
    """A kink at 0.1 and one at 0.1 + 0.1 + 0.1 over 3: 2e-17 apart, where floats are 1e-17 apart."""
    f = TwoLayer([[1.0], [3.0]], [-0.1, -(0.1 + 0.1 + 0.1)], [15.0, -5.0])
    g = TwoLayer([[1.0], [3.0]], [-0.1, -0.3001], [15.0, -5.0])
    for domain in ("space", "ball"):
        assert exact(f, domain).surely == exact(g, domain).surely == visible(g, domain) == 15.0
        assert visible(f, domain) == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_what_is_visible_is_all_of_a_usual_network(seed):
    f = small(np.random.default_rng(seed), 1 + seed % 3, 6, PIECEWISE_LINEAR[seed % 4], whole=False)
    for domain, tangential in QUESTIONS:
        value = exact(f, domain, 1.5, tangential).surely
        assert value * (1 - 1e-9) <= visible(f, domain, 1.5, tangential) <= value
