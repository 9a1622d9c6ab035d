# Everything a person does with this checkout. `make help` lists it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test check check-style check-types check-rules fmt bench bench-large reset lock browser

PORT ?= 8000
IMAGES ?=
LOUPE := .venv/bin/python -m config.runner
# The first Python that is new enough; an own choice wins: make run PYTHON=/opt/python3.12/bin/python3
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
# Named after the content of the lists, so that an unchanged list is not installed again.
RUNS := .venv/runs-$(shell cksum < requirements.txt | tr ' ' '-')
TESTS := .venv/tests-$(shell cksum < requirements-dev.txt | tr ' ' '-')

help: ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "  make %-11s %s\n", $$1, $$2 }'

run: $(RUNS) ## start everything with a demo plant [IMAGES=folder] [PORT=8000]
	@$(LOUPE) up --demo --port $(PORT) $(if $(IMAGES),--images "$(IMAGES)")

test: check browser ## all checks, then all tests
	.venv/bin/pytest

check: $(TESTS) ## style, types, import order, migrations, repository rules
	@$(MAKE) --no-print-directory -j 2 check-types check-style check-rules

check-style:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports

check-types:
	.venv/bin/mypy .

check-rules:
	.venv/bin/python manage.py makemigrations --check --dry-run
	.venv/bin/pytest tests/architecture -q

fmt: $(TESTS) ## format the code and mend what can be mended
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

bench: $(TESTS) ## measure the review loop and the intake
	.venv/bin/python -m benchmarks

bench-large: $(TESTS) ## the same with a backlog of a million units (takes many minutes)
	.venv/bin/python -m benchmarks --large

reset: $(RUNS) ## delete everything the runs have kept in var/
	@$(LOUPE) reset

lock: .venv/bin/pip ## pin what requirements*.in ask for (needs the network)
	.venv/bin/pip install --quiet uv
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes -c requirements.txt requirements-dev.in -o requirements-dev.txt

browser:
	@test -n "$(CHROMIUM)" || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& apt-get update -qq && apt-get install -qq --yes --no-install-recommends chromium >/dev/null; } \
		|| { echo "The browser tests need Chromium: apt install chromium, dnf install chromium" \
		"or brew install --cask chromium, then run make test again."; exit 1; }

.venv/bin/pip:
	@test -n "$(PYTHON)" || { echo "Loupe needs Python 3.11 or newer:" \
		"apt install python3 python3-venv, or see https://www.python.org/downloads/"; exit 1; }
	@rm -rf .venv; $(PYTHON) -m venv .venv >/dev/null || { rm -rf .venv; echo "$(PYTHON) cannot make" \
		"a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(RUNS): | .venv/bin/pip
	@echo "Installing what Loupe needs into .venv (once, about a minute) ..."
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@rm -f .venv/runs-*; touch $@

# The second list holds the first one, too.
$(TESTS): $(RUNS)
	@echo "Installing what the checks and tests need into .venv (once) ..."
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@rm -f .venv/tests-*; touch $@
