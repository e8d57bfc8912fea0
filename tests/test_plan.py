"""Plans: every network once, in a shape that holds it, whatever the grid, the device and the order of asking."""

import dataclasses
import itertools
import math
import random
import runpy
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawjax.sweep.devices import StepRule, device, step_flops
from lawjax.sweep.grid import Grid, NetworkId, WidthRuleGrid
from lawjax.sweep.packing import merge, packs_of, split_widths
from lawjax.sweep.plan import choice, makespan, plan
from lawjax.sweep.work import Job, WorkUnit
from lawjax.train.config import TrainingConfig
from lawjax.train.slots import PackShape

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
CONFIG = TrainingConfig(step_limit=3000)
PLATFORMS = ("cpu", "gpu")
DEVICES = {platform: device(platform) for platform in PLATFORMS}
SMALL = Grid((100, 200, 500), (50, 100, 200), (10, 20, 50, 100, 200), seeds=3).networks()

sizes = st.sampled_from([1, 2, 10, 37, 100, 128, 500, 2000])
identities = st.lists(st.builds(NetworkId, sizes, sizes, sizes, st.integers(0, 3)), min_size=1, max_size=20)


def shapes(units):
    """What is compiled: slots may differ in a shape's last unit."""
    return {unit.shape[1:] for unit in units}


def assert_holds(units, networks):
    """Every network once, and every job fits into a slot of its unit."""
    assert Counter(network for unit in units for network in unit.networks()) == Counter(set(networks))
    for unit in units:
        assert 1 <= unit.shape.slots <= len(unit.jobs)
        assert unit.chunk >= 1 and 0 < unit.cost < math.inf
        for job in unit.jobs:
            assert job.n <= unit.shape.n and job.d <= unit.shape.d
            assert len(job.widths) <= unit.shape.networks
            assert sum(job.widths) <= unit.shape.neurons


@pytest.mark.parametrize("platform", PLATFORMS)
@settings(max_examples=100)
@given(networks=identities, unit_time=st.sampled_from([0.0, 1.0, 30.0]))
def test_every_network_once_and_in_a_shape_that_holds_it(platform, networks, unit_time):
    on = dataclasses.replace(DEVICES[platform], unit_time=unit_time)
    assert_holds(plan(networks, CONFIG, on), networks)


@pytest.mark.parametrize("platform", PLATFORMS)
@settings(max_examples=100)
@given(networks=identities, seed=st.integers(0, 100))
def test_the_order_of_asking_does_not_matter(platform, networks, seed):
    shuffled = networks + networks[: seed % 3]  # asked for twice is asked for once
    random.Random(seed).shuffle(shuffled)
    assert plan(shuffled, CONFIG, DEVICES[platform]) == plan(networks, CONFIG, DEVICES[platform])


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_every_nth_unit_is_a_fair_share(platform, shards):
    """Units come largest first; dealt out in turn, two shares differ by no more than the largest unit."""
    units = plan(SMALL, CONFIG, dataclasses.replace(DEVICES[platform], unit_time=1.0))
    shares = [units[i::shards] for i in range(shards)]
    assert_holds([unit for share in shares for unit in share], SMALL)
    costs = [sum(unit.cost for unit in share) for share in shares]
    assert max(costs) - min(costs) <= units[0].cost * (1 + 1e-12)


@pytest.mark.parametrize("platform", PLATFORMS)
@settings(max_examples=100)
@given(networks=identities)
def test_units_have_names_of_their_own(platform, networks):
    on = dataclasses.replace(DEVICES[platform], unit_time=0.0)
    units = plan(networks, CONFIG, on)
    assert len({unit.name for unit in units}) == len(units)
    assert [unit.name for unit in plan(networks, CONFIG, on)] == [unit.name for unit in units]


def test_a_name_follows_the_work_and_its_order():
    one, two = Job(100, 50, 0, (10, 20)), Job(100, 50, 1, (10, 20))
    unit = WorkUnit(PackShape(2, 100, 50, 30, 2), (one, two), 7, 1.0)
    others = [
        unit._replace(jobs=(two, one)),
        unit._replace(jobs=(one,)),
        unit._replace(jobs=(one, two._replace(seed=2))),
        unit._replace(jobs=(one, two._replace(widths=(20, 10)))),
        unit._replace(chunk=8),
        *(unit._replace(shape=unit.shape._replace(**{field: 500})) for field in unit.shape._fields),
    ]
    assert len({each.name for each in (unit, *others)}) == 1 + len(others)
    assert unit._replace(cost=2.0).name == unit.name  # a prediction, not work


@pytest.mark.parametrize("platform", PLATFORMS)
@settings(max_examples=100)
@given(networks=identities)
def test_merging_lowers_the_predicted_cost(platform, networks):
    on = DEVICES[platform]
    apart = packs_of(set(networks), CONFIG, on)
    merged = merge(apart, on)
    costs = [sum(pack.cost(on) for pack in packs) for packs in (apart, merged)]
    assert costs[1] <= costs[0] * (1 + 1e-12)
    assert (costs[1] < costs[0]) == (len(merged) < len(apart))
    # And where it stops, no two shapes are better merged.
    for one, other in itertools.combinations(merged, 2):
        assert one.merged(other).cost(on) >= (one.cost(on) + other.cost(on)) * (1 - 1e-12)


