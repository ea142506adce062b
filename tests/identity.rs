//! Who is calling, and who is turned away.

use cloister::issuer::{TokenKind, TokenRequest};
use serde_json::{Value, json};

use crate::harness::{TestHost, call, text};

async fn demo() -> TestHost {
    TestHost::serving(&[("auth", "cloister_auth"), ("demo", "cloister_demo")]).await
}

fn profile() -> Value {
    call(1, "getUserProfile", json!({}))
}

/// A call whose token is in `_meta`.
fn with_meta(authorization: &Value) -> Value {
    let mut message = profile();
    message["params"]["_meta"] = json!({ "authorization": authorization });
    message
}

#[tokio::test]
async fn without_a_token_a_protected_tool_asks_for_one() {
    let host = demo().await;
    let reply = host.send(None, &profile()).await;
    assert_eq!(reply.status, 401);
    let metadata = host.url_of("/.well-known/oauth-protected-resource/mcp");
    assert_eq!(
        reply.header("www-authenticate"),
        format!("Bearer resource_metadata=\"{metadata}\"")
    );
    assert_eq!(reply.header("cache-control"), "no-store");

    let metadata = host.client.get(metadata).send().await.unwrap();
    assert_eq!(metadata.status(), 200);
    assert_eq!(metadata.headers()["access-control-allow-origin"], "*");
    let metadata: Value = metadata.json().await.unwrap();
    assert_eq!(metadata["resource"], json!(host.url()));
    assert_eq!(
        metadata["authorization_servers"],
        json!([host.issuer().issuer()])
    );
}

#[tokio::test]
async fn what_needs_no_token_is_open() {
    let host = demo().await;
    let info = host.call(None, "getAuthInfo", json!({})).await;
    let info = &info["structuredContent"];
    assert_eq!(info["issuer"], json!(host.issuer().issuer()));
    assert_eq!(info["provider"], "development");
    assert_eq!(info["tokenRequired"], true);
    assert_eq!(info["refreshAvailable"], true);
}

