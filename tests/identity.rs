//! Who is calling, and who is turned away.

use std::collections::BTreeMap;
use std::path::Path;

use cloister::config::{Config, Flag, Given};
use cloister::issuer::{AnswerFault, Faults, TokenKind, TokenRequest, User};
use reqwest::Method;
use secrecy::ExposeSecret;
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
    // Streams and sessions are no way round it.
    for method in [Method::GET, Method::DELETE] {
        for session in [None, Some("unknown")] {
            let ask = |token: Option<&str>| {
                let mut request = host.client.request(method.clone(), host.url());
                request = request.header("accept", "text/event-stream");
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                if let Some(session) = session {
                    request = request.header("mcp-session-id", session);
                }
                request.send()
            };
            for bad in [None, Some("nonsense")] {
                let reply = ask(bad).await.unwrap();
                assert_eq!(reply.status(), 401, "{method} {session:?} {bad:?}");
                assert!(reply.headers().contains_key("www-authenticate"));
            }
            let reply = ask(Some(&token)).await.unwrap();
            let status = if session.is_some() { 404 } else { 405 };
            assert_eq!(reply.status(), status, "{method} {session:?}");
        }
    }
}

#[tokio::test]
async fn tokens_without_content_are_callers_where_the_operator_wants_that() {
    let services = [("demo", "cloister_demo"), ("prying", "guest_prying")];
    let host = TestHost::with(&services, &[("clerk.opaque_tokens", "oauth,api_keys")]).await;
    let issuer = host.issuer();
    let key = issuer.secret_key();
    let ask = async |method: Method, path: &str, body: Value| {
        let request = host
            .client
            .request(method, format!("{}{path}", issuer.issuer()));
        let request = request.bearer_auth(key.expose_secret()).json(&body);
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {response:?}");
        response.json::<Value>().await.unwrap()
    };
    let jwt = json!({ "oauth_jwt_access_tokens": false });
    let path = "/v1/instance/oauth_application_settings";
    ask(Method::PATCH, path, jwt).await;
    let client = issuer.client();
    let oauth = async || {
        let refresh = issuer.refresh_token(User::ADA.id);
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose_secret()),
        ];
        let request = host.client.post(format!("{}/oauth/token", issuer.issuer()));
        let secret = client.secret.as_ref().unwrap().expose_secret();
        let request = request.basic_auth(&client.id, Some(secret)).form(&form);
        let tokens: Value = request.send().await.unwrap().json().await.unwrap();
        tokens["access_token"].as_str().unwrap().to_owned()
    };
    let api_key = async |subject: &str| {
        let wanted = json!({
            "name": "mine", "subject": subject, "scopes": ["mail:read"],
            "claims": { "team": "red", "sub": "user_admin", "email": "root@example.test" },
        });
        ask(Method::POST, "/v1/api_keys", wanted).await
    };
    let opaque = oauth().await;
    assert!(opaque.starts_with("oat_"), "{opaque}");
    let own = api_key(User::GRACE.id).await;
    let secret = own["secret"].as_str().unwrap();
    for (token, user) in [(&*opaque, User::ADA), (secret, User::GRACE)] {
        let result = host.call(Some(token), "getUserProfile", json!({})).await;
        let caller = &result["structuredContent"];
        assert_eq!(caller["userId"], user.id);
        assert_eq!(caller["firstName"], user.first_name);
        let mut in_meta = profile();
        in_meta["params"]["_meta"] = json!({ "authorization": { "token": token } });
        let reply = host.send(None, &in_meta).await.json();
        assert_eq!(reply["result"]["structuredContent"]["userId"], user.id);
    }
    // What the maker of a key wrote is told, but not under names that tokens define.
    let known = host.call(Some(secret), "everything", json!({})).await;
    let known = known["structuredContent"]["result"].to_string();
    assert!(
        known.contains("team: Some") && known.contains("red"),
        "{known}"
    );
    assert!(
        known.contains("sub: None") && known.contains("email: None"),
        "{known}"
    );
    assert!(
        !known.contains("user_admin") && !known.contains("root@"),
        "{known}"
    );

    // Revoked before anybody saw it, of an organization, made up, of no form.
    let revoked = oauth().await;
    let form = [("token", &*revoked)];
    let request = host
        .client
        .post(format!("{}/oauth/token/revoke", issuer.issuer()));
    let secret = client.secret.as_ref().unwrap().expose_secret();
    let request = request.basic_auth(&client.id, Some(secret)).form(&form);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let organization = api_key("org_1").await;
    let organization = organization["secret"].as_str().unwrap();
    let made_up = "oat_0123456789abcdef0123456789abcdef";
    for token in [
        &*revoked,
        organization,
        made_up,
        "ak_madeup",
        "mt_0123456789abcdef",
    ] {
        let reply = host.send(Some(token), &profile()).await;
        assert_eq!(reply.status, 401, "{token}");
        assert!(reply.header("www-authenticate").contains("invalid_token"));
    }
    // While the issuer cannot tell, nobody is a stranger.
    issuer.fail(Faults {
        api: Some(AnswerFault::ServerError),
        ..Faults::default()
    });
    let unjudged = oauth().await;
    let reply = host.send(Some(&unjudged), &profile()).await;
    assert_eq!(reply.status, 503);
    assert!(reply.headers.contains_key("retry-after"));
    // Where nothing was said of them, they are no tokens.
    let plain = demo().await;
    assert_eq!(plain.send(Some(&opaque), &profile()).await.status, 401);
}

#[test]
fn a_public_url_is_one_that_tokens_may_be_sent_to() {
    for (url, mistake) in [
        ("https://tools.example.com/mcp", None),
        ("https://tools.example.com:8443/a/b", None),
        ("http://localhost:3000/mcp", None),
        ("http://127.0.0.2/mcp", None),
        ("http://[::1]:3000/mcp", None),
        ("http://tools.example.com/mcp", Some("`https://`")),
        ("http://10.0.0.1/mcp", Some("`https://`")),
        ("http://localhost.example.com/mcp", Some("`https://`")),
        ("https://user@tools.example.com/mcp", Some("no user")),
        ("https://user:s3cret@tools.example.com/mcp", Some("no user")),
        ("https://tools.example.com/mcp#x", Some("no fragment")),
        ("https://tools.example.com/mcp?x", Some("no query")),
        ("https://tools.example.com/", Some("without a slash")),
        ("ftp://tools.example.com/mcp", Some("begin with")),
    ] {
        let flag = Flag {
            key: "public_url",
            flag: "--public-url",
            text: url.to_owned(),
        };
        let nowhere = Path::new("/nowhere");
        let given = Given::collect(&[flag], &BTreeMap::new(), nowhere, None);
        let read = Config::read(&given);
        match (read, mistake) {
            (Ok(config), None) => assert_eq!(config.public_url.unwrap().as_str(), url),
            (Err(mistakes), Some(expected)) => {
                let said = mistakes[0].to_string();
                assert!(said.contains(expected), "{url}: {said}");
                assert!(!said.contains("s3cret"), "{said}");
            }
            (other, _) => panic!("{url}: {other:?}"),
        }
    }
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
