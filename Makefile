# Each target does all its own set-up, in .venv; `make help` lists them.
#
#   PYTHON=python3.12        the Python for .venv: 3.11, 3.12 or 3.13
#   TORCH_ARGS="..."         more arguments for pip when it installs PyTorch (CONTRIBUTING.md says when)
#   PYTEST_ARGS="..."        more arguments for pytest, such as -k camera, or -n0 --pdb for one process
#   WORKERS=4                most processes that run tests, a screen each
#   DEMO_OUTPUT=folder       where `make demo` puts its files
#   BENCH_WORK=folder        where `make bench-paper` keeps checkpoints and results
#   VIEWER=yes               let `make demo` open its result in napari, which it installs

PYTHON =
TORCH_ARGS =
PYTEST_ARGS =
WORKERS = 4
DEMO_OUTPUT = demo-output
BENCH_WORK = ../napari-subpixel-bench

VENV = .venv
BIN = $(VENV)/bin
STAMPS = $(VENV)/stamps
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt
# A worker for each processor; one that has nothing left to do takes tests over from another.
PYTEST = scripts/with-screen $(BIN)/python -m pytest -n logical --maxprocesses $(WORKERS) --dist worksteal
METADATA = setup.cfg pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-slow test-numbers quick check lint types manifest wheel bench bench-paper docs pictures clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

ifdef VIEWER
demo: $(STAMPS)/viewer
	scripts/qt-libraries $(BIN)/python
	$(BIN)/napari-subpixel demo -o $(DEMO_OUTPUT) --viewer
else
demo: $(STAMPS)/base ## find, render and score the molecules of a simulated movie
	$(BIN)/napari-subpixel demo -o $(DEMO_OUTPUT)
endif

test: $(STAMPS)/test ## run the tests but for the slow ones, the viewer's on virtual screens
	scripts/qt-libraries $(BIN)/python
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-all: $(STAMPS)/test ## run all tests
	scripts/qt-libraries $(BIN)/python
	$(PYTEST) $(PYTEST_ARGS)

test-slow: $(STAMPS)/test ## run the tests that `make test` leaves out
	scripts/qt-libraries $(BIN)/python
	$(PYTEST) -m slow $(PYTEST_ARGS)

test-numbers: $(STAMPS)/test ## run what trains or compares numbers, without the processor's vector instructions
	ATEN_CPU_CAPABILITY=default $(PYTEST) -m "numbers and not slow" $(PYTEST_ARGS)

quick: $(STAMPS)/test ## run the tests of the modules: no viewer, no command line, nothing long
	$(PYTEST) -m "not slow and not viewer and not numbers" --ignore tests/widgets --ignore tests/cli $(PYTEST_ARGS)

check: lint types manifest docs wheel ## everything else that has to pass: style, types, documents, the built wheel

lint: $(STAMPS)/check ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMPS)/check ## mypy
	$(BIN)/mypy

manifest: $(STAMPS)/check ## npe2 on the plugin's manifest
	scripts/qt-libraries $(BIN)/python
	scripts/with-screen $(BIN)/npe2 validate --imports napari_subpixel

docs: $(STAMPS)/check ## build the documents, into docs/_build/html
	rm -rf docs/_build docs/generated
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

pictures: $(STAMPS)/test ## make the pictures of the documents, in a viewer on a virtual screen
	scripts/qt-libraries $(BIN)/python
	SCREEN=1600x1000 scripts/with-screen $(BIN)/python docs/make_pictures.py

wheel: $(STAMPS)/check ## build the wheel and test it outside the checkout
	TORCH_ARGS="$(TORCH_ARGS)" scripts/test-wheel $(BIN)/python

bench: $(STAMPS)/test ## run the benchmarks
	@set -e; for file in benchmarks/bench_*.py; do echo "$$file"; scripts/with-screen $(BIN)/python "$$file"; done

bench-paper: $(STAMPS)/test ## train and compare the methods of the papers: hours; resumes where it stopped
	$(BIN)/python benchmarks/compare_methods.py $(BENCH_WORK) --report docs/benchmarks

clean: ## remove what the targets made, but for .venv
	rm -rf build dist *.egg-info docs/_build docs/generated demo-output .coverage .hypothesis
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf $(VENV)

# Each stamp needs the one before, so that pip never runs twice at once.

$(STAMPS)/venv:
	scripts/create-venv $(VENV) $(PYTHON)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/torch: constraints.txt | $(STAMPS)/venv
	@echo "installing PyTorch"
	$(INSTALL) torch $(TORCH_ARGS)
	@touch $@

$(STAMPS)/base: $(STAMPS)/torch $(METADATA)
	@echo "installing napari-subpixel"
	$(INSTALL) -e .
	@touch $@

$(STAMPS)/viewer: $(STAMPS)/base
	@echo "installing napari and Qt"
	$(INSTALL) -e '.[all]'
	@touch $@

$(STAMPS)/test: $(STAMPS)/base
	@echo "installing napari, Qt and the tools of the tests"
	$(INSTALL) -e '.[all,cluster,test]'
	@touch $@

$(STAMPS)/check: $(STAMPS)/test
	@echo "installing the tools of the checks"
	$(INSTALL) -e '.[docs,dev]'
	@touch $@
