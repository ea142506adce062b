//! Who is told what changes: the stream of a session, and `subscriptions/listen`.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use reqwest::Method;
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
    assert_eq!(second.status, 503);
    assert_eq!(second.header("retry-after"), "1");
    assert_eq!(second.json()["error"]["code"], 503);
    assert_eq!(second.json()["id"], 1);
    drop(first);
    host.until_open("streams", 0).await;
    let mut third = Stream::modern(&host, json!(1), "subscriptions/listen", json!({})).await;
    third.message().await;
}

#[tokio::test]
async fn nobody_has_all_streams_and_whoever_comes_back_has_theirs() {
    let settings = [("limits.streams", "3"), ("limits.streams_each", "2")];
    let host = TestHost::with(&[], &settings).await;
    let ada = Some(host.token("user_ada"));
    let listen = ("subscriptions/listen", json!({}));
    let session = Session::of(&host, "2025-11-25", json!({}), ada.clone()).await;
    let told = session.listen(None).await;
    let (headers, body) = modern(listen.0, listen.1.clone());
    let mut request = host.client.post(host.url()).body(body.to_string());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.bearer_auth(ada.as_deref().unwrap());
    let mut listening = Stream::of(request.send().await.unwrap());
    listening.message().await;

    // Of either kind, for a session or without one.
    let other = Session::of(&host, "2025-11-25", json!({}), ada.clone()).await;
    let refused = other
        .request(Method::GET)
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["error"]["code"], 503);
    let text = error["error"]["message"].as_str().unwrap();
    assert!(text.contains("this caller has 2"), "{text}");
    let refused = host.send_modern(ada.as_deref(), listen.0, listen.1.clone());
    assert_eq!(refused.await.status, 503);
    // The stream of a session that comes back takes no other place, and loses nobody theirs.
    let mut again = session.listen(None).await;
    assert_eq!(told.rest().await, [Value::Null; 0]);
    let mut third = Stream::modern(&host, json!(1), listen.0, listen.1.clone()).await;
    third.message().await;
    let refused = host.send_modern(None, listen.0, listen.1).await;
    assert_eq!(refused.status, 503);
    let text = refused.json()["error"]["message"].to_string();
    assert!(text.contains("there are 3"), "{text}");
    assert_eq!(host.open("streams").await, 3);
    host.put("plain", "guest_plain");
    again.message().await;
    listening.is_silent().await;
}

const LISTS: [&str; 3] = [
    "tools/list_changed",
    "prompts/list_changed",
    "resources/list_changed",
];

#[tokio::test]
async fn whatever_becomes_of_a_stream_each_change_is_told_once() {
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let host = asker().await;
        let session = Session::open(&host, version, json!({})).await;
        let announce = json!({ "name": "announce", "arguments": { "uri": "asker://greeting" } });
        let announce = async || session.ask("tools/call", announce.clone()).await;
        let mut stream = session.listen(None).await;
        let mut event = stream.event();
        if version == "2025-11-25" {
            // From where to go on is known before there is anything to go on after.
            let first = event.await.unwrap();
            assert_eq!((first.id.as_deref(), &*first.data), (Some("0-0"), ""));
            assert!(first.retry.is_some());
            event = stream.event();
        }
        let (told, _) = tokio::join!(event, announce());
        let told = told.unwrap();
        assert!(told.data.contains("notifications/tools/list_changed"));
        let seen = told.id.unwrap();

        // While the host still takes the connection for good, its client comes back: it has seen one of three.
        let mut again = session.listen(Some(&seen)).await;
        assert_eq!(methods(&mut again, 2).await, LISTS[1..]);
        again.is_silent().await;
        // It may have seen nothing, and have been told all.
        let mut again = session.listen(Some("0-0")).await;
        assert_eq!(methods(&mut again, 3).await, LISTS);
        // Or it does not say: then what it was told it has seen.
        let mut again = session.listen(None).await;
        again.is_silent().await;
        drop(again);
        host.until_open("streams", 0).await;
        announce().await;
        announce().await;
        let mut again = session.listen(Some("0-3")).await;
        assert_eq!(methods(&mut again, 3).await, LISTS);
        again.is_silent().await;

        // So much is not kept; what is not, is taken for changed.
        for _ in 0..20 {
            announce().await;
            assert_eq!(methods(&mut again, 3).await, LISTS);
        }
        let mut late = session.listen(Some("0-0")).await;
        let mut ids = Vec::new();
        let mut told = Vec::new();
        while ids.last().is_none_or(|id| id != "0-69") {
            let event = late.event().await.unwrap();
            ids.extend(event.id);
            told.push(event.data);
        }
        assert!(told.len() < 60, "{}", told.len());
        for (told, list) in told.iter().rev().zip(LISTS.iter().rev()) {
            assert!(told.contains(list), "{told}");
        }
        late.is_silent().await;
        for forged in ["0-9999", "7-0", "0", "x"] {
            let request = session
                .request(Method::GET)
                .header("accept", "text/event-stream")
                .header("last-event-id", forged);
            assert_eq!(request.send().await.unwrap().status(), 400, "{forged}");
        }
    }
}

