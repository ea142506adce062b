//! Clients of every age.

use serde_json::{Value, json};

use crate::harness::{TestHost, modern, text};

const LEGACY: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

async fn demo() -> TestHost {
    TestHost::serving(&[("demo", "cloister_demo")]).await
}

fn initialize(version: &str) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": version,
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        },
    })
}

#[tokio::test]
async fn a_client_that_opens_with_initialize_is_served_in_its_revision() {
    let host = demo().await;
    let token = host.token("user_ada");
    for version in LEGACY {
        let opened = host
            .send_with(None, &[], initialize(version).to_string())
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

        let call = crate::harness::call(2, "echo", json!({ "message": "hi" }));
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
            .send_with(None, &[], initialize(version).to_string())
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
