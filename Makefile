# The two commands of a fresh machine (Python 3.11+, git, make):
#   make papers/gidd/all        environment, data, then the paper's figures, tables and claims; SCALE=smoke|cpu|gpu|paper
#   make test                   environment, data, then the checks and the tests
#   make fuzz                   environment, then the fuzz tests in full
#   make smoke                  environment, data, then every paper at scale smoke, diffed with its reference
#   make gallery                environment, data, then one static page over everything: build/gallery/index.html
# make papers/<slug>/<target> works for every Snakemake target; make env is the set-up alone; make help lists all.

SCALE ?= cpu
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
STAMP := $(VENV)/.installed
TRITON := triton==3.7.1
# the target stands first: Snakemake takes what follows --config for settings
SETTINGS := --config scale=$(SCALE) $(if $(RECORDS),records=$(RECORDS))
# a build that was killed outright (SIGKILL, a power cut) leaves Snakemake's lock behind
UNLOCK := if nothing else builds here and Snakemake speaks of a lock: snakemake --unlock, then make again
BUILD = snakemake $@ $(SETTINGS) || { echo "$(UNLOCK)" >&2; exit 1; }
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help env data test fuzz mutations smoke lint all diff claims gallery FORCE

## all       every paper's figures, tables and claims
## diff      every paper, compared with its reference; exit status 2 on drift
## claims    the verdicts of every paper
## gallery   one static page over everything: build/gallery/index.html
all diff claims gallery: env data
	$(BUILD)

## papers/<slug>/all, papers/<slug>/diff    the same for one paper

papers/%: env data FORCE
	$(BUILD)

## env       the environment alone: .venv from requirements.lock
env: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --requirement requirements.lock
	python -m pip install --quiet --no-deps --editable .
	@# tests run the Triton kernels under its interpreter; no wheel off Linux, where they are skipped
	@python -c "import triton" 2>/dev/null || python -m pip install --quiet $(TRITON) || echo "no Triton here; going on without"
	@# the CPU kernels, where there is a compiler; the first that needs them builds them otherwise
	@python -m shared.kernels.compiled 2>/dev/null || true
	@touch $@

## data      datasets and recorded runs (dvc pull)
data: env
	@python -m shared.data.pull

## lint      ruff, and the floors of shared/
lint: env
	ruff check .
	ruff format --check .
	lint-imports

## test      lint, then the test suite
test: lint data
	OMP_NUM_THREADS=1 python -m pytest --numprocesses 2 --dist loadfile

## fuzz      thousands of mutations of papers' settings, declarations, tables, records at smoke, and of command lines
fuzz: env
	OMP_NUM_THREADS=1 FUZZ_EXAMPLES=2000 python -m pytest -m fuzz tests/papers/test_fuzz.py

## mutations  errors planted one at a time: do the tests notice? exit status 2 below 90 % (tests/mutations/README.md)
mutations: env data
	python -m tests.mutations

## smoke     every paper at scale smoke, diffed; page of what drifted: build/diff/index.html
# two papers once more as another processor would: one that trains, one that is exact
smoke: env data
	python -m shared.artifacts.smoke; status=$$?; python -m shared.gallery.diff --scale smoke; exit $$status
	python -m shared.artifacts.processors gidd logistic_gd --scale smoke --processor sse-1-thread

help:
	@echo "make TARGET [SCALE=smoke|cpu|gpu|paper] [RECORDS=own|dvc|published]   on a fresh machine, without an environment"
	@sed -n 's/^## /  /p' $(firstword $(MAKEFILE_LIST))

FORCE:
