# `make run` starts the proxy, `make test` proves it. Both make what they need in .venv; nothing else is touched.

PORT ?= 8080
SEEDS ?= 200
VENV := .venv
CLIENTS := $(VENV)/clients
BIN := $(VENV)/bin
PIP := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run demo test lint sim bench agents clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run ## start the proxy on 127.0.0.1:8080 (PORT=9000: another port; ARGS=--web: with a web interface)
	@exec $(BIN)/balancer run --listen-port $(PORT) $(ARGS)

demo: $(VENV)/.run ## watch a failover, offline, against a fake provider
	@$(BIN)/balancer demo $(ARGS)

test: lint $(CLIENTS)/.made ## lint, then all tests (ARGS="-k name": some)
	$(BIN)/pytest -n auto $(ARGS)

lint: $(VENV)/.dev ## ruff, mypy and the rules of who imports whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

sim: $(VENV)/.dev ## simulate days of outages, quotas and crashes (SEEDS=2000: more; ARGS="--seed 7": one again; ARGS=--strategies: compare them)
	@PYTHONPATH=addon:tests $(BIN)/python -m sim --seeds $(SEEDS) $(ARGS)

bench: $(VENV)/.dev ## measure against plain mitmdump and direct connections (ARGS=--help: what there is)
	$(BIN)/python -m bench $(ARGS)

agents: $(VENV)/.dev ## real agents through the proxy, offline; wants npm and a minute or two each (ARGS=--help: what there is)
	@command -v npm >/dev/null || { echo "the agents are installed with npm, which is not here: install Node.js 20 or newer"; exit 1; }
	@test -n "$$BALANCER_AGENTS" || echo "the agents are installed anew; BALANCER_AGENTS=FOLDER keeps them (2 GB)"
	$(BIN)/python tests/agents/run.py $(ARGS)

clean: ## back to a fresh clone: the virtual environments, caches and builds go
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find addon tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make the second run instant; a changed pyproject.toml installs again.
$(VENV)/.run: pyproject.toml scripts/venv.sh
	@scripts/venv.sh $(VENV)
	@test -e $@ || echo "installing mitm-balancer into $(VENV) (once)"
	@$(BIN)/python $(PIP) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml scripts/venv.sh
	@scripts/venv.sh $(VENV)
	@test -e $@ || echo "installing mitm-balancer and its test tools into $(VENV) (once)"
	@$(BIN)/python $(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.run

$(CLIENTS)/.made: tests/clients/requirements.txt $(VENV)/.dev
	@scripts/venv.sh $(CLIENTS)
	@test -e $@ || echo "installing the SDKs that the tests use as clients into $(CLIENTS) (once)"
	@$(CLIENTS)/bin/python $(PIP) --requirement $<
	@touch $@
