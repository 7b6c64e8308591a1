# Two commands: `make run` and `make test`. Everything goes into .venv; nothing else on the machine changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Python compiles a module when it is first used; most of what is installed never is.
PIP_OPTIONS := --quiet --disable-pip-version-check --no-compile

.DEFAULT_GOAL := help
.PHONY: help run test test-all lint types browser-types check-licences licences audit sbom benchmarks clean

help:
	@echo 'make run       install what is needed and serve on http://127.0.0.1:5000 (PORT=8000 make run: another port)'
	@echo 'make test      install what is needed and run the tests'
	@echo 'make test-all  the same with the slow tests'
	@echo 'make lint      check formatting, style and types'
	@echo 'make audit     ask whether what is installed is known to be vulnerable'
	@echo 'make sbom      list what is installed with all versions (CycloneDX), in sbom.json'
	@echo 'make benchmarks  measure how fast and how large all of it is, and renew the tables of docs/performance.md'
	@echo 'make clean     remove what these commands made'

run: $(VENV)/.run
	@exec $(BIN)/flask-detector serve

test: $(VENV)/.test
	$(BIN)/pytest -n 3 --dist loadfile -m 'not slow'

test-all: $(VENV)/.test $(VENV)/.readers $(VENV)/.clients $(VENV)/.teach
	$(BIN)/pytest -n 3 --dist loadfile

lint: $(VENV)/.test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

# Checks the JavaScript's types; needs Node.js.
browser-types: node_modules/.installed
	npx --no-install tsc --project tsconfig.json

check-licences: $(VENV)/.test
	$(BIN)/python tools/licences.py --check

licences: $(VENV)/.test
	$(BIN)/python tools/licences.py

audit: $(VENV)/.test
	$(BIN)/python tools/audit.py

# Of an environment that has what is served and nothing else; checked against CycloneDX's own schema.
sbom: $(VENV)/.test
	$(PYTHON) -m venv --clear $(VENV)/served
	$(VENV)/served/bin/python -m pip install $(PIP_OPTIONS) '.[s3]'
	$(BIN)/cyclonedx-py environment $(VENV)/served/bin/python --pyproject pyproject.toml \
		--output-reproducible --validate --output-file sbom.json

# Takes about an hour. SHARED has the reference pictures and the stand-in weights; TORCH_PYTHON has torchvision, MMDET_PYTHON MMDetection.
SHARED ?= ../shared
PICTURES = $(addprefix $(SHARED)/,coco_val50/images/000000006818.jpg pictures/apartment.jpg coco_val50/images/000000037777.jpg)
MEASURE := $(VENV)/benchmark/bin/python -m benchmarks

benchmarks: $(VENV)/.benchmark
	$(MEASURE).models $(SHARED) --record $(if $(TORCH_PYTHON),--torch-python $(TORCH_PYTHON)) $(if $(MMDET_PYTHON),--mmdet-python $(MMDET_PYTHON))
	$(MEASURE).service $(firstword $(PICTURES)) --record
	$(MEASURE).load $(PICTURES) --record
	$(MEASURE).pages --record
	$(MEASURE).memory $(SHARED) --record
	$(MEASURE).memory $(SHARED) --large all --number 12 --model nanodet-g --record
	$(MEASURE).report

clean:
	rm -rf sbom.json $(VENV) node_modules .mypy_cache .ruff_cache .pytest_cache

# A venv that could not be made whole (Debian has ensurepip in a package of its own) would be taken for one the next time.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo 'flask-detector needs Python 3.11 or newer, and $(PYTHON) is none: name one with make run PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.run: $(BIN)/python pyproject.toml
	@echo 'Installing what flask-detector needs into $(VENV): this takes about a minute, once.'
	@$(BIN)/python -m pip install $(PIP_OPTIONS) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run pyproject.toml
	@echo 'Installing what its tests need: this takes about another minute, once.'
	@$(BIN)/python -m pip install $(PIP_OPTIONS) --editable '.[dev]'
	@touch $@

# Other programs, which open our exports in the slow tests: over a gigabyte.
$(VENV)/.readers: $(BIN)/python tests/formats/readers/requirements.txt
	$(PYTHON) -m venv $(VENV)/readers
	$(VENV)/readers/bin/python -m pip install $(PIP_OPTIONS) --requirement tests/formats/readers/requirements.txt
	@touch $@

# PyTorch, which only teaching needs: its slow tests. TORCH=torch==2.13.0 names another version.
TORCH ?= torch
$(VENV)/.teach: $(VENV)/.test pyproject.toml
	$(BIN)/python -m pip install $(PIP_OPTIONS) --extra-index-url https://download.pytorch.org/whl/cpu '$(TORCH)'
	$(BIN)/python -m pip install $(PIP_OPTIONS) --editable '.[teach]'
	@touch $@

# Large clients of other servers, which the slow tests let talk to ours: half a gigabyte.
$(VENV)/.clients: $(BIN)/python tests/web/compat/scripts/requirements.txt
	$(PYTHON) -m venv $(VENV)/clients
	$(VENV)/clients/bin/python -m pip install $(PIP_OPTIONS) --requirement tests/web/compat/scripts/requirements.txt
	@touch $@

# Another server, beside which ours is measured, and what measures.
$(VENV)/.benchmark: $(BIN)/python pyproject.toml
	$(PYTHON) -m venv $(VENV)/benchmark
	$(VENV)/benchmark/bin/python -m pip install $(PIP_OPTIONS) --editable '.[benchmark]'
	@touch $@

node_modules/.installed: package.json
	npm install --no-audit --no-fund --no-package-lock --silent
	@touch $@
