"""Every command with the wrong thing for every argument: exit status, one sentence, nothing written or overwritten."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_sweep

from lawjax import TwoLayer, lipschitz

DIGITS = ["", "x", "nan", "inf", "2.5", "1e400", "0x10", "-1", "9" * 20]
NUMBERS = ["", "x", "nan", "inf", "-1", "0", "1e400"]
# Files and folders that are there, each with something that no command asks for.
FOREIGN = {
    "nothing": None,
    "empty": b"",
    "text": b"not an archive\n",
    "zip": b"PK\x03\x04 and no more",
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(40),
    "json": b'{"kind": ["lawjax"], "bound": null}',
    "list.json": b"[1, 2",
    "folder": Path,
    "folder/within": None,
    "text/below": None,
}
WRONG = {
    "whole": [*DIGITS, "0"],
    "rows": [*DIGITS[:-1], "0"],
    "seed": DIGITS,
    "number": NUMBERS,
    "epsilon": [value for value in NUMBERS if value != "0"] + ["1.5"],
    "setting": [
        "",
        "x",
        "n=60",
        "learning_rate",
        "learning_rate=x",
        "batch_size=2.5",
        "batch_norm=1",
        "activation=tanh",
    ],
    "word": ["", "x", "-1", "SPACE", "space,ball"],
    "network": [*FOREIGN, "data.npz", "stack.npz", "pickled.npz", "infinite.npz"],
    "bracketed": [*FOREIGN, "data.npz", "stack.npz", "pickled.npz", "infinite.npz"],
    "data": [*FOREIGN, "network.npz", "pickled.npz", "labels.npz"],
    "certificate": [*FOREIGN, "network.npz", "other.json", "twice.json"],
    "new": ["folder", "text/below", "no/such/folder/file.npz", "text", "network.npz", "run", ""],
    "run": [*FOREIGN, "network.npz"],
}
IDENTITY: dict[int | str, tuple[str, object]] = {
    "--n": ("whole", 60),
    "--d": ("whole", 20),
    "--k": ("whole", 40),
    "--seed": ("seed", 1),
}
# command: {option, or place of a positional argument: (kind, a right value)}
COMMANDS: dict[str, dict[int | str, tuple[str, object]]] = {
    "inspect": {0: ("run", "run"), "--rows": ("rows", 3)},
    "inspect one": {0: ("run", "run"), **IDENTITY, "--setting": ("setting", "activation=relu")},
    "export": {0: ("run", "run"), 1: ("new", "new.npz"), **IDENTITY, "--setting": ("setting", "activation=relu")},
    "bracket": {
        0: ("bracketed", "network.npz"),
        "--domain": ("word", "sphere"),
        "--radius": ("number", 1.0),
        "--certificate": ("new", "new.json"),
    },
    "check": {0: ("network", "network.npz"), 1: ("certificate", "network.json")},
    "construct": {
        0: ("word", "caps"),
        1: ("new", "new.npz"),
        "--n": ("whole", 5),
        "--d": ("whole", 4),
        "--seed": ("seed", 0),
        "--data-model": ("word", "sphere"),
        "--data": ("new", "new-data.npz"),
    },
    "construct k": {
        0: ("word", "grouped-caps"),
        1: ("new", "new.npz"),
        "--n": ("whole", 5),
        "--d": ("whole", 4),
        "--k": ("whole", 3),
    },
    "construct order": {
        0: ("word", "tensor"),
        1: ("new", "new.npz"),
        "--n": ("whole", 5),
        "--d": ("whole", 4),
        "--order": ("whole", 2),
    },
    "bounds": {
        0: ("data", "data.npz"),
        "--k": ("whole", 3),
        "--activation": ("word", "relu"),
        "--network": ("network", "network.npz"),
    },
    "frontier": {
        0: ("data", "data.npz"),
        1: ("new", "new.npz"),
        "--k": ("whole", 6),
        "--epsilon": ("epsilon", 0.5),
        "--activation": ("word", "relu"),
        "--domain": ("word", "sphere"),
        "--radius": ("number", 1.0),
        "--steps": ("whole", 300),
        "--starts": ("seed", 1),
        "--seed": ("seed", 0),
    },
}
CASES = [(command, place) for command, places in COMMANDS.items() for place in places]


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with one of everything, right and wrong."""
    folder = tmp_path_factory.mktemp("room")
    shutil.copytree(small_sweep.finished(tmp_path_factory.getbasetemp()), folder / "run")
    rng = np.random.default_rng(0)
    network = TwoLayer(rng.standard_normal((4, 3)), rng.standard_normal(4), rng.standard_normal(4))
    network.save(folder / "network.npz")
    record = json.dumps(lipschitz.certify(network).record(network))
    (folder / "network.json").write_text(record)
    (folder / "other.json").write_text(record.replace('"network": "', '"network": "0'))
    (folder / "twice.json").write_text(record.replace("{", '{"bound": 1e9, ', 1))
    TwoLayer(np.ones((2, 4, 3)), np.ones((2, 4)), np.ones((2, 4))).save(folder / "stack.npz")
    x, y = rng.standard_normal((6, 3)), np.array([1.0, -1, 1, -1, 1, -1])
    np.savez(folder / "data.npz", x=x, y=y)
    np.savez(folder / "labels.npz", x=x, y=y + 1)
    np.savez(folder / "pickled.npz", W=np.array([print], object), a=np.ones(1), x=np.array([print], object), y=y)
    np.savez(folder / "infinite.npz", W=np.full((4, 3), np.inf), a=np.ones(4))
    for name, content in FOREIGN.items():
        if content is Path:
            (folder / name).mkdir()
        elif content is not None:
            (folder / name).write_bytes(content)
    return folder


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def line(command, changed=None, value=None):
    """The arguments of a command, one of them changed."""
    places = {place: right for place, (_, right) in COMMANDS[command].items()}
    if changed is not None:
        places[changed] = value
    positional = [str(right) for place, right in places.items() if isinstance(place, int)]
    options = [f"{place}={right}" for place, right in places.items() if isinstance(place, str)]
    return [command.split()[0], *options, "--", *positional]


