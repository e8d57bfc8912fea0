"""Every identity and purpose has a key of its own, which follows from it alone; rows do not depend on their number."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lawjax import data, keys


def words(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_no_two_purposes_or_identities_share_a_key():
    numbers = (1, 2, 3, 50)  # the same numbers in every place, so that swapped components are among the identities
    found = []
    for n, d, seed in itertools.product(numbers, numbers, (0, *numbers)):
        found += [keys.data_key(n, d, seed), keys.weights_key(n, d, seed)]
        found += [jax.random.fold_in(keys.weights_key(n, d, seed), k) for k in numbers]  # the networks' own
        found += [keys.probe_key(n, d, k, seed) for k in numbers]
    assert len({words(key) for key in found}) == len(found) == 4 * 4 * 5 * 10


@pytest.mark.parametrize("make", [keys.data_key, keys.weights_key, lambda n, d, seed: keys.probe_key(n, d, 7, seed)])
def test_the_generator_is_named_and_not_the_default(make):
    key = make(100, 50, 0)
    with jax.default_prng_impl("rbg"):
        under_another_default = make(100, 50, 0)
    assert str(jax.random.key_impl(key)) == str(jax.random.key_impl(under_another_default)) == keys.GENERATOR
    assert words(key) == words(under_another_default)


def test_data_do_not_hang_on_the_default_generator():
    points = data.gaussian(keys.data_key(20, 3, 0), 20, 3)
    with jax.default_prng_impl("rbg"):
        again = data.gaussian(keys.data_key(20, 3, 0), 20, 3)
    np.testing.assert_array_equal(points.x, again.x)
    np.testing.assert_array_equal(points.y, again.y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_row_i_is_drawn_from_the_key_folded_with_i(dtype):
    with jax.enable_x64(dtype == "float64"):
        key = keys.data_key(300, 5, 1)
        rows = np.concatenate(keys.normal_blocks(key, 300, 5, dtype))
        assert rows.dtype == dtype
        for i in (0, 1, 255, 256, 299):
            alone = jax.random.normal(jax.random.fold_in(key, i), (5,), dtype)
            # A row drawn in a batch may differ from one drawn alone in the last bit of the inverse error function.
            np.testing.assert_allclose(rows[i], alone, rtol=4 * jnp.finfo(dtype).eps)
        assert len({row.tobytes() for row in rows}) == len(rows)


def test_rows_do_not_depend_on_their_number():
    key = keys.weights_key(10, 5, 0)
    most = np.concatenate(keys.normal_blocks(key, 600, 5, "float32"))
    for rows in (1, 2, 255, 256, 257, 511, 512, 600):
        blocks = keys.normal_blocks(key, rows, 5, "float32")
        assert rows <= sum(len(block) for block in blocks) < rows + 256
        np.testing.assert_array_equal(np.concatenate(blocks)[:rows], most[:rows])
