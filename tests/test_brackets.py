"""lower <= exact <= upper on networks made to break it, sharpness, and what must not change a bound."""

import json
import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lipschitz_networks import QUICK, USUAL, generic, paper_weights, random_network

import lawjax
from lawjax import Search, TwoLayer, UserError, check, constructions
from lawjax.domains import Ball, Sphere, named
from lawjax.lipschitz import (
    DisjointCaps,
    OverlappingCaps,
    SlopeProof,
    certify,
    exact_circle,
    exact_space,
    path_product,
    spectral_product,
)
from lawjax.lipschitz.lower.evaluate import gradient_norms
from lawjax.lipschitz.lower.walks import walk

KINKED = ("relu", "leaky_relu", "abs")
BOUNDED = (*KINKED, "tanh", "softplus", "gelu", "identity")


def check_against_exact(rng, activation):
    """Assert lower <= exact <= upper; returns lower/exact, upper/exact."""
    f = random_network(rng, activation)
    exact, found = exact_space(f), lawjax.bracket(f)
    assert found.lower <= exact * (1 + 1e-12), f
    assert exact <= found.upper * (1 + 1e-14), f
    if f.dimension == 2:
        on_circle, circle = exact_circle(f), lawjax.bracket(f, "sphere")
        assert circle.lower <= on_circle * (1 + 1e-9) and on_circle <= circle.upper * (1 + 1e-12), f
        along = lawjax.bracket(f, Sphere(tangential=True))
        assert along.lower <= exact_circle(f, Sphere(tangential=True)) * (1 + 1e-9) <= along.upper * (1 + 1e-8), f
    return (found.lower / exact, found.upper / exact) if exact else (1.0, 1.0)


def assert_sharp(ratios):
    lower, upper = np.array(ratios).T
    assert np.median(lower) >= 0.999 and lower.min() >= 0.97, np.sort(lower)[:5]
    assert np.median(upper) <= 1.05


def test_the_exact_constant_lies_between():
    rng = np.random.default_rng(0)
    assert_sharp([check_against_exact(rng, KINKED[i % 3]) for i in range(40)])


@pytest.mark.slow
def test_the_exact_constant_lies_between_two_thousand_times():
    rng = np.random.default_rng(1)
    assert_sharp([check_against_exact(rng, KINKED[i % 3]) for i in range(2000)])


