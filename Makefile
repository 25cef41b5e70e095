# `make help` lists what there is. Each command installs what it needs first and says so.
SHELL := /bin/bash
.DEFAULT_GOAL := help

ENVIRONMENTS := $(or $(DAMAGELOOP_ENVIRONMENTS),.venv)
BIN := $(ENVIRONMENTS)/platform/bin
PACKAGES := active_learning api benchmarks console damageloop migrations ml_backend samples workers

# What `make demo` and `make test-chaos` pass on; read from the environment, so that no path is quoted twice.
export IMAGES ANNOTATIONS BASE LIMIT FRESH SEED FAULTS SETUP JSON SCREENSHOT

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: platform dev
platform:
	@scripts/setup-environments.sh platform

dev:
	@scripts/setup-environments.sh dev

.PHONY: demo
demo: platform ## one whole loop, unattended (IMAGES=folder ANNOTATIONS=coco.json BASE=weights.pt LIMIT=n FRESH=1 SEED=n)
	@exec $(BIN)/python -m samples.demo \
		$${IMAGES:+--images "$$IMAGES"} $${ANNOTATIONS:+--annotations "$$ANNOTATIONS"} $${BASE:+--base "$$BASE"} \
		$${LIMIT:+--limit "$$LIMIT"} $${FRESH:+--fresh} $${SEED:+--seed "$$SEED"}

.PHONY: up down status
up: platform ## start the platform for people; prints addresses and where the secrets are
	@test -d "$${DAMAGELOOP_HOME:-var}/examples" || \
		$(BIN)/python -m samples.examples "$${DAMAGELOOP_HOME:-var}/examples" >/dev/null
	@exec $(BIN)/damageloop up

down: platform ## stop it
	@exec $(BIN)/damageloop down

status: platform ## what runs, which model is champion, what is waited for
	@exec $(BIN)/damageloop status

.PHONY: test test-full test-chaos
test: dev ## the tests, end to end included (installs Chromium with apt-get where it is missing)
	@scripts/install-test-servers.sh
	@scripts/run-tests.sh

test-full: dev ## every test, the long ones too
	@scripts/install-test-servers.sh
	@scripts/run-tests.sh --full

test-chaos: dev ## strike a real platform with seeded faults (SEED=n FAULTS=n SETUP=embedded|postgres-redis|postgres-rabbitmq JSON=file)
	@scripts/install-test-servers.sh
	@exec $(BIN)/python -m tests.chaos \
		$${SEED:+--seed "$$SEED"} $${FAULTS:+--faults "$$FAULTS"} $${SETUP:+--setup "$$SETUP"} $${JSON:+--json "$$JSON"}

.PHONY: first-image
first-image: dev ## from an empty folder to the first corrected photo in a browser, timed (JSON=file SCREENSHOT=file)
	@scripts/install-test-servers.sh
	@exec $(BIN)/python -m tests.acceptance.first_image \
		$${JSON:+--json "$$JSON"} $${SCREENSHOT:+--screenshot "$$SCREENSHOT"}

.PHONY: check
check: dev ## format, lint, types, imports: what CI runs first
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/shellcheck scripts/*.sh .ci/run
	$(BIN)/yamllint --strict .

.PHONY: format
format: dev ## format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: openapi
openapi: platform ## write the API's documents to docs/openapi
	$(BIN)/python -m api.document docs/openapi

.PHONY: lock
lock: platform ## compile the locks again (UPGRADE=1: with the newest versions that fit)
	scripts/lock.sh
