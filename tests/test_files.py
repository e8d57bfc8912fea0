"""Files are written whole or not at all, never over others unasked, checked before any work, and read or refused."""

import contextlib
import errno
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile

import ml_dtypes
import numpy as np
import pytest
from small_sweep import assert_one_sentence

from lawjax import TwoLayer, UserError, check, files
from lawjax.lipschitz import certify


def refused(match, call, *arguments, **options):
    with pytest.raises(UserError, match=match) as caught:
        call(*arguments, **options)
    assert_one_sentence(str(caught.value))


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def names(folder):
    return sorted(os.listdir(folder))


# Writing


@pytest.mark.parametrize("name", ["f.npz", "[1]*?", "~", "file:", "a\\b", "ü", "a\nb", "-x", "a\udcff", "x" * 255])
def test_any_name_that_the_file_system_allows(tmp_path, name):
    files.check_new(tmp_path / name)
    files.write(tmp_path / name, b"one")
    for call in (lambda: files.write(tmp_path / name, b"two"), lambda: files.check_new(tmp_path / name)):
        with pytest.raises(UserError, match="exists already"):
            call()
    assert (tmp_path / name).read_bytes() == b"one"
    files.write(tmp_path / name, b"three", overwrite=True)
    assert (tmp_path / name).read_bytes() == b"three" and names(tmp_path) == [name]


def test_modes_are_those_of_any_other_file(tmp_path):
    files.write(tmp_path / "ours", b"")
    (tmp_path / "other").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_texts_are_utf_8_whatever_the_locale(tmp_path):
    files.write_text(tmp_path / "f.md", "‖a‖\n")
    assert (tmp_path / "f.md").read_bytes() == "‖a‖\n".encode()


