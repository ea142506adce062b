//! Callers' own sessions, and going on with them.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{clerk_error, page, row, server};
use crate::auth::Party;
use crate::auth::session::{Ended, Needed, SessionError};
use crate::auth::tests::draft::{
    APP, KEYS, NOW, RESOURCE, SESSION, USER, oauth, session, template,
};
use crate::auth::tests::server::{Answer, Server};
use crate::auth::tests::{Bench, Kind};

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
            late(60).by(&KEYS.attacker).token(),
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
