# Every verb of the repository. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
DVC := $(BIN)/python -m infra.provenance dvc
PARALLEL := --numprocesses 3 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help install demo drill up down status logs cluster cluster-down cluster-test images fetch preprocess retrain gate register offer test unit integration long lint format bench lock clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## install what is missing: Python packages, Kafka's jars; on Debian as root also Java and Maven

$(INSTALLED): requirements.txt pyproject.toml infra/local/kafka/pom.xml infra/local/prerequisites.sh
	@PYTHON=$(PYTHON) infra/local/prerequisites.sh
	@echo "installing Python packages into $(VENV), a minute or two"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@echo "compiling the trainers"
	@$(BIN)/python -c "import functions.train.kernels"
	@echo "fetching Kafka"
	@mvn --quiet --batch-mode --file infra/local/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime
	@touch $@

demo: $(INSTALLED) ## watch real ratings become recommendations, in about three minutes; leaves nothing running
	@$(BIN)/marquee demo

drill: $(INSTALLED) ## rehearse releases: good models, bad ones, attacks, accidents, in about six minutes; leaves nothing running
	@$(BIN)/marquee drill

up: $(INSTALLED) ## start everything and keep it running
	@$(BIN)/marquee up

down: $(INSTALLED) ## stop what `make up` started
	@$(BIN)/marquee down

status: $(INSTALLED) ## say how every process does
	@$(BIN)/marquee status

logs: $(INSTALLED) ## the last lines of the logs; NAME=ingest for one process
	@$(BIN)/marquee logs $(NAME)

cluster: $(INSTALLED) ## a real Kubernetes with Knative on this Debian machine, as root; the first time it is compiled, ten minutes
	@$(BIN)/python -m infra.cluster up

cluster-down: $(INSTALLED) ## stop what `make cluster` started, and leave the machine as it was
	@$(BIN)/python -m infra.cluster down

cluster-test: images ## all of Marquee on a real Kubernetes with Knative: the acts of tests/cluster; 25 minutes once, then 10
	@$(BIN)/python -m pytest -m cluster $(ARGS)

fetch: $(INSTALLED) ## choose the ratings, the lake of BUCKET as it is now or else the sample, and let DVC keep them
	@$(BIN)/python -m cli.stages pin
	@$(DVC) repro fetch

preprocess: $(INSTALLED) ## build the rating matrix of what was fetched, unless DVC has it
	@$(DVC) repro build_matrix

retrain: $(INSTALLED) ## train and measure both models, unless DVC has them
	@$(DVC) repro

gate: $(INSTALLED) ## fail if a model is worse than the one registered as live by more than RMSE_MARGIN
	@$(BIN)/python -m cli.stages gate

register: $(INSTALLED) ## push what DVC keeps, and tag the models as versions, in PROVENANCE_REPOSITORY or here
	@$(if $(S3_ENDPOINT),$(BIN)/python -m infra.provenance remote)
	@$(BIN)/python -m infra.provenance register

offer: $(INSTALLED) ## give the models made here of the lake of BUCKET to its users: measured beside the live ones, then on trial
	@$(BIN)/python -m cli.stages offer

test: $(INSTALLED) ## all tests but the long ones and the cluster's, with coverage of functions/ and shared/
	@$(BIN)/python -m pytest tests/unit $(PARALLEL) --cov --cov-report= $(ARGS)
	@$(BIN)/python -m pytest tests/integration -m "not long and not cluster" \
		--cov --cov-append --cov-report=term --cov-report=xml --cov-fail-under=90 $(ARGS)

unit: $(INSTALLED) ## the tests that start nothing
	@$(BIN)/python -m pytest tests/unit $(PARALLEL) $(ARGS)

.PHONY: audit test-events test-lake test-trainers test-serving test-releases coverage models due rollout online-report jenkins-test ci

# Which unit tests each of the five targets runs; every folder of tests/unit is in one of them.
EVENTS := shared functions/ingest infra/kafka infra/local cli
LAKE := functions/fold_lake functions/build_matrix infra/minio infra/test_accounts.py infra/test_authority.py infra/test_background.py
TRAINERS := functions/train functions/evaluate_offline test_new_users.py
SERVING := functions/score functions/recommend knative rancher infra/cluster test_images.py
RELEASES := functions/rollout functions/evaluate_online infra/deploy infra/images infra/audit infra/ci infra/jenkins infra/provenance test_documents.py
UNIT = COVERAGE_FILE=build/coverage/.coverage.$(@:test-%=%) $(BIN)/python -m pytest $(addprefix tests/unit/,$(1)) \
	--cov --cov-report= --junit-xml=build/junit/$(@:test-%=%).xml $(ARGS)

test-events: $(INSTALLED) ## unit tests of events, parsing and what functions share
	@$(call UNIT,$(EVENTS))

test-lake: $(INSTALLED) ## unit tests of lake and matrix
	@$(call UNIT,$(LAKE))

test-trainers: $(INSTALLED) ## unit tests of trainers and offline evaluation
	@$(call UNIT,$(TRAINERS))

