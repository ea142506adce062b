//! Clients of every age.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Session, initialize};
use crate::harness::{TestHost, call, modern, text};

const LEGACY: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

async fn demo() -> TestHost {
    TestHost::serving(&[("demo", "cloister_demo")]).await
}

#[tokio::test]
async fn a_client_that_opens_with_initialize_is_served_in_its_revision() {
    let host = demo().await;
    let token = host.token("user_ada");
    for version in LEGACY {
        let opened = host
            .send_with(None, &[], initialize(version, json!({})).to_string())
            .await;
        assert_eq!(opened.status, 200);
        let opened = opened.json();
        assert_eq!(opened["result"]["protocolVersion"], version);
        assert_eq!(opened["result"]["serverInfo"]["name"], "cloister");
        assert!(opened["result"]["capabilities"]["tools"].is_object());

        let header = [("mcp-protocol-version", version)];
        let heard = host
            .send_with(
                None,
                &header,
                r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            )
            .await;
        assert_eq!((heard.status.as_u16(), &*heard.text), (202, ""));

        let pong = host
            .send_with(
                None,
                &header,
                r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#,
            )
            .await;
        assert_eq!(pong.text, r#"{"jsonrpc":"2.0","id":"p","result":{}}"#);

        let list = host
            .send_with(
                None,
                &header,
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            )
            .await
            .json();
        let echo = &list["result"]["tools"][0];
        assert_eq!(echo["name"], "echo");
        assert_eq!(echo["inputSchema"]["properties"]["message"]["minLength"], 1);
        assert_eq!(echo["annotations"]["readOnlyHint"], true);
        assert_eq!(echo["outputSchema"].is_object(), version != "2025-03-26");
        assert!(list["result"].get("resultType").is_none());

        let call = call(2, "echo", json!({ "message": "hi" }));
        let result = host
            .send_with(Some(&token), &header, call.to_string())
            .await
            .json();
        let result = &result["result"];
        assert!(text(result).contains(r#""message":"hi""#));
        assert_eq!(
            result["structuredContent"].is_object(),
            version != "2025-03-26"
        );
    }
}

#[tokio::test]
async fn initialize_offers_what_is_there_for_a_revision_that_is_not() {
    let host = demo().await;
    for version in ["2024-11-05", "2026-07-28", "tomorrow"] {
        let opened = host
            .send_with(None, &[], initialize(version, json!({})).to_string())
            .await
            .json();
        assert_eq!(
            opened["result"]["protocolVersion"], "2025-11-25",
            "{version}"
        );
    }
}

#[tokio::test]
async fn a_client_that_opens_with_nothing_carries_its_own_metadata() {
    let host = demo().await;
    let token = host.token("user_ada");
    let discovered = host
        .send_modern(None, "server/discover", json!({}))
        .await
        .json();
    insta::assert_json_snapshot!(discovered);

    let list = host.send_modern(None, "tools/list", json!({})).await.json();
    let result = &list["result"];
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["cacheScope"], "public");
    assert!(result["ttlMs"].is_u64());

    let reply = host
        .send_modern(
            Some(&token),
            "tools/call",
            json!({ "name": "echo", "arguments": { "message": "hi" } }),
        )
        .await
        .json();
    assert_eq!(reply["result"]["resultType"], "complete");
    assert_eq!(reply["result"]["structuredContent"]["userId"], "user_ada");
    assert_eq!(
        reply["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "cloister"
    );
}

#[tokio::test]
async fn what_a_modern_request_must_carry_is_checked_in_order() {
    let host = demo().await;
    let version = ("mcp-protocol-version", "2026-07-28");
    let method = ("mcp-method", "tools/list");
    let body = |version: &str| {
        let (_, mut body) = modern("tools/list", json!({}));
        body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(version);
        body.to_string()
    };
    let bare = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned();
    let good = body("2026-07-28");
    let future = body("v999.0.0");
    for (headers, body, status, code) in [
        // No metadata of its own, whatever the header says.
        (vec![version, method], &bare, 400, -32602),
        // Header and body differ, and that is said before whether the version is known.
        (vec![version, method], &future, 400, -32020),
        (vec![method], &good, 400, -32020),
        (
            vec![("mcp-protocol-version", "v999.0.0"), method],
            &future,
            400,
            -32022,
        ),
        (
            vec![("mcp-protocol-version", "v999.0.0")],
            &bare,
            400,
            -32022,
        ),
        (vec![version], &good, 400, -32020),
        (
            vec![version, ("mcp-method", "tools/call")],
            &good,
            400,
            -32020,
        ),
        (vec![version, method, method], &good, 400, -32020),
        (vec![version, method], &good, 200, 0),
    ] {
        let reply = host.send_with(None, &headers, body.clone()).await;
        assert_eq!(reply.status, status, "{headers:?} {body}");
        let error = &reply.json()["error"];
        if code != 0 {
            assert_eq!(error["code"], code, "{headers:?} {body}");
        }
        if code == -32022 {
            assert_eq!(error["data"]["requested"], "v999.0.0");
            assert_eq!(error["data"]["supported"][0], "2026-07-28");
        }
    }
}

#[tokio::test]
async fn the_name_in_the_header_must_be_that_in_the_body() {
    let host = demo().await;
    let token = host.token("user_ada");
    let (headers, body) = modern(
        "tools/call",
        json!({ "name": "echo", "arguments": { "message": "hi" } }),
    );
    for (name, status) in [
        (Some("echo"), 200),
        (Some(" echo "), 200),
        (Some("=?base64?ZWNobw==?="), 200),
        (Some("=?base64?ZWNobw?="), 400),
        (Some("=?base64?ZWN!!bw==?="), 400),
        (Some("Echo"), 400),
        (Some("ZWNobw=="), 400),
        (None, 400),
    ] {
        let mut headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        headers.retain(|(name, _)| *name != "mcp-name");
        headers.extend(name.map(|name| ("mcp-name", name)));
        let reply = host
            .send_with(Some(&token), &headers, body.to_string())
            .await;
        assert_eq!(reply.status, status, "{name:?}");
        if status == 400 {
            assert_eq!(reply.json()["error"]["code"], -32020, "{name:?}");
        }
    }
}

#[tokio::test]
async fn what_a_revision_does_not_have_is_not_found() {
    let host = demo().await;
    for method in ["initialize", "ping", "logging/setLevel", "nonsense"] {
        let reply = host.send_modern(None, method, json!({})).await;
        assert_eq!(reply.status, 404, "{method}");
        assert_eq!(reply.json()["error"]["code"], -32601);
    }
    // Earlier revisions say so in the message alone.
    let reply = host
        .send(
            None,
            &json!({ "jsonrpc": "2.0", "id": 1, "method": "nonsense" }),
        )
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["error"]["code"], -32601);
}

#[tokio::test]
async fn what_a_revision_does_not_know_is_left_out() {
    let host = TestHost::serving(&[("library", "guest_library"), ("plain", "guest_plain")]).await;
    for version in LEGACY {
        let session = Session::open(&host, version, json!({})).await;
        let mut answers = Vec::new();
        for (method, params) in [
            ("tools/list", json!({})),
            ("prompts/list", json!({})),
            ("resources/list", json!({})),
            ("resources/templates/list", json!({})),
            (
                "tools/call",
                json!({ "name": "mirror", "arguments": { "at": { "x": 1, "y": 2 } } }),
            ),
            (
                "tools/call",
                json!({ "name": "about", "arguments": { "title": "Moonfleet" } }),
            ),
            (
                "tools/call",
                json!({ "name": "blurb", "arguments": { "title": "Moonfleet" } }),
            ),
            (
                "prompts/get",
                json!({ "name": "review", "arguments": { "book": "Moonfleet", "stars": "5" } }),
            ),
            (
                "resources/read",
                json!({ "uri": "library://books/Moonfleet" }),
            ),
            ("resources/read", json!({ "uri": "library://books/Mars" })),
            (
                "completion/complete",
                json!({
                    "ref": { "type": "ref/prompt", "name": "review" },
                    "argument": { "name": "tone", "value": "p" },
                }),
            ),
        ] {
            let answer = session.ask(method, params).await;
            let outcome = answer.get("result").or(answer.get("error")).cloned();
            answers.push(json!({ method: outcome }));
        }
        insta::assert_json_snapshot!(format!("lists_and_calls_of_{version}"), answers);
    }
}

#[tokio::test]
async fn what_says_nothing_may_be_null() {
    let host = demo().await;
    for params in [
        r#"{"cursor":null}"#,
        r#"{"_meta":null}"#,
        r#"{"_meta":null,"cursor":null}"#,
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{params}}}"#);
        let reply = host.send_with(None, &[], body).await;
        assert!(reply.json()["result"]["tools"].is_array(), "{params}");
    }
    // A revision that is named is named, whatever by.
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":null}}}"#;
    for headers in [&[][..], &[("mcp-protocol-version", "2026-07-28")]] {
        let reply = host.send_with(None, headers, body).await;
        assert_eq!(reply.status, 400);
        assert_eq!(reply.json()["error"]["code"], -32602);
    }
}

