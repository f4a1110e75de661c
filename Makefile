# Every target sets up what it needs on a fresh machine; a second call installs nothing.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
WORKERS ?= 2
ARGS   ?=

.PHONY: gate gate-photos test lint bench zoo clean

gate: $(STAMP)          ## judge the embedded models: make gate ARGS="--recipes w4a4-minmax"
	$(BIN)/pytest suites -n $(WORKERS) $(ARGS)

gate-photos: $(STAMP)   ## the same on photographs: make gate-photos DATA=webdataset:DIR
	$(BIN)/pytest suites -n $(WORKERS) --reference zoo:photos \
	  --data $(or $(DATA),torchvision:CIFAR10) --thresholds thresholds/photos.toml $(ARGS)

test: $(STAMP)          ## unit, plugin and fault tests
	$(BIN)/pytest tests reliability --doctest-modules -n $(WORKERS) $(ARGS)

lint: $(STAMP)          ## style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)         ## time and memory of the gate, cold and warm, and of its parts
	$(BIN)/python -m benchmarks $(ARGS)

zoo: $(STAMP)           ## train the embedded models, resuming from .cache/zoo: make zoo ARGS="scenes-clean"
	$(BIN)/python -m training $(ARGS)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,parquet]"
	touch $@

clean:
	rm -rf $(VENV) .cache reports/*
