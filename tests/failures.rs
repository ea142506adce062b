//! Tools that fail, and what callers are told. After every failure the next call works.

use serde_json::{Value, json};

use crate::harness::{TestHost, call, text};

async fn faulty(settings: &[(&'static str, &str)]) -> TestHost {
    TestHost::with(&[("faulty", "guest_faulty")], settings).await
}

/// The text of a call that fails.
async fn failure(host: &TestHost, name: &str, arguments: Value) -> String {
    let result = host.call(None, name, arguments).await;
    assert_eq!(result["isError"], true, "{result}");
    assert!(result.get("structuredContent").is_none(), "{result}");
    // Nothing of it stays.
    let after = host.call(None, "count", json!({})).await;
    assert_eq!(after["structuredContent"], json!({ "result": 1 }));
    text(&result).to_owned()
}

#[tokio::test]
async fn an_err_is_a_failed_call_in_the_tools_own_words() {
    let host = faulty(&[]).await;
    assert_eq!(
        failure(&host, "refuse", json!({ "why": "not today" })).await,
        "not today"
    );
}

#[tokio::test]
async fn a_panic_ends_one_call_and_its_text_stays_in_the_log() {
    let host = faulty(&[]).await;
    let text = failure(&host, "panic", json!({ "message": "a secret" })).await;
    insta::assert_snapshot!(text, @"the tool `panic` of the service `faulty` gave no result: it was stopped by a fault of its own: it panicked or aborted");
}

#[tokio::test]
async fn a_tool_that_computes_for_ever_is_stopped() {
    let host = faulty(&[("limits.timeout", "200ms")]).await;
    insta::assert_snapshot!(
        failure(&host, "spin", json!({})).await,
        @"the tool `spin` of the service `faulty` gave no result: it was stopped after 200 ms, the longest a call of it may take"
    );
}

#[tokio::test]
async fn a_tool_that_waits_too_long_is_stopped() {
    let host = faulty(&[("limits.timeout", "200ms")]).await;
    insta::assert_snapshot!(
        failure(&host, "sleep", json!({ "milliseconds": 60_000 })).await,
        @"the tool `sleep` of the service `faulty` gave no result: it was stopped after 200 ms, the longest a call of it may take"
    );
    let slept = host.call(None, "sleep", json!({ "milliseconds": 1 })).await;
    assert_eq!(slept["structuredContent"], json!({ "result": 1 }));
}

#[tokio::test]
async fn a_tool_that_wants_all_memory_is_stopped() {
    let host = faulty(&[("limits.memory", "16MiB")]).await;
    insta::assert_snapshot!(
        failure(&host, "allocate", json!({})).await,
        @"the tool `allocate` of the service `faulty` gave no result: it was stopped by a fault of its own: it panicked or aborted, after it had asked for more than 16 MiB of memory, its limit"
    );
}

#[tokio::test]
async fn a_tool_that_recurses_for_ever_is_stopped() {
    let host = faulty(&[]).await;
    insta::assert_snapshot!(
        failure(&host, "recurse", json!({ "depth": 0 })).await,
        @"the tool `recurse` of the service `faulty` gave no result: it was stopped by a fault of its own: it ran out of stack, or touched memory that it does not own"
    );
}

#[tokio::test]
async fn a_result_that_is_too_large_is_not_sent() {
    let host = faulty(&[("limits.output", "64KiB")]).await;
    // Either the engine refuses to hand it over, or the host to send it.
    for bytes in [64 << 10, 30 << 20] {
        assert_eq!(
            failure(&host, "flood", json!({ "bytes": bytes })).await,
            "the tool `flood` of the service `faulty` gave no result: its result is larger than 64 KiB, the limit for a result"
        );
    }
    let fits = host.call(None, "flood", json!({ "bytes": 60 << 10 })).await;
    assert_eq!(text(&fits).len(), 60 << 10);
}

#[tokio::test]
async fn a_tool_that_ends_its_program_has_failed() {
    let host = faulty(&[]).await;
    insta::assert_snapshot!(
        failure(&host, "exit", json!({ "code": 1 })).await,
        @"the tool `exit` of the service `faulty` gave no result: it ended its program with exit code 1 instead of returning"
    );
}

#[tokio::test]
async fn a_tool_that_prints_without_end_still_answers() {
    let host = faulty(&[]).await;
    let result = host.call(None, "chatter", json!({ "lines": 5_000 })).await;
    assert_eq!(result["structuredContent"], json!({ "result": 5_000 }));
}

#[tokio::test]
async fn nothing_of_one_call_is_there_in_the_next() {
    let host = faulty(&[]).await;
    for _ in 0..20 {
        let count = host.call(None, "count", json!({})).await;
        assert_eq!(count["structuredContent"], json!({ "result": 1 }));
    }
}

#[tokio::test]
async fn wrong_arguments_are_explained_all_at_once() {
    let host = TestHost::serving(&[("plain", "guest_plain")]).await;
    let result = host
        .call(
            None,
            "mirror",
            json!({ "at": { "x": 1.5, "lable": "a" }, "to": 1 }),
        )
        .await;
    assert_eq!(result["isError"], true);
    insta::assert_snapshot!(text(&result));
}

#[tokio::test]
async fn an_unknown_tool_is_an_error_of_the_protocol() {
    let host = faulty(&[]).await;
    let reply = host.send(None, &call(7, "nothing", json!({}))).await;
    assert_eq!(reply.status, 200);
    insta::assert_json_snapshot!(reply.json(), @r#"
    {
      "jsonrpc": "2.0",
      "id": 7,
      "error": {
        "code": -32602,
        "message": "unknown tool `nothing`; `tools/list` names those there are"
      }
    }
    "#);
}
