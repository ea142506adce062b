//! Nothing that is written anywhere contains a token or a secret.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::Bench;
use super::draft::{KEYS, USER, jwks, session, template};
use super::server::{Answer, Server};
use crate::auth::{Auth, Credentials, OAuthClient, OpaqueTokens, Presented, Settings, bearer};

const KEY: &str = "ak_0123456789abcdef";
const OPAQUE: &str = "oat_0123456789abcdef0123456789abcdef";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

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
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);

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
        let tokens = auth.sessions().refresh("r3fresh-old".into(), None).await;
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
                bench.auth.0.verifier.verify(KEY).await,
                bench.auth.0.verifier.verify(OPAQUE).await,
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
                    .refresh_session(expired.as_str().into(), "r3fresh-session".into(), None)
                    .await,
            ));
            secrets.extend(expired.split('.').skip(1).map(str::to_owned));
        }
    }
    secrets.extend([KEY, OPAQUE].map(str::to_owned));
    drop(guard);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("token refused") && log.contains("token accepted"),
        "{log}"
    );
    for secret in secrets {
        assert!(!log.contains(&secret), "in the log: {secret}");
        assert!(!shown.concat().contains(&secret), "shown: {secret}");
    }
}
