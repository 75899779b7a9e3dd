# Every target sets up its own environment in .venv (once, and again when the dependencies change).
# Needed beforehand: make and Python 3.11 or later with its venv module; another interpreter: make PYTHON=python3.12 test

PYTHON ?= python3
TORCH  := 2.13.0
EXTRAS := control,language,store,report,web,dev
BIN    := .venv/bin

export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

.PHONY: help demo test test-all check learn bench docs clean

help:  ## Say what there is.
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

demo: .venv/.ready  ## Set up and run the main job: feedback in, a better policy and a report out.
	$(BIN)/plaudit demo

test: .venv/.ready  ## Set up and pass the tests, without those that take longer than five seconds.
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m 'not learn and not slow'

test-all: .venv/.ready  ## Every test but the learning curves, as CI runs them.
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

check: .venv/.ready  ## Style, types, layers and the house rules.
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet . || { echo "Some files are not formatted; mend with: $(BIN)/ruff format ."; exit 1; }
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/house

learn: .venv/.ready  ## Learning curves, several seeds each.
	$(BIN)/python -m benchmarks.control
	$(BIN)/python -m benchmarks.preferences --only pendulum --only cartpole --only acrobot --seeds 3 --again
	$(BIN)/python -m benchmarks.random_walks
	$(BIN)/python -m benchmarks.people
	$(BIN)/python -m benchmarks.language

bench: .venv/.ready  ## Speed, also against peers.
	$(BIN)/python -m benchmarks.speed

docs: .venv/.ready  ## See that docs/algorithms.md speaks of every algorithm.
	$(BIN)/python -m pytest -q tests/house -k documented

clean:  ## Remove the environment and every cache; runs stay.
	rm -rf .venv dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first and alone: where pip was told of a CPU build it is taken, and everything after leaves it alone.
.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "plaudit needs Python 3.11 or later: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up .venv (once; several minutes, most of them torch) ..."
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet torch==$(TORCH)
	$(BIN)/pip install --quiet -e '.[$(EXTRAS)]' -c constraints.txt
	@touch $@
