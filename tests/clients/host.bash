# What the scripts share that judge a real host with programs made by others: Node, what npm installs
# from a lock file, and hosts of their own, each on a free port and in a folder of its own.
#
# A script that sources this gets `root`, `target`, `guests`, `host`, and `work`, an empty folder that
# goes when the script ends.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$root/$target ;; esac
guests=$target/wasm32-wasip2/guest
host=${CLOISTER_BIN:-$target/debug/cloister}
pids=()
work=$(mktemp -d "${TMPDIR:-/tmp}/cloister.XXXXXX")

# This shell's settings do not reach the host.
for name in $(compgen -e); do
    case $name in CLERK_* | CLOISTER_* | PORT) unset "$name" ;; esac
done

end() {
    local pid
    for pid in ${pids[@]+"${pids[@]}"}; do
        kill "$pid" 2>/dev/null || continue
        # It may finish calls in progress, but not for ever.
        (sleep 5 && kill -KILL "$pid") >/dev/null 2>&1 &
        wait "$pid" 2>/dev/null || true
        kill $! 2>/dev/null || true
    done
    rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "${0#"$root"/}: $1" >&2
    exit 1
}

# at_least 22.19 v22.23.3
at_least() {
    local want=(${1//./ }) have=(${2//[!0-9]/ })
    ((have[0] > want[0] || (have[0] == want[0] && have[1] >= want[1])))
}

# Mirrors a folder of ours, and installs there what its lock file says: again only when that changes.
npm_install() {
    local from=$1 to=$2
    mkdir -p "$to"
    cp "$from"/* "$to/"
    if ! cmp -s "$to/package-lock.json" "$to/.installed"; then
        echo "installing what ${from#"$root"/}/package-lock.json says"
        (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --include=optional >/dev/null </dev/null)
        cp "$to/package-lock.json" "$to/.installed"
    fi
}

# Sets `younger_node` to a Node of this version or later: the one given, or what npm has as a package,
# or nothing.
find_younger_node() {
    younger_node=$2
    if ! at_least "$1" "$("$2" --version)"; then
        npm_install "$root/tests/clients/node" "$target/clients/node"
        younger_node=$(find "$target/clients/node/node_modules" -path '*/bin/node' -type f | head -n 1)
    fi
}

# Starts a host on the services in $1/mcp, and sets `base` to where it answers and `issuer` to who signs
# the tokens that it takes.
start_host() {
    local folder=$1 pid
    [[ -f $host ]] || fail "${host#"$root"/} is missing; \`cargo build --workspace --bin cloister\` builds it"
    (cd "$folder" && exec "$host" --listen 127.0.0.1:0 --mcp-dir mcp) >"$folder/banner" 2>"$folder/host.log" </dev/null &
    pid=$!
    pids+=("$pid")

    # It prints where it listens when the services are loaded. The first start compiles them, which takes
    # a debug build its time.
    local deadline=$((SECONDS + 60))
    until issuer=$(sed -n 's/^ *issuer *//p' "$folder/banner") && [[ -n $issuer ]]; do
        if ! kill -0 "$pid" 2>/dev/null || ((SECONDS >= deadline)); then
            cat "$folder/host.log" >&2
            fail "the host ended, or did not start within a minute; above is what it said"
        fi
        sleep 0.1
    done
    base=$(sed -n 's/^ *endpoint *\(.*\)\/mcp$/\1/p' "$folder/banner")
}
