//! The Backend API, for who has the secret key: users, sessions, tokens and keys, as Clerk answers for
//! them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State as Shared};
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, patch, post};
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::State;
use super::super::api_keys::ApiKey;
use super::super::grants::AccessToken;
use super::super::reply::{add, clerk_error, json as reply, uncached};
use super::super::token::{DEFAULT_LIFETIME, TokenKind, TokenRequest};
use super::super::users::User;
use super::form::Form;
use super::{
    Secret, failed, metadata, not_found, only_with_secret, read_json, unusable, wrong_method,
};

/// Everything under `/v1`.
pub(super) fn routes(state: &Arc<State>) -> Router<Arc<State>> {
    Router::new()
        .route("/jwks", get(metadata::jwks))
        .route("/users/{id}", get(user))
        .route("/users/{id}/metadata", patch(user_metadata))
        .route("/sessions", get(sessions))
        .route("/sessions/{id}", get(session))
        .route("/sessions/{id}/revoke", post(revoke_session))
        .route("/sessions/{id}/tokens", post(session_token))
        .route("/sessions/{id}/tokens/{template}", post(template_token))
        .route("/sessions/{id}/refresh", post(refresh_session))
        .route("/instance/oauth_application_settings", patch(set_oauth))
        .merge(token_routes())
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(state), only_with_secret))
}

/// What Clerk's libraries ask for without the version.
pub(super) fn unversioned_routes(state: &Arc<State>) -> Router<Arc<State>> {
    token_routes()
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(state), only_with_secret))
}

/// Tokens without content.
fn token_routes() -> Router<Arc<State>> {
    Router::new()
        .route(
            "/oauth_applications/access_tokens/verify",
            post(verify_access_token),
        )
        .route("/api_keys", post(make_api_key))
        .route("/api_keys/verify", post(verify_api_key))
        .route("/api_keys/{id}/revoke", post(revoke_api_key))
}

fn unknown() -> Response {
    clerk_error(
        StatusCode::NOT_FOUND,
        "resource_not_found",
        "there is none of this id",
    )
}

fn found(body: Option<Value>) -> Response {
    body.map_or_else(unknown, |body| uncached(StatusCode::OK, &body))
}

