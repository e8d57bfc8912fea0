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
from lawjax.train.initial import initial_weights
from lawjax.train.model import network_params
from lawjax.train.slots import PackShape, Status, empty
from lawjax.train.step import mini_batch

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


def filled(shape, jobs, config=DOUBLE):
    """Slots with the jobs (dataset, widths), one slot each."""
    slots = empty(PackShape(*shape), config)
    for slot, (dataset, widths) in enumerate(jobs):
        slots = pack.fill(slots, slot, dataset, widths, key_words(dataset), config)
    return slots


def advanced(slots, steps, config=DOUBLE):
    return pack.advance(slots, np.int32(steps), config)


def trained(slots, config=DOUBLE):
    while (np.asarray(slots.status) == Status.TRAINING).any():
        slots = advanced(slots, 100, config)
    return slots


def own_params(slots, slot, network, d):
    """One network's parameters, as they are."""
    neurons = np.flatnonzero(np.asarray(slots.network_of)[slot] == network)
    return network_params(pack.slot_params(slots, slot), neurons, network, d)


def curve_and_end(slots, config=DOUBLE):
    """Losses (STEPS, slots, networks) of the first steps, and the slots at the end of training."""
    losses = []
    for _ in range(STEPS):
        slots = advanced(slots, 1, config)
        losses.append(np.asarray(slots.loss))
    return np.stack(losses), jax.device_get(trained(slots, config))


@functools.cache
def alone(dataset_name, width, config=DOUBLE):
    """Losses (STEPS,) and the result of one network in a pack of its own shape."""
    dataset = {"A": A, "B": B, "C": C}[dataset_name]
    losses, slots = curve_and_end(filled((1, dataset.n, dataset.d, width, 1), [(dataset, (width,))], config), config)
    return losses[:, 0, 0], training.harvest(slots, 0, dataset, [0], config)[0]


def assert_same_network(found, expected, rtol=1e-6):
    """Two results of training, the weights to rtol of their norms."""
    assert (found.status, found.steps, found.fitted) == (expected.status, expected.steps, expected.fitted)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=rtol)
    for one, other in zip(jax.tree.leaves(found.network), jax.tree.leaves(expected.network), strict=True):
        assert one.shape == other.shape
        assert np.linalg.norm(one - other) <= rtol * np.linalg.norm(other)


def assert_bitwise_equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(found), jax.device_get(expected))


# --- what a slot is filled with -------------------------------------------------------------------------------------


def test_initial_weights_have_the_stated_distribution():
    config = TrainingConfig(dtype="float64", hidden_scale=3.0, readout_scale=0.5)
    d, k = 50, 2000
    kernel, readout = initial_weights(jax.random.key(0), d, k, config)
    assert kernel.shape == (d, k) and readout.shape == (k,) and kernel.dtype == readout.dtype == np.float64
    # Four standard errors of a mean of squares, sqrt(2 / number).
    np.testing.assert_allclose((kernel**2).mean() * d, 9.0, rtol=4 * np.sqrt(2 / (d * k)))
    np.testing.assert_allclose((readout**2).mean() * k, 0.25, rtol=4 * np.sqrt(2 / k))
    assert abs(kernel.mean()) < 4 * 3 / np.sqrt(d * d * k)


def test_a_neuron_does_not_notice_the_others():
    key = jax.random.key(1)
    (few, few_readouts), (many, many_readouts) = (initial_weights(key, 5, k, DOUBLE) for k in (7, 300))
    np.testing.assert_array_equal(many[:, :7], few)
    np.testing.assert_allclose(many_readouts[:7] * np.sqrt(300), few_readouts * np.sqrt(7), rtol=1e-15)


def test_networks_start_from_the_same_bits_in_any_place():
    slots = filled((3, 60, 9, 50, 4), [(B, (10,)), (C, (24, 2)), (A, WIDTHS)])
    for slot, dataset, network, width in ((0, B, 0, 10), (1, C, 0, 24), (1, C, 1, 2), (2, A, 0, 2), (2, A, 2, 24)):
        key = jax.random.fold_in(jax.random.key(dataset.n, impl="threefry2x32"), width)
        kernel, readout = initial_weights(key, dataset.d, width, DOUBLE)
        params = own_params(slots, slot, network, dataset.d)
        np.testing.assert_array_equal(params["hidden"]["kernel"], kernel)
        np.testing.assert_array_equal(params["readout"], readout)
        np.testing.assert_array_equal(params["hidden"]["scale"], 1.0)
        np.testing.assert_array_equal(params["hidden"]["bias"], 0.0)
        assert params["readout_bias"] == 0.0