#[tokio::test]
async fn only_clients_of_2026_discover() {
    let host = demo().await;
    let discover = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#;
    for headers in [&[][..], &[("mcp-protocol-version", "2025-11-25")]] {
        let reply = host.send_with(None, headers, discover).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json()["error"]["code"], -32601, "{}", reply.text);
    }
    let header = [("mcp-protocol-version", "2026-07-28")];
    let reply = host.send_with(None, &header, discover).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["code"], -32602);
}

#[tokio::test]
async fn a_revision_that_is_not_served_is_refused_whatever_names_it() {
    let host = demo().await;
    let session = Session::open(&host, "2025-11-25", json!({})).await;
    let unknown = Session {
        version: "2024-11-05",
        ..session.with(None)
    };
    let mut replies = vec![
        unknown.request(Method::GET).header("accept", "*/*"),
        unknown.request(Method::DELETE),
    ];
    for body in [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }),
    ] {
        replies.push(unknown.request(Method::POST).body(body.to_string()));
    }
    for request in replies {
        let request = request.header("content-type", "application/json");
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), 400);
        let error: Value = reply.json().await.unwrap();
        assert_eq!(error["error"]["code"], -32022, "{error}");
        assert_eq!(error["error"]["data"]["requested"], "2024-11-05");
    }
    // The session is as it was.
    assert_eq!(session.ask("ping", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn batches_belong_to_one_revision() {
    let host = TestHost::serving(&[("plain", "guest_plain")]).await;
    let march = Session::open(&host, "2025-03-26", json!({})).await;
    let list = json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/list" });
    let heard = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let answered = json!({ "jsonrpc": "2.0", "id": 9, "result": {} });
    let sum = call(2, "sum", json!({ "terms": [1, 2] }));
    let nothing = json!({ "jsonrpc": "2.0", "id": 3, "method": "nothing" });

    let reply = march
        .post(&json!([list, heard, sum, nothing, answered]))
        .await;
    assert_eq!(reply.status(), 200);
    let answers: Value = reply.json().await.unwrap();
    let answers = answers.as_array().unwrap();
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [&json!("a"), &json!(2), &json!(3)]);
    assert_eq!(text(&answers[1]["result"]), r#"{"result":3}"#);
    assert_eq!(answers[2]["error"]["code"], -32601);

    let reply = march.post(&json!([heard, answered])).await;
    assert_eq!(
        (reply.status().as_u16(), reply.text().await.unwrap()),
        (202, String::new())
    );
    // A client that names no revision is of this one.
    let reply = host.send_with(None, &[], json!([list]).to_string()).await;
    assert_eq!(reply.json()[0]["id"], "a");

    let (_, modern) = modern("tools/list", json!({}));
    let many = vec![heard.clone(); 101];
    for wrong in [
        json!([]),
        json!([list, initialize("2025-03-26", json!({}))]),
        json!([list, modern]),
        json!([list, { "jsonrpc": "2.0", "method": "x", "params": modern["params"] }]),
        json!([list, 5]),
        json!([list, [list]]),
        json!([list, { "jsonrpc": "2.0", "id": null, "method": "ping" }]),
        json!(many),
    ] {
        let reply = march.post(&wrong).await;
        assert_eq!(reply.status(), 400, "{wrong}");
        let error: Value = reply.json().await.unwrap();
        assert_eq!(error["error"]["code"], -32600, "{error}");
    }
    for version in ["2025-06-18", "2025-11-25"] {
        let session = Session::open(&host, version, json!({})).await;
        for batch in [json!([list]), json!([heard])] {
            let reply = session.post(&batch).await;
            assert_eq!(reply.status(), 400);
            let error: Value = reply.json().await.unwrap();
            assert_eq!(error["error"]["code"], -32600, "{error}");
        }
    }
    let reply = host
        .send_with(
            None,
            &[("mcp-protocol-version", "2026-07-28")],
            json!([list]).to_string(),
        )
        .await;
    assert_eq!(reply.status, 400);

    // One stream, if that is what the client takes.
    let request = march
        .request(Method::POST)
        .header("accept", "text/event-stream");
    let request = request.header("content-type", "application/json");
    let reply = request
        .body(json!([sum, list]).to_string())
        .send()
        .await
        .unwrap();
    let text = reply.text().await.unwrap();
    assert!(
        text.starts_with("event: message\ndata: [{") && text.ends_with("}]\n\n"),
        "{text}"
    );
}

#[tokio::test]
async fn how_a_request_opens_says_in_which_way_it_is_answered() {
    let host = TestHost::serving(&[("plain", "guest_plain")]).await;
    let opening = |version: &str| initialize(version, json!({}));
    let list = json!({ "jsonrpc": "2.0", "id": 0, "method": "tools/list" });
    let (modern_headers, modern_list) = modern("tools/list", json!({}));
    let mut modern_opening = opening("2025-11-25");
    modern_opening["params"]["_meta"] = modern_list["params"]["_meta"].clone();
    let named = |version: &'static str| vec![("mcp-protocol-version", version.to_owned())];
    let with = |method: &str| {
        let mut headers = named("2026-07-28");
        headers.push(("mcp-method", method.to_owned()));
        headers
    };
    for (headers, body, status, code) in [
        // What a request says of itself comes first, whatever it asks for.
        (modern_headers, modern_list.clone(), 200, 0),
        (with("initialize"), modern_opening.clone(), 404, -32601),
        (named("2025-11-25"), modern_opening, 400, -32020),
        // What a header says is believed, and found wanting.
        (named("2026-07-28"), list.clone(), 400, -32602),
        (named("2026-07-28"), opening("2025-11-25"), 400, -32020),
        (named("2024-11-05"), list.clone(), 400, -32022),
        (named("2024-11-05"), opening("2025-06-18"), 400, -32022),
        // Whoever opens may name what it hopes for.
        (named("2025-11-25"), opening("2025-03-26"), 200, 0),
        (named("2025-06-18"), opening("2025-06-18"), 200, 0),
        (named("2025-06-18"), list.clone(), 200, 0),
        // Nothing said is the oldest.
        (Vec::new(), list.clone(), 200, 0),
        (Vec::new(), json!([list]), 200, 0),
        (named("2025-06-18"), json!([list]), 400, -32600),
    ] {
        let sent: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let reply = host.send_with(None, &sent, body.to_string()).await;
        let shown = format!("{headers:?} {body} {}", reply.text);
        assert_eq!(reply.status, status, "{shown}");
        let answer = reply.json();
        assert_eq!(
            answer["error"]["code"].as_i64().unwrap_or(0),
            code,
            "{shown}"
        );
        let is_modern = answer["result"].get("resultType").is_some();
        assert_eq!(is_modern, status == 200 && body == modern_list, "{shown}");
    }
}
