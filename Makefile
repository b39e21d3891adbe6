# The targets use the virtual environment .venv and create it if it is missing.
PYTHON ?= python3
BIN := .venv/bin
DEMO_TEXT := data/python-manual.txt
DEMO := $(BIN)/rnncli
PYTEST := $(BIN)/pytest -n 2 --dist worksteal

.PHONY: help demo lint test test-all test-processors faults docs bench clean
.DELETE_ON_ERROR:

help: ## List the targets (the default).
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/installed $(DEMO_TEXT) ## Train on a text for one minute, evaluate and generate.
	rm -rf models/demo
	$(DEMO) train $(DEMO_TEXT) --time 60s --name demo
	$(DEMO) eval --model demo
	$(DEMO) generate --model demo --prompt "The " --length 400 --seed 1

lint: .venv/installed-dev ## Run ruff (lint and format) and mypy.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint ## Run the linters and the fast tests.
	$(PYTEST) --ignore=tests/processors -m "not slow"

test-all: lint ## Run the linters and all tests, with line coverage.
	$(PYTEST) --ignore=tests/processors --cov=rnncli --cov-report=term-missing:skip-covered

test-processors: .venv/installed-dev ## Run the main commands on emulated processors (needs qemu-user).
	$(PYTEST) -rs tests/processors

docs: .venv/installed ## Write docs/reference.md from the program's own help.
	$(DEMO) manual > docs/reference.new && mv docs/reference.new docs/reference.md

# Each tool gets an environment of its own under .bench/.
bench: .venv/installed-dev ## Compare rnncli with other tools (an hour; TEXT=novel.txt).
	$(BIN)/python -m benchmarks $(TEXT)
	$(BIN)/python -m benchmarks.growth $(TEXT)
	$(BIN)/python -m benchmarks.tables

faults: .venv/installed-dev ## Run the fault-injection tests in their long form (an hour).
	RNNCLI_FAULTS=long $(BIN)/pytest tests/faults

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("rnncli needs Python 3.11 or newer: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(DEMO_TEXT): data/python_manual.py
	$(PYTHON) data/python_manual.py > $@

clean: ## Delete the virtual environment, the caches and the demo model.
	rm -rf .venv .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache models/demo
