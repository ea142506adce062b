//! `POST /oauth/token`: a code or a refresh token becomes tokens (RFC 6749 §4.1.3, §6), with PKCE, with
//! rotation, and for the servers named (RFC 8707). It is strict where Clerk is said to be: forms only,
//! one error per cause.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::super::State;
use super::super::clients::Client;
use super::super::grants::{AccessToken, Grant, scopes as read_scopes};
use super::super::records::digest;
use super::super::reply::{add, oauth_error, uncached};
use super::super::token::{MintError, TokenKind, TokenRequest};
use super::form::{Form, Refusal, refusal};
use super::{failed, is_content_type, read_body, too_long};

/// The lifetime of access and id tokens: Clerk's.
const LIFETIME: Duration = Duration::from_hours(24);

/// The same, in seconds.
const LIFETIME_SECONDS: i64 = 86_400;

/// Answers a token request.
pub(super) async fn token(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let form = match read_form(request).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    match exchange(&state, &form.0, &form.1).await {
        Ok(tokens) => match answer(&state, &tokens) {
            Ok(answer) => uncached(StatusCode::OK, &answer),
            Err(error) => failed(&error),
        },
        Err(Refusal { code, description }) => oauth_error(code, description),
    }
}

/// The headers and the form of a request to an endpoint that clients authenticate at.
pub(super) async fn read_form(request: Request) -> Result<(HeaderMap, Form), Response> {
    let (head, body) = request.into_parts();
    if !is_content_type(&head.headers, "application/x-www-form-urlencoded") {
        return Err(oauth_error(
            "invalid_request",
            "the content type must be `application/x-www-form-urlencoded`",
        ));
    }
    let body = read_body(body).await.ok_or_else(too_long)?;
    let form = Form::read(&body)
        .map_err(|Refusal { code, description }| oauth_error(code, description))?;
    Ok((head.headers, form))
}

/// What is to be given out.
struct Wanted {
    grant: Grant,
    scopes: Vec<String>,
    resources: Vec<String>,
    refresh_token: Option<String>,
}

async fn exchange(state: &State, headers: &HeaderMap, form: &Form) -> Result<Wanted, Refusal> {
    let exchange: fn(&State, &Client, &Form) -> Result<Wanted, Refusal> =
        match form.get("grant_type") {
            None => return Err(refusal("invalid_request", "`grant_type` is missing")),
            Some("authorization_code") => redeem,
            Some("refresh_token") => refresh,
            Some(_) => {
                return Err(refusal(
                    "unsupported_grant_type",
                    "only `authorization_code` and `refresh_token` are supported",
                ));
            }
        };
    let client = client(state, headers, form).await?;
    exchange(state, &client, form)
}

/// A code becomes a grant. A code is used up by whatever its client sends with it.
fn redeem(state: &State, client: &Client, form: &Form) -> Result<Wanted, Refusal> {
    let shown = form
        .get("code")
        .ok_or(refusal("invalid_request", "`code` is missing"))?;
    let invalid = refusal("invalid_grant", "the code is not valid");
    let now = state.now();
    let mut records = state.records();
    let code = records
        .codes
        .get_mut(&digest(shown))
        .filter(|code| code.grant.client_id == client.id)
        .ok_or(invalid)?;
    let grant = code.grant.clone();
    if code.used {
        records.grants.end(&grant.id);
        return Err(invalid);
    }
    code.used = true;
    if now >= code.expires {
        return Err(invalid);
    }
    if code.redirect.as_deref() != form.get("redirect_uri") {
        return Err(refusal(
            "invalid_grant",
            "`redirect_uri` is not that of the authorization request",
        ));
    }
    if !is_proven(code.challenge.as_deref(), form.get("code_verifier")) {
        return Err(refusal(
            "invalid_grant",
            "`code_verifier` does not fit `code_challenge`",
        ));
    }
    let resources = narrowed_resources(&grant, form)?;
    // Clerk gives refresh tokens for this scope alone.
    let refresh_token = grant
        .scopes
        .iter()
        .any(|scope| scope == "offline_access")
        .then(|| state.ids.next());
    if let Some(token) = &refresh_token {
        records.grants.add(grant.clone(), token);
    }
    Ok(Wanted {
        scopes: grant.scopes.clone(),
        grant,
        resources,
        refresh_token,
    })
}

/// A refresh token becomes the next one.
fn refresh(state: &State, client: &Client, form: &Form) -> Result<Wanted, Refusal> {
    let old = form
        .get("refresh_token")
        .ok_or(refusal("invalid_request", "`refresh_token` is missing"))?;
    let mut records = state.records();
    let grant = records
        .grants
        .find(old, &client.id)
        .ok_or(refusal("invalid_grant", "the refresh token is not valid"))?;
    let scopes = narrowed_scopes(&grant, form.get("scope"))?;
    let resources = narrowed_resources(&grant, form)?;
    let new = state.ids.next();
    records.grants.rotate(old, &new);
    Ok(Wanted {
        grant,
        scopes,
        resources,
        refresh_token: Some(new),
    })
}