test-serving: $(INSTALLED) ## unit tests of serving and of its manifests
	@$(call UNIT,$(SERVING))

test-releases: $(INSTALLED) ## unit tests of rollout, online evaluation, images and delivery
	@$(call UNIT,$(RELEASES))

coverage: $(INSTALLED) ## what the five together cover of functions/ and shared/, as build/coverage.xml; at least 90 %
	@$(BIN)/coverage combine --quiet --keep --data-file=build/coverage/all build/coverage/.coverage.*
	@$(BIN)/coverage xml --quiet --data-file=build/coverage/all -o build/coverage.xml
	@$(BIN)/coverage report --data-file=build/coverage/all --fail-under=90

integration: $(INSTALLED) ## the tests on real Kafka, SeaweedFS and Envoy
	@$(BIN)/python -m pytest tests/integration -m "not long and not cluster" --junit-xml=build/junit/integration.xml $(ARGS)

long: $(INSTALLED) ## the tests that take minutes each: the loop going round by itself, the drill, releases under kills, an erasure, twenty restarts
	@$(BIN)/python -m pytest -m long $(ARGS)

lint: $(INSTALLED) ## ruff, mypy strict, import-linter
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

audit: $(INSTALLED) ## known holes in what is locked, and licences of what is installed; ADVISORIES_REQUIRED=true, ADVISORIES_URL=...
	@$(BIN)/python -m infra.audit

format: $(INSTALLED) ## let ruff put the code in order
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

bench: $(INSTALLED) ## measure every claim beside its peer; NAME=recommend for one
	@PYTHON=$(PYTHON) infra/local/prerequisites.sh wrk
	@$(BIN)/python -m benchmarks $(NAME)

images: $(INSTALLED) ## build the images of all functions into .marquee/images, by docker or as root by buildah; NAME=score for one, BASE_IMAGE=... on another base; REGISTRY=host pushes them
	@docker info >/dev/null 2>&1 || PYTHON=$(PYTHON) infra/local/prerequisites.sh buildah debootstrap
	@$(BIN)/python -m infra.images build --out .marquee/images $(if $(BASE_IMAGE),--base $(BASE_IMAGE)) $(if $(REGISTRY),--push $(REGISTRY)) $(NAME)

models: $(INSTALLED) ## train, register, judge and, of the lake of BUCKET, offer models, unless those that are registered are young
	@if [ "$$($(MAKE) --silent due)" = fresh ]; then echo "the models are fresh"; \
		else $(MAKE) fetch && $(MAKE) preprocess && $(MAKE) retrain && $(MAKE) register && $(MAKE) gate$(if $(BUCKET), && $(MAKE) offer); fi

due: $(INSTALLED) ## say whether the registered models are fresh or old
	@$(BIN)/python -m infra.ci due

rollout: $(INSTALLED) ## give users the images that were pushed, and watch until they have them or have the old ones back; OVERLAY=rancher
	@$(BIN)/python -m infra.deploy .marquee/images/pushed.json --overlay $(or $(OVERLAY),rancher) --why "$(or $(BUILD_TAG),by hand)"

online-report: $(INSTALLED) ## what users of each model did, into build/online.json
	@$(BIN)/python -m infra.ci online build/online.json

ci: $(INSTALLED) ## all that Jenkins does with a commit, in a clean clone of it; TARGETS="lint images" for some
	@$(BIN)/python -m infra.ci run $(TARGETS) $(ARGS)

jenkins-test: $(INSTALLED) ## lint the Jenkinsfile and the jobs, and execute every path of it, without Jenkins
	@PYTHON=$(PYTHON) infra/local/prerequisites.sh npm
	@npx --yes npm-groovy-lint@14.6.0 --noserver --config infra/jenkins/groovylint.json --failon warning Jenkinsfile infra/jenkins/jobs/*.groovy
	@mvn --quiet --batch-mode --file infra/jenkins/pom.xml test "-Dtargets=$$($(BIN)/python -m infra.ci targets)"

lock: $(INSTALLED) ## resolve pyproject.toml anew into requirements.txt, with hashes, and each image's part of it
	@$(BIN)/uv pip compile pyproject.toml --all-extras --no-strip-extras --generate-hashes --no-emit-index-url --quiet \
		--python-version 3.11 --custom-compile-command "make lock" --output-file requirements.txt
	@$(BIN)/python -m infra.images lock
	@$(BIN)/uv pip compile --group provenance --generate-hashes --no-strip-extras --no-emit-index-url --no-annotate --quiet \
		--python-version 3.11 --custom-compile-command "make lock" --output-file infra/provenance/requirements.txt

clean: ## remove what was installed and generated, the data of `make up` too
	@if [ -x $(BIN)/marquee ]; then $(BIN)/marquee down; fi
	rm -rf $(VENV) .marquee build infra/local/kafka/target infra/jenkins/target .coverage coverage.xml .mypy_cache .ruff_cache .pytest_cache