@pytest.mark.parametrize("platform", PLATFORMS)
@settings(max_examples=100)
@given(
    widths=st.lists(st.sampled_from([5, 10, 50, 200, 1000, 3000]), min_size=1, max_size=6, unique=True).map(sorted),
    n=st.sampled_from([100, 1000, 5000]),
    d=st.sampled_from([10, 500]),
    copies=st.integers(1, 5),
)
def test_widths_are_split_in_the_best_way(platform, widths, n, d, copies):
    on = DEVICES[platform]
    steps = [on.steps.predicted(n, d, k, CONFIG) for k in widths]

    def cost(split):
        """Each part is compiled once and runs as long as its slowest network, in as many rounds as slots allow."""
        total = 0.0
        for part in split:
            neurons = 16 if sum(part) <= 16 else 32 * math.ceil(sum(part) / 32)
            shape = PackShape(1, n, d, neurons, len(part))
            rounds = copies / max(1.0, min(copies, on.saturating / step_flops(shape)))
            slowest = max(steps[widths.index(k)] for k in part)
            total += on.compile_time + rounds * slowest * on.step_time(shape)
        return total

    def splits():
        for cuts in itertools.product((False, True), repeat=len(widths) - 1):
            ends = [i + 1 for i, cut in enumerate(cuts) if cut] + [len(widths)]
            yield [widths[i:j] for i, j in zip([0, *ends], ends, strict=False)]

    found = split_widths(widths, steps, n, d, copies, on)
    assert sum(found, []) == widths
    assert cost(found) <= min(map(cost, splits())) * (1 + 1e-9)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_slots_stay_within_the_memory(platform):
    units = plan(WidthRuleGrid(10_000, (10, 100, 1000, 5000), seeds=5).networks(), CONFIG, DEVICES[platform])
    for unit in units:
        slots, n, d, neurons, _ = unit.shape
        # Points and their second moment; parameters, gradients and Adam's two moments twice; activations and theirs.
        words = n * d + d * d + 8 * d * neurons + 6 * n * neurons
        assert slots == 1 or 4 * words * slots <= DEVICES[platform].memory


def test_units_are_split_after_a_time():
    """Of one shape: each piece but the last has just passed the time, none is cut before it."""
    networks = Grid((500,), (100,), (100,), seeds=40).networks()
    whole = plan(networks, CONFIG, dataclasses.replace(DEVICES["cpu"], unit_time=math.inf))
    parts = plan(networks, CONFIG, dataclasses.replace(DEVICES["cpu"], unit_time=whole[0].cost / 8))
    assert len(whole) == 1 and len(parts) in (7, 8)
    assert sum(part.cost for part in parts) == pytest.approx(whole[0].cost)
    assert_holds(parts, networks)


@settings(max_examples=60)
@given(networks=identities, devices=st.integers(1, 5), compile_time=st.sampled_from([0.0, 1.0, 100.0]))
def test_devices_that_choose_for_themselves_are_done_when_predicted(networks, devices, compile_time):
    on = dataclasses.replace(DEVICES["gpu"], compile_time=compile_time)
    units = plan(networks, CONFIG, on, devices)
    assert_holds(units, networks)
    left, clocks = list(units), [0.0] * devices
    compiled: list[set] = [set() for _ in range(devices)]
    while left:
        device = clocks.index(min(clocks))
        unit = left.pop(choice(left, compiled[device], set().union(*compiled)))
        clocks[device] += unit.cost + compile_time * (unit.shape not in compiled[device])
        compiled[device].add(unit.shape)
    assert makespan(units, on, devices) == pytest.approx(max(clocks))
    alone = plan(networks, CONFIG, on)
    assert makespan(units, on, devices) <= makespan(alone, on, devices) * (1 + 1e-12)


def test_the_papers_second_preset_is_shared_by_eight():
    """Its dearest networks go to devices of their own: compiling one shape and an even share are most of the time."""
    grid = runpy.run_path(str(EXPERIMENTS / "experiment2.py"))["PRESETS"]["paper"].grid
    units = plan(grid.networks(), CONFIG, DEVICES["gpu"], 8)
    share = sum(unit.cost for unit in units) / 8 + DEVICES["gpu"].compile_time
    assert makespan(units, DEVICES["gpu"], 8) <= 1.3 * share


def test_more_steps_are_predicted_for_harder_fits():
    few_steps = TrainingConfig(step_limit=100_000)
    steps = [StepRule().predicted(1000, d, 100, few_steps) for d in (500, 100, 50)]
    assert steps == sorted(steps) and steps[0] < steps[-1]
    assert StepRule().predicted(1000, 10, 10, few_steps) == few_steps.step_limit  # 100 parameters, 1000 points


def test_the_papers_first_grid_needs_far_fewer_shapes_on_a_gpu():
    """A compilation costs a GPU more and arithmetic less."""
    grid = runpy.run_path(str(EXPERIMENTS / "experiment1.py"))["PRESETS"]["paper"].grid
    networks = grid.networks()
    units = {platform: plan(networks, CONFIG, DEVICES[platform]) for platform in PLATFORMS}
    for platform in PLATFORMS:
        assert_holds(units[platform], networks)
    assert len(shapes(units["gpu"])) * 3 <= len(shapes(units["cpu"]))
