# Everything that is done with this project by hand. `make help` lists it.

# Everything is compiled in one way, without cgo and with the compiler's usual flags, and so only once: what make build
# has compiled, make test and go run use again.
export CGO_ENABLED = 0

# The repository is several Go modules, which replace lines in their go.mod join: plain go commands work in each
# folder that has one. app/auditlogs has no such lines, as go install asks, and is tested by ./internal/modules.
MODULES = $(patsubst %go.mod,./%,$(filter-out app/auditlogs/%,$(shell git ls-files go.mod '*/go.mod')))
each = for module in $(MODULES); do (cd $$module && $(1)) || exit 1; done

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/auditlogs, a static binary
	@[ -e bin/auditlogs ] || echo "Building bin/auditlogs. What takes long is compiling SQLite, once: two to three minutes on two cores."
	go build -ldflags "-s -w" -o bin/auditlogs .

.PHONY: run
run: build ## Build, then run a demo on http://127.0.0.1:8080
	bin/auditlogs serve --demo

.PHONY: test
test: test-tools ## Run every test: on SQLite, on a throw-away PostgreSQL, in Chromium
	scripts/test-postgres sh -c '$(call each,go test -timeout 20m ./...)'

.PHONY: test-cgo
test-cgo: ## Test the SQLite driver that is written in C, with its full-text search and without
	@scripts/test-tools gcc
	cd internal/stacks && CGO_ENABLED=1 go test -tags sqlite_fts5 ./mattn && CGO_ENABLED=1 go test ./mattn

.PHONY: test-tools
test-tools: ## Install what the tests need (Debian), or say what is missing
	@scripts/test-tools postgresql pgbouncer chromium $(if $(filter Linux,$(shell uname)),systemd)

# What asks something of PostgreSQL: neither the other half of the tests that run on both databases, nor the packages
# that have to do with neither.
other-postgres = scripts/test-tools postgresql-$(1) pgbouncer && \
	TEST_POSTGRES_VERSION=$(1) scripts/test-postgres sh -c '(cd internal/stacks && go test ./postgres) && \
	go test -skip "/^sqlite$$" $$(go list ./... | grep -vE "/internal/(browsertest|documents|examplestest|hostile|modules)$$")'

.PHONY: test-oldest test-newest
test-oldest: ## Run the tests on PostgreSQL 13, the oldest that it runs on
	$(call other-postgres,13)
test-newest: ## Run the tests on PostgreSQL 18, the newest that it was tried on
	$(call other-postgres,18)

.PHONY: test-citus
test-citus: ## Run the tests of what is stored and asked on Citus, whose coordinator TEST_CITUS_URL names
	@[ -n "$$TEST_CITUS_URL" ] || { echo "make test-citus: set TEST_CITUS_URL to the address of a database on the coordinator, as a superuser, with wal_level = logical on every node, as shards are moved (docs/citus.md)"; exit 1; }
	scripts/test-postgres go test -tags citus -p 1 -timeout 45m ./app ./app/commands ./app/importer ./handlers/... ./jobs \
		./internal/accountstest ./internal/citustest ./internal/entriestest ./internal/modelstest ./internal/recordingtest

.PHONY: fmt
fmt: ## Format the Go code
	gofmt -w $(shell git ls-files '*.go')

.PHONY: fmt-check
fmt-check: ## Fail on Go code that is not formatted
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted (run make fmt):"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet: ## Run go vet
	@$(call each,go vet -tags citus ./...)

.PHONY: staticcheck
staticcheck: ## Run staticcheck
	go build -o bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	@staticcheck=$$PWD/bin/staticcheck; $(call each,$$staticcheck -tags citus ./...)

# The race detector needs cgo, and makes the pure Go SQLite about ten times slower: only packages
# with goroutines of their own.
RACE_PACKAGES = ./app ./app/database ./handlers ./handlers/intake ./handlers/live ./handlers/sessions ./internal/recordingtest ./jobs
RACE_MODULES = app/audit/client app/audit/auditfiber app/audit/internal

