//! Opaque tokens, and floods of them.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{clerk_error, server, with};
use crate::auth::tests::draft::{RESOURCE, USER};
use crate::auth::tests::server::{Answer, Server};
use crate::auth::tests::{Bench, Kind, Reason, Resource, Settings};
use crate::auth::{Bearer, Class, Credentials, OpaqueTokens, Party, Presented};

const OAUTH: &str = "POST /v1/oauth_applications/access_tokens/verify ";
const API_KEYS: &str = "POST /v1/api_keys/verify ";
const OPAQUE: &str = "oat_0123456789abcdef0123456789abcdef";
const KEY: &str = "ak_0123456789abcdef";

fn accepting(settings: &mut Settings) {
    settings.opaque = OpaqueTokens {
        oauth: true,
        api_keys: true,
    };
    settings.resource = None;
}

fn known_token(members: &Value) -> Answer {
    let token = json!({
        "object": "clerk_idp_oauth_access_token", "id": OPAQUE, "client_id": "client_1",
        "subject": USER, "scopes": ["profile", "mail:read"], "revoked": false,
        "revocation_reason": null, "expired": false, "expiration": 1,
    });
    Answer::json(with(token, members).to_string())
}

fn known_key(members: &Value) -> Answer {
    let key = json!({
        "object": "api_key", "id": KEY, "type": "api_key", "subject": USER, "name": "mine",
        "claims": {"team": "red"}, "scopes": ["mail:read"], "revoked": false, "expired": false,
        "expiration": null,
    });
    Answer::json(with(key, members).to_string())
}

/// A token, what the issuer says of it, what is set, and the verdict.
type Case = (
    &'static str,
    Answer,
    fn(&mut Settings),
    Result<Kind, Reason>,
);

