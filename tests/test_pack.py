"""A network alone, padded, packed with others, refilled, compacted or beside one that diverges is the same network.

In float64, where the rounding of differently shaped products is all that can tell them apart. Shapes are reused as far
as possible, since each costs a compilation.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lawjax.data import Dataset
from lawjax.train import pack, training
from lawjax.train.config import TrainingConfig
from lawjax.train.model import neuron_params
from lawjax.train.pack import PackShape, Status

DOUBLE = TrainingConfig(dtype="float64", learning_rate=1e-2, step_limit=300)
SINGLE = TrainingConfig(learning_rate=1e-2, step_limit=300)
BATCHED = TrainingConfig(dtype="float64", learning_rate=1e-2, step_limit=300, batch_size=12)
WIDTHS = (2, 10, 24)
STEPS = 10


@pytest.fixture(autouse=True)
def _double_precision():
    with training.numerics(DOUBLE):
        yield


@functools.cache
def points(n, d, seed=0):
    """Points with a mean, and labels of both signs."""
    rng = np.random.default_rng([n, d, seed])
    return Dataset(rng.normal(size=(n, d)) / np.sqrt(d) + 0.1, rng.permutation(np.resize([1.0, -1.0], n)))


A, B, C = points(48, 6), points(36, 5), points(24, 4)  # of A alone, variances are taken in weight space


def key_words(dataset):
    return training.key_data(jax.random.key(dataset.n, impl="threefry2x32"))


def filled(shape, groups, config=DOUBLE):
    """Lanes with the groups (dataset, widths), one lane each."""
    lanes = pack.empty(PackShape(*shape), config)
    for lane, (dataset, widths) in enumerate(groups):
        lanes = pack.fill(lanes, lane, dataset, widths, key_words(dataset), config)
    return lanes


def advanced(lanes, steps, config=DOUBLE):
    return pack.advance(lanes, np.int32(steps), config)


def trained(lanes, config=DOUBLE):
    while (np.asarray(lanes.status) == Status.TRAINING).any():
        lanes = advanced(lanes, 100, config)
    return lanes


def own_params(lanes, lane, head, d):
    """One network's parameters, as they are."""
    neurons = np.flatnonzero(np.asarray(lanes.owner)[lane] == head)
    return neuron_params(pack.lane_params(lanes, lane), neurons, head, d)


def curve_and_end(lanes, config=DOUBLE):
    """Losses (STEPS, lanes, heads) of the first steps, and the lanes at the end of training."""
    losses = []
    for _ in range(STEPS):
        lanes = advanced(lanes, 1, config)
        losses.append(np.asarray(lanes.loss))
    return np.stack(losses), jax.device_get(trained(lanes, config))


@functools.cache
def alone(dataset_name, width, config=DOUBLE):
    """Losses (STEPS,) and the result of one network in a pack of its own shape."""
    dataset = {"A": A, "B": B, "C": C}[dataset_name]
    losses, lanes = curve_and_end(filled((1, dataset.n, dataset.d, width, 1), [(dataset, (width,))], config), config)
    return losses[:, 0, 0], training.harvest(lanes, 0, dataset, [0], config)[0]


def assert_same_network(found, expected, rtol=1e-6):
    """Two results of training, the weights to rtol of their norms."""
    assert (found.status, found.steps, found.fitted) == (expected.status, expected.steps, expected.fitted)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=rtol)
    for one, other in zip(jax.tree.leaves(found.network), jax.tree.leaves(expected.network), strict=True):
        assert one.shape == other.shape
        assert np.linalg.norm(one - other) <= rtol * np.linalg.norm(other)


def assert_bitwise_equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(found), jax.device_get(expected))


# --- what a lane is filled with -------------------------------------------------------------------------------------


def test_initial_weights_have_the_stated_distribution():
    config = TrainingConfig(dtype="float64", hidden_scale=3.0, readout_scale=0.5)
    d, k = 50, 2000
    kernel, readout = pack.initial_weights(jax.random.key(0), d, k, config)
    assert kernel.shape == (d, k) and readout.shape == (k,) and kernel.dtype == readout.dtype == np.float64
    # Four standard errors of a mean of squares, sqrt(2 / number).
    np.testing.assert_allclose((kernel**2).mean() * d, 9.0, rtol=4 * np.sqrt(2 / (d * k)))
    np.testing.assert_allclose((readout**2).mean() * k, 0.25, rtol=4 * np.sqrt(2 / k))
    assert abs(kernel.mean()) < 4 * 3 / np.sqrt(d * d * k)


