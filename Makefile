# Everything sets itself up on a machine with Python 3.11 or later, pip, make and git.
PYTHON ?= python3
# Test processes: a number, `auto` (one per core) or 0 (in this process).
JOBS ?= auto

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := test
.PHONY: venv test test-slow reproduce benchmarks clean

venv: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VENV)/.benchmarks-ready: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,benchmarks]'
	touch $@

# Style, types and the quick tests, whose many small programs take longer to optimise than to run: XLA leaves them as they
# are, here alone. A process goes through neighbouring tests, which share what it has compiled.
test: venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	XLA_FLAGS="$(XLA_FLAGS) --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false" \
		$(BIN)/pytest -m "not slow" -n $(JOBS) --dist worksteal --durations 10

# Every test, and every notebook run from top to bottom.
test-slow: venv
	$(BIN)/pytest -n $(JOBS)
	JAX_COMPILATION_CACHE_DIR="$(CURDIR)/.pytest_cache/jax" $(BIN)/pytest --nbmake notebooks

# Figures 1 to 3 at laptop scale, into runs/laptop.
reproduce: venv
	$(BIN)/python experiments/reproduce.py

# Speed against other implementations; installs PyTorch.
benchmarks: $(VENV)/.benchmarks-ready
	set -e; for script in benchmarks/*.py; do $(BIN)/python "$$script"; done

# Removes what this file and the tools made; results under runs/ stay.
clean:
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find lawjax experiments benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +
