# make demo      trains, converts and evaluates a network on real data, offline, in minutes
# make atlas     opens the demo's images in the photo atlas: see, find, label, take home a classifier
# make test      the tests
# make check     style, types, import directions, documentation
# make docs      the documentation as a site, in site/
# make build     wheel and source archive, in dist/
# make install   .venv with pinned dependencies; make develop: with all tools of the above
# make PYTHON=/path/to/python3.11 …   to name the Python to use (3.10 to 3.12)

VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
INSTALLED := $(VENV)/.installed
VISUAL := $(VENV)/.visual
TESTABLE := $(VENV)/.testable
DEVELOPABLE := $(VENV)/.developable
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo atlas test check style types imports docs build install develop clean
.DEFAULT_GOAL := demo

demo: install
	@$(BIN)/bssl-train --recipe=digits --workdir=$(DEMO)
	@$(BIN)/bssl-convert --workdir=$(DEMO) --output=$(DEMO)/digits.tflite
	@$(BIN)/bssl-evaluate --workdir=$(DEMO)

atlas: demo $(VISUAL)
	@$(BIN)/python -m bssl_tf.atlas.demo_photos $(DEMO)/photos
	@$(BIN)/bssl-atlas --model=$(DEMO)/digits.tflite --photos=$(DEMO)/photos --session=$(DEMO)/atlas

test: $(TESTABLE)
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

check: style types imports docs

style: $(DEVELOPABLE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOPABLE)
	$(BIN)/mypy

imports: $(DEVELOPABLE)
	$(BIN)/python -m pytest tests/test_imports.py

docs: $(DEVELOPABLE)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

build: $(DEVELOPABLE)
	$(BIN)/python -m build --outdir dist .

install: $(INSTALLED)

develop: $(DEVELOPABLE)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@if [ -L $(VENV) ]; then \
	    echo "error: $(VENV) is a link to $$(readlink -f $(VENV)), which others may use: it is not cleared." >&2; \
	    echo "Remove the link, or install there and: touch $(INSTALLED) $(TESTABLE) $(DEVELOPABLE)" >&2; \
	    exit 1; \
	fi; \
	python=$$(sh -c 'for python in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.10 python3 python); do \
	    "$$python" -c "import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))" \
	        >/dev/null 2>&1 && echo "$$python" && break; done'); \
	if [ -z "$$python" ]; then \
	    echo "error: $(if $(PYTHON),PYTHON=$(PYTHON) is not a Python 3.10 to 3.12 with venv,no Python 3.10 to 3.12 with venv found)." >&2; \
	    echo "Install one (Debian: apt install python3-venv), or name yours: make PYTHON=/path/to/python3.11" >&2; \
	    exit 1; \
	fi; \
	echo "installing into $(VENV) with $$("$$python" --version) (a few minutes, once)"; \
	"$$python" -m venv --clear $(VENV)
	$(PIP_INSTALL) --editable .
	@touch $(INSTALLED)

$(VISUAL): $(INSTALLED)
	$(PIP_INSTALL) --editable ".[atlas]"
	@touch $(VISUAL)

# PyTorch, against which the tests compare imported teachers, is large: only the tests bring it.
$(TESTABLE): $(INSTALLED)
	$(PIP_INSTALL) --editable ".[test]"
	@touch $(TESTABLE)

$(DEVELOPABLE): $(INSTALLED)
	$(PIP_INSTALL) --editable ".[dev]"
	@touch $(TESTABLE) $(DEVELOPABLE)

clean:
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache
