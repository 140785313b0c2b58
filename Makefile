# All that a fresh Debian-like machine with Python 3.11 or newer needs: `make test`.

PYTHON ?= python3
VENV ?= .venv
VERSIONS ?= 3.11 3.12 3.13
ARGS ?=
POOL_ARGS ?=
CHAOS_ARGS ?=
MINUTES ?= 30

BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

.PHONY: help test test-all pytest lint format demo bench chaos chaos-page soak install servers clean

help:
	@echo "make test      lint, then every test against real servers (ARGS='-k race' goes to pytest)"
	@echo "make test-all  every test under each Python of $(VERSIONS) that is found"
	@echo "make lint      ruff, mypy and import-linter"
	@echo "make format    let ruff mend what it can"
	@echo "make demo      watch a cluster lose nodes"
	@echo "make bench     measure what a connect costs, and a lease from the pool"
	@echo "make chaos     every fault on real clusters, for us and for others (CHAOS_ARGS='--ours --scene frozen')"
	@echo "make chaos-page  the page and the pictures of docs/explanation, from the last run"
	@echo "make soak      random faults for MINUTES=30, from a printed seed"
	@echo "make clean     remove environments and caches"

test: install servers
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory pytest

test-all: servers
	@for version in $(VERSIONS); do \
	    if python=$$(scripts/find-python.sh $$version); then \
	        echo "== Python $$version: $$python"; \
	        $(MAKE) --no-print-directory pytest VENV=.venvs/$$version PYTHON=$$python || exit 1; \
	    else \
	        echo "== Python $$version was not found and is left out"; \
	    fi; \
	done

pytest: install servers
	$(BIN)/python -m pytest $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: $(VENV)/.installed-demo
	$(BIN)/python scripts/demo.py $(ARGS)

bench: $(VENV)/.installed-bench servers
	$(BIN)/python -m bench.connect $(ARGS)
	$(BIN)/python -m bench.pool $(POOL_ARGS)

chaos: $(VENV)/.installed-bench servers
	$(BIN)/python -m chaos $(CHAOS_ARGS)

chaos-page: $(VENV)/.installed-bench
	$(BIN)/python -m chaos.page chaos-results/chaos.json

soak: $(VENV)/.installed-bench servers
	$(BIN)/python -m chaos.soak --minutes $(MINUTES) $(CHAOS_ARGS)

install: $(VENV)/.installed-dev

servers:
	@scripts/install-servers.sh

# Stamps: nothing is installed again until pyproject.toml changes.
$(VENV)/.installed-dev: pyproject.toml
	scripts/make-venv.sh $(PYTHON) $(VENV)
	$(INSTALL) . --group dev
	@touch $@

$(VENV)/.installed-demo: pyproject.toml
	scripts/make-venv.sh $(PYTHON) $(VENV)
	$(INSTALL) '.[demo]'
	@touch $@

$(VENV)/.installed-bench: pyproject.toml
	scripts/make-venv.sh $(PYTHON) $(VENV)
	$(INSTALL) . --group test --group bench
	@touch $@

clean:
	rm -rf .venv .venvs .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find src tests examples bench chaos -name __pycache__ -prune -exec rm -rf {} +
