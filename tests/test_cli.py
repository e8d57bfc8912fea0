"""The command `lawjax`: what it prints, what it writes, and one sentence for every mistake."""

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import small_sweep
from small_sweep import CONFIG, assert_one_sentence

from lawjax import TwoLayer, UserError, activations, cli, data, frontier, lipschitz
from lawjax.errors import Stopped
from lawjax.sweep import as_record
from lawjax.sweep.grid import NetworkId
from lawjax.sweep.store import Store, write_table

NAME = NetworkId(60, 20, 40, 1)
IDENTITY = ("--n", "60", "--d", "20", "--k", "40", "--seed", "1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return small_sweep.finished(tmp_path_factory.getbasetemp())


def program(*arguments):
    """The installed command in a process of its own."""
    command = [str(Path(sys.executable).with_name("lawjax")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def assert_failed(outcome, match):
    status, out, errors = outcome
    assert (status, out) == (2, "") and errors.startswith("lawjax: ") and errors.endswith("\n")
    assert_one_sentence(errors[:-1])
    assert re.search(match, errors), errors


# inspect


def test_inspect_shows_the_configuration_the_counts_and_every_network(finished, lawjax):
    status, out, errors = lawjax("inspect", finished)
    assert (status, errors) == (0, "")
    table = Store(finished).table()
    assert '"epsilon": 0.05' in out and jax.__version__ in out
    fitted = len(table.filter(status="fitted"))
    assert f"{len(table)}: {fitted} fitted, {len(table) - fitted} step limit" in out
    listed = [line.split("┆") for line in out.splitlines() if line.startswith("│")]
    listed = [[cell.strip(" │") for cell in line] for line in listed]
    listed = [tuple(map(int, line[:4])) for line in listed if line[0].isdigit()]
    assert listed == CONFIG.grid.networks()


def test_inspect_lists_as_many_networks_as_asked_for(finished, lawjax):
    status, out, _ = lawjax("inspect", finished, "--rows", 3)
    assert status == 0 and "... and 9 more; --rows 12 shows all" in out
    assert len([line for line in out.splitlines() if re.match(r"│ \d", line)]) == 3
    assert "more;" not in lawjax("inspect", finished, "--rows", 12)[1]


def test_inspect_shows_one_network(finished, lawjax):
    status, out, errors = lawjax("inspect", finished, *IDENTITY)
    assert (status, errors) == (0, "")
    shown = {line[:18].strip(): line[19:] for line in out.splitlines()}
    [row] = Store(finished).table().filter(**NAME._asdict()).iter_rows(named=True)
    for column, value in row.items():
        assert shown[column] == str(value)
    f = Store(finished).network(NAME)
    assert shown["network"] == repr(f) and "W (40, 20), b (40,), a (40,)" in shown["shapes"]
    [norm] = map(float, re.findall(r"\|\|W\|\|_F ([\d.]+)", shown["norms"]))
    np.testing.assert_allclose(norm, np.sqrt((f.W.astype(np.float64) ** 2).sum()), rtol=1e-5)


def test_inspect_says_how_many_of_the_networks_asked_for_are_there(finished, tmp_path, lawjax):
    """A run that was begun has none of its networks; published results have the table in one file, and no parts."""
    Store(tmp_path / "run").open(as_record(CONFIG))
    status, out, _ = lawjax("inspect", tmp_path / "run")
    assert status == 0 and out.endswith("\nnetworks       0 of 12 stored here\n")
    write_table(tmp_path / "run" / "table.parquet", Store(finished).table())
    status, out, _ = lawjax("inspect", tmp_path / "run", "--rows", "3")
    assert status == 0 and "\nnetworks       0 of 12 stored here\ntable          12 rows in table.parquet: " in out
    assert "... and 9 more; --rows 12 shows all" in out
    (tmp_path / "run" / "table.parquet").write_text("no table")
    assert_failed(lawjax("inspect", tmp_path / "run"), "table.parquet cannot be read")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (IDENTITY[:-2], "Give all of --n, --d, --k and --seed"),
        (("--seed", "0"), "Give all of --n, --d, --k and --seed"),
        ((*IDENTITY[:-1], "7"), "no network with n=60, d=20, k=40, seed=7"),
        (("--n", "0", "--d", "0", "--k", "0", "--seed", "0"), "no network with n=0, d=0, k=0, seed=0"),
        (("--rows", "0"), "rows"),
        (("--rows", "-1"), "rows"),
    ],
)
def test_inspect_refuses_what_it_cannot_show(finished, lawjax, arguments, match):
    assert_failed(lawjax("inspect", finished, *arguments), match)


@pytest.mark.parametrize("arguments", [(), IDENTITY])
def test_inspect_refuses_what_is_no_run_directory(tmp_path, lawjax, arguments):
    (tmp_path / "file").write_text("mine")
    assert_failed(lawjax("inspect", tmp_path, *arguments), "no run directory")
    assert_failed(lawjax("inspect", tmp_path / "absent", *arguments), "no run directory")
    assert_failed(lawjax("inspect", tmp_path / "file", *arguments), "file")


def test_inspect_names_a_damaged_part(finished, tmp_path, lawjax):
    copy = shutil.copytree(finished, tmp_path / "copy")
    [part] = Store(copy).paths.results.glob("*.parquet")
    part.write_bytes(part.read_bytes()[:100])
    assert_failed(lawjax("inspect", copy), f"{part.name} is damaged")


# export


def test_export_writes_the_stored_network(finished, tmp_path, lawjax):
    file = tmp_path / "network.npz"
    status, out, errors = lawjax("export", finished, file, *IDENTITY)
    assert (status, errors) == (0, "") and out == f"{file}: TwoLayer(k=40, d=20, activation='relu', float32)\n"
    back, stored = TwoLayer.load(file), Store(finished).network(NAME)
    assert back.activation == stored.activation
    for one, other in zip(jax.tree.leaves(back), jax.tree.leaves(stored), strict=True):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


def test_export_leaves_an_existing_file_alone(finished, tmp_path, lawjax):
    (tmp_path / "mine.npz").write_text("mine")
    assert_failed(lawjax("export", finished, tmp_path / "mine.npz", *IDENTITY), "exists already")
    assert (tmp_path / "mine.npz").read_text() == "mine"
    assert_failed(lawjax("export", finished, tmp_path, *IDENTITY), "exists already")


def test_export_refuses_what_it_cannot_write(finished, tmp_path, lawjax):
    file = tmp_path / "new.npz"
    assert_failed(lawjax("export", finished, file, *IDENTITY[:-1], "7"), "n=60, d=20, k=40, seed=7")
    assert_failed(lawjax("export", tmp_path / "absent", file, *IDENTITY), "no run directory")
    assert_failed(lawjax("export", finished, tmp_path / "absent" / "new.npz", *IDENTITY), "No such file or directory")
    assert not file.exists()


# Files are checked before the work: what cannot be written, and what would be written over


@pytest.fixture
def no_work(monkeypatch):
    """Any search or bracket is a failure."""
    for module, name in ((frontier, "search_all"), (lipschitz, "bracket"), (data, "sphere")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("it went to work"))
    monkeypatch.setitem(data.MODELS, "sphere", data.sphere)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        *[
            (("construct", "caps", "f.npz", "--n", "5", "--d", "20", "--data", path), "are one file")
            for path in ("f.npz", "./f.npz", "folder/../f.npz", "link/f.npz")
        ],
        (("construct", "caps", "f.npz", "--n", "5", "--d", "20", "--data", "no/d.npz"), "No such file or directory"),
        (("construct", "caps", "no/f.npz", "--n", "5", "--d", "20"), "No such file or directory"),
        (("construct", "caps", "data.npz/f.npz", "--n", "5", "--d", "20"), "Not a directory"),
        (("construct", "caps", "dangling", "--n", "5", "--d", "20"), "exists already"),
        (("construct", "caps", "", "--n", "5", "--d", "20"), "exists already"),
        (("construct", "caps", "x" * 300, "--n", "5", "--d", "20"), "File name too long"),
        (("frontier", "data.npz", "s.json", "--k", "3"), "is where the certificate goes"),
        (("frontier", "data.npz", "data.npz", "--k", "3"), "is what the command reads"),
        (("frontier", "data.npz", "no/s.npz", "--k", "3"), "No such file or directory"),
        (("frontier", "data.npz", "data.v2", "--k", "3"), "data.json exists already"),
        (("frontier", "data.npz", ".", "--k", "3"), "exists already"),
        (("frontier", "data.npz", "/", "--k", "3"), "exists already"),
        (("bracket", "network.npz", "--certificate", "no/c.json"), "No such file or directory"),
        (("bracket", "network.npz", "--certificate", "network.npz"), "is what the command reads"),
        (("bracket", "network.npz", "--certificate", "link/./network.npz"), "is what the command reads"),
        (("bracket", "network.npz", "--certificate", "dangling"), "exists already"),
        (("export", ".", "no/f.npz", *IDENTITY), "No such file or directory"),
        (("export", ".", "data.npz", *IDENTITY), "exists already"),
    ],
)
def test_outputs_are_checked_before_the_work(tmp_path, monkeypatch, lawjax, no_work, arguments, match):
    monkeypatch.chdir(tmp_path)
    TwoLayer(np.eye(2), np.zeros(2), np.ones(2)).save("network.npz")
    np.savez("data.npz", x=np.eye(2), y=np.array([1, -1]))
    Path("data.json").write_text("mine")
    Path("folder").mkdir()
    Path("link").symlink_to(".")
    Path("dangling").symlink_to("nowhere")
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    outcome = lawjax(*arguments)
    assert outcome[0] == 2 and outcome[1] == "" and re.search(match, outcome[2]), outcome
    assert_one_sentence(outcome[2][:-1])
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before
    assert sorted(path.name for path in Path().iterdir() if not path.is_file()) == ["dangling", "folder", "link"]


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_up_costs_no_result_and_leaves_nothing(tmp_path, monkeypatch, lawjax):
    """The bracket is printed, the networks are gone with a sentence; the same command can be given again."""
    monkeypatch.chdir(tmp_path)
    TwoLayer(np.eye(2), np.zeros(2), np.ones(2)).save("network.npz")
    built = ("construct", "caps", "f.npz", "--n", "5", "--d", "20", "--data", "d.npz")
    bracketed = ("bracket", "network.npz", "--certificate", "c.json")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_space)
        assert_failed(lawjax(*built), "No space left on device")
        status, out, errors = lawjax(*bracketed)
        assert (status, errors) == (2, "lawjax: c.json cannot be written (No space left on device).\n")
        assert "(a point) and" in out
    assert os.listdir() == ["network.npz"]
    assert lawjax(*built)[0] == lawjax(*bracketed)[0] == 0
    assert lawjax("check", "network.npz", "c.json")[0] == 0
    assert sorted(os.listdir()) == ["c.json", "d.npz", "f.npz", "network.npz"]


