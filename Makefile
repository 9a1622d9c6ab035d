# Everything a person does with this checkout. `make help` lists it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run tablets manage test planted peers check check-style check-types check-scripts check-rules fmt assets weights \
	bench bench-large bench-ui faults faults-nightly faults-release faults-ui pictures reset lock browser

PORT ?= 8000
IMAGES ?=
# PORT is the port of `make run` unless somebody asks for one; some shells set HOST by themselves.
TABLETS_PORT = $(if $(filter command environment,$(firstword $(origin PORT))),$(PORT),8443)
LOUPE := .venv/bin/python -m config.runner
# The first Python that is new enough; an own choice wins: make run PYTHON=/opt/python3.12/bin/python3
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
# Named after the content of the lists, so that an unchanged list is not installed again.
RUNS := .venv/runs-$(shell cksum < requirements.txt | tr ' ' '-')
TESTS := .venv/tests-$(shell cat requirements-dev.txt requirements-adapters.txt | cksum | tr ' ' '-')
SCRIPTS := node_modules/.runs-$(shell cksum < package-lock.json | tr ' ' '-')
SCRIPT_TESTS := node_modules/.tests-$(shell cksum < package-lock.json | tr ' ' '-')
# The machine's Node.js when it is new enough, else the one from its wheel.
OWN_NODE := $(shell node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null \
	&& command -v npm >/dev/null && echo yes)
WHEEL_NODE := .venv/node-$(shell cksum < requirements-node.txt | tr ' ' '-')
TOOLS := $(if $(OWN_NODE),,$(WHEEL_NODE))
# Read when a recipe runs: the wheel may only just have been installed.
NODE_PATHS = $(if $(OWN_NODE),,PATH="$(CURDIR)/.venv/bin:$$PATH")
NPM_CI = $(NODE_PATHS) npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error

help: ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

run: $(RUNS) assets ## start everything with a demo plant [IMAGES=folder] [PORT=8000]
	@$(LOUPE) up --demo --port $(PORT) $(if $(IMAGES),--images "$(IMAGES)")

tablets: $(RUNS) ## open what make run has started to tablets, with TLS [HOST=name] [CERT= KEY=] [PORT=8443]
	@$(LOUPE) tablets --port $(TABLETS_PORT) $(if $(filter command,$(firstword $(origin HOST))),--host "$(HOST)") \
		$(if $(CERT),--certificate "$(CERT)") $(if $(KEY),--key "$(KEY)")

manage: $(RUNS) ## a management command for what make run has started [DO="help"]
	@$(LOUPE) manage $(DO)

test: check browser ## all checks, then all tests
	@$(MAKE) --no-print-directory assets
	.venv/bin/pytest -n auto --dist loadfile --no-loadscope-reorder

planted: $(TESTS) ## every planted bug must turn the tests red that are there for it
	.venv/bin/pytest -m "not peers" --timeout 1200 tests/planted

peers: $(TESTS) ## the adapters against real systems: Tryton, brokers [ONLY=tryton]
	.venv/bin/pytest -m peers --timeout 900 $(if $(ONLY),tests/peers/test_$(ONLY).py,tests/peers)

check: $(TESTS) $(SCRIPT_TESTS) ## style, types, import order, migrations, repository rules
	@$(MAKE) --no-print-directory -j 2 check-types check-scripts check-style check-rules

check-style:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports

check-types:
	.venv/bin/mypy .

check-scripts:
	@$(NODE_PATHS) node node_modules/typescript/bin/tsc --project .

check-rules:
	.venv/bin/python manage.py makemigrations --check --dry-run
	.venv/bin/pytest tests/architecture -q

fmt: $(TESTS) ## format the code and mend what can be mended
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

assets: static/built/weights.json ## bundle the scripts of the pages into static/built

weights: assets ## what each part of the bundled scripts weighs
	@$(NODE_PATHS) node config/bundle.mjs --report

bench: $(TESTS) ## measure the review loop and the intake
	.venv/bin/python -m benchmarks

bench-large: $(TESTS) ## the same with a backlog of a million units (takes many minutes)
	.venv/bin/python -m benchmarks --large

