# The usual targets; .ci/run is what must pass.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

.PHONY: help build test race check bench demo clean

help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /	/'

build: ## bin/smsotpd, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/smsotpd ./cmd/smsotpd

test: ## the tests
	go test ./...

race: ## the tests under the race detector
	go test -race ./...

check: ## everything that continuous integration runs
	.ci/run

bench: ## the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

demo: ## see it all at work, without a modem
	go run ./cmd/smsotpd demo

clean: ## remove bin
	rm -rf bin
