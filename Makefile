# Two commands for everyone: `make demo` and `make test`. They need Python 3.11 or newer and make, nothing else.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8765
BIN := $(VENV)/bin
PAGE := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check docs lock clean

help:
	@echo "make demo                  set up, make a simulated library, process it, serve it on 127.0.0.1"
	@echo "make demo STUDIES=folder   the same with your own DICOM files"
	@echo "make test                  set up and run all tests"
	@echo "make check | docs          format, lint, types, rooms | documentation"

demo: $(VENV)/.base
	$(BIN)/coread demo --port $(PORT) $(if $(STUDIES),--studies "$(STUDIES)")

test: $(VENV)/.dev
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(VENV)/.dev
	$(BIN)/python docs/build.py

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "CoRead needs Python 3.11 or newer; this is $$($(PYTHON) --version). Say PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.base: $(VENV)/.python requirements/base.lock pyproject.toml hatch_build.py $(PAGE)
	@echo "Installing what CoRead needs (a few minutes the first time)"
	@test -e $(VENV)/.dev || $(BIN)/python -m pip install --require-hashes -r requirements/base.lock
	@echo "Installing CoRead and building its reading page"
	$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.python requirements/dev.lock pyproject.toml hatch_build.py $(PAGE)
	@echo "Installing what CoRead and its tests need (a few minutes the first time)"
	$(BIN)/python -m pip install --require-hashes -r requirements/dev.lock
	@echo "Installing CoRead and building its reading page"
	$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	@touch $@

lock:
	uv pip compile pyproject.toml --group build --universal --generate-hashes --python-version 3.11 \
		--no-header --no-emit-index-url -o requirements/base.lock
	uv pip compile pyproject.toml --group dev --universal --generate-hashes --python-version 3.11 \
		--no-header --no-emit-index-url -c requirements/base.lock -o requirements/dev.lock

clean:
	rm -rf $(VENV) build dist site src/coread/server/static web/node_modules demo-library
