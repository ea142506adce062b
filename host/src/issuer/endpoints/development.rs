//! What Clerk does not have: tokens for whomever one likes, for the command line, and keys that change
//! when one wants. Both need the secret key, and browsers are kept out altogether: no page has any
//! business here.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::reply::{add, clerk_error, uncached};
use super::super::token::{DEFAULT_LIFETIME, MintError, TokenKind, TokenRequest};
use super::super::{CLIENT, OldKey, State};
use super::{failed, not_found, only_with_secret, read_json, unusable};

pub(super) fn routes(state: &Arc<State>) -> Router<Arc<State>> {
    Router::new()
        .route("/token", post(mint))
        .route("/rotate-key", post(rotate_key))
        .fallback(not_found)
        .layer(from_fn_with_state(Arc::clone(state), only_with_secret))
        .layer(from_fn(not_for_pages))
}

async fn not_for_pages(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        return clerk_error(
            StatusCode::FORBIDDEN,
            "origin_invalid",
            "tokens are not minted for web pages",
        );
    }
    next.run(request).await
}

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
    /// Makes it the token of a new session, which goes on as long as it is refreshed.
    #[serde(default)]
    session: bool,
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
            kind: match wanted.scopes {
                Some(scopes) => TokenKind::OAuth {
                    client_id: CLIENT.to_owned(),
                    scopes,
                    resources: Vec::new(),
                },
                None if wanted.session => TokenKind::Session,
                None => known.kind,
            },
            claims: wanted.claims.unwrap_or_default(),
            ..known
        }
    }
}

/// Mints a token.
async fn mint(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let wanted: Wanted = match read_json(request).await {
        Ok(wanted) => wanted,
        Err(response) => return response,
    };
    if wanted.session && wanted.scopes.is_some() {
        return unusable("a session's token has no `scopes`");
    }
    let mut wanted = TokenRequest::from(wanted);
    let lifetime = match wanted.check() {
        Ok(lifetime) => lifetime,
        Err(error) => return unusable(&error.to_string()),
    };
    let mut answer = json!({ "expires_at": state.now().saturating_add(lifetime) });
    if wanted.kind == TokenKind::Session {
        let refresh_token = state.ids.next();
        let id = state.start_session(&wanted.sub, Some(&refresh_token));
        add(&mut answer, "session_id", id.as_str());
        add(&mut answer, "session_refresh_token", refresh_token);
        wanted.claims.insert("sid".to_owned(), id.into());
    }
    match state.mint(&wanted) {
        Ok(token) => {
            add(&mut answer, "token", token.expose_secret());
            uncached(StatusCode::OK, &answer)
        }
        Err(error @ MintError::Signing) => failed(&error),
        Err(error @ (MintError::Subject | MintError::Lifetime)) => unusable(&error.to_string()),
    }
}

/// The body of a request to change the key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default)]
    old: Old,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Old {
    #[default]
    Keep,
    Withdraw,
}

/// Signs with a new key from now on.
async fn rotate_key(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let wanted: Rotation = match read_json(request).await {
        Ok(wanted) => wanted,
        Err(response) => return response,
    };
    let old = match wanted.old {
        Old::Keep => OldKey::Keep,
        Old::Withdraw => OldKey::Withdraw,
    };
    let rotating = Arc::clone(&state);
    // Making a key takes a tenth of a second of pure computing.
    match tokio::task::spawn_blocking(move || rotating.rotate_key(old)).await {
        Ok(Ok(())) => uncached(StatusCode::OK, &state.keyring.jwks(state.now())),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}
