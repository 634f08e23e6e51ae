# `make demo` and `make test` need git, make, Python 3.11 or newer and pip; everything else goes into .venv.
# A second run of either starts at once: what is installed is renewed only when these two files change.
PYTHON ?= python3
VENV ?= .venv
IN := $(VENV)/bin
INSTALL = $(PYTHON) -m pip --python $(IN)/python --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help demo test test-ci test-slow lint docs linkcheck bench study clean

help:
	@echo "make demo       set up, then move half-cheetah to one with a dead hip: about three minutes on two cores"
	@echo "make test       set up, then the tests that take seconds: about eight minutes on two cores"
	@echo "make test-ci    the slow tests that every change must pass, too: about twenty minutes"
	@echo "make test-slow  all slow tests, with those that take many minutes each"
	@echo "make lint       ruff and pyright"
	@echo "make docs       the site, into docs/_build; a warning is an error"
	@echo "make linkcheck  whether links to other places still lead there; needs a network, and is no part of CI"
	@echo "make bench      speed, into benchmarks/results/"
	@echo "make study      darc with PPO on four pairs; resumes where it was interrupted; takes hours"

demo: $(VENV)/ready
	$(IN)/transreward transfer

test: $(VENV)/ready-dev
	$(IN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-ci: $(VENV)/ready-dev
	$(IN)/python -m pytest -m 'slow and not long' --numprocesses auto --maxprocesses 4 --dist worksteal

test-slow: $(VENV)/ready-dev
	$(IN)/python -m pytest -m slow

lint: $(VENV)/ready-dev
	$(IN)/ruff check .
	$(IN)/ruff format --check .
	$(IN)/pyright --pythonpath $(IN)/python

docs: $(VENV)/ready-docs
	$(IN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build

linkcheck: $(VENV)/ready-docs
	$(IN)/sphinx-build -b linkcheck --quiet docs docs/_build/linkcheck

bench: $(VENV)/ready-dev
	$(IN)/python benchmarks/bench.py

study: $(VENV)/ready-dev
	$(IN)/transreward study benchmarks/plans/ppo.yaml

# Where Python comes without ensurepip, the environment gets no pip of its own; $(INSTALL) does not need it.
$(IN)/python:
	$(PYTHON) -m venv $(VENV) || $(PYTHON) -m venv --clear --without-pip $(VENV)

$(VENV)/ready: pyproject.toml constraints.txt | $(IN)/python
	@echo "setting up $(VENV) ..."
	$(INSTALL) --editable .
	@touch $@

$(VENV)/ready-dev: pyproject.toml constraints.txt | $(IN)/python
	@echo "setting up $(VENV) for development ..."
	$(INSTALL) --editable '.[dev]'
	@touch $(VENV)/ready $@

$(VENV)/ready-docs: $(VENV)/ready-dev
	$(INSTALL) --editable '.[dev,docs]'
	@touch $@

clean:
	rm -rf docs/_build docs/reference.md $(VENV) .pytest_cache .ruff_cache .hypothesis