def test_a_neuron_does_not_notice_the_others():
    key = jax.random.key(1)
    (few, few_readouts), (many, many_readouts) = (pack.initial_weights(key, 5, k, DOUBLE) for k in (7, 300))
    np.testing.assert_array_equal(many[:, :7], few)
    np.testing.assert_allclose(many_readouts[:7] * np.sqrt(300), few_readouts * np.sqrt(7), rtol=1e-15)


def test_networks_start_from_the_same_bits_in_any_place():
    lanes = filled((3, 60, 9, 50, 4), [(B, (10,)), (C, (24, 2)), (A, WIDTHS)])
    for lane, dataset, head, width in ((0, B, 0, 10), (1, C, 0, 24), (1, C, 1, 2), (2, A, 0, 2), (2, A, 2, 24)):
        key = jax.random.fold_in(jax.random.key(dataset.n, impl="threefry2x32"), width)
        kernel, readout = pack.initial_weights(key, dataset.d, width, DOUBLE)
        params = own_params(lanes, lane, head, dataset.d)
        np.testing.assert_array_equal(params["hidden"]["kernel"], kernel)
        np.testing.assert_array_equal(params["readout"], readout)
        np.testing.assert_array_equal(params["hidden"]["scale"], 1.0)
        np.testing.assert_array_equal(params["hidden"]["bias"], 0.0)
        assert params["readout_bias"] == 0.0


def test_a_filled_lane_holds_the_centred_points_and_zeros():
    lanes = jax.device_get(filled((3, 60, 7, 50, 4), [(B, (10,)), (C, (24, 2)), (A, WIDTHS)]))
    for lane, (dataset, widths) in enumerate([(B, (10,)), (C, (24, 2)), (A, WIDTHS)]):
        n, d = dataset.x.shape
        np.testing.assert_allclose(lanes.x[lane, :n, :d], dataset.x - dataset.x.mean(0), atol=1e-15)
        assert not lanes.x[lane, n:].any() and not lanes.x[lane, :, d:].any() and not lanes.y[lane, n:].any()
        np.testing.assert_array_equal(lanes.y[lane, :n], dataset.y)
        covariance = np.cov(dataset.x, rowvar=False, bias=True)
        np.testing.assert_allclose(lanes.second_moment[lane, :d, :d], covariance, atol=1e-15)
        sizes = [(lanes.owner[lane] == head).sum() for head in range(4)]
        assert sizes == [*widths, *[0] * (4 - len(widths))]
        assert (lanes.owner[lane] == -1).sum() == 50 - sum(widths)
        used = np.arange(4) < len(widths)
        np.testing.assert_array_equal(lanes.status[lane], np.where(used, Status.TRAINING, Status.UNUSED))


def test_without_batch_norm_the_points_stay_as_they_are():
    config = TrainingConfig(dtype="float64", batch_norm=False)
    lanes = jax.device_get(filled((1, 50, 7, 12, 1), [(A, (10,))], config))
    np.testing.assert_array_equal(lanes.x[0, :48, :6], A.x)
    assert lanes.second_moment.size == 0


@pytest.mark.parametrize("config", [SINGLE, DOUBLE])
def test_every_number_has_the_precision_asked_for(config):
    with training.numerics(config):
        lanes = advanced(filled((1, 48, 6, 10, 1), [(A, (10,))], config), 1, config)
        floats = {leaf.dtype for leaf in jax.tree.leaves(lanes) if jnp.issubdtype(leaf.dtype, jnp.floating)}
    assert floats == {jnp.dtype(config.dtype)}


# --- padded, packed, in lanes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [
        PackShape(1, 60, 6, 10, 1),  # rows
        PackShape(1, 48, 9, 10, 1),  # columns; variances are taken over activations here
        PackShape(1, 48, 6, 17, 3),  # neurons and heads
        PackShape(2, 48, 6, 10, 1),  # a lane that stays empty
        PackShape(2, 70, 8, 16, 2),  # all of these
    ],
)
def test_padded_is_alone(shape):
    losses, expected = alone("A", 10)
    padded_losses, lanes = curve_and_end(filled(shape, [(A, (10,))]))
    # A sum of n d k products of order one, and ten steps of Adam that keep its rounding: a few hundred units.
    np.testing.assert_allclose(padded_losses[:, 0, 0], losses, rtol=1e-11)
    assert_same_network(training.harvest(lanes, 0, A, [0], DOUBLE)[0], expected)
    unused = np.asarray(lanes.status).ravel()[1:]
    assert (unused == Status.UNUSED).all()


