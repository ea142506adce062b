//! `POST /oauth/register`: a client makes itself known (RFC 7591). Anybody may, as with Clerk where it
//! is switched on: what a client may do is for the user to say.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::super::State;
use super::super::clients::{Client, ClientMetadata};
use super::super::records::digest;
use super::super::reply::{add, clerk_error, oauth_error, uncached};
use super::{is_content_type, read_body, too_long};

pub(super) async fn register(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    if !state.records().settings.dynamic_registration {
        return clerk_error(
            StatusCode::FORBIDDEN,
            "dynamic_oauth_client_registration_disabled",
            "clients may not register themselves",
        );
    }
    let (head, body) = request.into_parts();
    let wrong = |description| oauth_error("invalid_client_metadata", description);
    if !is_content_type(&head.headers, "application/json") {
        return wrong("the content type must be `application/json`");
    }
    let Some(body) = read_body(body).await else {
        return too_long();
    };
    let Ok(wanted) = serde_json::from_slice::<ClientMetadata>(&body) else {
        return wrong("the body must be a JSON object with `redirect_uris`, as RFC 7591 §2 has it");
    };
    if let Err(mistake) = wanted.check() {
        return oauth_error(mistake.code, mistake.description);
    }
    let id = format!("client_{}", state.ids.next());
    let method = wanted
        .token_endpoint_auth_method
        .as_deref()
        .unwrap_or("client_secret_basic");
    let secret = (method != "none").then(|| state.ids.next());
    let mut answer = json!({
        "client_id": id,
        "client_id_issued_at": state.now(),
        "redirect_uris": wanted.redirect_uris,
        "token_endpoint_auth_method": method,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    for (name, value) in [
        ("client_name", &wanted.client_name),
        ("client_uri", &wanted.client_uri),
        ("logo_uri", &wanted.logo_uri),
        ("scope", &wanted.scope),
    ] {
        if let Some(value) = value {
            add(&mut answer, name, value.as_str());
        }
    }
    if let Some(secret) = &secret {
        add(&mut answer, "client_secret", secret.as_str());
        add(&mut answer, "client_secret_expires_at", 0);
    }
    state.records().clients.register(Client {
        id,
        name: wanted.client_name,
        secret: secret.as_deref().map(digest),
        redirects: wanted.redirect_uris,
    });
    uncached(StatusCode::CREATED, &answer)
}
