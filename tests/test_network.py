"""The two-layer network: values, gradients, invariances, the pytree, files and bad input."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawjax import activations
from lawjax.errors import UserError
from lawjax.network import TwoLayer

NAMES = (*activations.PRESETS, "leaky_relu:0.2", "power:1", "power:2", "power:3", "polynomial:1,-1,0.5")


def random_network(seed, k=7, d=4, activation="relu", stack=(), dtype=np.float64):
    rng = np.random.default_rng(seed)
    W, b, a, c = (rng.normal(size=(*stack, *shape)).astype(dtype) for shape in ((k, d), (k,), (k,), ()))
    return TwoLayer(W, b, a, c, activation)


def random_points(seed, n=9, d=4):
    return np.random.default_rng(1000 + seed).normal(size=(n, d))


def on_device(network):
    return jax.tree.map(jnp.asarray, network)


def test_known_values():
    f = TwoLayer(W=[[1.0, 0.0], [0.0, 2.0]], b=[0.0, -1.0], a=[1.0, -3.0], c=0.5)
    x = np.array([[1.0, 1.0], [-1.0, 1.0], [2.0, 0.0], [-1.0, -1.0]])
    np.testing.assert_array_equal(f(x), [1 - 3 + 0.5, -3 + 0.5, 2 + 0.5, 0.5])
    np.testing.assert_array_equal(f.gradient(x), [[1, -6], [0, -6], [1, 0], [0, 0]])
    assert f(x[0]) == -1.5
    assert (f.n_neurons, f.dimension, f.activation.name) == (2, 2, "relu")


def test_a_quadratic_network_is_its_quadratic_form():
    f = random_network(0, activation="power:2")
    f.b[:] = 0
    x = random_points(0)
    form = f.W.T @ np.diag(f.a) @ f.W
    np.testing.assert_allclose(f(x), np.einsum("ni,ij,nj->n", x, form, x) + f.c, rtol=1e-12)
    np.testing.assert_allclose(f.gradient(x), 2 * x @ form, rtol=1e-12)


@pytest.mark.parametrize("activation", NAMES)
def test_value_is_the_sum_over_neurons(activation):
    f, x, psi = random_network(1, activation=activation), random_points(1), activations.get(activation)
    terms = [[a * psi(w @ point + b) for w, b, a in zip(f.W, f.b, f.a, strict=True)] for point in x]
    np.testing.assert_allclose(f(x), np.sum(terms, axis=1) + f.c, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", NAMES)
def test_gradient_is_finite_differences(activation):
    f, x = random_network(2, activation=activation), random_points(2)
    step = 1e-6
    shifts = step * np.eye(f.dimension)
    central = np.stack([(f(x + e) - f(x - e)) / (2 * step) for e in shifts], axis=-1)
    np.testing.assert_allclose(f.gradient(x), central, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("activation", NAMES)
def test_gradient_is_automatic_differentiation(activation):
    f, x = random_network(3, activation=activation), random_points(3)
    with jax.enable_x64(True):
        g = on_device(f)
        automatic = jax.vmap(jax.grad(g))(jnp.asarray(x))
        explicit = g.gradient(jnp.asarray(x))
    assert automatic.dtype == jnp.float64
    np.testing.assert_allclose(f.gradient(x), automatic, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(explicit, automatic, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", NAMES)
def test_points_come_alone_or_in_any_shape(activation):
    f, x = random_network(4, activation=activation), random_points(4, n=6)
    cube = x.reshape(2, 3, 4)
    for network, array in ((f, np.asarray), (on_device(f.astype(np.float32)), lambda t: jnp.asarray(t, jnp.float32))):
        tolerance = 1e-12 if network is f else 2e-4
        close = lambda left, right, rtol=tolerance: np.testing.assert_allclose(left, right, rtol=rtol, atol=rtol)  # noqa: E731
        close(network(array(cube)), f(x).reshape(2, 3))
        close(network.gradient(array(cube)), f.gradient(x).reshape(2, 3, 4))
        close(network(array(x[0])), f(x)[0])
        close(network.gradient(array(x[0])), f.gradient(x)[0])


@given(seed=st.integers(0, 10**6), activation=st.sampled_from(NAMES))
def test_order_of_neurons_does_not_matter(seed, activation):
    f, x = random_network(seed, activation=activation), random_points(seed)
    order = np.random.default_rng(seed).permutation(f.n_neurons)
    g = TwoLayer(f.W[order], f.b[order], f.a[order], f.c, activation)
    scale = np.abs(f.a) @ np.abs(activations.get(activation)(x @ f.W.T + f.b)).T + 1
    assert (np.abs(f(x) - g(x)) <= 1e-13 * scale).all()
    np.testing.assert_allclose(g.gradient(x), f.gradient(x), rtol=1e-9, atol=1e-9)


@given(seed=st.integers(0, 10**6), exponent=st.lists(st.integers(-8, 8), min_size=7, max_size=7))
def test_relu_neurons_can_be_rescaled(seed, exponent):
    """Psi(s t) = s psi(t) for s > 0: powers of two make every product exact, so nothing at all may change."""
    scale = 2.0 ** np.array(exponent)
    for activation in ("relu", "abs", "identity"):
        f, x = random_network(seed, activation=activation), random_points(seed)
        g = TwoLayer(scale[:, None] * f.W, scale * f.b, f.a / scale, f.c, activation)
        np.testing.assert_allclose(g(x), f(x), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(g.gradient(x), f.gradient(x), rtol=1e-12, atol=1e-12)


@given(
    seed=st.integers(0, 10**6),
    activation=st.sampled_from(NAMES),
    extra_neurons=st.integers(0, 3),
    extra_coordinates=st.integers(0, 3),
)
def test_padding_changes_nothing(seed, activation, extra_neurons, extra_coordinates):
    f, x = random_network(seed, activation=activation), random_points(seed)
    g = f.padded(f.n_neurons + extra_neurons, f.dimension + extra_coordinates)
    wide = np.pad(x, [(0, 0), (0, extra_coordinates)], constant_values=3.0)
    assert g.W.shape == (7 + extra_neurons, 4 + extra_coordinates)
    np.testing.assert_allclose(g(wide), f(x), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(g.gradient(wide)[:, :4], f.gradient(x), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(g.gradient(wide)[:, 4:], 0.0)


def test_padding_pads_stacks_and_device_arrays():
    stack = random_network(5, stack=(2, 3))
    padded = stack.padded(9, 6)
    assert padded.W.shape == (2, 3, 9, 6)
    chex.assert_trees_all_equal(padded[1, 2], stack[1, 2].padded(9, 6))
    device = on_device(stack.astype(np.float32)).padded(9, 6)
    assert isinstance(device.W, jax.Array)
    chex.assert_trees_all_equal(device.astype(np.float32), padded.astype(np.float32))
    with pytest.raises(UserError, match="cannot be padded to the smaller size k=3"):
        stack.padded(3, 6)


@pytest.mark.parametrize("activation", NAMES)
def test_a_stack_is_its_networks(activation):
    members = [random_network(seed, activation=activation, dtype=np.float32) for seed in range(3)]
    stack = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *members)
    x = random_points(6).astype(np.float32)
    for index, member in enumerate(members):
        chex.assert_trees_all_equal(stack[index].astype(np.float32), member)
    chex.assert_trees_all_equal(stack[1:].astype(np.float32)[0], members[1])
    assert [f.activation.name for f in stack] == [activation] * 3  # iteration ends, although JAX clamps indices
    values = jax.vmap(lambda f: f(jnp.asarray(x)))(stack)
    gradients = jax.vmap(lambda f: f.gradient(jnp.asarray(x)))(stack)
    np.testing.assert_allclose(values, [f(x) for f in members], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gradients, [f.gradient(x) for f in members], rtol=1e-4, atol=1e-4)


def test_pytree_keeps_the_arrays_and_the_activation():
    f = random_network(7, activation="gelu")
    leaves, structure = jax.tree.flatten(f)
    assert all(leaf is array for leaf, array in zip(leaves, (f.W, f.b, f.a, f.c), strict=True))
    assert jax.tree.unflatten(structure, leaves).activation.name == "gelu"
    other: Any = jax.tree.structure(random_network(7, activation="tanh"))  # jaxlib is without types
    assert other != structure
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(f)]
    assert paths == [".W", ".b", ".a", ".c"]
    doubled = jax.tree.map(lambda leaf: 2 * leaf, f)
    np.testing.assert_array_equal(doubled.W, 2 * f.W)


def test_jit_compiles_once_per_activation_and_shape():
    traces = []

    @jax.jit
    def value(f, x):
        traces.append(f.activation.name)
        return f(x)

    x = random_points(8).astype(np.float32)
    for activation in ("relu", "tanh"):
        for seed in range(3):
            f = random_network(seed, activation=activation, dtype=np.float32)
            np.testing.assert_allclose(value(f, x), f(x), rtol=1e-4, atol=1e-4)
    assert traces == ["relu", "tanh"]


def test_gradient_in_the_weights_flows_through_jit():
    f, x = on_device(random_network(9, activation="tanh", dtype=np.float32)), jnp.ones(4)
    slopes = jax.jit(jax.grad(lambda g: g(x)))(f)
    np.testing.assert_allclose(slopes.a, np.tanh(np.asarray(f.W @ x + f.b)), rtol=1e-5)
    assert slopes.c == 1.0


def test_networks_can_be_built_under_jit():
    @jax.jit
    def norm(W, b, a):
        return TwoLayer(W, b, a).gradient(jnp.ones(2))

    np.testing.assert_array_equal(norm(jnp.eye(2), jnp.zeros(2), jnp.array([3.0, 4.0])), [3.0, 4.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_default_c_has_the_precision_of_the_weights(dtype):
    f = TwoLayer(np.ones((2, 3), dtype), np.ones(2, dtype), np.ones(2, dtype))
    assert f.c.dtype == dtype
    assert f(np.ones(3, dtype)).dtype == dtype
    assert TwoLayer(f.W, f.b, f.a, 2).c.dtype == dtype
    with jax.enable_x64(True):
        assert on_device(f)(jnp.ones(3, dtype)).dtype == dtype


def test_integers_become_floats():
    f = TwoLayer([[1, 2]], [0], [True], 1)
    assert {leaf.dtype for leaf in jax.tree.leaves(f)} == {np.dtype(np.float64)}
    assert TwoLayer(jnp.ones((1, 2), int), jnp.ones(1, int), jnp.ones(1, int)).W.dtype == jnp.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stack", [(), (3,)])
@pytest.mark.parametrize("activation", ["relu", "power:3", "polynomial:1,-1,0.5"])
def test_files_return_every_bit(tmp_path, dtype, stack, activation):
    f = random_network(10, activation=activation, stack=stack, dtype=dtype)
    path = tmp_path / "network"  # no suffix: the file has the name asked for
    f.save(path)
    g = TwoLayer.load(path)
    assert g.activation.name == activation
    for left, right in zip(jax.tree.leaves(f), jax.tree.leaves(g), strict=True):
        assert left.dtype == right.dtype
        assert left.tobytes() == right.tobytes()


def test_files_of_device_networks_and_of_others(tmp_path):
    f = random_network(11, dtype=np.float32)
    on_device(f).save(tmp_path / "device.npz")
    chex.assert_trees_all_equal(TwoLayer.load(tmp_path / "device.npz"), f)
    np.savez(tmp_path / "plain.npz", W=f.W, b=f.b, a=f.a)
    plain = TwoLayer.load(str(tmp_path / "plain.npz"))
    assert (plain.c, plain.activation.name) == (0.0, "relu")


def test_what_frameworks_write_with_one_axis_too_many_or_not_at_all(tmp_path):
    """Read-out weights (1, k), a constant (1,), biases None or left out: alike in memory and in files."""
    f = TwoLayer([[1.0, 2.0], [3.0, 4.0], [5.0, -6.0]], np.zeros(3), [1.0, 2.0, 3.0], 0.5)
    written = {"W": f.W, "a": f.a[None], "c": np.array([0.5])}
    chex.assert_trees_all_equal(TwoLayer(**written), f)
    chex.assert_trees_all_equal(TwoLayer(**written, b=None), f)
    chex.assert_trees_all_equal(TwoLayer(**written, b=np.zeros((1, 3))), f)
    assert float(TwoLayer(f.W, None, f.a, None).c) == 0.0
    np.savez(tmp_path / "f.npz", **written, activation=np.array([b"tanh"]))
    back = TwoLayer.load(tmp_path / "f.npz")
    chex.assert_trees_all_equal(jax.tree.leaves(back), jax.tree.leaves(f))
    assert back.activation.name == "tanh"
    single = TwoLayer(jnp.ones((3, 2)), None, jnp.ones(3))
    assert isinstance(single.b, jax.Array) and single.b.dtype == jnp.float32
    stack = TwoLayer(np.ones((1, 3, 2)), None, np.ones((1, 3)), np.ones(1))  # as before: a stack of one
    assert (stack.a.shape, stack.b.shape, stack.c.shape) == ((1, 3), (1, 3), (1,))
    stack = TwoLayer(np.ones((4, 3, 2)), None, np.ones((4, 1, 3)), np.ones((4, 1)))
    assert (stack.a.shape, stack.b.shape, stack.c.shape) == ((4, 3), (4, 3), (4,))


GOOD = {"W": np.eye(2), "b": np.zeros(2), "a": np.ones(2), "c": 0.0, "activation": "relu"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"W": np.ones(2)}, r"W must have shape \(\.\.\., k, d\)"),
        ({"W": 1.0}, "W must have shape"),
        ({"W": np.ones((0, 2)), "b": [], "a": []}, "k, d >= 1"),
        ({"W": np.ones((2, 0))}, "k, d >= 1"),
        ({"W": [[1.0], [1.0, 2.0]]}, "rectangular"),
        ({"W": [["x", "y"], ["z", "t"]]}, "W must hold real numbers"),
        ({"W": None}, "W must hold real numbers"),
        ({"a": np.ones(2) * 1j}, "a must hold real numbers"),
        ({"b": np.zeros(3)}, r"b has shape \(3,\)"),
        ({"b": 0.0}, r"b has shape \(\)"),
        ({"a": np.ones((2, 1))}, r"a has shape \(2, 1\)"),
        ({"a": np.ones((1, 3))}, r"a has shape \(1, 3\)"),
        ({"a": None}, "a is missing"),
        ({"c": np.zeros(2)}, r"c has shape \(2,\)"),
        ({"c": np.zeros((1, 1))}, r"c has shape \(1, 1\)"),
        ({"c": np.nan}, "c has NaN or infinite"),
        ({"W": np.array([[np.nan, 0], [0, 1]])}, "W has NaN or infinite"),
        ({"a": jnp.array([jnp.inf, 0])}, "a has NaN or infinite"),
        ({"activation": "mish"}, "Unknown activation 'mish'"),
        ({"activation": np.tanh}, "Unknown activation"),
        ({"activation": ["relu"]}, r"Unknown activation \['relu'\]"),
    ],
)
def test_bad_weights_are_answered_with_one_sentence(tmp_path, change, said):
    with pytest.raises(UserError, match=said) as caught:
        TwoLayer(**(GOOD | change))
    assert "\n" not in str(caught.value)


def test_bad_points_and_bad_uses_are_answered_with_one_sentence():
    f, stack = random_network(12), random_network(12, stack=(2,))
    for call in (f, f.gradient):
        with pytest.raises(UserError, match=r"x has shape \(3,\), but the network takes points of shape \(\.\.\., 4\)"):
            call(np.ones(3))
        with pytest.raises(UserError, match=r"x has shape \(\)"):
            call(1.0)
    for call in (stack, stack.gradient):
        with pytest.raises(UserError, match=r"stack of shape \(2,\)"):
            call(np.ones(4))
    with pytest.raises(UserError, match="nothing to index"):
        f[0]
    with pytest.raises(UserError, match="nothing to index"):
        list(f)


def _write_truncated(path):
    random_network(13, k=200, d=50).save(path)
    path.write_bytes(path.read_bytes()[:-500])


def _write_damaged(path):
    random_network(13, k=200, d=50).save(path)
    content = bytearray(path.read_bytes())
    content[1000:1100] = b"\0" * 100
    path.write_bytes(content)


def _write_array(path):
    with path.open("wb") as file:
        np.save(file, np.eye(2))


BAD_FILES = {
    "missing": (lambda path: None, "No such file"),
    "directory": (lambda path: path.mkdir(), "directory"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read"),
    "text": (lambda path: path.write_text("hello\nworld\n"), "cannot be read"),
    "truncated": (_write_truncated, "cannot be read"),
    "damaged": (_write_damaged, "cannot be read"),
    "array": (_write_array, "cannot be read"),
    "objects": (lambda path: np.savez(path, **(GOOD | {"W": np.array([None, {}])})), "cannot be read"),
    "foreign": (lambda path: np.savez(path, x=np.eye(2), b=np.zeros(2)), "lacks W, a"),
    "shapes": (lambda path: np.savez(path, **(GOOD | {"b": np.zeros(3)})), r"b has shape \(3,\)"),
    "nan": (lambda path: np.savez(path, **(GOOD | {"a": np.array([np.nan, 1])})), "a has NaN"),
    "activation": (lambda path: np.savez(path, **(GOOD | {"activation": "mish"})), "Unknown activation 'mish'"),
    "unknown": (lambda path: np.savez(path, **(GOOD | {"V": np.eye(2)})), "an array 'V', of which nothing is known"),
    "spelling": (lambda path: np.savez(path, **(GOOD | {"bias": np.eye(2)})), "an array 'bias'"),
    "deep": (lambda path: np.savez(path, A=np.eye(2), u=np.ones(2), outer_W=np.eye(2)), "lacks W, a; it is one of two"),
    "bytes": (lambda path: np.savez(path, **(GOOD | {"W": np.zeros((2, 2), "V2")})), "W must hold.*save float32"),
    "numbers": (lambda path: np.savez(path, **(GOOD | {"activation": np.eye(2)})), "Unknown activation"),
}


@pytest.mark.parametrize("kind", sorted(BAD_FILES))
def test_bad_files_are_answered_with_one_sentence(tmp_path, kind):
    write, said = BAD_FILES[kind]
    path = tmp_path / "network.npz"
    write(path)
    with pytest.raises(UserError, match=said) as caught:
        TwoLayer.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert "pickle" not in message  # NumPy's advice to allow pickles would let the file run code
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # no second traceback