@pytest.fixture(scope="module")
def packed():
    """Losses and end of networks of three widths in one lane."""
    with training.numerics(DOUBLE):
        return curve_and_end(filled((1, 48, 6, 36, 3), [(A, WIDTHS)]))


@pytest.mark.parametrize("head", range(3))
def test_packed_is_alone(packed, head):
    losses, expected = alone("A", WIDTHS[head])
    np.testing.assert_allclose(packed[0][:, 0, head], losses, rtol=1e-11)
    assert_same_network(training.harvest(packed[1], 0, A, [head], DOUBLE)[0], expected)


def test_the_packed_networks_end_in_different_ways(packed):
    """Or else the tests above would say less: 2 neurons are too few for 48 points, 24 are enough."""
    results = training.harvest(packed[1], 0, A, range(3), DOUBLE)
    assert [result.status for result in results][::2] == [Status.STEP_LIMIT, Status.FITTED]
    assert results[0].steps == DOUBLE.step_limit and 0 < results[2].steps < DOUBLE.step_limit
    assert [result.network.n_neurons for result in results] == list(WIDTHS)


def test_packed_is_alone_in_single_precision():
    with training.numerics(SINGLE):
        losses, _ = curve_and_end(filled((1, 48, 6, 36, 3), [(A, WIDTHS)], SINGLE), SINGLE)
        for head, width in enumerate(WIDTHS[1:], 1):
            # Rounding of 6e-8, and Adam's first steps g/|g|, which hand it on where a gradient nearly vanishes.
            np.testing.assert_allclose(losses[:, 0, head], alone("A", width, SINGLE)[0], rtol=1e-4)


LANES = PackShape(3, 48, 6, 36, 3)


def test_lanes_of_different_sizes_are_alone():
    groups = [("B", (10,)), ("A", WIDTHS), ("C", (24,))]
    sets = {"A": A, "B": B, "C": C}
    losses, lanes = curve_and_end(filled(LANES, [(sets[name], widths) for name, widths in groups]))
    for lane, (name, widths) in enumerate(groups):
        for head, width in enumerate(widths):
            alone_losses, expected = alone(name, width)
            np.testing.assert_allclose(losses[:, lane, head], alone_losses, rtol=1e-11)
            assert_same_network(training.harvest(lanes, lane, sets[name], [head], DOUBLE)[0], expected)


def test_a_refilled_lane_is_a_fresh_one():
    fresh = trained(filled((1, 48, 6, 36, 3), [(A, WIDTHS)]))
    used = trained(filled((1, 48, 6, 36, 3), [(C, (24, 10))]))
    again = trained(pack.fill(used, 0, A, WIDTHS, key_words(A), DOUBLE))
    assert_bitwise_equal(again, fresh)


def test_refilling_one_lane_leaves_the_others():
    groups = [(B, (10,)), (A, WIDTHS), (C, (24,))]
    lanes = advanced(filled(LANES, groups), 30)
    before = jax.device_get(lanes)
    lanes = pack.fill(lanes, 0, C, (10, 2), key_words(C), DOUBLE)
    one, two = (lambda leaf, lane=lane: np.asarray(leaf)[lane] for lane in (1, 2))
    for pick in (one, two):
        assert_bitwise_equal(jax.tree.map(pick, lanes), jax.tree.map(pick, before))
    fresh = advanced(filled(LANES, [(C, (10, 2)), (A, WIDTHS), (C, (24,))]), 20)
    after = advanced(lanes, 20)
    assert_bitwise_equal(jax.tree.map(lambda leaf: leaf[0], after), jax.tree.map(lambda leaf: leaf[0], fresh))
    steps_of_all = advanced(filled(LANES, groups), 50)  # 30 and 20 for the lanes that went on
    assert_bitwise_equal(jax.tree.map(one, after), jax.tree.map(one, steps_of_all))


# --- how networks end -----------------------------------------------------------------------------------------------


