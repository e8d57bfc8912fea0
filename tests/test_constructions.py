"""Section 3's networks: what each claims, on the data for which it is claimed, measured by brackets."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lipschitz_networks import generic

import lawjax
from lawjax import Dataset, UserError, constructions, keys, tensors
from lawjax.domains import Sphere
from lawjax.lipschitz import max_random_gradient
from lawjax.lipschitz.lower.evaluate import gradient_norms


@pytest.mark.parametrize(("n", "d"), [(85, 1000), (500, 1000)])
def test_section_3_1(n, d):
    """|w| / sqrt(n) is 1/sqrt(1 - n/d), in the mean of its square over data sets; R^d's Lipschitz constant is |w|."""
    ratios = []
    for seed in range(20):
        built = constructions.linear(generic(n, d, seed))
        assert built.fit_error < 1e-12
        assert built.conditions[0].holds
        ratios.append(np.linalg.norm(built.network.W) / math.sqrt(n))
    assert math.sqrt(np.mean(np.square(ratios))) == pytest.approx(1 / math.sqrt(1 - n / d), rel=0.03)
    found = lawjax.bracket(built.network)
    assert found.lower == pytest.approx(ratios[-1] * math.sqrt(n), rel=1e-9)
    assert found.upper == pytest.approx(found.lower, rel=1e-9)
    if built.holds:
        assert found.lower <= built.bound


def test_section_3_1_with_too_many_points_says_so():
    built = constructions.linear(generic(30, 10))
    assert not built.holds
    assert built.fit_error > 0.1
    assert "does NOT hold: n <= d" in str(built)


@pytest.mark.parametrize(("n", "d"), [(100, 200), (200, 100)])
def test_section_3_2(n, d):
    """Exact fit, tangential supremum sqrt(19) by bracket; the proxy sees none of it: random points miss caps."""
    built = constructions.caps(generic(n, d))
    assert built.holds
    assert built.fit_error < 1e-12
    assert built.bound == pytest.approx(math.sqrt(19), rel=1e-9)
    found = lawjax.bracket(built.network, Sphere(tangential=True))
    assert math.sqrt(19) - 1e-3 < found.lower <= found.upper < math.sqrt(19) + 1e-3
    proxy = max_random_gradient(built.network, keys.probe_key(n, d, n, 0)).maximum
    assert proxy == 0.0


def test_section_3_2_for_gaussian_data():
    built = constructions.caps(generic(60, 300, model="gaussian"))
    assert built.holds
    assert built.fit_error < 1e-12
    found = lawjax.bracket(built.network, Sphere(tangential=True))
    assert found.lower == pytest.approx(built.bound, rel=1e-6)
    assert found.upper == pytest.approx(built.bound, rel=1e-3)


def test_caps_that_meet_are_reported():
    """On the circle a hundred caps overlap: f does not fit, and both conditions say so."""
    built = constructions.caps(generic(100, 2))
    assert not any(condition.holds for condition in built.conditions)
    assert built.fit_error > 0.1
    two = Dataset(np.array([[1.0, 0.0], [0.8, 0.6]]), np.array([1.0, -1.0]))
    built = constructions.caps(two)  # 0.8: neither holds the other's point, but they overlap
    assert [condition.holds for condition in built.conditions] == [True, False]
    assert built.fit_error < 1e-12


def test_conditions_of_caps_against_all_pairs():
    random = np.random.default_rng(0)
    for _ in range(30):
        x = random.standard_normal((6, 3))
        dataset = Dataset(x, random.choice([-1.0, 1.0], 6))
        built = constructions.caps(dataset, 0.95)
        norms = np.linalg.norm(x, axis=1)
        pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
        fits = all(x[i] @ x[j] < 0.95 * norms[i] ** 2 for i, j in pairs)
        assert built.conditions[0].holds == fits
        assert (built.fit_error < 1e-9) == fits


def test_ramps():
    """Lip = sqrt((2 - s)/s) on the sphere, sqrt(7) at s = 1/4; on R^d no more than plateaus beside each other."""
    built = constructions.ramps(generic(20, 2000))
    assert built.holds
    assert built.network.n_neurons == 40
    assert built.fit_error < 1e-12
    assert built.bound == pytest.approx(math.sqrt(7), rel=1e-9)
    found = lawjax.bracket(built.network, Sphere(tangential=True))
    assert found.lower == pytest.approx(math.sqrt(7), rel=1e-3)
    assert found.upper == pytest.approx(math.sqrt(7), rel=1e-3)
    x = generic(20, 2000).x
    np.testing.assert_allclose(built.network(3.0 * x), built.network(x), atol=1e-5)  # bounded along the rays