.PHONY: race
race: ## Run the tests of concurrent code under the race detector
	@scripts/test-tools postgresql pgbouncer gcc
	CGO_ENABLED=1 scripts/test-postgres go test -race -timeout 25m $(RACE_PACKAGES)
	for module in $(RACE_MODULES); do (cd $$module && CGO_ENABLED=1 go test -race ./...) || exit 1; done

.PHONY: pictures
pictures: ## Take the pictures of docs/guide.md anew
	@scripts/test-tools chromium
	PICTURES=1 scripts/test-postgres go test -count=1 -run TestTheGuideShowsWhatIsThere ./internal/browsertest

.PHONY: soak
soak: ## Kill what records, and PostgreSQL, twenty times each under load, and look for what is lost
	@scripts/test-tools postgresql
	SOAK_KILLS=$${SOAK_KILLS:-20} go test -count=1 -v -timeout 1h ./internal/soak
	LIVE_ENTRIES=$${LIVE_ENTRIES:-20000} scripts/test-postgres go test -count=1 -v -timeout 1h -run TestEveryEntryReachesWhoFollowsOnce ./handlers

citus-programs = [ -x "$(TEST_CITUS_BIN)/initdb" ] || \
	{ echo "TEST_CITUS_BIN is to name the folder of initdb and postgres, of a PostgreSQL that has Citus" >&2; exit 1; }

.PHONY: soak-citus
soak-citus: ## The same on Citus: its nodes are killed, and those who follow the log (TEST_CITUS_BIN: the programs of a PostgreSQL with Citus)
	@$(citus-programs)
	SOAK_KILLS=$${SOAK_KILLS:-20} go test -count=1 -v -timeout 1h -run 'PostgreSQLStops|Followers' ./internal/soak

# The filled logs are kept for the next run; the PostgreSQL server's where its own user may go.
BENCH_POSTGRES = $(or $(TMPDIR),/tmp)/auditlogs-bench-postgres

.PHONY: bench
bench: ## Measure reading, serving and retention at ROWS=1000000 entries into BENCHMARKS.md (SECTIONS="…" for some)
	@scripts/test-tools postgresql
	TEST_POSTGRES_DURABLE=1 TEST_POSTGRES_KEEP=$(BENCH_POSTGRES) ROWS=$(or $(ROWS),1000000) \
		scripts/test-postgres go run ./internal/bench $(SECTIONS)

.PHONY: bench-recording
bench-recording: ## Compare recording with the fastest way to write the same rows (ROWS=1000000)
	TEST_POSTGRES_DURABLE=1 TEST_POSTGRES_KEEP=$(BENCH_POSTGRES) ROWS=$(or $(ROWS),1000000) \
		scripts/test-postgres go test ./internal/benchdata -run '^$$' -bench 'Record$$|Batcher$$|API$$|Followed$$' -benchtime 15x -timeout 2h
	TEST_POSTGRES_DURABLE=1 TEST_POSTGRES_KEEP=$(BENCH_POSTGRES) ROWS=$(or $(ROWS),1000000) \
		scripts/test-postgres go test ./internal/benchdata -run '^$$' -bench 'BatcherMemory$$' -benchtime 1x -timeout 2h

.PHONY: bench-citus
bench-citus: ## Compare recording and pages on a coordinator and two workers of TEST_CITUS_BIN with one PostgreSQL (ROWS=100000)
	@$(citus-programs)
	go test ./internal/citustest -run '^$$' -bench Cost -benchtime 15x -timeout 1h

.PHONY: release
release: ## Build a release of the committed version into release/: archives for six systems, checksums, a bill of materials
	scripts/release

.PHONY: check
check: fmt-check vet staticcheck test test-cgo race ## Everything that can be checked on every system

.PHONY: ci
ci: check test-oldest test-newest ## Everything continuous integration checks
