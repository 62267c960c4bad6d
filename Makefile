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
demo: $(READY) ## Run the main job on a real cluster: an Echo prints its message (CLUSTER=embedded|kind|current; EXAMPLE=a directory of examples/)
	@$(BIN)/python -m scripts.demo --cluster $(CLUSTER) --example "$(EXAMPLE)"

.PHONY: test
test: check ## Everything that must pass: check, integration and end-to-end tests, Molecule's scenarios
	@$(BIN)/python -m cluster build
	@$(BIN)/pytest -m "(ansible or integration or e2e) and not kind" --numprocesses auto --maxprocesses 4 --durations=15
	@$(MAKE) --no-print-directory test-molecule SCENARIO= CLUSTER=embedded
	@$(MAKE) --no-print-directory test-kind

.PHONY: check
check: $(READY) ## Linters, types, layers and unit tests; no cluster needed
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline -q
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/zizmor --quiet --offline --no-progress .github
	$(BIN)/pytest -q -m "not ansible and not integration and not e2e" --numprocesses auto --maxprocesses 4

.PHONY: test-molecule
test-molecule: $(READY) ## Molecule's scenarios that can run here (SCENARIO=default|ha|kind|upgrade; CLUSTER=embedded|kind|current)
	@$(BIN)/python -m scripts.scenarios --scenario="$(SCENARIO)" --cluster=$(CLUSTER)

.PHONY: bench
bench: $(READY) ## Measure speed, cost and memory (SCENARIO=name COUNT=n WORKERS=n; PEER=path of another ansible-operator)
	@$(BIN)/python -m bench $(SCENARIO:%=--scenario %) $(COUNT:%=--count %) $(SLOW_COUNT:%=--slow-count %) $(WORKERS:%=--workers %) $(PEER:%=--peer %)

.PHONY: profile
profile: $(READY) ## Show where the time of a reconcile goes (COUNT=n)
	@$(BIN)/python -m bench.profile $(COUNT:%=--count %)

# The cluster that KUBECONFIG leads to; where it is not set, the embedded one while that is up, with what its node has;
# else what kubectl takes by itself. Said first, before anything is changed there.
ON_CLUSTER = [ -n "$$KUBECONFIG" ] || eval "$$($(BIN)/python -m cluster env 2> /dev/null)"; \
  echo "==> cluster: $${KUBECONFIG:-the current kubeconfig context}" >&2;

.PHONY: run
run: $(READY) ## Run the operator here, against KUBECONFIG's cluster, or the embedded one while it is up
	@$(ON_CLUSTER) exec $(BIN)/ansible-operator run --strict --log-format console

# Empty: ~/.kube/config stays as it is, and only this makefile's targets find the cluster by themselves.
CONTEXT ?= yes

.PHONY: cluster-up
cluster-up: $(READY) ## Build and start the embedded cluster, and make it kubectl's current context (CONTEXT= to leave that)
	@$(BIN)/python -m cluster up $(if $(CONTEXT),--context)

.PHONY: cluster-down
cluster-down: $(READY) ## Stop the embedded cluster and undo what it changed on this machine
	@$(BIN)/python -m cluster down

.PHONY: cluster-status
cluster-status: $(READY) ## Show the embedded cluster's components
	@$(BIN)/python -m cluster status

.PHONY: cluster-env
cluster-env: $(READY) ## Print what makes a shell use the embedded cluster: eval "$$(make -s cluster-env)"
	@$(BIN)/python -m cluster env

.PHONY: cluster-load
cluster-load: $(READY) ## Give the embedded cluster's node the image that make image has built (TARGET=; ARCHIVE=file)
	@$(BIN)/python -m cluster load "$(ARCHIVE)"

# --- a kind cluster ----------------------------------------------------------------------------------------------------
KIND_CLUSTER ?= echoperator
# Empty: kind's own where docker has it or can pull it, else the one that kind-node-image builds.
KIND_NODE_IMAGE ?=
KIND = KIND_CLUSTER=$(KIND_CLUSTER) KIND_NODE_IMAGE=$(KIND_NODE_IMAGE) $(BIN)/python -m cluster.kind

.PHONY: kind-node-image
kind-node-image: $(READY) ## Build the image of a kind node, without a registry
	@$(KIND) node-image

.PHONY: kind-up
kind-up: $(READY) ## Bring up a kind cluster, without docker and a registry too (KIND_CLUSTER=name KIND_NODE_IMAGE=name)
	@$(KIND) up

.PHONY: kind-load
kind-load: $(READY) ## Give the kind cluster's nodes images (IMAGES="archive or name ...")
	@$(KIND) load $(IMAGES)

.PHONY: kind-down
kind-down: $(READY) ## Delete the kind cluster, stop the engine that ran for it, and undo what it changed on this machine
	@$(KIND) down

.PHONY: test-kind
test-kind: $(READY) ## End-to-end tests of kind clusters; builds the node image where it is missing
	@$(BIN)/pytest -m kind --durations=5

KUBECTL = $(shell command -v kubectl || $(BIN)/python -m cluster which kubectl)

.PHONY: install
install: $(READY) ## Install the CRDs (which cluster: as run)
	@$(ON_CLUSTER) $(KUBECTL) apply --server-side -k config/crd

