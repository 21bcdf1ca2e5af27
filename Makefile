# Two commands are all it takes: `make demo` and `make test`. Both need Python 3.11 or later and the package registry.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   := .demo-store

.PHONY: demo test quick check install node lock clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable . --group dev
	touch $@

# Ingest the sample documents and ask them a question, without a key, a model or a network.
demo: install
	$(BIN)/streamrag ingest --store $(DEMO) sample_docs
	$(BIN)/streamrag ask --store $(DEMO) "Why does the browser ask twice after a clean end of an event stream?"

# Lint, types, the import contract, then the tests. What a test needs beside Python (docs: CONTRIBUTING.md) it names.
test: check node
	$(BIN)/python -m pytest -n 3 --dist loadfile

# What a change is tried with: no browser, no PostgreSQL, nothing slow. Under a minute on two cores.
quick: install
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not browser and not postgres'

# What the tests take from the npm registry, where there is an npm.
node: tests/node/node_modules/installed

tests/node/node_modules/installed: tests/node/package-lock.json
	if command -v npm >/dev/null; then npm ci --prefix tests/node --no-audit --no-fund --silent && touch $@; fi

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Renew the lock: the newest versions that pyproject.toml admits, as they install together.
lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	build/lock/bin/python -m pip install --quiet --editable . --group dev
	build/lock/bin/python -m pip freeze --exclude-editable > requirements.lock
	rm -rf build/lock

clean:
	rm -rf $(VENV) $(DEMO) build dist tests/node/node_modules
