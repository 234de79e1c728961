# The obvious targets; .ci/run is what must pass.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

.PHONY: build test race check bench demo clean

build: ## bin/smsotpd, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/smsotpd ./cmd/smsotpd

test:
	go test ./...

race:
	go test -race ./...

check: ## everything that continuous integration runs
	.ci/run

bench:
	go test -run '^$$' -bench . -benchmem ./...

demo:
	go run ./cmd/smsotpd demo

clean:
	rm -rf bin