.PHONY: uninstall
uninstall: $(READY) ## Remove the CRDs, and with them every Echo and ScheduledEcho
	@$(ON_CLUSTER) $(KUBECTL) delete --ignore-not-found -k config/crd

# --- the image ---------------------------------------------------------------------------------------------------------
# Empty: the Dockerfile's own base where it can be pulled, else one made out of Debian's packages.
BASE_IMAGE ?=
INIT_IMAGE ?=
ENGINE ?=
TARGET ?= operator
PROJECT ?=
PROJECT_NAME = $(notdir $(PROJECT:%/=%))
IMG ?= localhost/$(if $(PROJECT),$(PROJECT_NAME)-operator,$(if $(filter base,$(TARGET)),ansible-operator,echo-operator)):dev
ARCHIVE ?= dist/$(or $(PROJECT_NAME),$(TARGET))-image.tar
IMAGE = $(BIN)/python -m scripts.image
IMAGE_ARGS = --target=$(TARGET) --name=$(IMG) --base=$(BASE_IMAGE) --init=$(INIT_IMAGE) --engine=$(ENGINE)

.PHONY: image
image: $(READY) ## Build the operator's image, without a container engine too (TARGET=operator|base or PROJECT=dir, IMG=name BASE_IMAGE=name ENGINE=docker|podman|buildah)
	@$(IMAGE) build $(IMAGE_ARGS) $(PROJECT:%=--project=%)

.PHONY: image-reproducible
image-reproducible: $(READY) ## Build the image twice and compare the layers (variables as image)
	@$(IMAGE) again $(IMAGE_ARGS)

.PHONY: image-clean
image-clean: $(READY) ## Remove what is kept between builds of images, base and downloads included
	@$(IMAGE) clean

# --- deploying it -----------------------------------------------------------------------------------------------------
# Written anew by each call: which image and which namespaces is nobody's change of config/.
OVERLAY ?= .work/deploy
OVERLAY_ARGS = $(OVERLAY) --image "$(IMG)" $(WATCH_NAMESPACE:%=--watch-namespace "%")
WRITE_OVERLAY = $(BIN)/python -m scripts.overlay $(OVERLAY_ARGS)

.PHONY: deploy
deploy: $(READY) ## Deploy CRDs and operator (which cluster: as run; IMG=image; WATCH_NAMESPACE=a,b; default all)
	@$(ON_CLUSTER) $(BIN)/python -m scripts.deploy $(OVERLAY_ARGS) --archive "$(ARCHIVE)" && \
	  $(KUBECTL) apply --server-side -k $(OVERLAY)

.PHONY: undeploy
undeploy: $(READY) ## Remove operator and CRDs, and with them every Echo and ScheduledEcho (WATCH_NAMESPACE as deployed)
	@$(ON_CLUSTER) $(WRITE_OVERLAY) && $(KUBECTL) delete --ignore-not-found -k $(OVERLAY)

.PHONY: build-installer
build-installer: $(READY) ## Write all that deploy applies into dist/install.yaml (IMG=image; WATCH_NAMESPACE=a,b)
	@$(WRITE_OVERLAY)
	@mkdir -p dist
	$(KUBECTL) kustomize $(OVERLAY) > dist/install.yaml

# --- releasing it ------------------------------------------------------------------------------------------------------
HELM = $(shell command -v helm || $(BIN)/python -m cluster which helm)

.PHONY: release-version
release-version: $(READY) ## Print the version of a tag, which project and chart must have too (TAG=v1.2.3)
	@$(BIN)/python -m scripts.release version "$(TAG)"

CHART_DIR ?= dist

.PHONY: chart
chart: $(READY) ## Package the chart with an image as its default into dist/ (IMG=registry/name:tag)
	@$(BIN)/python -m scripts.release chart .work/chart --image "$(IMG)"
	$(HELM) package .work/chart/echoperator --destination "$(CHART_DIR)"

VERSION ?=
CHANNELS ?= alpha
# Where bundle/ and bundle.Dockerfile are written.
BUNDLE_DIR ?= .

.PHONY: bundle
bundle: $(READY) ## Write the OLM bundle into bundle/, for `docker build -f bundle.Dockerfile .` (IMG=image VERSION=1.2.3 CHANNELS=a,b)
	@$(BIN)/python -m scripts.overlay .work/bundle --image "$(IMG)" --config manifests
	@$(KUBECTL) kustomize .work/bundle > .work/bundle/rendered
	@$(BIN)/python -m scripts.bundle "$(BUNDLE_DIR)" --version "$(VERSION)" --channels "$(CHANNELS)" < .work/bundle/rendered

.PHONY: lock
lock: $(READY) ## Resolve requirements*.in anew into the hash-locked files
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.12 --no-emit-index-url --no-header -o requirements.txt requirements.in
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.12 --no-emit-index-url --no-header -o requirements-dev.txt requirements-dev.in

.PHONY: clean
clean: ## Stop the embedded and the kind clusters and remove what was built in this directory (the binary cache stays)
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m cluster down --all; $(BIN)/python -m cluster.kind down --all; fi
	rm -rf $(VENV) .cluster .work .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible dist bundle bundle.Dockerfile*
