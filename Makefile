# make book [PROFILE=smoke]   run every chapter, print the table, build the pages
# make test                   every test, the page tests in Chromium included
# make clean                  remove what the two above made (the environment stays)
PROFILE ?= smoke

# The first interpreter that runs and is new enough; `make book PYTHON=/path/to/python` picks another.
version_ok := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11 python,\
	$(if $(shell $(p) -c "$(version_ok)" 2>/dev/null && echo yes),$(p))))

python := .venv/bin/python
ready := .venv/.ready

.PHONY: book test clean

book: $(ready)
	@$(python) -m crs_lite book --profile $(PROFILE)

test: $(ready)
	@command -v chromium >/dev/null || { echo "The page tests need Chromium: apt-get install chromium"; exit 1; }
	OMP_NUM_THREADS=1 $(python) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

clean:
	rm -rf build .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# The stamp is younger than requirements.txt only when everything in it is installed.
# The .pth line makes `import crs_lite` work in a notebook started from any folder.
$(ready): requirements.txt
	@"$(PYTHON)" -c "$(version_ok)" 2>/dev/null || \
		{ echo "This book needs Python 3.11, 3.12 or 3.13: install one, or name it with make PYTHON=/path/to/python."; exit 1; }
	@$(python) -c "$(version_ok)" 2>/dev/null || "$(PYTHON)" -m venv --clear .venv || \
		{ echo "Python could not make a virtual environment: on Debian and Ubuntu, apt-get install python3-venv."; exit 1; }
	$(python) -m pip install --disable-pip-version-check --no-compile -r requirements.txt
	@$(python) -c "import sysconfig; open(sysconfig.get_path('purelib') + '/crs_lite_here.pth', 'w').write('$(CURDIR)')"
	@touch $@
