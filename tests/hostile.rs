//! Tools that try what no tool may, and what becomes of them. The next call is always well, and nothing
//! of the one before is left.

use std::fs;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::commands::{cloister, endpoint, start};
use crate::harness::{TestHost, call, component, text};

/// Limits that a test can wait for. A guest that computes must reach that limit first, however little of
/// the processor it gets.
const LIMITS: [(&str, &str); 7] = [
    ("limits.timeout", "30s"),
    ("limits.cpu", "150ms"),
    ("limits.memory", "64MiB"),
    ("limits.output", "64KiB"),
    ("limits.log", "64KiB"),
    ("limits.handles", "100"),
    ("limits.tables", "2000"),
];

async fn hostile() -> TestHost {
    TestHost::with(&[("hostile", "guest_hostile")], &LIMITS).await
}

/// What a call says that fails, without what all of them say. Nothing of it is left afterwards.
async fn end(host: &TestHost, token: Option<&str>, tool: &str, arguments: Value) -> String {
    let result = host.call(token, tool, arguments).await;
    assert_eq!(result["isError"], true, "{tool}: {result}");
    assert_eq!(host.open("calls").await, 0, "{tool}");
    assert_eq!(host.open("memory").await, 0, "{tool}");
    let (_, cause) = text(&result).split_once("gave no result: ").unwrap();
    cause.to_owned()
}

#[tokio::test]
async fn every_misbehaviour_ends_its_own_call_with_a_text_that_says_why() {
    let host = hostile().await;
    let mut ends = Vec::new();
    for (tool, arguments) in [
        ("spin", json!({})),
        ("spinInHost", json!({})),
        ("spinInPoll", json!({})),
        ("spinForRandom", json!({})),
        ("copyForever", json!({})),
        ("random", json!({ "bytes": 64 << 20 })),
        ("printForever", json!({})),
        ("print", json!({ "bytes": 65 << 10 })),
        ("handOver", json!({ "bytes": 3 << 20 })),
        ("handles", json!({ "count": 1_000 })),
        ("texts", json!({ "count": 20_000 })),
        ("texts", json!({ "count": 1_000_000 })),
        ("palettes", json!({ "count": 1_000_000 })),
        ("bytes", json!({ "count": 1_000_000 })),
        ("blob", json!({ "count": 30 << 20 })),
        ("note", json!({ "priority": 2.0, "meta": "{}" })),
        ("note", json!({ "priority": "NaN", "meta": "{}" })),
        ("note", json!({ "priority": 1.0, "meta": "[]" })),
        ("note", json!({ "priority": 1.0, "meta": "{" })),
        ("allocate", json!({})),
        ("panicLater", json!({})),
        ("panic", json!({ "message": "a secret" })),
        ("printTricks", json!({})),
        ("exit", json!({ "code": 3 })),
    ] {
        let end = end(&host, None, tool, arguments.clone()).await;
        ends.push(format!("{tool} {arguments}: {end}"));
        let nothing = host.call(None, "nothing", json!({})).await;
        assert_eq!(nothing["isError"], Value::Null);
    }
    insta::assert_snapshot!(ends.join("\n"));
}

#[tokio::test]
async fn who_waits_for_ever_is_stopped_by_the_clock_on_the_wall() {
    let host = TestHost::with(
        &[("hostile", "guest_hostile")],
        &[("limits.timeout", "150ms")],
    )
    .await;
    insta::assert_snapshot!(
        end(&host, None, "sleep", json!({})).await,
        @"it was stopped after 150 ms, the longest a call of it may take"
    );
}

#[tokio::test]
async fn what_is_within_a_limit_is_done() {
    // A busy machine fills memory slowly, and that limit is not looked at here.
    let limits = LIMITS.map(|(name, limit)| match name {
        "limits.cpu" => (name, "10s"),
        _ => (name, limit),
    });
    let host = TestHost::with(&[("hostile", "guest_hostile")], &limits).await;
    for (tool, arguments, result) in [
        ("random", json!({ "bytes": 64 << 10 }), json!(64 << 10)),
        ("print", json!({ "bytes": 60 << 10 }), json!(60 << 10)),
        ("handles", json!({ "count": 90 }), json!(90)),
        ("goWithout", json!({}), json!(1)),
        ("churn", json!({ "times": 100 }), json!(100)),
    ] {
        let got = host.call(None, tool, arguments).await;
        assert_eq!(got["structuredContent"]["result"], result, "{tool}: {got}");
    }
    let palettes = host.call(None, "palettes", json!({ "count": 100 })).await;
    let palettes = palettes["structuredContent"]["result"].as_array().unwrap();
    assert_eq!(
        (palettes.len(), palettes[99].as_array().unwrap().len()),
        (100, 32)
    );
}