def test_networks_that_have_ended_do_not_move():
    lanes = filled((1, 48, 6, 36, 3), [(A, WIDTHS)])
    while np.asarray(lanes.status)[0, 2] == Status.TRAINING:
        lanes = advanced(lanes, 10)
    before = jax.device_get(lanes)
    assert before.status[0, 0] == Status.TRAINING and before.step[0] < DOUBLE.step_limit - 20
    after = jax.device_get(advanced(lanes, 20))
    assert after.step[0] == before.step[0] + 20
    assert_bitwise_equal(own_params(after, 0, 2, 6), own_params(before, 0, 2, 6))
    assert (after.steps[0, 2], after.loss[0, 2]) == (before.steps[0, 2], before.loss[0, 2])
    still, moved = own_params(before, 0, 0, 6), own_params(after, 0, 0, 6)
    assert all((one != other).all() for one, other in zip(jax.tree.leaves(still), jax.tree.leaves(moved), strict=True))


def test_a_pack_without_networks_in_training_makes_no_step():
    lanes = pack.empty(PackShape(1, 48, 6, 36, 3), DOUBLE)
    assert_bitwise_equal(advanced(jax.tree.map(np.copy, lanes), 50), lanes)


def test_chunks_do_not_matter():
    one = advanced(filled((1, 48, 6, 36, 3), [(A, WIDTHS)]), 30)
    many = filled((1, 48, 6, 36, 3), [(A, WIDTHS)])
    for chunk in (1, 12, 17):
        many = advanced(many, chunk)
    assert_bitwise_equal(many, one)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
@pytest.mark.parametrize("name", ["kernel", "scale", "bias", "readout", "readout_bias"])
def test_a_network_that_diverges_does_not_disturb_its_neighbours(name, value):
    healthy = advanced(filled((1, 48, 6, 36, 3), [(A, WIDTHS)]), 5)
    ill = jax.tree.map(np.copy, jax.device_get(healthy))
    leaf = ill.params["hidden"][name] if name in ill.params["hidden"] else ill.params[name]
    leaf[..., 1 if name == "readout_bias" else WIDTHS[0]] = value  # the first neuron of the second network
    after, expected = jax.device_get(advanced(ill, 30)), jax.device_get(advanced(healthy, 30))
    assert (after.status[0, 1], after.steps[0, 1]) == (Status.DIVERGED, 5)
    for head in (0, 2):
        assert_bitwise_equal(own_params(after, 0, head, 6), own_params(expected, 0, head, 6))
        assert after.status[0, head] == expected.status[0, head]
    result = training.harvest(after, 0, A, [1], DOUBLE)[0]
    assert result.network is None and not result.fitted and np.isnan(result.loss_folded)


def test_a_network_whose_training_explodes_leaves_its_neighbour_alone():
    """Gradient descent is stable below 2/curvature, and the curvature in the read-out grows with the width."""
    config = TrainingConfig(dtype="float64", optimizer="sgd", learning_rate=0.6, step_limit=60, batch_norm=False)
    _, lanes = curve_and_end(filled((1, 48, 6, 2002, 2), [(A, (2, 2000))], config), config)
    small, large = training.harvest(lanes, 0, A, [0, 1], config)
    assert large.status == Status.DIVERGED and large.steps < 60 and not large.fitted
    assert small.status == Status.STEP_LIMIT and small.steps == 60
    _, expected = alone("A", 2, config)
    assert_same_network(small, expected)


# --- compacting -----------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "adam": DOUBLE,
    "sgd with momentum": TrainingConfig(
        dtype="float64", optimizer="sgd", optimizer_options=(("momentum", 0.9),), learning_rate=0.02, step_limit=300
    ),
    "adagrad": TrainingConfig(dtype="float64", optimizer="adagrad", learning_rate=0.05, step_limit=300),
    "mini-batches": BATCHED,
}


