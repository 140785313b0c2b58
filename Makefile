# All that a fresh Debian-like machine with Python 3.11 or newer needs: `make test`.

PYTHON ?= python3
VENV ?= .venv
VERSIONS ?= 3.11 3.12 3.13
ARGS ?=
MINUTES ?= 30

BIN = $(VENV)/bin
OLDEST = .venvs/minimum
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

.PHONY: help test test-all pytest lint format demo bench chaos chaos-page soak docs install servers dist lock \
    test-minimum clean

help:
	@echo "make test      lint, then every test against real servers (ARGS='-k race' goes to pytest)"
	@echo "make test-all  every test under each Python of $(VERSIONS) that is found"
	@echo "make test-minimum  what needs no server, and each driver's suite, on the oldest dependencies that are allowed"
	@echo "make lint      ruff, mypy, pyright, import-linter, and an audit of the dependencies"
	@echo "make format    let ruff mend what it can"
	@echo "make demo      watch a cluster lose nodes"
	@echo "make bench     measure what connects and leases cost, beside the peers (ARGS='--list', ARGS='tail --quick')"
	@echo "make chaos     every fault on real clusters, for us and for the peers (ARGS='--ours --scene frozen')"
	@echo "make chaos-page  the page and the pictures of docs/explanation, from the last run"
	@echo "make soak      random faults for MINUTES=30, from a printed seed"
	@echo "make docs      build the pages of docs/ into build/docs, warnings are errors"
	@echo "make dist      build dist/ and test the wheel that is in it"
	@echo "make lock      pin the newest dependencies in requirements/development.txt"
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

# tests/test_docs.py is left out: pages list the exceptions of the newest asyncpg.
test-minimum: servers
	rm -rf $(OLDEST)
	scripts/make-venv.sh $(PYTHON) $(OLDEST)
	$(OLDEST)/bin/python scripts/minimum.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --editable '.[all]' --group test --constraint $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pytest -n 2 --dist loadgroup -m 'not integration' --ignore tests/test_docs.py $(ARGS)
	$(OLDEST)/bin/python -m pytest -n 2 --dist loadgroup tests/integration/test_driver_suite.py $(ARGS)

pytest: install servers
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python scripts/audit.py

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: $(VENV)/.installed-demo
	$(BIN)/python -m aioclustersql.demo $(ARGS)

bench: $(VENV)/.installed-bench servers
	$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/docs
	@echo "the pages are in build/docs/index.html"

chaos: $(VENV)/.installed-bench servers
	$(BIN)/python -m chaos $(ARGS)

chaos-page: $(VENV)/.installed-bench
	$(BIN)/python -m chaos.page chaos-results/chaos.json

dist: $(VENV)/.installed-release servers
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m scripts.check_dist dist

# Neither a registry's address nor a path is written, so that every machine writes the same.
lock: $(VENV)/.installed-release
	$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --all-extras \
	    --group dev --group bench --group docs --group release --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-annotate --custom-compile-command 'make lock' --output-file requirements/development.txt

soak: $(VENV)/.installed-bench servers
	$(BIN)/python -m chaos.soak --minutes $(MINUTES) $(ARGS)

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

$(VENV)/.installed-docs: pyproject.toml
	scripts/make-venv.sh $(PYTHON) $(VENV)
	$(INSTALL) '.[all]' --group docs
	@touch $@

$(VENV)/.installed-release: pyproject.toml
	scripts/make-venv.sh $(PYTHON) $(VENV)
	$(INSTALL) . --group release
	@touch $@

clean:
	rm -rf .venv .venvs .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find src tests examples bench chaos -name __pycache__ -prune -exec rm -rf {} +
