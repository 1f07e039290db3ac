# make run    the whole system on this machine, with a made-up company in it
# make test   everything tested
#
# Both make .venv and install into it what requirements.lock names, with hashes and from wheels only, so no compiler
# is needed. A second call does only what has changed. Another Python: make run PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
PYTHON_IS_NEW_ENOUGH := $(shell $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null)

# A stamp of the version: another PYTHON makes the environment anew.
MADE := $(VENV)/made-with-python-$(PYTHON_VERSION)
INSTALLED := $(VENV)/installed

.PHONY: run test check bench lock kill-test simulate clean

run: $(INSTALLED)
	@$(BIN)/credit-stream demo

test: check
	@$(BIN)/python -m tests

check: $(INSTALLED)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "some files are not formatted; mend: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/mypy --strict credit_stream

# Ratios and result hashes, not timed tests. One of them: make bench BENCHES=wire
BENCHES ?= wire engine pipeline open_invoices real_data size
bench: $(INSTALLED)
	@for each in $(BENCHES); do echo; echo "bench/$$each.py"; $(BIN)/python -m bench.$$each || exit 1; done

$(MADE):
ifneq ($(PYTHON_IS_NEW_ENOUGH),True)
	@echo "credit-stream needs Python 3.11 or newer; '$(PYTHON)' is $(or $(PYTHON_VERSION),not there). Name another: make $(or $(MAKECMDGOALS),run) PYTHON=python3.12" >&2; exit 1
endif
	@echo "making $(VENV) with Python $(PYTHON_VERSION)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# The project itself is installed in place and by its own step: pip cannot hash a directory.
$(INSTALLED): $(MADE) pyproject.toml requirements.lock
	@echo "installing what requirements.lock names (about 40 seconds)"
	@$(BIN)/python -m pip install --quiet --only-binary :all: --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Pins stay where they are unless pyproject.toml rules them out; make lock UPGRADE=--upgrade moves them all.
UPGRADE ?=
LOCK := build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock"
lock:
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet uv
	@$(LOCK) $(UPGRADE) --all-extras --output-file requirements.lock pyproject.toml
	@$(LOCK) --no-annotate --constraint requirements.lock --extra kafka --output-file deploy/requirements.lock pyproject.toml
	@echo 'hatchling>=1.27' | $(LOCK) --no-annotate --constraint requirements.lock --output-file deploy/build.lock -

# Workers killed at random moments, then everything compared with a straight replay. make kill-test BUDGET=100 SEED=7
kill-test: BUDGET ?= 30
kill-test: $(INSTALLED)
	@$(BIN)/python -m tests.kafka.campaign --kills $(BUDGET) $(if $(SEED),--seed $(SEED))

# Simulated worlds, each from its own seed. make simulate BUDGET=10000 SEED=7 JOBS=2
simulate: BUDGET ?= 1000
simulate: $(INSTALLED)
	@$(BIN)/python -m tests.simulation --seeds $(BUDGET) $(if $(SEED),--first $(SEED)) $(if $(JOBS),--jobs $(JOBS))

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
