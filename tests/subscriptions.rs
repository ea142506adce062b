//! Who is told what changes: the stream of a session, and `subscriptions/listen`.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Session, Stream};
use crate::harness::{TestHost, modern};

/// How soon clients know what the catalog knows.
const SOON: Duration = Duration::from_millis(200);

const TAG: &str = "io.modelcontextprotocol/subscriptionId";

async fn asker() -> TestHost {
    TestHost::serving(&[("asker", "guest_asker"), ("library", "guest_library")]).await
}

/// The methods of so many messages.
async fn methods(stream: &mut Stream, count: usize) -> Vec<String> {
    let mut methods = Vec::new();
    for _ in 0..count {
        let method = stream.message().await["method"].clone();
        methods.push(method.as_str().unwrap().replace("notifications/", ""));
    }
    methods
}

/// How long after the catalog has changed a stream tells of it.
async fn told(host: &TestHost, stream: &mut Stream, change: impl FnOnce()) -> (Duration, Value) {
    let mut changes = host.changes();
    let known = async {
        changes.changed().await.unwrap();
        Instant::now()
    };
    change();
    let (known, message) = tokio::join!(known, stream.message());
    (known.elapsed(), message)
}

#[tokio::test]
async fn a_session_is_told_of_the_lists_that_change_and_no_others() {
    let host = TestHost::serving(&[]).await;
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let session = Session::open(&host, version, json!({})).await;
        let mut stream = session.listen(None).await;
        let (late, message) = told(&host, &mut stream, || host.put("plain", "guest_plain")).await;
        assert!(late < SOON, "{late:?}");
        let tools = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
        assert_eq!(message, tools);
        stream.is_silent().await;

        // What changes while there is no stream is told by the next.
        drop(stream);
        host.until_open("streams", 0).await;
        let mut changes = host.changes();
        host.put("library", "guest_library");
        changes.changed().await.unwrap();
        let mut stream = session.listen(None).await;
        let all = [
            "tools/list_changed",
            "prompts/list_changed",
            "resources/list_changed",
        ];
        assert_eq!(methods(&mut stream, 3).await, all);

        // A newer one takes over.
        let mut newer = session.listen(None).await;
        assert!(stream.event().await.is_none());
        let mut changes = host.changes();
        fs::remove_file(host.file("library.wasm")).unwrap();
        changes.changed().await.unwrap();
        assert_eq!(methods(&mut newer, 3).await, all);
        fs::remove_file(host.file("plain.wasm")).unwrap();
        assert_eq!(methods(&mut newer, 1).await, all[..1]);
        newer.is_silent().await;
    }
}

#[tokio::test]
async fn a_session_is_told_of_the_resources_that_it_watches() {
    // A resource of another service is not this one's to speak of.
    let host = TestHost::serving(&[
        ("conformance", "guest_conformance"),
        ("asker", "guest_asker"),
    ])
    .await;
    let session = Session::open(&host, "2025-06-18", json!({})).await;
    let uri = json!({ "uri": "test://watched-resource" });
    let watch = async |method: &str| {
        let answer = session
            .ask(&format!("resources/{method}"), uri.clone())
            .await;
        assert_eq!(answer["result"], json!({}));
    };
    let update = async || session.ask("tools/call", json!({ "name": "testTriggerResourceUpdate" }));
    let announce = json!({ "name": "announce", "arguments": uri });
    let updated = json!({
        "jsonrpc": "2.0",
        "method": "notifications/resources/updated",
        "params": uri,
    });

    watch("subscribe").await;
    let mut stream = session.listen(None).await;
    update().await.await;
    assert_eq!(stream.message().await, updated);
    session.ask("tools/call", announce).await;
    let lists = [
        "tools/list_changed",
        "prompts/list_changed",
        "resources/list_changed",
    ];
    assert_eq!(methods(&mut stream, 3).await, lists);

    // So it is when there is no stream for a moment.
    drop(stream);
    host.until_open("streams", 0).await;
    update().await.await;
    let mut stream = session.listen(None).await;
    assert_eq!(stream.message().await, updated);

    watch("unsubscribe").await;
    update().await.await;
    stream.is_silent().await;

    for uri in [json!("x".repeat(3_000)), json!(5), Value::Null] {
        let answer = session
            .ask("resources/subscribe", json!({ "uri": uri }))
            .await;
        assert_eq!(answer["error"]["code"], -32602);
    }
}

