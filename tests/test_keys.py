"""Every identity and purpose has a key of its own, which follows from it alone; rows do not depend on their number."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lawjax import TrainingConfig, UserError, data, keys
from lawjax.train.initial import initial_weights
from lawjax.train.training import numerics


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
            np.testing.assert_allclose(rows[i], alone, rtol=4 * float(jnp.finfo(dtype).eps))
        assert len({row.tobytes() for row in rows}) == len(rows)


def test_rows_do_not_depend_on_their_number():
    key = keys.weights_key(10, 5, 0)
    most = np.concatenate(keys.normal_blocks(key, 600, 5, "float32"))
    for rows in (1, 2, 255, 256, 257, 511, 512, 600):
        blocks = keys.normal_blocks(key, rows, 5, "float32")
        assert rows <= sum(len(block) for block in blocks) < rows + 256
        np.testing.assert_array_equal(np.concatenate(blocks)[:rows], most[:rows])


# What an identity draws, whatever JAX was told: the golden values are those of a process without any JAX_ variable.

GOLDEN = {
    "keys": [[1640365792, 3885804684], [397934797, 2127677585], [1847308332, 3725759064]],
    "gaussian": ("++-++++-+---", [-0.1751711070537567, -0.8363625407218933, 0.9669765830039978, 0.6065793037414551]),
    "sphere": ("++-++++-+---", [-0.12285015732049942, -0.5865537524223328, 0.6781553626060486, 0.42540326714515686]),
    "low_rank": ("++-++++-+---", [0.7707906365394592, 0.45205873250961304, -0.602974534034729, 0.5461873412132263]),
    "clustered": ("++-++++-+---", [0.24479299783706665, -0.3879929184913635, 0.06955431401729584, 0.4475834369659424]),
    "float64": ("+-+-+--+---+", [0.5961805548185468, -0.03740159946059171, 0.2591905576145127, 0.33678377588609393]),
    "weights": [0.523680567741394, -0.20091864466667175, -0.7601062655448914, 0.5947607755661011, 0.033969707787036896],
    "weights64": [-0.05475610031083144, -0.5165514613434371, 0.21304202663277205, 0.2723104816291537, -0.0865626892384],
}


def drawn():
    """What identity (12, 4, 5, 3) draws: words of its keys, data sets, initial weights."""
    key, of_weights = keys.data_key(12, 4, 3), keys.weights_key(12, 4, 3)
    sets = {
        "gaussian": data.gaussian(key, 12, 4),
        "sphere": data.sphere(key, 12, 4),
        "low_rank": data.low_rank(key, 12, 4, 2),
        "clustered": data.clustered(key, 12, 4, 3),
        "float64": data.gaussian(key, 12, 4, np.float64),
    }
    sets = {name: data.Dataset(*map(np.asarray, one)) for name, one in sets.items()}
    found: dict[str, Any] = {
        name: ("".join("-+"[int(y > 0)] for y in one.y), one.x[0].tolist()) for name, one in sets.items()
    }
    found["keys"] = [list(words(one)) for one in (key, of_weights, keys.probe_key(12, 4, 5, 3))]
    for name, config in (("weights", TrainingConfig()), ("weights64", TrainingConfig(dtype="float64"))):
        with numerics(config):
            found[name] = initial_weights(of_weights, 4, 5, config)[0][0].tolist()
    return found


def assert_golden(found):
    assert found.keys() == GOLDEN.keys()
    for name, value in GOLDEN.items():
        if name == "keys":
            assert found[name] == value
        elif name.startswith("weights"):
            np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)
        else:
            assert found[name][0] == value[0], name
            np.testing.assert_allclose(found[name][1], value[1], rtol=1e-5, err_msg=name)


def test_what_is_drawn_is_what_has_always_been_drawn():
    assert_golden(drawn())


@pytest.mark.parametrize("x64", [False, True])
def test_what_is_drawn_does_not_hang_on_the_settings_around_it(x64):
    usual = drawn()
    with jax.enable_x64(x64), jax.threefry_partitionable(False), jax.default_prng_impl("unsafe_rbg"):
        found = drawn()
    assert found == usual
    with jax.enable_x64(True):
        doubles = data.gaussian(keys.data_key(12, 4, 3), 12, 4, np.float64)
    outside = data.gaussian(keys.data_key(12, 4, 3), 12, 4, np.float64)
    assert outside.x.dtype == doubles.x.dtype == np.float64
    np.testing.assert_array_equal(np.asarray(outside.x), np.asarray(doubles.x))


FLAGS = {
    "JAX_ENABLE_X64": "1",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_LEGACY_PRNG_KEY": "error",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
}
WHOLE = """
import dataclasses, json, sys
from pathlib import Path
import numpy as np
from lawjax.cli.construct import Construct
from lawjax.train.config import TrainingConfig
from lawjax.sweep.grid import Grid
from lawjax.sweep import BRACKETS, ProbeConfig
from lawjax.sweep import SweepConfig, run
from test_keys import drawn