/// The answer of the endpoint (RFC 6749 §5.1).
fn answer(state: &State, wanted: &Wanted) -> Result<Value, MintError> {
    let has = |wanted_scope: &str| wanted.scopes.iter().any(|scope| scope == wanted_scope);
    let access_token = access_token(state, wanted)?;
    let mut answer = json!({
        "access_token": access_token.expose_secret(),
        "token_type": "Bearer",
        "expires_in": LIFETIME_SECONDS,
        "scope": wanted.scopes.join(" "),
    });
    if let Some(token) = &wanted.refresh_token {
        add(&mut answer, "refresh_token", token.as_str());
    }
    if has("openid") {
        let grant = &wanted.grant;
        let mut claims = Map::new();
        let mut claim = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        claim("at_hash", half_digest(access_token.expose_secret()).into());
        if let Some(nonce) = &grant.nonce {
            claim("nonce", nonce.as_str().into());
        }
        if let Some((at, session)) = &grant.signed_in {
            claim("auth_time", (*at).into());
            claim("sid", session.as_str().into());
        }
        let mut id_token = TokenRequest {
            ttl: LIFETIME,
            kind: TokenKind::IdToken {
                client_id: grant.client_id.clone(),
            },
            claims,
            ..TokenRequest::new(&grant.subject)
        };
        if !has("email") {
            (id_token.email, id_token.email_verified) = (None, None);
        }
        if !has("profile") {
            (id_token.first_name, id_token.last_name) = (None, None);
            id_token.image_url = None;
        }
        add(
            &mut answer,
            "id_token",
            state.mint(&id_token)?.expose_secret(),
        );
    }
    Ok(answer)
}

/// An access token, of the kind that is set.
fn access_token(state: &State, wanted: &Wanted) -> Result<SecretString, MintError> {
    let grant = &wanted.grant;
    if state.records().settings.jwt_access_tokens {
        return state.mint(&TokenRequest {
            ttl: LIFETIME,
            kind: TokenKind::OAuth {
                client_id: grant.client_id.clone(),
                scopes: wanted.scopes.clone(),
                resources: wanted.resources.clone(),
            },
            ..TokenRequest::new(&grant.subject)
        });
    }
    let token = format!("oat_{}", state.ids.next());
    let now = state.now();
    let record = AccessToken {
        id: format!("oat_{}", state.ids.next()),
        grant: Grant {
            scopes: wanted.scopes.clone(),
            resources: wanted.resources.clone(),
            ..grant.clone()
        },
        created: now,
        expires: now.saturating_add(LIFETIME_SECONDS),
        revoked: false,
    };
    state.records().grants.add_access_token(&token, record);
    Ok(token.into())
}

/// `at_hash` (`OpenID` Connect Core 1.0 §3.1.3.6).
fn half_digest(token: &str) -> String {
    let digest = digest(token);
    let half = digest.as_bytes().split_at_checked(16);
    half.map(|(left, _)| URL_SAFE_NO_PAD.encode(left))
        .unwrap_or_default()
}

/// Whether the verifier is what the challenge was made of (RFC 7636 §4.6). A verifier where there was
/// no challenge means that somebody took the challenge away (RFC 9700 §2.1.1).
fn is_proven(challenge: Option<&str>, verifier: Option<&str>) -> bool {
    match (challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => {
            let made = URL_SAFE_NO_PAD.encode(digest(verifier).as_bytes());
            (43..=128).contains(&verifier.len())
                && verify_slices_are_equal(made.as_bytes(), challenge.as_bytes()).is_ok()
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// The scopes asked for, all of which must have been granted.
fn narrowed_scopes(grant: &Grant, scope: Option<&str>) -> Result<Vec<String>, Refusal> {
    let Some(scope) = scope else {
        return Ok(grant.scopes.clone());
    };
    read_scopes(scope)
        .filter(|wanted| wanted.iter().all(|scope| grant.scopes.contains(scope)))
        .ok_or(refusal("invalid_scope", "`scope` goes beyond the grant"))
}

/// The servers asked for, which must be among those that were named when the user decided.
fn narrowed_resources(grant: &Grant, form: &Form) -> Result<Vec<String>, Refusal> {
    let wanted = form.resources()?;
    if wanted.is_empty() {
        return Ok(grant.resources.clone());
    }
    let is_granted = |resource| grant.resources.is_empty() || grant.resources.contains(resource);
    if !wanted.iter().all(is_granted) {
        return Err(refusal(
            "invalid_target",
            "`resource` was not named in the authorization request",
        ));
    }
    Ok(wanted.to_vec())
}

/// The client, by HTTP Basic, by the form, or without a secret where it has none
/// (RFC 6749 §2.3.1).
pub(super) async fn client(
    state: &State,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Arc<Client>, Refusal> {
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
        let secret = form.get("client_secret").map(str::to_owned);
        (id.to_owned(), secret.map(Zeroizing::new))
    };
    state
        .client(&id)
        .await
        .map_err(|_no_document| unknown())?
        .filter(|client| client.is_shown_by(secret.as_deref().map(String::as_str)))
        .ok_or_else(unknown)
}

/// Id and secret, each form-encoded before they were joined.
fn basic_credentials(value: &str) -> Option<(String, Zeroizing<String>)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let (id, secret) = str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((form_decoded(id)?, Zeroizing::new(form_decoded(secret)?)))
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
