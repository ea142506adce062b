//! What is told on the way to an answer: progress, log messages; and what becomes of it when a client
//! cancels, goes away, comes back or does not read.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Session, Stream};
use crate::harness::{TestHost, call, modern, text};

/// In how long a call is gone whose client is.
const GONE: Duration = Duration::from_millis(100);

const NOVEMBER: &str = "2025-11-25";

async fn host() -> TestHost {
    TestHost::serving(&[
        ("asker", "guest_asker"),
        ("conformance", "guest_conformance"),
        ("faulty", "guest_faulty"),
    ])
    .await
}

fn with_progress(id: u64, name: &str) -> Value {
    let mut call = call(id, name, json!({}));
    call["params"]["_meta"] = json!({ "progressToken": "p" });
    call
}

fn modern_progress(name: &str) -> Value {
    json!({ "name": name, "_meta": { "progressToken": 1 } })
}

#[tokio::test]
async fn progress_carries_the_token_as_it_was_sent() {
    let host = host().await;
    let session = Session::open(&host, "2025-06-18", json!({})).await;
    for token in [
        "7",
        "\"7\"",
        "\"a\\u0041\"",
        "123456789012345678901234567890",
    ] {
        let steps = json!({ "done": [1, 1, 0.5, 2.5], "total": 4, "message": "half" });
        let params = format!(
            r#"{{"name":"progress","arguments":{steps},"_meta":{{"progressToken":{token}}}}}"#
        );
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let request = session.request(reqwest::Method::POST);
        let response = request
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        let mut stream = Stream::of(response);
        // It only grows.
        for done in ["1", "2.5"] {
            let expected = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{done},"total":4,"message":"half"}}}}"#
            );
            assert_eq!(stream.event().await.unwrap().data, expected);
        }
        assert_eq!(stream.rest().await.len(), 1);
    }
}

#[tokio::test]
async fn log_messages_come_from_the_level_that_was_asked_for() {
    let host = host().await;
    let session = Session::open(&host, NOVEMBER, json!({})).await;
    let levels = async |session: &Session<'_>| -> Vec<Value> {
        let arguments = json!({ "data": "it rains", "logger": "clouds" });
        let messages = session.call(1, "log", arguments).await.rest().await;
        let (_answer, logged) = messages.split_last().unwrap();
        logged
            .iter()
            .map(|message| message["params"]["level"].clone())
            .collect()
    };
    let all = [
        "debug",
        "info",
        "notice",
        "warning",
        "error",
        "critical",
        "alert",
        "emergency",
    ];
    assert_eq!(levels(&session).await, all[1..]);
    for (level, from) in [("emergency", 7), ("debug", 0), ("error", 4)] {
        let set = session.ask("logging/setLevel", json!({ "level": level }));
        assert_eq!(set.await["result"], json!({}));
        assert_eq!(levels(&session).await, all[from..]);
    }
    for level in [json!("loud"), json!(3), Value::Null] {
        let set = session.ask("logging/setLevel", json!({ "level": level }));
        assert_eq!(set.await["error"]["code"], -32602);
    }
    // Each session has its own.
    let other = Session::open(&host, NOVEMBER, json!({})).await;
    assert_eq!(levels(&other).await.len(), 7);

    // In 2026-07-28 each request has, and most have none.
    let params = json!({ "name": "log", "arguments": { "data": "it rains" } });
    let reply = host.send_modern(None, "tools/call", params.clone()).await;
    assert_eq!(reply.header("content-type"), "application/json");
    let mut params = params;
    params["_meta"] = json!({ "io.modelcontextprotocol/logLevel": "alert" });
    let stream = Stream::modern(&host, json!(1), "tools/call", params).await;
    assert_eq!(stream.rest().await.len(), 3);
}

