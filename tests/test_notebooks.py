"""The notebooks run from top to bottom, and what they show is true."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

QUICKSTART = Path(__file__).parents[1] / "notebooks" / "quickstart.ipynb"

# Runs after the last cell, on the variables that a reader has then. W, b, a and c are evaluated here by hand.
CHECKS = """
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


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_quickstart_is_committed_without_outputs():
    notebook = nbformat.read(QUICKSTART, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))


def test_quickstart_runs_from_top_to_bottom(tmp_path):
    notebook = nbformat.read(QUICKSTART, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(CHECKS))
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    figures = [
        cell.source for cell in code_cells(notebook) for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    assert figures == ["plots.figure2(table)"]
    leftovers = [path.name for path in tmp_path.iterdir()]
    assert not leftovers, f"The notebook wrote {leftovers} beside itself."
