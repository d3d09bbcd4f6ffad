# Everything installs into .venv; `make demo` and `make test` set up what they need.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo test test-slow verify lint clean

$(PY):
	$(PYTHON) -m venv $(VENV)

# What the simulator needs: no torch.
$(VENV)/.simulator: pyproject.toml constraints.txt | $(PY)
	@echo "installing the simulator into $(VENV)"
	$(PIP) --editable .
	@touch $@

# Trainer, tests and linters as well.
$(VENV)/.everything: pyproject.toml constraints.txt | $(PY)
	@echo "installing simulator, trainer, tests and linters into $(VENV)"
	$(PIP) --editable '.[train,dev]'
	@touch $@ $(VENV)/.simulator

setup: $(VENV)/.everything

demo: $(VENV)/.simulator
	$(PY) -m hwsim.run --arch configs/pe16x16.yaml --trace

test: setup lint
	$(PY) -m pytest -q

test-slow: setup
	$(PY) -m pytest -q -m slow

# A quarter of an hour on two cores; WRITE=--write keeps the report as docs/verification.md.
verify: setup
	$(PY) tests/verify.py $(WRITE)

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
