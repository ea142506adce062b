//! Staying signed in: the `refresh_token` grant (RFC 6749 §6) as Clerk wants it, and what the Backend
//! API has besides. The secrets stay in here; what the issuer answers is passed on as typed values,
//! never as its own text.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

use super::backend::{self, Backend, retry_after};
use super::json::{Json, Object};
use super::party::Party;
use super::settings::{OAuthClient, Resource};
use super::token::{Fingerprint, Segments};
use super::upstream::{MAX_ANSWER_BYTES, read_body, secret_body};
use super::verifier::Verifier;

/// The longest refresh token that is passed on, in bytes. Clerk's are far shorter.
pub const MAX_REFRESH_TOKEN_BYTES: usize = 2_048;

mod limits;
mod own;

pub(super) use limits::Limits;
pub use own::Ended;

/// Sign-ins, for whoever offers their callers to look after them: what the `auth` service of the box
/// needs.
pub struct Sessions {
    pub(super) http: Client,
    pub(super) provider: String,
    pub(super) issuer: String,
    pub(super) resource: Option<Resource>,
    pub(super) client: Option<OAuthClient>,
    pub(super) backend: Option<Arc<Backend>>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) limits: Limits,
}

/// How callers identify themselves to this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The name of the identity provider, for example `clerk`.
    pub provider: String,
    /// The issuer of the tokens that are accepted, a URL.
    pub issuer: String,
    /// Whether [`Sessions::refresh`] can succeed with the present settings.
    pub refresh_available: bool,
    /// Whether [`Sessions::refresh_session`] and what is about sessions can.
    pub sessions_available: bool,
    /// The address that an OAuth client gives as `resource`, where the host knows its own.
    pub resource: Option<String>,
}

/// New tokens (RFC 6749 §5.1).
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The new access token.
    pub access_token: SecretString,
    /// The new id token, when the grant has the scope `openid`.
    pub id_token: Option<SecretString>,
    /// The refresh token to use from now on; when none, the old one stays good.
    pub refresh_token: Option<SecretString>,
    /// The lifetime of the access token, in seconds.
    pub expires_in: Option<u64>,
    /// How to present the access token: `Bearer`.
    pub token_type: String,
    /// The scopes granted, separated by spaces.
    pub scope: Option<String>,
}

/// Why a sign-in could not be looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// The operator has not configured what this needs.
    NotConfigured(Needed),
    /// The issuer refused. The causes have one text on purpose.
    Refused,
    /// The caller has no such session. Whether somebody else has is not told.
    NotFound,
    /// The caller's token belongs to no session.
    NoSession,
    /// Too many requests; how long to wait, when known.
    Limited(Option<Duration>),
    /// The issuer could not be reached, or its answer was unusable. It may have done what it was asked
    /// all the same, so this is never repeated.
    Unavailable,
}

/// What the operator has to configure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// The OAuth client.
    Client,
    /// The key of the Backend API.
    SecretKey,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConfigured(Needed::Client) => {
                "refreshing is not configured: the operator has to set `CLERK_OAUTH_CLIENT_ID` \
                 and, for a confidential client, `CLERK_OAUTH_CLIENT_SECRET`"
            }
            Self::NotConfigured(Needed::SecretKey) => {
                "sessions are not configured: the operator has to set `CLERK_SECRET_KEY`"
            }
            Self::Refused => "the refresh token is unknown, expired or already used: sign in again",
            Self::NotFound => "there is no such session",
            Self::NoSession => "the token belongs to no session",
            Self::Limited(_) => "the issuer is asked too often: wait before trying again",
            Self::Unavailable => "the issuer gave no usable answer: sign in again if this persists",
        })
    }
}

impl std::error::Error for SessionError {}

impl From<backend::Failure> for SessionError {
    fn from(failure: backend::Failure) -> Self {
        match failure {
            backend::Failure::NotFound => Self::NotFound,
            backend::Failure::Limited(pause) => Self::Limited(Some(pause)),
            // What is refused is the caller's fault only where they chose what was asked.
            backend::Failure::Refused
            | backend::Failure::Unusable
            | backend::Failure::Unavailable(_) => Self::Unavailable,
        }
    }
}

impl Sessions {
    /// How callers identify themselves to this host.
    pub fn info(&self) -> Info {
        Info {
            provider: self.provider.clone(),
            issuer: self.issuer.clone(),
            refresh_available: self.client.is_some(),
            sessions_available: self.backend.is_some(),
            resource: self
                .resource
                .as_ref()
                .map(|resource| resource.url().to_owned()),
        }
    }

    /// Exchanges a refresh token for new tokens. One request is made, whatever comes back: the
    /// issuer may have replaced the refresh token even when no answer arrived. `party` is whoever asks.
    pub async fn refresh(
        &self,
        refresh_token: SecretString,
        party: &Party,
    ) -> Result<Tokens, SessionError> {
        let client = self
            .client
            .as_ref()
            .ok_or(SessionError::NotConfigured(Needed::Client))?;
        let token = refresh_token.expose_secret();
        if token.is_empty() || token.len() > MAX_REFRESH_TOKEN_BYTES {
            return Err(SessionError::Refused);
        }
        self.limits.take(party)?;
        let outcome = self.exchange(client, token).await;
        if let Err(failure) = &outcome {
            failure.log(token);
        }
        outcome.map_err(Failure::public)
    }

