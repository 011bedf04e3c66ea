# Sluice: what a developer runs. Each target prints one line per step; the logs are in build/logs.
.DEFAULT_GOAL := help
.PHONY: help setup build demo check test lint fmt wheel test-wheel fuzz bench bench-server screenshots clients-long conformance-long clean

TOOLS := build/tools/bin
PY := $(TOOLS)/python

help:             ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

setup:            ## install system packages, tools and third-party files that are missing
	@sh scripts/setup

build: setup      ## compile the command: build/release (optimised) and build/debug (sanitizers, crash points)
	@$(PY) scripts/build.py release debug

demo:             ## build, install into a fresh venv, run the tutorial, show the row (make demo DEST=postgres: in PostgreSQL)
	@sh scripts/setup build
	@DEST=$(DEST) $(PY) scripts/demo.py

check: setup      ## everything: build, lint, unit tests, pytest on every Python found, sanitizers, the wheel
	@$(PY) scripts/check.py $(ARGS)

test: setup       ## the quick part of check: unit tests, and pytest on one Python
	@$(PY) scripts/check.py --quick $(ARGS)

lint: setup       ## formatting, layers, ruff, mypy --strict
	@$(PY) scripts/lint.py

fmt: setup        ## format the sources in place
	@$(PY) scripts/lint.py --fix

wheel: setup      ## self-contained wheels in dist/
	@$(PY) scripts/wheel.py

test-wheel: wheel ## install the wheel in a bare Debian root and run the tutorial there (as root)
	@sh scripts/bare-root

fuzz: setup       ## fuzz the frame decoder: make fuzz SECONDS=600
	@$(PY) scripts/fuzz.py $(or $(SECONDS),600)

bench: setup      ## compare with others: make bench W=W1,W2 ROUNDS=3 ROWS=0.1
	@$(PY) bench/run.py $(if $(W),--only $(W)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ROWS),--scale $(ROWS)) $(ARGS)

bench-server: setup ## a server against the figures it promises: make bench-server F="start api"
	@$(PY) bench/server.py $(F) $(ARGS)

screenshots: setup ## every page of the dashboard, light and dark, wide and phone, into build/screenshots
	@$(PY) scripts/check.py --screenshots $(ARGS)

clients-long: setup ## the slow clients of tests/clients: the Airflow provider
	@$(PY) scripts/check.py --long

conformance-long: setup ## tests/conformance with 300 cuts and kills per server: make conformance-long ARGS="-k anywhere"
	@$(PY) scripts/check.py --conformance $(ARGS)

clean:            ## remove what was built (third_party and the tools stay)
	@find build dist -mindepth 1 -maxdepth 1 ! -name tools ! -name bare-root -exec rm -rf {} + 2>/dev/null || true
