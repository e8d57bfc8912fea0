"""Training against NumPy: losses, gradients and optimisers written out by hand; what a result says; what is refused."""

import collections
import functools

import jax
import numpy as np
import pytest

from lawjax import activations
from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.train import pack, training
from lawjax.train.config import OPTIMIZERS as KNOWN
from lawjax.train.config import TrainingConfig, mixes_coordinates, optimizer
from lawjax.train.initial import initial_weights
from lawjax.train.model import NORM_EPSILON
from lawjax.train.slots import PackShape, Status, empty
from lawjax.train.training import loss_curve, memorize

N, D, K = 40, 8, 16
KEY = jax.random.key(5, impl="threefry2x32")
DOUBLE = TrainingConfig(dtype="float64", learning_rate=1e-2, step_limit=500)


@functools.cache
def points(n=N, d=D, seed=0):
    rng = np.random.default_rng([n, d, seed])
    return Dataset(rng.normal(size=(n, d)) / np.sqrt(d) + 0.1, rng.permutation(np.resize([1.0, -1.0], n)))


# --- the oracle -----------------------------------------------------------------------------------------------------


def initial_params(d, k, key, config):
    """The parameters `memorize` starts the network of width k from, in float64."""
    with training.numerics(config):
        kernel, readout = initial_weights(jax.random.fold_in(key, k), d, k, config)
    zeros = np.zeros(k)
    params = {"kernel": kernel, "scale": zeros + 1, "bias": zeros, "readout": readout, "constant": np.zeros(())}
    return {name: np.asarray(value, np.float64) for name, value in params.items()}


def loss_and_gradients(p, x, y, batch_norm=True):
    """(1/n) sum (f(x_i) - y_i)^2 of the ReLU network and its gradients, by the chain rule on paper."""
    n = len(x)
    h = x @ p["kernel"]
    inverse = 1 / np.sqrt(h.var(0) + NORM_EPSILON)
    z = (h - h.mean(0)) * inverse
    pre = p["scale"] * z + p["bias"] if batch_norm else h + p["bias"]
    hidden = np.maximum(pre, 0)
    residual = hidden @ p["readout"] + p["constant"] - y
    by_output = 2 * residual / n
    by_pre = np.outer(by_output, p["readout"]) * (pre > 0)
    by_z = by_pre * p["scale"]
    by_h = inverse * (by_z - by_z.mean(0) - z * (by_z * z).mean(0)) if batch_norm else by_pre
    gradients = {
        "kernel": x.T @ by_h,
        "scale": (by_pre * z).sum(0) if batch_norm else np.zeros_like(p["scale"]),
        "bias": by_pre.sum(0),
        "readout": hidden.T @ by_output,
        "constant": by_output.sum(),
    }
    return (residual**2).mean(), gradients


def decayed(terms, rate):
    """Sum of rate^(t-i) times the i-th of t terms."""
    return sum(rate ** (len(terms) - 1 - i) * term for i, term in enumerate(terms))


def adam(gradients, _):
    t = len(gradients)
    mean = (1 - 0.9) * decayed(gradients, 0.9) / (1 - 0.9**t)
    square = (1 - 0.999) * decayed([g**2 for g in gradients], 0.999) / (1 - 0.999**t)
    return mean / (np.sqrt(square) + 1e-8)


def rmsprop(gradients, _):
    return gradients[-1] / np.sqrt((1 - 0.9) * decayed([g**2 for g in gradients], 0.9) + 1e-8)


def lion(gradients, p):
    momentum = (1 - 0.99) * decayed(gradients[:-1], 0.99)
    return np.sign((1 - 0.9) * gradients[-1] + 0.9 * momentum) + 1e-3 * p


# Name and options, learning rate, and the step in units of the learning rate as a function of all gradients so far.
OPTIMIZERS = {
    "adam": ((), 1e-2, adam),
    "adamw": ((("weight_decay", 0.1),), 1e-2, lambda gradients, p: adam(gradients, p) + 0.1 * p),
    "sgd": ((("momentum", 0.9),), 2e-2, lambda gradients, _: decayed(gradients, 0.9)),
    "rmsprop": ((), 3e-3, rmsprop),
    "lion": ((), 3e-3, lion),
}


