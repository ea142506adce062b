//! Sessions of the revisions that open with `initialize`: whose they are, and how they end.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::client::{Session, initialize};
use crate::harness::{TestHost, call};

const NOVEMBER: &str = "2025-11-25";

async fn plain(settings: &[(&'static str, &str)]) -> TestHost {
    TestHost::with(&[("plain", "guest_plain")], settings).await
}

/// Every way in which a session is named.
async fn every_way(session: &Session<'_>) -> Vec<Response> {
    let mut replies = Vec::new();
    for message in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {} }),
        json!([{ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }]),
    ] {
        replies.push(session.post(&message).await);
    }
    for method in [Method::GET, Method::DELETE] {
        replies.push(session.request(method).send().await.unwrap());
    }
    replies
}

#[tokio::test]
async fn a_session_that_is_not_there_is_not_found_whatever_is_wanted_of_it() {
    let host = plain(&[]).await;
    let session = Session::open(&host, "2025-03-26", json!({})).await;
    let id = session.id.clone().unwrap();
    assert!(
        id.len() >= 22 && id.bytes().all(|byte| byte.is_ascii_graphic()),
        "{id}"
    );
    assert!(session.ask("tools/list", json!({})).await["result"].is_object());

    let ended = session.request(Method::DELETE).send().await.unwrap();
    assert_eq!(ended.status(), 204);
    assert_eq!(host.open("sessions").await, 0);
    let unknown = Session {
        id: Some("x".repeat(32)),
        ..session.with(None)
    };
    let endless = Session {
        id: Some("x".repeat(4_096)),
        ..session.with(None)
    };
    for session in [session, unknown, endless] {
        for reply in every_way(&session).await {
            assert_eq!(reply.status(), 404);
            let error: Value = reply.json().await.unwrap();
            assert_eq!(error["error"]["code"], -32600, "{error}");
            assert_eq!(error["jsonrpc"], "2.0");
        }
    }
    // Whoever opens another may name the one that is gone, and 2026-07-28 knows none.
    let lost = [("mcp-session-id", "gone")];
    let opened = initialize(NOVEMBER, json!({})).to_string();
    assert_eq!(host.send_with(None, &lost, opened).await.status, 200);
    let (headers, body) = crate::harness::modern("tools/list", json!({}));
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, &**value))
        .chain(lost)
        .collect();
    let reply = host.send_with(None, &headers, body.to_string()).await;
    assert_eq!(reply.status, 200);
    assert!(reply.headers.get("mcp-session-id").is_none());
}

#[tokio::test]
async fn a_session_serves_the_caller_who_came_first_with_a_token() {
    let host = plain(&[]).await;
    let (ada, bob) = (host.token("user_ada"), host.token("user_bob"));
    // Opened with a token, or without one that came later.
    let owned = Session::of(&host, NOVEMBER, json!({}), Some(ada.clone())).await;
    let taken = Session::open(&host, NOVEMBER, json!({})).await;
    assert!(taken.ask("ping", json!({})).await["result"].is_object());
    let taken = taken.with(Some(ada.clone()));
    for session in [owned, taken] {
        assert!(session.ask("ping", json!({})).await["result"].is_object());
        for other in [Some(bob.clone()), None] {
            for reply in every_way(&session.with(other)).await {
                // A batch does not belong to this revision whoever sends it.
                let status = reply.status();
                assert!(status == 404 || status == 400, "{status}");
                assert!(reply.json::<Value>().await.unwrap()["error"].is_object());
            }
        }
        let forged = session.with(Some(format!("{ada}x")));
        let reply = forged.request(Method::DELETE).send().await.unwrap();
        assert_eq!(reply.status(), 401);
        // It is as it was.
        assert!(session.ask("ping", json!({})).await["result"].is_object());
        let ended = session.request(Method::DELETE).send().await.unwrap();
        assert_eq!(ended.status(), 204);
    }
    assert_eq!(host.open("sessions").await, 0);
}

/// That no session can be opened, and what is said of it.
async fn is_refused(host: &TestHost, token: Option<&str>, why: &str) {
    let opening = initialize(NOVEMBER, json!({})).to_string();
    let reply = host.send_with(token, &[], opening).await;
    assert_eq!(reply.status, 503, "{}", reply.text);
    assert_eq!(reply.header("retry-after"), "1");
    assert!(reply.headers.get("mcp-session-id").is_none());
    let error = reply.json();
    assert_eq!(
        (&error["id"], &error["error"]["code"]),
        (&json!(0), &json!(503))
    );
    let text = error["error"]["message"].as_str().unwrap();
    assert!(text.contains(why), "{text}");
}

#[tokio::test]
async fn there_are_as_many_sessions_as_there_may_be_and_unused_ones_make_room() {
    let settings = [
        ("limits.sessions", "2"),
        ("limits.sessions_each", "2"),
        ("limits.session_idle", "2s"),
    ];
    let host = plain(&settings).await;
    let first = Session::open(&host, NOVEMBER, json!({})).await;
    // One with a stream is in use.
    let mut stream = first.listen(None).await;
    let second = Session::open(&host, NOVEMBER, json!({})).await;
    is_refused(&host, None, "2 sessions already").await;
    // Nobody has lost theirs, and whoever needs none is served.
    for session in [&first, &second] {
        assert!(session.ask("ping", json!({})).await["result"].is_object());
    }
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    assert_eq!(host.send(None, &list).await.status, 200);

    // It ends though nobody asks for its place.
    host.until_open("sessions", 1).await;
    Session::open(&host, NOVEMBER, json!({})).await;
    assert!(first.ask("ping", json!({})).await["result"].is_object());
    assert_eq!(every_way(&second).await[0].status(), 404);
    host.put("demo", "cloister_demo");
    assert_eq!(
        stream.message().await["method"],
        "notifications/tools/list_changed"
    );
}

#[tokio::test]
async fn a_session_is_in_use_until_its_last_call_has_ended() {
    let services = [("faulty", "guest_faulty")];
    let host = TestHost::with(&services, &[("limits.session_idle", "2s")]).await;
    let session = Session::open(&host, NOVEMBER, json!({})).await;
    let slept = session
        .post(&call(1, "sleep", json!({ "milliseconds": 2_100 })))
        .await;
    // No stream has kept it in use.
    assert_eq!(slept.headers()["content-type"], "application/json");
    let slept: Value = slept.json().await.unwrap();
    assert_eq!(slept["result"]["structuredContent"]["result"], 2_100);
    assert!(session.ask("ping", json!({})).await["result"].is_object());
    host.until_open("sessions", 0).await;
}

#[tokio::test]
async fn nobody_has_all_sessions() {
    let settings = [("limits.sessions", "4"), ("limits.sessions_each", "2")];
    let host = plain(&settings).await;
    let (ada, bob) = (host.token("user_ada"), host.token("user_bob"));
    let mut open = Vec::new();
    for token in [None, None, Some(&ada), Some(&ada)] {
        open.push(Session::of(&host, NOVEMBER, json!({}), token.cloned()).await);
        if open.len() == 2 {
            is_refused(&host, None, "this caller has 2 sessions").await;
        }
    }
    is_refused(&host, Some(&ada), "this caller has 2 sessions").await;
    is_refused(&host, Some(&bob), "there are 4 sessions").await;
    let ended = open[0].request(Method::DELETE).send().await.unwrap();
    assert_eq!(ended.status(), 204);
    is_refused(&host, Some(&ada), "this caller has 2 sessions").await;
    Session::of(&host, NOVEMBER, json!({}), Some(bob)).await;
    assert_eq!(host.open("sessions").await, 4);
}

#[tokio::test]
async fn the_end_of_a_session_ends_all_that_is_in_it() {
    let host = TestHost::serving(&[("asker", "guest_asker"), ("faulty", "guest_faulty")]).await;
    let session = Session::open(&host, NOVEMBER, json!({ "elicitation": {} })).await;
    let unasked = session.listen(None).await;
    let mut asking = session.call(1, "elicitName", json!({})).await;
    assert_eq!(asking.message().await["method"], "elicitation/create");
    let sleeping = call(2, "sleep", json!({ "milliseconds": 60_000 }));
    let sleeping = session.post(&sleeping);
    let ending = async {
        host.until_open("calls", 2).await;
        host.until_open("streams", 1).await;
        let ended = session.request(Method::DELETE).send().await.unwrap();
        assert_eq!(ended.status(), 204);
        assert!(host.until_open("calls", 0).await < Duration::from_millis(100));
        assert!(host.until_open("streams", 0).await < Duration::from_millis(100));
    };
    let (slept, ()) = tokio::join!(sleeping, ending);
    // A call that ended so has no answer.
    assert_eq!(slept.status(), 202);
    assert_eq!(slept.text().await.unwrap(), "");
    assert_eq!(asking.rest().await, [Value::Null; 0]);
    assert_eq!(unasked.rest().await, [Value::Null; 0]);
}
