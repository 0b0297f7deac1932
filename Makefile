# run: the notebooks, in order, on the sample profile.  test: the proof that everything works.
# bench: what is measured in ratios, and takes longer.  pair: the notebooks' .ipynb halves follow the .py, by jupytext.
# sync: that, and execute them in place (ONLY="04 09": some of them).
PYTHON ?= python3
BIN = .venv/bin
# Results and data folders of their own, so that the notebooks start from nothing. A path may have a space in it.
FRESH = COLORLIB_PROFILE=sample COLORLIB_RESULTS="$(CURDIR)/.test/results" COLORLIB_DATA_FOLDER="$(CURDIR)/.test/data"
export TF_CPP_MIN_LOG_LEVEL ?= 2

run: .venv/for-run
	@$(BIN)/python -m colorlib notebooks

test: .venv/for-test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/python tests/count_lines.py
	$(BIN)/python -m pytest tests
	rm -rf .test && $(FRESH) $(BIN)/python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=600 notebooks

bench: .venv/for-test
	for script in tests/benchmarks/[a-z]*.py; do echo "# $$script" && PYTHONPATH=. $(BIN)/python $$script || exit; done

pair: .venv/for-test
	touch notebooks/[0-9]*.py && $(BIN)/python -m jupytext --quiet --sync notebooks/[0-9]*.py

sync: pair
	rm -rf .test && $(FRESH) $(BIN)/python -m colorlib notebooks $(ONLY) && cp .test/results/notebooks/*.ipynb notebooks

.venv/for-run: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/for-test: tests/requirements.txt .venv/for-run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

.PHONY: run test bench pair sync
