# `make demo` shows the main job, `make test` runs the tests. Both set everything up first; neither needs a service.
PORT ?= 8000
MINUTES ?= 60
VENV := .venv
PYTHON := $(VENV)/bin/python

.PHONY: help setup demo test coverage run check bench faults soak fmt docs openapi messages lock release release-draft

help:
	@echo "make demo     the main job in one command: push, fail, fix, resend"
	@echo "make test     the tests (SQLite; PostgreSQL, Redis and a browser where they are found)"
	@echo "make coverage the same, and prints what nothing ran also where there is no PostgreSQL"
	@echo "make run      migrate, then web and worker in the foreground (PORT=8000)"
	@echo "make check    lint, types, architecture, migrations, deployment, translations, documentation, advisories"
	@echo "make bench    benchmarks"
	@echo "make faults   fault injection tests (slow)"
	@echo "make soak     an hour of load with kills and outages (MINUTES=5 for a look)"
	@echo "make fmt      format the code"
	@echo "make docs     the documentation as a site: build/docs/index.html"
	@echo "make openapi  update docs/openapi.yaml"
	@echo "make messages update the translations: config/locale"
	@echo "make lock     update the requirements locks"
	@echo "make release  check everything, then build source archive, wheel and bill of materials"

# The lock that was installed is kept beside it; only another lock installs again.
setup:
	@cmp -s requirements-dev.lock $(VENV)/installed.lock || sh .ci/setup "$(VENV)"

demo: setup
	@exec $(PYTHON) manage.py demo $(if $(filter command line,$(origin PORT)),--port $(PORT))

run: setup
	@$(PYTHON) -m config.first_env
	@exec $(PYTHON) manage.py run --port $(PORT)

test: setup
	@exec $(PYTHON) -m tests

coverage: setup
	@COVERAGE=1 exec $(PYTHON) -m tests

check: setup
	@exec $(PYTHON) -m tests.checks

bench: setup
	@exec $(PYTHON) -m tests.benchmarks $(ARGS)

faults: setup
	@exec $(PYTHON) -m pytest -p no:randomly -o faulthandler_timeout=7200 -m slow $(ARGS) tests

soak: setup
	@MINUTES=$(MINUTES) exec $(PYTHON) -m tests.faults.soak

fmt: setup
	@$(VENV)/bin/ruff check --fix-only --quiet . && $(VENV)/bin/ruff format .

# A link that leads nowhere fails the build.
docs: setup
	@$(VENV)/bin/sphinx-build --quiet --fail-on-warning --keep-going -b html -c docs . build/docs
	@echo "Open build/docs/index.html"

openapi: setup
	@DEBUG=true ENV_FILE=/dev/null $(PYTHON) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

messages: setup
	@$(PYTHON) -m tests.translations

# Needs uv (https://docs.astral.sh/uv/). No index address is written into the locks.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --custom-compile-command "make lock" --all-extras pyproject.toml
lock:
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --group dev --group docs --output-file requirements-dev.lock

# Needs uv. Says what keeps this commit from being released; release-draft builds without asking.
release: setup
	@exec $(PYTHON) -m tests.release

release-draft: setup
	@exec $(PYTHON) -m tests.release --draft