@pytest.fixture(autouse=True)
def inside(room, monkeypatch):
    monkeypatch.chdir(room)


@pytest.mark.parametrize(("command", "place"), CASES, ids=[f"{command} {place}" for command, place in CASES])
def test_a_wrong_argument_gets_a_status_and_a_sentence(room, lawjax, command, place):
    before = contents(room)
    faults = []
    for value in WRONG[COMMANDS[command][place][0]]:
        try:
            status, out, errors = lawjax(*line(command, place, value))
        except Exception as error:
            faults.append(f"{value!r}: {type(error).__name__}: {error}")
            continue
        if status == 0:
            faults.append(f"{value!r} is accepted: {out[:200]}")
        elif "Traceback" in out + errors or not out + errors:
            faults.append(f"{value!r}: {out[-300:]}{errors[-300:]}")
        elif not errors.startswith(("lawjax: ", "╭")) and status != 1:  # the second where the parser refuses it
            faults.append(f"{value!r}: {errors[:300]}")
        elif errors.startswith("lawjax: ") and errors.strip("\n").count("\n"):
            faults.append(f"{value!r}, more than one line: {errors[:300]}")
    assert not faults, "\n".join(faults)
    assert contents(room) == before


def test_right_arguments_are_taken(room, lawjax):
    for command in COMMANDS:
        before = set(contents(room))
        status, out, errors = lawjax(*line(command))
        assert status == 0, (command, out, errors)
        for path in set(contents(room)) - before:
            path.unlink()


def test_a_folder_that_cannot_be_written_to(room, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    command = [str(Path(sys.executable).with_name("lawjax")), "construct", "caps", str(locked / "f.npz")]
    ended = subprocess.run([*command, "--n", "4", "--d", "3"], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2 and ended.stderr.startswith("lawjax: ") and ended.stderr.count("\n") == 1