async fn user(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response {
    found(User::find(&id).map(|user| state.records().users.shown(user)))
}

#[derive(Deserialize)]
struct UserMetadata {
    #[serde(default, rename = "public_metadata")]
    public: Map<String, Value>,
    #[serde(default, rename = "private_metadata")]
    private: Map<String, Value>,
    #[serde(default, rename = "unsafe_metadata")]
    unsafe_: Map<String, Value>,
}

async fn user_metadata(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let wanted: UserMetadata = match read_json(request).await {
        Ok(wanted) => wanted,
        Err(response) => return response,
    };
    let Some(user) = User::find(&id) else {
        return unknown();
    };
    let users = &mut state.records().users;
    let merged = users.merge(user, wanted.public, wanted.private, wanted.unsafe_);
    match merged {
        Ok(()) => uncached(StatusCode::OK, &users.shown(user)),
        Err(error) => unusable(&error.to_string()),
    }
}

/// The sessions of a user or of a browser. Clerk lets neither be left out, whatever its description
/// says.
async fn sessions(Shared(state): Shared<Arc<State>>, uri: Uri) -> Response {
    let Ok(query) = Form::read(uri.query().unwrap_or_default().as_bytes()) else {
        return unusable("a parameter came twice, or there are more than 64");
    };
    let (user_id, client_id) = (query.get("user_id"), query.get("client_id"));
    if user_id.is_none() && client_id.is_none() {
        return clerk_error(
            StatusCode::UNPROCESSABLE_ENTITY,
            "form_param_missing",
            "`user_id` or `client_id` is needed",
        );
    }
    let number = |name: &str, usual: usize, most: usize| match query.get(name) {
        None => Some(usual),
        Some(text) => text.parse().ok().filter(|number| *number <= most),
    };
    let (Some(limit @ 1..), Some(offset)) =
        (number("limit", 10, 500), number("offset", 0, usize::MAX))
    else {
        return clerk_error(
            StatusCode::UNPROCESSABLE_ENTITY,
            "form_param_format_invalid",
            "`limit` must be 1 to 500, and `offset` a number",
        );
    };
    let now = state.now();
    let records = state.records();
    let matching: Vec<Value> = records
        .sessions
        .find(user_id, client_id)
        .filter(|session| {
            query
                .get("status")
                .is_none_or(|status| session.status(now) == status)
        })
        .map(|session| session.shown(now))
        .collect();
    let total = matching.len();
    let shown: Vec<Value> = matching.into_iter().skip(offset).take(limit).collect();
    let answer = if query.get("paginated") == Some("true") {
        json!({"data": shown, "total_count": total})
    } else {
        shown.into()
    };
    uncached(StatusCode::OK, &answer)
}

async fn session(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response {
    let now = state.now();
    let records = state.records();
    found(records.sessions.get(&id).map(|session| session.shown(now)))
}

async fn revoke_session(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response {
    let now = state.now();
    let mut records = state.records();
    let revoked = records.sessions.revoke(&id, now);
    found(revoked.map(|session| session.shown(now)))
}

/// The body of a request for a token, all of which may be left out.
#[derive(Deserialize)]
struct Lifetime {
    expires_in_seconds: Option<u64>,
}

async fn session_token(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    token_of_session(&state, &id, TokenKind::Session, request).await
}

/// Every template is one with the profile in it.
async fn template_token(
    Shared(state): Shared<Arc<State>>,
    Path((id, _template)): Path<(String, String)>,
    request: Request,
) -> Response {
    token_of_session(&state, &id, TokenKind::Template, request).await
}

async fn token_of_session(state: &State, id: &str, kind: TokenKind, request: Request) -> Response {
    let wanted: Lifetime = match read_json(request).await {
        Ok(wanted) => wanted,
        Err(response) => return response,
    };
    let ttl = match wanted.expires_in_seconds {
        None => DEFAULT_LIFETIME,
        Some(seconds @ 30..=315_360_000) => Duration::from_secs(seconds),
        Some(_) => return unusable("`expires_in_seconds` must be 30 to 315360000"),
    };
    let now = state.now();
    let user_id = match state.records().sessions.active(id, now) {
        Some(session) => session.user_id.clone(),
        None => return unknown(),
    };
    let mut wanted = TokenRequest {
        ttl,
        kind,
        // No page asked for it.
        omit: vec!["azp".to_owned()],
        ..TokenRequest::new(user_id)
    };
    if wanted.kind == TokenKind::Session {
        wanted.claims.insert("sid".to_owned(), id.into());
    }
    minted(state, &wanted, |jwt| json!({"object": "token", "jwt": jwt}))
}

fn minted(state: &State, wanted: &TokenRequest, answer: impl FnOnce(&str) -> Value) -> Response {
    match state.mint(wanted) {
        Ok(token) => uncached(StatusCode::OK, &answer(token.expose_secret())),
        Err(error) => failed(&error),
    }
}

/// The body of a request to refresh a session.
#[derive(Deserialize)]
struct SessionRefresh {
    expired_token: Option<Secret>,
    refresh_token: Option<Secret>,
    request_origin: Option<String>,
    format: Option<String>,
}

/// A new token of a session, for its last one and what the cookie `__refresh` holds.
async fn refresh_session(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let wanted: SessionRefresh = match read_json(request).await {
        Ok(wanted) => wanted,
        Err(response) => return response,
    };
    let (Some(expired), Some(refresh_token), Some(origin)) = (
        wanted.expired_token,
        wanted.refresh_token,
        wanted.request_origin.filter(|origin| !origin.is_empty()),
    ) else {
        return clerk_error(
            StatusCode::BAD_REQUEST,
            "form_param_missing",
            "`expired_token`, `refresh_token` and `request_origin` are needed",
        );
    };
    let as_cookies = match wanted.format.as_deref() {
        None | Some("token") => false,
        Some("cookie") => true,
        Some(_) => return unusable("`format` may be `token` or `cookie`"),
    };
    let now = state.now();
    let named = state.keyring.read(expired.0.expose_secret(), now);
    let is_of_session = named.is_some_and(|token| token.claims.get("sid") == Some(&json!(id)));
    let user_id = state
        .records()
        .sessions
        .active(&id, now)
        .filter(|session| is_of_session && session.is_refreshed_by(refresh_token.0.expose_secret()))
        .map(|session| session.user_id.clone());
    let Some(user_id) = user_id else {
        return clerk_error(
            StatusCode::UNAUTHORIZED,
            "session_refresh_invalid",
            "the session, its token and its refresh token do not fit each other, or the session is over",
        );
    };
    let claims = json!({"sid": id, "azp": origin});
    let wanted = TokenRequest {
        kind: TokenKind::Session,
        claims: claims.as_object().cloned().unwrap_or_default(),
        ..TokenRequest::new(user_id)
    };
    minted(&state, &wanted, |jwt| {
        if as_cookies {
            let cookies = [
                format!("__session={jwt}; Path=/; SameSite=Lax"),
                format!(
                    "__refresh={}; Path=/; HttpOnly; SameSite=Lax",
                    refresh_token.0.expose_secret()
                ),
            ];
            json!({"object": "cookies", "cookies": cookies})
        } else {
            json!({"object": "token", "jwt": jwt})
        }
    })
}

#[derive(Deserialize)]
struct OpaqueToken {
    access_token: Secret,
}

async fn verify_access_token(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let shown: OpaqueToken = match read_json(request).await {
        Ok(shown) => shown,
        Err(response) => return response,
    };
    let now = state.now();
    let records = state.records();
    let Some(token) = records
        .grants
        .access_token(shown.access_token.0.expose_secret())
    else {
        return clerk_error(
            StatusCode::NOT_FOUND,
            "oauth_token_not_found",
            "this access token is not known",
        );
    };
    uncached(StatusCode::OK, &shown_access_token(token, now))
}

/// With times in seconds, unlike everything else.
fn shown_access_token(token: &AccessToken, now: i64) -> Value {
    let mut shown = json!({
        "object": "clerk_idp_oauth_access_token",
        "id": token.id,
        "client_id": token.grant.client_id,
        "subject": token.grant.subject,
        "scopes": token.grant.scopes,
        "revoked": token.revoked,
        "revocation_reason": null,
        "expired": token.expires <= now,
        "expiration": token.expires,
        "created_at": token.created,
        "updated_at": token.created,
    });
    if !token.grant.resources.is_empty() {
        add(&mut shown, "aud", json!(token.grant.resources));
    }
    shown
}

/// The body of a request for an API key.
#[derive(Deserialize)]
struct WantedKey {
    name: String,
    subject: String,
    scopes: Option<Vec<String>>,
    claims: Option<Map<String, Value>>,
    seconds_until_expiration: Option<u32>,
}

async fn make_api_key(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let wanted: WantedKey = match read_json(request).await {
        Ok(wanted) => wanted,
        Err(response) => return response,
    };
    let is_subject = ["user_", "org_"].iter().any(|kind| {
        wanted
            .subject
            .strip_prefix(kind)
            .is_some_and(|id| (1..=64).contains(&id.len()))
    });
    if !is_subject || !(1..=100).contains(&wanted.name.len()) {
        return unusable(
            "`subject` must be the id of a user or an organization, and `name` must have 1 to 100 bytes",
        );
    }
    let now = state.now();
    let secret = Zeroizing::new(format!("ak_{}", state.ids.next()));
    let key = ApiKey {
        id: format!("ak_{}", state.ids.next()),
        subject: wanted.subject,
        name: wanted.name,
        scopes: wanted.scopes.unwrap_or_default(),
        claims: wanted.claims.map(Value::Object),
        created: now,
        expires: wanted
            .seconds_until_expiration
            .map(|seconds| now.saturating_add(seconds.into())),
        revoked: false,
    };
    let mut shown = key.shown(now);
    add(&mut shown, "secret", secret.as_str());
    state.records().api_keys.add(&secret, key);
    uncached(StatusCode::OK, &shown)
}

#[derive(Deserialize)]
struct KeySecret {
    secret: Secret,
}

async fn verify_api_key(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let shown: KeySecret = match read_json(request).await {
        Ok(shown) => shown,
        Err(response) => return response,
    };
    let now = state.now();
    let records = state.records();
    let key = records.api_keys.by_secret(shown.secret.0.expose_secret());
    key.map_or_else(
        || {
            clerk_error(
                StatusCode::NOT_FOUND,
                "api_key_not_found",
                "this API key is not known",
            )
        },
        |key| uncached(StatusCode::OK, &key.shown(now)),
    )
}

async fn revoke_api_key(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response {
    let now = state.now();
    let mut records = state.records();
    found(records.api_keys.revoke(&id).map(|key| key.shown(now)))
}

/// What can be set of an instance's OAuth; what is left out stays as it is.
#[derive(Deserialize)]
struct WantedSettings {
    oauth_jwt_access_tokens: Option<bool>,
    dynamic_oauth_client_registration: Option<bool>,
}

async fn set_oauth(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let wanted: WantedSettings = match read_json(request).await {
        Ok(wanted) => wanted,
        Err(response) => return response,
    };
    let settings = &mut state.records().settings;
    if let Some(jwt) = wanted.oauth_jwt_access_tokens {
        settings.jwt_access_tokens = jwt;
    }
    if let Some(dynamic) = wanted.dynamic_oauth_client_registration {
        settings.dynamic_registration = dynamic;
    }
    reply(
        StatusCode::OK,
        &json!({
            "object": "oauth_application_settings",
            "oauth_jwt_access_tokens": settings.jwt_access_tokens,
            "dynamic_oauth_client_registration": settings.dynamic_registration,
        }),
    )
}
