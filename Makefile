# The same targets serve people and CI. Everything is installed into .venv, once: the stamps below remember it.
#
#   make demo     install, then show the sick network, the improved one and each remedy, and cure the sick one
#   make test     the quick and complete suite: format, lint, types, contracts, tests
#   make soak     the tests that take minutes          make bench    the measurements
#   make format   format the source                    make docs     write docs/rules/ from the rules
#   make clean    remove caches and builds (.venv stays: rm -r .venv)

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
PINNED := --constraint constraints.txt

# On Linux x86-64 the CPU build is half the download, and nothing here needs a GPU. `make demo EXTRA=tensorflow`
# takes the other one.
EXTRA  ?= $(if $(filter Linux-x86_64,$(shell uname -s)-$(shell uname -m)),tensorflow-cpu,tensorflow)
MB     := $(if $(filter tensorflow-cpu,$(EXTRA)),360,660)

PARTS  := keras rest jax scripts torch

.DEFAULT_GOAL := help
.PHONY: help demo test $(PARTS:%=test-%) lint format contracts browser soak bench docs clean

help:
	@sed -n '/^#/!q;s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.base
	$(BIN)/unvanish demo

# Keras picks its backend when it is imported, so that the tests of what differs run once more on JAX and on torch. The
# parts run two at a time, the longest first, lint beside them: none keeps two cores busy. What each prints comes when it
# ends. PyTorch's small products take one thread: two runs whose threads wait for each other on the same cores were
# measured seven times slower.
BACKENDS := tests/keras_adapter tests/end_to_end
ARGUMENTS_keras   := tests/keras_adapter -m "not soak"
ARGUMENTS_scripts := tests/end_to_end -m "not soak"
ARGUMENTS_rest    := $(BACKENDS:%=--ignore %) -m "not soak"
ARGUMENTS_jax     := $(BACKENDS) -m "every_backend and not soak"
ARGUMENTS_torch   := $(ARGUMENTS_jax)
test-jax: export KERAS_BACKEND := jax
test-torch: export KERAS_BACKEND := torch
test soak: export OMP_NUM_THREADS := 1

test: $(VENV)/.dev browser
	@$(MAKE) --no-print-directory --jobs 2 --keep-going lint $(PARTS:%=test-%)

$(PARTS:%=test-%): test-%:
	@mkdir -p build && echo "testing $* into build/test-$*.txt ..."
	@$(BIN)/pytest $(ARGUMENTS_$*) >build/test-$*.txt 2>&1; code=$$?; cat build/test-$*.txt; exit $$code

lint: $(VENV)/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

format: $(VENV)/.dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

browser:
	@sh tools/install_browser.sh

soak: $(VENV)/.dev $(VENV)/.ray browser
	$(BIN)/pytest -m soak
	set -e; for backend in jax torch; do \
	  KERAS_BACKEND=$$backend $(BIN)/pytest $(BACKENDS) -m "every_backend and soak"; done

bench: $(VENV)/.dev
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/check.py
	set -e; for framework in torch keras-tensorflow keras-jax keras-torch; do \
	  $(BIN)/python bench/overhead.py $$framework; done
	$(BIN)/python bench/cases.py
	$(BIN)/python bench/cures.py
	$(BIN)/python bench/deep.py
	$(BIN)/python bench/zoo.py judge
	$(BIN)/python bench/trains.py judge fourth
	$(BIN)/python bench/forecast_accuracy.py --half report
	$(BIN)/python bench/forecast_speed.py
	$(BIN)/python bench/tutorial_forecast.py

docs: $(VENV)/.dev
	$(BIN)/python tools/make_rule_pages.py

clean:
	rm -rf build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find bench docs examples src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "unvanish needs Python 3.11, 3.12 or 3.13, found: $$($(PYTHON) --version 2>&1)"; \
	  echo "try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.base: $(VENV)/.python pyproject.toml constraints.txt
	@echo "Installing unvanish[$(EXTRA)] into $(VENV): about $(MB) MB to download, 1.8 GB on disk ..."
	$(PIP) install --quiet $(PINNED) pip setuptools
	$(PIP) install $(PINNED) --build-constraint constraints.txt --editable ".[$(EXTRA)]"
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "Installing JAX, torch and the tools of development into $(VENV): about 450 MB to download ..."
	$(PIP) install $(PINNED) --build-constraint constraints.txt --editable ".[$(EXTRA),jax,torch,parquet]" --group dev
	@touch $@

# Only tests that take minutes start a cluster: `make test` does without.
$(VENV)/.ray: $(VENV)/.dev
	@echo "Installing Ray into $(VENV): about 75 MB to download ..."
	$(PIP) install $(PINNED) --build-constraint constraints.txt --editable ".[ray]"
	@touch $@
