# One interface to everything. `make` alone lists the targets.
PYTHON ?= python3
BIN    := .venv/bin
ARGS   ?=
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help install run test e2e fuzz soak lint types format bench wheel sbom lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

# Two environments of one kind: the stamp of the larger one satisfies the smaller.
.venv/run.stamp: requirements/run.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else "ccrouter needs Python 3.11 or newer, this is %d.%d: make PYTHON=/path/to/python3.11" % v[:2])'
	@echo "installing into .venv, as locked ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/run.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: requirements/dev.lock .venv/run.stamp
	@echo "installing what tests and checks need ..."
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.lock
	@touch $@

install: .venv/run.stamp ## install what the router needs, locked, into .venv

run: .venv/run.stamp ## install if needed and start the router in the foreground (ARGS='--port 4000')
	@$(BIN)/ccr start $(ARGS)

test: .venv/dev.stamp ## install if needed and run every test (ARGS='tests/config -k name')
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-n auto)

e2e: .venv/dev.stamp ## real Claude Code, SDKs and Chromium against the router (needs node, npm, chromium; about 400 MB)
	@$(BIN)/python -m pytest tests/e2e -o addopts="--strict-markers -p no:cacheprovider" $(ARGS)

.venv/fuzz.stamp: requirements/fuzz.lock .venv/dev.stamp
	@echo "installing the fuzzer ..."
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/fuzz.lock
	@touch $@

fuzz: .venv/fuzz.stamp ## fuzz every reader for ten minutes in all (Linux; ARGS='--minutes 60 stream-gemini')
	@$(BIN)/python -m fuzz $(ARGS)

soak: .venv/dev.stamp ## load, half an hour of faults, kill -9 (Linux; ARGS='--minutes 5' or '--quick')
	@$(BIN)/python -m soak $(ARGS)

lint: .venv/dev.stamp ## ruff: rules and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

types: .venv/dev.stamp ## mypy, strict
	@$(BIN)/mypy

format: .venv/dev.stamp ## rewrite the sources in the project's format
	@$(BIN)/ruff check --fix-only . ; $(BIN)/ruff format .

bench: .venv/dev.stamp ## speed and memory beside nginx and the Node router (ARGS='--quick')
	@$(BIN)/python -m bench $(ARGS)

wheel: .venv/dev.stamp ## build the wheel and try it in an empty environment
	@rm -rf dist && $(BIN)/python -m build --wheel --no-isolation --outdir dist . && $(BIN)/python tests/wheel_smoke.py dist

sbom: .venv/run.stamp ## list what the router is made of, with hashes and licences (CycloneDX)
	@$(BIN)/python requirements/sbom.py dist/sbom.cdx.json && echo dist/sbom.cdx.json

lock: .venv/dev.stamp ## resolve the lock files anew (needs uv)
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 --group build pyproject.toml -o requirements/run.lock
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 --group dev pyproject.toml -o requirements/dev.lock
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 --group pyproject.toml:fuzz -o requirements/fuzz.lock

clean: ## remove everything that was made
	rm -rf .venv .bench .e2e dist build .mypy_cache .ruff_cache .hypothesis