def test_a_filled_slot_holds_the_centred_points_and_zeros():
    slots = jax.device_get(filled((3, 60, 7, 50, 4), [(B, (10,)), (C, (24, 2)), (A, WIDTHS)]))
    for slot, (dataset, widths) in enumerate([(B, (10,)), (C, (24, 2)), (A, WIDTHS)]):
        n, d = dataset.x.shape
        np.testing.assert_allclose(slots.x[slot, :n, :d], dataset.x - dataset.x.mean(0), atol=1e-15)
        assert not slots.x[slot, n:].any() and not slots.x[slot, :, d:].any() and not slots.y[slot, n:].any()
        np.testing.assert_array_equal(slots.y[slot, :n], dataset.y)
        covariance = np.cov(dataset.x, rowvar=False, bias=True)
        np.testing.assert_allclose(slots.second_moment[slot, :d, :d], covariance, atol=1e-15)
        sizes = [(slots.network_of[slot] == network).sum() for network in range(4)]
        assert sizes == [*widths, *[0] * (4 - len(widths))]
        assert (slots.network_of[slot] == -1).sum() == 50 - sum(widths)
        used = np.arange(4) < len(widths)
        np.testing.assert_array_equal(slots.status[slot], np.where(used, Status.TRAINING, Status.UNUSED))


def test_without_batch_norm_the_points_stay_as_they_are():
    config = TrainingConfig(dtype="float64", batch_norm=False)
    slots = jax.device_get(filled((1, 50, 7, 12, 1), [(A, (10,))], config))
    np.testing.assert_array_equal(slots.x[0, :48, :6], A.x)
    assert slots.second_moment.size == 0


@pytest.mark.parametrize("config", [SINGLE, DOUBLE])
def test_every_number_has_the_precision_asked_for(config):
    with training.numerics(config):
        slots = advanced(filled((1, 48, 6, 10, 1), [(A, (10,))], config), 1, config)
        floats = {leaf.dtype for leaf in jax.tree.leaves(slots) if jnp.issubdtype(leaf.dtype, jnp.floating)}
    assert floats == {jnp.dtype(config.dtype)}


# --- padded, packed, in slots ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [
        PackShape(1, 60, 6, 10, 1),  # rows
        PackShape(1, 48, 9, 10, 1),  # columns; variances are taken over activations here
        PackShape(1, 48, 6, 17, 3),  # neurons and networks
        PackShape(2, 48, 6, 10, 1),  # a slot that stays empty
        PackShape(2, 70, 8, 16, 2),  # all of these
    ],
)
def test_padded_is_alone(shape):
    losses, expected = alone("A", 10)
    padded_losses, slots = curve_and_end(filled(shape, [(A, (10,))]))
    # A sum of n d k products of order one, and ten steps of Adam that keep its rounding: a few hundred units.
    np.testing.assert_allclose(padded_losses[:, 0, 0], losses, rtol=1e-11)
    assert_same_network(training.harvest(slots, 0, A, [0], DOUBLE)[0], expected)
    unused = np.asarray(slots.status).ravel()[1:]
    assert (unused == Status.UNUSED).all()


@pytest.fixture(scope="module")
def packed():
    """Losses and end of networks of three widths in one slot."""
    with training.numerics(DOUBLE):
        return curve_and_end(filled((1, 48, 6, 36, 3), [(A, WIDTHS)]))


@pytest.mark.parametrize("network", range(3))
def test_packed_is_alone(packed, network):
    losses, expected = alone("A", WIDTHS[network])
    np.testing.assert_allclose(packed[0][:, 0, network], losses, rtol=1e-11)
    assert_same_network(training.harvest(packed[1], 0, A, [network], DOUBLE)[0], expected)


def test_the_packed_networks_end_in_different_ways(packed):
    """Or else the tests above would say less: 2 neurons are too few for 48 points, 24 are enough."""
    results = training.harvest(packed[1], 0, A, range(3), DOUBLE)
    assert [result.status for result in results][::2] == [Status.STEP_LIMIT, Status.FITTED]
    assert results[0].steps == DOUBLE.step_limit and 0 < results[2].steps < DOUBLE.step_limit
    assert [result.network.n_neurons for result in results] == list(WIDTHS)


def test_packed_is_alone_in_single_precision():
    with training.numerics(SINGLE):
        losses, _ = curve_and_end(filled((1, 48, 6, 36, 3), [(A, WIDTHS)], SINGLE), SINGLE)
        for network, width in enumerate(WIDTHS[1:], 1):
            # Rounding of 6e-8, and Adam's first steps g/|g|, which hand it on where a gradient nearly vanishes.
            np.testing.assert_allclose(losses[:, 0, network], alone("A", width, SINGLE)[0], rtol=1e-4)


