//! What is asked of the Backend API: opaque tokens, profiles, sessions.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::draft::{APP, NOW, RESOURCE, SESSION, USER, jwks, oauth, session, template};
use super::server::{Answer, Server};
use super::{Bench, Kind, Reason, Resource, Settings};
use crate::auth::session::{Ended, Needed, SessionError};
use crate::auth::{Bearer, Class, Credentials, NoSecret, OpaqueTokens, Party, Presented};

const OAUTH: &str = "POST /v1/oauth_applications/access_tokens/verify ";
const API_KEYS: &str = "POST /v1/api_keys/verify ";
const OPAQUE: &str = "oat_0123456789abcdef0123456789abcdef";
const KEY: &str = "ak_0123456789abcdef";

fn server() -> Server {
    Server::start(Answer::json(jwks().to_string()))
}

fn accepting(settings: &mut Settings) {
    settings.opaque = OpaqueTokens {
        oauth: true,
        api_keys: true,
    };
    settings.resource = None;
}

fn with(mut object: Value, members: &Value) -> Value {
    let members = members.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(members);
    object
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

fn clerk_error(status: &'static str, code: &str) -> Answer {
    let body = json!({"errors": [{"code": code, "message": "m", "long_message": "l"}]});
    Answer::of(
        status,
        "Content-Type: application/json\r\n",
        body.to_string(),
    )
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

fn ada() -> Value {
    json!({
        "id": USER, "object": "user", "first_name": "Ada", "last_name": "Lovelace",
        "image_url": "https://img.test/ada", "primary_email_address_id": "idn_2",
        "email_addresses": [
            {"id": "idn_1", "email_address": "other@example.test", "verification": {"status": "verified"}},
            {"id": "idn_2", "email_address": "ada@example.test", "verification": {"status": "unverified"}},
        ],
        "private_metadata": {"weather_key": "k3y", "news_key": "n3ws", "number": 7},
    })
}

const GET_USER: &str = "GET /v1/users/user_2RfWKJREkjKbHZy0Wqa5qrHeAnb HTTP";

#[tokio::test]
async fn what_a_token_does_not_say_the_issuer_does() {
    let server = server();
    server.answer_to("GET /v1/users/", Answer::json(ada().to_string()));
    let bench = Bench::with_key(&server, |settings| settings.authorized_parties.clear());
    let complete = async |token: &str| bench.auth.complete(&bench.caller(token).await).await;

    let callers = join_all((0..20).map(|_| async { complete(&session().token()).await })).await;
    for who in callers {
        assert_eq!(who.email(), Some("ada@example.test"));
        assert_eq!(who.email_verified(), Some(false));
        assert_eq!(
            (who.first_name(), who.last_name()),
            (Some("Ada"), Some("Lovelace"))
        );
        assert_eq!(
            (who.name(), who.session_id()),
            (Some("Ada Lovelace"), Some(SESSION))
        );
    }
    assert_eq!(server.count_of(GET_USER), 1);
    // What the token says itself is what counts, and an address is verified or not by itself.
    let own = session().claims(&json!({"email": "a@b.test", "given_name": "A."}));
    let who = complete(&own.token()).await;
    assert_eq!(
        (who.email(), who.email_verified()),
        (Some("a@b.test"), None)
    );
    assert_eq!(
        (who.first_name(), who.last_name()),
        (Some("A."), Some("Lovelace"))
    );
    // A token that says it all has nobody asked.
    bench.pass(60);
    let who = complete(&template().token()).await;
    assert_eq!(
        (who.email(), server.count_of(GET_USER)),
        (Some("ada@example.test"), 1)
    );
    complete(&session().token()).await;
    assert_eq!(server.count_of(GET_USER), 2);
}

#[tokio::test]
async fn a_profile_that_cannot_be_had_stays_absent() {
    let other = with(ada(), &json!({"id": "user_other"}));
    for (answer, asked) in [
        (clerk_error("404 Not Found", "resource_not_found"), 1),
        (Answer::of("500 Internal Server Error", "", ""), 1),
        (Answer::json("[]"), 1),
        (Answer::json(other.to_string()), 1),
        (Answer::Drip, 1),
    ] {
        let server = server();
        server.answer_to("GET /v1/users/", answer);
        let bench = Bench::with_key(&server, |_| {});
        for _ in 0..3 {
            let who = bench.caller(&session().token()).await;
            assert_eq!(bench.auth.complete(&who).await.email(), None);
        }
        assert_eq!(server.count_of("GET /v1/users/"), asked);
    }
    // A subject that is no id is never made a path.
    let server = server();
    let bench = Bench::with_key(&server, |_| {});
    for subject in ["user_../../sessions", "user_", "ada", "user_a?b"] {
        let token = session().claims(&json!({"sub": subject})).token();
        let who = bench.caller(&token).await;
        assert_eq!(bench.auth.complete(&who).await.email(), None);
    }
    assert_eq!(server.count_of("GET /v1/"), 0);
}

#[tokio::test]
async fn nobody_waits_long_for_what_they_could_do_without() {
    let server = server();
    server.answer_to("GET /v1/users/", Answer::Drip);
    let bench = Bench::with_key(&server, |_| {});
    let who = bench.caller(&session().token()).await;
    let mut complete = std::pin::pin!(bench.auth.complete(&who));
    // Twice as long as it may take; any other question may take longer still.
    let late = tokio::time::sleep(Duration::from_secs(4));
    let completed = tokio::select! {
        biased;
        completed = &mut complete => completed,
        () = late => {
            // On a machine that stood still meanwhile, both are over at once.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            complete.now_or_never().expect("it is over after two seconds")
        }
    };
    assert_eq!((completed.id(), completed.email()), (USER, None));
}

#[tokio::test]
async fn an_answer_about_one_user_that_cannot_be_used_keeps_nobody_else_from_theirs() {
    let twice = r#"{"id":"user_bob","id":"user_bob"}"#;
    let long = with(
        ada(),
        &json!({"unsafe_metadata": {"text": "x".repeat(300_000)}}),
    );
    for (name, answer) in [
        ("unreadable", Answer::json(twice)),
        ("no JSON", Answer::json("<!doctype html>")),
        ("too long", Answer::json(long.to_string())),
        ("another user", Answer::json(ada().to_string())),
        ("forbidden", clerk_error("403 Forbidden", "not_allowed")),
        ("moved", Answer::of("302 Found", "Location: /\r\n", "")),
        ("a teapot", Answer::of("418 I'm a teapot", "", "")),
    ] {
        let server = server();
        server.answer_to("GET /v1/users/user_bob ", answer);
        server.answer_to(GET_USER, Answer::json(ada().to_string()));
        let bench = Bench::with_key(&server, |_| {});
        let bob = session().claims(&json!({"sub": "user_bob"})).token();
        let bob = bench.caller(&bob).await;
        let ada = bench.caller(&session().token()).await;
        assert_eq!(bench.auth.complete(&bob).await.email(), None, "{name}");
        let known = bench.auth.complete(&ada).await;
        assert_eq!(known.email(), Some("ada@example.test"), "{name}");
        // It is not asked for again at once, and then it is.
        let asked = || server.count_of("GET /v1/users/user_bob ");
        bench.pass(4);
        bench.auth.complete(&bob).await;
        assert_eq!(asked(), 1, "{name}");
        bench.pass(1);
        bench.auth.complete(&bob).await;
        assert_eq!(asked(), 2, "{name}");
        let granted = BTreeMap::from([("KEY".to_owned(), "key".to_owned())]);
        let secret = bench.auth.secret(&bob, &granted, "KEY").await;
        assert_eq!(secret.err(), Some(NoSecret::Unavailable), "{name}");
    }
}

#[tokio::test]
async fn a_proof_of_one_address_is_none_of_another() {
    let server = server();
    server.answer_to("GET /v1/users/", Answer::json(ada().to_string()));
    let bench = Bench::with_key(&server, |_| {});
    for (claims, email, verified) in [
        (
            json!({"email_verified": true}),
            "ada@example.test",
            Some(false),
        ),
        (
            json!({"email": "a@b.test", "email_verified": true}),
            "a@b.test",
            Some(true),
        ),
        (json!({"email": "a@b.test"}), "a@b.test", None),
        (
            json!({"email": "ada@example.test"}),
            "ada@example.test",
            Some(false),
        ),
    ] {
        let who = bench.caller(&session().claims(&claims).token()).await;
        let who = bench.auth.complete(&who).await;
        assert_eq!(
            (who.email(), who.email_verified()),
            (Some(email), verified),
            "{claims}"
        );
    }
}

#[tokio::test]
async fn a_secret_is_the_callers_own() {
    let server = server();
    let bob = json!({"id": "user_bob", "private_metadata": {"weather_key": "b0b"}});
    server.answer_to("GET /v1/users/", Answer::json(bob.to_string()));
    server.answer_to(GET_USER, Answer::json(ada().to_string()));
    let bench = Bench::with_key(&server, |_| {});
    let ada = bench.caller(&session().token()).await;
    let bob = session().claims(&json!({"sub": "user_bob"})).token();
    let bob = bench.caller(&bob).await;
    let granted = |members: &[&str]| {
        let names = members.iter().map(|member| member.to_uppercase());
        names
            .zip(members.iter().map(|member| (*member).to_owned()))
            .collect::<BTreeMap<String, String>>()
    };
    let all = granted(&["weather_key", "number", "other"]);
    let secret = async |who, name| {
        let secret = bench.auth.secret(who, &all, name).await;
        secret.map(|secret| secret.expose_secret().to_owned())
    };
    assert_eq!(secret(&ada, "WEATHER_KEY").await.as_deref(), Ok("k3y"));
    assert_eq!(secret(&bob, "WEATHER_KEY").await.as_deref(), Ok("b0b"));
    assert_eq!(secret(&ada, "NUMBER").await, Err(NoSecret::NotSet));
    assert_eq!(secret(&ada, "OTHER").await, Err(NoSecret::NotSet));
    assert_eq!(secret(&ada, "weather_key").await, Err(NoSecret::NotGranted));
    assert_eq!(server.count_of(GET_USER), 1);
    // Another service is granted another; nothing is kept but what one may ask for.
    let other = granted(&["news_key"]);
    let news = bench.auth.secret(&ada, &other, "NEWS_KEY").await;
    assert_eq!(news.unwrap().expose_secret(), "n3ws");
    assert_eq!(
        bench.auth.secret(&ada, &other, "WEATHER_KEY").await.err(),
        Some(NoSecret::NotGranted)
    );
    let directory = bench.auth.0.directory.as_ref().unwrap();
    let kept = directory.secrets(&ada, &other).await.unwrap();
    assert!(kept.get("news_key").is_some() && kept.get("weather_key").is_none());
    assert_eq!(server.count_of(GET_USER), 2);
    server.answer_to(
        "GET /v1/users/",
        Answer::of("500 Internal Server Error", "", ""),
    );
    bench.pass(60);
    assert_eq!(
        secret(&ada, "WEATHER_KEY").await,
        Err(NoSecret::Unavailable)
    );
    let keyless = Bench::new(&server);
    assert_eq!(
        keyless.auth.secret(&ada, &all, "WEATHER_KEY").await.err(),
        Some(NoSecret::Unavailable)
    );
}

fn row(id: &str, user: &str, status: &str) -> Value {
    json!({
        "object": "session", "id": id, "user_id": user, "client_id": "client_1", "status": status,
        "created_at": 1_794_000_000_000_u64, "last_active_at": 1_794_900_000_000_u64,
        "expire_at": 1_796_000_000, "abandon_at": 1_797_000_000_000_u64,
        "latest_activity": {"id": "sess_activity_1", "device_type": "Macintosh", "browser_name": "Firefox", "city": "Oslo"},
    })
}

fn page(rows: &[Value]) -> Answer {
    Answer::json(json!({"data": rows, "total_count": rows.len()}).to_string())
}

#[tokio::test]
async fn callers_see_and_end_their_own_sessions_only() {
    let server = server();
    let rows = [
        row(SESSION, USER, "active"),
        row("sess_2", USER, "active"),
        row("sess_3", USER, "ended"),
        row("sess_4", "user_other", "active"),
    ];
    server.answer_to("GET /v1/sessions?", page(&rows));
    for row in &rows {
        let path = format!("GET /v1/sessions/{} ", row["id"].as_str().unwrap());
        server.answer_to(&path, Answer::json(row.to_string()));
    }
    server.answer_to(
        "GET /v1/sessions/sess_unknown ",
        clerk_error("404 Not Found", "resource_not_found"),
    );
    server.answer_to(
        "POST /v1/sessions/",
        Answer::json(row("sess_2", USER, "revoked").to_string()),
    );
    let bench = Bench::with_key(&server, |_| {});
    let sessions = bench.auth.sessions();
    let who = bench.caller(&session().token()).await;

    let listed = sessions.list(&who).await.unwrap();
    let ids: Vec<&str> = listed.iter().map(|session| &*session.id).collect();
    assert_eq!(ids, [SESSION, "sess_2"]);
    assert_eq!(listed[0].created_at, Some(1_794_000_000));
    assert_eq!(listed[0].expires_at, Some(1_796_000_000));
    assert_eq!(
        (listed[0].browser.as_deref(), listed[0].city.as_deref()),
        (Some("Firefox"), Some("Oslo"))
    );
    let asked = format!("GET /v1/sessions?user_id={USER}&status=active&limit=100&paginated=true ");
    assert_eq!(server.count_of(&asked), 1);

    for id in ["sess_unknown", "sess_4", "sess_3", "sess_../x", "", USER] {
        let refused = sessions.revoke(&who, id).await;
        assert_eq!(refused, Err(SessionError::NotFound), "{id}");
    }
    assert_eq!(server.count_of("POST "), 0);
    assert_eq!(sessions.revoke(&who, "sess_2").await, Ok(()));
    assert_eq!(server.count_of("POST /v1/sessions/sess_2/revoke "), 1);

    let one = Ended {
        count: 1,
        all: true,
    };
    assert_eq!(sessions.revoke_others(&who).await, Ok(one));
    assert_eq!(server.count_of("POST /v1/sessions/sess_2/revoke "), 2);
    assert_eq!(server.count_of("POST "), 2);
    let ours = oauth().claims(&json!({"aud": RESOURCE}));
    for token in [template(), ours] {
        let who = bench.caller(&token.token()).await;
        assert_eq!(
            sessions.revoke_others(&who).await,
            Err(SessionError::NoSession)
        );
    }
}

/// As many sessions as a page has, which come back however many of them are ended.
fn full_page() -> Answer {
    let rows: Vec<Value> = (0..100)
        .map(|n| row(&format!("sess_{n}"), USER, "active"))
        .collect();
    page(&rows)
}

#[tokio::test]
async fn sessions_are_ended_page_by_page_and_what_was_ended_is_said() {
    let server = server();
    server.answer_to("GET /v1/sessions?", full_page());
    server.answer_to("POST /v1/sessions/", Answer::json("{}"));
    let bench = Bench::with_key(&server, |_| {});
    let who = bench.caller(&session().token()).await;
    let revoked = |server: &Server| server.count_of("POST /v1/sessions/");
    // Each is a request, and no more of those are made for a caller than for one who ends them singly.
    let some = Ended {
        count: 50,
        all: false,
    };
    assert_eq!(bench.auth.sessions().revoke_others(&who).await, Ok(some));
    assert_eq!(revoked(&server), 50);
    let limited = SessionError::Limited(Some(Duration::from_secs(2)));
    let again = bench.auth.sessions().revoke_others(&who).await;
    assert_eq!(again, Err(limited));
    assert_eq!(revoked(&server), 50);
    let other = session().claims(&json!({"sub": "user_other"})).token();
    let other = bench.caller(&other).await;
    let nobody_else = Ok(Ended {
        count: 0,
        all: true,
    });
    assert_eq!(
        bench.auth.sessions().revoke_others(&other).await,
        nobody_else
    );
    bench.pass(60);
    assert_eq!(bench.auth.sessions().revoke_others(&who).await, Ok(some));
}

#[tokio::test]
async fn an_issuer_that_stops_answering_does_not_hide_what_was_ended() {
    let limited = Answer::of("429 Too Many Requests", "Retry-After: 9\r\n", "");
    let failed = Answer::of("500 Internal Server Error", "", "");
    for answer in [limited, failed, Answer::of("418 I'm a teapot", "", "")] {
        let server = server();
        server.answer_to("GET /v1/sessions?", full_page());
        server.answer_to("POST /v1/sessions/", Answer::json("{}"));
        server.answer_to("POST /v1/sessions/sess_9/", answer.clone());
        let bench = Bench::with_key(&server, |_| {});
        let who = bench.caller(&session().token()).await;
        let ended = bench.auth.sessions().revoke_others(&who).await.unwrap();
        assert!(!ended.all && (8..16).contains(&ended.count), "{ended:?}");
        // Nothing ended, nothing to tell: the error is.
        server.answer_to("POST /v1/sessions/", answer);
        bench.pass(60);
        assert!(bench.auth.sessions().revoke_others(&who).await.is_err());
    }
}

#[tokio::test]
async fn the_api_is_not_asked_without_a_key_nor_without_end() {
    let server = server();
    server.answer_to("GET /v1/sessions?", page(&[]));
    let bench = Bench::new(&server);
    let who = bench.caller(&session().token()).await;
    let missing = SessionError::NotConfigured(Needed::SecretKey);
    assert!(!bench.auth.sessions().info().sessions_available);
    assert_eq!(bench.auth.sessions().list(&who).await, Err(missing));
    assert!(missing.to_string().contains("CLERK_SECRET_KEY"));

    let bench = Bench::with_key(&server, |_| {});
    assert!(bench.auth.sessions().info().sessions_available);
    for _ in 0..20 {
        assert!(bench.auth.sessions().list(&who).await.is_ok());
    }
    let limited = SessionError::Limited(Some(Duration::from_secs(3)));
    assert_eq!(bench.auth.sessions().list(&who).await, Err(limited));
    let other = session().claims(&json!({"sub": "user_other"})).token();
    let other = bench.caller(&other).await;
    assert!(bench.auth.sessions().list(&other).await.is_ok());
    bench.pass(3);
    assert!(bench.auth.sessions().list(&who).await.is_ok());

    // Who shows no token has a pace for their address, and shares another with all others who do not.
    let refresh = async |party: &Party| {
        let sessions = bench.auth.sessions();
        let tokens = sessions.refresh_session("nonsense".into(), "r3fresh".into(), party);
        tokens.await.map(drop)
    };
    let peer = |last| Party::peer([203, 0, 113, last].into());
    let bob = Party::User("user_bob".into());
    for _ in 0..50 {
        assert_eq!(refresh(&peer(1)).await, Err(SessionError::Refused));
    }
    let soon = Err(SessionError::Limited(Some(Duration::from_secs(1))));
    assert_eq!(refresh(&peer(1)).await, soon);
    assert_eq!(refresh(&peer(2)).await, soon);
    assert_eq!(refresh(&bob).await, Err(SessionError::Refused));
    bench.pass(10);
    let mut taken = 0;
    while refresh(&peer(1)).await != soon {
        taken += 1;
    }
    assert!((10..30).contains(&taken), "{taken}");
    for _ in 0..20 {
        assert_eq!(refresh(&peer(1)).await, soon);
        assert_eq!(refresh(&peer(2)).await, Err(SessionError::Refused));
    }

    for (answer, error) in [
        (
            Answer::of("429 Too Many Requests", "Retry-After: 9\r\n", ""),
            SessionError::Limited(Some(Duration::from_secs(9))),
        ),
        (
            Answer::of("500 Internal Server Error", "", ""),
            SessionError::Unavailable,
        ),
        (
            clerk_error("401 Unauthorized", "clerk_key_invalid"),
            SessionError::Unavailable,
        ),
        (Answer::json("[]"), SessionError::Unavailable),
        (Answer::json("{}"), SessionError::Unavailable),
    ] {
        server.answer_to("GET /v1/sessions?", answer);
        let bench = Bench::with_key(&server, |_| {});
        assert_eq!(bench.auth.sessions().list(&who).await, Err(error));
    }
}

const REFRESH: &str = "POST /v1/sessions/sess_2Ro7e2IxrffdqBboq8KfB6eGbIy/refresh ";
const WEEK: i64 = 7 * 86_400;

#[tokio::test]
async fn an_expired_session_token_becomes_a_new_one() {
    let late = |seconds: i64| {
        let exp = NOW - seconds;
        session().claims(&json!({"exp": exp, "iat": exp - 60, "nbf": exp - 70}))
    };
    let fresh = json!({"object": "token", "jwt": session().token()}).to_string();
    let foreign = session().claims(&json!({"sub": "user_other"})).token();
    let foreign = json!({"object": "token", "jwt": foreign}).to_string();
    let refused = Err(SessionError::Refused);
    let unavailable = Err(SessionError::Unavailable);
    for (name, token, answer, outcome) in [
        (
            "an hour ago",
            late(3_600).token(),
            Answer::json(&*fresh),
            Ok(()),
        ),
        ("not yet", session().token(), Answer::json(&*fresh), Ok(())),
        (
            "a week ago",
            late(WEEK + 4).token(),
            Answer::json(&*fresh),
            Ok(()),
        ),
        (
            "more",
            late(WEEK + 5).token(),
            Answer::json(&*fresh),
            refused,
        ),
        (
            "other app",
            late(60)
                .claims(&json!({"azp": "https://evil.example"}))
                .token(),
            Answer::json(&*fresh),
            refused,
        ),
        (
            "template",
            template().token(),
            Answer::json(&*fresh),
            refused,
        ),
        (
            "changed",
            late(60).by(&super::draft::KEYS.attacker).token(),
            Answer::json(&*fresh),
            refused,
        ),
        ("nothing", String::new(), Answer::json(&*fresh), refused),
        (
            "revoked",
            late(60).token(),
            clerk_error("401 Unauthorized", "session_refresh_invalid"),
            refused,
        ),
        (
            "bad request",
            late(60).token(),
            clerk_error("400 Bad Request", "form_param_missing"),
            refused,
        ),
        (
            "our key",
            late(60).token(),
            clerk_error("401 Unauthorized", "clerk_key_invalid"),
            unavailable,
        ),
        (
            "no code",
            late(60).token(),
            Answer::of("401 Unauthorized", "", ""),
            unavailable,
        ),
        (
            "another user's",
            late(60).token(),
            Answer::json(&*foreign),
            unavailable,
        ),
        (
            "cookies",
            late(60).token(),
            Answer::json(r#"{"object":"cookies"}"#),
            unavailable,
        ),
    ] {
        let server = server();
        server.answer_to(REFRESH, answer);
        let bench = Bench::with_key(&server, |_| {});
        let tokens = bench.auth.sessions().refresh_session(
            token.as_str().into(),
            "r3fresh".into(),
            &Party::Local,
        );
        assert_eq!(tokens.await.map(drop), outcome, "{name}");
    }

    let server = server();
    server.answer_to(REFRESH, Answer::json(&*fresh));
    let bench = Bench::with_key(&server, |_| {});
    let expired = late(60).token();
    let tokens = bench.auth.sessions().refresh_session(
        expired.as_str().into(),
        "r3fresh".into(),
        &Party::Local,
    );
    let token = tokens.await.unwrap().access_token;
    assert_eq!(
        bench.verdict(token.expose_secret()).await,
        Ok(Kind::Session)
    );
    let asked = server
        .requests()
        .into_iter()
        .find(|request| request.starts_with(REFRESH))
        .unwrap();
    let body: Value = serde_json::from_str(asked.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(
        body,
        json!({"expired_token": expired, "refresh_token": "r3fresh", "request_origin": APP, "format": "token"})
    );
}

#[tokio::test]
async fn a_session_that_ended_is_refused_where_that_is_asked_for() {
    let server = server();
    let path = format!("GET /v1/sessions/{SESSION} ");
    server.answer_to(
        &path,
        Answer::json(row(SESSION, USER, "active").to_string()),
    );
    let bench = Bench::with_key(&server, |_| {});
    let check = async |token: &str| {
        let who = bench.caller(token).await;
        bench
            .auth
            .check_session(&who)
            .await
            .map_err(|denied| denied.reason)
    };
    let token = session().token();
    let checks = join_all((0..20).map(|_| check(&token))).await;
    assert!(checks.iter().all(Result::is_ok));
    assert_eq!(server.count_of(&path), 1);
    for (answer, outcome) in [
        (row(SESSION, USER, "revoked"), Err(Reason::SessionStatus)),
        (
            row(SESSION, "user_other", "active"),
            Err(Reason::SessionStatus),
        ),
        (row(SESSION, USER, "active"), Ok(())),
    ] {
        server.answer_to(&path, Answer::json(answer.to_string()));
        bench.pass(15);
        assert_eq!(check(&token).await, outcome, "{answer}");
    }
    server.answer_to(&path, clerk_error("404 Not Found", "resource_not_found"));
    bench.pass(15);
    assert_eq!(check(&token).await, Err(Reason::SessionStatus));
    server.answer_to(&path, Answer::of("500 Internal Server Error", "", ""));
    bench.pass(15);
    assert_eq!(check(&token).await, Err(Reason::Unavailable));
    // What belongs to no session cannot end with one.
    assert_eq!(check(&template().token()).await, Ok(()));
}