def numpy_training(p, dataset, steps, rate, rule, batch_norm=True):
    """Losses before each of `steps` updates and after the last, (steps + 1,), and the parameters then."""
    history = collections.defaultdict(list)
    losses = []
    for _ in range(steps):
        loss, gradients = loss_and_gradients(p, dataset.x, dataset.y, batch_norm)
        losses.append(loss)
        for name, gradient in gradients.items():
            history[name].append(gradient)
        p = {name: value - rate * rule(history[name], value) for name, value in p.items()}
    return np.array([*losses, loss_and_gradients(p, dataset.x, dataset.y, batch_norm)[0]]), p


def test_the_oracle_has_the_right_gradients():
    dataset, p = points(), initial_params(D, K, KEY, DOUBLE)
    for batch_norm in (True, False):
        _, gradients = loss_and_gradients(p, dataset.x, dataset.y, batch_norm)
        rng = np.random.default_rng(0)
        direction = {name: rng.normal(size=value.shape) for name, value in p.items()}
        ahead, behind = (
            loss_and_gradients({m: v + s * direction[m] for m, v in p.items()}, dataset.x, dataset.y, batch_norm)[0]
            for s in (1e-6, -1e-6)
        )
        slope = sum((gradients[name] * direction[name]).sum() for name in p)
        np.testing.assert_allclose((ahead - behind) / 2e-6, slope, rtol=1e-6)


# --- known answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_step_by_their_formulas_and_train(name):
    options, rate, rule = OPTIMIZERS[name]
    config = TrainingConfig(
        dtype="float64", optimizer=name, optimizer_options=options, learning_rate=rate, step_limit=3000
    )
    expected, _ = numpy_training(initial_params(D, K, KEY, config), points(), 9, rate, rule)
    # Rounding of 1e-16; where a gradient nearly vanishes, g/|g| hands on more of it.
    np.testing.assert_allclose(loss_curve(points(), K, KEY, 10, config), expected, rtol=1e-10)
    [result] = memorize(points(), K, KEY, config)
    assert result.fitted
    assert result.loss <= config.epsilon


def test_the_step_limit_is_the_number_of_updates():
    config = TrainingConfig(dtype="float64", learning_rate=1e-2, step_limit=7)
    losses, p = numpy_training(initial_params(D, K, KEY, config), points(), 7, 1e-2, adam)
    [result] = memorize(points(), K, KEY, config, chunk=3)
    assert (result.status, result.steps, result.fitted) == (Status.STEP_LIMIT, 7, False)
    np.testing.assert_allclose(result.loss, losses[7], rtol=1e-10)
    gain = p["scale"] / np.sqrt((points().x @ p["kernel"]).var(0) + NORM_EPSILON)
    f = result.network
    np.testing.assert_allclose(f.W, (p["kernel"] * gain).T, rtol=1e-8)
    np.testing.assert_allclose(f.b, p["bias"] - gain * (points().x @ p["kernel"]).mean(0), rtol=1e-8)
    np.testing.assert_allclose(f.a, p["readout"], rtol=1e-8)
    np.testing.assert_allclose(f.c, p["constant"], rtol=1e-8)


def test_one_step_of_adam_is_a_step_of_the_learning_rate():
    """The golden value: update number one is lr * g / (|g| + 1e-8), so lr in the sign of each gradient."""
    config = TrainingConfig(dtype="float64", learning_rate=0.125, step_limit=1)
    p = initial_params(D, K, KEY, config)
    _, gradients = loss_and_gradients(p, points().x, points().y)
    [result] = memorize(points(), K, KEY, config)
    message = "Adam's first step is not lr * sign(gradient): initial weights, loss or optimiser have changed."
    # The read-out and c pass through folding untouched; their gradients are far above 1e-8.
    expected = p["readout"] - 0.125 * np.sign(gradients["readout"])
    np.testing.assert_allclose(result.network.a, expected, rtol=1e-5, err_msg=message)
    np.testing.assert_allclose(result.network.c, -0.125 * np.sign(gradients["constant"]), rtol=1e-5, err_msg=message)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_curve_begins_with_the_loss_at_the_initial_weights(batch_norm):
    """In single precision, on points that have a mean; without batch norm the hidden layer has biases instead."""
    config = TrainingConfig(batch_norm=batch_norm, learning_rate=1e-2)
    p = initial_params(D, K, KEY, config)
    expected, _ = numpy_training(p, points(), 2, 1e-2, adam, batch_norm)
    np.testing.assert_allclose(loss_curve(points(), K, KEY, 3, config), expected, rtol=1e-5)


