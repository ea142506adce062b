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

# build the guests, then run every test: unit, end to end, documentation, servers for buckets, conformance, real clients, foreign tools
test: build-guests
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --workspace --bin cloister
    if command -v cargo-nextest >/dev/null; then
        cargo nextest run --workspace
    else
        cargo test --workspace --tests
    fi
    cargo test --workspace --doc
    just test-stores
    just conformance
    just test-clients
    just test-foreign

# have hosts keep buckets on a real Redis or Valkey (needs one of them)
test-stores: build-guests
    # With the selection of the other tests, so that nothing is built twice.
    cargo build --workspace --bin cloister
    tests/stores/run

# use a host with the official TypeScript, Python and Rust clients and the Inspector
test-clients *CLIENTS: build-guests
    # The same selection as the tests have, so that dependencies are not built twice with other features.
    cargo build --workspace --bin cloister
    tests/clients/run "$@"

# have another toolchain make a service, and use it (needs Node)
test-foreign:
    cargo build --workspace --bin cloister
    tests/foreign/run

# judge the host with the official conformance suite, all of it or some runs and scenarios
conformance *ARGS: build-guests
    cargo build --workspace --bin cloister
    tests/conformance/run "$@"

# ask Clerk's own SDK for a second opinion on several hundred tokens (needs Node)
oracle *ARGS: build-guests
    cargo build --workspace --bin cloister
    tests/oracle/run "$@"

# the properties again, with ten thousand cases each: what a night is for
test-deep:
    PROPTEST_CASES=10000 cargo test --workspace --lib

# give a target (bearer, decode, describe, endpoint) whatever bytes a fuzzer finds, for as many seconds (needs a C++ compiler)
fuzz TARGET SECONDS="600":
    #!/usr/bin/env bash
    set -euo pipefail
    # One wrapper for the crates of the workspace: everything else is built as it is for the tests.
    RUSTC_WORKSPACE_WRAPPER="$PWD/tests/fuzz/instrumented" \
        cargo build --workspace --features cloister-fuzz/libfuzzer --bin "fuzz-$1"
    # What was found interesting is kept beside the build, and taken up by the next run.
    corpus="{{ target }}/fuzz/corpus/$1"
    findings="{{ target }}/fuzz/findings/$1"
    mkdir -p "$corpus" "$findings"
    if [[ $1 == describe ]]; then
        # As a file in mcp/ (0): the guests, if they are built.
        for guest in "{{ target }}"/wasm32-wasip2/guest/*.wasm; do
            [[ -e $guest ]] && { printf '\0'; cat "$guest"; } >"$corpus/$(basename "$guest")"
        done
    else
        cp tests/fuzz/seeds/"$1"/* "$corpus"
    fi
    SEEDS="$corpus" "{{ target }}/debug/fuzz-$1" "$corpus" -max_total_time="$2" -max_len=131072 -timeout=10 \
        -rss_limit_mb=2048 -artifact_prefix="$findings/" -dict="tests/fuzz/seeds/$1.dict" -print_final_stats=1

# measure one thing (value, auth, call, fairness, limits) beside what it is compared with, in one run
bench NAME *ARGS:
    # Dependencies are built as they are for the tests; what is measured is built as for a release.
    cargo bench --workspace --profile dev --bench "$1" \
        --config 'profile.dev.package.cloister.opt-level=3' \
        --config 'profile.dev.package.cloister.debug-assertions=false' \
        --config 'profile.dev.package.cloister-tests.opt-level=3' \
        --config 'profile.dev.package.cloister-tests.debug-assertions=false' \
        -- "${@:2}"

# keep a host under mixed, hostile load from 500 connections for so many seconds, while its services are replaced, removed and damaged
soak SECONDS="600": build-guests
    # Dependencies are built as they are for the tests, and the host as for a release.
    cargo build --workspace --bin cloister --bin soak \
        --config 'profile.dev.package.cloister.opt-level=3' \
        --config 'profile.dev.package.cloister-soak.opt-level=3'
    "{{ target }}/debug/soak" "$1"

# formatting, lints and documentation, with warnings as errors
check:
    cargo fmt --all --check
    cargo fmt --check --manifest-path tests/clients/rmcp/Cargo.toml
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# format the Rust sources
fmt:
    cargo fmt --all
    cargo fmt --manifest-path tests/clients/rmcp/Cargo.toml

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
