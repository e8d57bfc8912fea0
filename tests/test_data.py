"""Generic data: the moments of the two models, and the floor against a brute-force oracle."""

import chex
import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawjax import data
from lawjax.errors import UserError

MODELS = sorted(data.MODELS)


def brute_force_floor(x, y):
    """max over all pairs of opposite labels of 2 / ||x_i - x_j||, in Python's own arithmetic."""
    best = 0.0
    for i in range(len(x)):
        for j in range(i):
            if y[i] != y[j]:
                distance = float(np.linalg.norm(x[i] - x[j]))
                best = max(best, 2.0 / distance if distance else np.inf)
    return best


@pytest.mark.parametrize("model", MODELS)
def test_points_have_the_moments_of_the_model(model):
    n, d = 20_000, 5
    x, y = data.MODELS[model](jax.random.key(0), n, d)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    # Both models have mean 0, covariance I/d and E||x||^2 = 1; four standard errors of each estimate.
    np.testing.assert_allclose(x.mean(0), 0.0, atol=4 / np.sqrt(n * d))
    np.testing.assert_allclose(x.T @ x / n, np.eye(d) / d, atol=4 * np.sqrt(2 / n) / d)
    np.testing.assert_allclose((x**2).sum(1).mean(), 1.0, atol=4 * np.sqrt(2 / (d * n)))
    assert set(y) == {-1.0, 1.0}
    assert abs(y.mean()) < 4 / np.sqrt(n)
    np.testing.assert_allclose(y @ x / n, 0.0, atol=4 / np.sqrt(n * d))  # labels do not depend on the points


def test_gaussian_norms_vary_as_chi_square():
    n, d = 20_000, 8
    squares = np.asarray((data.gaussian(jax.random.key(1), n, d).x ** 2).sum(1), np.float64)
    np.testing.assert_allclose(squares.var(), 2 / d, rtol=0.1)


@pytest.mark.parametrize("d", [1, 2, 50])
def test_sphere_points_have_norm_one(d):
    x = np.asarray(data.sphere(jax.random.key(2), 500, d).x, np.float64)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_the_key_decides_everything(model):
    sample = data.MODELS[model]
    first, again, other = (sample(jax.random.key(seed), 30, 4) for seed in (3, 3, 4))
    chex.assert_trees_all_equal(first, again)
    assert not np.array_equal(first.x, other.x)
    assert not np.array_equal(first.y, other.y)
    assert (first.n, first.d) == (30, 4)
    compiled = jax.jit(sample, static_argnums=(1, 2))(jax.random.key(3), 30, 4)
    chex.assert_trees_all_close(compiled, first, rtol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_dtype_is_the_one_asked_for(model):
    assert data.MODELS[model](jax.random.key(0), 3, 2).x.dtype == jnp.float32
    with jax.enable_x64(True):
        x, y = data.MODELS[model](jax.random.key(0), 3, 2, jnp.float64)
    assert x.dtype == y.dtype == jnp.float64


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("n", "d"), [(0, 3), (3, 0), (-1, 3)])
def test_sizes_below_one_are_refused(model, n, d):
    with pytest.raises(UserError, match="must be a whole number from 1"):
        data.MODELS[model](jax.random.key(0), n, d)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("block", [1, 7, 1024])
def test_floor_is_the_brute_force_one(model, block):
    sample = data.MODELS[model](jax.random.key(5), 60, 3)
    x, y = np.asarray(sample.x, np.float64), np.asarray(sample.y)
    np.testing.assert_allclose(data.floor(sample, block), brute_force_floor(x, y), rtol=1e-12)


@given(
    x=hnp.arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.integers(-3, 3)),
    signs=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_floor_on_grids_with_duplicates(x, signs):
    y = np.where(signs, 1.0, -1.0)[: len(x)]
    assert data.floor(data.dataset(x, y)) == pytest.approx(brute_force_floor(x, y), rel=1e-15)


@given(
    x=hnp.arrays(np.float64, (8, 2), elements=st.floats(-1.0, 1.0)),
    offset=st.sampled_from([0.0, 1.0, 1e4, 1e8]),
)
def test_floor_is_never_above_the_truth(x, offset):
    y = np.tile([1.0, -1.0], 4)
    assert data.floor(data.dataset(x + offset, y)) <= brute_force_floor(x + offset, y) * (1 + 1e-15)


