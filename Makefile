# `make demo` tries streamrag, `make test` runs everything. Both need Python 3.11 or later and access to PyPI.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   := .demo-store

# Without compiled files, each of the processes that run the tests compiles all of them again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test quick check install node transcripts lock clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable . --group dev
	touch $@

# Ingest the sample documents and ask a question. Needs no key, model or network.
demo: install
	$(BIN)/streamrag ingest --store $(DEMO) sample_docs
	$(BIN)/streamrag ask --store $(DEMO) "When do I get my deposit back?"

# Lint, types, import contracts and all tests. CONTRIBUTING.md lists the programs that some tests need.
# A failed test runs a second time, because three processes compete for two cores; the summary lists it as RERUN.
test: check node
	$(BIN)/python -m pytest -n 3 --dist loadfile --reruns 1

# The fast tests, without browser and PostgreSQL. Less than a minute on two cores.
quick: install
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not browser and not postgres'

# npm packages for the tests; skipped if npm is not installed.
node: tests/node/node_modules/installed

tests/node/node_modules/installed: tests/node/package-lock.json
	if command -v npm >/dev/null; then npm ci --prefix tests/node --no-audit --no-fund --silent && touch $@; fi

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.check_english

# Run the commands of all transcripts in README.md and docs/ again and record the session of the README.
transcripts: install
	$(BIN)/python -m tools.make_transcripts
	$(BIN)/python -m tools.record_session

# Update requirements.lock to the newest versions that pyproject.toml allows.
lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	build/lock/bin/python -m pip install --quiet --editable . --group dev
	build/lock/bin/python -m pip freeze --exclude-editable > requirements.lock
	rm -rf build/lock

clean:
	rm -rf $(VENV) $(DEMO) build dist tests/node/node_modules
