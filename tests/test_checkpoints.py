"""Networks and packs on disk: the same bits back, and one sentence for whatever cannot be read."""

import gc
import shutil
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_sweep import assert_one_sentence

from lawjax import TwoLayer, UserError
from lawjax.sweep import checkpoints
from lawjax.sweep.checkpoints import load_arrays, load_network, save_arrays, save_networks, stored_networks
from lawjax.sweep.grid import NetworkId


def network(k, d, activation="relu", dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    W, b, a = (rng.normal(size=shape).astype(dtype) for shape in ((k, d), (k,), (k,)))
    return TwoLayer(W, b, a, dtype(rng.normal()), activation)


def assert_same_network(left, right):
    assert left.activation == right.activation
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


NETWORKS = {
    NetworkId(100, 5, 3, 0): network(3, 5, seed=1),
    NetworkId(100, 5, 3, 1): network(3, 5, "polynomial:1,0,2", np.float64, seed=2),
    NetworkId(10, 1, 1, 12): network(1, 1, "tanh", seed=3),
    NetworkId(2000, 40, 30, 0): network(30, 40, "power:4", seed=4),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "networks"
    save_networks(path, NETWORKS)
    return path


def test_networks_come_back_bit_for_bit(stored):
    assert stored_networks(stored) == sorted(NETWORKS)
    for name, f in NETWORKS.items():
        assert_same_network(load_network(stored, name), f)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    k=st.integers(1, 9),
    d=st.integers(1, 9),
    dtype=st.sampled_from([np.float32, np.float64]),
    activation=st.sampled_from(["relu", "leaky_relu", "gelu", "identity", "power:3"]),
    seed=st.integers(0, 10**6),
)
def test_any_network_comes_back_bit_for_bit(tmp_path, k, d, dtype, activation, seed):
    name, f = NetworkId(k + d, d, k, seed), network(k, d, activation, dtype, seed)
    save_networks(tmp_path / "one", {name: f})
    assert_same_network(load_network(tmp_path / "one", name), f)
    assert stored_networks(tmp_path / "one") == [name]


def test_weights_of_extreme_size_come_back_bit_for_bit(tmp_path):
    W = np.array([[np.finfo(np.float32).max, -0.0], [np.finfo(np.float32).smallest_subnormal, 1e-30]], np.float32)
    f = TwoLayer(W, W[:, 1], W[:, 0], np.float32(-0.0))
    save_networks(tmp_path / "one", {NetworkId(2, 2, 2, 0): f})
    assert_same_network(load_network(tmp_path / "one", NetworkId(2, 2, 2, 0)), f)


def test_networks_on_a_device_are_stored_as_numpy(tmp_path):
    f = jax.tree.map(jax.device_put, network(3, 2))
    save_networks(tmp_path / "one", {NetworkId(3, 2, 3, 0): f})
    back = load_network(tmp_path / "one", NetworkId(3, 2, 3, 0))
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(back))
    assert_same_network(back, f)


def test_loading_one_network_leaves_the_others_on_disk(stored, monkeypatch):
    trees = []
    load = checkpoints._load

    def loaded(*arguments):
        trees.append(load(*arguments))
        return trees[-1]

    monkeypatch.setattr(checkpoints, "_load", loaded)
    wanted = NetworkId(10, 1, 1, 12)
    load_network(stored, wanted)
    [tree] = trees
    arrays = {key: [leaf for leaf in jax.tree.leaves(leaves) if hasattr(leaf, "shape")] for key, leaves in tree.items()}
    assert [key for key, leaves in arrays.items() if leaves] == [checkpoints.network_name(wanted)]


def test_saving_again_replaces_what_was_there(tmp_path):
    name = NetworkId(3, 2, 3, 0)
    save_networks(tmp_path / "one", NETWORKS)
    save_networks(tmp_path / "one", {name: network(3, 2, seed=5)})
    assert stored_networks(tmp_path / "one") == [name]
    assert_same_network(load_network(tmp_path / "one", name), network(3, 2, seed=5))


def test_a_network_that_is_not_there_is_named(stored):
    with pytest.raises(UserError, match="no network n100_d5_k3_s2") as caught:
        load_network(stored, NetworkId(100, 5, 3, 2))
    assert_one_sentence(str(caught.value))


READERS = {
    "load_network": lambda path: load_network(path, NetworkId(100, 5, 3, 0)),
    "stored_networks": stored_networks,
    "load_arrays": lambda path: load_arrays(path, (np.zeros(3),)),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["absent", "empty folder", "foreign folder", "file"])
