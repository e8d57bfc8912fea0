"""The scripts in experiments/: run, plot apart, override any field, and one sentence for every bad value."""

import contextlib
import functools
import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import figure_tables
import numpy as np
import polars as pl
import pytest
from small_sweep import assert_one_sentence

from lawjax import TwoLayer, UserError, fits, plots, report, sweep
from lawjax.errors import Incomplete
from lawjax.lipschitz import path_product
from lawjax.sweep import brackets
from lawjax.sweep.grid import WIDTH_RULES
from lawjax.sweep.store import Store

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
FIGURES = {"experiment1": ["figure2"], "experiment2": ["figure1", "figure3"]}
RATIOS = {"experiment1": ["ratios"], "experiment2": []}  # drawn where there are brackets
SMALL = ("--points", "50", "--ascent-starts", "2", "--ascent-steps", "2", "--brackets", "False")
OVERRIDES = {
    "experiment1": ("--epsilon", "0.05", "--seeds", "1", "--n", "40", "60", "--d", "20", "--k", "20", "40"),
    "experiment2": ("--epsilon", "0.05", "--seeds", "1", "--n", "60", "--d", "20", "40", "60"),
}


# What each script's smallest run leaves: its figures, and columns of its table.
SMOKE = {
    "experiment1": (("figure2", "ratios"), ("n", "d", "k", "fitted", "proxy", "lower_space")),
    "experiment2": (("figure1", "figure3"), ("n", "d", "k", "fitted", "proxy", "lower_space")),
    "constructions": (
        ("constructions",),
        ("construction", "lower_sphere", "upper_sphere", "fit_error", "conditions"),
    ),
    "lower_bounds": (("lower_bounds",), ("kind", "theorem4", "theorem7", "least_norm")),
    "capacity": (("capacity",), ("n", "d", "k", "fitted")),
    "constant": (("constant",), ("fit", "ratio", "n", "d", "k", "fitted", "lower", "upper")),
    "depth": (("depth",), ("layers", "neurons", "fitted", "lower", "upper")),
    "frontier": (
        ("law", "flat", "factors", "constructions"),
        ("source", "fit", "lower", "upper", "floor", "uppers", "network", "path"),
    ),
}
JOB_BY_JOB = ("constructions", "lower_bounds", "depth", "frontier")
WITH_NETWORKS = ("constant", "depth", "frontier")


def run_script(name, *arguments):
    """An experiment's script with arguments, in this process: exit status, standard output, standard error."""
    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        patch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        patch.syspath_prepend(EXPERIMENTS)
        try:
            runpy.run_path(str(EXPERIMENTS / f"{name}.py"), run_name="__main__")
            status: int | str = 0
        except SystemExit as stop:
            status = stop.code or 0
    return status, out.getvalue(), errors.getvalue()


@pytest.fixture
def script(monkeypatch, tmp_path):
    """`run_script` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return run_script


def module(name):
    """The names of a script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXPERIMENTS)
        return runpy.run_path(str(EXPERIMENTS / f"{name}.py"))


def pictures(out):
    return {path.name: path.read_bytes() for path in (out / "figures").iterdir()}


def stored(out):
    return {path: path.stat().st_mtime_ns for path in (out / "results").iterdir()}


