"""Grids: which networks they ask for, and what is no grid or no configuration."""

import dataclasses
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_sweep import CONFIG, PROBES, TRAINING, assert_one_sentence

from lawjax import UserError
from lawjax.sweep import (
    SweepConfig,
    run,
)
from lawjax.sweep.grid import WIDTH_RULES, CapacityGrid, Grid, WidthRuleGrid, grid_of

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=4).map(tuple)


# Grids


@given(n=SIZES, d=SIZES, k=SIZES, seeds=st.integers(1, 3))
def test_a_grid_is_every_combination_with_d_and_k_at_most_n_once(n, d, k, seeds):
    networks = Grid(n, d, k, seeds).networks()
    asked = {c for c in itertools.product(n, d, k, range(seeds)) if c[1] <= c[0] and c[2] <= c[0]}
    assert networks == sorted(asked)


@given(n=st.integers(1, 500), d=SIZES, seeds=st.integers(1, 3))
def test_the_width_rules_are_k_equal_n_and_k_equal_10n_over_d(n, d, seeds):
    networks = WidthRuleGrid(n, d, seeds).networks()
    assert networks == sorted(set(networks))
    for dimension, seed in itertools.product(set(d), range(seeds)):
        widths = {network.k for network in networks if (network.d, network.seed) == (dimension, seed)}
        assert n in widths and len(widths) <= 2
        [other] = widths - {n} or {n}
        assert abs(other - 10 * n / dimension) <= 0.5 or (other == 1 and 10 * n < dimension)
        assert widths == {rule(n, dimension) for rule in WIDTH_RULES.values()}


@pytest.mark.parametrize(
    "grid",
    [Grid((40, 60), (20,), (2, 20), 3), WidthRuleGrid(60, (10, 20), 2), CapacityGrid((20,), (2, 8), (0.5, 1.0), 2)],
)
def test_a_grid_is_known_by_the_fields_it_is_stored_with(grid):
    stored = json.loads(json.dumps(dataclasses.asdict(grid)))
    assert grid_of(stored) == grid
    with pytest.raises(UserError, match="No grid has the fields"):
        grid_of({**stored, "epochs": 3})


@pytest.mark.parametrize("many", [2**31, 10**20])
def test_sizes_of_which_there_can_be_none_are_refused(many):
    for changes in ({"n": (many,)}, {"d": (3, many)}, {"k": (many,)}, {"seeds": many}):
        with pytest.raises(UserError, match=f"The grid's {next(iter(changes))} must be a whole number from 1 to"):
            Grid(**{"n": (40,), "d": (20,), "k": (2,), **changes})


def test_the_width_rules_known_values():
    assert WidthRuleGrid(200, (10, 40, 5000)).networks() == [
        (200, 10, 200, 0),  # 10n/d = n: one network stands for both rules
        (200, 40, 50, 0),
        (200, 40, 200, 0),
        (200, 5000, 1, 0),  # 10n/d = 0.4: a network has at least one neuron
        (200, 5000, 200, 0),
    ]


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Grid((), (1,), (1,)), "n"),
        (lambda: Grid((10, 0), (1,), (1,)), "n"),
        (lambda: Grid((10,), (-1,), (1,)), "d"),
        (lambda: Grid((10,), (1,), ()), "k"),
        (lambda: Grid((10,), (1,), (1,), seeds=0), "seeds"),
        (lambda: WidthRuleGrid(0, (1,)), "n"),
        (lambda: WidthRuleGrid(10, ()), "d"),
        (lambda: WidthRuleGrid(10, (1,), seeds=-1), "seeds"),
    ],
)
def test_a_grid_with_a_size_below_one_is_refused(make, name):
    with pytest.raises(UserError, match=f"grid's {name} ") as caught:
        make()
    assert_one_sentence(str(caught.value))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: SweepConfig(CONFIG.grid, data_model="cube"), "data_model"),
        (lambda: SweepConfig(CONFIG.grid, dataclasses.replace(TRAINING, batch_size=41)), "batch_size"),
        (lambda: SweepConfig(WidthRuleGrid(40, (20,)), dataclasses.replace(TRAINING, batch_size=41)), "batch_size"),
        (lambda: dataclasses.replace(PROBES, points=-1), "points"),
        (lambda: dataclasses.replace(PROBES, ascent_starts=0), "ascent_starts"),
        (lambda: dataclasses.replace(PROBES, ascent_steps=-1), "ascent_steps"),
    ],
)
def test_a_configuration_that_cannot_run_is_refused_before_anything_is_trained(make, name):
    with pytest.raises(UserError, match=name) as caught:
        make()
    assert_one_sentence(str(caught.value))


@pytest.mark.parametrize("shard", [(0, 1), (3, 2), (1, 0), (-1, 2)])
def test_a_shard_that_does_not_exist_is_refused(tmp_path, shard):
    with pytest.raises(UserError, match="shard") as caught:
        run(CONFIG, tmp_path / "out", shard, progress=False)
    assert_one_sentence(str(caught.value))
    assert not (tmp_path / "out").exists()
