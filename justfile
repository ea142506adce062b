# `just` alone lists the recipes; each is one line of what to do and one of how.

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

target := env("CARGO_TARGET_DIR", justfile_directory() / "target")

# list the recipes
_default:
    @just --list --unsorted

# build each service in mcp/<name>/ to mcp/<name>.wasm, and the guests of the tests
build-guests:
    #!/usr/bin/env bash
    set -euo pipefail
    package() { sed -n 's/^name *= *"\(.*\)"/\1/p' "$1" | head -n 1; }
    packages=()
    for manifest in mcp/*/Cargo.toml tests/guests/*/Cargo.toml; do
        packages+=(-p "$(package "$manifest")")
    done
    cargo build --profile guest --target wasm32-wasip2 "${packages[@]}"
    # A host that is running watches mcp/: it never sees half a file, nor a new one that says the same.
    for manifest in mcp/*/Cargo.toml; do
        service=$(basename "$(dirname "$manifest")")
        built=$(package "$manifest")
        built="{{ target }}/wasm32-wasip2/guest/${built//-/_}.wasm"
        if ! cmp -s "$built" "mcp/$service.wasm"; then
            cp "$built" "mcp/.$service.new"
            mv -f "mcp/.$service.new" "mcp/$service.wasm"
        fi
    done

# run the host on mcp/, with the arguments given
run *ARGS:
    cargo run -- "$@"

# build the guests, then run every test: unit, end to end, documentation, real clients
test: build-guests
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --workspace --bin cloister
    if command -v cargo-nextest >/dev/null; then
        cargo nextest run --workspace
    else
        cargo test --workspace --all-targets
    fi
    cargo test --workspace --doc
    just test-clients

# call the tools with the official TypeScript and Python clients and the Inspector
test-clients *CLIENTS: build-guests
    # The same selection as the tests have, so that dependencies are not built twice with other features.
    cargo build --workspace --bin cloister
    tests/clients/run "$@"

# formatting, lints and documentation, with warnings as errors
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# format the Rust sources
fmt:
    cargo fmt --all

# run the tests and look through the snapshots that changed (needs cargo-insta)
snap: build-guests
    cargo insta test --workspace --review

# licences, advisories and banned crates of the dependencies (needs cargo-deny)
deps:
    cargo deny check

# remove what build-guests made
clean-guests:
    rm -f mcp/auth.wasm mcp/demo.wasm
    rm -rf "{{ target }}/wasm32-wasip2"