#[tokio::test]
async fn an_opaque_token_is_what_the_issuer_says_it_is() {
    let public = |settings: &mut Settings| {
        accepting(settings);
        settings.resource = Some(Resource::Public(RESOURCE.to_owned()));
    };
    let cases: [Case; 21] = [
        (OPAQUE, known_token(&json!({})), accepting, Ok(Kind::OAuth)),
        (KEY, known_key(&json!({})), accepting, Ok(Kind::ApiKey)),
        (
            OPAQUE,
            known_token(&json!({"revoked": true})),
            accepting,
            Err(Reason::Inactive),
        ),
        (
            OPAQUE,
            known_token(&json!({"expired": true})),
            accepting,
            Err(Reason::Inactive),
        ),
        (
            OPAQUE,
            known_token(&json!({"expired": null})),
            accepting,
            Err(Reason::Inactive),
        ),
        (
            OPAQUE,
            known_token(&json!({"object": "api_key"})),
            accepting,
            Err(Reason::Inactive),
        ),
        (
            KEY,
            known_token(&json!({})),
            accepting,
            Err(Reason::Inactive),
        ),
        (
            OPAQUE,
            Answer::json(r#"{"active":false}"#),
            accepting,
            Err(Reason::Inactive),
        ),
        (
            OPAQUE,
            clerk_error("404 Not Found", "oauth_token_not_found"),
            accepting,
            Err(Reason::Inactive),
        ),
        (
            OPAQUE,
            known_token(&json!({"subject": "org_1"})),
            accepting,
            Err(Reason::Kind),
        ),
        (
            OPAQUE,
            known_token(&json!({"subject": "mch_1"})),
            accepting,
            Err(Reason::Kind),
        ),
        (
            KEY,
            known_key(&json!({"subject": "org_1"})),
            accepting,
            Err(Reason::Kind),
        ),
        (
            OPAQUE,
            known_token(&json!({"subject": ""})),
            accepting,
            Err(Reason::Claims),
        ),
        (
            OPAQUE,
            known_token(&json!({"client_id": ""})),
            accepting,
            Err(Reason::Claims),
        ),
        // As for tokens with content: our address is named, or nobody's where we have none.
        (
            OPAQUE,
            known_token(&json!({})),
            public,
            Err(Reason::Audience),
        ),
        (
            OPAQUE,
            known_token(&json!({"aud": [RESOURCE]})),
            public,
            Ok(Kind::OAuth),
        ),
        (
            OPAQUE,
            known_token(&json!({"aud": ["https://b.test"]})),
            public,
            Err(Reason::Audience),
        ),
        (
            OPAQUE,
            known_token(&json!({"aud": [RESOURCE]})),
            accepting,
            Err(Reason::Audience),
        ),
        // What cannot be judged is not refused.
        (
            OPAQUE,
            clerk_error("401 Unauthorized", "clerk_key_invalid"),
            accepting,
            Err(Reason::Unavailable),
        ),
        (
            OPAQUE,
            Answer::of("503 Service Unavailable", "", ""),
            accepting,
            Err(Reason::Unavailable),
        ),
        (
            OPAQUE,
            Answer::json("<!doctype html>"),
            accepting,
            Err(Reason::Unavailable),
        ),
    ];
    for (token, answer, settings, verdict) in cases {
        let server = server();
        server.answer_to("POST ", answer);
        let bench = Bench::with_key(&server, settings);
        let request = |server: &Server| server.requests().first().cloned().unwrap_or_default();
        let found = bench.verdict(token).await;
        assert_eq!(found, verdict, "{}", request(&server));
    }
}

#[tokio::test]
async fn what_is_asked_about_a_token_is_its_text_with_our_key() {
    let server = server();
    server.answer_to(OAUTH, known_token(&json!({})));
    server.answer_to(API_KEYS, known_key(&json!({})));
    let bench = Bench::with_key(&server, accepting);
    let who = bench.caller(OPAQUE).await;
    assert_eq!((who.id(), who.client_id()), (USER, Some("client_1")));
    assert!(who.has_scope("mail:read") && !who.has_scope("mail:send"));
    assert_eq!(who.expires_at(), None);
    let who = bench.caller(KEY).await;
    assert!(who.has_scope("mail:read"));
    assert_eq!(who.claim("team").as_deref(), Some("red"));

    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let head = requests[0].to_ascii_lowercase();
    assert!(head.contains("\r\nauthorization: bearer sk_test_s3cret\r\n"));
    assert!(head.contains("\r\nclerk-api-version: 2026-05-12\r\n"));
    assert!(requests[0].ends_with(&format!("\r\n\r\n{{\"access_token\":\"{OPAQUE}\"}}")));
    assert!(requests[1].ends_with(&format!("\r\n\r\n{{\"secret\":\"{KEY}\"}}")));
}

#[tokio::test]
async fn only_forms_that_are_wanted_are_asked_about() {
    let server = server();
    let bench = Bench::with_key(&server, |settings| settings.opaque.oauth = true);
    let upper = OPAQUE.to_uppercase();
    let long = format!("ak_{}", "k".repeat(257));
    for token in [
        KEY,
        "oat_",
        "oat_0123",
        "oat_0123456789abcdef0123456789abcdeg",
        &upper,
    ] {
        assert_eq!(
            bench.verdict(token).await,
            Err(Reason::Malformed),
            "{token}"
        );
    }
    let bench = Bench::with_key(&server, |settings| settings.opaque.api_keys = true);
    for token in [OPAQUE, "ak_", "ak_a b", "ak_a.b", &long] {
        assert_eq!(
            bench.verdict(token).await,
            Err(Reason::Malformed),
            "{token}"
        );
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_verdict_is_kept_for_seconds_and_asked_for_once() {
    let server = server();
    server.answer_to(OAUTH, known_token(&json!({})));
    let bench = Bench::with_key(&server, accepting);
    let verdicts = join_all((0..50).map(|_| bench.verdict(OPAQUE))).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Ok(Kind::OAuth)));
    server.answer_to(OAUTH, known_token(&json!({"revoked": true})));
    bench.pass(14);
    assert_eq!(bench.verdict(OPAQUE).await, Ok(Kind::OAuth));
    assert_eq!(server.count(), 1);
    bench.pass(1);
    assert_eq!(bench.verdict(OPAQUE).await, Err(Reason::Inactive));
    server.answer_to(OAUTH, known_token(&json!({})));
    bench.pass(4);
    assert_eq!(bench.verdict(OPAQUE).await, Err(Reason::Inactive));
    bench.pass(1);
    assert_eq!(bench.verdict(OPAQUE).await, Ok(Kind::OAuth));
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn an_outage_is_not_asked_about_again_and_again() {
    let server = server();
    let limited = Answer::of("429 Too Many Requests", "Retry-After: 20\r\n", "");
    for (answer, pause) in [
        (Answer::of("500 Internal Server Error", "", ""), 1),
        (Answer::of("500 Internal Server Error", "", ""), 2),
        (limited, 20),
    ] {
        server.answer_to(OAUTH, answer);
        let before = server.count();
        let bench = Bench::with_key(&server, accepting);
        if pause == 2 {
            assert_eq!(bench.verdict(OPAQUE).await, Err(Reason::Unavailable));
            bench.pass(1);
        }
        let refusal = bench
            .auth
            .0
            .verifier
            .verify(OPAQUE, &Party::Local)
            .await
            .err()
            .unwrap();
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(pause)));
        let asked = server.count();
        for n in 0..100 {
            let token = format!("oat_{n:032x}");
            assert_eq!(bench.verdict(&token).await, Err(Reason::Unavailable));
        }
        assert_eq!(server.count(), asked);
        assert!(asked > before);
        server.answer_to(OAUTH, known_token(&json!({})));
        bench.pass(pause);
        assert_eq!(bench.verdict(OPAQUE).await, Ok(Kind::OAuth));
    }
}