def test_frontier_says_that_a_stopped_search_stored_nothing(points, tmp_path, monkeypatch, lawjax):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(frontier, "search_all", stop)
    outcome = lawjax("frontier", points, tmp_path / "f.npz", "--k", "3", "--steps", "5")
    assert outcome[0] == 130 and outcome[2].endswith("lawjax: Stopped; what was not written yet is lost.\n")
    assert not (tmp_path / "f.npz").exists()


# What the environment says


@pytest.mark.parametrize(
    ("flags", "arguments", "match"),
    [
        ({"JAX_PLATFORMS": "nonsense"}, ("bracket", "f.npz"), "JAX_PLATFORMS=nonsense; unset it"),
        ({"JAX_PLATFORMS": "cuda,tpu"}, ("construct", "caps", "new.npz", "--n", "5", "--d", "20"), "=cuda,tpu; unset"),
        ({"JAX_ENABLE_X64": "maybe"}, ("bracket", "f.npz"), "JAX does not start: invalid truth value 'maybe'"),
    ],
)
def test_an_environment_in_which_jax_cannot_work_is_one_sentence(tmp_path, monkeypatch, flags, arguments, match):
    monkeypatch.chdir(tmp_path)
    TwoLayer(np.eye(2), np.zeros(2), np.ones(2)).save("f.npz")
    for name, value in flags.items():
        monkeypatch.setenv(name, value)
    done = program(*arguments)
    assert_failed((done.returncode, done.stdout, done.stderr), match)
    assert os.listdir() == ["f.npz"]


