# Every target is a script that can be run without make.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help test test-unit test-long e2e e2e-node bench demo crds plans charts lint testbed-up testbed-down \
	testbed-node-up testbed-node-down clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-17s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

test: ## What CI runs, but for the charts on a node (e2e-node): lint, generated files, all tests, end to end
	@tests/run all

test-unit: ## The tests that need no cluster: unit, property, snapshot
	@tests/run unit

test-long: ## Tests that take too long for CI: the plan law with 100,000 cases, the guard with 1,000,000
	@tests/run long

e2e: ## End-to-end tests; on KUBECONFIG and AWS_ENDPOINT_URL if both are set
	@tests/run e2e

e2e-node: ## The charts on a node: image built, installed with Helm, upgraded, rolled back, uninstalled; needs root
	@tests/run node

bench: ## Measure the operator and write docs/benchmark.md: about half an hour
	@tests/run bench --write

demo: ## Start a test bed, run the operator on it and watch it make a role
	@tests/demo/run

crds: ## Write crds/ anew
	@tests/run crds

plans: ## Write the plans of the samples anew
	@tests/run plans

charts: ## Write anew what in deploy/ is made of something else: parts of the charts, deploy/kubectl/
	@tests/run charts

lint: ## Formatting, clippy, shellcheck; where they are installed also typos, actionlint and hadolint
	@tests/run lint

testbed-up: ## Start the test bed: eval "$(make testbed-up)"
	@tests/testbed/up

testbed-down: ## Stop the test bed
	@tests/testbed/down

testbed-node-up: ## Start a test bed with a node, on which pods run: eval "$(make testbed-node-up)"; needs root
	@tests/testbed/node-up

testbed-node-down: ## Stop the test bed with a node
	@tests/testbed/node-down

clean: ## Stop the test bed; remove it and the build output (not the cache)
	@tests/run clean
