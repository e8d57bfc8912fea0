"""One sweep on 1, 2, 4 and 8 simulated devices: the same networks end in the same way, up to rounding."""

import os
import subprocess
import sys

import pytest
from polars.testing import assert_frame_equal
from small_sweep import CONFIG, assert_asked

from lawjax.sweep.store import Store

PROGRAM = """
import dataclasses, sys
sys.path.insert(0, sys.argv[3])
import jax
from small_sweep import CONFIG
from lawjax.sweep import run
from lawjax.sweep.devices import CPU
training = dataclasses.replace(CONFIG.training, dtype=sys.argv[2])
probes = dataclasses.replace(CONFIG.probes, brackets=False)
config = dataclasses.replace(CONFIG, training=training, probes=probes)
run(config, sys.argv[1], progress=False, on=dataclasses.replace(CPU, compile_time=0.01, workers=1))
print(len({unit for unit in jax.local_devices()}))
"""


def table_of(devices, dtype, root):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    command = [sys.executable, "-c", PROGRAM, str(root), dtype, os.path.dirname(__file__)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and done.stdout == f"{devices}\n", done.stderr
    return Store(root).table()


def assert_same(found, expected, tolerance):
    assert_asked(found, CONFIG)
    ended = ["n", "d", "k", "seed", "status", "fitted", "steps"]
    assert_frame_equal(found.select(ended), expected.select(ended))
    numbers = [name for name in expected.columns if expected.schema[name].is_float() and name != "seconds"]
    assert_frame_equal(found.select(numbers), expected.select(numbers), rel_tol=tolerance, abs_tol=0.0)


@pytest.mark.parametrize(
    "devices", [2, pytest.param(4, marks=pytest.mark.slow), pytest.param(8, marks=pytest.mark.slow)]
)
def test_in_float64_any_number_of_devices_makes_the_same_table(tmp_path, devices):
    expected = table_of(1, "float64", tmp_path / "one")
    assert_same(table_of(devices, "float64", tmp_path / "several"), expected, 1e-12)


@pytest.mark.slow
def test_in_float32_the_spread_between_devices_is_that_of_rounding(tmp_path):
    """Keys are the same; training of hundreds of steps may end a few steps earlier or later."""
    one = table_of(1, "float32", tmp_path / "one")
    eight = table_of(8, "float32", tmp_path / "eight")
    assert_asked(eight, CONFIG)
    assert one["status"].equals(eight["status"])
    ratios = (eight["proxy"] / one["proxy"]).to_numpy()
    others = (one["steps"] != eight["steps"]).sum()
    print(f"{others} of {len(one)} end at another step; ratios of proxies {ratios.min():.6f} to {ratios.max():.6f}")
    assert ((ratios > 0.98) & (ratios < 1.02)).all()
