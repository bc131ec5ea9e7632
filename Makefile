# Bare `make` lists what there is. All of it works on a fresh machine: what is missing is installed, or named.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
TRY ?= .try
export PYTHONDONTWRITEBYTECODE := 1

# Cold, programs and images take minutes each: both at once, as each waits for the network now and then.
prepare = @$(PYTHON) localcluster programs & programs=$$!; $(PYTHON) localcluster images $(1); images=$$?; \
	wait $$programs && exit $$images

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Asks before something is done to a cluster that is not ours.
ask = command -v helm >/dev/null && command -v kubectl >/dev/null || { echo "helm and kubectl are needed" >&2; exit 1; }; \
	context=$$(kubectl config current-context) || exit 1; echo "kubectl's context is $$context"; \
	[ "$(YES)" = 1 ] || { read -r -p "$(1) $$context? [y/N] " answer && [ "$$answer" = y ]; } || { echo "nothing was done" >&2; exit 1; }

try: $(TRY)/venv/ready ## In a minute, on this machine: a model is collected, and what it saw is a table (Python 3.11, nothing else)
	@PYTHONPATH=analytics PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX="$$PWD/$(TRY)/cache" $(TRY)/venv/bin/python examples/laptop/laptop.py $(TRY)

demo: .venv/ready ## A real model in a real cluster is collected, and every row checked (root; leaves the cluster up)
	$(call prepare,azurite operator diabetes)
	$(PYTHON) localcluster up
	$(PYTHON) localcluster images azurite operator diabetes
	eval "$$($(PYTHON) localcluster env)" && $(BIN)/python examples/diabetes/demo.py

demo-down: cluster-down ## Remove the demo: the cluster and all that is in it

test: root lint node java lua ## All tests: units, the client against Azurite, everything in a real cluster (root; takes a running cluster down)
	$(PYTHON) localcluster down
	@$(PYTHON) localcluster packages
	$(call prepare,)
	$(BIN)/pytest --numprocesses 3

bench: .venv-benchmarks/ready node ## What collecting costs, beside its peers, in 14 minutes; some of it: PARTS="calls imports"
	.venv-benchmarks/bin/python benchmarks $(PARTS)

bench-operator: .venv/ready ## The operator among thousands of workloads, on a bare API server, in 10 minutes; some of it: PARTS=webhook
	@$(PYTHON) localcluster programs
	PYTHONPATH=benchmarks:tests/apiserver $(BIN)/python benchmarks/operating $(PARTS)

soak: .venv/ready node ## A million rows with every fault, kills and restarts at random: each once; make soak SOAK="--rows 50000 --seed 7"
	$(BIN)/python soak $(SOAK)

soak-operator: .venv/ready ## The operator while an API server refuses at random, round after round; make soak-operator ROUNDS=50 SEED=7
	@$(PYTHON) localcluster programs
	MODELDATA_REFUSAL_ROUNDS=$(or $(ROUNDS),20) MODELDATA_SEED=$(SEED) $(BIN)/pytest -s --timeout 36000 tests/apiserver/test_refusals.py

test-unit: .venv/ready ## The tests that need nothing but Python
	$(BIN)/pytest -m "not azurite and not java and not images and not apiserver and not cluster and not own_cluster"