def test_the_curve_tells_when_the_network_fits():
    curve = loss_curve(points(), K, KEY, 400, DOUBLE)
    [result] = memorize(points(), K, KEY, DOUBLE)
    assert result.fitted and 10 < result.steps < 399
    # At epsilon = 0.02 < 1/n, so that a wrong sign alone would exceed it: the first loss below it is the fit.
    assert DOUBLE.epsilon < 1 / N
    assert result.steps == np.flatnonzero(curve <= DOUBLE.epsilon)[0]
    assert (curve[result.steps :] == result.loss).all()


# --- invariances ----------------------------------------------------------------------------------------------------


def test_points_have_no_order_and_no_origin():
    """The loss is a mean over points, and batch norm takes away what a shift of all of them adds."""
    x, y = points()
    order = np.random.default_rng(1).permutation(N)
    curve = loss_curve(points(), K, KEY, 20, DOUBLE)
    np.testing.assert_allclose(loss_curve(Dataset(x[order], y[order]), K, KEY, 20, DOUBLE), curve, rtol=1e-9)
    np.testing.assert_allclose(loss_curve(Dataset(x + 3.0, y), K, KEY, 20, DOUBLE), curve, rtol=1e-9)


def test_widths_come_back_in_their_order():
    few_first, many_first = (memorize(points(), widths, KEY, DOUBLE) for widths in ((3, 16), (16, 3)))
    assert [result.network.n_neurons for result in few_first] == [3, 16]
    for one, other in zip(few_first, many_first[::-1], strict=True):
        assert (one.status, one.steps) == (other.status, other.steps)
        # The same network from another place in the pack; rounding grows over a few hundred steps.
        np.testing.assert_allclose(one.network.W, other.network.W, rtol=1e-6, atol=1e-6)


def test_the_key_decides_the_weights():
    one, again, other = (
        loss_curve(points(), K, key, 3, DOUBLE)
        for key in (KEY, jax.random.key_data(KEY), jax.random.key(6, impl="threefry2x32"))
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).all()


# --- results --------------------------------------------------------------------------------------------------------


def by_hand(network, dataset):
    """Loss and whether all signs are right, of f(x) = a . psi(W x + b) + c in float64."""
    W, b, a, c = (np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(network))
    x, y = np.asarray(dataset.x, np.float64), np.asarray(dataset.y, np.float64)
    outputs = activations.get(network.activation)(x @ W.T + b) @ a + c
    return ((outputs - y) ** 2).mean(), bool((np.sign(outputs) == y).all())


