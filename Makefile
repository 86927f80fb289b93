# Everything sets itself up: `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
BIN = .venv/bin
UV = $(BIN)/uv pip install --python $(BIN)/python --constraint constraints.txt --override overrides.txt

.PHONY: demo setup format check browser test stack bench soak build up down

demo: setup
	$(BIN)/clip-demo

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt overrides.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@echo "setting up .venv (PyTorch is a large download)" >&2
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(UV) --editable '.[dev,train]'
	@touch $@

format: setup
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

check: setup
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

# The browser that tests/images/test_browser.py compares with; without it that test fails.
browser:
	@command -v chromium >/dev/null || ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ] \
		|| { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

test: check browser
	$(BIN)/clip-demo weaviate >/dev/null
	$(BIN)/pytest -n 2 --dist loadfile -m 'not alone' && $(BIN)/pytest -m alone

stack: setup
	$(BIN)/pytest -m stack
bench: setup
	$(BIN)/python benchmarks/table.py
soak: setup
	$(BIN)/python -m tests.faults.soak
build: setup
	$(BIN)/uv build --wheel
up down: setup
	$(BIN)/clip-demo $@
