# Every target sets up .venv by itself; python3 with venv and make are all it takes.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.PHONY: demo test check learn bench docs clean

demo: .venv/.ready
	$(BIN)/plaudit demo

test: .venv/.ready
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/house

learn: .venv/.ready
	$(BIN)/python -m benchmarks.control

bench: .venv/.ready
	$(BIN)/pip install -q stable-baselines3 -c constraints.txt
	$(BIN)/python -m benchmarks.speed

docs: .venv/.ready
	$(BIN)/python -m pytest tests/house -k documented

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install -q --disable-pip-version-check -e '.[control,store,report,dev]' -c constraints.txt
	touch $@

clean:
	rm -rf .venv dist .pytest_cache .ruff_cache
