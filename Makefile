# Every target sets up what it needs on a fresh machine; a second call installs nothing.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
WORKERS ?= 2
ARGS   ?=

# Compared with, in speed and in results: simulations of quantization, and corruptions.
SIMULATIONS := torchao==0.18.0 optimum-quanto==0.2.7 brevitas==0.13.4 dependencies==2.0.1 unfoldNd==0.2.3 einops==0.8.2
CORRUPTIONS := imagecorruptions==1.1.2 opencv-python-headless==5.0.0.93 scikit-image==0.26.0 lazy-loader==0.6 \
  imageio==2.38.1 tifffile==2026.3.3
PEERS := .cache/oracles/.peers
UNIT  := reliability tests/test_architecture.py $(addprefix tests/, \
  claims data evaluate metrics models quant report stats training)

.PHONY: gate gate-photos study test test-unit test-long test-wheel test-browser browser audit oracles lint docs bench zoo clean

gate: $(STAMP)          ## judge the embedded models: make gate ARGS="--recipes w4a4-minmax"
	$(BIN)/pytest suites -n $(WORKERS) $(ARGS)

gate-photos: $(STAMP)   ## the same on photographs: make gate-photos DATA=webdataset:DIR
	$(BIN)/pytest suites -n $(WORKERS) --reference zoo:photos \
	  --data $(or $(DATA),torchvision:CIFAR10) --thresholds thresholds/photos.toml $(ARGS)

study: $(STAMP)         ## the seed study's claims on the embedded models: reports/study/report.md
	$(BIN)/reliability study --workers $(WORKERS) $(ARGS)

# A test that hangs is named and fails; the longest takes a minute on free cores.
test: $(STAMP)          ## unit, plugin and fault tests: some 12 minutes on two cores
	$(BIN)/pytest tests reliability --doctest-modules -n $(WORKERS) --timeout 600 $(ARGS)

test-unit: $(STAMP)     ## those that start no gate, sweep or cluster: 4 minutes on two cores
	$(BIN)/pytest $(UNIT) --doctest-modules -n $(WORKERS) --timeout 600 $(ARGS)

test-long: $(STAMP)     ## the long form of docs/reliability.md: kills, nonsense, error rates; some 35 minutes on one core
	RELIABILITY_LONG=1 $(BIN)/pytest tests/machine tests/fuzz tests/hostile tests/faults $(ARGS)
	$(BIN)/pip install --quiet --disable-pip-version-check atheris==3.0.0
	for target in thresholds recipes recipe_name plan prompts report tar npy; do \
	  $(BIN)/python tests/fuzz/coverage_guided.py $$target 20000 || exit 1; done

test-wheel: $(STAMP)    ## the built wheel in a fresh environment, with everything that pip brings along
	rm -rf .cache/wheel && $(BIN)/python -m venv .cache/wheel
	$(BIN)/python -c "from hatchling.build import build_wheel; build_wheel('.cache/wheel')"
	.cache/wheel/bin/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	.cache/wheel/bin/pip install --quiet --disable-pip-version-check -c constraints.txt .cache/wheel/*.whl
	RELIABILITY_WHEEL_PYTHON=.cache/wheel/bin/python $(BIN)/pytest tests/plugin/test_wheel.py $(ARGS)

audit: $(STAMP)         ## known vulnerabilities of the pinned dependencies; fails where it cannot look one up
	$(BIN)/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r constraints.txt

test-browser: $(STAMP) $(VENV)/.browser  ## the page of a report in headless Chromium, as a reader has it
	$(BIN)/pytest tests/browser $(ARGS)

browser: $(VENV)/.browser

$(VENV)/.browser: pyproject.toml constraints.txt | $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[browser]"
	for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit; done; $(INSTALL_CHROMIUM)
	touch $@

# Only root can install it; anybody else is told what is missing.
INSTALL_CHROMIUM = { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && timeout 240 apt-get update -qq && \
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; } || \
  { echo "no Chromium here: install the package chromium, then make test-browser again" >&2; exit 1; }

lint: $(STAMP)          ## style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)          ## the pages as a site, in site/; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

bench: $(STAMP) $(PEERS)  ## time and memory of the gate, cold and warm, and of its parts
	$(BIN)/python -m benchmarks $(ARGS)

# Checked against, never needed: their own dependencies would triple the environment.
ORACLES := netcal==1.4.0 pytorch-ood==0.4.0 torch-uncertainty==0.13.0 lightning==2.6.6 pytorch-lightning==2.6.6 \
  einops==0.8.2 seaborn==0.13.2 pandas==3.1.1

oracles: $(STAMP) $(PEERS)  ## metrics, corruptions and codes against other libraries that are too heavy for the test extra
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .cache/oracles $(ORACLES)
	PYTHONPATH=.cache/oracles $(BIN)/pytest tests/metrics tests/data tests/quant -n $(WORKERS) \
	  -k "other_libraries or against_pytorch_ood or corruptions_published or elsewhere" $(ARGS)

$(PEERS): Makefile | $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .cache/oracles $(SIMULATIONS) $(CORRUPTIONS)
	touch $@

zoo: $(STAMP)           ## train the embedded models, resuming from .cache/zoo: make zoo ARGS="scenes-clean"
	$(BIN)/python -m training $(ARGS)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) .cache site reports/*
