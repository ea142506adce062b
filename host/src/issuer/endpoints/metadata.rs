//! What is published for everybody: the keys, and what the issuer can do. It names what is served, and
//! nothing else.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::super::State;
use super::super::reply::{add, json as reply};

pub(super) async fn jwks(Shared(state): Shared<Arc<State>>) -> Response {
    reply(StatusCode::OK, &state.keyring.jwks(state.now()))
}

/// The metadata of the authorization server (RFC 8414 §2).
pub(super) async fn authorization_server(Shared(state): Shared<Arc<State>>) -> Response {
    let mut document = common(&state);
    if state.records().settings.dynamic_registration {
        add(
            &mut document,
            "registration_endpoint",
            format!("{}/oauth/register", state.issuer),
        );
    }
    reply(StatusCode::OK, &document)
}

/// The configuration of the `OpenID` provider (`OpenID` Connect Discovery 1.0 §3).
pub(super) async fn openid_configuration(Shared(state): Shared<Arc<State>>) -> Response {
    let mut document = common(&state);
    add(
        &mut document,
        "userinfo_endpoint",
        format!("{}/oauth/userinfo", state.issuer),
    );
    add(
        &mut document,
        "introspection_endpoint",
        format!("{}/oauth/token_info", state.issuer),
    );
    add(&mut document, "backchannel_logout_supported", false);
    add(&mut document, "frontchannel_logout_supported", false);
    reply(StatusCode::OK, &document)
}

fn common(state: &State) -> Value {
    let at = |path: &str| format!("{}{path}", state.issuer);
    json!({
        "issuer": state.issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"),
        "revocation_endpoint": at("/oauth/token/revoke"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic", "client_secret_post", "none",
        ],
        "scopes_supported": [
            "openid", "profile", "email", "offline_access", "public_metadata", "private_metadata",
        ],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": [
            "aud", "auth_time", "at_hash", "email", "email_verified", "exp", "family_name",
            "given_name", "iat", "iss", "nonce", "picture", "sid", "sub",
        ],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
    })
}
