"""The host loop's steps: from one state of a work unit to the next, and no network is lost or comes twice."""

import collections
import dataclasses
import math
import threading

import jax
import numpy as np
import pytest
from small_sweep import DEVICE, PROBES

from lawjax import keys, memorize
from lawjax.sweep import as_record
from lawjax.sweep import state as steps
from lawjax.sweep.config import SweepConfig, dataset
from lawjax.sweep.grid import Grid
from lawjax.sweep.loop import resumption, train_unit
from lawjax.sweep.plan import plan
from lawjax.sweep.store import Store
from lawjax.train import training
from lawjax.train.config import TrainingConfig
from lawjax.train.slots import Status

TRAINING = TrainingConfig(dtype="float64", epsilon=0.05, learning_rate=0.01, step_limit=600)
CONFIG = SweepConfig(Grid((60,), (20,), (2, 30), seeds=3), TRAINING, dataclasses.replace(PROBES, points=0))
ON = dataclasses.replace(DEVICE, max_chunk=100, saturating=6e5, workers=1)  # two slots for three jobs
[UNIT] = plan(CONFIG.grid.networks(), TRAINING, ON)


def data_of(n, d, seed):
    return dataset(n, d, seed, CONFIG)


@pytest.fixture(autouse=True)
def _double_precision():
    with training.numerics(TRAINING):
        yield


def begun():
    return steps.fill(steps.begin(UNIT.shape, TRAINING), UNIT, data_of, TRAINING)


def worked(on):
    """Every network that ended on the way through the unit, and how often the pack became smaller."""
    state, found, compacted = begun(), [], 0
    while state.busy.any():
        state = steps.advance(state, UNIT, TRAINING)
        state, ended = steps.harvest(state, UNIT, data_of, TRAINING)
        found += ended
        state = steps.fill(state, UNIT, data_of, TRAINING)
        before = state.shape
        state, ended = steps.compact(state, UNIT, data_of, TRAINING, on)
        found += ended
        compacted += state.shape != before
    return {one.name: one for one in found}, len(found), compacted


@pytest.fixture(scope="module")
def ended():
    with training.numerics(TRAINING):
        return worked(ON)


def test_slots_are_filled_in_the_order_of_the_jobs():
    assert (UNIT.shape.slots, len(UNIT.jobs)) == (2, 3)
    state = begun()
    assert state.job_in.tolist() == [0, 1] and state.next_job == 2
    assert state.in_training.all() and not state.seconds.any()
    np.testing.assert_array_equal(state.widths, [UNIT.jobs[0].widths, UNIT.jobs[1].widths])
    again = steps.fill(state, UNIT, data_of, TRAINING)  # no slot is free
    assert again.job_in.tolist() == [0, 1] and again.next_job == 2


def test_a_slot_that_is_free_takes_the_next_job_and_the_other_goes_on():
    state = steps.advance(begun(), UNIT, TRAINING)
    other = np.asarray(state.slots.loss)[1].copy()
    freed = dataclasses.replace(state, job_in=np.array([-1, 1]))
    filled = steps.fill(freed, UNIT, data_of, TRAINING)
    assert filled.job_in.tolist() == [2, 1] and filled.next_job == 3
    assert np.asarray(filled.slots.step).tolist() == [0, UNIT.chunk]
    assert not filled.seconds[0].any() and filled.seconds[1].all()
    np.testing.assert_array_equal(np.asarray(filled.slots.loss)[1], other)


def test_a_step_leaves_what_the_host_knew_before_as_it_was():
    state = begun()
    before = state.job_in.copy(), state.next_job, state.seconds.copy(), state.sparse_time
    after = steps.advance(state, UNIT, TRAINING)
    steps.harvest(after, UNIT, data_of, TRAINING, every_ended=True)
    steps.fill(dataclasses.replace(after, job_in=np.array([-1, -1])), UNIT, data_of, TRAINING)
    for one, other in zip((state.job_in, state.next_job, state.seconds, state.sparse_time), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert after.job_in.tolist() == [0, 1] and after.seconds.all()


def test_every_network_ends_once_as_it_does_alone(ended):
    found, count, compacted = ended
    assert compacted and sorted(found) == CONFIG.grid.networks() and count == len(found)
    assert {one.result.status for one in found.values()} == {Status.FITTED, Status.STEP_LIMIT}
    for name, one in found.items():
        key = keys.weights_key(name.n, name.d, name.seed)
        [alone] = memorize(data_of(name.n, name.d, name.seed), name.k, key, TRAINING)
        assert (one.result.status, one.result.steps) == (alone.status, alone.steps)
        for left, right in zip(jax.tree.leaves(one.result.network), jax.tree.leaves(alone.network), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-6)  # hundreds of steps hand on the rounding
        assert one.seconds > 0


def test_a_pack_that_is_not_worth_moving_stays_and_gives_the_same_networks(ended):
    found, count, compacted = worked(dataclasses.replace(ON, worth_moving=math.inf))
    assert not compacted and count == len(found) and found.keys() == ended[0].keys()
    for name, one in found.items():
        assert one.result.steps == ended[0][name].result.steps
        np.testing.assert_allclose(one.result.loss, ended[0][name].result.loss, rtol=1e-6)


def test_a_state_comes_back_from_its_arrays():
    state = dataclasses.replace(steps.advance(begun(), UNIT, TRAINING), sparse_time=0.25)
    stored = jax.tree.leaves(jax.device_get(steps.as_arrays(state)))

    def load(like):
        leaves, structure = jax.tree.flatten(like)
        assert [np.shape(leaf) for leaf in leaves] == [leaf.shape for leaf in stored[: len(leaves)]]
        return jax.tree.unflatten(structure, stored[: len(leaves)])

    back = steps.from_arrays(load, TRAINING)
    assert (back.shape, back.next_job, back.sparse_time) == (state.shape, state.next_job, 0.25)
    for one, other in zip(*(jax.tree.leaves((s.slots, s.job_in, s.seconds)) for s in (back, state)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_observers_are_told_of_every_step_and_of_every_network_once(tmp_path):
    events = []

    def observe(event):
        assert 0 <= event.share <= 1 and event.unit == UNIT
        events.append((event.what, event.ended and event.ended.name))

    store = Store(tmp_path)
    store.open(as_record(CONFIG))
    train_unit(UNIT, CONFIG, resumption(UNIT, store), store.commit, ON, threading.Event(), 60.0, (observe,))
    kinds = [what for what, _ in events]
    assert kinds[:2] == ["began", "advanced"] and kinds[-1] == "stored" and "compacted" in kinds
    names = collections.Counter(name for what, name in events if what == "measured")
    assert names == collections.Counter(CONFIG.grid.networks())
    assert store.table().select("n", "d", "k", "seed").rows() == CONFIG.grid.networks()
