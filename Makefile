# Two commands matter: `make compile` and `make test`. Each sets everything up first, once.

PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= 2

BIN := $(VENV)/bin
PY  := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input

# The resolver is not needed to install, only to write the lock.
UV_REQUIREMENT := uv>=0.9,<1

SOURCES := dse_cli tests scripts .ci/offline $(wildcard bench)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup lint format test compile bench lock clean

help:  ## list these targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- set up -------------------------------------------------------------------------------------

setup: $(VENV)/.installed  ## create .venv from the hashed lock and install dse into it, once

# Only what the lock names, only with the bytes that it names.
$(VENV)/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "dse needs Python 3.11 or later; name one with: make setup PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --require-hashes -r requirements.lock
	@touch $@

# hatchling is in the lock, so building fetches nothing.
$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# --- check --------------------------------------------------------------------------------------

lint: setup  ## ruff, mypy --strict and the layer contracts
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

test: lint  ## everything: lint, then every test
	$(PY) -m pytest -n $(JOBS)

# --- use ----------------------------------------------------------------------------------------

compile: setup  ## compile example 1 on the embedded model and promote it through the gate
	$(BIN)/dse models pull local-plus
	$(BIN)/dse compile route-ticket
	$(BIN)/dse promote route-ticket --latest

bench: setup  ## speed, as ratios against dspy.Evaluate where dspy is installed
	$(PY) -m bench

# --- maintain -----------------------------------------------------------------------------------

lock: $(VENV)/.installed  ## write requirements.lock again from pyproject.toml (make lock UPGRADE=--upgrade)
	$(PIP) install --quiet '$(UV_REQUIREMENT)'
	$(BIN)/uv pip compile pyproject.toml --extra local --group dev \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet $(UPGRADE) \
		--custom-compile-command 'make lock' --output-file requirements.lock

clean:  ## remove what make and the tools made; caches of dse (.dse/) stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find dse_cli tests scripts bench -type d -name __pycache__ -prune -exec rm -rf {} +
