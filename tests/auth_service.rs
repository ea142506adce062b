//! Refreshing tokens and looking after sessions through tools.

use std::fs;
use std::sync::{Arc, Mutex};

use cloister::issuer::{TokenKind, TokenRequest};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{TestHost, call, component, text};

#[tokio::test]
async fn a_refresh_token_becomes_a_token_that_works() {
    let host = TestHost::serving(&[("auth", "cloister_auth"), ("demo", "cloister_demo")]).await;
    let refresh = host.issuer().refresh_token("user_ada");
    let refresh = refresh.expose_secret();

    let tokens = host
        .call(None, "refreshToken", json!({ "refreshToken": refresh }))
        .await;
    let tokens = &tokens["structuredContent"];
    let mut names: Vec<_> = tokens
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "access_token",
            "expires_in",
            "id_token",
            "refresh_token",
            "token_type"
        ]
    );
    assert_eq!(tokens["token_type"], "Bearer");

    let profile = host
        .call(tokens["access_token"].as_str(), "getUserProfile", json!({}))
        .await;
    assert_eq!(profile["structuredContent"]["userId"], "user_ada");

    // The old one has been replaced.
    let again = host
        .call(None, "refreshToken", json!({ "refreshToken": refresh }))
        .await;
    assert_eq!(again["isError"], true);
    assert_eq!(
        text(&again),
        "the refresh token is unknown, expired or already used; sign in again"
    );
    // Whoever shows it again may have stolen it, so its successor is refused, too.
    let next = host
        .call(
            None,
            "refreshToken",
            json!({ "refreshToken": tokens["refresh_token"] }),
        )
        .await;
    assert_eq!(next["isError"], true, "{next}");
}

#[tokio::test]
async fn an_empty_refresh_token_never_leaves_the_host() {
    let host = TestHost::serving(&[("auth", "cloister_auth")]).await;
    let result = host
        .call(None, "refreshToken", json!({ "refreshToken": "" }))
        .await;
    assert_eq!(result["isError"], true);
    assert!(text(&result).contains("/refreshToken"), "{}", text(&result));
}

/// Answers each request like the Backend API of an issuer that knows these sessions, as often as it
/// is asked, and says what it was asked.
async fn backend(sessions: Value) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let line = head.split(" HTTP").next().unwrap().to_owned();
            let find = |id: &str| {
                let all = sessions.as_array().unwrap();
                all.iter().find(|session| session["id"] == id).cloned()
            };
            let path = line.split_once(' ').unwrap().1;
            let answer = match path.strip_prefix("/v1/sessions/") {
                Some(rest) => find(rest.strip_suffix("/revoke").unwrap_or(rest)),
                None if path.starts_with("/v1/sessions?") => Some(json!({ "data": sessions })),
                None => Some(json!({
                    "id": "user_ada", "first_name": "Ada", "last_name": "Lovelace",
                    "private_metadata": { "weather": "k3y" },
                })),
            };
            let (status, body) = match answer {
                Some(body) => ("200 OK", body),
                None => ("404 Not Found", json!({ "errors": [] })),
            };
            log.lock().unwrap().push(line);
            let body = body.to_string();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

fn session(host: &TestHost, sub: &str, id: &str) -> String {
    host.mint(&TokenRequest {
        kind: TokenKind::Session,
        claims: json!({ "sid": id }).as_object().cloned().unwrap(),
        ..TokenRequest::new(sub)
    })
}

fn row(id: &str, user: &str) -> Value {
    json!({
        "id": id, "user_id": user, "status": "active", "created_at": 1_795_000_000_000_u64,
        "latest_activity": { "browser_name": "Firefox", "city": "Oslo" },
    })
}

