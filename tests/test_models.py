"""The networks against the formulas of section 5 in NumPy, float64 throughout unless said otherwise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawjax import activations
from lawjax.train.model import NORM_EPSILON, PackedNetworks, PaperNetwork, fold, network_params, packed_params, product

N, D = 30, 4
NETWORK_OF = np.array([1, 0, -1, 1, 2, 0, 0, -1], np.int32)
NETWORKS = 3
ROUNDING = 1e-12  # a few hundred float64 operations on numbers of order one


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True), jax.default_matmul_precision("float32"):
        yield


def points(seed=0, n=N, d=D, offset=1.0):
    """Points with a mean, so that batch norm has one to take away."""
    return np.random.default_rng(seed).normal(size=(n, d)) + offset


def numpy_network(x, kernel, scale, bias, readout, constant, activation="relu"):
    """Section 5's network: linear, batch norm over the rows of x, psi, linear."""
    h = x @ kernel
    mean, variance = h.mean(0), ((h - h.mean(0)) ** 2).mean(0)
    normal = scale * (h - mean) / np.sqrt(variance + NORM_EPSILON) + bias
    return activations.get(activation)(normal) @ readout + constant


def random_params(seed=0, batch_norm=True, readout_bias=True):
    """Parameters of a pack, none of them at its initial value."""
    rng = np.random.default_rng(seed)
    kernel, readout = rng.normal(size=(D, len(NETWORK_OF))), rng.normal(size=len(NETWORK_OF))
    params = packed_params(kernel, readout, NETWORKS, batch_norm=batch_norm, readout_bias=readout_bias)
    return jax.tree.map(lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape), params)


def paper_variables(network):
    """Variables of a `PaperNetwork` from one network's part of a pack."""
    width = len(network["readout"])
    params = {
        "hidden": {"kernel": network["hidden"]["kernel"]},
        "norm": {"scale": network["hidden"]["scale"], "bias": network["hidden"]["bias"]},
        "readout": {"kernel": network["readout"][:, None], "bias": network["readout_bias"][None]},
    }
    return {"params": params, "batch_stats": {"norm": {"mean": np.zeros(width), "var": np.ones(width)}}}


def paper_outputs(network, x):
    module = PaperNetwork(len(network["readout"]))
    with jax.numpy_dtype_promotion("standard"):  # Flax asks for the promotion of float64 and float32
        return np.asarray(module.apply(paper_variables(network), x, mutable=["batch_stats"])[0])


@functools.partial(jax.jit, static_argnames=("batch_norm", "readout_bias", "centred", "activation"))
def pack_outputs(
    params, x, network_of, count, moment=None, batch_norm=True, readout_bias=True, centred=True, activation="relu"
):
    module = PackedNetworks(network_of.shape[0], NETWORKS, activation, batch_norm, readout_bias)
    return module.apply({"params": params}, x, network_of, count, moment, centred=centred)


def outputs_by(path, params, x, network_of=NETWORK_OF):
    """Outputs and health by one of the ways to take variances, for the same uncentred x."""
    centred = x - x.mean(0)
    count = np.float64(len(x))
    if path == "second moment":
        return pack_outputs(params, centred, network_of, count, centred.T @ centred / len(x))
    if path == "activations":
        return pack_outputs(params, centred, network_of, count)
    return pack_outputs(params, x, network_of, count, centred=False)


PATHS = ("second moment", "activations", "uncentred")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_paper_network_is_its_formula(dtype):
    x = points().astype(dtype)
    module = PaperNetwork(6)
    with jax.numpy_dtype_promotion("standard"):
        variables = module.init(jax.random.key(0), x)
        shapes = jax.tree.map(lambda leaf: leaf.shape, variables["params"])
        rng = np.random.default_rng(1)
        params = jax.tree.map(lambda leaf: (leaf + rng.normal(size=leaf.shape)).astype(dtype), variables["params"])
        outputs, _ = module.apply({**variables, "params": params}, x, mutable=["batch_stats"])
    assert shapes == {
        "hidden": {"kernel": (D, 6)},
        "norm": {"scale": (6,), "bias": (6,)},
        "readout": {"kernel": (6, 1), "bias": (1,)},
    }
    assert outputs.dtype == dtype
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    expected = numpy_network(
        x.astype(np.float64),
        p["hidden"]["kernel"],
        p["norm"]["scale"],
        p["norm"]["bias"],
        p["readout"]["kernel"][:, 0],
        p["readout"]["bias"],
    )
    rtol = 1e-5 if dtype == "float32" else ROUNDING  # a hundred units in the last place
    np.testing.assert_allclose(outputs, expected, rtol=rtol, atol=10 * rtol)


