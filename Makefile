# make demo: train on a real text for about a minute, evaluate, write.   make test: every check.
# make docs: docs/reference.md and docs/rnncli.1, from the program itself.
# make test-processors: the main commands on emulated processors (x86-64 without AVX-512, ARM), where qemu-user is.
# make faults: the long campaigns of tests/faults, which make test runs in a short form.
PYTHON ?= python3
BIN := .venv/bin
DEMO_TEXT := data/python-manual.txt
DEMO := $(BIN)/rnncli

.PHONY: demo test test-processors faults docs bench clean
.DELETE_ON_ERROR:

demo: .venv/installed $(DEMO_TEXT)
	rm -rf models/demo
	$(DEMO) train $(DEMO_TEXT) --time 60s --name demo
	$(DEMO) eval --model demo
	$(DEMO) generate --model demo --prompt "The " --length 400 --seed 1

test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist worksteal --ignore=tests/processors

test-processors: .venv/installed-dev
	$(BIN)/pytest -n 2 --dist worksteal -rs tests/processors

docs: .venv/installed
	$(DEMO) manual --format markdown > docs/reference.new && mv docs/reference.new docs/reference.md
	$(DEMO) manual > docs/rnncli.new && mv docs/rnncli.new docs/rnncli.1

# In environments of their own under .bench/, in about an hour: make bench TEXT=novel.txt
bench: .venv/installed-dev
	$(BIN)/python -m benchmarks $(TEXT)
	$(BIN)/python -m benchmarks.growth $(TEXT)
	$(BIN)/python -m benchmarks.tables

faults: .venv/installed-dev
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

clean:
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache models/demo