#[tokio::test]
async fn a_client_whose_connection_breaks_reads_on_where_it_stopped() {
    let host = host().await;
    let session = Session::open(&host, NOVEMBER, json!({})).await;
    let mut stream = Stream::of(
        session
            .post(&with_progress(7, "testToolWithProgress"))
            .await,
    );
    let first = stream.event().await.unwrap();
    assert_eq!((&*first.data, first.retry.as_deref()), ("", Some("3000")));
    let first = first.id.unwrap();
    let second = stream.event().await.unwrap();
    drop(stream);

    let rest = session.listen(second.id.as_deref()).await.rest().await;
    let told = rest.iter().map(|message| &message["params"]["progress"]);
    assert_eq!(
        told.collect::<Vec<_>>(),
        [&json!(50), &json!(100), &Value::Null]
    );
    assert_eq!(rest[2]["id"], 7);
    assert_eq!(text(&rest[2]["result"]), "Progress was reported");

    // Whoever lost the end of it can have that again, too.
    assert_eq!(
        session.listen(second.id.as_deref()).await.rest().await,
        rest
    );

    // A reader who comes later takes over from the one before.
    let mut stream = Stream::of(session.post(&with_progress(8, "testCancellation")).await);
    let third = stream.event().await.unwrap().id;
    let mut later = session.listen(third.as_deref()).await;
    assert_eq!(later.message().await["params"]["progress"], 0);
    stream.rest().await;
    session.cancel(json!(8)).await;

    for nonsense in [
        "",
        "-",
        "1",
        "x-1",
        "1-999",
        "999-1",
        "18446744073709551616-0",
    ] {
        let request = session.request(reqwest::Method::GET);
        let reply = request.header("last-event-id", nonsense).send().await;
        let reply = reply.unwrap();
        assert_eq!(reply.status(), 400, "{nonsense}");
        let error: Value = reply.json().await.unwrap();
        assert_eq!(error["error"]["code"], -32600, "{error}");
    }
    // What is said to one session is not there for another.
    let other = Session::open(&host, NOVEMBER, json!({})).await;
    let request = other.request(reqwest::Method::GET);
    let reply = request.header("last-event-id", first).send().await;
    assert_eq!(reply.unwrap().status(), 400);
}

/// What `tellAll` is to do, in a call that wants to know how far it is.
fn tell_all(lines: u32, letters: u32) -> Value {
    json!({
        "name": "tellAll",
        "arguments": { "lines": lines, "letters": letters },
        "_meta": { "progressToken": "p", "io.modelcontextprotocol/logLevel": "debug" },
    })
}

/// That all lines of `tellAll` are there in their order, and the last word on how far it is.
fn is_all(lines: u32, letters: usize, messages: &[Value]) {
    let (answer, told) = messages.split_last().unwrap();
    let of = |method: &str, member: &str| -> Vec<u32> {
        told.iter()
            .filter(|message| message["method"] == method)
            .map(|message| {
                message["params"][member]
                    .as_u64()
                    .unwrap()
                    .try_into()
                    .unwrap()
            })
            .collect()
    };
    let logged = of("notifications/message", "data");
    assert_eq!(logged, (1..=lines).collect::<Vec<_>>());
    let done = of("notifications/progress", "progress");
    assert!(done.is_sorted());
    assert_eq!(done.last(), Some(&lines), "{done:?}");
    assert_eq!(text(&answer["result"]).len(), letters);
}

#[tokio::test]
async fn a_client_that_reads_misses_nothing_however_fast_it_comes() {
    let host = host().await;
    let stream = Stream::modern(&host, json!(1), "tools/call", tell_all(5_000, 10)).await;
    is_all(5_000, 10, &stream.rest().await);
    for version in ["2025-03-26", NOVEMBER] {
        let session = Session::open(&host, version, json!({})).await;
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": tell_all(5_000, 10) });
        is_all(
            5_000,
            10,
            &Stream::of(session.post(&request).await).rest().await,
        );
    }
}

#[tokio::test]
async fn an_answer_takes_the_place_of_nothing_that_was_said_before_it() {
    let host = host().await;
    let session = Session::open(&host, NOVEMBER, json!({})).await;
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": tell_all(3, 1 << 20) });
    let mut stream = Stream::of(session.post(&request).await);
    let first = stream.event().await.unwrap();
    assert_eq!(first.data, "");
    is_all(3, 1 << 20, &stream.rest().await);
    // All of it is there for a client that lost it, too.
    let rest = session.listen(first.id.as_deref()).await.rest().await;
    assert_eq!(rest.last().unwrap()["id"], 1);

    // A client whose connection breaks while it is asked finds the question when it comes back.
    let host = TestHost::serving(&[("asker", "guest_asker")]).await;
    let session = Session::open(&host, NOVEMBER, json!({ "sampling": {} })).await;
    let mut stream = session
        .call(2, "askAtLength", json!({ "letters": 50_000 }))
        .await;
    let first = stream.event().await.unwrap().id;
    drop(stream);
    let mut stream = session.listen(first.as_deref()).await;
    for letter in ["a", "b"] {
        let question = stream.message().await;
        assert_eq!(question["method"], "sampling/createMessage");
        let text = &question["params"]["messages"][0]["content"]["text"];
        assert!(text.as_str().unwrap().starts_with(letter));
        let refused = json!({ "code": -1, "message": "no" });
        session.answer(&question, "error", refused).await;
    }
    assert_eq!(stream.rest().await[0]["id"], 2);
}

