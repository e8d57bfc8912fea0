"""Domains: points are moved onto them, NumPy's of any size and JAX's with a derivative, to the same place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawjax.domains import OFF, Ball, Space, Sphere
from lawjax.vectors import lengths

DOMAINS = (Space(), Ball(0.5), Ball(30.0), Sphere(0.5), Sphere(30.0), Sphere(2.0, tangential=True))
SHAPES = ((3,), (7, 3), (2, 5, 1))


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
@pytest.mark.parametrize("shape", SHAPES)
def test_numpy_and_jax_points_go_to_one_place(domain, shape):
    points = 5.0 * np.random.default_rng(0).standard_normal(shape)
    moved = domain.project(points)
    with jax.enable_x64(True):
        again = domain.project(jnp.asarray(points))
        traced = jax.jit(domain.project)(points)
    assert isinstance(moved, np.ndarray) and isinstance(again, jax.Array) and moved.shape == again.shape == shape
    np.testing.assert_allclose(again, moved, rtol=1e-14)
    np.testing.assert_allclose(traced, moved, rtol=1e-14)


@given(st.integers(0, 10**6), st.sampled_from(DOMAINS), st.floats(-200, 200))
def test_points_of_every_size_end_on_the_domain_along_their_ray(seed, domain, exponent):
    points = 10.0**exponent * np.random.default_rng(seed).standard_normal((6, 4))
    moved = domain.project(points)
    assert domain.has_lengths(lengths(moved)).all()
    norms, far = lengths(points), lengths(moved)
    np.testing.assert_allclose(moved / far[:, None], points / norms[:, None], rtol=1e-12, atol=1e-15)
    inside = domain.has_lengths(norms)
    np.testing.assert_allclose(moved[inside], points[inside], rtol=OFF)


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_zero_stays_and_has_a_derivative(domain):
    assert not domain.project(np.zeros((2, 3))).any()
    with jax.enable_x64(True):
        moved, derivative = jax.jvp(domain.project, (jnp.zeros((1, 3)),), (jnp.ones((1, 3)),))
        assert not moved.any() and bool(jnp.isfinite(derivative).all())


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_the_derivative_of_a_projection_is_that_of_differences(domain):
    random = np.random.default_rng(1)
    point, step = random.standard_normal((2, 4))
    with jax.enable_x64(True):
        _, derivative = jax.jvp(domain.project, (jnp.asarray(point),), (jnp.asarray(step),))
    difference = (domain.project(point + 1e-6 * step) - domain.project(point - 1e-6 * step)) / 2e-6
    np.testing.assert_allclose(derivative, difference, rtol=1e-6, atol=1e-9)
