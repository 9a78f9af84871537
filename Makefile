# Holdfast: everything a fresh machine needs is Python 3.11 or newer, its bundled pip, and make.
#
#   make demo     crawl, extract and verify a small old-style site, with no network but loopback
#   make test     all tests but the slow ones and those that need a web server
#   make check    the above, after the linter, the formatter and the type checker
#   make bench    speed, side by side with wget and others (needs nginx and Debian documentation)
#   make lock     choose the newest versions again and write both lock files
#   make clean    remove everything make has made
#
# Another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
VENV   = .venv
BIN    = $(VENV)/bin
PIP    = $(BIN)/python -m pip --disable-pip-version-check --quiet

# Each stamp is touched when its installation is complete, so that a broken one is begun again.
RUNTIME = $(VENV)/.installed-runtime
DEV     = $(VENV)/.installed-dev

.PHONY: demo test check lint bench lock clean

demo: $(RUNTIME)
	@rm -rf demo
	@$(BIN)/holdfast demo demo

test: $(DEV)
	$(BIN)/python -m pytest -m "not real and not slow"

check: lint test

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(DEV)
	@# what is installed has its bytecode, what lies in a checkout may not
	$(BIN)/python -m compileall -q pipeline
	$(BIN)/python benchmarks/crawl.py
	$(BIN)/python benchmarks/politeness.py
	$(BIN)/python benchmarks/frontier.py
	$(BIN)/python benchmarks/ledger.py
	$(BIN)/python benchmarks/verify.py

$(RUNTIME): pyproject.toml requirements.lock
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "Holdfast needs Python 3.11 or newer, and there is no command $(PYTHON)." >&2; \
	  echo "Name yours: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Holdfast needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version 2>&1`." >&2; \
	  echo "Name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Making the environment in $(VENV) (once)."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.lock
	@echo "Adding the test and check tools to $(VENV) (once)."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# The locks serve every machine: no setting of this one (a mirror, a folder of wheels) may enter
# them. Resolved on Debian 12's Python, as some releases say that they need a later 3.11.
LOCKER  = build/locker
COMPILE = env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null \
          CUSTOM_COMPILE_COMMAND="make lock" $(LOCKER)/bin/pip-compile --quiet --upgrade --no-config \
          --generate-hashes --allow-unsafe --strip-extras --no-emit-options

lock:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 11, 3))' || { \
	  echo "The locks are resolved on Python 3.11.2, that of Debian 12: make PYTHON=/usr/bin/python3 lock" >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear $(LOCKER)
	$(LOCKER)/bin/python -m pip --disable-pip-version-check --quiet install pip-tools
	$(COMPILE) --build-deps-for wheel --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra test --extra check --constraint requirements.lock \
	  --output-file requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) build demo holdfast.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
