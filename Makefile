# Every target sets up .venv by itself when it is missing or when the lock or pyproject.toml changed.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MOTION ?= procedural
SEEDS ?= 1
QUICK ?=

export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: install demo test lint docs bench clean

install: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "PoseShift needs Python 3.11 or newer; call: make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock torch==2.13.0 -e '.[test,docs]'
	touch $@

demo: $(STAMP)
	$(BIN)/poseshift demo --motion $(MOTION) --seeds $(SEEDS) $(if $(QUICK),--quick)

test: $(STAMP)
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=10

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict

docs: $(STAMP)
	$(BIN)/mkdocs serve

bench: $(STAMP)
	$(BIN)/python -m benchmarks.faults --trials 12 --out runs/benchmarks/faults.jsonl
	$(BIN)/python -m benchmarks.fuzz --mutations 1000 --out runs/benchmarks/fuzz.json
	$(BIN)/poseshift benchmark adaptation --motion $(MOTION) --out runs/benchmarks/adaptation --jobs 2

clean:
	rm -rf $(VENV) build site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
