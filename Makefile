# make demo      the whole main job on real data, offline, in minutes
# make test      the tests
# make install   .venv with pinned dependencies
# make PYTHON=/path/to/python3.11 …   to name the Python to use (3.10 to 3.12)

VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
INSTALLED := $(VENV)/.installed
TESTABLE := $(VENV)/.testable
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test install clean
.DEFAULT_GOAL := demo

demo: install
	@$(BIN)/python train.py --flagfile=flags/digits.cfg --workdir=$(DEMO)
	@$(BIN)/python convert.py --workdir=$(DEMO) --output=$(DEMO)/digits.tflite
	@$(BIN)/python evaluate.py --workdir=$(DEMO)

test: $(TESTABLE)
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@python=$$(sh -c 'for python in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.10 python3 python); do \
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

# PyTorch, against which the tests compare imported teachers, is large: only the tests bring it.
$(TESTABLE): $(INSTALLED)
	$(PIP_INSTALL) --editable ".[test]"
	@touch $(TESTABLE)

clean:
	rm -rf $(VENV) build *.egg-info
