# `make help` lists the targets. Everything they need is installed into .venv and the binary cache by themselves.

SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CLUSTER ?= embedded
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Every operator and every plain run that tests start would compile our sources anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements-dev.txt requirements-collections.txt scripts/find-python scripts/unpack_collection.py
	@python=$$(./scripts/find-python) && echo "==> virtual environment with $$python" && \
	  rm -rf $(VENV) && "$$python" -m venv $(VENV)
	@echo "==> locked dependencies" && $(BIN)/pip install --quiet --require-hashes --only-binary=:all: -r requirements-dev.txt
	@echo "==> kubernetes.core" && rm -rf $(VENV)/wheels && \
	  $(BIN)/pip download --quiet --require-hashes --no-deps --only-binary=:all: -d $(VENV)/wheels -r requirements-collections.txt && \
	  $(BIN)/python scripts/unpack_collection.py $(VENV)/wheels kubernetes.core && rm -rf $(VENV)/wheels
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: demo
demo: $(READY) ## Run the main job on a real cluster: an Echo prints its message (CLUSTER=embedded|kind|current)
	@$(BIN)/python -m scripts.demo --cluster $(CLUSTER)

.PHONY: test
test: check ## Everything that must pass: check, integration and end-to-end tests
	@$(BIN)/python -m cluster build
	@$(BIN)/pytest -m "ansible or integration or e2e" --numprocesses auto --maxprocesses 4 --durations=15

.PHONY: check
check: $(READY) ## Linters, types, layers and unit tests; no cluster needed
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline -q
	$(BIN)/pytest -q -m "not ansible and not integration and not e2e" --numprocesses auto --maxprocesses 4

# `kind` makes a cluster of another sort, and takes an engine for containers.
.PHONY: test-molecule
test-molecule: $(READY) ## Molecule's scenarios, all but kind (SCENARIO=default|ha|upgrade|kind; CLUSTER=embedded|kind|current)
	@$(BIN)/python -m cluster build
	@PATH="$(CURDIR)/$(BIN):$$PATH" CLUSTER=$(CLUSTER) molecule --base-config=.config/molecule/config.yml \
	  test $(if $(SCENARIO),--scenario-name=$(SCENARIO),--all --exclude=kind)

.PHONY: bench
bench: $(READY) ## Measure speed, cost and memory (SCENARIO=name COUNT=n WORKERS=n; PEER=path of another ansible-operator)
	@$(BIN)/python -m bench $(SCENARIO:%=--scenario %) $(COUNT:%=--count %) $(SLOW_COUNT:%=--slow-count %) $(WORKERS:%=--workers %) $(PEER:%=--peer %)

.PHONY: profile
profile: $(READY) ## Show where the time of a reconcile goes (COUNT=n)
	@$(BIN)/python -m bench.profile $(COUNT:%=--count %)

.PHONY: run
run: $(READY) ## Run the operator here, against the current kubeconfig context
	$(BIN)/ansible-operator run --strict --log-format console

.PHONY: cluster-up
cluster-up: $(READY) ## Build and start the embedded cluster (control plane, and a node where possible)
	@$(BIN)/python -m cluster up

.PHONY: cluster-down
cluster-down: $(READY) ## Stop the embedded cluster and undo what it changed on this machine
	@$(BIN)/python -m cluster down

.PHONY: cluster-status
cluster-status: $(READY) ## Show the embedded cluster's components
	@$(BIN)/python -m cluster status

KUBECTL = $(shell command -v kubectl || $(BIN)/python -m cluster which kubectl)

.PHONY: install
install: $(READY) ## Install the CRDs into the current kubeconfig context
	$(KUBECTL) apply --server-side -k config/crd

.PHONY: uninstall
uninstall: $(READY) ## Remove the CRDs, and with them every Echo and ScheduledEcho
	$(KUBECTL) delete --ignore-not-found -k config/crd

# --- the image ---------------------------------------------------------------------------------------------------------
# Empty: the Dockerfile's own base where it can be pulled, else one made out of Debian's packages.
BASE_IMAGE ?=
INIT_IMAGE ?=
ENGINE ?=
TARGET ?= operator
IMG ?= localhost/$(if $(filter base,$(TARGET)),ansible-operator,echo-operator):dev
IMAGE = $(BIN)/python -m scripts.image
IMAGE_ARGS = --target=$(TARGET) --name=$(IMG) --base=$(BASE_IMAGE) --init=$(INIT_IMAGE) --engine=$(ENGINE)

.PHONY: image
image: $(READY) ## Build the operator's image, without a container engine too (TARGET=operator|base IMG=name BASE_IMAGE=name ENGINE=docker|podman|buildah)
	@$(IMAGE) build $(IMAGE_ARGS)

.PHONY: image-reproducible
image-reproducible: $(READY) ## Build the image twice and compare the layers (variables as image)
	@$(IMAGE) again $(IMAGE_ARGS)

.PHONY: image-clean
image-clean: $(READY) ## Remove what is kept between builds of images, base and downloads included
	@$(IMAGE) clean

# --- deploying it -----------------------------------------------------------------------------------------------------
# Written anew by each call: which image and which namespaces is nobody's change of config/.
OVERLAY = $(BIN)/python -m scripts.overlay .work/deploy --image "$(IMG)" $(WATCH_NAMESPACE:%=--watch-namespace "%")

.PHONY: deploy
deploy: $(READY) ## Deploy CRDs and operator into the current kubeconfig context (IMG=image; WATCH_NAMESPACE=a,b; default all)
	@$(OVERLAY)
	$(KUBECTL) apply --server-side -k .work/deploy

.PHONY: undeploy
undeploy: $(READY) ## Remove operator and CRDs, and with them every Echo and ScheduledEcho (WATCH_NAMESPACE as deployed)
	@$(OVERLAY)
	$(KUBECTL) delete --ignore-not-found -k .work/deploy

.PHONY: build-installer
build-installer: $(READY) ## Write all that deploy applies into dist/install.yaml (IMG=image; WATCH_NAMESPACE=a,b)
	@$(OVERLAY)
	@mkdir -p dist
	$(KUBECTL) kustomize .work/deploy > dist/install.yaml

.PHONY: lock
lock: $(READY) ## Resolve requirements*.in anew into the hash-locked files
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.12 --no-emit-index-url --no-header -o requirements.txt requirements.in
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.12 --no-emit-index-url --no-header -o requirements-dev.txt requirements-dev.in

.PHONY: clean
clean: ## Stop the embedded cluster and remove what was built in this directory (the binary cache stays)
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m cluster down --all; fi
	rm -rf $(VENV) .cluster .work .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible dist