lint: .venv/ready .venv-py39/ready ## Formatting, style, types, and who may import whom
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.14 -p modeldata -p azureml.monitoring -p azureml.datacollector
	.venv-py39/bin/mypy --python-version 3.9 -p modeldata -p azureml.monitoring -p azureml.datacollector
	$(BIN)/mypy --explicit-package-bases release/*.py docs/*.py
	MYPYPATH=localcluster $(BIN)/mypy --explicit-package-bases localcluster/*.py
	MYPYPATH=benchmarks:benchmarks/measured:analytics $(BIN)/mypy --explicit-package-bases benchmarks/*.py benchmarks/measured/*.py
	MYPYPATH=benchmarks:benchmarks/operating:tests/apiserver:operator $(BIN)/mypy --explicit-package-bases benchmarks/operating/*.py
	$(BIN)/lint-imports

format: .venv/ready ## Format the code, and fix what can be fixed by itself
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

dist: .venv/ready ## Wheels, source archives and bills of materials, in dist/: the same bytes from the same commit
	$(BIN)/python release

reference: .venv/ready ## Write docs/reference/, what can be looked up, from its sources
	$(BIN)/python docs/generate.py

notebook: .venv/ready ## Run the notebook in examples/, and keep what it shows
	$(BIN)/python examples/notebook/execute.py

manifests: ## Write what is made of the Helm chart: the plain manifests, the table of its values
	@$(PYTHON) localcluster programs >/dev/null
	$(PYTHON) manifests/generate.py "$$($(PYTHON) localcluster bin)/helm"

deploy: ## Install the Helm chart into the cluster that kubectl talks to, after asking (YES=1: without); HELM_ARGS="--set ..."
	@$(call ask,install modeldata-operator into)
	helm upgrade --install modeldata manifests/chart --namespace modeldata-system --create-namespace --wait $(HELM_ARGS)

undeploy: ## Uninstall it: models go on serving uncollected, the DataCollections stay
	@$(call ask,uninstall modeldata-operator from)
	helm uninstall modeldata --namespace modeldata-system --wait

cluster-up: ## Bring the machine-local Kubernetes up, or repair it (root)
	$(PYTHON) localcluster up

cluster-down: ## Take it down and leave no trace of it
	$(PYTHON) localcluster down

images: ## Build the images, and bring them into the cluster if it is up (root)
	$(PYTHON) localcluster images

clean: ## Remove the virtual environment and caches in this directory
	rm -rf dist $(TRY) .venv .venv-py39 .venv-benchmarks .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help try dist reference manifests deploy undeploy demo demo-down test soak soak-operator bench bench-operator test-unit lint format cluster-up cluster-down images clean root node java lua python

root:
	@[ "$$(id -u)" = 0 ] || { echo "make test needs root: containerd and the pods' network. make test-unit is the part that needs nothing." >&2; exit 1; }

# The operator needs Python 3.11, so its tests do.
python:
	@$(PYTHON) -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11)' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v $(PYTHON) >/dev/null; then \
	    echo "installing python3 and python3-venv"; apt-get update -qq && apt-get install -y -qq python3 python3-venv >/dev/null; \
	  elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
	    echo "installing python3-venv"; apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null; \
	  fi; \
	  $(PYTHON) -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11)' 2>/dev/null || { \
	    echo "Python 3.11 or later with the venv module is needed (Debian: apt-get install python3 python3-venv)." >&2; \
	    echo "Another interpreter than $(PYTHON): make PYTHON=/path/to/python3.11" >&2; exit 1; }; }

node:
	@command -v npm >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing nodejs and npm (Azurite runs on them)"; apt-get update -qq && apt-get install -y -qq nodejs npm >/dev/null; \
	  else echo "npm is missing: the tests run a real Azurite. Debian: apt-get install nodejs npm" >&2; exit 1; fi; }

java:
	@command -v java >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing openjdk-17-jre-headless (Spark runs on it)"; apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless >/dev/null; \
	  else echo "java is missing: the tests run a real Spark. Debian: apt-get install openjdk-17-jre-headless" >&2; exit 1; fi; }

lua:
	@command -v lua5.4 >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing lua5.4 (Argo CD runs its health checks in Lua)"; apt-get update -qq && apt-get install -y -qq lua5.4 >/dev/null; \
	  else echo "lua5.4 is missing: the tests run the health check for Argo CD. Debian: apt-get install lua5.4" >&2; exit 1; fi; }

# Made aside and moved into place, so that an interrupted installation is begun anew.
.venv/ready: constraints.txt requirements-dev.txt client/pyproject.toml client/azureml/pyproject.toml operator/pyproject.toml analytics/pyproject.toml | python
	@echo "making the virtual environment .venv"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-dev.txt -e client -e client/azureml -e operator -e analytics
	@touch $@

# Not compiled by pip, and our own part is run from here: a third of the time, and make try is to take a minute at most.
$(TRY)/venv/ready: constraints.txt examples/laptop/requirements.txt | python
	@echo "making a virtual environment in $(TRY): duckdb, gunicorn, orjson, pandas, pyarrow, rich, scikit-learn"
	@rm -rf $(TRY)/venv
	@$(PYTHON) -m venv $(TRY)/venv
	@$(TRY)/venv/bin/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -r examples/laptop/requirements.txt || { \
	  echo "The packages could not be installed: is a package index (PyPI) in reach?" >&2; exit 1; }
	@touch $@

# mypy 1.19 is the last one that knows Python 3.9. What it sees are the client's own requirements: stubs that the tests'
# environment brings use newer syntax.
.venv-py39/ready: constraints.txt client/pyproject.toml | python
	@echo "making the virtual environment .venv-py39"
	@rm -rf .venv-py39
	@$(PYTHON) -m venv .venv-py39
	@.venv-py39/bin/pip install --quiet --disable-pip-version-check mypy==1.19.1
	@.venv-py39/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e 'client[workload-identity]' prometheus-client
	@touch $@

# Apart from the tests' environment: the peers bring dozens of packages that nothing else needs.
.venv-benchmarks/ready: benchmarks/requirements.txt client/pyproject.toml | python
	@echo "making the virtual environment .venv-benchmarks"
	@rm -rf .venv-benchmarks
	@$(PYTHON) -m venv .venv-benchmarks
	@.venv-benchmarks/bin/pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt -e client
	@touch $@
