//! What the host says while its issuer is away, and what it says about its issuer.

use cloister::auth::system_clock;
use cloister::issuer::{
    AnswerFault, DevelopmentIssuer, Faults, KeysFault, TokenKind, TokenRequest,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::{TestHost, call, text};

/// An issuer that is not the host's own, and a host that trusts it.
async fn with_issuer(
    faults: Faults,
    settings: &[(&'static str, &str)],
) -> (DevelopmentIssuer, TestHost) {
    let issuer = DevelopmentIssuer::start(system_clock()).await.unwrap();
    issuer.fail(faults);
    let mut all = vec![("clerk.issuer", issuer.issuer())];
    all.extend(settings);
    let services = [("auth", "cloister_auth"), ("demo", "cloister_demo")];
    let host = TestHost::with(&services, &all).await;
    (issuer, host)
}

fn minted(issuer: &DevelopmentIssuer, wanted: &TokenRequest) -> String {
    issuer.mint(wanted).unwrap().expose_secret().to_owned()
}

fn profile() -> Value {
    call(1, "getUserProfile", json!({}))
}

#[tokio::test]
async fn while_keys_cannot_be_had_callers_are_told_to_wait_and_not_to_sign_in() {
    let away = Faults {
        keys: Some(KeysFault::Answer(AnswerFault::ServerError)),
        ..Faults::default()
    };
    let (issuer, host) = with_issuer(away, &[]).await;
    let token = minted(&issuer, &TokenRequest::default());
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    for message in [&profile(), &list] {
        let reply = host.send(Some(&token), message).await;
        assert_eq!(reply.status, 503);
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
        // A challenge would make clients throw a good token away.
        assert!(reply.headers.get("www-authenticate").is_none());
        assert_eq!(reply.json()["error"]["code"], 503);
        assert_eq!(reply.json()["id"], 1);
        assert!(!reply.text.contains(&token));
    }
    let mut in_meta = profile();
    in_meta["params"]["_meta"] = json!({ "authorization": { "token": token } });
    let reply = host.send(None, &in_meta).await;
    assert_eq!(reply.status, 200);
    let result = &reply.json()["result"];
    assert_eq!(result["isError"], true);
    assert_eq!(
        text(result),
        "Error: Authentication is temporarily unavailable"
    );
    assert_eq!(
        result["_meta"],
        json!({ "cloister/auth": { "code": "AUTH_UNAVAILABLE", "reason": "unavailable" } })
    );
    // Who needs no token is served.
    let info = host.call(None, "getAuthInfo", json!({})).await;
    assert_eq!(info["isError"], Value::Null, "{info}");
    let health = host.client.get(host.url_of("/health")).send().await;
    assert_eq!(health.unwrap().status(), 503);

    issuer.fail(Faults::default());
    let start = std::time::Instant::now();
    while host.send(Some(&token), &profile()).await.status != 200 {
        assert!(start.elapsed() < crate::harness::PATIENCE);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_public_host_is_its_public_url_whatever_a_request_calls_it() {
    const PUBLIC: &str = "https://mcp.example.test/mcp";
    const METADATA: &str = "https://mcp.example.test/.well-known/oauth-protected-resource/mcp";
    let (issuer, host) = with_issuer(Faults::default(), &[("public_url", PUBLIC)]).await;
    let challenge = format!("Bearer resource_metadata=\"{METADATA}\"");
    let document = host.url_of("/.well-known/oauth-protected-resource/mcp");
    for headers in [
        &[][..],
        &[("host", "mcp.example.test")],
        &[("host", "mcp.example.test:8443")],
        &[("host", "localhost:1")],
        &[
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "http"),
        ],
        &[("forwarded", "host=evil.example;proto=http")],
    ] {
        let reply = host.send_with(None, headers, profile().to_string()).await;
        assert_eq!(reply.status, 401, "{headers:?}");
        assert_eq!(reply.header("www-authenticate"), challenge, "{headers:?}");
        let mut request = host.client.get(&document);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let metadata: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(metadata["resource"], PUBLIC, "{headers:?}");
        assert_eq!(metadata["authorization_servers"], json!([issuer.issuer()]));
    }
    let evil = [("host", "evil.example")];
    let refused = host.send_with(None, &evil, profile().to_string()).await;
    assert_eq!(refused.status, 403);

    let token = |resources: &[&str]| {
        minted(
            &issuer,
            &TokenRequest {
                kind: TokenKind::OAuth {
                    client_id: "client_1".into(),
                    scopes: vec!["profile".into()],
                    resources: resources.iter().map(|url| (*url).to_owned()).collect(),
                },
                ..TokenRequest::default()
            },
        )
    };
    let own = host.url();
    for (resources, status) in [
        (&[][..], 401),
        (&[PUBLIC], 200),
        (&["https://other.example/mcp", PUBLIC], 200),
        (&["https://mcp.example.test/mcp/"], 401),
        (&["https://mcp.example.test"], 401),
        (&[&*own], 401),
    ] {
        let reply = host.send(Some(&token(resources)), &profile()).await;
        assert_eq!(reply.status, status, "{resources:?}");
    }
}

#[tokio::test]
async fn clients_that_look_for_the_issuers_metadata_here_find_a_copy() {
    let away = Faults {
        metadata: Some(AnswerFault::Html),
        ..Faults::default()
    };
    let (issuer, host) = with_issuer(away, &[]).await;
    let paths = [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/mcp",
    ];
    for path in paths {
        let reply = host.client.get(host.url_of(path)).send().await.unwrap();
        assert_eq!(reply.status(), 503, "{path}");
        let wait = reply.headers()["retry-after"].to_str().unwrap();
        assert_eq!(wait, "10", "{path}");
        assert_eq!(reply.headers()["access-control-allow-origin"], "*");
    }
    drop(host);
    issuer.fail(Faults::default());
    let host = TestHost::with(&[], &[("clerk.issuer", issuer.issuer())]).await;
    let original = format!("{}{}", issuer.issuer(), paths[0]);
    let original: Value = host
        .client
        .get(original)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(original["issuer"], issuer.issuer());
    assert_eq!(host.health().await["kept"]["answers"], 0);
    for path in paths {
        let request = host.client.get(host.url_of(path));
        let reply = request
            .header("origin", "https://page.example")
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 200, "{path}");
        assert_eq!(reply.headers()["content-type"], "application/json");
        assert_eq!(
            reply.headers()["access-control-allow-origin"],
            "https://page.example"
        );
        assert_eq!(reply.json::<Value>().await.unwrap(), original);
        let foreign = host
            .client
            .get(host.url_of(path))
            .header("host", "evil.example");
        assert_eq!(foreign.send().await.unwrap().status(), 403, "{path}");
    }
    // It was asked for once, and is kept for a while.
    assert_eq!(host.health().await["kept"]["answers"], 1);
    let other = host.url_of("/.well-known/oauth-authorization-server/other");
    assert_eq!(host.client.get(other).send().await.unwrap().status(), 404);
}
