# Everything a developer or CI does, by name. `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO_FLAGS := --workspace --locked

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build every program into target/debug
	@tools/install-deps build
	cargo build $(CARGO_FLAGS) --bins

.PHONY: demo
demo: ## run a whole Rackcast on this machine and print its HLS address (ARGS="--transcoders 3")
	@tools/install-deps demo
	cargo build $(CARGO_FLAGS) --bins
	target/debug/rackcast dev $(ARGS)

.PHONY: test
test: ## install what the tests need and run them all (STAGES="unit e2e" for some)
	@tools/test $(STAGES)

.PHONY: lint
lint: ## rustfmt, clippy, cargo-deny, shellcheck, yamllint, ansible-lint
	@tools/install-deps lint
	@tools/lint

.PHONY: fmt
fmt: ## format the Rust code
	cargo fmt --all

.PHONY: bench
bench: ## measure what a segment costs on this machine
	@tools/install-deps demo
	cargo build $(CARGO_FLAGS) --release --bins
	cargo bench $(CARGO_FLAGS) --bench '*'

.PHONY: sim
sim: ## run routing scenarios on virtual time (SCENARIO="slow-node poison" SEEDS=100)
	@tools/install-deps build
	cargo build $(CARGO_FLAGS) --bin rackcast-sim
	target/debug/rackcast-sim --seeds $(or $(SEEDS),100) $(SCENARIO)

.PHONY: soak
soak: ## kill transcoders and stop Consul's servers under running streams (MINUTES=10)
	@tools/install-deps test
	cargo build $(CARGO_FLAGS) --bins
	RACKCAST_SOAK_MINUTES=$(or $(MINUTES),10) \
		cargo test $(CARGO_FLAGS) --test e2e --test bitrate -- --ignored --nocapture --test-threads=1 soak

# Where a package was built must not show in it: the folders of sources have other names in panics and
# in debug symbols. Flags of its own need a folder of its own, or every build would undo another's.
DEB_PROFILE := $(or $(PROFILE),release)
DEB_RUSTFLAGS := --remap-path-prefix=$(CURDIR)=/usr/src/rackcast \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src=/usr/src/crates

.PHONY: deb
deb: ## package the programs into target/deb (PROFILE=dev VERSION=0.1.1~try ARCH=arm64)
	@tools/install-deps deb $(addprefix deb-,$(ARCH))
	RUSTFLAGS='$(DEB_RUSTFLAGS)' packaging/compile --profile $(DEB_PROFILE) $(addprefix --arch ,$(ARCH)) \
		$(addprefix --version ,$(VERSION))

.PHONY: reproduce
reproduce: ## package the programs in two places, and compare the packages (twice the time of make deb)
	packaging/reproduce

.PHONY: apt-repo
apt-repo: ## add target/deb to a signed apt repository in target/apt-repo (KEY=me@example.org)
	@tools/install-deps deb
	packaging/apt-repo $(if $(DEBS),--debs $(DEBS)) $(if $(OUT),--out $(OUT)) $(if $(KEY),--key '$(KEY)')

.PHONY: clean
clean: ## remove what was built, keep what was downloaded
	cargo clean