folder = Path(sys.argv[1])
Construct("caps", folder / "f.npz", n=12, d=40, seed=3, data=folder / "d.npz")()
training, probes = TrainingConfig(step_limit=30, batch_size=8), ProbeConfig(20, 2, 3)
table = run(SweepConfig(Grid((20,), (5,), (3,)), training, probes), folder / "run", progress=False)
row, bounds = table.drop("seconds", *BRACKETS).row(0), table.select(BRACKETS).row(0)
built = [np.load(folder / name)[array].tolist() for name, array in (("f.npz", "a"), ("d.npz", "x"), ("d.npz", "y"))]
print(json.dumps([drawn(), built, row, bounds]), file=sys.stderr)
"""


def whole(folder, **flags):
    folder.mkdir()
    plain = {name: value for name, value in os.environ.items() if not name.startswith("JAX_") or "CACHE" in name}
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", WHOLE, str(folder)],
        capture_output=True,
        text=True,
        env={**plain, **flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": f"{here}:{os.environ.get('PYTHONPATH', '')}"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.splitlines()[-1])


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return whole(tmp_path_factory.mktemp("usual") / "run")


def assert_same(found, usual):
    """The same bits; of brackets the last ones hang on where their search for weights started."""
    assert found[:-1] == usual[:-1]
    np.testing.assert_allclose(found[-1], usual[-1], rtol=1e-9)


def test_data_weights_constructions_and_sweeps_follow_from_the_identity_under_all_flags_at_once(tmp_path, usual):
    assert_golden(usual[0])
    assert_same(whole(tmp_path / "run", **FLAGS), usual)


@pytest.mark.slow
@pytest.mark.parametrize("flag", FLAGS)
def test_data_weights_constructions_and_sweeps_follow_from_the_identity_under_each_flag(tmp_path, usual, flag):
    assert_same(whole(tmp_path / "run", **{flag: FLAGS[flag]}), usual)


@pytest.mark.parametrize("seed", [-1, 2**32, 10**20, 1.5, "3", None])
@pytest.mark.parametrize("make", [keys.data_key, keys.weights_key, lambda n, d, seed: keys.probe_key(n, d, 7, seed)])
def test_a_seed_that_would_be_another_is_refused(make, seed):
    """2^32 was 0, and -1 was 2^32 - 1: the words of a key hold 32 bits."""
    with pytest.raises(UserError, match="seed must be a whole number from 0 to 4294967295, not"):
        make(10, 5, seed)


def test_seeds_are_those_of_jax():
    for seed in (0, 3, 2**31, 2**32 - 1):
        with jax.enable_x64(True):
            expected = words(jax.random.key(seed, impl=keys.GENERATOR))
        assert words(keys.from_seed(seed)) == expected == (0, seed)
    assert words(keys.data_key(10, 5, np.int64(3))) == words(keys.data_key(10, 5, 3))


def test_sizes_beyond_a_word_are_refused_by_name():
    for sizes, name in (((2**32, 5, 0), "n"), ((10, 10**20, 0), "d"), ((-1, 5, 0), "n")):
        with pytest.raises(UserError, match=f"{name} must be a whole number"):
            keys.data_key(*sizes)
    with pytest.raises(UserError, match="k must be a whole number"):
        keys.probe_key(10, 5, 2**32, 0)