#[tokio::test]
async fn callers_look_after_their_own_sessions() {
    let rows = json!([
        row("sess_1", "user_ada"),
        row("sess_2", "user_ada"),
        row("sess_3", "user_bob"),
    ]);
    let (url, asked) = backend(rows).await;
    let host = TestHost::with(
        &[("auth", "cloister_auth")],
        &[("clerk.api_url", url.as_str())],
    )
    .await;
    let ada = session(&host, "user_ada", "sess_1");

    let sessions = host.call(Some(&ada), "listSessions", json!({})).await;
    insta::assert_json_snapshot!(sessions["structuredContent"]);
    for id in ["sess_3", "sess_4", "../users"] {
        let refused = host
            .call(Some(&ada), "revokeSession", json!({ "sessionId": id }))
            .await;
        assert_eq!(
            text(&refused),
            "the caller has no such active session; `listSessions` tells which there are",
            "{id}"
        );
    }
    let revoked = |line: &String| line.starts_with("POST");
    assert!(!asked.lock().unwrap().iter().any(revoked));
    let others = host
        .call(Some(&ada), "revokeOtherSessions", json!({}))
        .await;
    assert_eq!(
        others["structuredContent"],
        json!({ "count": 1, "all": true })
    );
    let one = host
        .call(
            Some(&ada),
            "revokeSession",
            json!({ "sessionId": "sess_1" }),
        )
        .await;
    assert_eq!(one["structuredContent"], json!({ "count": 1 }));
    let asked: Vec<String> = asked
        .lock()
        .unwrap()
        .iter()
        .filter(|line| revoked(line))
        .cloned()
        .collect();
    assert_eq!(
        asked,
        [
            "POST /v1/sessions/sess_2/revoke",
            "POST /v1/sessions/sess_1/revoke"
        ]
    );

    // A token that is not of a session says so, and nobody without a token is served.
    let template = host.token("user_ada");
    let none = host
        .call(Some(&template), "revokeOtherSessions", json!({}))
        .await;
    assert!(
        text(&none).starts_with("the token belongs to no session"),
        "{}",
        text(&none)
    );
    let reply = host.send(None, &call(1, "listSessions", json!({}))).await;
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn no_service_looks_after_sign_ins_that_is_not_granted_it() {
    let rows = json!([row("sess_1", "user_ada"), row("sess_2", "user_ada")]);
    let (url, asked) = backend(rows).await;
    let host = TestHost::with(
        &[("weather", "guest_prying")],
        &[("clerk.api_url", url.as_str())],
    )
    .await;
    let ada = session(&host, "user_ada", "sess_1");
    let refresh = host.issuer().refresh_token("user_ada");
    let stolen = json!({ "refreshToken": refresh.expose_secret() });
    let expired = json!({ "refreshToken": refresh.expose_secret(), "expiredToken": ada });
    let calls = [
        ("redeem", None, stolen.clone()),
        ("renew", None, expired),
        ("devices", Some(&*ada), json!({})),
        ("signOut", Some(&*ada), json!({ "session": "sess_2" })),
        ("signOutOthers", Some(&*ada), json!({})),
    ];
    for (tool, token, arguments) in calls {
        let refused = host.call(token, tool, arguments).await;
        assert_eq!(refused["isError"], true, "{tool}: {refused}");
        let missing = "the operator grants it in `mcp/weather.toml`: sessions = true";
        assert!(text(&refused).contains(missing), "{tool}: {refused}");
    }
    let offered = host.call(None, "offered", json!({})).await;
    assert_eq!(
        offered["structuredContent"]["result"],
        json!([false, false])
    );
    assert!(asked.lock().unwrap().is_empty());

    // The same component does all of it once the operator wants that; the token was not used up before.
    let mut changes = host.changes();
    fs::write(host.file(".weather.new"), "sessions = true\n").unwrap();
    fs::rename(host.file(".weather.new"), host.file("weather.toml")).unwrap();
    changes.changed().await.unwrap();
    let redeemed = host.call(None, "redeem", stolen).await;
    assert_eq!(redeemed["isError"], Value::Null, "{redeemed}");
    let devices = host.call(Some(&ada), "devices", json!({})).await;
    assert_eq!(
        devices["structuredContent"]["result"],
        json!(["sess_1", "sess_2"])
    );
}

#[tokio::test]
async fn a_service_gets_what_is_the_callers_and_no_caller_whose_session_ended() {
    let mut ended = row("sess_2", "user_ada");
    ended["status"] = json!("revoked");
    let (url, _) = backend(json!([row("sess_1", "user_ada"), ended])).await;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mcp")).unwrap();
    for (service, name) in [("demo", "cloister_demo"), ("faulty", "guest_faulty")] {
        let file = folder.path().join(format!("mcp/{service}.wasm"));
        fs::copy(component(name), &file).unwrap();
        let manifest = "active_session = true\n[secrets]\nWEATHER = { user = \"weather\" }\nNEWS = { user = \"news\" }";
        fs::write(file.with_extension("toml"), manifest).unwrap();
    }
    let host = TestHost::start(folder, &[("clerk.api_url", url.as_str())]).await;
    let profile = async |id: &str| {
        let token = session(&host, "user_ada", id);
        let message = call(1, "getUserProfile", json!({}));
        host.send(Some(&token), &message).await
    };
    let known = profile("sess_1").await.json();
    let known = &known["result"]["structuredContent"];
    assert_eq!(
        (&known["firstName"], &known["lastName"]),
        (&json!("Ada"), &json!("Lovelace"))
    );
    for id in ["sess_2", "sess_3"] {
        let reply = profile(id).await;
        assert_eq!(reply.status, 401, "{id}");
        assert!(reply.header("www-authenticate").contains("invalid_token"));
    }
    for (user, name, told) in [
        ("user_ada", "WEATHER", "k3y"),
        ("user_ada", "NEWS", "not-set"),
        ("user_ada", "weather", "not-granted"),
        // The answer is about somebody else, so it is no answer.
        ("user_bob", "WEATHER", "unavailable"),
    ] {
        let token = host.token(user);
        let result = host
            .call(Some(&token), "tellSecret", json!({ "name": name }))
            .await;
        assert!(text(&result).contains(told), "{user} {name}: {result}");
    }
}
