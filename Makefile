# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

MAKEFLAGS += --no-builtin-rules --no-print-directory
# Hundreds of Python processes run here: each would compile Ansible and the tests anew.
unexport PYTHONDONTWRITEBYTECODE
RUN := .venv/bin
BUILD := PYTHONPATH=tests $(RUN)/python -m hosts
# Its tools start one another by name.
ANSIBLE := PATH="$$PWD/$(RUN):$$PATH" ANSIBLE_COLLECTIONS_PATH="$$PWD/.venv/collections"
# How many tests or linters run at once, where a number other than that of the cores is wanted. Tests on real hosts wait
# more than they compute, so make test runs three times as many.
JOBS ?=
CORES := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
# Extra words for pytest: make test PYTEST="-k ufw".
PYTEST ?=
# yes: make test succeeds also where this machine cannot run a part of it.
PARTIAL ?=
LINTERS ?=
# yes: make lint runs all of ansible-test's sanity tests on every ansible-core.
FULL ?=
UPGRADE ?=
export SCENARIO ?=
export MOLECULE_IMAGE ?=
export PARTS ?=

# These reach tools/apply.py and tools/trial.py through the environment as they were typed: make neither expands
# them ($ is a plain character) nor puts them into the text of a command.
PASSED := PRODUCTS SERVICES SIDE PORTS SOURCES DESTINATIONS DIRECTIONS INTERFACE OUT_INTERFACE ZONE RULESET HOSTS CONFIRM CHECK BACKEND ENABLE ACCEPT STATE FIREWALL KEEP
as_typed = $(eval override $(1) := $$(value $(1)))$(eval export $(1))
$(foreach v,$(PASSED),$(if $(findstring command,$(origin $(v))),$(call as_typed,$(v))))

.DEFAULT_GOAL := help
# No target is a file.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' Makefile)

help: ## show this list
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo 'For example: make try PRODUCTS="FaceTime, AirPlay"       FIREWALL=firewalld KEEP=yes'
	@echo '             make apply PRODUCTS="FaceTime, AirPlay"     CHECK=yes only shows, CONFIRM=yes asks nothing'
	@echo '             also SERVICES= SIDE= PORTS= SOURCES= DESTINATIONS= DIRECTIONS= HOSTS= BACKEND= STATE='
	@echo '             make test PYTEST="-k ufw" JOBS=4              PARTIAL=yes: the rest is enough without real hosts'

##@ Use it

try: ## PRODUCTS on a throwaway host with a real FIREWALL=ufw, firewalld or nftables; KEEP=yes leaves it; as root
	@started=$$(date +%s) && tools/setup.sh run && \
	STARTED=$$started PYTHONPATH=tests:.venv/collections $(RUN)/python tools/trial.py

apply: ## make the firewall say what PRODUCTS need: plan, question, change
	@tools/setup.sh run
	@$(RUN)/python tools/apply.py

##@ Prove it

unit: ## the fast tests, without hosts
	@tools/setup.sh test
	@$(RUN)/python -m pytest tests/unit -n $(or $(JOBS),$(CORES)) --dist worksteal $(PYTEST)

test: ## unit tests, every ansible-core, real hosts (as root, installs podman and its like)
	@PARTIAL="$(PARTIAL)" tools/test.sh -n $(or $(JOBS),$(shell expr 3 \* $(CORES))) $(PYTEST)

lint: ## linters, ansible-test, galaxy-importer, the documentation; LINTERS="--only ruff", FULL=yes
	@tools/setup.sh lint
	@$(RUN)/python tools/lint.py -j $(or $(JOBS),$(CORES)) $(if $(filter yes,$(FULL)),--full) $(LINTERS)

check: ## both: make lint and make test
	@failed=; \
	$(MAKE) lint || failed="$$failed lint"; \
	$(MAKE) test || failed="$$failed test"; \
	[ -z "$$failed" ] || { echo "make check: failed:$$failed" >&2; exit 1; }

##@ More

torture: ## kill runs at every point of theirs on real hosts; an hour, with TORTURE_STRIDE=10 a tenth
	@tools/setup.sh test
	@tools/hosts.sh install
	@$(BUILD) build
	$(RUN)/python -m pytest tests/torture $(PYTEST)

bench: ## measure the collection beside its peers; PARTS="Lookup, A fleet"; writes docs/benchmarks.md
	@tools/setup.sh test
	@tools/hosts.sh install
	@$(BUILD) build
	@tools/bench.sh

docs: ## the documentation site, into .test/site/html
	@tools/setup.sh lint
	@tools/site.sh

##@ Keep it

molecule: ## Molecule alone, as root; SCENARIO=ufw MOLECULE_IMAGE=docker.io/... (any with systemd and Python)
	@tools/setup.sh test
	@[ -n "$$MOLECULE_IMAGE" ] || { tools/hosts.sh install && $(BUILD) build; }
	@tools/molecule.sh "$$SCENARIO"

setup: ## set up .venv in this folder (nothing outside it)
	@tools/setup.sh run

locks: ## write requirements/*.txt from *.in; UPGRADE=yes takes the newest releases
	@tools/setup.sh test
	@$(RUN)/python tools/locks.py $(if $(filter yes,$(UPGRADE)),--upgrade)

changelog: ## write CHANGELOG.md from changelogs/fragments, and keep the data, for the version in galaxy.yml
	@tools/setup.sh lint
	@$(ANSIBLE) antsibull-changelog release --update-existing --reload-plugins
	@$(RUN)/python tools/changes_page.py --keep

format: ## let ruff mend what it can
	@tools/setup.sh test
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

hosts: ## build the images of the test hosts
	@tools/setup.sh test
	@tools/hosts.sh install
	@$(BUILD) build

clean-try: ## remove the hosts that make try KEEP=yes left; their image stays
	@$(BUILD) remove

clean-hosts: ## remove the test hosts and their images
	@$(BUILD) clean

clean: ## remove the test hosts and what setup made
	@if ls -d .test/store-* >/dev/null 2>&1; then $(BUILD) clean; fi
	rm -rf .venv .test .mypy_cache .pytest_cache .ruff_cache .hypothesis