def test_a_terminal_without_unicode_gets_what_it_can_show(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    np.savez(tmp_path / "data.npz", x=np.eye(2), y=np.array([1, -1]))
    listed = program("inspect", finished, "--rows", "3")
    assert (listed.returncode, listed.stderr) == (0, "") and "| 40 | 20 | 2  |" in listed.stdout
    bounds = program("bounds", tmp_path / "data.npz", "--k", "3")
    assert (bounds.returncode, bounds.stderr) == (0, "") and r"L \u2016a\u2016" in bounds.stdout
    assert program("--help").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("construct", "caps", "f.npz", "--d", "20", "--n"), "--n must be below"),
        (("construct", "caps", "f.npz", "--n", "5", "--d"), "--d must be below"),
        (("construct", "grouped-caps", "f.npz", "--n", "5", "--d", "20", "--k"), "--k must be below"),
        (("construct", "caps", "f.npz", "--n", "5", "--d", "20", "--seed"), "seed must be a whole number"),
        (("construct", "tensor", "f.npz", "--n", "5", "--d", "20", "--order"), "whole number from 2 to 1000"),
        (("bounds", "data.npz", "--k"), "--k must be below"),
        (("frontier", "data.npz", "f.npz", "--k"), "--k must be below"),
        (("frontier", "data.npz", "f.npz", "--k", "3", "--steps"), "--steps must be below"),
        (("frontier", "data.npz", "f.npz", "--k", "3", "--starts"), "--starts must be below"),
        (("frontier", "data.npz", "f.npz", "--k", "3", "--seed"), "seed must be a whole number"),
    ],
)
def test_numbers_of_twenty_digits_are_one_sentence(tmp_path, monkeypatch, lawjax, arguments, match):
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", x=np.eye(2), y=np.array([1, -1]))
    assert_failed(lawjax(*arguments, "99999999999999999999"), match)
    assert os.listdir() == ["data.npz"]