#[tokio::test]
async fn the_operator_decides_whether_callers_are_told_last_words() {
    let host = TestHost::serving(&[]).await;
    fs::write(host.file("hostile.toml"), "[errors]\ndetail = true\n").unwrap();
    host.put("hostile", "guest_hostile");
    host.until(|names| !names.is_empty()).await;
    insta::assert_snapshot!(
        end(&host, None, "panic", json!({ "message": "no such city" })).await,
        @"it was stopped by a fault of its own: it panicked or aborted; it said: no such city"
    );
    // They are one line, of limited length, and do nothing to a terminal.
    let long = format!("\u{1b}[2J{}\nmore", "x".repeat(1_000));
    let end_of_long = end(&host, None, "panic", json!({ "message": long })).await;
    let (_, said) = end_of_long.split_once("it said: ").unwrap();
    assert_eq!(said, format!(" [2J{}", "x".repeat(296)));
    insta::assert_snapshot!(
        end(&host, None, "exit", json!({ "code": 3 })).await,
        @"it ended its program with exit code 1 instead of returning"
    );
}

#[tokio::test]
async fn nothing_of_the_host_is_within_reach() {
    let host = hostile().await;
    for (tool, arguments, result) in [
        ("variables", json!({}), json!({ "result": [] })),
        (
            "variable",
            json!({ "name": "PATH" }),
            json!({ "result": null }),
        ),
        ("sockets", json!({ "count": 1_000 }), json!({ "result": 0 })),
        (
            "files",
            json!({ "path": "/etc/passwd", "count": 1_000 }),
            json!({ "result": 0 }),
        ),
    ] {
        let got = host.call(None, tool, arguments).await;
        assert_eq!(got["structuredContent"], result, "{tool}: {got}");
    }
    let mut refusals = Vec::new();
    for (tool, arguments) in [
        ("connect", json!({ "address": "127.0.0.1:80" })),
        ("connect", json!({ "address": "169.254.169.254:80" })),
        ("connect", json!({ "address": "[::1]:80" })),
        ("connect", json!({ "address": "localhost:80" })),
        ("connect", json!({ "address": "example.com:443" })),
        ("read", json!({ "path": "/etc/passwd" })),
        ("read", json!({ "path": "../../etc/passwd" })),
        ("write", json!({ "path": "/tmp/mine" })),
        ("write", json!({ "path": "mine" })),
    ] {
        let got = host.call(None, tool, arguments.clone()).await;
        assert_eq!(got["isError"], true, "{tool} {arguments}: {got}");
        refusals.push(format!("{tool} {arguments}: {}", text(&got)));
    }
    insta::assert_snapshot!(refusals.join("\n"));
}

#[tokio::test]
async fn what_a_call_has_open_is_closed_with_it() {
    let host = TestHost::with(&[], &LIMITS).await;
    let root = host.folder.path();
    fs::create_dir(root.join("data")).unwrap();
    fs::write(root.join("data/in"), "inside").unwrap();
    let data = root.join("data");
    fs::write(
        host.file("hostile.toml"),
        format!("[files]\n\"/data\" = {{ path = {data:?} }}\n"),
    )
    .unwrap();
    host.put("hostile", "guest_hostile");
    host.until(|names| !names.is_empty()).await;
    let files = |count: u32| json!({ "path": "/data/in", "count": count });
    let before = (host.call(None, "files", files(1)).await, open_in(&data)).1;

    let opened = host.call(None, "files", files(80)).await;
    assert_eq!(opened["structuredContent"], json!({ "result": 80 }));
    insta::assert_snapshot!(
        end(&host, None, "files", files(1_000)).await,
        @"it was stopped because it needed more than 100 handles at once, its limit"
    );
    assert_eq!(open_in(&data), before);
    assert_eq!(host.open("files").await, 0);
}

/// How many files in a folder this process has open.
fn open_in(folder: &std::path::Path) -> usize {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|file| fs::read_link(file.unwrap().path()).ok())
        .filter(|path| path.starts_with(folder))
        .count()
}

#[tokio::test]
async fn a_service_has_the_environment_that_its_manifest_gives_it() {
    let host = TestHost::serving(&[]).await;
    let secret = host.folder.path().join("key");
    fs::write(&secret, "s3cret\n").unwrap();
    fs::write(
        host.file("hostile.toml"),
        format!(
            "[env]\nUNITS = \"metric\"\nKEY = \"Bearer ${{secret.KEY}}\"\n[secrets]\nKEY = {{ file = {secret:?} }}\n"
        ),
    )
    .unwrap();
    host.put("hostile", "guest_hostile");
    host.until(|names| !names.is_empty()).await;
    let variables = host.call(None, "variables", json!({})).await;
    assert_eq!(
        variables["structuredContent"],
        json!({ "result": ["KEY", "UNITS"] })
    );
    let key = host.call(None, "variable", json!({ "name": "KEY" })).await;
    assert_eq!(
        key["structuredContent"],
        json!({ "result": "Bearer s3cret" })
    );
}

#[tokio::test]
async fn a_manifest_sets_the_limits_of_its_service_below_the_ceiling() {
    let host = TestHost::with(&[], &[("ceilings.cpu", "5s"), ("limits.cpu", "5s")]).await;
    fs::write(host.file("hostile.toml"), "[limits]\ncpu = \"100ms\"\n").unwrap();
    host.put("hostile", "guest_hostile");
    host.until(|names| !names.is_empty()).await;
    let result = host.call(None, "spin", json!({})).await;
    assert!(text(&result).contains("computed for 100 ms"), "{result}");

    // One that asks for too much changes nothing.
    fs::write(host.file("hostile.toml"), "[limits]\ncpu = \"6s\"\n").unwrap();
    fs::copy(host.file("hostile.wasm"), host.file("other.wasm")).unwrap();
    host.until(|names| names.iter().any(|name| name.starts_with("other_")))
        .await;
    let result = host.call(None, "hostile_spin", json!({})).await;
    assert!(text(&result).contains("computed for 100 ms"), "{result}");
}

/// A component whose function `call` runs `body`, with what `around` brings along.
fn raw(around: &str, body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
            {around}
            (core module $m
              (import "host" "drop" (func $drop (param i32)))
              (table $t 1 funcref)
              (memory 1)
              {body})
            (core instance $i (instantiate $m (with "host" (instance (export "drop" (func $drop))))))
            {lift}
        )"#,
        lift = r#"(func $call (param "user" (borrow $user)) (result u32)
              (canon lift (core func $i "call")))
            (export "call" (func $call))"#,
    ))
    .unwrap()
}

const AUTH: &str = r#"
    (import "cloister:mcp/auth@0.1.0" (instance $auth (export "auth-user" (type (sub resource)))))
    (alias export $auth "auth-user" (type $user))
    (core func $drop (canon resource.drop $user))"#;

#[tokio::test]
async fn what_only_raw_code_can_do() {
    for (body, cause) in [
        (
            // It drops what it was lent, twice.
            r#"(func (export "call") (param i32) (result i32)
                 (call $drop (local.get 0)) (call $drop (local.get 0)) (i32.const 0))"#,
            "it was stopped by a fault of its own: the operator's log has the cause",
        ),
        (
            // It keeps what it was lent.
            r#"(func (export "call") (param i32) (result i32) (i32.const 0))"#,
            "it kept the handle of the user it was lent; a tool must drop it before it returns",
        ),
        (
            // It makes up a handle.
            r#"(func (export "call") (param i32) (result i32)
                 (call $drop (i32.const 7)) (i32.const 0))"#,
            "it was stopped by a fault of its own: the operator's log has the cause",
        ),
        (
            // It touches what is not its own.
            r#"(func (export "call") (param i32) (result i32)
                 (call $drop (local.get 0)) (i32.load (i32.const -8)))"#,
            "it was stopped by a fault of its own: it ran out of stack, or touched memory that it does not own",
        ),
        (
            // It calls itself for ever.
            r#"(func $again (param i32) (result i32) (call $again (local.get 0)))
               (func (export "call") (param i32) (result i32) (call $again (local.get 0)))"#,
            "it was stopped because its calls were nested too deep for its stack of 512 KiB",
        ),
        (
            // It grows its table for ever.
            r#"(func (export "call") (param i32) (result i32)
                 (loop $more (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $more))
                 unreachable)"#,
            "it was stopped because its tables needed more than 20000 elements, their limit",
        ),
    ] {
        let host = TestHost::serving(&[]).await;
        fs::write(host.file("raw.wasm"), raw(AUTH, body)).unwrap();
        host.until(|names| !names.is_empty()).await;
        let token = host.token("user_ada");
        let result = host.call(Some(&token), "call", json!({})).await;
        let (_, end) = text(&result).split_once("gave no result: ").unwrap();
        assert_eq!(end, cause, "{body}");
        assert_eq!(host.open("memory").await, 0, "{body}");
    }
}

#[tokio::test]
async fn how_deep_calls_may_be_nested_is_for_the_operator_to_say() {
    let nested = r#"(func $again (param i32) (result i32)
          (if (result i32) (local.get 0)
            (then (i32.add (i32.const 1) (call $again (i32.sub (local.get 0) (i32.const 1)))))
            (else (i32.const 0))))
        (func (export "call") (param i32) (result i32)
          (call $drop (local.get 0)) (call $again (i32.const 20000)))"#;
    for (stack, said) in [
        (
            "64KiB",
            "calls were nested too deep for its stack of 64 KiB",
        ),
        ("8MiB", "{\"result\":20000}"),
    ] {
        let host = TestHost::with(&[], &[("limits.stack", stack)]).await;
        fs::write(host.file("raw.wasm"), raw(AUTH, nested)).unwrap();
        host.until(|names| !names.is_empty()).await;
        let token = host.token("user_ada");
        let result = host.call(Some(&token), "call", json!({})).await;
        assert!(text(&result).ends_with(said), "{stack}: {result}");
    }
}

/// A component whose function returns what its module says, from the two numbers at 64 KiB: where it lies and
/// how much of it there is.
fn returning(result: &str, fill: &str, at: u32, count: u32) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
            (core module $m
              (memory (export "memory") 16)
              (func (export "call") (result i32)
                (local $at i32)
                {fill}
                (i32.store (i32.const 0x10000) (i32.const {at}))
                (i32.store (i32.const 0x10004) (i32.const {count}))
                (i32.const 0x10000)))
            (core instance $i (instantiate $m))
            (func (export "call") (result {result})
              (canon lift (core func $i "call") (memory (core memory $i "memory")))))"#
    ))
    .unwrap()
}

#[tokio::test]
async fn nobody_returns_a_gibibyte() {
    // Each of 16,384 texts is the same 64 KiB.
    let many = r"(loop $more
        (i32.store offset=0x20004
          (i32.mul (local.get $at) (i32.const 8)) (i32.const 0x10000))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $at) (i32.const 0x4000))))";
    for (result, fill, at, count, cause) in [
        (
            "(list string)",
            many,
            0x20000,
            0x4000,
            "the values of its result take more than 16 MiB of memory, the limit that follows from 4 MiB for a result; many small values and `list<u8>` take much, a `string` takes little",
        ),
        (
            // What it does not have.
            "string",
            "",
            0,
            1 << 30,
            "it was stopped by a fault of its own: the operator's log has the cause",
        ),
        (
            "(list u64)",
            "",
            0,
            1 << 30,
            "it was stopped by a fault of its own: the operator's log has the cause",
        ),
    ] {
        let host = TestHost::serving(&[]).await;
        let wasm = returning(result, fill, at, count);
        fs::write(host.file("raw.wasm"), wasm).unwrap();
        host.until(|names| !names.is_empty()).await;
        assert_eq!(end(&host, None, "call", json!({})).await, cause, "{result}");
    }
}

/// A component whose module, with what it declares, returns 7.
fn declaring(what: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
            (core module $m {what} (func (export "call") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (func (export "call") (result u32) (canon lift (core func $i "call"))))"#
    ))
    .unwrap()
}

#[tokio::test]
async fn what_needs_too_much_from_the_start_is_told_so() {
    for (what, cause) in [
        (
            "(memory 1600)",
            "it needs more than 64 MiB to begin with, its limit of memory",
        ),
        (
            "(table 3000 funcref)",
            "it was stopped because its tables needed more than 2000 elements, their limit",
        ),
    ] {
        let host = TestHost::with(&[], &LIMITS).await;
        fs::write(host.file("raw.wasm"), declaring(what)).unwrap();
        host.until(|names| !names.is_empty()).await;
        assert_eq!(end(&host, None, "call", json!({})).await, cause, "{what}");
    }
}

#[tokio::test]
async fn a_manifest_raises_the_limit_of_tables_to_its_ceiling_and_no_further() {
    let host = TestHost::with(&[], &[("ceilings.tables", "30000")]).await;
    fs::write(host.file("raw.toml"), "[limits]\ntables = 30_000\n").unwrap();
    fs::write(host.file("raw.wasm"), declaring("(table 30000 funcref)")).unwrap();
    host.until(|names| !names.is_empty()).await;
    let result = host.call(None, "call", json!({})).await;
    assert_eq!(result["structuredContent"], json!({ "result": 7 }));

    fs::write(host.file("more.toml"), "[limits]\ntables = 30_001\n").unwrap();
    fs::write(host.file("more.wasm"), declaring("")).unwrap();
    fs::write(host.file("last.wasm"), declaring("")).unwrap();
    host.until(|names| names.len() > 1).await;
    assert_eq!(host.names(), ["last_call", "raw_call"]);
}

/// A host that has little memory for all calls together, and lets each of them have all of it.
async fn poor(services: &[(&str, &str)]) -> TestHost {
    let settings = [
        ("limits.calls", "16"),
        ("limits.total_memory", "48MiB"),
        ("limits.memory", "64MiB"),
    ];
    TestHost::with(services, &settings).await
}

#[tokio::test]
async fn the_memory_that_all_calls_have_together_has_an_end_of_its_own() {
    let host = poor(&[("hostile", "guest_hostile"), ("plain", "guest_plain")]).await;
    insta::assert_snapshot!(
        end(&host, None, "allocate", json!({})).await,
        @"it was stopped by a fault of its own: it panicked or aborted, after it had asked for memory of which the server has none left at this moment"
    );
    // What the host keeps for a call is counted, too: here requests that are never sent, and arguments.
    let requests = call(1, "requests", json!({ "count": 900, "bytes": 10 }));
    let numbers = call(1, "sum", json!({ "terms": vec![1; 1_500_000] }));
    for message in [requests, numbers] {
        let reply = host.send(None, &message).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                format!("{} {} {}", reply.status, reply.header("retry-after"), reply.json()["error"]["message"]),
                @r#"503 Service Unavailable 1 "the server has no memory left for it at this moment; try again later""#
            );
        }
        assert_eq!(host.open("memory").await, 0);
    }
    let sum = host.call(None, "sum", json!({ "terms": [1, 2] })).await;
    assert_eq!(sum["structuredContent"], json!({ "result": 3 }));
}

#[tokio::test]
async fn what_is_made_of_requests_is_short() {
    let host = hostile().await;
    for (bytes, taken) in [(64, 50), (65, 0), (1 << 20, 0)] {
        let arguments = json!({ "count": 50, "bytes": bytes });
        let result = host.call(None, "requests", arguments).await;
        assert_eq!(
            result["structuredContent"],
            json!({ "result": taken }),
            "{bytes}"
        );
    }
}

#[tokio::test]
async fn the_log_has_what_a_guest_said_last_however_its_call_ended() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mcp")).unwrap();
    let wasm = folder.path().join("mcp/hostile.wasm");
    fs::copy(component("guest_hostile"), wasm).unwrap();
    let (mut host, banner) = start(
        cloister(folder.path())
            .args(["--listen", "127.0.0.1:0"])
            .env("CLOISTER_CPU", "150ms")
            .env("CLOISTER_LOG_BYTES", "64MiB")
            .env("CLOISTER_LOG", "cloister=debug"),
    )
    .await;
    let url = endpoint(&banner);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (tool, arguments) in [
        ("printForever", json!({})),
        ("panic", json!({ "message": "no such city" })),
        ("print", json!({ "bytes": 128 })),
    ] {
        let request = client
            .post(url)
            .header("content-type", "application/json")
            .body(call(1, tool, arguments).to_string());
        request.send().await.unwrap();
    }
    host.start_kill().unwrap();
    let mut log = String::new();
    let mut stderr = host.stderr.take().unwrap();
    stderr.read_to_string(&mut log).await.unwrap();
    for (number, level, said) in [
        (1, "WARN", "and another line of no use to anybody"),
        (2, "WARN", "no such city"),
        (3, "DEBUG", "-----"),
    ] {
        let line = log
            .lines()
            .find(|line| line.contains(level) && line.contains(said))
            .unwrap_or_else(|| panic!("{said}: {log}"));
        assert!(
            line.contains(&format!("call={number} ")) && line.contains("service=hostile"),
            "{line}"
        );
        assert!(line.len() < 40 << 10, "{}", line.len());
    }
}