    async fn exchange(&self, client: &OAuthClient, token: &str) -> Result<Tokens, Failure> {
        let mut request = self
            .http
            .post(format!("{}/oauth/token", self.issuer))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(secret_body(self.form(client, token)));
        if let Some(secret) = &client.secret {
            let basic = basic_authorization(&client.id, secret).ok_or(Failure::Unusable(
                "the client id or secret cannot stand in a header",
            ))?;
            request = request.header(AUTHORIZATION, basic);
        }
        let response = request
            .send()
            .await
            .map_err(|error| Failure::Unreachable(error.without_url().to_string()))?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failure::Limited(retry_after(response.headers())));
        }
        let body = read_body(response, MAX_ANSWER_BYTES)
            .await
            .map_err(|error| Failure::Unreachable(error.to_string()))?;
        let text = str::from_utf8(&body).map_err(|_utf8| Failure::Unusable("not JSON"))?;
        let answer = Object::read(text).ok_or(Failure::Unusable("not a JSON object"))?;
        // By `error`, not by status: 401 is also the answer to an expired refresh token.
        match answer.get("error") {
            Some(Json::Text(code)) => Err(Failure::of_code(code)),
            Some(_) => Err(Failure::Unusable("its `error` is not a text")),
            None if status == StatusCode::OK => read_tokens(&answer),
            None => Err(Failure::Unusable("neither tokens nor an `error`")),
        }
    }

    /// The body of the request. The scope is left out, which keeps the one of the grant.
    fn form(&self, client: &OAuthClient, token: &str) -> Zeroizing<Vec<u8>> {
        let mut members = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
        // A client named the address on this computer only if it liked to, and the grant says so.
        if let Some(Resource::Public(resource)) = &self.resource {
            members.push(("resource", resource));
        }
        if client.secret.is_none() {
            members.push(("client_id", &client.id));
        }
        // Long enough from the start: a text that grows leaves what it held where it was. A byte takes
        // three when it is encoded.
        let length = members.iter().map(|(name, text)| {
            let text = text.len().saturating_mul(3);
            text.saturating_add(name.len()).saturating_add(2)
        });
        let mut form = String::with_capacity(length.fold(0, usize::saturating_add));
        form_urlencoded::Serializer::new(&mut form).extend_pairs(members);
        Zeroizing::new(form.into_bytes())
    }
}

/// HTTP Basic with both parts form-encoded first (RFC 6749 §2.3.1).
fn basic_authorization(id: &str, secret: &SecretString) -> Option<HeaderValue> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!(
        "{}:{}",
        encode(id),
        Zeroizing::new(encode(secret.expose_secret())).as_str()
    ));
    let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The tokens of a successful answer.
fn read_tokens(answer: &Object<'_>) -> Result<Tokens, Failure> {
    let text = |name: &str| answer.text(name).filter(|text| !text.is_empty());
    let secret = |name: &str| text(name).map(SecretString::from);
    let access_token = text("access_token").ok_or(Failure::Unusable("no `access_token`"))?;
    if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(Failure::Unusable("its `token_type` is not Bearer"));
    }
    if let Some(id_token) = text("id_token")
        && let (Some(one), Some(other)) = (subject(access_token), subject(id_token))
        && one != other
    {
        return Err(Failure::Unusable("its tokens are about different users"));
    }
    Ok(Tokens {
        access_token: access_token.into(),
        id_token: secret("id_token"),
        refresh_token: secret("refresh_token"),
        expires_in: answer
            .get("expires_in")
            .and_then(Json::as_seconds)
            .and_then(|seconds| u64::try_from(seconds).ok()),
        token_type: "Bearer".to_owned(),
        scope: text("scope").map(str::to_owned),
    })
}

/// The subject of a token that just came from the issuer; none for an opaque one.
fn subject(token: &str) -> Option<String> {
    let text = Segments::split(token).ok()?.payload_text().ok()?;
    Some(Object::read(&text)?.text("sub")?.to_owned())
}

/// Why an exchange failed, as the log has it.
enum Failure {
    /// The refresh token is not good, by a code that we know.
    Refused(&'static str),
    /// Our own settings are not good, by a code that we know.
    Ours(&'static str),
    Limited(Option<Duration>),
    Unreachable(String),
    Unusable(&'static str),
}

impl Failure {
    /// Sorts the codes of RFC 6749 §5.2, RFC 8707 §2 and Clerk.
    fn of_code(code: &str) -> Self {
        match code {
            "invalid_grant" => Self::Refused("invalid_grant"),
            "invalid_request" => Self::Refused("invalid_request"),
            "invalid_scope" => Self::Refused("invalid_scope"),
            "unsupported_token_type" => Self::Refused("unsupported_token_type"),
            "invalid_client" => Self::Ours("invalid_client"),
            "unauthorized_client" => Self::Ours("unauthorized_client"),
            "unsupported_grant_type" => Self::Ours("unsupported_grant_type"),
            "invalid_target" => Self::Ours("invalid_target"),
            _ => Self::Unusable("its `error` is not one of RFC 6749"),
        }
    }

    fn public(self) -> SessionError {
        match self {
            Self::Refused(_) => SessionError::Refused,
            Self::Limited(pause) => SessionError::Limited(pause),
            Self::Ours(_) | Self::Unreachable(_) | Self::Unusable(_) => SessionError::Unavailable,
        }
    }

    fn log(&self, token: &str) {
        let token = Fingerprint(token);
        match self {
            Self::Refused(code) => {
                tracing::info!(%token, code, "the issuer refused a refresh token");
            }
            Self::Ours(code) => tracing::error!(
                code,
                "the issuer refused this host's OAuth client: check `CLERK_OAUTH_CLIENT_ID`, \
                 `CLERK_OAUTH_CLIENT_SECRET` and the public URL"
            ),
            Self::Limited(_) => tracing::warn!("the issuer limits the rate of refreshing"),
            Self::Unreachable(error) => {
                tracing::warn!(error, "the issuer's token endpoint is out of reach");
            }
            Self::Unusable(what) => {
                tracing::warn!(
                    what,
                    "the answer of the issuer's token endpoint is unusable"
                );
            }
        }
    }
}
