# `make help` lists the targets. tools/local.py has whatever is longer than a line.

LOCAL := python3 tools/local.py

# The paths contain the versions, so that a new version here is installed.
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY_HOME := .local/tools/cargo-deny-$(CARGO_DENY_VERSION)
CARGO_DENY := $(CARGO_DENY_HOME)/bin/cargo-deny
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ_HOME := .local/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)
CARGO_FUZZ := $(CARGO_FUZZ_HOME)/bin/cargo-fuzz
CARGO_MUTANTS_VERSION := 27.1.0
CARGO_MUTANTS_HOME := .local/tools/cargo-mutants-$(CARGO_MUTANTS_VERSION)
CARGO_MUTANTS := $(CARGO_MUTANTS_HOME)/bin/cargo-mutants

.DEFAULT_GOAL := help
# The steps share the processor and cargo's lock; in parallel they would only wait for each other.
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- The local cloud

# Parameters of the template for `demo` and `up`. For example: make up PARAMETERS="PulseTable=false"
PARAMETERS :=
GIVEN = $(addprefix --parameter ,$(PARAMETERS))

.PHONY: tools test-clients build demo up down
tools: prerequisites ## install the pinned tools into .local/tools
	@$(LOCAL) tools

test-clients: prerequisites ## install CoAP clients and mbed TLS, with which the tests act as devices, and DuckDB and pyarrow
	@$(LOCAL) test-clients

build: prerequisites ## build the functions, the bridge and the operator's tool for this machine (quick, not for AWS)
	@$(LOCAL) build

demo: prerequisites ## send messages of real meters to a local cloud and show their pulses
	@$(LOCAL) demo $(GIVEN)

up: prerequisites ## start everything and leave it running (addresses: .local/env)
	@$(LOCAL) up $(GIVEN)

down: ## end what `make up` started
	@$(LOCAL) down

# --- One function against what `make up` started. For example: make invoke FUNCTION=RawSigfox EVENT=events/raw-sigfox.json

FUNCTION = $(error name a function of the template, e.g. FUNCTION=RawSigfox)
EVENT = $(error name a file with an event, e.g. EVENT=events/raw-sigfox.json)

.PHONY: invoke sam-invoke watch
invoke: ## run FUNCTION with EVENT under AWS's Runtime Interface Emulator
	@$(LOCAL) invoke $(FUNCTION) --event $(EVENT)

sam-invoke: ## run FUNCTION with EVENT in a Lambda container (needs a Docker engine)
	@$(LOCAL) sam-invoke $(FUNCTION) --event $(EVENT)

watch: ## serve FUNCTION, compiled on every change, with cargo lambda
	@$(LOCAL) watch $(FUNCTION)

# --- A fleet of meters, and what it costs

.PHONY: fleet
fleet: prerequisites ## build the load generator and the cost tool, target/release/fleet and target/release/cost
	cargo build --release --locked --package pulsegate-fleet --package pulsegate-cost

# --- For AWS

.PHONY: release bridge-image
release: prerequisites ## build the functions as they are deployed to AWS (sam build; takes minutes)
	@$(LOCAL) release

bridge-image: prerequisites ## build the bridge's container image, pulsegate-udp-bridge (needs a Docker engine)
	@$(LOCAL) image

# --- Tests, the quickest to fail first
# All of these compile the whole workspace: for single packages cargo would choose other features of the dependencies and
# compile them again.

.PHONY: test fmt clippy template python unit e2e image-test
test: fmt template python clippy unit e2e ## run all of the following

fmt: prerequisites ## check the format of the code
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

template: prerequisites ## check the template (sam validate --lint)
	@$(LOCAL) validate

python: prerequisites ## check that the Python tools compile
	python3 -m compileall -q tools

clippy: prerequisites ## run the lints; warnings are errors
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --workspace --test e2e --test image -- -D warnings

unit: test-clients ## run the tests that need no local cloud
	cargo test --locked --workspace

image-test: prerequisites ## run the bridge's image as on AWS (needs a Docker engine; not part of `make test`)
	cargo test --locked --workspace --test image

e2e: build ## test the deployed template end to end, in a local cloud of its own
	@# The load generator, too; tools/build.py explains `--examples`.
	cargo build --locked --workspace --bins --examples
	cargo test --locked --workspace --test e2e

# --- Dependencies

.PHONY: audit advisories
audit: $(CARGO_DENY) ## check licences, bans and sources of the dependencies
	$(CARGO_DENY) --locked check bans licenses sources

advisories: $(CARGO_DENY) ## check the dependencies for known vulnerabilities (downloads the RustSec database)
	$(CARGO_DENY) --locked check advisories

$(CARGO_DENY):
	cargo install --locked --root $(CARGO_DENY_HOME) --version $(CARGO_DENY_VERSION) cargo-deny

# --- Fuzzing: the readers of untrusted bytes

