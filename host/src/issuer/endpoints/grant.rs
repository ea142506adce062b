//! `POST /oauth/token`: the `refresh_token` grant (RFC 6749 §6) with rotation, and RFC 8707
//! resource indicators. It is strict where Clerk is said to be: forms only, one error per cause.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::json;
use url::{Url, form_urlencoded};

use super::super::State;
use super::super::grants::Grant;
use super::super::reply::{clerk_error, oauth_error, uncached};
use super::super::token::{MintError, TokenKind, TokenRequest};
use super::{is_content_type, is_same, read_body, too_long};
use crate::auth::OAuthClient;

/// The lifetime of access and id tokens: Clerk's.
const LIFETIME: Duration = Duration::from_hours(24);

/// Answers a token request.
pub(super) async fn token(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if !is_content_type(&head.headers, "application/x-www-form-urlencoded") {
        return oauth_error(
            "invalid_request",
            "the content type must be `application/x-www-form-urlencoded`",
        );
    }
    let Some(body) = read_body(body).await else {
        return too_long();
    };
    match Form::read(&body).and_then(|form| exchange(&state, &head.headers, &form)) {
        Ok(response) => response,
        Err(Refusal { code, description }) => oauth_error(code, description),
    }
}

/// Why a token request is refused.
struct Refusal {
    code: &'static str,
    description: &'static str,
}

fn refusal(code: &'static str, description: &'static str) -> Refusal {
    Refusal { code, description }
}

fn exchange(state: &State, headers: &HeaderMap, form: &Form) -> Result<Response, Refusal> {
    match form.get("grant_type") {
        None => return Err(refusal("invalid_request", "`grant_type` is missing")),
        Some("refresh_token") => {}
        Some(_) => {
            return Err(refusal(
                "unsupported_grant_type",
                "only `refresh_token` is supported",
            ));
        }
    }
    let client = client(state, headers, form)?;
    let old = form
        .get("refresh_token")
        .ok_or(refusal("invalid_request", "`refresh_token` is missing"))?;
    let grant = state
        .grants
        .find(old, &client.id)
        .ok_or(refusal("invalid_grant", "the refresh token is not valid"))?;
    let scopes = narrowed(&grant, form.get("scope"))?;
    for resource in &form.resources {
        // RFC 8707 §2.
        if Url::parse(resource).is_err() || resource.contains('#') {
            return Err(refusal(
                "invalid_target",
                "`resource` must be an absolute URI without a fragment",
            ));
        }
    }
    let new = state.ids.next();
    if !state.grants.rotate(old, &new) {
        return Err(refusal("invalid_grant", "the refresh token is not valid"));
    }
    match answer(state, &grant, &scopes, &form.resources, &new) {
        Ok(answer) => Ok(uncached(StatusCode::OK, &answer)),
        Err(error) => Ok(clerk_error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            &error.to_string(),
        )),
    }
}

/// The tokens of a grant.
fn answer(
    state: &State,
    grant: &Grant,
    scopes: &[String],
    resources: &[String],
    refresh_token: &str,
) -> Result<serde_json::Value, MintError> {
    let of_kind = |kind| TokenRequest {
        ttl: LIFETIME,
        kind,
        ..TokenRequest::new(&grant.subject)
    };
    let access_token = state.mint(&of_kind(TokenKind::OAuth {
        client_id: grant.client_id.clone(),
        scopes: scopes.to_vec(),
        resources: resources.to_vec(),
    }))?;
    let mut answer = json!({
        "access_token": access_token.expose_secret(),
        "token_type": "Bearer",
        "expires_in": LIFETIME.as_secs(),
        "refresh_token": refresh_token,
        "scope": scopes.join(" "),
    });
    if scopes.iter().any(|scope| scope == "openid") {
        let id_token = state.mint(&of_kind(TokenKind::IdToken {
            client_id: grant.client_id.clone(),
        }))?;
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("id_token".to_owned(), id_token.expose_secret().into());
        }
    }
    Ok(answer)
}

/// The scopes asked for, all of which must have been granted.
fn narrowed(grant: &Grant, scope: Option<&str>) -> Result<Vec<String>, Refusal> {
    let Some(scope) = scope else {
        return Ok(grant.scopes.clone());
    };
    let wanted: Vec<String> = scope.split_ascii_whitespace().map(str::to_owned).collect();
    if wanted.is_empty() || !wanted.iter().all(|scope| grant.scopes.contains(scope)) {
        return Err(refusal("invalid_scope", "`scope` goes beyond the grant"));
    }
    Ok(wanted)
}

/// The client, by HTTP Basic, by the form, or without a secret where it has none
/// (RFC 6749 §2.3.1).
fn client<'s>(
    state: &'s State,
    headers: &HeaderMap,
    form: &Form,
) -> Result<&'s OAuthClient, Refusal> {
    let unknown = || {
        refusal(
            "invalid_client",
            "the client is unknown or its secret is wrong",
        )
    };
    let (id, secret) = if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = value.to_str().ok();
        let (id, secret) = value.and_then(basic_credentials).ok_or_else(unknown)?;
        if form.get("client_secret").is_some()
            || form.get("client_id").is_some_and(|other| other != id)
        {
            return Err(refusal(
                "invalid_request",
                "the client must authenticate in one way only",
            ));
        }
        (id, Some(secret))
    } else {
        let id = form.get("client_id").ok_or_else(unknown)?;
        (id.to_owned(), form.get("client_secret").map(str::to_owned))
    };
    let client = [&state.confidential, &state.public]
        .into_iter()
        .find(|client| client.id == id)
        .ok_or_else(unknown)?;
    match (&client.secret, secret) {
        (None, None) => Ok(client),
        // HTTP Basic has no way to leave the secret out, only to leave it empty.
        (None, Some(shown)) if shown.is_empty() => Ok(client),
        (Some(secret), Some(shown)) if is_same(&shown, secret) => Ok(client),
        (None | Some(_), _) => Err(unknown()),
    }
}

/// Id and secret, each form-encoded before they were joined.
fn basic_credentials(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

/// Undoes the encoding of one form value. What stands for more than one value was not encoded.
fn form_decoded(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return None;
    }
    let pairs = format!("x={text}");
    let (_, value) = form_urlencoded::parse(pairs.as_bytes()).next()?;
    Some(value.into_owned())
}

/// The parameters of a token request.
struct Form {
    single: HashMap<String, String>,
    /// `resource` alone may come more than once (RFC 8707 §2).
    resources: Vec<String>,
}

impl Form {
    fn read(body: &[u8]) -> Result<Self, Refusal> {
        let mut single = HashMap::new();
        let mut resources = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            if name == "resource" {
                resources.push(value.into_owned());
            } else if value.is_empty() {
                // A parameter without a value counts as left out (RFC 6749 §3.2).
            } else if single
                .insert(name.into_owned(), value.into_owned())
                .is_some()
            {
                return Err(refusal("invalid_request", "a parameter came twice"));
            }
        }
        Ok(Self { single, resources })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.single.get(name).map(String::as_str)
    }
}
