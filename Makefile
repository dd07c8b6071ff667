# Needs python3 (3.11 or newer), make, and for the browser tests Chromium, which apt brings.

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=

BIN  := $(VENV)/bin
# Who has nothing left to do takes over tests of the others.
PARALLEL := --numprocesses auto --dist worksteal
PIP  := $(BIN)/python -m pip --disable-pip-version-check -qq
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
        --fork-strategy fewest --generate-hashes --no-emit-index-url \
        --custom-compile-command 'make lock'

CATALOGUES := $(wildcard broker/translations/*/LC_MESSAGES/*.po)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help setup setup-runtime demo test test-fast accessibility browser bench lint \
        format screenshots wheel messages lock clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- What runs ---------------------------------------------------------------------------

demo: setup-runtime ## Load the demonstration exchange, match it, serve it on 127.0.0.1:8000
	@$(BIN)/broker demo $(ARGS)

test: setup browser ## Run every test, the journeys in a real browser last
	$(BIN)/python -m pytest -m "not browser" $(PARALLEL) $(ARGS)
	$(BIN)/python -m pytest -m browser $(PARALLEL) --maxprocesses 4 $(ARGS)

test-fast: setup ## Run the tests of the rules, the engine and the texts: under a minute
	$(BIN)/python -m pytest tests/models tests/matching tests/test_*.py \
	    -m "not (postgres or slow)" $(PARALLEL) $(ARGS)

accessibility: setup browser ## Look at every page as every role, in every language, light and dark
	ACCESSIBILITY=whole $(BIN)/python -m pytest tests/journeys/test_accessibility.py \
	    $(PARALLEL) --maxprocesses 4 $(ARGS)

bench: setup ## Measure speed and ranking quality
	$(BIN)/python -m benchmarks $(ARGS)

lint: setup ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## Put the code into its one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

screenshots: setup browser ## Take the documentation's screenshots afresh
	$(BIN)/python docs/make_screenshots.py

wheel: setup-runtime ## Build the wheel into dist/
	$(BIN)/python -m hatchling build --target wheel

messages: setup ## Carry new and changed texts into the translation catalogues
	mkdir -p build
	$(BIN)/pybabel extract -F babel.cfg -k lazy_gettext -k _l --add-location=file \
	    --sort-by-file -o build/messages.pot .
	$(BIN)/pybabel update -i build/messages.pot -d broker/translations --no-fuzzy-matching

clean: ## Remove what was built and cached; the environment and the databases stay
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis
	rm -f broker/translations/*/LC_MESSAGES/*.mo $(VENV)/translations.stamp
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# --- What it runs on ---------------------------------------------------------------------
# Each step leaves a stamp in the environment, so that a second run takes no time.

setup: $(VENV)/dev.stamp $(VENV)/product.stamp $(VENV)/translations.stamp ## Install everything needed to develop

setup-runtime: $(VENV)/runtime.stamp $(VENV)/product.stamp $(VENV)/translations.stamp

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1)." >&2; \
	    echo "Name another one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    $(call apt_install,python3-venv) || { \
	    echo "Python's venv module is missing. On Debian: sudo apt-get install python3-venv" >&2; \
	    exit 1; }; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime.stamp: requirements/runtime.txt requirements/build.txt | $(VENV)/pyvenv.cfg
	@echo "Installing the dependencies: some 250 MB, once"
	@$(PIP) install --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@touch $@

# The development lock holds the runtime one whole, in the same versions.
$(VENV)/dev.stamp: requirements/dev.txt requirements/iati.txt | $(VENV)/pyvenv.cfg
	@echo "Installing the dependencies, with those for development: some 500 MB, once"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --require-hashes --no-deps -r requirements/iati.txt
	@touch $@ $(VENV)/runtime.stamp

$(VENV)/product.stamp: pyproject.toml hatch_build.py | $(VENV)/runtime.stamp
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/translations.stamp: $(CATALOGUES) | $(VENV)/product.stamp
	@$(BIN)/python hatch_build.py
	@touch $@

# Playwright drives the system's Chromium: its own download is another 150 MB and is not needed.
browser:
	@for name in chromium chromium-browser google-chrome; do \
	    command -v $$name >/dev/null && exit 0; done; \
	$(call apt_install,chromium) || { \
	    echo "The browser tests need Chromium. On Debian: sudo apt-get install chromium" >&2; \
	    exit 1; }

# apt_install PACKAGE: as root, or by sudo where that asks for no password; else it fails.
define apt_install
{ as_root=; [ "$$(id -u)" = 0 ] || as_root="sudo -n"; \
  command -v apt-get >/dev/null && echo "Installing $(1) with apt" && \
  $$as_root apt-get update -qq && \
  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null; }
endef

# Only dev.txt is resolved freely; the others take its versions.
lock: $(VENV)/dev.stamp ## Pin the newest versions that pyproject.toml allows, with hashes
	$(LOCK) --upgrade pyproject.toml --all-extras --group dev -o requirements/dev.txt
	$(LOCK) -c requirements/dev.txt pyproject.toml -o requirements/runtime.txt
	$(LOCK) -c requirements/dev.txt pyproject.toml --all-extras -o requirements/server.txt
	$(LOCK) -c requirements/dev.txt --group build -o requirements/build.txt
	$(LOCK) --no-deps --group iati -o requirements/iati.txt
