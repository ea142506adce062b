//! The refresh grant on the wire, and what becomes of every answer.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::draft::{id_token, oauth};
use super::server::{Answer, Server};
use crate::auth::session::{Needed, SessionError, Tokens};
use crate::auth::{Auth, OAuthClient, Party, Resource, Settings};

fn auth(server: &Server, client: Option<OAuthClient>) -> Auth {
    let mut settings = Settings::new(server.url(""));
    settings.client = client;
    Auth::new(settings, Arc::new(|| super::NOW)).unwrap()
}

fn confidential() -> OAuthClient {
    OAuthClient {
        id: "client_1".to_owned(),
        secret: Some("s3cret".into()),
    }
}

fn tokens() -> Value {
    json!({"access_token": "new", "token_type": "bearer", "expires_in": 86400})
}

async fn refresh(server: &Server, token: &str) -> Result<Tokens, SessionError> {
    let auth = auth(server, Some(confidential()));
    auth.sessions().refresh(token.into(), &Party::Local).await
}

#[tokio::test]
async fn a_confidential_client_shows_its_secret_by_basic() {
    let server = Server::start(Answer::json(
        json!({
            "access_token": "new", "token_type": "bearer", "expires_in": 86400,
            "refresh_token": "next", "scope": "openid email", "id_token": "id",
        })
        .to_string(),
    ));
    let mut settings = Settings::new(server.url(""));
    settings.resource = Some(Resource::Public("https://mcp.example.test/mcp".to_owned()));
    settings.client = Some(OAuthClient {
        id: "client 1".to_owned(),
        secret: Some("s:c+rét".into()),
    });
    let auth = Auth::new(settings, Arc::new(|| super::NOW)).unwrap();
    let tokens = auth
        .sessions()
        .refresh("old&token".into(), &Party::Local)
        .await
        .unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "new");
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "next");
    assert_eq!(tokens.id_token.unwrap().expose_secret(), "id");
    assert_eq!(tokens.scope.as_deref(), Some("openid email"));
    assert_eq!(
        (tokens.expires_in, tokens.token_type.as_str()),
        (Some(86_400), "Bearer")
    );

    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /oauth/token HTTP/1.1\r\n"));
    // base64 of `client+1:s%3Ac%2Br%C3%A9t`
    assert!(
        head.contains("authorization: Basic Y2xpZW50KzE6cyUzQWMlMkJyJUMzJUE5dA=="),
        "{head}"
    );
    assert!(head.contains("content-type: application/x-www-form-urlencoded"));
    assert_eq!(
        body,
        "grant_type=refresh_token&refresh_token=old%26token&resource=https%3A%2F%2Fmcp.example.test%2Fmcp"
    );
}

#[tokio::test]
async fn a_public_client_names_itself_in_the_form() {
    let server = Server::start(Answer::json(tokens().to_string()));
    let client = OAuthClient {
        id: "client_1".to_owned(),
        secret: None,
    };
    let tokens = auth(&server, Some(client))
        .sessions()
        .refresh("old".into(), &Party::Local)
        .await;
    assert!(tokens.unwrap().refresh_token.is_none());
    let request = &server.requests()[0];
    assert!(!request.to_ascii_lowercase().contains("authorization:"));
    assert!(request.ends_with("grant_type=refresh_token&refresh_token=old&client_id=client_1"));
}

#[tokio::test]
async fn nothing_is_asked_without_a_client_or_a_token() {
    let server = Server::start(Answer::json(tokens().to_string()));
    let unset = auth(&server, None);
    assert!(!unset.sessions().info().refresh_available);
    let refused = unset
        .sessions()
        .refresh("old".into(), &Party::Local)
        .await
        .unwrap_err();
    assert_eq!(refused, SessionError::NotConfigured(Needed::Client));
    assert!(refused.to_string().contains("CLERK_OAUTH_CLIENT_ID"));
    for token in ["", &"x".repeat(2_049)] {
        assert_eq!(
            refresh(&server, token).await.unwrap_err(),
            SessionError::Refused
        );
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn the_error_decides_and_not_the_status() {
    for (status, code, outcome) in [
        ("400 Bad Request", "invalid_grant", SessionError::Refused),
        ("401 Unauthorized", "invalid_grant", SessionError::Refused),
        ("400 Bad Request", "invalid_request", SessionError::Refused),
        (
            "401 Unauthorized",
            "invalid_client",
            SessionError::Unavailable,
        ),
        (
            "400 Bad Request",
            "unauthorized_client",
            SessionError::Unavailable,
        ),
        (
            "400 Bad Request",
            "something_new",
            SessionError::Unavailable,
        ),
    ] {
        let body = json!({"error": code, "error_description": "d"}).to_string();
        let server = Server::start(Answer::of(status, "", body));
        assert_eq!(
            refresh(&server, "old").await.unwrap_err(),
            outcome,
            "{code}"
        );
        assert_eq!(server.count(), 1, "{code}");
    }
}

#[tokio::test]
async fn an_unusable_answer_is_unavailable_and_never_asked_for_twice() {
    let different = json!({
        "access_token": oauth().token(), "token_type": "Bearer",
        "id_token": id_token().claims(&json!({"sub": "user_other"})).token(),
    });
    let redirect = "Location: http://169.254.169.254/\r\n";
    for (name, answer) in [
        (
            "HTML",
            Answer::of("200 OK", "Content-Type: text/html\r\n", "<!doctype html>"),
        ),
        ("204", Answer::of("204 No Content", "", "")),
        ("500", Answer::of("500 Internal Server Error", "", "{}")),
        (
            "tokens with 500",
            Answer::of("500 Internal Server Error", "", tokens().to_string()),
        ),
        (
            "redirect",
            Answer::of("307 Temporary Redirect", redirect, ""),
        ),
        (
            "oversized",
            Answer::json(format!("{}{}", tokens(), " ".repeat(70_000))),
        ),
        ("array", Answer::json("[]")),
        ("no token", Answer::json(r#"{"token_type":"Bearer"}"#)),
        (
            "MAC",
            Answer::json(r#"{"access_token":"a","token_type":"mac"}"#),
        ),
        (
            "numeric error",
            Answer::json(r#"{"access_token":"a","token_type":"Bearer","error":7}"#),
        ),
        ("two users", Answer::json(different.to_string())),
    ] {
        let server = Server::start(answer);
        let outcome = refresh(&server, "old").await.unwrap_err();
        assert_eq!(outcome, SessionError::Unavailable, "{name}");
        assert_eq!(server.count(), 1, "{name}");
    }
    let gone = Server::start(Answer::Drip).url("");
    let mut settings = Settings::new(gone);
    settings.client = Some(confidential());
    let auth = Auth::new(settings, Arc::new(|| super::NOW)).unwrap();
    let outcome = auth
        .sessions()
        .refresh("old".into(), &Party::Local)
        .await
        .unwrap_err();
    assert_eq!(outcome, SessionError::Unavailable);
}

#[tokio::test]
async fn a_limit_is_passed_on_with_its_pause() {
    for (headers, pause) in [
        ("Retry-After: 7\r\n", Some(7)),
        ("Retry-After: 99999999999\r\n", Some(86_400)),
        ("Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", None),
        ("", None),
    ] {
        let server = Server::start(Answer::of("429 Too Many Requests", headers, "{}"));
        let outcome = refresh(&server, "old").await.unwrap_err();
        assert_eq!(
            outcome,
            SessionError::Limited(pause.map(Duration::from_secs))
        );
        assert_eq!(server.count(), 1);
    }
}
