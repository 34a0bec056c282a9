# Everything a fresh Debian machine needs, from here: `make demo` and `make test` set up what is missing.
# Only make, git and a network connection are assumed; root is needed for the lab (namespaces, chroots, port 25).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed

# To change from the command line, as in: make lab LAB_FLAGS="-n 0 -k loop"
DEMO ?= wizard
# More workers than the two processors a CI machine has: tests wait (for disks, clocks, mail) more than they compute.
UNIT_FLAGS ?= -n 4 --dist worksteal
# tests/lab/conftest.py puts the longest groups first; pytest-xdist would put those with the most tests first.
LAB_FLAGS ?= -n 5 --dist loadgroup --no-loadscope-reorder
BENCH_FLAGS ?=

TYPED_TREES := $(wildcard conbool_tui screens detectors tests benchmarks)

.PHONY: help
help:
	@echo 'make demo                 a disposable Postfix server, and the wizard on it (root)'
	@echo 'make demo DEMO=headless   the same run from an answers file, without a terminal (root)'
	@echo 'make test                 set-up, lint, unit tests and the lab with real mail (root)'
	@echo 'make unit | lab | lint    one part of it (lab: root)'
	@echo 'make bench                the benchmarks (root)'
	@echo 'make packages | deb        the .deb and .rpm in dist/ | the .deb alone (make package-lint: judged by lintian and rpmlint)'
	@echo 'make snapshots            accept the screens as they look now'
	@echo 'make venv | deps          only the Python environment | only the Debian packages (root)'
	@echo 'make lock                 write the lock files anew (UPGRADE=1: take newer versions)'
	@echo 'make clean                remove the environment and all caches in this directory'

# ---------------------------------------------------------------- set-up

.PHONY: need-root
need-root:
	@if [ "$$(id -u)" != 0 ]; then \
		echo 'This needs root (network namespaces, chroots, port 25): run as root or with sudo.' >&2; \
		echo '"make unit" and "make lint" work without.' >&2; \
		exit 77; \
	fi

.PHONY: deps
deps:
	@packaging/dev-deps.sh

.PHONY: venv
venv: $(STAMP)
	@:

$(STAMP): packaging/vendor.lock packaging/dev.lock packaging/dev-venv.sh pyproject.toml
	@packaging/dev-venv.sh $(VENV)
	@touch $@

.PHONY: lock
lock:
	@packaging/lock.sh

# ---------------------------------------------------------------- checks

.PHONY: lint
lint: venv
	@echo '== lint'
	@$(PYTHON) -m ruff check --quiet --output-format concise .
	@$(PYTHON) -m ruff format --check --quiet . || { \
		echo 'Not formatted (.venv/bin/ruff format does it):' >&2; \
		$(PYTHON) -m ruff format --check . >&2; }
	@$(PYTHON) -m mypy --no-error-summary $(TYPED_TREES)
	@$(VENV)/bin/lint-imports --verbose > $(VENV)/lint-imports.log 2>&1 || { cat $(VENV)/lint-imports.log >&2; exit 1; }

.PHONY: unit
unit: venv
	@echo '== unit tests'
	@$(PYTHON) -m pytest -m 'not lab' $(UNIT_FLAGS) tests

.PHONY: lab
lab: need-root deps venv
	@echo '== lab: real mail through real servers'
	@$(PYTHON) -m pytest -m lab $(LAB_FLAGS) tests

.PHONY: test
test: need-root deps venv lint unit lab

.PHONY: bench
bench: need-root deps venv
	@echo '== benchmarks'
	@$(PYTHON) -m pytest $(BENCH_FLAGS) benchmarks

.PHONY: snapshots
snapshots: venv
	@$(PYTHON) -m pytest -m snapshot --snapshot-update tests
	@cp tests/tui/__snapshots__/test_readme_picture/test_picture.svg docs/wizard.svg

include packaging/packages.mk

# ---------------------------------------------------------------- the demo

.PHONY: demo
demo: need-root deps venv
	@$(PYTHON) -m tests.lab.demo $(DEMO)

.PHONY: clean
clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist snapshot_report.html
	@find conbool_tui screens detectors tests -name __pycache__ -type d -prune -exec rm -rf {} +