class Smoke(NamedTuple):
    """A finished smallest run, what it printed, and the parts that stood after its first half."""

    out: Path
    printed: str
    progress: str
    first: dict


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The smallest run of a script, stopped half way and gone on with; made once."""

    @functools.cache
    def finished(name):
        out = tmp_path_factory.mktemp(name) / "run"
        arguments = ("--preset", "smoke", "--out", out)
        status, printed, errors = run_script(name, *arguments, "--stage", "run", "--shard", "1/2")
        assert (status, printed) == (0, ""), errors
        for row in sorted((out / "results").glob("row-*"))[::2] if name in JOB_BY_JOB else ():
            row.unlink()  # as if it had been stopped
        assert re.search("networks|jobs", errors) and "Traceback" not in errors  # how far it is
        assert not list((out / "figures").iterdir()) and not (out / "summary.md").exists()
        first = stored(out)
        status, printed, errors = run_script(name, *arguments)
        assert status == 0, errors
        return Smoke(out, printed, errors, first)

    return finished


@pytest.mark.parametrize("name", SMOKE)
def test_the_smoke_preset_goes_on_from_its_half_and_leaves_table_figures_and_summary(name, smoke):
    figures, columns = SMOKE[name]
    out, printed, progress, first = smoke(name)
    assert first and first.items() <= stored(out).items()  # a small sweep is one piece of work
    assert name not in JOB_BY_JOB or len(first) < len(stored(out))
    assert "Traceback" not in progress
    assert name not in JOB_BY_JOB or re.search("of [0-9]+ jobs", progress)  # what was left
    assert (out / "summary.md").read_text(encoding="utf-8") in printed
    table = pl.read_parquet(out / "table.parquet")
    assert set(columns) <= set(table.columns) and len(table) >= 3
    drawn = pictures(out)
    assert set(drawn) == {f"{figure}.{kind}" for figure in figures for kind in ("png", "pdf")}
    assert all(drawn[f"{figure}.png"].startswith(b"\x89PNG") for figure in figures)
    if "fitted" in columns:
        assert table["fitted"].any()
    if name in FIGURES:
        grid = module(name)["PRESETS"]["smoke"].grid
        assert [tuple(row) for row in table.select("n", "d", "k", "seed").iter_rows()] == grid.networks()


@pytest.mark.parametrize("name", SMOKE)
def test_figures_and_summary_can_be_made_again_of_the_run_and_of_its_table_alone(name, smoke, tmp_path, script):
    out = smoke(name).out
    parts = stored(out)
    shutil.copytree(out, tmp_path / "run")
    kept = tmp_path / "kept"
    kept.mkdir()
    for file in ("config.json", "table.parquet"):
        shutil.copy(out / file, kept / file)
    shutil.rmtree(tmp_path / "run" / "figures")
    (tmp_path / "run" / "summary.md").unlink()
    for again in (tmp_path / "run", kept):
        status, printed, errors = script(name, "--preset", "smoke", "--out", again, "--stage", "plot")
        assert (status, errors) == (0, "")
        assert printed == (out / "summary.md").read_text(encoding="utf-8") + "\n"
        assert pictures(again) == pictures(out)
        assert pl.read_parquet(again / "table.parquet").equals(pl.read_parquet(out / "table.parquet"))
    assert stored(out) == parts


@pytest.mark.parametrize("name", SMOKE)
def test_a_run_of_other_sizes_in_the_same_directory_is_refused(name, smoke, script):
    seeds = "7" if name in JOB_BY_JOB else "1"  # a sweep may grow, and not shrink
    status, _, errors = script(name, "--preset", "smoke", "--out", smoke(name).out, "--seeds", seeds)
    assert status == 2
    assert_one_sentence(errors.strip().splitlines()[-1])


@pytest.mark.parametrize("name", WITH_NETWORKS)
def test_every_network_of_an_experiment_is_stored_with_its_proof(name, smoke, lawjax):
    out = smoke(name).out
    table = pl.read_parquet(out / "table.parquet")
    files = sorted((out / "networks").iterdir())
    assert len(files) == len(table) and all(path.suffix == ".npz" for path in files)
    status, printed, _ = lawjax("check", out)
    assert status == 0 and f"{len(table)} of {len(table)} networks" in printed
    if name == "frontier":
        paths = [path_product(TwoLayer.load(out / "networks" / f"{each}.npz")) for each in table["network"]]
        assert table["path"].to_list() == paths


# What is kept of a run


@pytest.mark.parametrize("name", WITH_NETWORKS)
def test_lighten_keeps_the_networks_of_the_medians_and_all_that_is_drawn(name, smoke, tmp_path, script, lawjax):
    out, light = smoke(name).out, tmp_path / "light"
    named_by = module(name)["NETWORK"]
    status, printed, errors = script("lighten", out, light)
    assert status == 0, errors
    table = pl.read_parquet(light / "table.parquet")
    expected = set()
    for _, own in table.filter("fitted").group_by([column for column in named_by if column != "seed"]):
        ranked = sorted(own.iter_rows(named=True), key=lambda row: row["upper"])
        middle = ranked[(len(ranked) - 1) // 2]
        expected.add("-".join(str(middle[column]) for column in named_by))
    assert {path.stem for path in (light / "networks").iterdir()} == expected
    assert f"{len(expected)} of {len(table)} networks" in printed
    assert lawjax("check", light)[0] == 0
    assert {path.name: path.read_bytes() for path in light.glob("*.png")}.items() <= pictures(out).items()
    status, printed, errors = script(name, "--out", light, "--stage", "plot")
    assert (status, errors) == (0, "") and printed == (out / "summary.md").read_text(encoding="utf-8") + "\n"


def test_lighten_takes_certificates_in_files_of_their_own_and_leaves_out_sources(smoke, tmp_path, script, lawjax):
    run = tmp_path / "run"
    shutil.copytree(smoke("frontier").out, run)
    for path in (run / "networks").iterdir():  # as an earlier lawjax stored them
        with np.load(path) as file:
            arrays = dict(file)
        path.with_suffix(".json").write_bytes(arrays.pop("certificate").item())
        np.savez_compressed(path, **arrays)
    assert script("lighten", run, tmp_path / "light", "--without", "adam", "caps")[0] == 0
    kept = {path.name for path in (tmp_path / "light" / "networks").iterdir()}
    assert kept and not any(name.startswith(("adam", "caps")) for name in kept)
    assert any(name.startswith("ramps") for name in kept) and all(name.endswith(".npz") for name in kept)
    status, printed, _ = lawjax("check", tmp_path / "light")
    assert status == 0 and f"{len(kept)} of {len(kept)} networks" in printed


def test_lighten_names_mistakes(smoke, tmp_path, script):
    run = smoke("constant").out
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(run / "config.json", bare / "config.json")
    for arguments, words in (
        ((tmp_path / "nothing", tmp_path / "light"), "no run directory"),
        ((smoke("lower_bounds").out, tmp_path / "light"), "is no run of frontier, constant, depth"),
        ((run, bare), "exists already"),
        ((bare, tmp_path / "light"), "no summary and table yet"),
    ):
        status, printed, errors = script("lighten", *arguments)
        assert (status, printed) == (2, "")
        assert_one_sentence(errors[:-1])
        assert words in errors
    assert not (tmp_path / "light").exists() and len(list(bare.iterdir())) == 1


# Figures that cannot be made


def test_one_figure_that_cannot_be_drawn_loses_nothing_else(smoke, tmp_path, script):
    out = smoke("frontier").out
    shutil.copy(out / "config.json", tmp_path / "config.json")
    table = pl.read_parquet(out / "table.parquet").with_columns(fitted=pl.col("fitted") & (pl.col("domain") == "space"))
    table.write_parquet(tmp_path / "table.parquet")
    status, printed, errors = script("frontier", "--out", tmp_path, "--stage", "plot")
    assert status == 1
    assert_one_sentence(errors[:-1])
    assert "The figure constructions cannot be made: No network on the frontier fits" in errors
    assert {Path(name).stem for name in pictures(tmp_path)} == {"law", "flat", "factors"}
    assert printed == (tmp_path / "summary.md").read_text(encoding="utf-8") + "\n"


def test_a_figure_or_a_summary_that_fails_loses_nothing_else(tmp_path, capsys):
    """A mistake of the program is raised, once all the rest is written."""
    table = figure_tables.LARGE["ratios"][1]
    good = functools.partial(plots.ratios, table)

    def refuse():
        raise UserError("Nothing fits.")

    def divide():
        return 1 / 0

    (tmp_path / "figures").mkdir()
    with pytest.raises(ZeroDivisionError):
        report.write(tmp_path, table, {"bad": divide, "good": good}, lambda: "All is well.\n")
    assert sorted(pictures(tmp_path)) == ["good.pdf", "good.png"]
    assert (tmp_path / "summary.md").read_text() == "All is well.\n" and "All is well." in capsys.readouterr().out
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(Incomplete, match=r"^The figure bad cannot be made: .*fits\. The summary cannot be made: "):
        report.write(other, table, {"bad": refuse, "good": good}, refuse)
    assert sorted(pictures(other)) == ["good.pdf", "good.png"]
    assert pl.read_parquet(other / "table.parquet").equals(table)


@pytest.mark.parametrize("name", FIGURES)
def test_any_field_can_be_overridden_and_run_draws_nothing(name, tmp_path, script):
    out = tmp_path / "run"
    arguments = ("--preset", "smoke", *OVERRIDES[name], *SMALL, "--learning-rate", "0.01", "--out", out)
    status, _, errors = script(name, *arguments, "--stage", "run")
    assert status == 0, errors
    record = Store(out).read_config()["configuration"]
    assert record["training"]["epsilon"] == 0.05 and record["training"]["learning_rate"] == 0.01
    assert record["probes"] == {"points": 50, "ascent_starts": 2, "ascent_steps": 2, "brackets": False}
    assert record["grid"]["seeds"] == 1
    assert not list((out / "figures").iterdir()) and not (out / "summary.md").exists()
    table = Store(out).table()
    assert set(table["seed"]) == {0} and set(table["epsilon"]) == {0.05}
    if name == "experiment1":
        x = (table["n"] / table["k"]).sqrt().to_numpy()
    else:
        assert set(table.select("d", "k").iter_rows()) == {
            (d, rule(60, d)) for rule in WIDTH_RULES.values() for d in (20, 40, 60)
        }
        table, x = table.filter(k=60), table.filter(k=60)["d"].sqrt().to_numpy()
    status, printed, _ = script(name, *arguments)  # now draws, and trains nothing
    assert status == 0 and set(pictures(out)) >= {f"{figure}.png" for figure in FIGURES[name]}
    # The summary's fit is that of the table: slope and intercept from NumPy's least squares over the fitted networks.
    kept = table["fitted"].to_numpy()
    y = table["proxy"].to_numpy()[kept]
    slope, intercept = np.polyfit(x[kept], y, 1)
    fit = fits.affine(x[kept], y, table["seed"].to_numpy()[kept])
    np.testing.assert_allclose((fit.slope, fit.intercept), (slope, intercept), rtol=1e-6)
    assert str(fit) in printed


def unboxed(errors):
    """The sentence on standard error, without the box that tyro draws around errors in values."""
    lines = [line.strip("│ ") for line in errors.splitlines()]
    words = " ".join(line for line in lines if re.search(r"\w", line) and "Value error" not in line)
    return words.split(" For full helptext")[0]  # which names the script and may take two lines


BAD = {
    "--seeds 0": "seeds",
    "--epsilon -1": "epsilon",
    "--epsilon nan": "epsilon",
    "--learning-rate 0": "learning_rate",
    "--step-limit 0": "step_limit",
    "--activation nope": "activation",
    "--dtype float16": "dtype",
    "--optimizer nope": "optimiser 'nope'; use one of adabelief, adadelta, adagrad, adam, adamax, adamaxw, adamw",
    "--optimizer lamb": "mixes coordinates",
    "--batch-size 100000": "batch_size",
    "--batch-size 1": "batch_size",
    "--data-model cube": "data_model",
    "--points -1": "points",
    "--d 0": "grid's d",
    "--shard 3/2": "shard",
    "--shard 0/0": "shard",
    "--shard half": "shard",
    "--shard ²/2": "shard",
    "--shard ١/٢": "shard",
    "--shard 1/99999999999999999999": "shard",
    "--n 99999999999999999999": "grid's n",
    "--d 99999999999999999999": "grid's d",
    "--seeds 99999999999999999999": "grid's seeds",
    "--step-limit 99999999999999999999": "step_limit",
    "--points 99999999999999999999": "points",
    "--ascent-steps 99999999999999999999": "ascent_steps",
    "--batch-size 99999999999999999999": "batch_size",
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_value_is_one_sentence_before_anything_is_trained(name, bad, tmp_path, script):
    status, out, errors = script(name, "--preset", "smoke", "--out", tmp_path / "run", *bad.split())
    assert (status, out) == (2, ""), errors
    assert_one_sentence(unboxed(errors))
    assert BAD[bad] in unboxed(errors)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    "malformed",
    ["--preset huge", "--preset", "--stage draw", "--epsilon small", "--seeds 1.5", "--frobnicate 3", "--n", "stray"],
)
def test_a_malformed_option_is_no_traceback(name, malformed, tmp_path, script):
    arguments = malformed.split() if "--preset" in malformed else ["--preset", "smoke", *malformed.split()]
    status, out, errors = script(name, "--out", tmp_path / "run", *arguments)
    assert status == 2 and "Traceback" not in out + errors and out + errors
    assert not (tmp_path / "run").exists()


def test_bad_values_in_a_process_of_its_own(tmp_path):
    for bad in ("--seeds 0", "--activation nope"):
        done = subprocess.run(
            [sys.executable, str(EXPERIMENTS / "experiment1.py"), "--preset", "smoke", *bad.split()],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert_one_sentence(unboxed(done.stderr))
    assert not list(tmp_path.iterdir())


EVERY_SCRIPT = """
import contextlib, io, json, pathlib, runpy, sys
said = {}
for script in map(pathlib.Path, sys.argv[1:]):
    out, errors = io.StringIO(), io.StringIO()
    sys.argv = [script.name, *([] if script.stem == "reproduce" else ["--preset", "smoke", "--out", "run"])]
    sys.path.insert(0, str(script.parent))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            runpy.run_path(str(script), run_name="__main__")
            status = 0
        except SystemExit as stop:
            status = stop.code
    said[script.stem] = [status, out.getvalue(), errors.getvalue()]
