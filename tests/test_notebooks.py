"""The notebooks run from top to bottom, and what they show is true."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

# Run after the last cell, on the variables that a reader has then. W, b, a and c are evaluated here by hand.
QUICKSTART = """
assert [result.fitted for result in results] == [True] * 3
assert len(table) == 32 and table["fitted"].sum() >= 28
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
CASES = [("quickstart", QUICKSTART, ["plots.figure2(table)"]), ("frontier", FRONTIER, ["figure.show()"])]


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_every_notebook_is_tested():
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == sorted(name for name, _, _ in CASES)


@pytest.mark.parametrize("name", [name for name, _, _ in CASES])
def test_notebooks_are_committed_without_outputs(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))


@pytest.mark.parametrize(("name", "checks", "drawn"), CASES)
def test_notebooks_run_from_top_to_bottom(name, checks, drawn, tmp_path):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
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