@pytest.mark.parametrize("config", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_compacted_is_not_compacted(config):
    """One lane of three has ended, and it was the one that asked for the size; of another, one network of three has."""
    lanes = jax.device_get(advanced(filled(LANES, [(C, WIDTHS), (A, (10,)), (B, (10, 2))], config), 25, config))
    lanes = jax.tree.map(np.copy, lanes)
    assert (lanes.status[0, :3] == Status.TRAINING).all() and (lanes.status[2, :2] == Status.TRAINING).all()
    lanes.status[0, 2] = lanes.status[1, 0] = Status.STEP_LIMIT
    small, kept = pack.compact(lanes, PackShape(2, 36, 5, 16, 3), config)
    assert kept == [0, 2]
    np.testing.assert_array_equal(
        [[(np.asarray(small.owner)[lane] == head).sum() for head in (-1, 0, 1, 2)] for lane in (0, 1)],
        [[4, 2, 10, 0], [4, 10, 2, 0]],
    )
    np.testing.assert_array_equal(
        small.status, [[Status.TRAINING, Status.TRAINING, Status.UNUSED], [Status.TRAINING] * 2 + [Status.UNUSED]]
    )
    small, large = (jax.device_get(advanced(each, 40, config)) for each in (small, lanes))
    for new, (old, dataset) in enumerate([(0, C), (2, B)]):
        assert small.step[new] == large.step[old] == 65
        for head in (0, 1):
            for field in ("status", "steps"):
                assert getattr(small, field)[new, head] == getattr(large, field)[old, head]
            np.testing.assert_allclose(small.loss[new, head], large.loss[old, head], rtol=1e-9)
            found, expected = own_params(small, new, head, dataset.d), own_params(large, old, head, dataset.d)
            for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
                # 40 steps hand on a rounding of 1e-16.
                np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_compacting_moves_what_stands():
    """Before any further step, every network in training has its bits, in the parameters and the optimiser's state."""
    lanes = jax.device_get(advanced(filled(LANES, [(C, WIDTHS), (A, (10,)), (B, (10, 2))]), 25))
    small, kept = pack.compact(lanes, PackShape(3, 48, 6, 40, 3), DOUBLE)
    assert kept == [0, 1, 2]
    big_state, small_state = (jax.tree.leaves((each.params, each.optimizer_state)) for each in (lanes, small))
    for lane, (dataset, neurons) in enumerate([(C, 36), (A, 10), (B, 12)]):
        n, d = dataset.x.shape
        np.testing.assert_array_equal(small.x[lane, :n, :d], lanes.x[lane, :n, :d])
        np.testing.assert_array_equal(small.key[lane], lanes.key[lane])
        np.testing.assert_array_equal(small.loss[lane], lanes.loss[lane])
        for one, other in zip(small_state, big_state, strict=True):
            per_neuron = one.shape[-1] == 40
            one, other = (leaf[lane, ..., :neurons] if per_neuron else leaf[lane] for leaf in (one, other))
            np.testing.assert_array_equal(one, other)


# --- mini-batches ---------------------------------------------------------------------------------------------------


def batches(lane, count, size, steps):
    """The rows of each step's mini-batch, found by their points, and whether an epoch begins."""
    draw = jax.jit(pack._mini_batch, static_argnums=2)
    for step in range(steps):
        x, y, begins = draw(lane._replace(step=np.int32(step)), np.int32(count), size)
        rows = [int(np.flatnonzero((lane.x == point).all(1))[0]) for point in np.asarray(x)]
        np.testing.assert_array_equal(y, lane.y[rows])
        yield rows, bool(begins)


@pytest.mark.parametrize("padding", [0, 9])
@pytest.mark.parametrize("size", [8, 12, 11])
def test_an_epoch_visits_every_row_once(size, padding):
    """A last batch that would be short is left out: of 24 rows in batches of 11, two wait for the next epoch."""
    lanes = jax.device_get(filled((1, 24 + padding, 4, 24, 1), [(C, (24,))], BATCHED))
    lane = jax.tree.map(lambda leaf: leaf[0], lanes)
    per_epoch = 24 // size
    drawn = list(batches(lane, 24, size, 6 * per_epoch))
    assert [begins for _, begins in drawn] == ([True] + [False] * (per_epoch - 1)) * 6
    epochs = [sum((rows for rows, _ in drawn[i : i + per_epoch]), []) for i in range(0, len(drawn), per_epoch)]
    for rows in epochs:
        assert len(rows) == len(set(rows)) == per_epoch * size
        assert set(rows) <= set(range(24))
    assert set().union(*epochs) == set(range(24))
    assert len({tuple(rows) for rows in epochs}) == 6  # each epoch in an order of its own


def test_padded_is_alone_with_mini_batches():
    losses, expected = alone("A", 10, BATCHED)
    padded_losses, lanes = curve_and_end(filled((2, 60, 8, 14, 2), [(C, (10,)), (A, (10,))], BATCHED), BATCHED)
    np.testing.assert_allclose(padded_losses[:, 1, 0], losses, rtol=1e-11)
    assert_same_network(training.harvest(lanes, 1, A, [0], BATCHED)[0], expected)
