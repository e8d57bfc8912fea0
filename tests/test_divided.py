"""One network over several devices: the same network as on one, and no traffic but sums. Simulated, in a process."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, re, sys
import jax, numpy as np
from lawjax import TrainingConfig, data, keys, memorize
from lawjax.train import pack, training
from lawjax.train.slots import PackShape, empty

dtype, batch_norm, batch_size = sys.argv[1], sys.argv[2] == "True", int(sys.argv[3]) or None
config = TrainingConfig(step_limit=60, epsilon=1e-9, dtype=dtype, batch_norm=batch_norm, batch_size=batch_size)
dataset, key = data.gaussian(jax.random.key(0), 48, 20), jax.random.key(1)
devices = jax.devices()
assert len(devices) == 8
alone, = memorize(dataset, 100, key, config)
apart, = memorize(dataset, 100, key, config, devices=devices)
two = memorize(dataset, [30, 34], key, config, devices=devices[:4])
pair = memorize(dataset, [30, 34], key, config)

with training.numerics(config):
    shape = PackShape(1, 48, 20, 104, 1)
    slots = pack.fill(empty(shape, config), 0, dataset, (100,), np.zeros(2, np.uint32), config)
    slots = pack.divided(slots, config, devices)
    assert {shard.data.shape for shard in slots.params["hidden"]["kernel"].addressable_shards} == {(1, 20, 13)}
    text = pack._advance.lower(slots, np.int32(3), config).compile().as_text()
    later = pack.advance(slots, np.int32(3), config)
    assert {shard.data.shape for shard in later.params["hidden"]["kernel"].addressable_shards} == {(1, 20, 13)}
traffic = sorted(set(re.findall(r"(all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)", text)))
def off(one, other):
    pairs = [(np.asarray(getattr(one.network, f)), np.asarray(getattr(other.network, f))) for f in "Wba"]
    return max(float(np.abs(left - right).max()) for left, right in pairs)
print(json.dumps({
    "traffic": traffic, "steps": [alone.steps, apart.steps], "off": off(alone, apart),
    "pair": max(map(off, two, pair)), "size": float(np.abs(alone.network.W).max()),
}))
"""


@pytest.mark.parametrize(
    ("dtype", "batch_norm", "batch_size"), [("float64", True, 0), ("float32", True, 0), ("float64", False, 16)]
)
def test_a_network_over_eight_devices_is_the_network_on_one(dtype, batch_norm, batch_size):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    command = [sys.executable, "-c", PROGRAM, dtype, str(batch_norm), str(batch_size)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["traffic"] == ["all-reduce"]
    assert found["steps"][0] == found["steps"][1]
    rounding = 1e-11 if dtype == "float64" else 1e-3
    assert max(found["off"], found["pair"]) <= rounding * found["size"]