#[tokio::test]
async fn a_call_that_is_cancelled_ends_without_an_answer() {
    let host = host().await;
    let session = Session::open(&host, NOVEMBER, json!({})).await;
    let mut stream = Stream::of(session.post(&with_progress(7, "testCancellation")).await);
    assert_eq!(stream.message().await["method"], "notifications/progress");
    for other in [json!(8), json!("7"), Value::Null] {
        session.cancel(other).await;
    }
    // It is still at work, so its id is not free.
    let twice = session.post(&with_progress(7, "testCancellation")).await;
    assert_eq!(twice.status(), 400);
    assert_eq!(host.open("calls").await, 1);
    session.cancel(json!(7)).await;
    let rest = stream.rest().await;
    assert!(
        rest.iter().all(|message| message.get("id").is_none()),
        "{rest:?}"
    );
    host.until_open("calls", 0).await;
    let again = session.post(&call(7, "testSimpleText", json!({}))).await;
    assert_eq!(again.status(), 200);
    session.cancel(json!(7)).await;
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_call_with_it_unless_it_has_a_session() {
    let host = host().await;
    let mut stream = Stream::modern(
        &host,
        json!(1),
        "tools/call",
        modern_progress("testCancellation"),
    )
    .await;
    stream.message().await;
    assert_eq!(host.open("calls").await, 1);
    drop(stream);
    let gone = host.until_open("calls", 0).await;
    assert!(gone < GONE, "{gone:?}");

    // Before the first word of an answer, too.
    let params = json!({ "name": "sleep", "arguments": { "milliseconds": 60_000 } });
    tokio::select! {
        reply = host.send_modern(None, "tools/call", params) => panic!("{}", reply.text),
        _ = host.until_open("calls", 1) => {}
    }
    let gone = host.until_open("calls", 0).await;
    assert!(gone < GONE, "{gone:?}");

    let session = Session::open(&host, NOVEMBER, json!({})).await;
    let mut stream = Stream::of(
        session
            .post(&with_progress(1, "testToolWithProgress"))
            .await,
    );
    let id = stream.event().await.unwrap().id;
    drop(stream);
    let messages = session.listen(id.as_deref()).await.rest().await;
    assert_eq!(messages.last().unwrap()["id"], 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_keeps_no_call_beyond_its_time() {
    let host = TestHost::with(&[("asker", "guest_asker")], &[("limits.timeout", "1s")]).await;
    let session = Session::open(&host, NOVEMBER, json!({})).await;
    let legacy = [
        ("mcp-protocol-version", NOVEMBER.to_owned()),
        ("mcp-session-id", session.id.clone().unwrap()),
    ];
    let body = call(1, "logForever", json!({}));
    let params = json!({
        "name": "logForever",
        "_meta": { "io.modelcontextprotocol/logLevel": "debug" },
    });
    let (headers, modern) = modern("tools/call", params);
    for (headers, body) in [(headers, modern), (legacy.into(), body)] {
        let _connected = deaf(&host, &headers, &body.to_string()).await;
        let ended = host.until_open("calls", 0).await;
        assert!(ended < Duration::from_secs(10), "{ended:?}");
    }
}

/// Sends a request, and leaves its answer where it is, but for the first byte.
async fn deaf(host: &TestHost, headers: &[(&str, String)], body: &str) -> TcpStream {
    let url: reqwest::Url = host.url().parse().unwrap();
    let address = url.socket_addrs(|| None).unwrap();
    let mut socket = TcpStream::connect(&*address).await.unwrap();
    let headers: String = headers
        .iter()
        .map(|(name, value)| [name, ": ", value, "\r\n"].concat())
        .collect();
    let length = body.len();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket.read_exact(&mut [0]).await.unwrap();
    socket
}