SHAPE = PackShape(3, 48, 6, 36, 3)


def test_slots_of_different_sizes_are_alone():
    jobs = [("B", (10,)), ("A", WIDTHS), ("C", (24,))]
    sets = {"A": A, "B": B, "C": C}
    losses, slots = curve_and_end(filled(SHAPE, [(sets[name], widths) for name, widths in jobs]))
    for slot, (name, widths) in enumerate(jobs):
        for network, width in enumerate(widths):
            alone_losses, expected = alone(name, width)
            np.testing.assert_allclose(losses[:, slot, network], alone_losses, rtol=1e-11)
            assert_same_network(training.harvest(slots, slot, sets[name], [network], DOUBLE)[0], expected)


def test_a_refilled_slot_is_a_fresh_one():
    fresh = trained(filled((1, 48, 6, 36, 3), [(A, WIDTHS)]))
    used = trained(filled((1, 48, 6, 36, 3), [(C, (24, 10))]))
    again = trained(pack.fill(used, 0, A, WIDTHS, key_words(A), DOUBLE))
    assert_bitwise_equal(again, fresh)


def test_refilling_one_slot_leaves_the_others():
    jobs = [(B, (10,)), (A, WIDTHS), (C, (24,))]
    slots = advanced(filled(SHAPE, jobs), 30)
    before = jax.device_get(slots)
    slots = pack.fill(slots, 0, C, (10, 2), key_words(C), DOUBLE)
    one, two = (lambda leaf, slot=slot: np.asarray(leaf)[slot] for slot in (1, 2))
    for pick in (one, two):
        assert_bitwise_equal(jax.tree.map(pick, slots), jax.tree.map(pick, before))
    fresh = advanced(filled(SHAPE, [(C, (10, 2)), (A, WIDTHS), (C, (24,))]), 20)
    after = advanced(slots, 20)
    assert_bitwise_equal(jax.tree.map(lambda leaf: leaf[0], after), jax.tree.map(lambda leaf: leaf[0], fresh))
    steps_of_all = advanced(filled(SHAPE, jobs), 50)  # 30 and 20 for the slots that went on
    assert_bitwise_equal(jax.tree.map(one, after), jax.tree.map(one, steps_of_all))


# --- how networks end -----------------------------------------------------------------------------------------------


def test_networks_that_have_ended_do_not_move():
    slots = filled((1, 48, 6, 36, 3), [(A, WIDTHS)])
    while np.asarray(slots.status)[0, 2] == Status.TRAINING:
        slots = advanced(slots, 10)
    before = jax.device_get(slots)
    assert before.status[0, 0] == Status.TRAINING and before.step[0] < DOUBLE.step_limit - 20
    after = jax.device_get(advanced(slots, 20))
    assert after.step[0] == before.step[0] + 20
    assert_bitwise_equal(own_params(after, 0, 2, 6), own_params(before, 0, 2, 6))
    assert (after.steps[0, 2], after.loss[0, 2]) == (before.steps[0, 2], before.loss[0, 2])
    still, moved = own_params(before, 0, 0, 6), own_params(after, 0, 0, 6)
    assert all((one != other).all() for one, other in zip(jax.tree.leaves(still), jax.tree.leaves(moved), strict=True))


def test_a_pack_without_networks_in_training_makes_no_step():
    slots = empty(PackShape(1, 48, 6, 36, 3), DOUBLE)
    assert_bitwise_equal(advanced(jax.tree.map(np.copy, slots), 50), slots)


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
    for network in (0, 2):
        assert_bitwise_equal(own_params(after, 0, network, 6), own_params(expected, 0, network, 6))
        assert after.status[0, network] == expected.status[0, network]
    result = training.harvest(after, 0, A, [1], DOUBLE)[0]
    assert result.network is None and not result.fitted and np.isnan(result.loss_folded)