def test_floor_of_known_sets():
    assert data.floor(data.dataset([[0.0, 0.0], [3.0, 4.0]], [1, -1])) == pytest.approx(0.4)
    assert data.floor(data.dataset([[0.1, 0.7], [0.1, 0.7]], [1, -1])) == np.inf
    assert data.floor(data.dataset([[0.1, 0.7], [0.1, 0.7]], [1, 1])) == 0.0
    assert data.floor(data.dataset([[0.1, 0.7], [5.0, 0.7]], [-1, -1])) == 0.0


def test_floor_survives_a_large_common_offset():
    x = np.array([[0.0], [0.5], [4.0], [4.0]]) + 2.0**40  # exact in float64, while squares are not
    assert data.floor(data.dataset(x, [1, -1, 1, 1])) == 4.0
    assert data.floor(data.dataset(x, [1, 1, 1, -1])) == np.inf


def test_floor_finds_the_closest_pair_wherever_the_points_lie():
    """Far from 0, beside a constant or wide feature, at any size: the inner products alone would take another pair."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal((60, 4)), np.resize([1.0, -1.0], 60)
    sets = {
        "moved": x + 1e7,
        "constant": np.hstack([x, np.full((60, 1), 1e9)]),
        "clusters": x.copy(),
        "huge": 1e307 * x,
    }
    sets["clusters"][:, 0] += 1e9 * random.integers(0, 2, 60)
    for points in sets.values():
        size = max(np.abs(points).max() / 1e100, 1.0)
        expected = brute_force_floor(points / size, y) / size
        np.testing.assert_allclose(data.floor(data.dataset(points, y)), expected, rtol=1e-9)


@pytest.mark.parametrize("size", [5e-324, 1e-320, 1e-300, 1e-200, 1e-155, 1e155, 1e300])
def test_floor_at_any_size(size):
    """Points 0, size and one: two are size apart, or one apart from the third."""
    apart = data.dataset([[0.0], [size], [1.0]], [1, -1, 1])
    truth = 2.0 / min(size, abs(1.0 - size))
    assert data.floor(apart) == pytest.approx(min(truth, np.finfo(float).max), rel=1e-12)
    assert data.floor(data.dataset([[size, 0.0], [-size, 0.0]], [1, -1])) == pytest.approx(
        min(1.0 / size, np.finfo(float).max), rel=1e-12
    )


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i4", "bool", "object", "longdouble", "bfloat16", "float16", "int4"])
def test_dataset_takes_numbers_of_every_kind(dtype):
    """In this machine's byte order, in float64 where they are no floats or longer ones."""
    dtype = getattr(jnp, dtype) if dtype in ("bfloat16", "int4") else np.dtype(dtype)
    made = data.dataset(np.array([[1, 0], [0, 1], [1, 1]]).astype(dtype), np.array([1, -1, 1], dtype=">i8"))
    np.testing.assert_array_equal(made.x.astype(np.float64), [[1, 0], [0, 1], [1, 1]])
    assert made.x.dtype.isnative and made.y.dtype == made.x.dtype
    short = dtype in (np.dtype(">f4"), np.dtype("float16"), jnp.bfloat16)
    assert (made.x.dtype == np.float64) != short


