# setup is the only step that needs the network; a second `make setup` does nothing.
PYTHON ?= python3.11
BIN := .venv/bin
TESTS ?= tests
# Tests run in two processes of one thread each; `PROCESSES=0` runs them in one, for a debugger.
PROCESSES ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n $(PROCESSES) --dist worksteal

.PHONY: setup demo test fuzz lint bench clean

setup: .venv/ready .venv-blender/ready

.venv/ready: pyproject.toml constraints/main.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints/main.txt torch
	$(BIN)/pip install --quiet --constraint constraints/main.txt --editable '.[dev]'
	touch $@

.venv-blender/ready: constraints/blender.txt
	$(PYTHON) -m venv .venv-blender
	.venv-blender/bin/pip install --quiet --constraint constraints/blender.txt bpy
	touch $@

demo: setup
	$(BIN)/drivelet run mini --workers 2 --out out/demo

lint: setup
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/lint-imports
	$(BIN)/pyright

test: lint
	$(PYTEST) $(TESTS)

# The long fuzz runs over every reader; a short run of each is in `make test`.
fuzz: setup
	$(PYTEST) -m fuzz $(TESTS)

bench: setup
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv .venv-blender out build dist