@pytest.mark.parametrize("activation", ["relu", "tanh", "abs"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_folded_network_is_checked_and_is_the_one_returned(activation, batch_norm):
    config = TrainingConfig(learning_rate=1e-2, activation=activation, batch_norm=batch_norm, readout_scale=0.5)
    results = memorize(points(), (3, 16), KEY, config)
    assert results[1].fitted
    for result in results:
        loss, right = by_hand(result.network, points())
        assert result.network.activation.name == activation
        np.testing.assert_allclose(result.loss_folded, loss, rtol=1e-12)
        np.testing.assert_allclose(result.loss, loss, rtol=1e-4)  # single precision against double
        assert training.check_fit(result.network, points()) == (result.loss_folded, right)
        assert result.fitted == (result.status == Status.FITTED and right and loss <= config.epsilon)


def test_signs_must_be_right_whatever_the_loss():
    """With epsilon = 3 the zero function would pass, but it has no sign right."""
    config = TrainingConfig(dtype="float64", learning_rate=1e-3, epsilon=3.0, step_limit=2000)
    [result] = memorize(points(), K, KEY, config)
    assert result.fitted and by_hand(result.network, points())[1]
    curve = loss_curve(points(), K, KEY, 5, config)
    assert result.steps > 5 and (curve < 3.0).all()


def test_without_readout_bias_the_constant_is_zero():
    config = TrainingConfig(learning_rate=1e-2, readout_bias=False)
    [result] = memorize(points(), K, KEY, config)
    assert result.fitted and result.network.c == 0.0
    assert TrainingConfig().readout_bias and memorize(points(), K, KEY, TrainingConfig(step_limit=3))[0].network.c != 0


@pytest.mark.parametrize("batch_size", [None, 10])
def test_a_huge_learning_rate_diverges(batch_size):
    """Also between looks at the whole data set, and at the step limit: no network with infinite weights comes back."""
    config = TrainingConfig(optimizer="sgd", learning_rate=1e30, step_limit=3, batch_size=batch_size)
    for result in memorize(points(), (3, 16), KEY, config):
        assert (result.status, result.network, result.fitted) == (Status.DIVERGED, None, False)
        assert np.isnan(result.loss_folded)


def test_with_mini_batches_the_last_look_is_at_the_end():
    """Seven steps end inside the second epoch of four; the loss reported is that of the network returned."""
    config = TrainingConfig(dtype="float64", learning_rate=1e-2, step_limit=7, batch_size=10)
    [result] = memorize(points(), K, KEY, config)
    assert (result.status, result.steps) == (Status.STEP_LIMIT, 7)
    np.testing.assert_allclose(result.loss, result.loss_folded, rtol=1e-9)


def test_with_mini_batches_the_fit_is_declared_on_all_points():
    """At the start of an epoch, of four batches here: between these looks the curve stands still."""
    dataset = points(40, 20)
    config = TrainingConfig(dtype="float64", learning_rate=1e-2, step_limit=2000, batch_size=10)
    [result] = memorize(dataset, K, KEY, config)
    assert result.status == Status.FITTED and result.fitted
    np.testing.assert_allclose(result.loss, by_hand(result.network, dataset)[0], rtol=1e-9)
    curve = loss_curve(dataset, K, KEY, result.steps + 8, config).reshape(-1, 4)
    np.testing.assert_array_equal(curve, np.repeat(curve[:, :1], 4, axis=1))
    looks = curve[:, 0]
    assert config.epsilon < 1 / 40  # so that the loss alone tells of a fit
    assert result.steps == 4 * np.flatnonzero(looks <= config.epsilon)[0] > 4
    assert len(set(looks[: result.steps // 4])) == result.steps // 4


def test_statuses_have_words():
    assert [status.label for status in Status] == ["training", "fitted", "step limit", "diverged", "unused"]


# --- compilations ---------------------------------------------------------------------------------------------------

COMPILED: list[str] = []


def _listen(event, duration, **details):
    if event == "/jax/core/compile/backend_compile_duration":
        COMPILED.append(details.get("fun_name", "?"))


jax.monitoring.register_event_duration_secs_listener(_listen)  # for good: old JAX cannot take a listener back


def test_one_shape_compiles_once():
    """Every mix of widths, every number of points and every dimension that a shape has room for."""
    config = TrainingConfig(learning_rate=1e-2, step_limit=41)  # a configuration of its own: not compiled before

    def fill_and_train(slots, dataset, widths):
        with training.numerics(config):
            slots = pack.fill(slots, 0, dataset, widths, training.key_data(KEY), config)
            slots = pack.advance(slots, np.int32(50), config)
            training.harvest(slots, 0, dataset, range(len(widths)), config)
        return slots

    COMPILED.clear()
    slots = empty(PackShape(1, N, D, 30, 4), config)
    slots = fill_and_train(slots, points(), (3, 7))
    assert sum("advance" in name for name in COMPILED) == 1
    COMPILED.clear()
    for widths in [(4, 5, 6, 7), (30,), (2, 1), (16, 14)]:
        slots = fill_and_train(slots, points(), widths)
    assert COMPILED == []
    slots = fill_and_train(slots, points(30, 5), (9, 12))
    assert not [name for name in COMPILED if "advance" in name]


# --- what is refused ------------------------------------------------------------------------------------------------


def refused(said, call, *args, **kwargs):
    """The call raises a UserError of one line that says something."""
    with pytest.raises(UserError, match=said) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and len(message) < 300


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["epsilon", "learning_rate", "hidden_scale", "readout_scale"])
def test_scales_must_be_positive_numbers(name, value):
    refused(name, TrainingConfig, **{name: value})


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ("step_limit", {"step_limit": 0}),
        ("batch_size", {"batch_size": 1}),
        ("batch_size", {"batch_size": -5}),
        ("dtype", {"dtype": "float16"}),
        ("activation", {"activation": "nonsense"}),
        ("nonsense", {"optimizer": "nonsense"}),
        ("optimiser", {"optimizer": "__name__"}),
        ("optimiser", {"optimizer": "chain"}),
        ("nonsense", {"optimizer_options": (("nonsense", 1.0),)}),
        ("step_limit", {"step_limit": 2**31}),
        ("epsilon", {"epsilon": "small"}),
    ],
)
def test_configurations_that_make_no_sense(said, choice):
    refused(said, TrainingConfig, **choice)


@pytest.mark.parametrize("name", KNOWN)
def test_the_optimizers_that_messages_name_treat_every_coordinate_alike(name):
    """Which `TrainingConfig` takes on trust, so that it needs no device."""
    assert not mixes_coordinates(optimizer(TrainingConfig(optimizer=name, learning_rate=1e-2)))


@pytest.mark.parametrize("name", ["nonsense", "__name__", "lamb"])
def test_a_wrong_optimizer_is_told_which_there_are(name):
    with pytest.raises(UserError, match=f"use one of {', '.join(KNOWN)}"):
        TrainingConfig(optimizer=name)


@pytest.mark.parametrize(
    "name", ["lamb", "lars", "fromage", "adafactor", "novograd", "sm3", "noisy_sgd", "lbfgs", "polyak_sgd"]
)
def test_optimizers_that_would_couple_networks_are_refused(name):
    """Norms over all weights, over rows and columns, noise by place, and line searches on the sum of losses."""
    refused("ptimiser", TrainingConfig, optimizer=name, learning_rate=1e-2)


@pytest.mark.parametrize("name", ["adagrad", "amsgrad", "nadamw", "adabelief", "sign_sgd", "yogi"])
def test_optimizers_by_coordinates_are_taken(name):
    assert TrainingConfig(optimizer=name, learning_rate=1e-2).optimizer == name


def with_entry(array, value):
    array = np.array(array)
    array.flat[3] = value
    return array


@pytest.mark.parametrize(
    ("said", "dataset", "widths", "config"),
    [
        ("Labels", Dataset(points().x, 1 + points().y), 3, DOUBLE),
        ("finite", Dataset(with_entry(points().x, np.nan), points().y), 3, DOUBLE),
        ("shape", Dataset(points().x[0], points().y), 3, DOUBLE),
        ("shape", Dataset(points().x, points().y[1:]), 3, DOUBLE),
        ("idths", points(), 0, DOUBLE),
        ("idths", points(), (), DOUBLE),
        ("idths", points(), (3, -1), DOUBLE),
        ("idths", points(), (3, 5, 3), DOUBLE),
        ("batch_size", points(), 3, TrainingConfig(batch_size=N + 1)),
    ],
)
def test_memorize_refuses(said, dataset, widths, config):
    refused(said, memorize, dataset, widths, KEY, config)


def test_batches_larger_than_the_data_set_have_no_curve():
    refused("batch_size", loss_curve, points(), 3, KEY, 5, TrainingConfig(batch_size=N + 1))


@pytest.mark.parametrize("key", [jax.random.split(KEY), jax.random.key(0, impl="rbg")])
def test_other_keys_are_refused(key):
    refused("threefry", memorize, points(), 3, key)
