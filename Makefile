# Everything sets itself up: `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
BIN = .venv/bin
UV = $(BIN)/uv pip install --python $(BIN)/python --constraint constraints.txt --override overrides.txt

.PHONY: demo drawings setup format check browser test stack containers chart bench bench-peers soak build audit sbom keys up down

demo: setup
	$(BIN)/clip-demo

# docs/drawings.md from nothing, in minutes; PAGES=4500 STEPS=400 for the table of that page.
PAGES ?= 400
STEPS ?= 50
drawings: setup
	@$(BIN)/python -m examples.drawings.run_all --pages $(PAGES) --steps $(STEPS)

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

# The browser of tests/images/test_browser.py and tests/gallery; without it they fail.
browser:
	@command -v chromium >/dev/null || ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ] \
		|| { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

# Where the tests are that run alone; to look through all files for them takes as long as some of them.
ALONE = tests/faults tests/server/workers

test: check browser
	$(BIN)/clip-demo weaviate >/dev/null
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not alone and not containers' \
		&& $(BIN)/pytest -m 'alone and not containers' $(ALONE)

stack: setup
	$(BIN)/pytest -m stack
# Builds the images and runs them; needs a Docker engine and some 5 GB. Fails, not skips, without an engine.
containers: setup
	$(BIN)/pytest -m containers tests/containers
# The part of it that needs no Docker engine: the Helm chart. Builds its tools once, some minutes.
chart: setup
	$(BIN)/pytest tests/containers/chart -k 'not test_running'
bench: setup
	$(BIN)/python benchmarks/table.py
# Against other servers and commands, each installed below ~/.cache once (some 16 GB); WRITE=1 for docs/performance.md.
# Weaviate's container is not on PyPI: UPSTREAM=FOLDER names its code.
bench-peers: setup
	$(BIN)/python -m benchmarks.peers $(if $(UPSTREAM),--upstream $(UPSTREAM)) $(if $(PART),--part $(PART)) $(if $(WRITE),--write)
soak: setup
	$(BIN)/python -m tests.faults.soak
build: setup
	$(BIN)/uv build --wheel
# Known vulnerabilities of every pinned version. The service is PyPI's or, with SERVICE=osv, osv.dev; a version that it
# does not know is an error, so that nothing passes unread.
SERVICE ?= pypi
audit: .venv-tools/ready
	.venv-tools/bin/pip-audit --strict --no-deps --disable-pip --vulnerability-service $(SERVICE) \
		--progress-spinner off --requirement constraints.txt

# What is installed in .venv, the tools of development included, as CycloneDX; validated as it is written.
SBOM ?= build/sbom.json
sbom: setup .venv-tools/ready
	@mkdir -p $(dir $(SBOM))
	.venv-tools/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
		--spec-version 1.6 --validate --output-format JSON --output-file $(SBOM) $(BIN)/python

.venv-tools/ready: tools.txt
	$(PYTHON) -m venv .venv-tools
	.venv-tools/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement tools.txt
	@touch $@

# The keys of docker/compose.keys.yaml; those that exist stay. Containers run as other users, so the folder is closed
# and not the files.
KEYS ?= docker/keys
keys:
	@mkdir -p -m 700 $(KEYS)
	@for key in weaviate_key sidecar_key sidecar_login gallery_password grafana_password; do \
		[ -s $(KEYS)/$$key ] || $(PYTHON) -c 'import secrets, sys; print(sys.argv[1] + secrets.token_hex(24))' \
			$$([ $$key != sidecar_login ] || echo weaviate:) "" >$(KEYS)/$$key; \
	done
	@chmod 644 $(KEYS)/*
	@echo "$(KEYS): weaviate_key, sidecar_key, sidecar_login, gallery_password, grafana_password" >&2
up down: setup
	$(BIN)/clip-demo $@