@pytest.mark.parametrize("failing", ["fsync", "link"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_disk_that_fails_leaves_nothing_behind(tmp_path, monkeypatch, failing, overwrite):
    """Neither half a file, nor an empty one that would stand in the way, nor a file under another name."""
    if overwrite:
        files.write(tmp_path / "f", b"first")
        failing = {"link": "replace"}.get(failing, failing)
    with monkeypatch.context() as patched:
        patched.setattr(os, failing, no_space)
        if failing == "link":
            patched.setattr(os, "replace", no_space)
            patched.setattr("pathlib.Path.open", no_space)
        refused("No space left", files.write, tmp_path / "f", b"second", overwrite)
    assert names(tmp_path) == (["f"] if overwrite else [])
    assert not overwrite or (tmp_path / "f").read_bytes() == b"first"


def test_files_that_belong_together_are_all_written_or_none(tmp_path):
    refused("cannot be written", files.write_all, {tmp_path / "f": b"1", tmp_path / "no" / "g": b"2"})
    assert names(tmp_path) == []
    files.write_all({tmp_path / "f": b"1", tmp_path / "g": b"2"})
    assert names(tmp_path) == ["f", "g"]


def test_a_file_system_without_links(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    files.write(tmp_path / "f", b"one")
    refused("exists", files.write, tmp_path / "f", b"two")
    assert (tmp_path / "f").read_bytes() == b"one" and names(tmp_path) == ["f"]


def test_a_file_that_comes_in_between_is_kept(tmp_path):
    with pytest.raises(UserError, match="exists already"), files.being_written(tmp_path / "f") as written:
        written.write_text("mine")
        (tmp_path / "f").write_text("theirs")
    assert (tmp_path / "f").read_text() == "theirs" and names(tmp_path) == ["f"]


def test_an_interruption_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), files.being_written(tmp_path / "f") as written:
        written.write_text("half")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_links_are_written_through_and_devices_are_left_alone(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "f")
    files.write(tmp_path / "link", b"1", overwrite=True)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "folder" / "f").read_bytes() == b"1"
    (tmp_path / "device").symlink_to(os.devnull)
    for path in (tmp_path / "folder", tmp_path / "device"):
        refused("is no file", files.write, path, b"", overwrite=True)
    assert not os.path.isfile(os.devnull)


@pytest.mark.parametrize("path", ["no/f", "file/f", "x" * 256, "a\0b"])
def test_what_cannot_be_written_is_refused_before_any_work(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    refused("cannot be written", files.check_new, path)
    refused("cannot be written", files.write, path, b"")
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("path", [None, 3, ["f"]])
def test_what_is_no_path_is_refused(path):
    refused("named by a text or a path", files.write, path, b"")
    refused("named by a text or a path", files.check_new, path)
    refused("named by a text or a path", TwoLayer(np.eye(2), None, np.ones(2)).save, path)
    refused("named by a text or a path", TwoLayer.load, path)


def test_a_folder_that_may_not_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "folder").mkdir(0o500)
    if os.access(tmp_path / "folder", os.W_OK):
        pytest.skip("this user may write everywhere")
    refused("cannot be written", files.check_new, tmp_path / "folder" / "f")


@pytest.mark.parametrize("second", ["f", "./f", "folder/../f", "link/f"])
def test_two_outputs_may_not_be_one_file(tmp_path, monkeypatch, second):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(".")
    refused("are one file", files.check_new, "f", second)
    files.check_new("f", "folder/f")
    assert names(tmp_path) == ["folder", "link"]


def test_what_is_there_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    for path in ("f", "link", ".", "..", "", "/", tmp_path):
        refused("exists already", files.check_new, path)
    refused("is what the command reads", files.check_new, "./f", inputs=["f"])
    assert (tmp_path / "f").read_text() == "mine"


FULL_DISK = """
set -e
mount -t tmpfs -o size=24k tmpfs disk
head -c 16000 /dev/zero > disk/filler
python="$1"
for command in "construct caps disk/f.npz --n 60 --d 60 --data disk/d.npz" "bracket f.npz --certificate disk/c.json"; do
  "$python" -c "from lawjax.cli import main; main()" $command && exit 99
  test $? -eq 2
  test "$(ls -A disk)" = filler
done
"""


@pytest.mark.slow
def test_commands_on_a_disk_that_is_really_full(tmp_path):
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("needs Linux's unshare")
    mine = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    (tmp_path / "disk").mkdir()
    trial = subprocess.run([*mine, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "disk")], capture_output=True)
    if trial.returncode:
        pytest.skip("may not mount a file system of its own")
    rng = np.random.default_rng(0)
    TwoLayer(rng.normal(size=(400, 20)), rng.normal(size=400), rng.normal(size=400)).save(tmp_path / "f.npz")
    command = [*mine, "sh", "-c", FULL_DISK, "sh", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    first, second = done.stderr.splitlines()
    assert "No space left on device" in first and "c.json cannot be written (No space left on device)." in second
    assert "(a point) and" in done.stdout  # what was computed is printed


# Reading


def archive(path, *members):
    """An .npz file of (name, array), in which a name may stand twice."""
    with zipfile.ZipFile(path, "w") as file:
        for name, array in members:
            content = io.BytesIO()
            np.save(content, array)
            with pytest.warns(UserWarning) if f"{name}.npy" in file.namelist() else contextlib.nullcontext():
                file.writestr(f"{name}.npy", content.getvalue())


LAYER = (("W", np.eye(2)), ("a", np.ones(2)))


def test_an_array_that_stands_twice_is_refused(tmp_path):
    archive(tmp_path / "f.npz", *LAYER, ("a", 5 * np.ones(2)))
    refused("two arrays called a", TwoLayer.load, tmp_path / "f.npz")
    f = TwoLayer(np.eye(2), None, np.ones(2))
    (tmp_path / "c.json").write_text(json.dumps(certify(f).record(f)))
    assert check.check(tmp_path / "f.npz", tmp_path / "c.json") == (False, f"{tmp_path}/f.npz has two arrays called a.")


def test_objects_are_refused_by_name(tmp_path):
    """As NumPy stores None, which PyTorch has for the bias of a layer without one."""
    np.savez(tmp_path / "f.npz", W=np.eye(2), b=None, a=np.ones(2))
    refused("b holds Python objects, not numbers: leave it out", TwoLayer.load, tmp_path / "f.npz")
    assert "b" in check.check(tmp_path / "f.npz", tmp_path / "f.npz")[1]


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e3m4", "float8_e4m3b11fnuz"])
def test_floats_that_numpy_cannot_name_are_stored_exactly(tmp_path, name):
    """Every value of the type, or every seventh."""
    dtype = np.dtype(getattr(ml_dtypes, name))
    values = np.arange(2 ** (8 * dtype.itemsize)).astype(f"u{dtype.itemsize}").view(dtype)
    with np.errstate(invalid="ignore"):
        values = values[np.isfinite(values)][:: 7 if dtype.itemsize > 1 else 1]
    f = TwoLayer(values[:, None], values, values)
    f.save(tmp_path / "f.npz")
    back = TwoLayer.load(tmp_path / "f.npz")
    for leaf in (back.W[:, 0], back.b, back.a):
        assert leaf.dtype == np.float64
        np.testing.assert_array_equal(leaf, values.astype(np.float64))
        np.testing.assert_array_equal(leaf.astype(dtype), values)


def test_a_folder_is_searched_by_the_ends_of_names(tmp_path):
    for name in ("a.npz", "[b]/c.npz", "[b]/c.json", "d/.e.npz", "f.npz.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.npz").mkdir()
    found = [str(path.relative_to(tmp_path)) for path in files.below(tmp_path, ".npz")]
    assert found == ["[b]/c.npz", "a.npz", "d/.e.npz"]
    with pytest.raises(FileNotFoundError):
        files.below(tmp_path / "absent", ".npz")


def test_the_certificate_of_a_network_in_low_precision_is_for_its_file(tmp_path):
    rng = np.random.default_rng(0)
    f = TwoLayer(*(rng.normal(size=shape) for shape in ((6, 4), 6, 6))).astype(ml_dtypes.bfloat16)
    f.save(tmp_path / "f.npz")
    (tmp_path / "c.json").write_text(json.dumps(certify(f).record(f)))
    assert check.check(tmp_path / "f.npz", tmp_path / "c.json")[0]