@pytest.mark.parametrize("domain", ["space", "ball", "sphere"])
@pytest.mark.parametrize("activation", BOUNDED)
def test_no_sample_is_above_the_upper_bound(activation, domain):
    check_against_samples(np.random.default_rng(BOUNDED.index(activation)), activation, domain, 5, 0.0, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("domain", ["space", "ball", "sphere"])
@pytest.mark.parametrize("activation", BOUNDED)
def test_no_sample_is_above_the_upper_bound_a_hundred_times(activation, domain):
    check_against_samples(np.random.default_rng(100 + BOUNDED.index(activation)), activation, domain, 100, 20.0)


def check_against_samples(rng, activation, domain, networks, scales, search=USUAL):
    for _ in range(networks):
        f = random_network(rng, activation, scales=scales if activation in KINKED else 0.0)
        found = lawjax.bracket(f, named(domain, 2.0), search)
        points = rng.standard_normal((5000, f.dimension))
        points *= 2.0 / np.linalg.norm(points, axis=1, keepdims=True)
        if domain == "space":
            points = points * 10 ** rng.uniform(-2, 3, (5000, 1))
        elif domain == "ball":
            points = points * rng.uniform(0, 1, (5000, 1))
        sampled = gradient_norms(f, points).max()
        assert max(sampled, found.lower) <= found.upper * (1 + 1e-12)
        assert found.lower >= 0.97 * sampled
        assert np.linalg.norm(found.witness) <= 2.0 * (1 + 1e-12) or domain == "space"


@pytest.mark.parametrize(("d", "k", "value"), [(50, 100, 1.2501325), (100, 300, 1.3528114), (200, 1000, 1.5406328)])
def test_the_relaxations_of_the_reference_networks(d, k, value):
    """Values of LipSDP-Neuron's best open solver on the same networks; the certificate may not be above them."""
    f = paper_weights(d, k)
    bound = certify(f).bound
    assert value - 2e-6 <= bound <= value
    assert bound <= min(path_product(f), spectral_product(f))


def test_a_linear_network_and_a_single_neuron_are_exact():
    rng = np.random.default_rng(3)
    W, a = rng.standard_normal((7, 5)), rng.standard_normal(7)
    found = lawjax.bracket(TwoLayer(W, np.zeros(7), a, activation="identity"))
    assert found.lower == pytest.approx(np.linalg.norm(a @ W), rel=1e-13)
    assert found.upper == pytest.approx(np.linalg.norm(a @ W), rel=1e-12)
    one = lawjax.bracket(TwoLayer(W[:1], np.ones(1), a[:1]))
    assert one.lower == pytest.approx(abs(a[0]) * np.linalg.norm(W[0]), rel=1e-13)
    assert one.upper == pytest.approx(one.lower, rel=1e-9)


def test_orthonormal_rows_are_exact():
    """Every pattern occurs, and the certificate is sqrt(sum a_l^2)."""
    f = TwoLayer(np.eye(6), np.zeros(6), np.arange(1.0, 7.0))
    found = lawjax.bracket(f)
    assert found.lower == pytest.approx(math.sqrt(91), rel=1e-12) and found.upper == pytest.approx(
        found.lower, rel=1e-8
    )


def test_constant_neurons_on_the_sphere_are_fixed():
    """One neuron always on and one always off on the unit sphere: what is left is linear, so the bracket closes."""
    f = TwoLayer([[1.0, 0.0, 0.0], [0.0, 5.0, 0.0]], [1.001, -5.001], [2.0, 100.0])
    for domain in ("ball", "sphere"):
        found = lawjax.bracket(f, domain)
        assert found.lower == pytest.approx(2.0, rel=1e-12) and found.upper == pytest.approx(2.0, rel=1e-9)
    assert lawjax.bracket(f, Ball(1.1)).upper > 100.0
    assert lawjax.bracket(f).lower > 500.0


@pytest.mark.parametrize(("n", "d"), [(100, 200), (200, 100)])
def test_the_proxy_sees_nothing_of_small_caps_and_the_bracket_all(n, d, tmp_path):
    """Section 3.2. The proxy's points have length about one and directions that all caps miss: it returns 0.

    On the sphere no two caps meet, so one neuron at a time is on: the gradient is 10, and sqrt(19) along the sphere at
    the rim of a cap. The relaxation alone counts as if all n neurons could be on.
    """
    random = np.random.default_rng(0)
    centres = random.standard_normal((n, d))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    f = TwoLayer(centres, np.full(n, -0.9), 10.0 * random.choice([-1.0, 1.0], n))
    assert float(lawjax.lipschitz.max_random_gradient(f, jax.random.key(0)).maximum) == 0.0
    for tangential, value in ((False, 10.0), (True, math.sqrt(19.0))):
        found = lawjax.bracket(f, Sphere(tangential=tangential))
        assert value * (1 - 1e-6) <= found.lower <= value * (1 + 1e-12) <= found.upper * (1 + 1e-12)
        assert found.upper <= value * (1 + 1e-5)
        f.save(tmp_path / "f.npz")
        (tmp_path / "c.json").write_text(json.dumps(found.proof.record(f)))
        assert check.check(tmp_path / "f.npz", tmp_path / "c.json")[0]
    assert certify(f, "ball").bound == pytest.approx(10.0, rel=1e-6)
    assert certify(f, Sphere(1.2)).bound > 15.0  # there the caps meet
    assert certify(f).bound > 80.0


def test_disjoint_caps_hold_on_the_circle():
    """Caps of all sizes, apart and inside each other, with a few that have the larger side: against the exact value."""
    random = np.random.default_rng(2)
    by_caps = 0
    for i in range(200):
        k = int(random.integers(2, 12))
        W = random.standard_normal((k, 2))
        heights = random.uniform(0.5, 1.0, k) * random.choice([1.0, 1.0, -1.0], k)
        f = TwoLayer(W, -heights * np.linalg.norm(W, axis=1), random.standard_normal(k), 0.0, KINKED[i % 3])
        for tangential in (False, True):
            found = certify(f, Sphere(tangential=tangential), by_cells=False)
            exact = exact_circle(f, Sphere(tangential=tangential))
            assert exact <= found.bound * (1 + 1e-9), f
            by_caps += isinstance(found, DisjointCaps)
        record = found.record(f)
        assert check.proves(f.W, f.b, f.a, f.activation.name, check.statement_of(record), record["bound"])
    assert by_caps > 100


@pytest.mark.parametrize(("n", "d", "k", "factor"), [(400, 800, 200, 1.8), (1000, 2000, 200, 1.8)])
def test_grouped_caps_are_within_a_small_factor(n, d, k, factor):
    """Section 3.3: few of the caps can be entered together; the relaxation without that is 3.5 to 5 times too large."""
    f = constructions.grouped_caps(generic(n, d), k).network
    found = lawjax.bracket(f, "sphere")
    assert isinstance(found.proof, OverlappingCaps)
    assert found.lower <= found.upper <= factor * found.lower
    assert certify(f).bound > 3.0 * found.lower
    beyond = np.random.default_rng(0).standard_normal((2000, d))
    points = (f.W[:40] / np.linalg.norm(f.W[:40], axis=1, keepdims=True)).cumsum(0)
    points = np.concatenate([points, beyond])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    assert gradient_norms(f, points).max() <= found.upper


def test_smooth_slopes_are_narrower_on_a_small_sphere():
    """With ||w|| R small, psi' hardly changes and f is almost linear."""
    random = np.random.default_rng(3)
    W, b, a = random.standard_normal((20, 5)), random.standard_normal(20), random.standard_normal(20)
    for activation in ("tanh", "softplus", "gelu"):
        f = TwoLayer(W, b, a, 0.0, activation)
        found = lawjax.bracket(f, Sphere(1e-3))
        assert found.upper <= 1.02 * found.lower
        assert certify(f, Ball(0.3)).bound < certify(f).bound


def test_quadratic_networks_are_exact_on_the_sphere():
    """Section 3.4: lambda_max - lambda_min along the sphere, 2 max |lambda| for the whole gradient."""
    random = np.random.default_rng(4)
    W, a = random.standard_normal((30, 8)), random.standard_normal(30)
    values = np.linalg.eigvalsh((W.T * a) @ W)
    f = TwoLayer(W, np.zeros(30), a, 0.0, "power:2")
    for tangential, value in ((False, 2.0 * np.abs(values).max()), (True, values[-1] - values[0])):
        found = lawjax.bracket(f, Sphere(tangential=tangential))
        assert found.lower == pytest.approx(value, rel=1e-9) and found.upper == pytest.approx(value, rel=1e-9)
        assert found.lower <= value * (1 + 1e-12) and value <= found.upper * (1 + 1e-12)


FACTORS = np.geomspace(0.01, 100.0, 30)
CHANGES = {
    "permuted": lambda f: TwoLayer(f.W[::-1], f.b[::-1], f.a[::-1]),
    "rescaled": lambda f: TwoLayer(f.W * FACTORS[:, None], f.b * FACTORS, f.a / FACTORS),
    "split": lambda f: TwoLayer(
        np.concatenate([f.W, f.W[:1]]),
        np.append(f.b, f.b[0]),
        np.concatenate([[0.3 * f.a[0]], f.a[1:], [0.7 * f.a[0]]]),
    ),
    "padded": lambda f: f.padded(41, 17),
    "rotated": lambda f: TwoLayer(f.W @ np.linalg.qr(np.random.default_rng(9).standard_normal((10, 10)))[0], f.b, f.a),
}


@pytest.fixture(scope="module")
def unchanged():
    """A network and its brackets."""
    rng = np.random.default_rng(4)
    f = TwoLayer(rng.standard_normal((30, 10)), rng.standard_normal(30), rng.standard_normal(30))
    return f, lawjax.lipschitz.brackets([f], ("space", "sphere"))


@pytest.mark.parametrize("change", CHANGES)
def test_what_leaves_the_function_leaves_the_bounds(change, unchanged):
    f, before = unchanged
    after = lawjax.lipschitz.brackets([CHANGES[change](f)], ("space", "sphere"))
    for domain in ("space", "sphere"):
        [own], [other] = before[domain], after[domain]
        assert other.upper == pytest.approx(own.upper, rel=1e-6)
        assert other.lower == pytest.approx(own.lower, rel=0.02)  # a search, from other starts


def test_many_at_once_is_one_by_one():
    rng = np.random.default_rng(6)
    several = [random_network(rng, "relu", scales=0.0) for _ in range(6)]
    for alone, found in zip(map(lawjax.bracket, several), lawjax.bracket(several), strict=True):
        assert alone.upper == pytest.approx(found.upper, rel=1e-9)
        assert alone.lower == found.lower
    stack = jax.tree.map(lambda *leaves: np.stack(leaves), *[paper_weights(5, 8)] * 2)
    first, second = lawjax.bracket(stack)
    assert first.upper == second.upper == pytest.approx(lawjax.bracket(paper_weights(5, 8)).upper)


@pytest.mark.parametrize("domain", ["space", "ball", "sphere"])
@pytest.mark.parametrize("d", [3, 40])
def test_points_given_are_looked_at(domain, d):
    """The lower bound is never below the gradient at a point of the domain that is given."""
    random = np.random.default_rng(5)
    f = TwoLayer(random.standard_normal((30, d)), random.standard_normal(30), 0.01 * random.standard_normal(30))
    centre = random.standard_normal(d)
    centre /= np.linalg.norm(centre)
    found = lawjax.bracket(f, domain, search=Search(points=np.stack([centre, -centre])))
    assert found.lower >= gradient_norms(f, np.stack([centre, -centre])).max() * (1 - 1e-12)
    assert found.lower <= found.upper
    with pytest.raises(UserError, match="dimension"):
        lawjax.bracket(f, domain, search=Search(points=np.ones((2, d + 1))))
    with pytest.raises(UserError, match="shape"):
        Search(points=np.ones(d))
    with pytest.raises(UserError, match="not zero"):
        Search(points=np.zeros((1, d)))
    with pytest.raises(UserError, match="at least 1"):
        Search(starts=0)


def test_float32_weights_are_taken_as_they_are():
    f = paper_weights(20, 40)
    single = f.astype(np.float32)
    assert lawjax.bracket(single).upper == pytest.approx(certify(single.astype(np.float64)).bound, rel=1e-12)


def test_a_search_never_goes_down_and_stays_where_it_should():
    rng = np.random.default_rng(8)
    f = TwoLayer(rng.standard_normal((25, 6)), rng.standard_normal(25), rng.standard_normal(25))
    starts = rng.standard_normal((8, 6))
    starts *= 1.5 / np.linalg.norm(starts, axis=1, keepdims=True)
    for domain, tangential in [("space", False), ("sphere", False), ("ball", False), ("sphere", True)]:
        ends = walk(f, starts, named(domain, 1.5, tangential))
        before, after = (gradient_norms(f, points, named(domain, 1.5, tangential)) for points in (starts, ends))
        assert (after >= before).all()
        norms = np.linalg.norm(ends, axis=1)
        if domain == "ball":
            assert (norms <= 1.5 * (1 + 1e-12)).all()
        elif domain == "sphere":
            assert np.allclose(norms, 1.5, rtol=1e-12)


def test_a_point_on_a_kink_proves_nothing():
    f = TwoLayer([[1.0, 0.0], [-1.0, 0.0]], [0.0, 0.0], [1.0, 1.0])
    points = np.array([[0.0, 1.0], [1e-16, 1.0], [1e-13, 1.0]])
    assert gradient_norms(f, points).tolist() == [0.0, 1.0, 1.0]


def test_a_point_off_its_domain_proves_nothing():
    f = TwoLayer([[1.0, 0.0]], [0.5], [1.0])
    points = np.array([[0.6, 0.8], [0.6, 0.8 - 1e-9], [0.3, 0.4], [1e-200, 0.0], [6.0, 8.0]])
    assert gradient_norms(f, points, Sphere()).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert gradient_norms(f, points, Ball()).tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]
    assert gradient_norms(f, points, Sphere(10.0)).tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]