#[tokio::test]
async fn a_flood_of_made_up_tokens_leaves_most_of_the_api_to_others() {
    let server = server();
    server.answer_to(OAUTH, clerk_error("404 Not Found", "oauth_token_not_found"));
    let bench = Bench::with_key(&server, accepting);
    let mut unavailable = 0;
    for n in 0..10_000 {
        match bench.verdict(&format!("oat_{n:032x}")).await {
            Err(Reason::Inactive) => {}
            Err(Reason::Unavailable) => unavailable += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((server.count(), unavailable), (15, 9_985));
}

#[tokio::test]
async fn a_flood_from_one_place_leaves_half_to_those_who_come_from_others() {
    let server = server();
    server.answer_to(OAUTH, clerk_error("404 Not Found", "oauth_token_not_found"));
    server.answer_to(API_KEYS, known_key(&json!({})));
    let bench = Bench::with_key(&server, accepting);
    let identify = async |token: &str, last| {
        let credentials = Credentials {
            header: Some(Bearer::new(token.into())),
            meta: Presented::Absent,
            peer: Some([203, 0, 113, last].into()),
        };
        bench.auth.identify(&credentials).await
    };
    for n in 0..1_000 {
        assert!(identify(&format!("oat_{n:032x}"), 1).await.is_err());
    }
    assert_eq!(server.count(), 15);
    // Nobody has seen these before.
    for n in 0..15 {
        assert!(identify(&format!("ak_{n}"), 2).await.is_ok(), "{n}");
    }
    let denied = identify("ak_more", 3).await.unwrap_err();
    assert_eq!(denied.class, Class::Unavailable);
}

#[tokio::test]
async fn a_flood_of_made_up_tokens_does_not_lock_out_who_was_known() {
    let server = server();
    server.answer_to(OAUTH, clerk_error("404 Not Found", "oauth_token_not_found"));
    server.answer_to(API_KEYS, known_key(&json!({})));
    let bench = Bench::with_key(&server, accepting);
    assert_eq!(bench.verdict(KEY).await, Ok(Kind::ApiKey));
    let mut made_up = 0;
    for _ in 0..20 {
        // More than may be asked about, and more than verdicts are kept of.
        for _ in 0..1_500 {
            made_up += 1;
            let verdict = bench.verdict(&format!("oat_{made_up:032x}")).await;
            assert!(verdict.is_err());
        }
        assert_eq!(bench.verdict(KEY).await, Ok(Kind::ApiKey));
        bench.pass(15);
    }
    // One that is good no more is as good as one that never was.
    server.answer_to(API_KEYS, known_key(&json!({"revoked": true})));
    assert_eq!(bench.verdict(KEY).await, Err(Reason::Inactive));
    for n in 0..1_500 {
        assert!(bench.verdict(&format!("oat_{n:032x}")).await.is_err());
    }
    bench.pass(5);
    for n in 0..1_500 {
        assert!(bench.verdict(&format!("oat_{n:032x}")).await.is_err());
    }
    assert_eq!(bench.verdict(KEY).await, Err(Reason::Unavailable));
}

#[tokio::test]
async fn what_an_opaque_token_claims_is_never_what_tokens_define() {
    let server = server();
    let claims = json!({
        "iss": "https://evil.example", "sub": "user_admin", "aud": "x", "exp": 1, "azp": "x", "sid": "sess_1",
        "act": {"sub": "user_admin"}, "org_role": "org:admin", "org_anything": 1, "email": "root@example.test",
        "email_verified": true, "\u{73}cope": "admin", "o": {"rol": "admin"}, "roles": ["admin"],
        "team": "red", "Sub": "kept",
    });
    let registered: Vec<String> = claims.as_object().unwrap().keys().cloned().collect();
    server.answer_to(API_KEYS, known_key(&json!({ "claims": claims })));
    let bench = Bench::with_key(&server, accepting);
    let who = bench.caller(KEY).await;
    for name in registered {
        let expected = match &*name {
            "team" => Some("red"),
            "Sub" => Some("kept"),
            _ => None,
        };
        assert_eq!(who.claim(&name).as_deref(), expected, "{name}");
    }
    for claims in [json!(null), json!([]), json!("text"), json!({})] {
        server.answer_to(API_KEYS, known_key(&json!({ "claims": claims })));
        bench.pass(15);
        assert_eq!(bench.caller(KEY).await.claim("team"), None, "{claims}");
    }
}
