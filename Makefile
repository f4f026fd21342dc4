# make help lists what there is. Needs Go, Node.js, make and git; everything else is fetched, pinned.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help build demo test check synth safety fuzz bench clean

GO_FILES := $(shell git ls-files --cached --others --exclude-standard '*.go' go.mod go.sum)
BED_FILES := $(shell git ls-files --cached --others --exclude-standard testbed examples)
# The bed's own flags, so that what both need is compiled once.
BED_FLAGS := -gcflags=all=-dwarf=false
REVISION := $(shell git describe --always --dirty 2>/dev/null)

help: ## show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

build: bin/stepcanary bin/testbed ## the engine and the bed, in bin/

bin/stepcanary: $(GO_FILES) $(wildcard statemachine/*.json specfiles/*.json internal/report/*.tmpl)
	@echo 'build stepcanary'
	@GOGC=400 go build -buildvcs=false $(BED_FLAGS) -ldflags '-X main.revision=$(REVISION)' -o $@ ./cmd/stepcanary

bin/testbed: $(BED_FILES)
	@testbed/build.sh
	@touch $@

demo: build ## a good version is promoted, a bad one rolled back, on real parts
	@bin/testbed run -- scripts/demo

test: build ## everything that has to hold, end to end on the bed included
	@scripts/test

check: ## linters and scanners
	@scripts/check

synth: ## the CloudFormation templates, in infra/cdk.out
	@scripts/synth

safety: build ## search for states in which a promise breaks; SAFETY=long searches longer
	@scripts/safety

fuzz: ## inputs that nobody wrote, to every fuzz target for 30 s; FUZZ=10m tries longer
	@scripts/fuzz

bench: build ## figures: rollouts at once, lookups, sizes
	@scripts/bench

clean: ## remove what was built
	rm -rf bin dist out infra/cdk.out testbed/build