def test_what_is_no_checkpoint_is_refused_in_one_sentence(tmp_path, kind, reader):
    path = tmp_path / "thing"
    if kind != "absent":
        path.write_text("PAR1") if kind == "file" else path.mkdir()
    if kind == "foreign folder":
        (path / "notes.txt").write_text("not a checkpoint")
        (path / "_METADATA").write_text("{}")
    with pytest.raises(UserError, match="not a readable checkpoint") as caught:
        READERS[reader](path)
    assert_one_sentence(str(caught.value))


def damages(path):
    """(label, damage) for every file of a checkpoint: removed, emptied, cut in half, overwritten."""
    for file in sorted(path.rglob("*")):
        if not file.is_file():
            continue
        relative, size = file.relative_to(path), file.stat().st_size
        yield f"{relative} removed", lambda copy, at=relative: (copy / at).unlink()
        yield f"{relative} emptied", lambda copy, at=relative: (copy / at).write_bytes(b"")
        if size > 1:
            yield (
                f"{relative} halved",
                lambda copy, at=relative: (copy / at).write_bytes(
                    (copy / at).read_bytes()[: (copy / at).stat().st_size // 2]
                ),
            )
            yield (
                f"{relative} overwritten",
                lambda copy, at=relative, size=size: (copy / at).write_bytes(b"\xff" * size),
            )


# Orbax leaves reads that fail beside the first one to an event loop that it closes.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["networks", "arrays"])
def test_a_damaged_checkpoint_is_refused_in_one_sentence_or_read_as_it_was(tmp_path, kind, capfd):
    path, refused = tmp_path / "whole", 0
    tree = {"a": np.arange(12.0, dtype=np.float32).reshape(3, 4), "b": np.arange(5)}
    if kind == "networks":
        save_networks(path, NETWORKS)
    else:
        save_arrays(path, tree)
    for number, (label, damage) in enumerate(damages(path)):
        copy = tmp_path / f"damaged-{number}"
        shutil.copytree(path, copy)
        damage(copy)
        try:
            if kind == "networks":
                for name, f in NETWORKS.items():
                    assert_same_network(load_network(copy, name), f)
            else:
                back = load_arrays(copy, jax.tree.map(np.zeros_like, tree))
                for leaf in tree:
                    np.testing.assert_array_equal(back[leaf], tree[leaf], err_msg=label)
        except UserError as error:
            assert_one_sentence(str(error))
            refused += 1
    assert refused >= 3
    gc.collect()  # so that what those reads left is not laid at the door of another test
    assert "Traceback" not in capfd.readouterr().err


# Packs in flight


def test_arrays_come_back_bit_for_bit_with_leaves_of_size_zero(tmp_path):
    tree = (
        np.array([3, 1, 2], np.int64),
        {"empty": np.zeros((2, 0, 0), np.float32), "nan": np.array([np.nan, -np.inf, -0.0], np.float32)},
        [np.float64(1 / 3), np.array([[True, False]]), np.arange(4, dtype=np.uint32), np.zeros((0,), np.int32)],
    )
    save_arrays(tmp_path / "pack", tree)
    back = load_arrays(tmp_path / "pack", jax.tree.map(lambda leaf: np.ones_like(leaf), tree))
    structure: Any = jax.tree.structure(back)  # jaxlib is without types
    assert structure == jax.tree.structure(tree)
    for one, other in zip(jax.tree.leaves(back), jax.tree.leaves(tree), strict=True):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


@pytest.mark.parametrize(
    "like",
    [
        (np.zeros((3, 2)), np.zeros(5, np.int32)),
        (np.zeros((2, 3), np.float32), np.zeros(5, np.int32)),
        (np.zeros((2, 3)), np.zeros(4, np.int32)),
    ],
    ids=["shape", "dtype", "length"],
)
def test_arrays_of_another_pack_are_refused(tmp_path, like):
    save_arrays(tmp_path / "pack", (np.ones((2, 3)), np.arange(5, dtype=np.int32)))
    with pytest.raises(UserError, match="another shape") as caught:
        load_arrays(tmp_path / "pack", like)
    assert_one_sentence(str(caught.value))


def test_removing_takes_whole_folders_and_minds_no_absent_ones(tmp_path):
    save_arrays(tmp_path / "pack", (np.ones(2),))
    save_arrays(tmp_path / "other", (np.ones(2),))
    checkpoints.remove([tmp_path / "pack", tmp_path / "never was"])
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
