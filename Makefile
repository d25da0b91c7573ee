# `make` says what there is to make.
PROFILE ?= smoke
# The first interpreter that runs and is new enough; `make PYTHON=/path/to/python ...` picks another.
version_ok := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11 python,\
	$(if $(shell $(p) -c "$(version_ok)" 2>/dev/null && echo yes),$(p))))

python := .venv/bin/python
# Text is UTF-8 in any locale; no setting of the outside leads Python elsewhere, or makes it compile every library anew
# in every process, which takes longer than most tests.
export PYTHONUTF8 := 1
export PYTHONNOUSERSITE := 1
unexport PYTHONHOME PYTHONSTARTUP PYTHONSAFEPATH PYTHONDONTWRITEBYTECODE
fast := not slow and not browser and not notebook

.PHONY: help setup check test attack book format clean

help:
	@echo "make check                  lint, import contracts, fast tests: about 3 minutes, no browser"
	@echo "make test                   every test, every notebook at smoke, the page tests in Chromium"
	@echo "make attack                 damaged files, wrong words, hostile strings, kills: half an hour, figures;"
	@echo "                            ATTACK=--record keeps them"
	@echo "make book [PROFILE=smoke]   run every chapter, print the table, build the pages"
	@echo "make format                 lay out the code, sort its imports"
	@echo "make clean                  remove what these made (the environment stays)"
	@echo "The first of them also makes .venv, about 3 minutes more."

setup:
	@.ci/setup '$(subst ','\'',$(PYTHON))'

check: setup
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(python) -c "from importlinter.cli import lint_imports_command as c; c()" --no-logo
	OMP_NUM_THREADS=1 $(python) -m pytest -m "$(fast)" -n 2

test: setup
	@command -v chromium >/dev/null || { echo "The page tests need Chromium: apt-get install chromium"; exit 1; }
	OMP_NUM_THREADS=1 $(python) -m pytest -n 2

attack: setup
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONPATH=.:tests $(python) tests/attack.py $(ATTACK)

book: setup
	@$(python) -m crs_lite book --profile $(PROFILE)

format: setup
	$(python) -m ruff format
	$(python) -m ruff check --fix --select I

clean:
	rm -rf build .pytest_cache .hypothesis .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