def test_dataset_converts_and_keeps_precision():
    integers = data.dataset([[1, 2], [3, 4]], [1, -1])
    assert integers.x.dtype == integers.y.dtype == np.float64
    single = data.dataset(np.ones((2, 3), np.float32), [1, -1])
    assert single.x.dtype == single.y.dtype == np.float32
    assert (single.n, single.d) == (2, 3)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        ([1.0, 2.0], [1, -1], "shape"),
        ([[1.0], [2.0]], [1, -1, 1], "shape"),
        ([[1.0], [2.0]], [[1], [-1]], "shape"),
        ([[1.0], [2.0, 3.0]], [1, -1], "rectangular"),
        ([[1.0], [2.0]], [1, [-1]], "rectangular"),
        (np.zeros((0, 3)), [], "n >= 1"),
        (np.zeros((3, 0)), [1, 1, 1], "d >= 1"),
        ([[np.nan], [1.0]], [1, -1], "finite"),
        ([[np.inf], [1.0]], [1, -1], "finite"),
        ([["a"], ["b"]], [1, -1], "finite"),
        ([[1j], [1.0]], [1, -1], "real"),
        ([[1.0], [2.0]], [1, 0], "Labels"),
        ([[1.0], [2.0]], [0.5, -1], "Labels"),
        ([[1.0], [2.0]], [np.nan, -1], "Labels"),
        ([[1.0], [2.0]], ["1", "-1"], "Labels .* words; pass np.where"),
        ([[1.0], [2.0]], [0, 1], r"Labels .* pass 2\*y-1"),
        ([[1.0], [2.0]], [0, 0], r"Labels .* pass 2\*y-1"),
        ([[1.0], [2.0]], [True, False], r"Labels .* pass 2\*y-1"),
        ([[1.0], [2.0]], jnp.array([True, True]), r"Labels .* pass 2\*y-1"),
        ([[1.0], [2.0]], np.array([0, 1], np.uint8), r"Labels .* pass 2\*y.astype\(int\)-1"),
        ([[1.0], [2.0]], [1, 2], r"Labels .* not 1 and 2; pass np.where\(y == 2, 1, -1\)"),
        ([[1.0], [2.0]], [3, 3], "Labels .* not 3; pass"),
        ([[1.0]] * 3, [0, 1, 2], "Labels .* 3 different values"),
        ([[1.0], [2.0]], np.array(["a", "b"], object), r"Labels .* np.where\(y == 'a'"),
        ([[1.0], [2.0]], [None, 1], "Labels .* object; encode"),
        ([[1.0], [2.0]], [1, 1j], "Labels .* complex128"),
        ([[1.0], [2.0]], [1, np.nan], "Labels .* NaN, the first at 1"),
        ([[1.0], [2.0]], [np.inf, 1], "Labels"),
        ([[1.0], [2.0]], np.ma.array([1, -1], mask=[0, 1]), "y has masked"),
        (np.ma.array([[1.0], [2.0]], mask=[[0], [1]]), [1, -1], "x has masked"),
        ([[1.0], [2.0]], [[1], [-1]], r"y \(2, 1\): .* y.ravel\(\)"),
        ([[1.0], [2.0]], [[1, 0], [0, 1]], "one-hot"),
        ([1.0, 2.0], [1, -1], r"x\[:, None\]"),
        (np.ones((2, 3, 3)), [1, -1], "reshape"),
        (None, [1, -1], r"x has shape \(\)"),
        ([[1.0, 2.0], [3.0, np.nan]], [1, -1], "row 1, column 1"),
        (np.array([["2020-01-01"]], "datetime64[D]"), [1], "x must hold finite real numbers, not datetime64"),
        (np.array([[1, "a"]], object), [1], "x holds entries"),
    ],
)
def test_bad_datasets_are_answered_with_one_sentence(x, y, said):
    with pytest.raises(UserError, match=said) as caught:
        data.dataset(x, y)
    assert "\n" not in str(caught.value)


def test_a_file_without_a_data_set_is_named(tmp_path):
    np.savez(tmp_path / "zeros.npz", x=np.eye(2), y=[0, 1])
    with pytest.raises(UserError, match=r"zeros.npz holds no data set: Labels .* 2\*y-1"):
        data.load(tmp_path / "zeros.npz")


def test_low_rank_data_lie_in_a_subspace_with_the_moments_of_gaussian_ones():
    x, y = data.low_rank(jax.random.key(0), 4000, 20, 5)
    spectrum = np.linalg.svd(np.asarray(x), compute_uv=False)
    assert spectrum[5] < 1e-4 * spectrum[0]
    np.testing.assert_allclose(spectrum[:5] ** 2 / 4000, 1 / 5, rtol=0.15)
    assert abs(float(y.mean())) < 0.06
    for rank in (0, 21):
        with pytest.raises(UserError, match="rank"):
            data.low_rank(jax.random.key(0), 10, 20, rank)


def test_clustered_data_are_near_their_centres():
    x, y = data.clustered(jax.random.key(0), 4000, 30, 8, spread=0.2)
    x = np.asarray(x, np.float64)
    assert np.mean(np.sum(x**2, 1)) == pytest.approx(1.0, rel=0.1)
    centres = np.array([x[i::8].mean(0) for i in range(8)])
    around = np.mean(np.sum((x - centres[np.arange(4000) % 8]) ** 2, 1))
    assert around == pytest.approx(0.04, rel=0.05)
    assert abs(float(y.mean())) < 0.06
    for wrong in ({"clusters": 0}, {"clusters": 2, "spread": 0.0}, {"clusters": 2, "spread": 1.5}):
        with pytest.raises(UserError, match="clusters must|spread must"):
            data.clustered(jax.random.key(0), 10, 20, **wrong)
