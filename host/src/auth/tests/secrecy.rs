//! Nothing that is written anywhere contains a token or a secret.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use super::Bench;
use super::draft::{KEYS, USER, jwks, session, template};
use super::server::{Answer, Server};
use crate::auth::{
    Auth, Credentials, OAuthClient, OpaqueTokens, Party, Presented, Settings, bearer,
};

const KEY: &str = "ak_0123456789abcdef";
const OPAQUE: &str = "oat_0123456789abcdef0123456789abcdef";

/// What is logged, at its loudest, by whatever runs on this thread.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Logs here until what it gives is dropped.
    pub(super) fn begin(&self) -> DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_at_its_loudest_has_no_token_in_it() {
    let log = Log::default();
    let guard = log.begin();

    let granted = BTreeMap::from([("key".to_owned(), "key".to_owned())]);
    let mut shown = Vec::new();
    let mut secrets = vec![
        "s3cret".to_owned(),
        "czNjcmV0".to_owned(),
        "r3fresh".to_owned(),
    ];
    let server = Server::start(Answer::json(jwks().to_string()));
    let bench = Bench::new(&server);
    for token in [
        session().token(),
        template().by(&KEYS.attacker).token(),
        session().claims(&json!({"exp": 1})).token(),
        format!("{}\n\u{0}", session().token()),
    ] {
        let credentials = Credentials {
            header: Some(bearer::Bearer::new(token.as_str().into())),
            meta: Presented::Absent,
            peer: None,
        };
        let who = bench.auth.identify(&credentials).await;
        shown.push(format!("{credentials:?} {who:?}"));
        // The header segment is the same in every token, and names only the key.
        secrets.extend(
            token
                .trim_end_matches(['\n', '\0'])
                .split('.')
                .skip(1)
                .map(str::to_owned),
        );
    }
    for answer in [
        Answer::json(json!({"access_token": "r3fresh-a", "token_type": "Bearer"}).to_string()),
        Answer::json(json!({"error": "r3fresh-echoed"}).to_string()),
        Answer::of(
            "400 Bad Request",
            "",
            json!({"error": "invalid_grant"}).to_string(),
        ),
    ] {
        let server = Server::start(answer);
        let mut settings = Settings::new(server.url(""));
        settings.client = Some(OAuthClient {
            id: "client_1".to_owned(),
            secret: Some("s3cret".into()),
        });
        settings.secret_key = Some("sk_test_s3cret".into());
        shown.push(format!("{settings:?}"));
        settings.api = server.url("");
        let auth = Auth::new(settings, Arc::new(|| super::NOW)).unwrap();
        let tokens = auth
            .sessions()
            .refresh("r3fresh-old".into(), &Party::Local)
            .await;
        shown.push(format!("{auth:?} {tokens:?}"));
    }
    for answer in [
        Answer::json(""),
        Answer::of("401 Unauthorized", "", r#"{"errors":[{"code":"r3fresh"}]}"#),
        Answer::of("500 r3fresh", "", "r3fresh"),
    ] {
        // All that is asked of the Backend API, answered well at first and badly afterwards.
        let server = Server::start(answer);
        server.answer_to("GET /.well-known/", Answer::json(jwks().to_string()));
        let user = json!({
            "id": USER, "object": "api_key", "subject": USER, "revoked": false, "expired": false,
            "private_metadata": {"key": "r3fresh-of-ada"}, "jwt": session().token(),
        });
        let well = Answer::json(user.to_string());
        for is_well in [true, false] {
            if is_well {
                server.answer_to("GET /v1/users/", well.clone());
                server.answer_to("POST /v1/", well.clone());
            } else {
                server.forget_routes();
                server.answer_to("GET /.well-known/", Answer::json(jwks().to_string()));
            }
            let bench = Bench::with_key(&server, |settings| {
                settings.secret_key = Some("sk_test_s3cret".into());
                settings.opaque = OpaqueTokens {
                    oauth: true,
                    api_keys: true,
                };
            });
            let who = bench.caller(&session().token()).await;
            let sessions = bench.auth.sessions();
            let opaque = [
                bench.auth.0.verifier.verify(KEY, &Party::Local).await,
                bench.auth.0.verifier.verify(OPAQUE, &Party::Local).await,
            ];
            let expired = session().token();
            shown.push(format!(
                "{opaque:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                bench.auth,
                bench.auth.complete(&who).await,
                bench.auth.secret(&who, &granted, "key").await,
                bench.auth.check_session(&who).await,
                sessions.list(&who).await,
                sessions.revoke(&who, "sess_1").await,
                sessions.revoke_others(&who).await,
                sessions
                    .refresh_session(
                        expired.as_str().into(),
                        "r3fresh-session".into(),
                        &Party::Local
                    )
                    .await,
            ));
            secrets.extend(expired.split('.').skip(1).map(str::to_owned));
        }
    }
    secrets.extend([KEY, OPAQUE].map(str::to_owned));
    drop(guard);

    let log = log.text();
    assert!(
        log.contains("token refused") && log.contains("token accepted"),
        "{log}"
    );
    for secret in secrets {
        assert!(!log.contains(&secret), "in the log: {secret}");
        assert!(!shown.concat().contains(&secret), "shown: {secret}");
    }
}

#[tokio::test]
async fn a_flood_of_bad_tokens_is_counted_and_not_told_one_by_one() {
    let log = Log::default();
    let _guard = log.begin();
    let server = Server::start(Answer::json(jwks().to_string()));
    let bench = Bench::new(&server);
    let lines = |level: &str, text: &str| {
        let log = log.text();
        let is_one = |line: &&str| line.contains(level) && line.contains(text);
        log.lines().filter(is_one).count()
    };
    let others_run = async || {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    for round in 1..3 {
        for n in 0..5_000 {
            let credentials = Credentials {
                header: Some(bearer::Bearer::new(format!("nonsense-{n}").into())),
                meta: Presented::Absent,
                peer: None,
            };
            assert!(bench.auth.identify(&credentials).await.is_err());
        }
        assert_eq!(lines("INFO", "token refused"), round * 100);
        others_run().await;
        assert_eq!(lines("WARN", "count=4900"), round - 1);
        bench.pass(10);
        others_run().await;
        assert_eq!(lines("WARN", "count=4900"), round);
    }
}

#[tokio::test]
async fn a_secret_key_that_is_wrong_is_said_loudly_and_makes_no_token_bad() {
    let log = Log::default();
    let _guard = log.begin();
    let server = Server::start(Answer::json(jwks().to_string()));
    let wrong = r#"{"errors":[{"code":"clerk_key_invalid"}]}"#;
    server.answer_to("POST /v1/", Answer::of("401 Unauthorized", "", wrong));
    let bench = Bench::with_key(&server, |settings| {
        settings.opaque.api_keys = true;
        settings.resource = None;
    });
    let verdict = bench.verdict(KEY).await;
    assert_eq!(verdict, Err(crate::auth::Reason::Unavailable));
    let log = log.text();
    let loud: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(loud.len(), 1, "{log}");
    assert!(loud[0].contains("check `CLERK_SECRET_KEY`"), "{log}");
}
