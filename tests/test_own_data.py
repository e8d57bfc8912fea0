"""Data models of one's own, and one's own data: drawn from identity, recorded, refused where they are others."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from polars.testing import assert_frame_equal
from small_sweep import CONFIG, assert_one_sentence, assert_same_tables

from lawjax import Dataset, UserError, data, keys, sweep
from lawjax.sweep import Grid, NetworkId, SweepConfig, Widths, run

PROBES = dataclasses.replace(CONFIG.probes, points=20, brackets=False)
GRID = Grid((40,), (10, 20), (20, 40), seeds=2)


def clusters(key, n, d):
    return data.clustered(key, n, d, 4)


def own_sphere(key, n, d):
    return data.sphere(key, n, d)


def configured(data_model, grid=GRID, **changes):
    return SweepConfig(grid, dataclasses.replace(CONFIG.training, **changes), PROBES, data_model)


def points(n=30, d=12, seed=0, dtype=np.float64):
    return Dataset(*map(np.asarray, data.gaussian(jax.random.key(seed), n, d, dtype)))


@pytest.fixture(scope="module")
def clustered(tmp_path_factory):
    root = tmp_path_factory.mktemp("clusters") / "run"
    return root, run(configured(clusters), root, progress=False)


def test_a_function_goes_where_a_name_goes(clustered):
    root, table = clustered
    assert table["data_model"].unique().to_list() == ["test_own_data.clusters"]
    assert len(table) == 8 and table["fitted"].all()
    for name in configured(clusters).grid.networks():
        x, y = data.clustered(keys.data_key(name.n, name.d, name.seed), name.n, name.d, 4)
        f = sweep.Store(root).network(name)
        [row] = table.filter(**name._asdict()).iter_rows(named=True)
        assert np.mean((f(np.asarray(x, np.float64)) - np.asarray(y)) ** 2) == pytest.approx(
            row["loss_folded"], rel=1e-5
        )


def test_the_same_model_by_name_and_by_function_is_the_same_sweep(tmp_path):
    by_name = run(configured("sphere"), tmp_path / "name", progress=False)
    own = run(configured(own_sphere), tmp_path / "function", progress=False)
    assert_same_tables(by_name.drop("data_model"), own.drop("data_model"))
    assert configured(data.sphere).data_model == "sphere"  # it has a name
    assert_frame_equal(run(configured(data.sphere), tmp_path / "name", progress=False), by_name, check_exact=True)


def test_a_function_with_arguments_is_recorded_with_them(tmp_path):
    model = functools.partial(data.low_rank, rank=5)
    table = run(configured(model, Grid((40,), (20,), (40,))), tmp_path, progress=False)
    assert table["data_model"].to_list() == ["lawjax.data.low_rank(rank=5)"]
    x = sweep.dataset(40, 20, 0, configured(model)).x
    assert np.linalg.matrix_rank(np.asarray(x, np.float64), tol=1e-4) == 5
    with pytest.raises(UserError, match=r"low_rank\(rank=5\) there, lawjax.data.low_rank\(rank=6\) here"):
        run(configured(functools.partial(data.low_rank, rank=6), Grid((40,), (20,), (40,))), tmp_path, progress=False)


@pytest.mark.parametrize("other", ["gaussian", own_sphere, functools.partial(clusters)])
def test_a_run_with_another_function_is_refused(clustered, other):
    root, table = clustered
    with pytest.raises(UserError, match="data_model is test_own_data.clusters there, ") as caught:
        run(configured(other), root, progress=False)
    assert_one_sentence(str(caught.value))
    assert_frame_equal(sweep.Store(root).table(), table, check_exact=True)


def test_what_rebuilds_the_data_asks_for_the_function_again(clustered, tmp_path):
    root, table = clustered
    with pytest.raises(
        UserError, match="made with data of one's own .test_own_data.clusters.*pass that function"
    ) as told:
        sweep.stored_config(root)
    assert_one_sentence(str(told.value))
    with pytest.raises(UserError, match="test_own_data.clusters.* once more, not test_own_data.own_sphere.$"):
        sweep.stored_config(root, own_sphere)
    config = sweep.stored_config(root, own_sphere, clusters)
    assert config == configured(clusters)
    name = NetworkId(40, 20, 40, 1)
    [row] = table.filter(**name._asdict()).iter_rows(named=True)
    alone = sweep.retrain(name, config)
    assert (alone.status.label, alone.steps) == (row["status"], row["steps"])
    assert "8 of 8" in sweep.describe_run(root) and "clusters" in sweep.describe_network(root, name)  # need no data
    run(configured(clusters, Grid((40,), (20,), (20,))), tmp_path, progress=False)
    assert sweep.bracket_run(tmp_path, progress=False)["upper_space"].is_finite().all()


def test_a_configuration_of_names_alone_comes_back_from_its_directory(tmp_path):
    config = configured("sphere", optimizer="sgd", optimizer_options=(("momentum", 0.9),), step_limit=5)
    run(config, tmp_path, progress=False)
    assert sweep.stored_config(tmp_path) == config


# One's own data


def test_ones_own_data_give_n_and_d(tmp_path):
    own = points()
    config = configured(own, Widths((5, 30, 60), seeds=2))
    table = run(config, tmp_path, progress=False)
    assert table.select("n", "d", "k", "seed").rows() == [(30, 12, k, seed) for k in (5, 30, 60) for seed in (0, 1)]
    assert table.filter(k=60)["fitted"].all()  # wider than n: a grid would leave it out
    [recorded] = table["data_model"].unique()
    assert recorded.startswith("30 x 12 points, sha256 ")
    for name in config.grid.networks():
        f = sweep.Store(tmp_path).network(name)
        [row] = table.filter(**name._asdict()).iter_rows(named=True)
        assert np.mean((f(np.asarray(own.x)) - own.y) ** 2) == pytest.approx(row["loss_folded"], rel=1e-6)
    first, second = (sweep.Store(tmp_path).network(NetworkId(30, 12, 30, seed)) for seed in (0, 1))
    assert not np.array_equal(first.W, second.W)  # seeds are of the weights
    again = run(configured((own.x, own.y), Widths((5, 30, 60), seeds=2)), tmp_path, progress=False)
    assert_frame_equal(again, table, check_exact=True)
    with pytest.raises(UserError, match="pass that function or data"):
        sweep.stored_config(tmp_path)
    assert sweep.stored_config(tmp_path, own) == config
    changed = own._replace(x=np.asarray(own.x) * (1 + 1e-15))
    for other in (changed, own._replace(y=-own.y), own._replace(x=np.asarray(own.x, np.float32))):
        with pytest.raises(UserError, match="data_model is 30 x 12 points, sha256 .* there, 30 x 12 points") as caught:
            run(configured(other, Widths((5, 30, 60), seeds=2)), tmp_path, progress=False)
        assert_one_sentence(str(caught.value))


def test_ones_own_data_are_copied():
    x, y = (np.array(part) for part in points())
    config = configured((x, y), Widths((5,)))
    x[:] = 0.0
    assert sweep.dataset(30, 12, 0, config).x.any()


def test_a_grid_of_the_datas_own_size_is_one_too():
    assert configured(points(), Grid((30,), (12,), (5,))).grid.networks() == [NetworkId(30, 12, 5, 0)]


# Mistakes


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: configured("cube"), "data_model must be one of gaussian, sphere, a function .* not 'cube'"),
        (lambda: configured(3), "data_model must be one of"),
        (lambda: configured(lambda key, n, d: None), "keeps a data model by its name: write it as a function"),
        (lambda: configured(functools.partial(lambda key, n, d: None)), "keeps a data model by its name"),
        (lambda: configured(points()), "has n = 30 and d = 12, but the grid asks for n = 40 and d = 10; pass Widths"),
        (lambda: configured((np.ones((3, 2)), np.zeros(3))), r"Labels \(y\) must be -1 or \+1"),
        (lambda: configured((np.ones((3, 2)),)), "A data set is a lawjax.Dataset, or a pair"),
        (lambda: configured("gaussian", Widths((3,))), "pass that as the sweep's data_model"),
        (lambda: configured(points(), Widths((3,)), batch_size=31), "batch_size is 31, but the data set has 30 points"),
        (lambda: Widths(()), "The grid's k must be"),
        (lambda: Widths((3,), 0), "The grid's seeds must be"),
    ],
)
def test_what_is_no_data_model_is_refused_at_once(make, match):
    with pytest.raises(UserError, match=match) as caught:
        make()
    assert_one_sentence(str(caught.value))


def raises(key, n, d):
    raise RuntimeError("no network\nno data")


def no_data(key, n, d):
    return np.ones((n, d))


def too_many(key, n, d):
    return data.gaussian(key, n + 1, d)


def twins(key, n, d):
    return Dataset(np.ones((n, d)), np.resize([1.0, -1.0], n))


def unkeyed(key, n, d, rng=np.random.default_rng(0)):  # noqa: B008
    return Dataset(rng.normal(size=(n, d)), np.resize([1.0, -1.0], n))


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (raises, "data model test_own_data.raises with n = 40 and d = 10 failed .RuntimeError: no network."),
        (no_data, "test_own_data.no_data with n = 40 and d = 10 gives no usable data set: A data set is"),
        (too_many, r"too_many with n = 40 and d = 10 gives points of shape \(41, 10\), not \(40, 10\)"),
        (twins, "twins .* gives no usable data set: Points 0 and 1 .* carry opposite labels, but are equal"),
        (unkeyed, "draws other data from the same key"),
        (twins(None, 40, 10), "Points 0 and 1 .* carry opposite labels"),
    ],
)
def test_mistakes_are_found_before_anything_is_trained(tmp_path, model, match):
    grid = Grid((40,), (10,), (20,)) if isinstance(model, Dataset) else GRID
    with pytest.raises(UserError, match=match) as caught:
        run(configured(model, grid), tmp_path / "run", progress=False)
    assert_one_sentence(str(caught.value))
    assert not (tmp_path / "run").exists()


def test_a_function_that_fails_later_leaves_what_was_stored(tmp_path):
    right = run(configured(clusters), tmp_path / "right", progress=False)

    wrong = {20}

    def fails_at_20(key, n, d):
        if d in wrong:
            raise ValueError("not yet")
        return clusters(key, n, d)

    with pytest.raises(UserError, match="fails_at_20 with n = 40 and d = 20 failed .ValueError: not yet"):
        run(configured(fails_at_20), tmp_path / "run", progress=False)
    wrong.clear()
    table = run(configured(fails_at_20), tmp_path / "run", progress=False)
    assert_same_tables(table.drop("data_model"), right.drop("data_model"))
