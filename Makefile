# What everybody types. `make` alone lists it. Needed before: python3 (3.11 or later), make, git.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
IN_VENV := $(BIN)/python
PIP := $(IN_VENV) -m pip install -qq --disable-pip-version-check --no-input
LOCKS := deploy/requirements
COMPILE := $(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links
PYTHON_CODE := command_api query_api projectors processors events infrastructure deploy tests
DATA ?= data
ARGS ?=

# The stamps say which lock was installed last; a changed lock is newer and installs again.
RUNTIME := $(VENV)/.runtime-installed
TOOLS := $(VENV)/.tools-installed
DEV := $(VENV)/.dev-installed
BENCH := $(VENV)/.bench-installed

.DEFAULT_GOAL := help
.PHONY: help setup lock run demo test check format bench drills docs clean

help: ## list the targets
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-9s %s\n", $$1, $$2}'

setup: $(DEV) $(TOOLS) ## make .venv with everything that the other targets need
	@:

run: $(RUNTIME) $(TOOLS) ## start the platform on real servers; files stay in DATA (data); stop with Ctrl-C
	@$(IN_VENV) -m infrastructure.cli.main up --data-dir "$(DATA)" --first-steps $(ARGS)

demo: $(RUNTIME) ## start a throw-away platform, convert one photo through the APIs, show its history
	@$(IN_VENV) -m infrastructure.cli.main demo $(ARGS)

test: $(DEV) $(TOOLS) ## run all tests but the drills, with coverage
	@rm -f .coverage .coverage.*
	@$(IN_VENV) -m coverage run -m pytest -q -n 2 --dist loadgroup --every-route \
		-m "not drill" $(ARGS)
	@$(IN_VENV) -m coverage combine -q
	@$(IN_VENV) -m coverage report --fail-under=85

check: $(DEV) $(TOOLS) ## black, isort, ruff, mypy, import-linter
	@$(IN_VENV) -m black --check $(PYTHON_CODE)
	@$(IN_VENV) -m isort --check -q $(PYTHON_CODE)
	@$(IN_VENV) -m ruff check -q $(PYTHON_CODE)
	@$(IN_VENV) -m mypy
	@$(BIN)/lint-imports --no-cache

format: $(DEV) ## let black and isort put the code into shape
	@$(IN_VENV) -m black -q $(PYTHON_CODE)
	@$(IN_VENV) -m isort -q $(PYTHON_CODE)

bench: $(BENCH) ## measure, each figure beside a limit or a peer of the same run
	@$(IN_VENV) -m tests.benchmarks $(ARGS)

drills: $(DEV) $(TOOLS) ## the long tests: kill and freeze everything at the worst moment
	@$(IN_VENV) -m pytest -q -m drill --timeout=900 $(ARGS)

lock: $(DEV) ## solve the dependencies of pyproject.toml anew
	@$(COMPILE) --extra embedded --extra dev --extra bench --extra tools -o $(LOCKS)/all.lock
	@$(COMPILE) -c $(LOCKS)/all.lock --extra embedded -o $(LOCKS)/runtime.lock
	@$(COMPILE) -c $(LOCKS)/all.lock --extra embedded --extra tools -o $(LOCKS)/tools.lock
	@$(COMPILE) -c $(LOCKS)/all.lock --extra embedded --extra dev -o $(LOCKS)/dev.lock
	@$(COMPILE) -c $(LOCKS)/all.lock --extra embedded --extra dev --extra bench -o $(LOCKS)/bench.lock
	@rm $(LOCKS)/all.lock

docs: $(DEV) $(TOOLS) ## make the pages that come from the code: configuration, .env.example, tools
	@$(IN_VENV) -m infrastructure.cli.configuration
	@$(IN_VENV) -m tests.pages

clean: ## remove what the other targets made, but neither DATA nor .venv
	@rm -rf build dist demo-output htmlcov .coverage .coverage.* *.egg-info
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find $(PYTHON_CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than 3.11: make PYTHON=… names another one" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): $(LOCKS)/runtime.lock pyproject.toml | $(BIN)/pip
	@echo "Installing what the platform needs into $(VENV) …"
	@$(PIP) --require-hashes -r $(LOCKS)/runtime.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# A platform without the heavier tools is a platform: they are listed as unavailable, with the reason.
$(TOOLS): $(LOCKS)/tools.lock pyproject.toml | $(RUNTIME)
	@echo "Installing the libraries of the heavier tools into $(VENV) …"
	@$(PIP) --require-hashes -r $(LOCKS)/tools.lock \
		|| echo "skipped: not all of the heavier tools can be installed here" >&2
	@touch $@

$(DEV): $(LOCKS)/dev.lock pyproject.toml | $(BIN)/pip
	@echo "Installing what the tests need into $(VENV) …"
	@$(PIP) --require-hashes -r $(LOCKS)/dev.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $(RUNTIME) $@

$(BENCH): $(LOCKS)/bench.lock $(DEV) | $(BIN)/pip
	@echo "Installing what the benchmarks compare with into $(VENV) …"
	@$(PIP) --require-hashes -r $(LOCKS)/bench.lock
	@touch $@