@pytest.mark.parametrize(
    ("n", "d", "k", "at_data"), [(1000, 2000, 500, 2.93), (1000, 2000, 200, 4.62), (2000, 2000, 200, 6.62)]
)
def test_theorem_1(n, d, k, at_data):
    """Fit, gradient 2 |w_g| at the data, and two witnesses of the gradient along the sphere; the proxy sees nothing.

    At 45 degrees from the mean direction of 2m neurons of one sign all these are on: 2m. The search finds about 4m:
    with as many neurons of each sign, 4m are on at their mean direction, and none of the gradient is radial.
    """
    single = constructions.grouped_caps(generic(n, d, dtype=np.float32), k)
    assert single.fit_error < 1e-6
    built = constructions.grouped_caps(generic(n, d), k)
    assert built.fit_error < 1e-12
    assert built.holds
    assert built.network.n_neurons == k
    gradients = np.linalg.norm(built.network.gradient(generic(n, d).x), axis=1)
    assert gradients.max() == pytest.approx(2 * np.linalg.norm(built.network.W, axis=1).max(), rel=1e-9)
    assert gradients.mean() == pytest.approx(at_data, rel=0.15)
    m = n // k
    mean = built.network.W[: 2 * m].sum(0)
    mean /= np.linalg.norm(mean)
    aside = np.random.default_rng(0).standard_normal(d)
    aside -= np.linalg.lstsq(built.network.W.T, aside, rcond=None)[0] @ built.network.W
    aside /= np.linalg.norm(aside)
    towards = np.linspace(math.pi / 6, math.pi / 3, 1001)[:, None]
    around = np.cos(towards) * mean + np.sin(towards) * aside
    assert gradient_norms(built.network, around, Sphere(tangential=True)).max() == pytest.approx(2 * m, rel=0.15)
    found = lawjax.bracket(built.network, Sphere(tangential=True))
    assert 0.85 * 4 * m < found.lower < 1.05 * 4 * m
    assert found.upper < 2.2 * found.lower
    assert max_random_gradient(built.network, keys.probe_key(n, d, k, 0)).maximum == 0.0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 30), st.data())
def test_groups_of_any_number(n, d, draw):
    """k groups for every k that is possible, each of one label, sizes within one label as equal as they can be."""
    dataset = generic(n, d, seed=draw.draw(st.integers(0, 10)))
    labels = len(set(dataset.y))
    k = draw.draw(st.integers(labels, n)) if labels <= n else 1
    for clustered in (False, True):
        built = constructions.grouped_caps(dataset, k, clustered)
        assert built.network.n_neurons == k
        assert set(np.sign(built.network.a)) == set(dataset.y)
        if built.holds:
            assert built.fit_error < 1e-6
    with pytest.raises(UserError, match="groups"):
        constructions.grouped_caps(dataset, n + 1)


def test_clusters_have_shorter_weights():
    dataset = generic(400, 100)
    plain, clustered = (constructions.grouped_caps(dataset, 100, choice) for choice in (False, True))
    norms = [np.linalg.norm(built.network.W, axis=1).mean() for built in (plain, clustered)]
    assert norms[1] < norms[0]


@pytest.mark.parametrize(("n", "d"), [(1000, 200), (4000, 150)])
def test_theorem_2_of_order_two(n, d):
    """Residual at most 3 eps; lambda_max - lambda_min is the bracket along the sphere; ||T||_op near 2 sqrt(n/d)."""
    built = constructions.tensor(generic(n, d))
    epsilon = math.sqrt(n * math.log(n)) / d
    assert built.fit_error <= 3 * epsilon
    assert built.network.n_neurons <= d
    found = lawjax.bracket(built.network, Sphere(tangential=True))
    assert found.lower == pytest.approx(built.bound, rel=1e-9)
    assert found.upper == pytest.approx(built.bound, rel=1e-9)
    assert 1.5 < np.abs(built.network.a).max() / math.sqrt(n / d) < 2.5


def test_theorem_2_of_order_four():
    n, d = 2000, 12
    built = constructions.tensor(generic(n, d), 4)
    # C_p grows like the root of E u^(2p) for normal u: 105 at p = 4, 3 at p = 2
    assert built.fit_error <= 3 * math.sqrt(105 / 3) * math.sqrt(n * math.log(n) / d**4)
    assert lawjax.bracket(built.network, Sphere(tangential=True)).lower <= built.bound


def test_tensors_through_lemma_2_are_the_same_function():
    """With n above 2^(p-1) d^(p-1) the neurons are Lemma 2's."""
    dataset = generic(500, 4)
    built = constructions.tensor(dataset, 3)
    assert built.network.n_neurons <= 4 * 4**2
    x = np.random.default_rng(0).standard_normal((10, 4))
    np.testing.assert_allclose(built.network(x), dataset.y @ (dataset.x @ x.T) ** 3, atol=1e-9)
    assert not built.holds  # odd orders are beyond the paper
    assert "beyond the paper" in str(built)