#[tokio::test]
async fn whoever_may_not_read_a_resource_may_not_watch_it() {
    let host = asker().await;
    let own = json!({ "uri": "asker://own-greeting" });
    let nobody = Session::open(&host, "2025-11-25", json!({})).await;
    let subscribe =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": own });
    let refused = nobody.post(&subscribe).await;
    assert_eq!(refused.status(), 401);
    assert!(refused.headers().contains_key("www-authenticate"));

    let ada = host.token("user_ada");
    let session = Session::of(&host, "2025-11-25", json!({}), Some(ada.clone())).await;
    let subscribed = session.ask("resources/subscribe", own.clone()).await;
    assert_eq!(subscribed["result"], json!({}));
    let mut unasked = session.listen(None).await;
    let wanted = json!({ "notifications": { "resourceSubscriptions": [own["uri"], "asker://greeting", "later://it"] } });
    let listen = async |token: Option<&str>| {
        let (headers, body) = modern("subscriptions/listen", wanted.clone());
        let mut request = host.client.post(host.url()).body(body.to_string());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let mut stream = Stream::of(request.send().await.unwrap());
        let acknowledged = stream.message().await;
        let accepted = &acknowledged["params"]["notifications"]["resourceSubscriptions"];
        (stream, accepted.clone())
    };
    let (mut anybody, accepted) = listen(None).await;
    assert_eq!(accepted, json!(["asker://greeting", "later://it"]));
    let (mut hers, accepted) = listen(Some(&ada)).await;
    assert_eq!(accepted.as_array().unwrap().len(), 3);

    let announce = json!({ "name": "announce", "arguments": own });
    let announce = async || session.ask("tools/call", announce.clone()).await;
    announce().await;
    let updated = "notifications/resources/updated";
    let told = hers.message().await;
    assert_eq!(
        (&told["method"], &told["params"]["uri"]),
        (&json!(updated), &own["uri"])
    );
    let all = methods(&mut unasked, 4).await;
    assert_eq!(all, [&LISTS[..], &["resources/updated"]].concat());
    anybody.is_silent().await;

    // Who could read it when they began may not any more.
    let mut changes = host.changes();
    fs::write(
        host.file("asker.new"),
        "[tools.own-greeting]\nscopes = [\"greet\"]\n",
    )
    .unwrap();
    fs::rename(host.file("asker.new"), host.file("asker.toml")).unwrap();
    changes.changed().await.unwrap();
    announce().await;
    // The manifest may have changed the lists, too.
    let mut told = BTreeSet::new();
    while told.len() < 3 {
        told.extend(methods(&mut unasked, 1).await);
    }
    assert_eq!(told, LISTS.map(str::to_owned).into());
    hers.is_silent().await;
    let params = json!({ "name": "announce", "arguments": { "uri": "asker://greeting" } });
    session.ask("tools/call", params).await;
    assert_eq!(hers.message().await["params"]["uri"], "asker://greeting");
    let refused = session.post(&subscribe).await;
    assert_eq!(refused.status(), 403);
}
