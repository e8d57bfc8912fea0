"""The notebooks run from top to bottom, and what they show is true; at smaller sizes than in `make test-slow`."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from small_sweep import assert_one_sentence

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

# Run after the last cell, on the variables that a reader has then. W, b, a and c are evaluated here by hand.
QUICKSTART = """
assert [result.fitted for result in results] == [True] * 3
assert len(table) == len(grid.networks()) and table["fitted"].mean() >= 0.85
fitted = table.filter("fitted")
assert (fitted["loss_folded"] <= 0.02).all()
upper = np.minimum(fitted["path_product"], fitted["spectral_product"])
assert (np.maximum(fitted["proxy"], fitted["ascent"]) <= 1.0001 * upper).all()

stored = np.load(directory / "network.npz")
W, b, a, c = (stored[name].astype(np.float64) for name in "Wbac")
assert W.shape == (100, 50)
by_hand = np.maximum(points.x @ W.T + b, 0.0) @ a + c
np.testing.assert_allclose(outputs, by_hand, atol=1e-4)
row = table.filter(n=200, d=50, k=100, seed=0).row(0, named=True)
np.testing.assert_allclose(np.mean((by_hand - points.y) ** 2), row["loss_folded"], rtol=1e-4)
assert np.linalg.norm((points.x[:1] @ W.T + b > 0) * a @ W) <= row["path_product"]
"""


FRONTIER = """
assert found.fitted and exact.fitted
outputs = np.maximum(dataset.x @ exact.network.W.T + exact.network.b, 0.0) @ exact.network.a + exact.network.c
np.testing.assert_allclose(outputs, dataset.y, atol=1e-6)
assert found.bracket.upper < 0.5 * bracket(trained).lower
assert lower_bounds.floor(dataset).value < exact.bracket.lower <= exact.bracket.upper
assert len(fitted) >= 12 and (lower <= upper).all()
assert 1.0 < constant < 2.0
"""
# Notebook, checks, the cells that draw, and what is made smaller.
CASES = [
    ("quickstart", QUICKSTART, ["plots.figure2(table)"], ("seeds=2", "seeds=1")),
    ("frontier", FRONTIER, ["figure.show()"], ("steps = 4000", "steps = 1000")),
]
NAMES = [name for name, *_ in CASES]


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_every_notebook_is_tested():
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_committed_without_outputs(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))


@pytest.mark.parametrize(("name", "checks", "drawn", "smaller"), CASES, ids=NAMES)
def test_notebooks_run_from_top_to_bottom(name, checks, drawn, smaller, tmp_path):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    [sized] = [cell for cell in code_cells(notebook) if smaller[0] in cell.source]
    sized.source = sized.source.replace(*smaller)
    notebook.cells.append(nbformat.v4.new_code_cell(checks))
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    figures = [
        cell.source.splitlines()[-1]
        for cell in code_cells(notebook)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert figures == drawn
    leftovers = [path.name for path in tmp_path.iterdir()]
    assert not leftovers, f"The notebook wrote {leftovers} beside itself."


# The cell that installs lawjax, in a Python that has none, with a pip that notes what it is asked for


PIP = """
import pathlib, sys
here = pathlib.Path(__file__).parents[1]
(here / "asked").write_text(" ".join(sys.argv[1:]))
if pathlib.Path(sys.argv[-1]).exists() or sys.argv[-1].startswith("https:"):
    (here / "lawjax.py").touch()
else:
    sys.exit("ERROR: no such thing")
"""
MISSING = "lawjax is not installed: put its wheel (`pip wheel --no-deps .` in a checkout makes one) beside this "


def install_cell(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    return code_cells(notebook)[0].source


def installed(tmp_path, source):
    """What the cell prints, its errors, and what it asked pip for."""
    (tmp_path / "site" / "pip").mkdir(parents=True)
    (tmp_path / "site" / "pip" / "__init__.py").touch()
    (tmp_path / "site" / "pip" / "__main__.py").write_text(PIP)
    (tmp_path / "beside").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-S", "-c", source],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path / "beside",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )
    asked = tmp_path / "site" / "asked"
    return done.stdout, done.stderr, asked.read_text() if asked.exists() else None


def test_all_notebooks_install_lawjax_in_the_same_way():
    assert len({install_cell(name) for name in NAMES}) == 1


def test_a_wheel_beside_the_notebook_is_installed(tmp_path):
    (tmp_path / "beside").mkdir()
    for age, version in enumerate(("0.9.0", "0.10.0", "0.1.0")):
        wheel = tmp_path / "beside" / f"lawjax-{version}-py3-none-any.whl"
        wheel.touch()
        os.utime(wheel, (2e9 - abs(age - 1), 2e9 - abs(age - 1)))
    assert installed(tmp_path, install_cell("quickstart")) == ("", "", "install -q lawjax-0.10.0-py3-none-any.whl")


def test_an_address_is_installed_where_there_is_no_wheel(tmp_path):
    address = "https://example.org/lawjax-0.1.0-py3-none-any.whl"
    source = install_cell("quickstart").replace('LAWJAX = ""', f'LAWJAX = "{address}"')
    assert installed(tmp_path, source) == ("", "", f"install -q {address}")


@pytest.mark.parametrize("address", ["", "nowhere"])
def test_a_notebook_says_what_to_do_where_lawjax_cannot_be_installed(tmp_path, address):
    source = install_cell("quickstart").replace('LAWJAX = ""', f'LAWJAX = "{address}"')
    out, errors, asked = installed(tmp_path, source)
    assert out == "" and asked == (f"install -q {address}" if address else None)
    assert errors.splitlines()[-1].removeprefix("__main__.").startswith(f"NotInstalled: {MISSING}")


def test_jupyter_shows_the_sentence_alone(tmp_path):
    """In a kernel, which has lawjax: the cell is made to look for a module that is not there."""
    cell = nbformat.v4.new_code_cell(
        install_cell("quickstart").replace('find_spec("lawjax")', 'find_spec("no_lawjax")')
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])
    resources = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources, allow_errors=True)
    client.execute()
    [shown] = cell.outputs
    [sentence] = shown.traceback
    assert_one_sentence(sentence)
    assert sentence.startswith(MISSING)


def test_nothing_is_installed_where_lawjax_is(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "lawjax.py").touch()
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "lawjax-0.1.0-py3-none-any.whl").touch()
    assert installed(tmp_path, install_cell("quickstart")) == ("", "", None)
