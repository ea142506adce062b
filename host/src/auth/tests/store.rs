//! The key store against a real HTTP server: outages, rotation, floods.

use std::fmt::Write as _;

use futures_util::FutureExt;
use serde_json::json;
use tokio::task::JoinSet;

use super::draft::{Draft, KEYS, encode, jwks, jwks_of, session};
use super::server::{Answer, Server};
use super::{Bench, Kind, Reason};
use crate::auth::keys::NoKey;
use crate::auth::{Class, Credentials, Presented, Readiness, Via, bearer};

const ACCEPTED: Result<Kind, Reason> = Ok(Kind::Session);
const UNKNOWN: Result<Kind, Reason> = Err(Reason::UnknownKey);
const UNAVAILABLE: Result<Kind, Reason> = Err(Reason::Unavailable);

fn good() -> Answer {
    Answer::json(jwks().to_string())
}

fn by(kid: &str) -> Draft {
    session().head(&json!({ "kid": kid }))
}

/// A token without a true signature, whose key is unknown.
fn junk(n: u32) -> String {
    let mut token = by(&format!("ins_junk{n}")).signed();
    let _ = write!(token, ".{}", encode([0; 256]));
    token
}

/// Where a server that redirects has good keys, so that a redirect that were followed would be seen.
const ELSEWHERE: &str = "GET /elsewhere ";

/// A server that answers like this, and has good keys elsewhere.
fn start(answer: Answer) -> Server {
    let server = Server::start(answer);
    server.answer_to(ELSEWHERE, good());
    server
}

