//! The copy of what the issuer publishes about itself.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::Bench;
use super::server::{Answer, Server};

const ASKED: &str = "GET /.well-known/oauth-authorization-server ";

fn start() -> (Server, Bench, String) {
    let server = Server::start(Answer::of("404 Not Found", "", ""));
    let url = server.url("");
    let document = json!({"issuer": url, "token_endpoint": format!("{url}/oauth/token")});
    let document = document.to_string();
    server.answer_to(ASKED, Answer::json(&*document));
    let bench = Bench::with(&server, |settings| settings.issuer = url);
    (server, bench, document)
}

#[tokio::test]
async fn it_is_fetched_once_in_five_minutes_however_many_want_it() {
    let (server, bench, document) = start();
    let copies = join_all((0..50).map(|_| bench.auth.authorization_server())).await;
    assert!(copies.iter().all(|copy| copy.as_deref() == Ok(&*document)));
    bench.pass(299);
    assert_eq!(
        bench.auth.authorization_server().await.as_deref(),
        Ok(&*document)
    );
    assert_eq!(server.count(), 1);
    bench.pass(1);
    assert_eq!(
        bench.auth.authorization_server().await.as_deref(),
        Ok(&*document)
    );
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn what_is_not_the_issuers_is_none() {
    let (_, _, document) = start();
    for (name, answer) in [
        (
            "500",
            Answer::of("500 Internal Server Error", "", &*document),
        ),
        (
            "moved",
            Answer::of("302 Found", "Location: /elsewhere\r\n", ""),
        ),
        ("HTML", Answer::json("<!doctype html>")),
        ("list", Answer::json("[]")),
        ("another's", Answer::json(document)),
        ("nobody's", Answer::json("{}")),
        ("long", Answer::json(format!("{{{}}}", " ".repeat(70_000)))),
    ] {
        let (server, bench, good) = start();
        server.answer_to("GET /elsewhere ", Answer::json(&*good));
        server.answer_to(ASKED, answer.clone());
        let pause = Err(Duration::from_secs(10));
        for _ in 0..20 {
            assert_eq!(bench.auth.authorization_server().await, pause, "{name}");
        }
        assert_eq!(server.count(), 1, "{name}");
        bench.pass(10);
        server.answer_to(ASKED, Answer::json(&*good));
        let copy = bench.auth.authorization_server().await;
        assert_eq!(copy.as_deref(), Ok(&*good), "{name}");
        // The last good one serves through an outage of an hour.
        server.answer_to(ASKED, answer);
        bench.pass(3_600);
        let copy = bench.auth.authorization_server().await;
        assert_eq!(copy.as_deref(), Ok(&*good), "{name}");
        bench.pass(10);
        assert_eq!(bench.auth.authorization_server().await, pause, "{name}");
    }
}
