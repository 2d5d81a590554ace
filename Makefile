# Each target does all its set-up on a fresh machine.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# most tests wait most of the time; each of these processes has a Postgres of its own
JOBS ?= 3
# a browser, a service, a worker and a server of screens in one process: at the end of the others, where what hundreds
# of tests left behind shares that process, its document came late in two of two runs; by itself it takes 12 s
ALONE := tests/hybrid/test_in_the_browser.py
STAMP := $(VENV)/.parsedeck

LEGACY := $(VENV)/legacy/.ready
# what the older client declares and LlamaParse never imports
UNUSED := networkx nltk aiohttp aiohappyeyeballs aiosignal attrs frozenlist multidict propcache yarl tiktoken regex \
  joblib dirtyjson aiosqlite cloudpickle defusedxml setuptools pyyaml python-dotenv nest-asyncio griffecli

.PHONY: help setup run test browser legacy check bench soak lock clean

help: ## what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: $(STAMP) ## .venv with the pinned packages

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Parsedeck needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup ## the console, API and worker on this machine
	$(BIN)/parsedeck up

browser: setup
	@$(BIN)/python tests/ensure_browser.py

legacy: $(LEGACY) ## the older official client, in an environment of its own, for its tests

$(LEGACY): tests/simulator/legacy.lock | setup
	$(PYTHON) -m venv $(VENV)/legacy
	$(VENV)/legacy/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps \
	  --require-hashes -r tests/simulator/legacy.lock
	@touch $@

test: setup browser legacy ## every test, the browser's too
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --ignore=$(ALONE)
	$(BIN)/python -m pytest $(ALONE)

check: setup ## format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## figures, one JSON line each
	$(BIN)/python -m bench

soak: setup ## long crash and load runs
	$(BIN)/python -m pytest -m soak --timeout 3600

lock: setup ## pin every package anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 --upgrade --output-file requirements.lock
	$(BIN)/uv pip compile tests/simulator/legacy.in --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 --upgrade $(addprefix --no-emit-package ,$(UNUSED)) --output-file tests/simulator/legacy.lock

clean: ## remove what was made here
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
