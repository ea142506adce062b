//! Whole conversations in the two oldest revisions, as clients of those have them: the official suite
//! never negotiates them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Session, Stream, initialize};
use crate::harness::{TestHost, call, modern, text};

const MARCH: &str = "2025-03-26";
const JUNE: &str = "2025-06-18";

/// All that a client could declare, whether or not its revision knows of it.
fn everything() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} }, "sampling": { "tools": {} }, "roots": {} })
}

async fn host() -> TestHost {
    TestHost::serving(&[
        ("asker", "guest_asker"),
        ("conformance", "guest_conformance"),
        ("faulty", "guest_faulty"),
        ("library", "guest_library"),
    ])
    .await
}

#[tokio::test]
async fn the_first_revisions_are_spoken_from_the_first_word_to_the_last() {
    let host = host().await;
    for version in [MARCH, JUNE] {
        // The header comes with 2025-06-18, and not before the version is agreed.
        let opened = host.send_with(None, &[], initialize(version, everything()).to_string());
        let opened = opened.await;
        let id = opened.header("mcp-session-id").to_owned();
        let result = &opened.json()["result"];
        assert_eq!(result["protocolVersion"], version);
        assert!(result["capabilities"].get("extensions").is_none());
        let mut session = Session {
            host: &host,
            version,
            token: None,
            id: Some(id),
        };
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(session.post(&initialized).await.status(), 202);
        assert_eq!(session.ask("ping", json!({})).await["result"], json!({}));
        let mut unasked = session.listen(None).await;

        // The host asks on the stream of the call, and the client answers with a request of its own.
        for (tool, arguments, method, answer, told) in [
            (
                "sample",
                json!({ "prompt": "Shall I?" }),
                "sampling/createMessage",
                json!({ "role": "assistant", "content": { "type": "text", "text": "Yes." }, "model": "small" }),
                "small says",
            ),
            (
                "roots",
                json!({}),
                "roots/list",
                json!({ "roots": [{ "uri": "file:///home/ada" }] }),
                "file:///home/ada",
            ),
        ] {
            let mut stream = session.call(1, tool, arguments).await;
            let question = stream.message().await;
            assert_eq!(question["method"], method);
            let reply = session.answer(&question, "result", answer).await;
            assert_eq!(reply.status(), 202);
            let ended = stream.rest().await;
            assert!(text(&ended[0]["result"]).contains(told), "{ended:?}");
        }
        if version == JUNE {
            let mut stream = session.call(2, "elicitName", json!({})).await;
            let question = stream.message().await;
            assert_eq!(question["method"], "elicitation/create");
            // Modes are of the revision after.
            assert!(question["params"].get("mode").is_none(), "{question}");
            let answer = json!({ "action": "accept", "content": { "name": "Ada" } });
            session.answer(&question, "result", answer).await;
            assert!(text(&stream.rest().await[0]["result"]).contains("hello, Ada"));
        }
        // What this revision cannot ask is a failed call that says so.
        let impossible: &[&str] = match version {
            MARCH => &["elicitName", "page", "askSeveral"],
            _ => &["page", "askSeveral"],
        };
        for tool in impossible {
            let arguments = match *tool {
                "page" => json!({ "url": "https://example.com" }),
                _ => json!({}),
            };
            let params = json!({ "name": tool, "arguments": arguments });
            let result = &session.ask("tools/call", params).await["result"];
            assert_eq!(result["isError"], true, "{result}");
            assert!(text(result).contains("did not declare"), "{result}");
        }

        // The log, from the level that is wanted.
        let level = session.ask("logging/setLevel", json!({ "level": "error" }));
        assert_eq!(level.await["result"], json!({}));
        let mut stream = session.call(3, "log", json!({ "data": "x" })).await;
        let logged = stream.message().await;
        assert_eq!(logged["method"], "notifications/message");
        assert_eq!(logged["params"]["level"], "error");
        stream.rest().await;
        let level = session.ask("logging/setLevel", json!({ "level": "loud" }));
        assert_eq!(level.await["error"]["code"], -32602);

        // Errors in the message, with the codes of that time, and the status that says nothing.
        for (method, params, code) in [
            ("nothing", json!({}), -32601),
            ("server/discover", json!({}), -32601),
            ("subscriptions/listen", json!({}), -32601),
            ("tools/call", json!({ "name": "nothing" }), -32602),
            ("prompts/get", json!({ "name": "nothing" }), -32602),
            ("resources/read", json!({ "uri": "a://b" }), -32002),
            ("tools/list", json!({ "cursor": "?" }), -32602),
        ] {
            let request = json!({ "jsonrpc": "2.0", "id": 4, "method": method, "params": params });
            let reply = session.post(&request).await;
            assert_eq!(reply.status(), 200, "{method}");
            let answer: Value = reply.json().await.unwrap();
            assert_eq!(answer["error"]["code"], code, "{answer}");
            assert_eq!(answer["id"], 4);
            if code == -32002 {
                assert_eq!(answer["error"]["data"]["uri"], "a://b");
            }
        }
        // Arguments that do not fit are for the model to mend.
        let wrong = json!({ "name": "sleep", "arguments": { "milliseconds": "long" } });
        assert_eq!(
            session.ask("tools/call", wrong).await["result"]["isError"],
            true
        );

        // Breaking off is no cancellation, and cancelling is.
        let sleeping = call(5, "sleep", json!({ "milliseconds": 60_000 }));
        tokio::select! {
            reply = session.post(&sleeping) => panic!("{reply:?}"),
            _ = host.until_open("calls", 1) => {}
        }
        assert_eq!(session.ask("ping", json!({})).await["result"], json!({}));
        assert_eq!(host.open("calls").await, 1);
        session.cancel(json!(5)).await;
        assert!(host.until_open("calls", 0).await < Duration::from_millis(100));

        // Batches: one answer to each request, in one array, in the one revision that has them.
        let batch = json!([
            call(6, "testSimpleText", json!({})),
            initialized,
            { "jsonrpc": "2.0", "id": "7", "method": "ping" },
        ]);
        let reply = session.post(&batch).await;
        if version == MARCH {
            let answers: Value = reply.json().await.unwrap();
            let ids = [&answers[0]["id"], &answers[1]["id"]];
            assert!(ids.contains(&&json!(6)) && ids.contains(&&json!("7")));
        } else {
            assert_eq!(reply.status(), 400);
        }

        // What changes is told unasked, here and nowhere else.
        let mut changes = host.changes();
        host.put("plain", "guest_plain");
        changes.changed().await.unwrap();
        let told = unasked.message().await;
        assert_eq!(
            told,
            json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" })
        );
        let mut changes = host.changes();
        std::fs::remove_file(host.file("plain.wasm")).unwrap();
        changes.changed().await.unwrap();
        unasked.message().await;

        // A version that is not spoken is refused, whatever else is right.
        session.version = "2024-11-05";
        let reply = session.post(&initialized).await;
        assert_eq!(reply.status(), 400);
        assert_eq!(reply.json::<Value>().await.unwrap()["jsonrpc"], "2.0");
        session.version = version;

        let ended = session.request(Method::DELETE).send().await.unwrap();
        assert_eq!(ended.status(), 204);
        assert_eq!(unasked.rest().await, [Value::Null; 0]);
        assert_eq!(session.post(&initialized).await.status(), 404);
    }
}

