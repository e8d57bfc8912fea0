"""Sweeps on Ray clusters of several nodes, simulated on this machine: the same table, also when nodes are lost."""

import dataclasses
import sys
import threading

import numpy as np
import pytest
from polars.testing import assert_frame_equal
from small_sweep import CONFIG, STUCK, assert_asked, assert_one_sentence

from lawjax import UserError
from lawjax.sweep import Ray, run
from lawjax.sweep.devices import CPU
from lawjax.sweep.store import Store

ray = pytest.importorskip("ray")
# Ray forks where it starts processes, which JAX warns of; what is started is another program.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*os.fork:RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
FLOAT64 = dataclasses.replace(
    CONFIG,
    training=dataclasses.replace(CONFIG.training, dtype="float64"),
    probes=dataclasses.replace(CONFIG.probes, brackets=False),
)
ON = dataclasses.replace(CPU, compile_time=0.0)  # so that there are several units


@pytest.fixture
def cluster():
    """A head without work, and functions to add and lose nodes."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    environment = {"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}
    ray.init(
        made.address,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": environment},
    )
    yield made
    ray.shutdown()
    made.shutdown()


def assert_same(found, expected, config):
    """Keys and how training ended are the same, numbers to 1e-12."""
    assert_asked(found, config)
    columns = [name for name in expected.columns if name not in ("seconds", "device")]
    assert_frame_equal(found.select(columns), expected.select(columns), rel_tol=1e-12, abs_tol=0.0)


def test_a_cluster_of_two_nodes_makes_the_table_of_this_machine(cluster, tmp_path):
    expected = run(FLOAT64, tmp_path / "threads", progress=False, on=ON)
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    found = run(FLOAT64, tmp_path / "ray", progress=False, on=ON, executor=Ray(address=cluster.address))
    assert_same(found, expected, FLOAT64)
    for name in FLOAT64.grid.networks():
        one, other = (Store(tmp_path / folder).network(name) for folder in ("ray", "threads"))
        np.testing.assert_allclose(one.W, other.W, rtol=1e-9, atol=1e-12)
    again = run(FLOAT64, tmp_path / "ray", progress=False, on=ON, executor=Ray(address=cluster.address))
    assert_frame_equal(again, found, check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [1, 4])
def test_any_number_of_nodes_makes_the_same_table(cluster, tmp_path, nodes):
    expected = run(FLOAT64, tmp_path / "threads", progress=False, on=ON)
    for _ in range(nodes):
        cluster.add_node(num_cpus=1)
    found = run(FLOAT64, tmp_path / "ray", progress=False, on=ON, executor=Ray(address=cluster.address))
    assert_same(found, expected, FLOAT64)


@pytest.mark.slow
def test_twenty_nodes_are_lost_and_the_table_is_the_same(cluster, tmp_path):
    """One is killed every few seconds, with all its processes, and another one takes its place."""
    config = dataclasses.replace(
        STUCK,
        grid=dataclasses.replace(STUCK.grid, seeds=6),
        training=dataclasses.replace(STUCK.training, dtype="float64"),
    )
    on = dataclasses.replace(CPU, compile_time=0.0, unit_time=1.0, max_chunk=200, work_per_commit=0.0)
    expected = run(config, tmp_path / "threads", progress=False, on=on)
    nodes, ended = [cluster.add_node(num_cpus=1) for _ in range(2)], threading.Event()
    lost: list = []

    def lose():
        random = np.random.default_rng(0)
        while len(lost) < 20 and not ended.wait(random.uniform(3.0, 9.0)):
            node = nodes.pop(0)
            nodes.append(cluster.add_node(num_cpus=1))
            cluster.remove_node(node, allow_graceful=False)
            lost.append(node)

    killer = threading.Thread(target=lose)
    killer.start()
    try:
        executor = Ray(address=cluster.address, retries=100)
        found = run(config, tmp_path / "ray", checkpoint_seconds=0.5, progress=False, on=on, executor=executor)
    finally:
        ended.set()
        killer.join()
    print(f"{len(lost)} nodes were lost")
    assert len(lost) >= 5
    assert_same(found, expected, config)


def test_without_a_cluster_or_ray_there_is_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no Ray cluster at 127.0.0.1:1") as caught:
        run(CONFIG, tmp_path, progress=False, executor=Ray(address="127.0.0.1:1"))
    assert_one_sentence(str(caught.value))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match="Ray is not installed"):
        run(CONFIG, tmp_path, progress=False, executor=Ray())


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"num_cpus": "x"}, "num_cpus"),
        ({"num_gpus": -1}, "num_gpus"),
        ({"num_cpus": 0}, "must ask for something"),
        ({"resources": {"TPU": "four"}}, "TPU"),
        ({"address": 3}, "address"),
        ({"retries": -1}, "retries"),
    ],
)
def test_what_no_task_can_ask_for_is_refused(wrong, match):
    with pytest.raises(UserError, match=match) as caught:
        Ray(**wrong)
    assert_one_sentence(str(caught.value))