#[tokio::test]
async fn a_bad_token_is_refused_whatever_it_asks_for() {
    let host = demo().await;
    let good = host.token("user_ada");
    let expired = host.mint(&TokenRequest {
        claims: json!({ "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 1_700_000_060 })
            .as_object()
            .cloned()
            .unwrap(),
        ..TokenRequest::new("user_ada")
    });
    let changed = {
        let (rest, signature) = good.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        format!("{rest}.{other}{}", &signature[1..])
    };
    let stranger = TestHost::serving(&[]).await.token("user_ada");
    for (token, description) in [
        (&*expired, "The access token expired"),
        (&*changed, "The access token is invalid"),
        (&*stranger, "The access token is invalid"),
        ("nonsense", "The access token is invalid"),
    ] {
        for message in [
            profile(),
            call(1, "getAuthInfo", json!({})),
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
        ] {
            let reply = host.send(Some(token), &message).await;
            assert_eq!(reply.status, 401, "{message}");
            let challenge = reply.header("www-authenticate");
            assert!(
                challenge.starts_with(&format!(
                    "Bearer error=\"invalid_token\", error_description=\"{description}\", resource_metadata="
                )),
                "{challenge}"
            );
            assert_eq!(
                reply.json(),
                json!({ "error": "invalid_token", "error_description": description })
            );
            assert!(!reply.text.contains(token));
        }
    }
    assert_eq!(host.send(Some(&good), &profile()).await.status, 200);
}

#[tokio::test]
async fn credentials_that_mean_nothing_are_a_bad_request() {
    let host = demo().await;
    let token = host.token("user_ada");
    let body = profile().to_string();
    let good = format!("Bearer {token}");
    for (headers, status) in [
        (
            vec![("authorization", &*good), ("authorization", &*good)],
            400,
        ),
        (vec![("authorization", "Bearer")], 400),
        (vec![("authorization", "Bearer a b")], 400),
        (vec![("authorization", "Basic dXNlcjpwYXNz")], 401),
    ] {
        let reply = host.send_with(None, &headers, body.clone()).await;
        assert_eq!(reply.status, status, "{headers:?}");
    }
    // The scheme is written in any case, and more than one space is one.
    for scheme in ["bearer ", "BEARER ", "Bearer  "] {
        let header = format!("{scheme}{token}");
        let reply = host
            .send_with(None, &[("authorization", &header)], body.clone())
            .await;
        assert_eq!(reply.status, 200, "{scheme}");
    }
    // A token in the query string is none.
    let reply = host
        .client
        .post(format!("{}?access_token={token}", host.url()))
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 401);
}

#[tokio::test]
async fn a_token_in_meta_is_as_good() {
    let host = demo().await;
    let ada = host.token("user_ada");
    let bob = host.token("user_bob");

    let reply = host
        .send(None, &with_meta(&json!({ "type": "bearer", "token": ada })))
        .await;
    assert_eq!(
        reply.json()["result"]["structuredContent"]["userId"],
        "user_ada"
    );

    // Twice the same is once; two that differ are a question that must not be answered.
    let reply = host
        .send(Some(&ada), &with_meta(&json!({ "token": ada })))
        .await;
    assert_eq!(
        reply.json()["result"]["structuredContent"]["userId"],
        "user_ada"
    );
    let reply = host
        .send(Some(&ada), &with_meta(&json!({ "token": bob })))
        .await;
    assert_eq!(reply.status, 400);
    assert!(reply.header("www-authenticate").contains("invalid_request"));
    assert_eq!(reply.json()["error"]["code"], -32600);
}

#[tokio::test]
async fn a_bad_token_in_meta_is_a_failed_call() {
    let host = demo().await;
    for authorization in [
        json!({ "token": "nonsense" }),
        json!({ "token": 5 }),
        json!({ "type": "Basic", "token": host.token("user_ada") }),
        json!([]),
        json!("token"),
        json!(null),
    ] {
        let reply = host.send(None, &with_meta(&authorization)).await;
        assert_eq!(reply.status, 200, "{authorization}");
        let result = &reply.json()["result"];
        assert_eq!(result["isError"], true, "{authorization}");
        assert_eq!(
            text(result),
            "Error: Invalid or expired token. Please authenticate again."
        );
        assert_eq!(
            result["_meta"]["cloister/auth"],
            json!({ "code": "INVALID_TOKEN", "reason": "invalid" })
        );
        let challenge = result["_meta"]["mcp/www_authenticate"][0].as_str().unwrap();
        assert!(
            challenge.starts_with("Bearer error=\"invalid_token\""),
            "{challenge}"
        );
    }
}

#[tokio::test]
async fn a_tool_may_welcome_callers_it_does_not_know() {
    let host = TestHost::serving(&[("faulty", "guest_faulty")]).await;
    let nobody = host.call(None, "whoami", json!({})).await;
    assert_eq!(nobody["structuredContent"], json!({ "result": null }));
    let token = host.token("user_ada");
    let ada = host.call(Some(&token), "whoami", json!({})).await;
    assert_eq!(ada["structuredContent"], json!({ "result": "user_ada" }));
    let reply = host
        .send(Some("nonsense"), &call(1, "whoami", json!({})))
        .await;
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn the_identity_is_no_argument() {
    let host = demo().await;
    let token = host.token("user_ada");
    let result = host
        .call(
            Some(&token),
            "getUserProfile",
            json!({ "user": { "id": "user_admin" } }),
        )
        .await;
    assert_eq!(result["isError"], true);
    assert!(text(&result).contains("/user"), "{}", text(&result));
}

#[tokio::test]
async fn an_oauth_token_may_name_the_host_on_this_computer() {
    let host = demo().await;
    let token = |resources: Vec<String>| {
        host.mint(&TokenRequest {
            kind: TokenKind::OAuth {
                client_id: "client_1".into(),
                scopes: vec!["profile".into()],
                resources,
            },
            ..TokenRequest::new("user_ada")
        })
    };
    for (resources, status) in [
        (vec![], 200),
        (vec![host.url()], 200),
        (vec!["https://elsewhere.example/mcp".to_owned()], 401),
    ] {
        let reply = host.send(Some(&token(resources.clone())), &profile()).await;
        assert_eq!(reply.status, status, "{resources:?}");
    }
}

#[tokio::test]
async fn a_closed_host_serves_nobody_without_a_token() {
    let host = TestHost::with(&[("auth", "cloister_auth")], &[("require_auth", "all")]).await;
    let token = host.token("user_ada");
    for message in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" },
        } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {} }),
        call(1, "getAuthInfo", json!({})),
    ] {
        let reply = host.send(None, &message).await;
        assert_eq!(reply.status, 401, "{message}");
        assert!(
            reply
                .header("www-authenticate")
                .starts_with("Bearer resource_metadata=")
        );
    }
    assert_eq!(
        host.send(Some(&token), &call(1, "getAuthInfo", json!({})))
            .await
            .status,
        200
    );
    let metadata = host.url_of("/.well-known/oauth-protected-resource");
    assert_eq!(
        host.client.get(metadata).send().await.unwrap().status(),
        200
    );
}

#[tokio::test]
async fn a_list_shows_what_its_reader_may_use_where_that_is_wanted() {
    let host = TestHost::with(
        &[("auth", "cloister_auth"), ("demo", "cloister_demo")],
        &[("lists", "permitted")],
    )
    .await;
    let names = async |token: Option<&str>| {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        let reply = host.send(token, &message).await.json();
        let tools = reply["result"]["tools"].as_array().unwrap().clone();
        let names: Vec<String> = tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect();
        names
    };
    assert_eq!(names(None).await, ["getAuthInfo", "refreshToken"]);
    let token = host.token("user_ada");
    assert_eq!(names(Some(&token)).await.len(), 7);
    let reply = host
        .send_modern(Some(&token), "tools/list", json!({}))
        .await;
    assert_eq!(reply.json()["result"]["cacheScope"], "private");
}
