//! What the issuer knows of callers: names, addresses, secrets, and whether their session has ended.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{clerk_error, row, server, with};
use crate::auth::NoSecret;
use crate::auth::tests::draft::{SESSION, USER, session, template};
use crate::auth::tests::server::Answer;
use crate::auth::tests::{Bench, Reason};

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