bench-ui: $(TESTS) browser assets ## measure the bench in a browser, with 150 ms of network delay
	.venv/bin/python -m benchmarks.ui

faults-ui: $(TESTS) browser assets ## 2,000 verdicts at a tablet under every fault (takes many minutes)
	.venv/bin/python -m benchmarks.line_faults

faults: $(TESTS) ## kill, stop, cut and restore a plant; what the MES is told stays right (takes many minutes)
	.venv/bin/python -m benchmarks.ledger_faults $(FAULTS)

faults-nightly: $(TESTS) ## the same with 30,000 messages and 1,000 kills
	.venv/bin/python -m benchmarks.ledger_faults --tier nightly $(FAULTS)

faults-release: $(TESTS) ## the same with 300,000 messages and 10,000 kills (takes hours)
	.venv/bin/python -m benchmarks.ledger_faults --tier release $(FAULTS)

pictures: $(TESTS) browser assets ## take the pictures of the documentation anew
	@rm -f docs/images/*.webp
	LOUPE_PICTURES=docs/images .venv/bin/pytest -q tests/functional/test_docs_pictures.py \
		tests/functional/test_docs_line_pictures.py tests/functional/test_docs_ledger_pictures.py \
		tests/functional/test_story.py

reset: $(RUNS) ## delete everything the runs have kept in var/
	@$(LOUPE) reset

lock: .venv/bin/pip ## pin what requirements*.in ask for (needs the network)
	.venv/bin/pip install --quiet uv
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes -c requirements.txt requirements-adapters.in -o requirements-adapters.txt
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes -c requirements.txt requirements-dev.in -o requirements-dev.txt
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements-node.in -o requirements-node.txt
	@$(NODE_PATHS) npm install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error

browser:
	@test -n "$(CHROMIUM)" || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& apt-get update -qq && apt-get install -qq --yes --no-install-recommends chromium >/dev/null; } \
		|| { echo "The browser tests need Chromium: apt install chromium, dnf install chromium" \
		"or brew install --cask chromium, then run make test again."; exit 1; }
# The same engine without a window around its pages: a test's new page costs a quarter. Without it all goes as well.
	@command -v chromium-headless-shell >/dev/null || test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null \
		|| { apt-get update -qq && apt-get install -qq --yes --no-remove --no-install-recommends chromium-headless-shell; } \
		>/dev/null 2>&1 || echo "chromium-headless-shell is not to be had: the browser tests use chromium, and take longer."

.venv/bin/pip:
	@test -n "$(PYTHON)" || { echo "Loupe needs Python 3.11 or newer:" \
		"apt install python3 python3-venv, or see https://www.python.org/downloads/"; exit 1; }
	@rm -rf .venv; $(PYTHON) -m venv .venv >/dev/null || { rm -rf .venv; echo "$(PYTHON) cannot make" \
		"a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(RUNS): | .venv/bin/pip
	@echo "Installing what Loupe needs into .venv (once, a minute or two) ..."
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@rm -f .venv/runs-*; touch $@

# The second list holds the first one, too.
$(TESTS): $(RUNS)
	@echo "Installing what the checks and tests need into .venv (once) ..."
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-adapters.txt \
		|| echo "The library for IPC-CFX is built here and needs a C compiler (apt install gcc); its tests are left out."
	@rm -f .venv/tests-*; touch $@

$(WHEEL_NODE): | .venv/bin/pip
	@echo "Installing Node.js into .venv (once) ..."
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-node.txt
	@rm -f .venv/node-*; touch $@

$(SCRIPTS): $(TOOLS)
	@echo "Installing what the scripts of the pages need into node_modules (once) ..."
	@$(NPM_CI) --omit=dev >/dev/null
	@touch $@

# With what the tests need there is also what the runs need.
$(SCRIPT_TESTS): $(TOOLS)
	@echo "Installing what the checks of the scripts need into node_modules (once) ..."
	@$(NPM_CI) >/dev/null
	@touch $(SCRIPTS) $@

static/built/weights.json: $(SCRIPTS) config/bundle.mjs $(shell find static/js static/css -name '*.js' -o -name '*.css') \
		$(shell grep -rl 'built/' templates)
	@$(NODE_PATHS) node config/bundle.mjs
