"""The scripts in experiments/: run, plot apart, override any field, and one sentence for every bad value."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import figure_tables
import numpy as np
import polars as pl
import pytest
from small_sweep import assert_one_sentence

from lawjax import fits, plots
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


@pytest.fixture
def script(monkeypatch, capsys, tmp_path):
    """An experiment's script with arguments, in this process: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        monkeypatch.syspath_prepend(EXPERIMENTS)
        try:
            runpy.run_path(str(EXPERIMENTS / f"{name}.py"), run_name="__main__")
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        return status, *capsys.readouterr()

    return call


def pictures(out):
    return {path.name: path.read_bytes() for path in (out / "figures").iterdir()}


@pytest.mark.parametrize("name", FIGURES)
def test_the_smoke_preset_runs_and_the_figures_can_be_drawn_again(name, tmp_path, script):
    out = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, str(EXPERIMENTS / f"{name}.py"), "--preset", "smoke", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "networks" in done.stderr  # the progress bar
    table = Store(out).table()
    presets = runpy.run_path(str(EXPERIMENTS / f"{name}.py"))["PRESETS"]
    assert [tuple(row) for row in table.select("n", "d", "k", "seed").iter_rows()] == presets["smoke"].grid.networks()
    assert table["fitted"].any()
    drawn, summary = pictures(out), (out / "summary.md").read_text()
    figures = FIGURES[name] + RATIOS[name]
    assert set(drawn) == {f"{figure}.{kind}" for figure in figures for kind in ("png", "pdf")}
    assert all(drawn[f"{figure}.png"].startswith(b"\x89PNG") for figure in figures)
    assert summary in done.stdout
    assert pl.read_parquet(out / "table.parquet").height >= len(table)

    for path in [*(out / "figures").iterdir(), out / "summary.md"]:
        path.unlink()
    parts = {path: path.stat().st_mtime_ns for path in (out / "results").iterdir()}
    status, printed, errors = script(name, "--preset", "smoke", "--out", out, "--stage", "plot")
    assert (status, errors) == (0, "") and printed == summary + "\n"
    again = pictures(out)
    assert set(again) == set(drawn)
    assert again == drawn
    assert (out / "summary.md").read_text() == summary
    assert {path: path.stat().st_mtime_ns for path in (out / "results").iterdir()} == parts


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


@pytest.mark.parametrize("name", [path.stem for path in EXPERIMENTS.glob("*.py") if path.stem != "retrain"])
@pytest.mark.parametrize(
    ("flag", "value", "match"),
    [
        ("JAX_PLATFORMS", "nonsense", "no device here for JAX_PLATFORMS=nonsense"),
        ("MPLBACKEND", "nonsense", "no backend 'nonsense'; unset MPLBACKEND"),
    ],
)
def test_an_environment_in_which_nothing_can_be_made_is_one_sentence(name, flag, value, match, tmp_path):
    """Before anything is trained, also where a script imports what the environment breaks."""
    arguments = [] if name == "reproduce" else ["--preset", "smoke", "--out", "run"]
    done = subprocess.run(
        [sys.executable, str(EXPERIMENTS / f"{name}.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, flag: value},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_sentence(done.stderr[:-1])
    assert match in done.stderr
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
    assert status in (0, 2)
    if status == 2:
        assert_one_sentence(errors.splitlines()[-1])


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
    summary = runpy.run_path(str(EXPERIMENTS / "experiment1.py"))["summary"](table.with_columns(loss=pl.lit(0.01)))
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


@pytest.mark.slow
def test_reproduce_gathers_the_figures_of_both_experiments(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(EXPERIMENTS)
    runpy.run_path(str(EXPERIMENTS / "reproduce.py"))["reproduce"](tmp_path, "smoke")
    assert {f"figure{i}.png" for i in (1, 2, 3)} <= {path.name for path in tmp_path.iterdir()}
    text = (tmp_path / "summary.md").read_text()
    assert "## Experiment 1" in text and "## Experiment 2" in text
    assert "Traceback" not in capsys.readouterr().err