def test_numbers_of_twenty_digits_name_no_network(finished, tmp_path, lawjax):
    many = "99999999999999999999"
    identity = ("--n", many, "--d", "20", "--k", "40", "--seed", "1")
    assert_failed(lawjax("inspect", finished, *identity), f"no network with n={many}")
    assert_failed(lawjax("export", finished, tmp_path / "f.npz", *identity), f"no network with n={many}")
    assert lawjax("inspect", finished, "--rows", many)[0] == 0


@pytest.mark.parametrize("name", ["[a]*?.npz", "~", "a\\b", "ü", "a\udcff"])
def test_any_path_will_do(finished, tmp_path, lawjax, name):
    folder = tmp_path / f"run [{name}]"
    shutil.copytree(finished, folder)
    assert "networks       12 of 12: " in lawjax("inspect", folder)[1]
    status, out, _ = lawjax("export", folder, tmp_path / name, *IDENTITY)
    assert status == 0 and "TwoLayer(k=40" in out
    (tmp_path / "certified").mkdir()
    (tmp_path / name).rename(tmp_path / "certified" / f"{name}.npz")
    network, certificate = (tmp_path / "certified" / f"{name}.{ending}" for ending in ("npz", "json"))
    assert lawjax("bracket", network, "--certificate", certificate)[0] == 0
    assert lawjax("check", network, certificate)[0] == 0
    assert "1 of 1 networks" in lawjax("check", tmp_path / "certified")[1]


# Help and malformed command lines


