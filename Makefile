# `make help` lists the targets. What is more than a line long is in tools/local.py.

LOCAL := python3 tools/local.py

# Their versions are in their paths, so that a new one is installed by writing it here.
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
# The steps share the processor and cargo's lock: side by side they would only wait for each other.
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- The local cloud

.PHONY: tools field build demo up down
tools: prerequisites ## install the pinned tools into .local/tools
	@$(LOCAL) tools

field: prerequisites ## install the clients that stand for devices in the tests
	@$(LOCAL) field

build: prerequisites ## build the functions, the bridge and the command-line tool
	@$(LOCAL) build

demo: prerequisites ## see what real meters sent come out of the database as pulses
	@$(LOCAL) demo

up: prerequisites ## start everything and leave it running (addresses: .local/env)
	@$(LOCAL) up

down: ## end what `make up` started
	@$(LOCAL) down

# --- A fleet of meters, and what it costs

.PHONY: fleet
fleet: prerequisites ## build the fleet tool, target/release/fleet
	cargo build --release --locked --package pulsegate-fleet

# --- For AWS

.PHONY: bridge-image
bridge-image: prerequisites ## build the bridge's container image, pulsegate-udp-bridge (needs a Docker engine)
	@$(LOCAL) image

# --- Tests, in the order in which they are quick to fail
# What compiles here names the whole workspace: for a part of it cargo would choose other features of the dependencies,
# and compile them once more. Those elsewhere that name a package do not share their builds with these tests anyway
# (release, the profile `simulate`, the workspace `fuzz`), or run one program, which cargo does not do otherwise (fuzz-seeds).

.PHONY: test fmt clippy template python unit e2e image-test
test: fmt template python clippy unit e2e ## all of the following

fmt: prerequisites ## is the code formatted?
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

template: prerequisites ## is the template right? (sam validate --lint)
	@$(LOCAL) validate

python: prerequisites ## do the tools compile?
	python3 -m compileall -q tools

clippy: prerequisites ## lints, with warnings as errors
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --workspace --test e2e --test image -- -D warnings

unit: field ## tests that need no local cloud
	cargo test --locked --workspace

image-test: prerequisites ## the bridge's image, run as on AWS (needs a Docker engine; not part of `make test`)
	cargo test --locked --workspace --test image

e2e: build ## the deployed template, end to end, in local clouds of the tests' own
	@# The fleet tool comes with its own tests, compiled as for these.
	cargo test --locked --workspace --no-run --test simulate
	cargo test --locked --workspace --test e2e

# --- Dependencies

.PHONY: audit advisories
audit: $(CARGO_DENY) ## licences, bans and sources of the dependencies (needs no network but for cargo's)
	$(CARGO_DENY) --locked check bans licenses sources

advisories: $(CARGO_DENY) ## known weaknesses of the dependencies (downloads the RustSec database)
	$(CARGO_DENY) --locked check advisories

$(CARGO_DENY):
	cargo install --locked --root $(CARGO_DENY_HOME) --version $(CARGO_DENY_VERSION) cargo-deny

# --- Strangers' bytes

# A maker's codecs by themselves: they begin with the name of its file of frames.
FUZZ_CODECS := $(patsubst tests/codecs/%.yaml,fuzz-codec-%,$(wildcard tests/codecs/*.yaml))
FUZZ_TARGETS := fuzz-datagram fuzz-callback fuzz-envelope fuzz-stream $(FUZZ_CODECS)
# Of each target. All of them take ten minutes, and some more to be built.
FUZZ_SECONDS := 75
# As long as the longest datagram that is taken.
FUZZ_OPTIONS := -max_len=2048 -timeout=5 -print_final_stats=1
FUZZ := cargo +nightly fuzz

.PHONY: fuzz $(FUZZ_TARGETS) fuzz-build fuzz-seeds nightly
fuzz: $(FUZZ_TARGETS) ## whatever a fuzzer comes up with, for ten minutes, at each reader of strangers' bytes (needs a nightly compiler)

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
	  "a nightly compiler is missing, which fuzzing needs: rustup toolchain install nightly" >&2; exit 1; }

$(CARGO_FUZZ):
	cargo install --locked --root $(CARGO_FUZZ_HOME) --version $(CARGO_FUZZ_VERSION) cargo-fuzz

# --- Tests of the tests

.PHONY: mutants
# Which part of the mutants, such as `--shard 0/8`, or other options of cargo-mutants.
MUTANTS :=
mutants: prerequisites $(CARGO_MUTANTS) ## break the codecs and the batch rule a line at a time: does a test see it? (takes an hour and more)
	PROPTEST_CASES=48 CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=0 \
	  $(CARGO_MUTANTS) mutants --no-shuffle --timeout 60 --output target $(MUTANTS)

$(CARGO_MUTANTS):
	cargo install --locked --root $(CARGO_MUTANTS_HOME) --version $(CARGO_MUTANTS_VERSION) cargo-mutants

# --- The UDP bridge, measured and broken

.PHONY: bench-bridge chaos load-tools
bench-bridge: load-tools ## what a datagram costs the bridge, at which latency, and beside a loop that promises nothing
	target/release/bridge-load bench

chaos: load-tools ## ten million datagrams, a fault at a time; every acknowledgement is held against the stream
	target/release/bridge-load chaos

load-tools: prerequisites
	cargo build --release --locked -p bridge-load -p udp-bridge

# --- The whole pipeline, simulated

# For example: make simulate SIMULATE="--seeds 100"
SIMULATE :=

.PHONY: simulate
simulate: prerequisites ## ten thousand runs of the pipeline in virtual time while everything fails; nothing may be lost
	cargo run --locked --profile simulate -p pulsegate-tests --bin simulate -- $(SIMULATE)

# --- The rest

.PHONY: bench clean prerequisites
bench: build bench-bridge ## bench-bridge, and each function under AWS's own emulator, beside Python
	python3 tools/bench_lambda.py

clean: down ## remove everything that was built or installed
	cargo clean
	rm -rf .aws-sam .local fuzz/target

prerequisites:
	@command -v cargo > /dev/null || { echo "cargo is missing: install Rust, https://rustup.rs" >&2; exit 1; }
	@command -v cc > /dev/null || { echo "cc is missing: install a C compiler, e.g. apt-get install gcc" >&2; exit 1; }
	@python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 10))' 2> /dev/null || { echo \
	  "python3 is missing, older than 3.10 or without its venv module: e.g. apt-get install python3 python3-venv" >&2; exit 1; }