# One target for the codecs of each manufacturer, named after the file with its frames.
FUZZ_CODECS := $(patsubst tests/codecs/%.yaml,fuzz-codec-%,$(wildcard tests/codecs/*.yaml))
FUZZ_TARGETS := fuzz-datagram fuzz-callback fuzz-envelope fuzz-stream $(FUZZ_CODECS)
# For each target; all of them take ten minutes, and the build some more.
FUZZ_SECONDS := 75
# 2,048 bytes is the longest datagram that the bridge accepts.
FUZZ_OPTIONS := -max_len=2048 -timeout=5 -print_final_stats=1
FUZZ := cargo +nightly fuzz

.PHONY: fuzz $(FUZZ_TARGETS) fuzz-build fuzz-seeds nightly
fuzz: $(FUZZ_TARGETS) ## fuzz each reader of untrusted bytes, ten minutes in all (needs a nightly compiler)

$(FUZZ_TARGETS) fuzz-build: export PATH := $(CURDIR)/$(CARGO_FUZZ_HOME)/bin:$(PATH)

$(FUZZ_TARGETS): fuzz-%: fuzz-build fuzz-seeds
	@mkdir -p fuzz/corpus/$*
	FUZZ_CODEC=$(patsubst codec-%,%,$(filter codec-%,$*)) \
	  $(FUZZ) run $(if $(filter codec-%,$*),codec,$*) fuzz/corpus/$* fuzz/seeds/$* -- -max_total_time=$(FUZZ_SECONDS) $(FUZZ_OPTIONS)

fuzz-build: prerequisites nightly $(CARGO_FUZZ)
	$(FUZZ) build

fuzz-seeds: prerequisites
	@cargo run --quiet --locked -p pulsegate-tests --bin fuzz-seeds -- fuzz/seeds

nightly:
	@cargo +nightly --version > /dev/null 2>&1 || { echo \
	  "fuzzing needs a nightly compiler: rustup toolchain install nightly" >&2; exit 1; }

$(CARGO_FUZZ):
	cargo install --locked --root $(CARGO_FUZZ_HOME) --version $(CARGO_FUZZ_VERSION) cargo-fuzz

# --- Mutation tests

.PHONY: mutants
# Options of cargo-mutants, such as `--shard 0/8` for a part of the mutants.
MUTANTS :=
mutants: prerequisites $(CARGO_MUTANTS) ## change the codecs and the batch rule line by line and check that a test fails (takes over an hour)
	PROPTEST_CASES=48 CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=0 \
	  $(CARGO_MUTANTS) mutants --no-shuffle --timeout 60 --output target $(MUTANTS)

$(CARGO_MUTANTS):
	cargo install --locked --root $(CARGO_MUTANTS_HOME) --version $(CARGO_MUTANTS_VERSION) cargo-mutants

# --- The UDP bridge under load and faults

.PHONY: bench-bridge chaos load-tools
bench-bridge: load-tools ## measure the bridge's processor time and latency, beside a loop that stores nothing
	target/release/bridge-load bench

chaos: load-tools ## send ten million datagrams under faults; every acknowledged one must be in the stream
	target/release/bridge-load chaos

load-tools: prerequisites
	cargo build --release --locked -p bridge-load -p udp-bridge

# --- The archive, measured

.PHONY: bench-archive bench-consumption
bench-archive: prerequisites ## measure settling and reading the archive, beside DuckDB and pyarrow
	cargo build --release --locked -p archive-bench
	python3 tools/bench_archive.py

bench-consumption: prerequisites ## measure hours and days of consumption and the daily pass, beside DuckDB
	cargo build --release --locked -p archive-bench
	python3 tools/bench_consumption.py

# --- The whole pipeline, simulated

# For example: make simulate SIMULATE="--seeds 100"
SIMULATE :=

.PHONY: simulate
simulate: prerequisites ## run pipeline and archive ten thousand times in virtual time under faults; nothing may be lost
	cargo run --locked --profile simulate -p pulsegate-tests --bin simulate -- $(SIMULATE)

# --- The rest

.PHONY: bench time-from-clone clean prerequisites
bench: build release bench-bridge bench-archive bench-consumption ## all bench-*, and each function under AWS's own emulator, beside Python
	python3 tools/bench_lambda.py

time-from-clone: prerequisites ## time `make demo`, `make demo` again and `make test` in a fresh clone with empty caches
	@python3 tools/time_from_clone.py

clean: down ## remove everything that was built or installed
	cargo clean
	rm -rf .aws-sam .local fuzz/target

prerequisites:
	@command -v cargo > /dev/null || { echo "cargo is missing: install Rust, https://rustup.rs" >&2; exit 1; }
	@command -v cc > /dev/null || { echo "cc is missing: install a C compiler, e.g. apt-get install gcc" >&2; exit 1; }
	@python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 10))' 2> /dev/null || { echo \
	  "python3 is missing, is older than 3.10 or lacks its venv module: e.g. apt-get install python3 python3-venv" >&2; exit 1; }