#[tokio::test]
async fn a_call_comes_to_its_end_by_itself_when_the_host_is_about_to_stop() {
    let host = host().await;
    let params = json!({ "name": "workToEnd", "_meta": { "progressToken": 1 } });
    let mut stream = Stream::modern(&host, json!(1), "tools/call", params).await;
    assert_eq!(stream.message().await["method"], "notifications/progress");
    // A new call is not begun any more; the one that there is has seconds, and needs a moment.
    let (rest, ()) = tokio::join!(stream.rest(), host.stop());
    let result = &rest.last().unwrap()["result"];
    assert!(text(result).contains("as far as I got"), "{result}");
}

#[tokio::test]
async fn extensions_are_declared_where_they_are_known() {
    let host = host().await;
    let (headers, body) = modern("server/discover", json!({}));
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    let discovered = host
        .send_with(None, &headers, body.to_string())
        .await
        .json();
    assert_eq!(
        discovered["result"]["capabilities"]["extensions"],
        json!({ "io.modelcontextprotocol/ui": {} })
    );
    for version in [MARCH, JUNE, "2025-11-25"] {
        let opened = host.send_with(None, &[], initialize(version, json!({})).to_string());
        let result = opened.await.json()["result"].clone();
        assert!(result["capabilities"].get("extensions").is_none());
    }
}