def test_a_network_whose_training_explodes_leaves_its_neighbour_alone():
    """Gradient descent is stable below 2/curvature, and the curvature in the read-out grows with the width."""
    config = TrainingConfig(dtype="float64", optimizer="sgd", learning_rate=0.6, step_limit=60, batch_norm=False)
    _, slots = curve_and_end(filled((1, 48, 6, 2002, 2), [(A, (2, 2000))], config), config)
    small, large = training.harvest(slots, 0, A, [0, 1], config)
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
    """One slot of three has ended, and it was the one that asked for the size; of another, one network of three has."""
    slots = jax.device_get(advanced(filled(SHAPE, [(C, WIDTHS), (A, (10,)), (B, (10, 2))], config), 25, config))
    slots = jax.tree.map(np.copy, slots)
    assert (slots.status[0, :3] == Status.TRAINING).all() and (slots.status[2, :2] == Status.TRAINING).all()
    slots.status[0, 2] = slots.status[1, 0] = Status.STEP_LIMIT
    small, kept = pack.compact(slots, PackShape(2, 36, 5, 16, 3), config)
    assert kept == [0, 2]
    np.testing.assert_array_equal(
        [[(np.asarray(small.network_of)[slot] == network).sum() for network in (-1, 0, 1, 2)] for slot in (0, 1)],
        [[4, 2, 10, 0], [4, 10, 2, 0]],
    )
    np.testing.assert_array_equal(
        small.status, [[Status.TRAINING, Status.TRAINING, Status.UNUSED], [Status.TRAINING] * 2 + [Status.UNUSED]]
    )
    small, large = (jax.device_get(advanced(each, 40, config)) for each in (small, slots))
    for new, (old, dataset) in enumerate([(0, C), (2, B)]):
        assert small.step[new] == large.step[old] == 65
        for network in (0, 1):
            for field in ("status", "steps"):
                assert getattr(small, field)[new, network] == getattr(large, field)[old, network]
            np.testing.assert_allclose(small.loss[new, network], large.loss[old, network], rtol=1e-9)
            found, expected = own_params(small, new, network, dataset.d), own_params(large, old, network, dataset.d)
            for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
                # 40 steps hand on a rounding of 1e-16.
                np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_compacting_moves_what_stands():
    """Before any further step, every network in training has its bits, in the parameters and the optimiser's state."""
    slots = jax.device_get(advanced(filled(SHAPE, [(C, WIDTHS), (A, (10,)), (B, (10, 2))]), 25))
    small, kept = pack.compact(slots, PackShape(3, 48, 6, 40, 3), DOUBLE)
    assert kept == [0, 1, 2]
    big_state, small_state = (jax.tree.leaves((each.params, each.optimizer_state)) for each in (slots, small))
    for slot, (dataset, neurons) in enumerate([(C, 36), (A, 10), (B, 12)]):
        n, d = dataset.x.shape
        np.testing.assert_array_equal(small.x[slot, :n, :d], slots.x[slot, :n, :d])
        np.testing.assert_array_equal(small.key[slot], slots.key[slot])
        np.testing.assert_array_equal(small.loss[slot], slots.loss[slot])
        for one, other in zip(small_state, big_state, strict=True):
            per_neuron = one.shape[-1] == 40
            one, other = (leaf[slot, ..., :neurons] if per_neuron else leaf[slot] for leaf in (one, other))
            np.testing.assert_array_equal(one, other)


# --- mini-batches ---------------------------------------------------------------------------------------------------


def batches(slot, count, size, steps):
    """The rows of each step's mini-batch, found by their points, and whether an epoch begins."""
    draw = jax.jit(mini_batch, static_argnums=2)
    for step in range(steps):
        x, y, begins = draw(slot._replace(step=np.int32(step)), np.int32(count), size)
        rows = [int(np.flatnonzero((slot.x == point).all(1))[0]) for point in np.asarray(x)]
        np.testing.assert_array_equal(y, slot.y[rows])
        yield rows, bool(begins)


@pytest.mark.parametrize("padding", [0, 9])
@pytest.mark.parametrize("size", [8, 12, 11])
def test_an_epoch_visits_every_row_once(size, padding):
    """A last batch that would be short is left out: of 24 rows in batches of 11, two wait for the next epoch."""
    slots = jax.device_get(filled((1, 24 + padding, 4, 24, 1), [(C, (24,))], BATCHED))
    slot = jax.tree.map(lambda leaf: leaf[0], slots)
    per_epoch = 24 // size
    drawn = list(batches(slot, 24, size, 6 * per_epoch))
    assert [begins for _, begins in drawn] == ([True] + [False] * (per_epoch - 1)) * 6
    epochs = [[row for rows, _ in drawn[i : i + per_epoch] for row in rows] for i in range(0, len(drawn), per_epoch)]
    for rows in epochs:
        assert len(rows) == len(set(rows)) == per_epoch * size
        assert set(rows) <= set(range(24))
    assert set().union(*epochs) == set(range(24))
    assert len({tuple(rows) for rows in epochs}) == 6  # each epoch in an order of its own


def test_padded_is_alone_with_mini_batches():
    losses, expected = alone("A", 10, BATCHED)
    padded_losses, slots = curve_and_end(filled((2, 60, 8, 14, 2), [(C, (10,)), (A, (10,))], BATCHED), BATCHED)
    np.testing.assert_allclose(padded_losses[:, 1, 0], losses, rtol=1e-11)
    assert_same_network(training.harvest(slots, 1, A, [0], BATCHED)[0], expected)
