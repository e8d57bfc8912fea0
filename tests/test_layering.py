"""Imports run downwards only, and each outside library has one door. Read from the source, nothing is imported."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From the ground up. A package stands for all its modules unless they are named; modules of one floor may import each
# other as long as no circle arises. A new module takes its place here.
FLOORS = (
    ("errors", "check"),
    ("arguments", "files"),
    ("checksums", "progress"),
    ("keys", "activations", "tuning"),
    ("network",),
    ("data", "standard", "vectors", "domains"),
    ("train.config",),
    ("train.model", "train.initial"),
    ("train.slots",),
    ("train.step",),
    ("train.pack",),
    ("train.training",),
    ("quantiles",),
    ("lipschitz.verified", "lipschitz.doubled", "lipschitz.scale", "lipschitz.padding", "lipschitz.splitting"),
    ("lipschitz.lower",),
    ("lipschitz.upper",),
    ("lipschitz.bracketing",),
    ("theory.tensors",),
    ("theory.constructions", "theory.lower_bounds"),
    ("frontier",),
    ("sweep.grid", "sweep.paths", "sweep.reasons", "sweep.environment", "sweep.options"),
    ("sweep.devices", "sweep.work", "sweep.locks", "sweep.damage", "sweep.checkpoints"),
    ("sweep.leases",),
    ("sweep.claims",),
    ("sweep.packing",),
    ("sweep.plan", "sweep.measurements", "sweep.state", "sweep.datasets"),
    ("sweep.schema",),
    ("sweep.config", "sweep.probes", "sweep.record"),
    ("sweep.store", "sweep.rows", "sweep.staging", "sweep.forecast"),
    ("sweep.loop",),
    ("sweep.progress", "sweep.executor", "sweep.ray_executor", "sweep.slurm_executor"),
    ("sweep.runner", "sweep.retraining", "sweep.brackets", "sweep.jobs"),
    ("sweep.inspect",),
    ("report.intervals",),
    ("report.fits", "report.markdown"),
    ("report.plots",),
    ("report.networks", "report.summary"),
    ("cli.parser", "cli.refusals", "cli.signals"),
    ("cli.bounds", "cli.bracket", "cli.check", "cli.construct", "cli.export", "cli.frontier", "cli.inspect", "cli.run"),
    ("cli.entry",),
    ("cli.options",),
    ("cli",),
    ("__main__",),
)


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path):
    """`sweep.plan` for lawjax/sweep/plan.py; `sweep` for its __init__.py and the empty string for lawjax's own."""
    parts = path.relative_to(ROOT / "lawjax").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / "lawjax").rglob("*.py"))}
PACKAGES = {name for name, path in MODULES.items() if path.name == "__init__.py"}


def imports(path):
    """Every dotted name that a file imports, at any depth; `from a import b` gives a.b."""
    names = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import; write the full name."
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_imports(path):
    """The modules of lawjax that a file imports, as named in MODULES."""
    found = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "lawjax":
            ends = (".".join(parts[1:stop]) for stop in range(len(parts), 0, -1))
            found.add(next((end for end in ends if end in MODULES), ""))
    return found


def outside_imports(path):
    return {name.split(".")[0] for name in imports(path)}


def floor(module):
    for height, names in enumerate(FLOORS):
        if any(module == name or module.startswith(f"{name}.") for name in names):
            return height
    pytest.fail(f"lawjax/{module} has no place yet: add it to FLOORS in tests/test_layering.py.")


LAYERED = sorted(MODULES.keys() - PACKAGES)


def test_the_parser_sees_imports():
    assert {"errors", "activations"} <= own_imports(MODULES["network"])
    assert "jax" in outside_imports(MODULES["network"])


@pytest.mark.parametrize("module", LAYERED)
def test_imports_run_downwards(module):
    height = floor(module)
    above = {other for other in own_imports(MODULES[module]) - PACKAGES if floor(other) > height}
    assert not above, f"lawjax.{module} imports {sorted(above)}, which stand above it."


def test_imports_have_no_circles():
    graph = {name: own_imports(path) - {name} for name, path in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError and names the circle


@pytest.mark.parametrize(
    ("library", "doors"),
    [
        ("flax", {"train.model"}),
        ("orbax", {"sweep.checkpoints"}),
        ("ray", {"sweep.ray_executor"}),
        ("submitit", {"sweep.slurm_executor"}),
        ("tyro", {"cli.parser"}),
        ("lazy_loader", {"", "report", "sweep", "theory"}),
        ("experiments", set()),
    ],
)
def test_each_library_has_one_door(library, doors):
    assert {name for name, path in MODULES.items() if library in outside_imports(path)} <= doors


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("report.")])
def test_tables_and_figures_need_no_jax(module):
    assert not outside_imports(MODULES[module]) & {"jax", "jaxlib", "flax", "optax", "orbax", "chex"}


def calls_on_import(tree):
    """Calls that run when the module is imported: all but those in bodies of functions."""
    todo = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            todo += [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)]
        elif not isinstance(node, ast.Lambda):
            todo += ast.iter_child_nodes(node)
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func)


def test_calls_on_import_are_seen():
    source = "import jax\nif True:\n  jax.config.update('a', 1)\ndef f():\n  jax.devices()\nclass A:\n  x = g()"
    tree = ast.parse(source)
    assert sorted(calls_on_import(tree)) == ["g", "jax.config.update"]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_importing_configures_nothing(module):
    tree = parse(MODULES[module])
    assert not [call for call in calls_on_import(tree) if call.endswith("config.update")]
    assert not [n for n in imports(MODULES[module]) if n.startswith(("jax._src", "jaxlib._src"))], "private JAX import"
