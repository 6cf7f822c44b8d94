# Each target does all its own set-up, in .venv; `make help` lists them.
#
#   PYTHON=python3.12        the Python for .venv: 3.11, 3.12 or 3.13
#   TORCH_ARGS="..."         more arguments for pip when it installs PyTorch (CONTRIBUTING.md says when)
#   PYTEST_ARGS="..."        more arguments for pytest, such as -k camera
#   DEMO_OUTPUT=folder       where `make demo` puts its files
#   BENCH_WORK=folder        where `make bench-paper` keeps checkpoints and results
#   VIEWER=yes               let `make demo` open its result in napari, which it installs

PYTHON =
TORCH_ARGS =
PYTEST_ARGS =
DEMO_OUTPUT = demo-output
BENCH_WORK = ../napari-subpixel-bench

VENV = .venv
BIN = $(VENV)/bin
STAMPS = $(VENV)/stamps
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt
METADATA = setup.cfg pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types manifest wheel bench bench-paper docs pictures clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

ifdef VIEWER
demo: $(STAMPS)/viewer
	scripts/qt-libraries $(BIN)/python
	$(BIN)/napari-subpixel demo -o $(DEMO_OUTPUT) --viewer
else
demo: $(STAMPS)/base ## find, render and score the molecules of a simulated movie
	$(BIN)/napari-subpixel demo -o $(DEMO_OUTPUT)
endif

test: $(STAMPS)/test ## run the tests, the viewer's on a virtual screen
	scripts/qt-libraries $(BIN)/python
	scripts/with-screen $(BIN)/python -m pytest $(PYTEST_ARGS)

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
	@set -e; for file in benchmarks/bench_*.py; do echo "$$file"; $(BIN)/python "$$file"; done

bench-paper: $(STAMPS)/test ## train and compare the methods of the papers: hours; goes on where it stopped
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
