# Two commands for a newcomer: `make run` and `make test`. Each does its own set-up.
SHELL := /bin/sh
# The tests start the program hundreds of times: what is compiled once need not be compiled again.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
# What is between the BMS and the GX: its tests run with a look at the branches they reach.
ROOMS := battery tinybms victron core link
MORE = $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 3 / 2)
# Some of the tests alone reach what they reach; all of them have to reach the gates.
TESTS := $(if $(filter-out --no-skips,$(ARGS)),unit,coverage others)

# What the scenarios of SocketCAN need where the kernel has none (docs/socketcan-tests.md).
MACHINE := $(if $(filter x86_64,$(shell uname -m)),qemu-system-x86_64:qemu-system-x86 busybox:busybox-static kmod:kmod cpio:cpio) ip:iproute2 cangen:can-utils

.PHONY: run test test-random coverage others pythons bench lint format types imports unit ui screenshots rig-physics rig-socketcan rig-installed rig-fleet rig-home-assistant wheels deb lock clean help

run: ## Simulated battery and GX around the real bridge, with live values; Ctrl-C ends it
	@scripts/bootstrap.sh runtime
	@$(BIN)/tinybms-bridge demo $(ARGS)

test: ## Everything CI checks: lint, format, types, import rules, tests, coverage
	@scripts/bootstrap.sh dev
	@scripts/system-packages.sh mbpoll:mbpoll curl:curl chromium:chromium systemd-analyze:systemd mosquitto:mosquitto mosquitto_pub:mosquitto-clients openssl:openssl promtool:prometheus prometheus:prometheus vmalert:victoria-metrics /usr/sbin/avahi-daemon:avahi-daemon nsenter:util-linux udevadm:udev $(MACHINE)
	@$(MAKE) --no-print-directory lint types imports $(TESTS)

test-random: ## The tests with new examples in a new order, for a night: prints how to repeat what it finds
	@scripts/bootstrap.sh dev
	@HYPOTHESIS_PROFILE=random $(BIN)/pytest -n auto $(ARGS)

pythons: ## Every module and the quick tests on each Python from 3.11 to 3.13 that is here
	@scripts/other_pythons.py $(ARGS)

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: ## Put the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ui: ## Build the browser pages in ui/ into the package of the web server
	@scripts/bootstrap.sh dev
	@$(BIN)/python scripts/ui.py build

screenshots: ## Pictures of every page into docs/ui, from a running bridge in Chromium
	@scripts/bootstrap.sh dev
	@scripts/system-packages.sh chromium:chromium
	@$(BIN)/python -m rigs.ui_pictures

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

unit: ## Every test, untraced
	$(BIN)/pytest -n auto --randomly-seed=1 $(ARGS)

coverage: ## The tests of the rooms between BMS and GX; fails where they reach fewer branches than pyproject.toml wants
	$(BIN)/pytest -n auto --randomly-seed=1 $(ROOMS:%=--cov=tinybms_bridge.%) --cov-report=json:.coverage.json --cov-report= $(ROOMS:%=tests/%) $(ARGS)
	$(BIN)/python scripts/coverage_gate.py .coverage.json

others: # the tests of the other rooms; many of them wait for something, so there are more of them at once than processors
	$(BIN)/pytest -n $(MORE) --randomly-seed=1 $(ROOMS:%=--ignore=tests/%) $(ARGS)

bench: ## Measure; figures go to docs/performance.md by hand, with machine and date
	@scripts/bootstrap.sh dev
	@$(BIN)/pytest benchmarks --benchmark-enable --benchmark-only --benchmark-columns=min,median,mean,rounds -p no:randomly -q $(ARGS)
	@$(BIN)/python -m benchmarks.system
	@$(BIN)/python -m benchmarks.latency
	@$(BIN)/python -m benchmarks.web
	@$(BIN)/python -m benchmarks.history
	@$(BIN)/python -m benchmarks.link
	@$(BIN)/python -m benchmarks.services
	@$(BIN)/python -m benchmarks.metrics
	@$(BIN)/python -m benchmarks.packs

rig-physics: ## The cells of the bench against PyBaMM, then the engine with packs of them: half an hour, 830 MB
	@scripts/bootstrap.sh physics
	@.venv-physics/bin/python -m rigs.physics $(ARGS)

rig-socketcan: ## The port of SocketCAN and the whole program on a real kernel, as root on vcan0, which it removes and adds again
	@scripts/bootstrap.sh dev
	@$(BIN)/python -m rigs.socketcan $(ARGS)
	@$(BIN)/python -m rigs.whole_program $(ARGS)

rig-installed: ## The Debian package in a Debian of its own with systemd as PID 1, as root: installed, upgraded, broken, purged
	@scripts/bootstrap.sh dev
	@scripts/system-packages.sh debootstrap:debootstrap systemd-nspawn:systemd-container
	@$(BIN)/python -m rigs.installed $(ARGS)

rig-fleet: ## A thousand bridges into three NATS nodes and VictoriaMetrics, one of them killed: what is lost, twelve minutes
	@scripts/bootstrap.sh fleet
	@scripts/system-packages.sh victoria-metrics:victoria-metrics openssl:openssl
	@.venv-fleet/bin/python -m rigs.fleet $(ARGS)

rig-home-assistant: ## A real Home Assistant, Mosquitto and the bridge in a network of their own: ten minutes, 700 MB, Python 3.13
	@scripts/bootstrap.sh dev
	@scripts/bootstrap.sh home-assistant
	@scripts/system-packages.sh mosquitto:mosquitto mosquitto_sub:mosquitto-clients unshare:util-linux ip:iproute2
	@$(BIN)/python -m rigs.home_assistant $(ARGS)

wheels: ## The program and its laboratory as two wheels in dist/
	@scripts/bootstrap.sh runtime
	@$(BIN)/python -m hatchling build -t wheel -d dist
	@cd lab && ../$(BIN)/python -m hatchling build -t wheel -d ../dist

deb: ## The Debian package for this Python and architecture in dist/: installs without network
	@scripts/bootstrap.sh runtime
	@$(BIN)/python scripts/deb.py $(ARGS)

lock: ## Renew the hashed locks (needs uv)
	@scripts/lock.sh --upgrade

clean:
	rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'
