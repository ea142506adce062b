//! Asynchronous functions, and several calls of the host in flight inside one call (WASI 0.3).

use serde_json::json;

use crate::harness::{TestHost, text};

async fn waiter(settings: &[(&'static str, &str)]) -> TestHost {
    TestHost::with(&[("waiter", "guest_waiter")], settings).await
}

#[tokio::test]
async fn an_async_function_is_a_tool_like_any_other() {
    let host = waiter(&[]).await;
    assert_eq!(host.names(), ["nothing", "spin", "wait", "whoami"]);
    let token = host.token("user_ada");
    let ada = host.call(Some(&token), "whoami", json!({})).await;
    assert_eq!(ada["structuredContent"], json!({ "result": "user_ada" }));
    let nobody = host
        .send(None, &crate::harness::call(1, "whoami", json!({})))
        .await;
    assert_eq!(nobody.status, 401);
    let nothing = host.call(None, "nothing", json!({})).await;
    assert_eq!(nothing["structuredContent"], json!({ "result": 0 }));
    let refused = host
        .call(None, "wait", json!({ "times": 1_001, "milliseconds": 1 }))
        .await;
    assert_eq!(text(&refused), "at most 1000 times");
}

#[tokio::test]
async fn what_one_call_waits_for_it_waits_for_at_once() {
    // One after another they would take five times as long as the call may.
    let host = waiter(&[("limits.timeout", "2s")]).await;
    let waited = host
        .call(None, "wait", json!({ "times": 500, "milliseconds": 20 }))
        .await;
    assert_eq!(
        waited["structuredContent"],
        json!({ "result": 500 }),
        "{waited}"
    );
}

#[tokio::test]
async fn an_async_function_has_the_same_limits() {
    for (setting, tool, arguments, cause) in [
        (
            ("limits.cpu", "100ms"),
            "spin",
            json!({}),
            "computed for 100 ms",
        ),
        (
            ("limits.timeout", "200ms"),
            "wait",
            json!({ "times": 1, "milliseconds": 60_000 }),
            "stopped after 200 ms",
        ),
    ] {
        let host = waiter(&[setting]).await;
        let result = host.call(None, tool, arguments).await;
        assert!(text(&result).contains(cause), "{result}");
    }
}