def test_construct_writes_a_network_and_its_data(tmp_path, lawjax):
    """What is claimed is printed; the data set goes into the table of bounds, the network into a bracket."""
    network, points = tmp_path / "f.npz", tmp_path / "data.npz"
    sizes = ("--n", "30", "--d", "60", "--seed", "1")
    status, out, err = lawjax("construct", "grouped-caps", network, *sizes, "--k", "10", "--data", points)
    assert (status, err) == (0, "")
    assert "section 3.3, Theorem 1" in out and "w_g . x_i < 1/2 off the group" in out
    status, out, _ = lawjax("bounds", points, "--k", "10", "--network", network)
    assert status == 0
    assert "| Theorem 4 | " in out and "it is for polynomial psi, not relu" in out and "kinks" in out
    assert lawjax("bracket", network, "--domain", "sphere")[0] == 0
    for name in ("linear", "caps", "ramps", "tensor", "exact-tensor"):
        assert lawjax("construct", name, tmp_path / f"{name}.npz", *sizes)[0] == 0
        assert TwoLayer.load(tmp_path / f"{name}.npz").dimension == 60


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("construct", "grouped-caps", "new.npz", "--n", "5", "--d", "5"), "needs --k"),
        (("construct", "caps", "new.npz", "--n", "5", "--d", "5", "--k", "3"), "no --k"),
        (("construct", "caps", "new.npz", "--n", "0", "--d", "5"), "n must be a whole number"),
        (("construct", "tensor", "new.npz", "--n", "5", "--d", "5", "--order", "1"), "linear"),
        (("construct", "caps", "old.npz", "--n", "5", "--d", "5"), "exists already"),
        (("bounds", "old.npz", "--k", "3"), "cannot be read"),
        (("bounds", "none.npz", "--k", "3"), "cannot be read"),
        (("bounds", "network.npz", "--k", "3"), "x \\(n, d\\) and y"),
        (("bounds", "data.npz", "--k", "0"), "neurons k must be"),
        (("bounds", "data.npz", "--k", "3", "--activation", "spline"), "activation.*identity, relu.*power:p"),
        (("bounds", "labels.npz", "--k", "3"), "Labels"),
    ],
)
def test_construct_and_bounds_name_mistakes(tmp_path, monkeypatch, lawjax, arguments, match):
    monkeypatch.chdir(tmp_path)
    Path("old.npz").write_bytes(b"something else")
    TwoLayer(np.eye(2), np.zeros(2), np.ones(2)).save("network.npz")
    np.savez("data.npz", x=np.eye(2), y=np.array([1, -1]))
    np.savez("labels.npz", x=np.eye(2), y=np.array([1, 0]))
    assert_failed(lawjax(*arguments), match)
    assert not Path("new.npz").exists()
    assert Path("old.npz").read_bytes() == b"something else"


@pytest.fixture
def points(tmp_path):
    found = data.gaussian(jax.random.key(0), 20, 10)
    np.savez(tmp_path / "data.npz", x=np.asarray(found.x), y=np.asarray(found.y))
    return tmp_path / "data.npz"


def test_frontier_writes_a_network_with_its_certificate(points, tmp_path, lawjax):
    folder = tmp_path / "run" / "networks"
    folder.mkdir(parents=True)
    search = ("frontier", points, folder / "f.npz", "--k", "8", "--steps", "500")
    status, out, errors = lawjax(*search)
    assert status == 0 and "(proved)" in out
    found = TwoLayer.load(folder / "f.npz")
    loaded = data.load(points)
    assert np.mean((found.astype(np.float64)(loaded.x) - loaded.y) ** 2) <= 0.02
    assert_failed(lawjax(*search), "exists already")
    for of in (folder, folder.parent):  # folders of folders, too
        status, out, errors = lawjax("check", of)
        assert status == 0 and "1 of 1 networks" in out
    TwoLayer(found.W, found.b, 2 * found.a).save(folder / "g.npz")
    (folder / "g.json").write_text((folder / "f.json").read_text())
    found.save(folder / "h.npz")
    status, out, errors = lawjax("check", folder)
    assert status == 1 and "1 of 3 networks" in out
    assert "another network" in out and "h.json is missing" in out


def test_frontier_of_quadratic_forms(points, tmp_path, lawjax):
    form = ("frontier", points, tmp_path / "form.npz", "--k", "10", "--activation", "power:2", "--steps", "500")
    status, out, errors = lawjax(*form, "--domain", "ball", "--epsilon", "0")
    assert status == 0 and "(proved)" in out
    status, out, errors = lawjax("check", tmp_path / "form.npz", tmp_path / "form.json")
    assert status == 0 and "ball of radius 1 is at most" in out


