//! The issuer's endpoints, each as Clerk's Frontend API has it, and one of our own that mints
//! tokens for the command line.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::State;
use super::gate::only_local;
use super::reply::{clerk_error, json as reply, uncached, with};
use super::token::{DEFAULT_LIFETIME, MintError, TokenKind, TokenRequest};

mod grant;

/// The longest request body, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// All endpoints, behind the gate.
pub(super) fn routes(state: Arc<State>) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/oauth/token", post(grant::token))
        .route("/development/token", post(mint))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&state), only_local))
        .with_state(state)
}

async fn jwks(Shared(state): Shared<Arc<State>>) -> Response {
    public(reply(StatusCode::OK, &state.keyring.jwks()))
}

/// The metadata of the authorization server (RFC 8414 §2): what this one serves, and nothing else.
async fn metadata(Shared(state): Shared<Arc<State>>) -> Response {
    let at = |path: &str| format!("{}{path}", state.issuer);
    public(reply(
        StatusCode::OK,
        &json!({
            "issuer": state.issuer,
            "token_endpoint": at("/oauth/token"),
            "jwks_uri": at("/.well-known/jwks.json"),
            "response_types_supported": [],
            "grant_types_supported": ["refresh_token"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic", "client_secret_post", "none",
            ],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "claims_supported": [
                "aud", "email", "email_verified", "exp", "family_name", "given_name", "iat",
                "iss", "picture", "sub",
            ],
        }),
    ))
}

/// The OAuth client that the command line is.
const DEVELOPMENT_CLIENT: &str = "client_development";

/// The body of a minting request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    sub: String,
    email: Option<String>,
    email_verified: Option<bool>,
    first_name: Option<String>,
    last_name: Option<String>,
    image_url: Option<String>,
    ttl_seconds: Option<u64>,
    /// Makes it an OAuth access token with these scopes.
    scopes: Option<Vec<String>>,
    claims: Option<Map<String, Value>>,
}

impl From<Wanted> for TokenRequest {
    /// What is said wins over the profile that the issuer has of the subject.
    fn from(wanted: Wanted) -> Self {
        let known = Self::new(wanted.sub);
        let email_verified = match (&wanted.email, wanted.email_verified) {
            (_, Some(verified)) => Some(verified),
            // Who names an address and says no more means one that is good.
            (Some(_), None) => Some(true),
            (None, None) => known.email_verified,
        };
        Self {
            email: wanted.email.or(known.email),
            email_verified,
            first_name: wanted.first_name.or(known.first_name),
            last_name: wanted.last_name.or(known.last_name),
            image_url: wanted.image_url.or(known.image_url),
            ttl: wanted
                .ttl_seconds
                .map_or(DEFAULT_LIFETIME, Duration::from_secs),
            kind: wanted.scopes.map_or(known.kind, |scopes| TokenKind::OAuth {
                client_id: DEVELOPMENT_CLIENT.to_owned(),
                scopes,
                resources: Vec::new(),
            }),
            claims: wanted.claims.unwrap_or_default(),
            ..known
        }
    }
}

/// Mints a token for whoever shows the secret key. Browsers are kept out altogether: no page has
/// any business here.
async fn mint(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if head.headers.contains_key(header::ORIGIN) {
        return clerk_error(
            StatusCode::FORBIDDEN,
            "origin_invalid",
            "tokens are not minted for web pages",
        );
    }
    if !shows_secret_key(&head.headers, &state.secret_key) {
        return clerk_error(
            StatusCode::UNAUTHORIZED,
            "clerk_key_invalid",
            "the secret key of the running development issuer is needed",
        );
    }
    if !is_content_type(&head.headers, "application/json") {
        return unusable("the content type must be `application/json`");
    }
    let Some(body) = read_body(body).await else {
        return too_long();
    };
    let wanted: Wanted = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return unusable(&error.to_string()),
    };
    let wanted = TokenRequest::from(wanted);
    match (state.mint(&wanted), wanted.lifetime()) {
        (Ok(token), Ok(lifetime)) => uncached(
            StatusCode::OK,
            &json!({
                "token": token.expose_secret(),
                "expires_at": (state.clock)().saturating_add(lifetime),
            }),
        ),
        (Err(error @ MintError::Signing), _) => clerk_error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            &error.to_string(),
        ),
        (Err(error), _) | (_, Err(error)) => unusable(&error.to_string()),
    }
}

async fn not_found() -> Response {
    clerk_error(StatusCode::NOT_FOUND, "resource_not_found", "not found")
}

async fn wrong_method() -> Response {
    clerk_error(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "method not allowed",
    )
}

fn unusable(message: &str) -> Response {
    clerk_error(
        StatusCode::UNPROCESSABLE_ENTITY,
        "request_body_invalid",
        message,
    )
}

fn too_long() -> Response {
    clerk_error(
        StatusCode::PAYLOAD_TOO_LARGE,
        "request_body_invalid",
        "the body must have at most 65536 bytes",
    )
}

/// What any web page may read.
fn public(response: Response) -> Response {
    with(
        response,
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    )
}

async fn read_body(body: Body) -> Option<axum::body::Bytes> {
    axum::body::to_bytes(body, MAX_BODY_BYTES).await.ok()
}

fn is_content_type(headers: &HeaderMap, wanted: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(wanted))
}

fn shows_secret_key(headers: &HeaderMap, key: &SecretString) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .is_some_and(|shown| is_same(shown, key))
}

/// Compares in a time that does not tell how much is right.
fn is_same(shown: &str, secret: &SecretString) -> bool {
    verify_slices_are_equal(shown.as_bytes(), secret.expose_secret().as_bytes()).is_ok()
}