/// All the ways in which the issuer can fail to give keys.
fn outages() -> Vec<(&'static str, Answer)> {
    let elsewhere = "Location: /elsewhere\r\n";
    vec![
        (
            "500",
            Answer::of("500 Internal Server Error", "", jwks().to_string()),
        ),
        ("201", Answer::of("201 Created", "", jwks().to_string())),
        ("HTML", Answer::json("<!doctype html><title>Sorry</title>")),
        ("empty set", Answer::json(r#"{"keys":[]}"#)),
        (
            "10 MB",
            Answer::json(format!("{}{}", jwks(), " ".repeat(10_000_000))),
        ),
        ("drip", Answer::Drip),
        ("moved", Answer::of("302 Found", elsewhere, "")),
        (
            "moved for good",
            Answer::of("308 Permanent Redirect", elsewhere, ""),
        ),
    ]
}

/// Only where an answer never ends does a test wait for the patience to do so.
fn bench_for(server: &Server, outage: &Answer) -> Bench {
    match outage {
        Answer::Drip => Bench::impatient(server),
        Answer::Full(..) => Bench::new(server),
    }
}

#[tokio::test]
async fn before_the_first_success_tokens_cannot_be_judged() {
    for (name, outage) in outages() {
        let server = start(outage.clone());
        let bench = bench_for(&server, &outage);
        let token = session().token();
        assert_eq!(bench.verdict(&token).await, UNAVAILABLE, "{name}");
        assert_eq!(bench.auth.is_ready(), Readiness::NotLoaded, "{name}");
        // Within the pause nobody asks again, nobody waits, and the answer says how long it is.
        let denied = bench.auth.identify(&header(&token)).await.unwrap_err();
        assert_eq!(
            (denied.class, denied.via),
            (Class::Unavailable, Via::Header),
            "{name}"
        );
        assert_eq!(
            denied.retry_after.map(|pause| pause.as_secs()),
            Some(1),
            "{name}"
        );
        assert_eq!(server.count(), 1, "{name}");
        // After it the next token asks, and the issuer is back.
        server.answer(good());
        bench.pass(1);
        assert_eq!(bench.verdict(&token).await, ACCEPTED, "{name}");
        assert_eq!(bench.auth.is_ready(), Readiness::Loaded, "{name}");
    }
}

#[tokio::test]
async fn the_last_good_keys_serve_through_an_outage_of_an_hour() {
    for (name, outage) in outages() {
        let server = start(good());
        let bench = bench_for(&server, &outage);
        let token = session().token();
        assert_eq!(bench.verdict(&token).await, ACCEPTED, "{name}");
        server.answer(outage);
        bench.pass(300);
        assert_eq!(bench.verdict(&token).await, ACCEPTED, "{name}");
        assert_eq!(server.count(), 1, "{name}");
        bench.pass(1);
        assert_eq!(bench.verdict_and_fetch(&token).await, ACCEPTED, "{name}");
        assert_eq!(server.count(), 2, "{name}");
        assert!(
            matches!(bench.auth.is_ready(), Readiness::Stale { .. }),
            "{name}"
        );
        bench.pass(3_299);
        assert_eq!(bench.verdict_and_fetch(&token).await, ACCEPTED, "{name}");
        bench.pass(1);
        assert_eq!(bench.verdict(&token).await, UNAVAILABLE, "{name}");
        assert!(!bench.auth.is_ready().is_serving(), "{name}");
    }
}

#[tokio::test]
async fn the_pause_after_failures_doubles_up_to_half_a_minute() {
    let server = Server::start(Answer::json("{}"));
    let bench = Bench::new(&server);
    let token = session().token();
    assert_eq!(bench.verdict(&token).await, UNAVAILABLE);
    for (nth, pause) in (2..).zip([1, 2, 4, 8, 16, 30, 30]) {
        bench.pass(pause - 1);
        assert_eq!(bench.verdict(&token).await, UNAVAILABLE);
        assert_eq!(server.count(), nth - 1);
        bench.pass(1);
        assert_eq!(bench.verdict(&token).await, UNAVAILABLE);
        assert_eq!(server.count(), nth);
    }
}

#[tokio::test]
async fn a_withdrawn_key_stops_working_after_one_fetch() {
    let both = [("ins_old", &KEYS.dup_first), ("ins_main", &KEYS.main)];
    let server = Server::start(Answer::json(jwks_of(&both)));
    let bench = Bench::new(&server);
    let token = by("ins_old").by(&KEYS.dup_first).token();
    assert_eq!(bench.verdict(&token).await, ACCEPTED);
    server.answer(Answer::json(jwks_of(&both[1..])));
    bench.pass(301);
    assert_eq!(bench.verdict_and_fetch(&token).await, ACCEPTED);
    assert_eq!(bench.verdict(&token).await, UNKNOWN);
    assert_eq!(bench.verdict(&session().token()).await, ACCEPTED);
}

#[tokio::test]
async fn a_rotated_key_works_with_its_first_token() {
    let server = Server::start(good());
    let bench = Bench::new(&server);
    assert_eq!(bench.verdict(&session().token()).await, ACCEPTED);
    server.answer(Answer::json(jwks_of(&[("ins_new", &KEYS.dup_last)])));
    let rotated = by("ins_new").by(&KEYS.dup_last).token();
    assert_eq!(bench.verdict(&rotated).await, ACCEPTED);
    assert_eq!(server.count(), 2);
    assert_eq!(bench.verdict(&session().token()).await, UNKNOWN);
}

#[tokio::test]
async fn a_key_that_changed_under_its_name_works_with_its_first_token() {
    let server = Server::start(good());
    let bench = Bench::new(&server);
    assert_eq!(bench.verdict(&session().token()).await, ACCEPTED);
    server.answer(Answer::json(jwks_of(&[("ins_main", &KEYS.dup_last)])));
    let changed = session().by(&KEYS.dup_last).token();
    assert_eq!(bench.verdict(&changed).await, ACCEPTED);
    assert_eq!(server.count(), 2);
    assert_eq!(
        bench.verdict(&session().token()).await,
        Err(Reason::Signature)
    );
    // Anybody can make up a signature, so they cause one fetch in half a minute, and that takes nothing
    // from a key that is unknown.
    for n in 0..100 {
        let forged = session().claims(&json!({ "jti": n })).by(&KEYS.attacker);
        assert_eq!(bench.verdict(&forged.token()).await, Err(Reason::Signature));
    }
    assert_eq!(server.count(), 2);
    assert_eq!(bench.verdict(&by("ins_new").token()).await, UNKNOWN);
    assert_eq!(server.count(), 3);
    bench.pass(30);
    let forged = session().by(&KEYS.attacker).token();
    assert_eq!(bench.verdict(&forged).await, Err(Reason::Signature));
    assert_eq!(bench.verdict(&forged).await, Err(Reason::Signature));
    assert_eq!(server.count(), 4);
    let foreign = session().claims(&json!({"iss": "https://clerk.other.test"}));
    bench.pass(30);
    let foreign = foreign.by(&KEYS.attacker).token();
    assert_eq!(bench.verdict(&foreign).await, Err(Reason::Signature));
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn a_key_that_was_seen_before_it_was_published_works_soon_after() {
    let server = Server::start(good());
    let bench = Bench::new(&server);
    let early = by("ins_new").by(&KEYS.dup_last).token();
    assert_eq!(bench.verdict(&early).await, UNKNOWN);
    server.answer(Answer::json(jwks_of(&[("ins_new", &KEYS.dup_last)])));
    bench.pass(60);
    assert_eq!(bench.verdict(&early).await, ACCEPTED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_random_key_ids_cause_one_fetch() {
    let server = Server::start(good());
    let bench = std::sync::Arc::new(Bench::new(&server));
    let token = session().token();
    assert_eq!(bench.verdict(&token).await, ACCEPTED);
    let mut flood = JoinSet::new();
    for part in 0..10 {
        let bench = std::sync::Arc::clone(&bench);
        flood.spawn(async move {
            for n in 0..1_000 {
                assert_eq!(bench.verdict(&junk(part * 1_000 + n)).await, UNKNOWN);
            }
        });
    }
    assert_eq!(bench.verdict(&token).await, ACCEPTED);
    flood.join_all().await;
    assert_eq!(server.count(), 2);
    // After the cool-down there is one more, and a key id that was looked for in vain causes none.
    bench.pass(30);
    assert_eq!(bench.verdict(&junk(10_001)).await, UNKNOWN);
    assert_eq!(bench.verdict(&junk(10_002)).await, UNKNOWN);
    assert_eq!(server.count(), 3);
    bench.pass(30);
    assert_eq!(bench.verdict(&junk(10_001)).await, UNKNOWN);
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_good_token_does_not_wait_for_what_a_bad_one_causes() {
    let token = session().token();
    for bad in [junk(0), session().by(&KEYS.attacker).token()] {
        let server = Server::start(good());
        let bench = std::sync::Arc::new(Bench::new(&server));
        assert_eq!(bench.verdict(&token).await, ACCEPTED);
        server.answer(Answer::Drip);
        let own = std::sync::Arc::clone(&bench);
        let waits = tokio::spawn(async move { own.verdict(&bad).await });
        while server.count() == 1 {
            tokio::task::yield_now().await;
        }
        // The fetch is under way and gets nowhere; a token with a known key is judged at once.
        assert_eq!(bench.verdict(&token).now_or_never(), Some(ACCEPTED));
        bench.pass(301);
        assert_eq!(bench.verdict(&token).now_or_never(), Some(ACCEPTED));
        assert!(!waits.is_finished());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_cold_calls_at_once_cause_one_fetch() {
    for _ in 0..20 {
        let server = Server::start(good());
        let bench = std::sync::Arc::new(Bench::new(&server));
        let token: std::sync::Arc<str> = session().token().into();
        let mut calls = JoinSet::new();
        for _ in 0..50 {
            let (bench, token) = (std::sync::Arc::clone(&bench), std::sync::Arc::clone(&token));
            calls.spawn(async move { bench.verdict(&token).await });
        }
        for verdict in calls.join_all().await {
            assert_eq!(verdict, ACCEPTED);
        }
        assert_eq!(server.count(), 1);
    }
}

#[tokio::test]
async fn a_jump_of_the_clock_changes_verdicts_and_fetches_nothing() {
    let server = Server::start(good());
    let bench = Bench::new(&server);
    let token = session().token();
    assert_eq!(bench.verdict(&token).await, ACCEPTED);
    bench.jump(3_600);
    assert_eq!(bench.verdict(&token).await, Err(Reason::Expired));
    bench.jump(-7_200);
    assert_eq!(bench.verdict(&token).await, Err(Reason::NotYet));
    bench.jump(3_600);
    assert_eq!(bench.verdict(&token).await, ACCEPTED);
    for extreme in [i64::MIN, i64::MAX] {
        bench
            .clock
            .store(extreme, std::sync::atomic::Ordering::Relaxed);
        assert!(bench.verdict(&token).await.is_err());
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_token_that_is_not_ours_causes_no_fetch() {
    let server = Server::start(good());
    let bench = Bench::new(&server);
    let foreign = by("ins_other").claims(&json!({"iss": "https://clerk.other.test"}));
    assert_eq!(bench.verdict(&foreign.token()).await, UNKNOWN);
    let unreadable = format!(
        "{}.{}.AAAA",
        encode(r#"{"alg":"RS256","kid":"k"}"#),
        encode("x")
    );
    assert_eq!(bench.verdict(&unreadable).await, UNKNOWN);
    let embedded = by("ins_other").head(&json!({"jku": server.url("/keys")}));
    assert_eq!(bench.verdict(&embedded.token()).await, Err(Reason::Header));
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_end_the_fetch() {
    let server = Server::start(good());
    let bench = Bench::new(&server);
    let keys = &bench.auth.0.verifier.keys;
    let mut ended = keys.watch();
    tokio::select! {
        biased;
        _ = keys.key("ins_main", || true) => panic!("there are no keys yet"),
        () = async {} => {}
    }
    ended.changed().await.unwrap();
    assert!(keys.key("ins_main", || false).await.is_ok());
    assert_eq!(
        keys.key("ins_other", || false).await.err(),
        Some(NoKey::Unknown)
    );
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_warm_host_has_its_keys_before_the_first_token() {
    let server = Server::start(good());
    let bench = Bench::new(&server);
    bench.auth.warm().await;
    bench.auth.warm().await;
    assert_eq!(bench.auth.is_ready(), Readiness::Loaded);
    assert_eq!(bench.verdict(&session().token()).await, ACCEPTED);
    assert_eq!(server.count(), 1);

    let nobody = Server::start(Answer::json("{}"));
    let bench = Bench::new(&nobody);
    bench.auth.warm().await;
    assert_eq!(bench.auth.is_ready(), Readiness::NotLoaded);
}

#[tokio::test]
async fn keys_are_renewed_before_they_are_old_for_as_long_as_the_host_lives() {
    let server = Server::start(good());
    let bench = Bench::new(&server);
    let mut ended = bench.auth.0.verifier.keys.watch();
    let others_run = async || {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    bench.auth.warm().await;
    ended.mark_unchanged();
    bench.pass(239);
    others_run().await;
    assert_eq!(server.count(), 1);
    bench.pass(1);
    ended.changed().await.unwrap();
    assert_eq!(server.count(), 2);
    // While the issuer is away, the pause doubles, and the keys that are there serve.
    server.answer(Answer::of("500 Internal Server Error", "", ""));
    others_run().await;
    bench.pass(240);
    ended.changed().await.unwrap();
    for (nth, pause) in (4..).zip([1, 2, 4]) {
        others_run().await;
        bench.pass(pause - 1);
        others_run().await;
        assert_eq!(server.count(), nth - 1);
        bench.pass(1);
        ended.changed().await.unwrap();
        assert_eq!(server.count(), nth);
    }
    assert_eq!(bench.verdict(&session().token()).await, ACCEPTED);
    let stopwatch = bench.stopwatch.clone();
    drop(bench);
    stopwatch.pass(3_600);
    others_run().await;
    assert_eq!(server.count(), 6);
}

#[tokio::test]
async fn header_and_meta_may_say_the_same() {
    let server = Server::start(good());
    let bench = Bench::new(&server);
    let token = session().token();
    let other = by("ins_noalg").by(&KEYS.noalg).token();
    let meta = |token: &str| {
        let authorization = json!({"type": "bearer", "token": token});
        bearer::from_meta_value(Some(&authorization))
    };
    let identify = async |header: Option<&str>, meta| {
        let header = header.map(|token| bearer::Bearer::new(token.into()));
        let who = bench.auth.identify(&Credentials { header, meta }).await;
        who.map(|who| who.map(|who| who.id().to_owned()))
            .map_err(|denied| (denied.class, denied.via, denied.reason))
    };
    let user = Some(super::draft::USER.to_owned());
    assert_eq!(identify(None, Presented::Absent).await, Ok(None));
    assert_eq!(
        identify(Some(&token), Presented::Absent).await,
        Ok(user.clone())
    );
    assert_eq!(identify(None, meta(&token)).await, Ok(user.clone()));
    assert_eq!(identify(Some(&token), meta(&token)).await, Ok(user));
    let conflict = Err((Class::Malformed, Via::Header, Reason::Conflict));
    assert_eq!(identify(Some(&token), meta(&other)).await, conflict);
    assert_eq!(identify(Some(&token), Presented::Unusable).await, conflict);
    let refused = Err((Class::Invalid, Via::Meta, Reason::Malformed));
    assert_eq!(identify(None, Presented::Unusable).await, refused);
    assert_eq!(identify(None, meta("a\u{0}b\n")).await, refused);
}

fn header(token: &str) -> Credentials {
    let header = bearer::from_headers([format!("Bearer {token}").as_bytes()]);
    Credentials {
        header: header.unwrap(),
        meta: Presented::Absent,
    }
}
