# The few verbs everybody expects. `make test` is all that CI runs.

# As Caddy's own releases: leaves databases out that only its ACME server could use.
TAGS := nobadger,nomysql,nopgx
GO   := go

.PHONY: build demo test unit redis browser chromium lint fuzz soak mutants models bench clean

build: ## the binary, ./patgate
	$(GO) build -trimpath -tags $(TAGS) -o patgate ./cmd/patgate

demo: ## the gate at work
	$(GO) run -tags $(TAGS) ./cmd/patgate demo

test: lint unit browser ## everything that must pass

# One goroutine each: policies, read and judged by millions of requests, and the
# models of protocols. The gates of other tests share policies, with the race detector.
ALONE := ./policy/... ./test/model/...

unit: redis
	$(GO) test -race -tags $(TAGS) -timeout 30m $$($(GO) list -tags $(TAGS) ./... | grep -vxF "$$($(GO) list -tags $(TAGS) $(ALONE))")
	$(GO) test -tags $(TAGS) -timeout 30m $(ALONE)

# Installs a Debian package, for those who may.
apt = command -v apt-get >/dev/null && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null

redis: ## the redis-server that the tests of store/redis run
	@command -v redis-server >/dev/null || { $(call apt,redis-server); } || { echo "the tests need redis-server 7 or later: install it (apt-get install redis-server, as root)" >&2; exit 1; }

# The console in a real browser. What its binary is built of is outside the
# module, so that go test doesn't know when it has changed.
browser: redis chromium ## the console, clicked through; screenshots in test/browser/shots
	cd test/browser && $(GO) vet ./... && $(GO) test -count 1 -timeout 10m . -shots shots

chromium: ## the browser that the tests of the console run
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { $(call apt,chromium); } || { echo "the tests of the console need Chromium: install it (apt-get install chromium, as root)" >&2; exit 1; }

# Checks from outside the standard distribution are skipped where they can't be
# had, and say so.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

lint:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet -tags $(TAGS) ./...
	@if $(GO) run $(STATICCHECK) -version >/dev/null 2>&1; \
		then echo staticcheck ./...; $(GO) run $(STATICCHECK) -tags $(TAGS) ./...; \
		else echo "staticcheck can't be had: skipped"; fi
	@scripts/govulncheck "$(GO)" "$(GOVULNCHECK)" "$(TAGS)"

FUZZTIME := 30s

fuzz: ## every fuzz target for FUZZTIME
	@set -e; for package in $$($(GO) list -tags $(TAGS) ./...); do \
		for target in $$($(GO) test -tags $(TAGS) -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -tags $(TAGS) -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

SOAK := 10m

soak: ## three gateways with faults between them and Redis, for SOAK each with one server and a Cluster
	$(GO) test -race -tags $(TAGS) -timeout 0 -count 1 -v -run '^TestHistories' ./test/checker -soak $(SOAK)

mutants: ## takes out each piece that a promise hangs on, and sees that a test notices: half an hour
	$(GO) test -tags $(TAGS) -timeout 0 -count 1 -v -run '^TestMutants$$' ./policy ./cache ./store/redis ./test/checker -mutants

models: ## every state of the models of protocols, within wider bounds than the tests: ten minutes, and 6 GB
	$(GO) test -p 1 -timeout 0 -count 1 -v ./test/model/... -full

bench: ## the benchmarks beside the code, then plain Caddy and patgate side by side
	$(GO) test -tags $(TAGS) -run '^$$' -bench . -benchmem ./token ./policy ./cache ./registry ./uses ./transport ./store/redis ./caddymodule
	$(GO) run -tags $(TAGS) ./bench

clean:
	rm -f patgate
	rm -rf test/browser/shots
