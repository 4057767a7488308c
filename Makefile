# `make demo` and `make test` set up everything they need in .venv and .node; nothing is installed elsewhere.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
NULL := nul
else
BIN := $(VENV)/bin
NULL := /dev/null
endif
# Of `make demo`: filesystem, s3 or azure.
KIND := filesystem
READY := $(VENV)/.ready
AZURITE := .node/.ready

# Also for people who have Python keep no bytecode: each worker, and many a test, would compile everything again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test check tests unit-tests lint docs soak clean

demo: $(READY) $(if $(filter azure,$(KIND)),$(AZURITE))
	@$(BIN)/pmarep demo --kind $(KIND)

# All that is checked. Types and documents are checked beside the tests, which leave time between them.
test: $(READY) $(AZURITE)
	@$(MAKE) --no-print-directory -j3 lint docs tests

# In a fresh clone: pytest compiles 300 modules of tests, which each worker would do for itself.
COMPILE_TESTS = $(if $(wildcard tests/unit/__pycache__ tests/unit/*/__pycache__),,$(BIN)/python -m pytest --collect-only -qq >$(NULL))

# Each worker takes the next file: tests/faults are first, and the short ones of tests/unit last, so that no core has
# nothing to do while another is at the last long tests.
FILES_IN_ORDER = --dist loadfile --no-loadscope-reorder

tests: $(READY) $(AZURITE)
	-@$(COMPILE_TESTS)
	$(BIN)/python -m pytest -n 4 $(FILES_IN_ORDER)

# Kills pushes at random moments and compares every byte; then as many random campaigns of two machines against servers
# that restart, fail and lose bytes; then ten times the examples, nights and restarts of `make test`, and random ones.
# CYCLES=20 for a short one, SEED=7 to repeat one.
CYCLES := 200
soak: $(READY) $(AZURITE)
	$(BIN)/python benchmarks/soak.py --cycles $(CYCLES) $(if $(SEED),--seed $(SEED))
	PMAREP_CAMPAIGNS=$(CYCLES) $(if $(SEED),PMAREP_FAULT_SEED=$(SEED)) $(BIN)/python -m pytest -s --timeout 0 tests/faults/test_campaigns.py
	PMAREP_MODEL_EXAMPLES=50 PMAREP_RESTARTS=10 $(BIN)/python -m pytest -n 2 --timeout 0 $(if $(SEED),--hypothesis-seed $(SEED)) \
		tests/faults/test_model.py tests/faults/test_two_machines.py tests/faults/test_restarts.py
	$(BIN)/python -m pytest -n 2 --timeout 0 --hypothesis-profile random $(if $(SEED),--hypothesis-seed $(SEED)) -m hypothesis tests/unit

# What is quick: lint, types, unit tests.
check: $(READY)
	@$(MAKE) --no-print-directory -j2 lint unit-tests

unit-tests: $(READY)
	-@$(COMPILE_TESTS)
	$(BIN)/python -m pytest -n 2 $(FILES_IN_ORDER) tests/unit

# The manual, into site/. It fails at a link or an anchor that leads nowhere, and at a page that loads what is elsewhere.
export NO_MKDOCS_2_WARNING := 1
docs: $(READY)
	@$(BIN)/python -m mkdocs build --strict
	@echo "the manual is in site/index.html"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pmarep needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3")'
	@echo "Setting up $(VENV) (once; takes a minute or two) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

# npm's own limits do not end an installation where a firewall or a certificate is in between.
WITHIN_3_MINUTES := $(PYTHON) -c 'import shutil, subprocess, sys; sys.exit(subprocess.call([shutil.which(sys.argv[1]), *sys.argv[2:]], timeout=180))'

# Azure root-directories need Azurite. Where it cannot be had, tests are skipped and say so: this never fails.
$(AZURITE):
	@if ! command -v npm >/dev/null 2>&1; then echo "npm is not here, so Azurite is not set up"; \
	elif echo "Setting up .node (once; takes half a minute) ..." && mkdir -p .node && $(WITHIN_3_MINUTES) npm install --silent \
		--no-audit --no-fund --no-save --no-package-lock --fetch-retries 1 --fetch-retry-mintimeout 1000 --prefix .node azurite@3 2>/dev/null; \
	then touch $@; else echo "npm could not install Azurite"; fi

clean:
	rm -rf .node site $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@$(PYTHON) -Bc 'import pathlib, shutil; [shutil.rmtree(found) for top in ("src", "tests", "benchmarks") for found in list(pathlib.Path(top).rglob("__pycache__"))]'