def test_a_network_that_is_constant():
    found = lawjax.bracket(TwoLayer(np.zeros((3, 4)), np.ones(3), np.ones(3)))
    assert found.lower == found.upper == 0.0
    found = lawjax.bracket(TwoLayer(np.ones((3, 4)), np.ones(3), np.zeros(3)))
    assert found.lower == found.upper == 0.0


def test_unbounded_slopes_have_no_upper_bound():
    found = lawjax.bracket(paper_weights(4, 6).astype(np.float64), "sphere")
    assert math.isfinite(found.upper)
    f = paper_weights(4, 6)
    found = lawjax.bracket(TwoLayer(f.W, f.b, f.a, activation="power:2"))
    assert found.upper == math.inf and found.lower > 0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("torus",), "domain must be lawjax.Space"),
        (("ball", -1.0), "radius"),
        (("ball", math.nan), "radius"),
        (("space", 1.0, True), "tangential is for the sphere"),
    ],
)
def test_bad_input(arguments, match):
    with pytest.raises(UserError, match=match):
        lawjax.bracket(paper_weights(3, 4), named(*arguments))


def test_domains_that_are_none_and_radii_beyond_floats():
    f = TwoLayer([[1.0], [2.0]], [0.1, 0.2], [1.0, -1.0])
    with pytest.raises(UserError, match="at least one domain"):
        lawjax.lipschitz.brackets([f], ())
    with pytest.raises(UserError, match="rescale"):
        lawjax.bracket(f, Sphere(1e200))
    assert lawjax.bracket(f, Sphere(1e80, tangential=True)).lower < 1e-9  # nothing lies along a sphere of two points


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_no_certificate_is_below_its_share_of_the_path_product(seed):
    """docs/frontier.md: at least sum ||v_l|| / (2 sqrt(min(k + 1, d))); and Lip at least that with k for k <= d.

    Neurons of one kink count as the one that they are together.
    """
    f = random_network(np.random.default_rng(seed), "relu", max_d=12, max_k=12, scales=3.0)
    k, d = f.n_neurons, f.dimension
    certificate, found = certify(f, by_cells=False), lawjax.bracket(f)
    generators = f.a[:, None] * f.W
    path = float(np.linalg.norm(generators, axis=1).sum())
    assert isinstance(certificate, SlopeProof)
    for neuron, other, sign in certificate.ties:
        generators[other] += sign * generators[neuron]
        generators[neuron] = 0.0
    together = float(np.linalg.norm(generators, axis=1).sum())
    assert certificate.bound >= together / (2 * math.sqrt(min(k + 1, d))) * (1 - 1e-12)
    if k <= d and np.linalg.matrix_rank(f.W) == k:
        assert found.lower >= path / (2 * math.sqrt(k)) * (1 - 1e-9)