def test_frontier_and_check_name_mistakes(points, tmp_path, lawjax):
    target = tmp_path / "f.npz"
    status, out, errors = lawjax("frontier", points, target, "--k", "1", "--steps", "50", "--epsilon", "1e-4")
    assert status == 2 and "No start fits" in errors and not target.exists()
    for unknown in ("spline", "identity", "power:3"):
        refused = lawjax("frontier", points, target, "--k", "8", "--activation", unknown)
        assert_failed(refused, "activation.*relu, leaky_relu, abs, tanh, softplus, gelu, power:2, not")
    assert_failed(lawjax("frontier", points, target, "--k", "8", "--activation", "power:2"), "unbounded")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_failed(lawjax("check", empty), "no networks")
    assert_failed(lawjax("check", empty, points), "name none")
    assert_failed(lawjax("check", points), "certificate")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--help",), ("inspect", "export", "bracket", "check", "construct", "bounds", "frontier")),
        (("inspect", "--help"), ("--seed", "--rows", "run directory")),
        (("export", "--help"), ("--seed", ".npz")),
        (("bounds", "--help"), activations.NAMES),
        (("frontier", "--help"), ("relu, leaky_relu, abs, tanh, softplus, gelu or power:2",)),
    ],
)
def test_help_says_what_there_is(lawjax, arguments, words):
    status, out, errors = lawjax(*arguments)
    assert (status, errors) == (0, "")
    assert all(word in out for word in words)


@pytest.mark.parametrize(
    "arguments",
    [(), ("frobnicate",), ("inspect",), ("inspect", "x", "--n", "many"), ("inspect", "x", "--m", "3"), ("export", "x")],
)
def test_a_malformed_command_line_is_no_traceback(lawjax, arguments):
    status, out, errors = lawjax(*arguments)
    assert status == 2 and "Traceback" not in out + errors and out + errors


# The command in a process of its own


def test_the_installed_command(finished, tmp_path):
    shown = program("inspect", finished, *IDENTITY)
    assert (shown.returncode, shown.stderr) == (0, "") and "TwoLayer(k=40, d=20" in shown.stdout
    missing = program("inspect", tmp_path)
    assert_failed((missing.returncode, missing.stdout, missing.stderr), "no run directory")
    copy = shutil.copytree(finished, tmp_path / "copy")
    for file in Store(copy).paths.networks.rglob("*_METADATA"):
        file.write_bytes(b"")
    damaged = program("export", copy, tmp_path / "new.npz", *IDENTITY)
    assert_failed((damaged.returncode, damaged.stdout, damaged.stderr), "_CHECKPOINT_METADATA is damaged")
    assert not (tmp_path / "new.npz").exists()
    helped = program("--help")
    assert (helped.returncode, helped.stderr) == (0, "") and "export" in helped.stdout


# guarded


def raises(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UserError("Mend it."), 2, "Mend it."),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/y"), 2, "No space left on device (/x/y)."),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 2, "No space left on device."),
        (PermissionError(errno.EACCES, "Permission denied", "f"), 2, "Permission denied (f)."),
        (OSError("odd"), 2, "odd."),
        (Stopped(), 130, "Stopped; run the same command again to go on from here."),
        (KeyboardInterrupt(), 130, "Stopped; what was not written yet is lost."),
        (MemoryError(), 2, "This takes more memory than there is; ask for less."),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), 2, "This takes more memory than there is; ask for less."),
    ],
)
def test_mistakes_are_one_sentence_and_an_exit_status(monkeypatch, capsys, error, status, message):
    monkeypatch.setattr(sys, "argv", ["/somewhere/program.py"])
    with pytest.raises(SystemExit) as stopped:
        cli.guarded(raises(error))
    assert stopped.value.code == status
    assert tuple(capsys.readouterr()) == ("", f"program.py: {message}\n")


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        cli.guarded(lambda: 1 / 0)


def test_a_command_that_succeeds_is_run_once_and_prints_nothing(capsys):
    calls = []
    cli.guarded(lambda: calls.append(1))
    assert calls == [1] and tuple(capsys.readouterr()) == ("", "")
