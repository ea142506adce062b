//! What can be asked of an access token: whom it is for, whether it is good, and that it be good no
//! more.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::super::State;
use super::super::grants::{Grant, scopes};
use super::super::reply::{clerk_error, oauth_error, uncached};
use super::form::{Refusal, refusal};
use super::grant::{client, read_form};
use super::{bearer, challenged};

/// An access token that is good.
struct Good {
    client_id: String,
    subject: String,
    scopes: Vec<String>,
    issued: i64,
}

/// The token, a JWT or opaque, if it is an access token and good now.
fn good(state: &State, token: &str) -> Option<Good> {
    let now = state.now();
    if token.starts_with("oat_") {
        let records = state.records();
        let token = records.grants.access_token(token)?;
        let Grant {
            client_id,
            subject,
            scopes,
            ..
        } = token.grant.clone();
        return (!token.revoked && now < token.expires).then_some(Good {
            client_id,
            subject,
            scopes,
            issued: token.created,
        });
    }
    let read = state.keyring.read(token, now)?;
    let text = |name: &str| Some(read.claims.get(name)?.as_str()?.to_owned());
    let number = |name: &str| read.claims.get(name).and_then(Value::as_i64);
    let is_access_token = read.header.get("typ")? == "at+jwt";
    (is_access_token && now < number("exp")?).then_some(Good {
        client_id: text("client_id")?,
        subject: text("sub")?,
        scopes: scopes(&text("scope")?).unwrap_or_default(),
        issued: number("iat")?,
    })
}

/// `/oauth/userinfo`: what the user lets the client know (`OpenID` Connect Core 1.0 §5.3).
pub(super) async fn user(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let refused = |message, challenge| {
        challenged(
            clerk_error(StatusCode::UNAUTHORIZED, "oauth_token_invalid", message),
            challenge,
        )
    };
    let Some(token) = bearer(request.headers()) else {
        return refused("an access token is needed", "Bearer");
    };
    let Some(token) = good(&state, token) else {
        return refused(
            "the access token is not valid",
            "Bearer error=\"invalid_token\"",
        );
    };
    let info = state.records().users.info(&token.subject, &token.scopes);
    uncached(StatusCode::OK, &info)
}

/// `/oauth/token_info`: introspection (RFC 7662), for clients with a secret.
pub(super) async fn info(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let asked = async {
        let (headers, form) = read_form(request).await?;
        let refuse = |Refusal { code, description }| oauth_error(code, description);
        let client = client(&state, &headers, &form).await.map_err(refuse)?;
        if client.secret.is_none() {
            return Err(oauth_error(
                "invalid_client",
                "a client needs a secret to ask about tokens",
            ));
        }
        let token = form
            .get("token")
            .ok_or_else(|| refuse(refusal("invalid_request", "`token` is missing")))?;
        Ok(good(&state, token))
    };
    match asked.await {
        Ok(Some(token)) => uncached(
            StatusCode::OK,
            &json!({
                "active": true,
                "client_id": token.client_id,
                "iat": token.issued,
                "scope": token.scopes.join(" "),
                "sub": token.subject,
            }),
        ),
        Ok(None) => uncached(StatusCode::OK, &json!({"active": false})),
        Err(response) => response,
    }
}

/// `/oauth/token/revoke` (RFC 7009). What is a JWT cannot be taken back.
pub(super) async fn revoke(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let revoked = async {
        let (headers, form) = read_form(request).await?;
        let refuse = |Refusal { code, description }| oauth_error(code, description);
        let client = client(&state, &headers, &form).await.map_err(refuse)?;
        let token = form
            .get("token")
            .ok_or_else(|| refuse(refusal("invalid_request", "`token` is missing")))?;
        if token.contains('.') {
            return Err(refuse(refusal(
                "unsupported_token_type",
                "a JWT cannot be revoked: it ends by itself",
            )));
        }
        state.records().grants.revoke(token, &client.id);
        Ok(Response::new(Body::empty()))
    };
    revoked.await.unwrap_or_else(|refused| refused)
}
