//! The issuer's endpoints: Clerk's Frontend API for clients and their users, its Backend API for who
//! has the secret key, and three of our own for developing.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::State;
use super::gate::only_local;
use super::reply::{clerk_error, with};

mod access_token;
mod authorize;
mod back;
mod backend;
mod development;
mod faults;
mod form;
mod grant;
mod metadata;
mod page;
mod register;
mod sign_in;

/// The longest request body, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// All endpoints, behind the gate.
pub(super) fn routes(state: Arc<State>) -> Router {
    // What clients in browsers ask for themselves.
    let open = Router::new()
        .route("/.well-known/jwks.json", get(metadata::jwks))
        .route(
            "/.well-known/oauth-authorization-server",
            get(metadata::authorization_server),
        )
        .route(
            "/.well-known/openid-configuration",
            get(metadata::openid_configuration),
        )
        .route("/oauth/token", post(grant::token))
        .route("/oauth/token/revoke", post(access_token::revoke))
        .route("/oauth/token_info", post(access_token::info))
        .route(
            "/oauth/userinfo",
            get(access_token::user).post(access_token::user),
        )
        .route("/oauth/register", post(register::register))
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(cross_origin));
    Router::new()
        .route(
            "/oauth/authorize",
            get(authorize::authorize).post(authorize::authorize),
        )
        .route("/oauth/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/oauth/consent", post(sign_in::consent))
        .merge(open)
        .merge(backend::unversioned_routes(&state))
        .nest("/v1", backend::routes(&state))
        .nest("/development", development::routes(&state))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&state), faults::fail))
        .layer(from_fn_with_state(Arc::clone(&state), only_local))
        .with_state(state)
}

/// Lets any web page read the answers, and ask what it may send (Fetch, CORS protocol). There is
/// nothing here that a page could do with somebody else's cookies: these endpoints know none.
async fn cross_origin(request: Request, next: Next) -> Response {
    let is_question = request.method() == Method::OPTIONS;
    let mut response = if is_question {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    let mut add = |name, value| headers.insert(name, HeaderValue::from_static(value));
    add(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    if is_question {
        add(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST");
        add(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, mcp-protocol-version",
        );
        add(header::ACCESS_CONTROL_MAX_AGE, "3600");
    }
    response
}

/// Lets nobody in but who shows the secret key.
async fn only_with_secret(
    Shared(state): Shared<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    if shows(request.headers(), &state.secret_key) {
        return next.run(request).await;
    }
    clerk_error(
        StatusCode::UNAUTHORIZED,
        "clerk_key_invalid",
        "the secret key of the running development issuer is needed",
    )
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
        "the body must have at most 65536 bytes and come within 10 s",
    )
}

fn failed(cause: &dyn std::error::Error) -> Response {
    clerk_error(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        &cause.to_string(),
    )
}

/// Asks for a token, with what is wrong with the one that came, if one did (RFC 6750 §3).
fn challenged(response: Response, challenge: &'static str) -> Response {
    with(
        response,
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static(challenge),
    )
}

async fn read_body(body: Body) -> Option<Bytes> {
    let read = axum::body::to_bytes(body, MAX_BODY_BYTES);
    tokio::time::timeout(PATIENCE, read).await.ok()?.ok()
}

/// The JSON in the body of a request, which says that it is. Clerk's libraries send nothing where all
/// of it may be left out.
async fn read_json<T: DeserializeOwned>(request: Request) -> Result<T, Response> {
    let (head, body) = request.into_parts();
    if !is_content_type(&head.headers, "application/json") {
        return Err(unusable("the content type must be `application/json`"));
    }
    let body = read_body(body).await.ok_or_else(too_long)?;
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    serde_json::from_slice(text).map_err(|error| unusable(&error.to_string()))
}

/// A secret in a body.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Secret(SecretString);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

fn is_content_type(headers: &HeaderMap, wanted: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(wanted))
}

/// The token that a request shows.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    value
        .strip_prefix("Bearer ")
        .filter(|_| values.next().is_none())
}

/// Compares in a time that does not tell how much is right.
fn shows(headers: &HeaderMap, secret: &SecretString) -> bool {
    bearer(headers).is_some_and(|shown| {
        verify_slices_are_equal(shown.as_bytes(), secret.expose_secret().as_bytes()).is_ok()
    })
}
