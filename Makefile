# The two commands of a fresh machine (Python 3.11+, git, make):
#   make papers/gidd/all        environment, data, then the paper's figures, tables and claims; SCALE=smoke|cpu|gpu|paper
#   make test                   environment, data, then the checks and the tests
#   make fuzz                   environment, then the fuzz tests in full
#   make smoke                  environment, data, then every paper at scale smoke, diffed with its reference
# make papers/<slug>/<target> works for every Snakemake target; make env is the set-up alone.

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

.PHONY: env data test fuzz smoke lint all diff claims FORCE

all diff claims: env data
	$(BUILD)

papers/%: env data FORCE
	$(BUILD)

env: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --requirement requirements.lock
	python -m pip install --quiet --no-deps --editable .
	@# tests run the Triton kernels under its interpreter; no wheel off Linux, where they are skipped
	@python -c "import triton" 2>/dev/null || python -m pip install --quiet $(TRITON) || echo "no Triton here; going on without"
	@touch $@

data: env
	@python -m shared.data.pull

lint: env
	ruff check .
	ruff format --check .
	lint-imports

test: lint data
	OMP_NUM_THREADS=1 python -m pytest --numprocesses 2 --dist loadfile

# thousands of mutations of every paper's settings, declarations, records and of command lines
fuzz: env
	OMP_NUM_THREADS=1 FUZZ_EXAMPLES=2000 python -m pytest -m fuzz tests/papers/test_fuzz.py

# two papers once more as another processor would: one that trains, one that is exact
smoke: env data
	python -m shared.artifacts.smoke
	python -m shared.artifacts.processors gidd logistic_gd --scale smoke --processor sse-1-thread

FORCE:
