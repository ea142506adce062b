//! Tools that try what no tool may, and what becomes of them. The next call is always well.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{TestHost, text};

/// Limits that a test can wait for. A guest that computes must reach that limit first, however little of
/// the processor it gets.
const LIMITS: [(&str, &str); 4] = [
    ("limits.timeout", "30s"),
    ("limits.cpu", "150ms"),
    ("limits.memory", "16MiB"),
    ("limits.output", "64KiB"),
];

async fn hostile() -> TestHost {
    TestHost::with(&[("hostile", "guest_hostile")], &LIMITS).await
}

#[tokio::test]
async fn every_misbehaviour_ends_its_own_call_with_a_text_that_says_why() {
    let host = hostile().await;
    let computed = "it was stopped after it had computed for 150 ms, the longest a call of it may";
    for (tool, arguments, cause) in [
        ("spin", json!({}), computed),
        ("spinInHost", json!({}), computed),
        ("printForever", json!({}), computed),
        (
            "texts",
            json!({ "count": 100_000 }),
            "its result is larger than 64 KiB, the limit for a result",
        ),
        (
            "printTricks",
            json!({}),
            "it was stopped by a fault of its own: it panicked or aborted",
        ),
    ] {
        let result = host.call(None, tool, arguments).await;
        assert_eq!(result["isError"], true, "{tool}: {result}");
        assert_eq!(
            text(&result),
            format!("the tool `{tool}` of the service `hostile` gave no result: {cause}")
        );
        assert_eq!(
            host.call(None, "nothing", json!({})).await["isError"],
            Value::Null
        );
    }
}

#[tokio::test]
async fn who_waits_for_ever_is_stopped_by_the_clock_on_the_wall() {
    let host = TestHost::with(
        &[("hostile", "guest_hostile")],
        &[("limits.timeout", "150ms")],
    )
    .await;
    let result = host.call(None, "sleep", json!({})).await;
    assert_eq!(
        text(&result),
        "the tool `sleep` of the service `hostile` gave no result: it was stopped after 150 ms, the longest a call of it may take"
    );
}

#[tokio::test]
async fn nothing_of_the_host_is_within_reach() {
    let host = hostile().await;
    let open = open_files();
    for (tool, arguments, result) in [
        ("variables", json!({}), json!({ "result": [] })),
        (
            "variable",
            json!({ "name": "PATH" }),
            json!({ "result": null }),
        ),
        ("sockets", json!({ "count": 1_000 }), json!({ "result": 0 })),
        ("churn", json!({ "times": 100 }), json!({ "result": 100 })),
    ] {
        let got = host.call(None, tool, arguments).await;
        assert_eq!(got["structuredContent"], result, "{tool}: {got}");
    }
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
        assert!(text(&got).starts_with("no"), "{tool} {arguments}: {got}");
    }
    // Connections of clients come and go, but none of the guest's is among them.
    assert!(open_files() < open + 100);
}

/// How many files and sockets this process has open.
fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
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
fn component(around: &str, body: &str) -> Vec<u8> {
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
    ] {
        let host = TestHost::serving(&[]).await;
        fs::write(host.file("raw.wasm"), component(AUTH, body)).unwrap();
        host.until(|names| !names.is_empty()).await;
        let token = host.token("user_ada");
        let result = host.call(Some(&token), "call", json!({})).await;
        assert_eq!(
            text(&result),
            format!("the tool `call` of the service `raw` gave no result: {cause}"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_table_grows_to_its_ceiling_and_no_further() {
    let host = TestHost::serving(&[]).await;
    let body = r#"(func (export "call") (param i32) (result i32)
        (call $drop (local.get 0))
        (loop $more
          (br_if $more (i32.ne (i32.const -1) (table.grow $t (ref.null func) (i32.const 1000)))))
        (table.size $t))"#;
    fs::write(host.file("raw.wasm"), component(AUTH, body)).unwrap();
    host.until(|names| !names.is_empty()).await;
    let token = host.token("user_ada");
    let result = host.call(Some(&token), "call", json!({})).await;
    assert_eq!(result["structuredContent"], json!({ "result": 19_001 }));
}