@pytest.mark.parametrize("path", PATHS)
def test_each_network_of_a_pack_is_the_paper_network(path):
    """On the points as they are: neither the centring nor the neurons of no network are seen."""
    params, x = random_params(), points()
    outputs, healthy = outputs_by(path, params, x)
    assert healthy.all()
    for i in range(NETWORKS):
        network = network_params(params, np.flatnonzero(i == NETWORK_OF), i, D)
        np.testing.assert_allclose(outputs[:, i], paper_outputs(network, x), rtol=ROUNDING, atol=ROUNDING)
        hidden = network["hidden"]
        expected = numpy_network(
            x, hidden["kernel"], hidden["scale"], hidden["bias"], network["readout"], network["readout_bias"]
        )
        np.testing.assert_allclose(outputs[:, i], expected, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("activation", ["tanh", "abs", "softplus"])
def test_activations_of_a_pack(activation):
    params, x = random_params(), points()
    centred = x - x.mean(0)
    outputs, _ = pack_outputs(params, centred, NETWORK_OF, np.float64(N), activation=activation)
    own = np.flatnonzero(NETWORK_OF == 0)
    hidden = {name: leaf[..., own] for name, leaf in params["hidden"].items()}
    expected = numpy_network(
        x,
        hidden["kernel"],
        hidden["scale"],
        hidden["bias"],
        params["readout"][own],
        params["readout_bias"][0],
        activation,
    )
    np.testing.assert_allclose(outputs[:, 0], expected, rtol=ROUNDING, atol=ROUNDING)


def test_without_batch_norm_and_without_constant():
    params, x = random_params(batch_norm=False, readout_bias=False), points()
    outputs, healthy = pack_outputs(params, x, NETWORK_OF, np.float64(N), batch_norm=False, readout_bias=False)
    assert healthy.all()
    for i in range(NETWORKS):
        own = i == NETWORK_OF
        pre = x @ params["hidden"]["kernel"][:, own] + params["hidden"]["bias"][own]
        expected = np.maximum(pre, 0) @ params["readout"][own]
        np.testing.assert_allclose(outputs[:, i], expected, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("path", PATHS[:2])
def test_zero_rows_and_zero_columns_change_nothing(path):
    params, x = random_params(), points()
    x = x - x.mean(0)
    rng = np.random.default_rng(3)
    padded_x = np.zeros((N + 5, D + 2))
    padded_x[:N, :D] = x
    padded = {**params, "hidden": {**params["hidden"]}}
    # Weights on padded coordinates meet zeros only, whatever they are.
    padded["hidden"]["kernel"] = np.concatenate([params["hidden"]["kernel"], rng.normal(size=(2, len(NETWORK_OF)))])
    moments = [z.T @ z / N if path == "second moment" else None for z in (x, padded_x)]
    outputs, _ = pack_outputs(params, x, NETWORK_OF, np.float64(N), moments[0])
    wider, _ = pack_outputs(padded, padded_x, NETWORK_OF, np.float64(N), moments[1])
    np.testing.assert_allclose(wider[:N], outputs, rtol=ROUNDING, atol=ROUNDING)


@given(order=st.permutations(range(len(NETWORK_OF))), networks=st.permutations(range(NETWORKS)))
def test_neurons_and_networks_have_no_order(order, networks):
    params, x = random_params(), points()
    outputs, _ = outputs_by("activations", params, x)
    order, networks = np.array(order), np.array(networks)
    moved = {
        "hidden": {name: leaf[..., order] for name, leaf in params["hidden"].items()},
        "readout": params["readout"][order],
        "readout_bias": params["readout_bias"][np.argsort(networks)],
    }
    network_of = np.where(NETWORK_OF >= 0, networks[NETWORK_OF], -1)[order].astype(np.int32)
    others, _ = outputs_by("activations", moved, x, network_of)
    np.testing.assert_allclose(others[:, networks], outputs, rtol=ROUNDING, atol=ROUNDING)


@given(scale=st.floats(0.5, 100.0), shift=st.floats(-10.0, 10.0))
def test_batch_norm_sees_neither_shift_nor_scale_of_the_points(scale, shift):
    params, x = random_params(), points(offset=0.0)
    outputs, _ = outputs_by("uncentred", params, x)
    others, _ = outputs_by("uncentred", params, scale * x + shift)
    # Variances are of order one, so eps = 1e-5 beside them moves outputs by about 1e-5 at scale 1/2.
    np.testing.assert_allclose(others, outputs, atol=3e-4)


def broken(params, leaf, value, index):
    params = jax.tree.map(np.copy, params)
    (params["hidden"][leaf] if leaf in params["hidden"] else params[leaf])[..., index] = value
    return params


@jax.jit
def value_and_grads(params, x, y, moment):
    def total(p):
        module = PackedNetworks(len(NETWORK_OF), NETWORKS)
        outputs, healthy = module.apply({"params": p}, x, NETWORK_OF, jnp.float64(N), moment)
        losses = ((outputs - y[:, None]) ** 2).mean(0)
        return losses.sum(), (outputs, losses, healthy)

    return jax.value_and_grad(total, has_aux=True)(params)


@pytest.mark.parametrize("path", PATHS[:2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.7e308])
@pytest.mark.parametrize("leaf", ["kernel", "scale", "bias", "readout", "readout_bias"])
def test_a_network_that_overflowed_is_reported_and_spoils_no_other(leaf, value, path):
    """Neither the outputs of the networks beside it nor the gradients of the sum of all losses in their weights."""
    x = points()
    x, y = x - x.mean(0), np.where(np.random.default_rng(9).random(N) < 0.5, 1.0, -1.0)
    moment = x.T @ x / N if path == "second moment" else None
    params = random_params()
    (_, (outputs, _, healthy)), grads = value_and_grads(params, x, y, moment)
    assert healthy.all()
    neuron = int(np.flatnonzero(NETWORK_OF == 1)[0])
    bad = broken(params, leaf, value, 1 if leaf == "readout_bias" else neuron)
    (_, (bad_outputs, bad_losses, bad_healthy)), bad_grads = value_and_grads(bad, x, y, moment)
    assert bad_healthy[0] and bad_healthy[2]
    # A network is given up where it is reported or where its loss is no number below 10^12.
    assert not (bad_healthy[1] and bad_losses[1] < 1e12)
    if not np.isfinite(value) and leaf != "readout_bias":
        assert not bad_healthy[1]
    np.testing.assert_array_equal(bad_outputs[:, [0, 2]], outputs[:, [0, 2]])
    others = (NETWORK_OF == 0) | (NETWORK_OF == 2)
    for name, grad in grads["hidden"].items():
        np.testing.assert_array_equal(bad_grads["hidden"][name][..., others], grad[..., others])
    np.testing.assert_array_equal(bad_grads["readout"][others], grads["readout"][others])
    np.testing.assert_array_equal(bad_grads["readout_bias"][np.array([0, 2])], grads["readout_bias"][np.array([0, 2])])


@pytest.mark.parametrize(("d", "neurons"), [(64, 16), (64, 17), (300, 64), (300, 65)])
def test_the_product_and_its_gradients_at_any_width(d, neurons):
    """Few neurons in high dimension take another way through the gradient; 16 of 64 and 64 of 300 are the last."""
    rng = np.random.default_rng(d + neurons)
    x, kernel, cotangent = rng.normal(size=(40, d)), rng.normal(size=(d, neurons)), rng.normal(size=(40, neurons))
    h, pull_back = jax.vjp(product, x, kernel)
    np.testing.assert_allclose(h, x @ kernel, rtol=1e-12, atol=1e-12)
    for found, expected in zip(pull_back(jnp.asarray(cotangent)), (cotangent @ kernel.T, x.T @ cotangent), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("path", PATHS[:2])
def test_gradients_are_the_finite_differences(path):
    x = points()
    x, y = x - x.mean(0), np.where(np.random.default_rng(9).random(N) < 0.5, 1.0, -1.0)
    moment = x.T @ x / N if path == "second moment" else None
    params = random_params()
    _, grads = value_and_grads(params, x, y, moment)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        direction = jax.tree.map(lambda leaf, rng=rng: rng.normal(size=leaf.shape), params)
        slope = sum(jax.tree.leaves(jax.tree.map(lambda g, v: float((g * v).sum()), grads, direction)))
        step = 1e-6
        ahead, behind = (
            float(value_and_grads(jax.tree.map(lambda p, v, s=s: p + s * v, params, direction), x, y, moment)[0][0])
            for s in (step, -step)
        )
        # Central differences: an error of step^2 times the third derivative and of rounding 1e-16 / step.
        np.testing.assert_allclose((ahead - behind) / (2 * step), slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("activation", ["relu", "tanh", "abs"])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("readout_bias", [True, False])
def test_the_folded_network_is_the_network_at_the_training_points(activation, batch_norm, readout_bias):
    params, x = random_params(batch_norm=batch_norm, readout_bias=readout_bias), points()
    outputs, _ = pack_outputs(
        params,
        x,
        NETWORK_OF,
        np.float64(N),
        batch_norm=batch_norm,
        readout_bias=readout_bias,
        centred=False,
        activation=activation,
    )
    for i in range(NETWORKS):
        own = np.flatnonzero(i == NETWORK_OF)
        network = fold(network_params(params, own, i, D), x, activation)
        assert (network.n_neurons, network.dimension, network.activation.name) == (len(own), D, activation)
        assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(network))
        np.testing.assert_allclose(network(x), outputs[:, i], rtol=ROUNDING, atol=10 * ROUNDING)
        if not readout_bias:
            assert network.c == 0


def test_folding_the_paper_network():
    x = points()
    network = network_params(random_params(), np.flatnonzero(NETWORK_OF == 0), 0, D)
    folded = fold(paper_variables(network)["params"], x)
    np.testing.assert_allclose(folded(x), paper_outputs(network, x), rtol=ROUNDING, atol=10 * ROUNDING)


def test_folding_is_the_formula_at_any_point():
    """w = gamma w / s, b = beta - gamma mu / s with s = sqrt(sigma^2 + eps), away from the training points too."""
    x, elsewhere = points(), points(seed=7, n=11, offset=-3.0)
    network = network_params(random_params(), np.flatnonzero(NETWORK_OF == 0), 0, D)
    hidden = network["hidden"]
    h = x @ hidden["kernel"]
    s = np.sqrt(h.var(0) + NORM_EPSILON)
    pre = hidden["scale"] * (elsewhere @ hidden["kernel"] - h.mean(0)) / s + hidden["bias"]
    expected = np.maximum(pre, 0) @ network["readout"] + network["readout_bias"]
    np.testing.assert_allclose(fold(network, x)(elsewhere), expected, rtol=ROUNDING, atol=10 * ROUNDING)


def test_folding_keeps_the_precision_of_the_parameters():
    x = points().astype(np.float32)
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), random_params())
    network = network_params(params, np.flatnonzero(NETWORK_OF == 0), 0, D)
    single = fold(network, x)
    double = fold(jax.tree.map(lambda leaf: leaf.astype(np.float64), network), x.astype(np.float64))
    for one, other in zip(jax.tree.leaves(single), jax.tree.leaves(double), strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, other.astype(np.float32))  # computed in float64, rounded once


def test_padded_coordinates_are_left_behind():
    params = random_params()
    padded = {**params, "hidden": {**params["hidden"]}}
    padded["hidden"]["kernel"] = np.concatenate([params["hidden"]["kernel"], np.full((3, len(NETWORK_OF)), 7.0)])
    own = np.flatnonzero(NETWORK_OF == 1)
    one, other = network_params(params, own, 1, D), network_params(padded, own, 1, D)
    jax.tree.map(np.testing.assert_array_equal, one, other)