#[tokio::test]
async fn a_subscription_is_acknowledged_and_told_what_it_asked_for() {
    let host = asker().await;
    let uri = "library://titles";
    let announce = async || {
        let params = json!({ "name": "announce", "arguments": { "uri": uri } });
        assert_eq!(
            host.send_modern(None, "tools/call", params).await.status,
            200
        );
    };
    for (id, wanted, methods) in [
        (json!(7), json!({}), &[][..]),
        (
            json!("7"),
            json!({ "promptsListChanged": true, "toolsListChanged": false, "taskIds": ["t"] }),
            &["prompts/list_changed"],
        ),
        (
            json!(-1),
            json!({ "toolsListChanged": true, "resourcesListChanged": true, "resourceSubscriptions": [uri, uri] }),
            &["tools/list_changed", "resources/list_changed"],
        ),
    ] {
        let params = json!({ "notifications": wanted });
        let mut stream = Stream::modern(&host, id.clone(), "subscriptions/listen", params).await;
        let mut accepted = wanted.clone();
        accepted
            .as_object_mut()
            .unwrap()
            .retain(|name, wanted| name != "taskIds" && *wanted != json!(false));
        if let Some(uris) = accepted.get_mut("resourceSubscriptions") {
            *uris = json!([uri]);
        }
        let acknowledged = json!({
            "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": { "_meta": { TAG: id }, "notifications": accepted },
        });
        assert_eq!(stream.message().await, acknowledged);
        announce().await;
        for method in methods {
            let told = json!({
                "jsonrpc": "2.0",
                "method": format!("notifications/{method}"),
                "params": { "_meta": { TAG: id } },
            });
            assert_eq!(stream.message().await, told);
        }
        stream.is_silent().await;
        drop(stream);
        let gone = host.until_open("streams", 0).await;
        assert!(gone < Duration::from_millis(100), "{gone:?}");
    }
}

#[tokio::test]
async fn a_subscription_is_told_soon_and_ended_by_a_host_that_stops() {
    let host = TestHost::serving(&[]).await;
    let huge = "123456789012345678901234567890";
    let (headers, body) = modern(
        "subscriptions/listen",
        json!({ "notifications": { "toolsListChanged": true } }),
    );
    let body = body
        .to_string()
        .replace(r#""id":1"#, &format!(r#""id":{huge}"#));
    let mut request = host.client.post(host.url()).body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut stream = Stream::of(request.send().await.unwrap());
    let acknowledged = stream.event().await.unwrap().data;
    let tag = format!(r#"{{"{TAG}":{huge}}}"#);
    assert!(acknowledged.contains(&tag), "{acknowledged}");

    let (late, _) = told(&host, &mut stream, || host.put("plain", "guest_plain")).await;
    assert!(late < SOON, "{late:?}");

    let (last, ()) = tokio::join!(stream.event(), host.stop());
    assert_eq!(
        last.unwrap().data,
        format!(
            r#"{{"jsonrpc":"2.0","id":{huge},"result":{{"resultType":"complete","_meta":{tag}}}}}"#
        )
    );
    assert!(stream.event().await.is_none());
}

#[tokio::test]
async fn a_subscription_needs_a_stream_and_a_place_for_one() {
    let host = TestHost::with(&[], &[("limits.streams", "1")]).await;
    let (headers, body) = modern("subscriptions/listen", json!({}));
    let mut request = host
        .client
        .post(host.url())
        .header("accept", "application/json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let reply = request.body(body.to_string()).send().await.unwrap();
    assert_eq!(reply.status(), 406);
    assert_eq!(reply.json::<Value>().await.unwrap()["id"], 1);

    for wrong in [
        json!([]),
        json!({ "toolsListChanged": 1 }),
        json!({ "resourceSubscriptions": "x" }),
        json!({ "resourceSubscriptions": ["x".repeat(2_049)] }),
        json!({ "resourceSubscriptions": (0..1_001).collect::<Vec<u32>>() }),
        json!({ "resourceSubscriptions": (0..40).map(|n| format!("{n}{}", "x".repeat(2_000))).collect::<Vec<_>>() }),
    ] {
        let params = json!({ "notifications": wrong });
        let reply = host.send_modern(None, "subscriptions/listen", params).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json()["error"]["code"], -32602);
    }

    let first = Stream::modern(&host, json!(1), "subscriptions/listen", json!({})).await;
    let second = host
        .send_modern(None, "subscriptions/listen", json!({}))
        .await;
    assert_eq!(second.json()["error"]["code"], -32603);
    drop(first);
    host.until_open("streams", 0).await;
    let mut third = Stream::modern(&host, json!(1), "subscriptions/listen", json!({})).await;
    third.message().await;
}
