# Every target is a script that can be run without make.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help test test-unit test-long e2e bench demo crds plans lint testbed-up testbed-down clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

test: ## Everything that CI runs: lint, generated files, all tests, end to end
	@tests/run all

test-unit: ## The tests that need no cluster: unit, property, snapshot
	@tests/run unit

test-long: ## Tests that take too long for CI: the plan law with 100,000 cases, the guard with 1,000,000
	@tests/run long

e2e: ## End-to-end tests; on KUBECONFIG and AWS_ENDPOINT_URL if both are set
	@tests/run e2e

bench: ## Measure the operator and write docs/benchmark.md: about half an hour
	@tests/run bench --write

demo: ## Start a test bed, run the operator on it and watch it make a role
	@tests/demo/run

crds: ## Write crds/ anew
	@tests/run crds

plans: ## Write the plans of the samples anew
	@tests/run plans

lint: ## Formatting, clippy and shellcheck
	@tests/run lint

testbed-up: ## Start the test bed: eval "$(make testbed-up)"
	@tests/testbed/up

testbed-down: ## Stop the test bed
	@tests/testbed/down

clean: ## Stop the test bed; remove it and the build output (not the cache)
	@tests/run clean