print(json.dumps(said))
"""


@pytest.mark.parametrize(
    ("flag", "value", "match"),
    [
        ("JAX_PLATFORMS", "nonsense", "no device here for JAX_PLATFORMS=nonsense"),
        ("MPLBACKEND", "nonsense", "no backend 'nonsense'; unset MPLBACKEND"),
    ],
)
def test_an_environment_in_which_nothing_can_be_made_is_one_sentence(flag, value, match, tmp_path):
    """Before anything is trained, also where a script imports what the environment breaks; one process for all."""
    scripts = [path for path in EXPERIMENTS.glob("*.py") if "cli.experiment" in path.read_text()]
    scripts.append(EXPERIMENTS / "reproduce.py")
    done = subprocess.run(
        [sys.executable, "-c", EVERY_SCRIPT, *map(str, scripts)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, flag: value},
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert set(said) >= {*SMOKE, "factors", "reproduce"}
    for status, out, errors in said.values():
        assert (status, out) == (2, "")
        assert_one_sentence(errors[:-1])
        assert match in errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FIGURES)
def test_help_lists_every_field_with_the_presets_defaults(name, tmp_path, script):
    status, out, errors = script(name, "--help")
    assert (status, errors) == (0, "")
    words = ("--epsilon", "--seeds", "--activation", "--batch-size", "--points", "--shard", "--stage", "--preset")
    assert all(word in out for word in words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FIGURES)
def test_plotting_without_a_run_is_one_sentence(name, tmp_path, script):
    status, _, errors = script(name, "--out", tmp_path / "absent", "--stage", "plot")
    assert status == 2
    assert_one_sentence(errors[:-1])
    assert "no run directory" in errors


@pytest.mark.parametrize("name", FIGURES)
def test_a_run_of_which_nothing_can_be_fitted_is_one_sentence_or_a_summary(name, tmp_path, script):
    """A grid that is empty, or of which no network fits: nothing to draw a line through, and no traceback."""
    nothing = ("--n", "10", "--d", "20", "--k", "5") if name == "experiment1" else ("--n", "30", "--d", "3")
    arguments = ("--preset", "smoke", "--step-limit", "3", *SMALL, *nothing, "--seeds", "1")
    status, out, errors = script(name, "--out", tmp_path / "run", *arguments)
    assert "Traceback" not in out + errors
    assert status in (0, 1, 2)
    if status:
        assert_one_sentence(errors.splitlines()[-1])
    assert (tmp_path / "run" / "summary.md").exists() == (status < 2)


def test_a_width_rule_of_which_nothing_fits_leaves_the_other_its_summary(tmp_path, script):
    arguments = ("--n", "60", "--d", "40", "60", "--seeds", "2", "--learning-rate", "0.01", "--step-limit", "9", *SMALL)
    status, out, errors = script("experiment2", "--preset", "smoke", "--out", tmp_path / "run", *arguments)
    assert status == 0, errors
    table = Store(tmp_path / "run").table()
    assert set(table.filter("fitted")["k"]) == {60}  # of k = n alone
    cells = {line.split("|")[1].strip(): line.split("|")[2:4] for line in out.splitlines() if line.startswith("| ")}
    assert [cell.strip() for cell in cells["kept / asked for"]] == ["4 / 4", "0 / 4"]
    for name in ("proxy, affine in sqrt(d)", "residual, power of sqrt(d)"):
        assert "R^2" in cells[name][0] and cells[name][1].strip() == "too few fit"


@pytest.mark.parametrize("networks", [2, 3, 8, 21])
def test_a_figure_a_summary_and_a_command_give_one_number_for_one_quantity(networks):
    """Medians by interpolation, over the networks that fit."""
    below = np.random.default_rng(networks).uniform(0.5, 0.9, networks + 1)
    rows = [
        figure_tables.network(100, 20, 10, seed, lower_space=1.0, proxy=value, ascent=2 * value)
        for seed, value in enumerate(below)
    ]
    rows[-1] |= {"fitted": False, "status": "step limit", "loss": 0.5}
    table = figure_tables.frame(rows)
    kept = np.sort(below[:-1])
    middle = (kept[(networks - 1) // 2] + kept[networks // 2]) / 2  # by hand
    summary = module("experiment1")["summary"](table.with_columns(loss=pl.lit(0.01)))
    assert f"| proxy / lower bound on R^d: 5 %, median, 95 % | {np.quantile(kept, 0.05):.2f}, {middle:.2f}, " in summary
    assert "| ascent / proxy: 5 %, median, 95 % | 2.00, 2.00, 2.00 |" in summary
    assert f"median {middle:.2f}, nine" in plots.ratios(table).axes[0].get_title()
    assert f"proxy / lower bound on R^d {middle:.3f} in the median" in brackets.summary(table)
    assert brackets.summary(table).startswith(f"{networks + 1} networks bracketed; of the {networks} that fit:")


@pytest.mark.parametrize("name", FIGURES)
def test_a_grid_of_one_network_has_its_figures_and_its_summary(name, tmp_path, script):
    grid = ("--n", "40", "--d", "20", *(["--k", "20"] if name == "experiment1" else []), "--seeds", "1")
    arguments = (*grid, "--learning-rate", "0.01", *SMALL[:-2], "--out", tmp_path / "run")
    status, out, errors = script(name, "--preset", "smoke", *arguments)
    assert status == 0, errors
    assert set(pictures(tmp_path / "run")) >= {f"{figure}.png" for figure in FIGURES[name] + RATIOS[name]}
    assert ("none: A fit needs at least two distinct x" if name == "experiment1" else "too few fit") in out


def test_brackets_of_networks_of_which_none_fits_have_a_summary():
    table = figure_tables.frame([figure_tables.network(100, 20, 10, 0, fitted=False)])
    assert "R^d: upper/lower is a number for none" in brackets.summary(table)


def test_another_configuration_in_the_same_directory_is_refused(tmp_path, script):
    arguments = ("--preset", "smoke", *OVERRIDES["experiment1"], *SMALL, "--out", tmp_path / "run", "--stage", "run")
    assert script("experiment1", *arguments)[0] == 0
    status, _, errors = script("experiment1", *arguments, "--learning-rate", "0.5")
    assert status == 2
    assert_one_sentence(errors.splitlines()[-1])
    assert "learning_rate is 0.001 there, 0.5 here" in json.dumps(errors)


def test_factors_are_drawn_of_their_table(tmp_path, script):
    table = figure_tables.choices(1000, [20, 500], 2, 2)
    table.write_parquet(tmp_path / "table.parquet")
    status, printed, errors = script("factors", "--out", tmp_path, "--stage", "plot")
    assert (status, errors) == (0, "")
    assert set(pictures(tmp_path)) == {"factors.png", "factors.pdf"}
    own = table.filter(factor="factor 1", setting="a setting with a long name, 2", width_rule="k = n")
    law = fits.power_law(own["d"].sqrt(), own["proxy"], own["seed"])
    [line] = [line for line in printed.splitlines() if line.startswith("| factor 1 | a setting with a long name, 2 |")]
    assert "| 8 / 8 |" in line and f"| {law.exponent:.2f} (" in line


@pytest.mark.slow
def test_factors_run_every_setting_once(tmp_path, script):
    status, printed, errors = script("factors", "--preset", "smoke", "--out", tmp_path / "run")
    assert status == 0, errors
    choices = module("factors")["choices"](16)
    assert printed.count("\n| ") == len(choices) + 2
    table = pl.read_parquet(tmp_path / "run" / "table.parquet")
    assert len(sweep.stored_config(tmp_path / "run").configurations()) == 19
    of_choice = table.group_by("factor", "setting", maintain_order=True).len()
    assert of_choice.select("factor", "setting").rows() == [choice[:2] for choice in choices]
    assert of_choice["len"].unique().to_list() == [4]  # two dimensions, two width rules


@pytest.mark.slow
def test_retrained_networks_are_those_of_the_run(smoke, script):
    status, printed, errors = script("retrain", smoke("experiment1").out, "--sample", "3")
    assert status == 0, errors
    assert printed.startswith("3 networks trained alone: 3 with the same status")
    assert script("retrain", smoke("experiment1").out, "--largest", "1")[0] == 2


@pytest.mark.slow
def test_reproduce_gathers_the_figures_of_both_experiments(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(EXPERIMENTS)
    runpy.run_path(str(EXPERIMENTS / "reproduce.py"))["reproduce"](tmp_path, "smoke")
    assert {f"figure{i}.png" for i in (1, 2, 3)} <= {path.name for path in tmp_path.iterdir()}
    text = (tmp_path / "summary.md").read_text()
    assert "## Experiment 1" in text and "## Experiment 2" in text
    assert "Traceback" not in capsys.readouterr().err