@pytest.mark.parametrize(("p", "n", "d"), [(2, 600, 100), (3, 300, 14), (4, 500, 12)])
def test_fitting_the_residuals(p, n, d):
    """An exact fit while n is below the dimension of the symmetric tensors, of the least Frobenius norm of all."""
    dataset = generic(n, d)
    built = constructions.tensor(dataset, p, exact=True)
    assert built.fit_error < 1e-8
    gram = (dataset.x @ dataset.x.T) ** p
    x = np.random.default_rng(0).standard_normal((10, d))
    expected = np.linalg.solve(gram, dataset.y) @ (dataset.x @ x.T) ** p
    np.testing.assert_allclose(built.network(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("m", [1, 3, 12])
def test_partial_tensors(m):
    """The function written out, its width, and a bound that holds; with all coordinates Theorem 2's form of order 3."""
    dataset = generic(150, 12)
    built = constructions.partial_tensor(dataset, m)
    assert built.network.n_neurons == m * 25
    x = np.random.default_rng(0).standard_normal((10, 12))
    expected = 12 / m * (dataset.x[:, :m] @ x[:, :m].T) * (dataset.x @ x.T) ** 2
    np.testing.assert_allclose(built.network(x), dataset.y @ expected, atol=1e-9)
    assert lawjax.bracket(built.network, Sphere(tangential=True)).lower <= built.bound
    if m == 12:
        np.testing.assert_allclose(built.network(x), constructions.tensor(dataset, 3).network(x), atol=1e-9)


def test_partial_tensors_become_smoother_with_width():
    found = [tensors.operator_norm(constructions.partial_tensor(generic(400, 20), m).network) for m in (1, 4, 20)]
    assert found[0].lower > 2 * found[1].upper > 2 * found[2].lower
    with pytest.raises(UserError, match="coordinates"):
        constructions.partial_tensor(generic(10, 3), 4)


def test_the_smoothest_quadratic():
    """It fits, is smoother than every other form that does, and its conditions say how near the minimum it is."""
    dataset = generic(150, 30)
    built = constructions.smoothest_quadratic(dataset)
    assert built.holds
    assert built.fit_error < 1e-9
    least_frobenius = constructions.tensor(dataset, exact=True).network
    assert built.bound < 2 * np.abs(least_frobenius.a).max()
    found = lawjax.bracket(built.network, "ball")
    assert found.upper == pytest.approx(built.bound, rel=1e-9)
    T = (built.network.W.T * built.network.a) @ built.network.W
    random = np.random.default_rng(0)
    features = np.einsum("ni,nj->nij", dataset.x, dataset.x).reshape(150, -1)
    for _ in range(50):  # other forms that fit: T plus what vanishes on the data
        other = random.standard_normal((30, 30))
        other = (other + other.T).reshape(-1)
        other = other - np.linalg.lstsq(features, features @ other, rcond=None)[0]
        other = 0.5 * (other.reshape(30, 30) + other.reshape(30, 30).T)
        other *= random.choice([0.01, 0.1]) / np.linalg.norm(other, 2)
        assert np.linalg.norm(T + other, 2) >= np.linalg.norm(T, 2) * (1 - 3e-3)


def test_precision_and_mistakes():
    single = constructions.grouped_caps(generic(100, 200, dtype=np.float32), 30)
    assert single.network.W.dtype == np.float32
    with pytest.raises(UserError, match="threshold"):
        constructions.caps(generic(5, 5), 1.0)
    with pytest.raises(UserError, match="zero"):
        constructions.caps(Dataset(np.zeros((2, 3)), np.ones(2)))
    with pytest.raises(UserError, match="linear"):
        constructions.tensor(generic(5, 5), 1)
    with pytest.raises(UserError, match="Labels"):
        constructions.linear(Dataset(np.eye(2), np.array([1.0, 2.0])))


@pytest.mark.parametrize(("n", "d"), [(10, 3), (2, 1)])
def test_where_no_form_fits_the_condition_says_so(n, d):
    """The nearest form comes back, finite, with the condition that fails."""
    built = constructions.tensor(generic(n, d, seed=1), exact=True)
    assert np.isfinite(built.network.a).all()
    assert built.fit_error < 10
    assert not built.conditions[-1].holds


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_points_beyond_safe_sizes_are_refused(scale):
    dataset = Dataset(scale * np.eye(2), np.array([1.0, -1.0]))
    for build in (constructions.linear, constructions.caps, constructions.smoothest_quadratic, constructions.tensor):
        with pytest.raises(UserError, match="rescale"):
            build(dataset)
    with pytest.raises(UserError, match="zero"):
        constructions.smoothest_quadratic(Dataset(np.zeros((2, 2)), np.array([1.0, -1.0])))
    assert math.isfinite(constructions.tensor(generic(10, 20), 1000).fit_error)
