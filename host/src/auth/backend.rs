//! Clerk's Backend API: the few questions that the host asks with its secret key. The key stays in
//! here; answers leave as typed values, never as their own text.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::clock::Stopwatch;
use super::json::{Json, Object};
use super::upstream::read_body;

/// The version of the API that is spoken.
const VERSION: &str = "2026-05-12";

/// The longest answer that is read, in bytes: a page of sessions has about 100 KiB.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// How long an answer may take that a caller could do without.
const SHORT: Duration = Duration::from_secs(2);

/// How long any other may take.
const LONG: Duration = Duration::from_secs(5);

/// The pause after a failure, doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause that is believed of a `Retry-After`, in seconds: a day.
const MAX_RETRY_AFTER: u64 = 86_400;

/// How many sessions are on a page.
pub(super) const PAGE: usize = 100;

/// The Backend API, asked with one secret key.
pub(super) struct Backend {
    http: Client,
    url: String,
    authorization: HeaderValue,
    now: Stopwatch,
    pause: Mutex<Pause>,
}

/// When the API may be asked again that failed.
#[derive(Default)]
struct Pause {
    failures: u32,
    not_before: Duration,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// What was asked about is not there.
    NotFound,
    /// What was asked is refused.
    Refused,
    /// Too much was asked; how long to wait.
    Limited(Duration),
    /// The API is out of reach, or refuses this host's key; how long to wait.
    Unavailable(Duration),
}

impl Failure {
    /// How long to wait until the question may have an answer.
    pub(super) fn pause(self) -> Option<Duration> {
        match self {
            Self::NotFound | Self::Refused => None,
            Self::Limited(pause) | Self::Unavailable(pause) => Some(pause),
        }
    }
}

/// A user as far as the host wants to know them.
pub(super) struct Profile {
    pub(super) email: Option<String>,
    pub(super) email_verified: Option<bool>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) image_url: Option<String>,
    /// The texts in the private metadata, by name.
    secrets: Vec<(String, SecretString)>,
}

impl Profile {
    pub(super) fn secret(&self, name: &str) -> Option<&SecretString> {
        self.secrets
            .iter()
            .find_map(|(named, secret)| (named == name).then_some(secret))
    }
}

/// A sign-in of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSession {
    /// Its id, `sess_…`.
    pub id: String,
    pub(super) user_id: String,
    pub(super) is_active: bool,
    /// When the user signed in, in seconds since 1970.
    pub created_at: Option<u64>,
    /// When the user was last seen, in seconds since 1970.
    pub last_active_at: Option<u64>,
    /// When it ends by itself, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// The kind of device.
    pub device: Option<String>,
    /// The name of the browser.
    pub browser: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The country.
    pub country: Option<String>,
}

/// What to ask.
struct Question<'a> {
    method: Method,
    path: &'a str,
    body: Option<Zeroizing<String>>,
    patience: Duration,
    /// Whether 401 may be about what is asked, and not about the key.
    judges: bool,
}

impl Backend {
    /// `url` has no slash at its end. None when the key cannot stand in a header.
    pub(super) fn new(
        http: Client,
        url: String,
        key: &SecretString,
        now: Stopwatch,
    ) -> Option<Arc<Self>> {
        let bearer = Zeroizing::new(format!("Bearer {}", key.expose_secret()));
        let mut authorization = HeaderValue::from_str(&bearer).ok()?;
        authorization.set_sensitive(true);
        Some(Arc::new(Self {
            http,
            url,
            authorization,
            now,
            pause: Mutex::default(),
        }))
    }

    /// A user.
    pub(super) async fn user(&self, id: &str) -> Result<Profile, Failure> {
        let id = checked(id, "user_")?;
        let path = format!("/v1/users/{id}");
        let answer = self.ask(Question::get(&path, SHORT)).await?;
        let user = self.read(&answer)?;
        if user.text("id") == Some(id) {
            Ok(profile(&user))
        } else {
            Err(self.unusable("it is about another user"))
        }
    }

    /// The active sessions of a user, the newest first.
    pub(super) async fn sessions(&self, user: &str) -> Result<Vec<UserSession>, Failure> {
        let user = checked(user, "user_")?;
        let path = format!("/v1/sessions?user_id={user}&status=active&limit={PAGE}&paginated=true");
        let answer = self.ask(Question::get(&path, LONG)).await?;
        let page = self.read(&answer)?;
        let Some(rows) = page.get("data").and_then(Json::as_list) else {
            return Err(self.unusable("it has no `data`"));
        };
        let sessions = rows.iter().filter_map(|row| user_session(row.as_object()?));
        // Whatever the answer holds, nothing of anybody else goes on.
        Ok(sessions
            .filter(|session| session.user_id == user && session.is_active)
            .collect())
    }

    /// A session.
    pub(super) async fn session(&self, id: &str) -> Result<UserSession, Failure> {
        let id = checked(id, "sess_")?;
        let path = format!("/v1/sessions/{id}");
        let answer = self.ask(Question::get(&path, LONG)).await?;
        let session = user_session(&self.read(&answer)?);
        session
            .filter(|session| session.id == id)
            .ok_or_else(|| self.unusable("it is no such session"))
    }

    /// Ends a session. Whose it is has been looked at before.
    pub(super) async fn revoke(&self, session: &str) -> Result<(), Failure> {
        let id = checked(session, "sess_")?;
        let path = format!("/v1/sessions/{id}/revoke");
        self.ask(Question::post(&path, None)).await.map(drop)
    }

    /// A new token for a session, for the token that expired and the refresh token that came with it.
    pub(super) async fn refresh(
        &self,
        session: &str,
        expired: &SecretString,
        refresh_token: &SecretString,
        origin: &str,
    ) -> Result<SecretString, Failure> {
        let id = checked(session, "sess_")?;
        let path = format!("/v1/sessions/{id}/refresh");
        let body = json_text(&json!({
            "expired_token": expired.expose_secret(),
            "refresh_token": refresh_token.expose_secret(),
            "request_origin": origin,
            "format": "token",
        }));
        let question = Question {
            judges: true,
            ..Question::post(&path, Some(body))
        };
        let answer = self.ask(question).await?;
        let token = self.read(&answer)?;
        token
            .text("jwt")
            .filter(|jwt| !jwt.is_empty())
            .map(SecretString::from)
            .ok_or_else(|| self.unusable("it has no `jwt`"))
    }

    /// What is known of an opaque token: the answer's text, for whoever knows what it must hold.
    pub(super) async fn verify(
        &self,
        path: &str,
        member: &str,
        token: &SecretString,
    ) -> Result<Zeroizing<String>, Failure> {
        let body = json_text(&json!({ member: token.expose_secret() }));
        self.ask(Question::post(path, Some(body))).await
    }

    /// Asks once, unless the API failed a moment ago.
    async fn ask(&self, question: Question<'_>) -> Result<Zeroizing<String>, Failure> {
        if let Some(pause) = self.pausing() {
            return Err(Failure::Unavailable(pause));
        }
        let mut request = self
            .http
            .request(question.method, format!("{}{}", self.url, question.path))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "application/json")
            .header("Clerk-API-Version", VERSION)
            .timeout(question.patience);
        if let Some(body) = question.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.as_bytes().to_vec());
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let error = error.without_url();
                tracing::warn!(%error, "the issuer's Backend API is out of reach");
                return Err(Failure::Unavailable(self.failed(None)));
            }
        };
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = match read_body(response, MAX_ANSWER_BYTES).await {
            Ok(body) => Zeroizing::new(body),
            Err(error) => {
                tracing::warn!(%error, "the answer of the issuer's Backend API could not be read");
                return Err(Failure::Unavailable(self.failed(None)));
            }
        };
        match status {
            StatusCode::OK => {
                self.recovered();
                match str::from_utf8(&body) {
                    Ok(text) => Ok(Zeroizing::new(text.to_owned())),
                    Err(_not_text) => Err(self.unusable("it is not JSON")),
                }
            }
            StatusCode::NOT_FOUND => {
                self.recovered();
                Err(Failure::NotFound)
            }
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                self.recovered();
                Err(Failure::Refused)
            }
            StatusCode::UNAUTHORIZED if question.judges && !is_about_the_key(&body) => {
                self.recovered();
                Err(Failure::Refused)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                tracing::error!(
                    status = status.as_u16(),
                    "the issuer's Backend API refuses this host's key: check `CLERK_SECRET_KEY`"
                );
                Err(Failure::Unavailable(self.failed(None)))
            }
            StatusCode::TOO_MANY_REQUESTS => {
                tracing::warn!("the issuer's Backend API limits the rate of this host");
                Err(Failure::Limited(self.failed(retry_after)))
            }
            status => {
                tracing::warn!(status = status.as_u16(), "the issuer's Backend API fails");
                Err(Failure::Unavailable(self.failed(retry_after)))
            }
        }
    }

    fn read<'a>(&self, answer: &'a str) -> Result<Object<'a>, Failure> {
        Object::read(answer).ok_or_else(|| self.unusable("it is not a JSON object"))
    }

    /// An answer that means nothing is as good as none.
    pub(super) fn unusable(&self, what: &'static str) -> Failure {
        tracing::warn!(what, "an answer of the issuer's Backend API is unusable");
        Failure::Unavailable(self.failed(None))
    }

    /// How long nobody should ask, if so.
    fn pausing(&self) -> Option<Duration> {
        let pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let left = pause.not_before.saturating_sub((self.now)());
        (!left.is_zero()).then_some(left)
    }

    fn recovered(&self) {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = Pause::default();
    }

    /// Counts a failure; how long nobody asks now. A pause that the API itself wants is kept, within
    /// reason.
    fn failed(&self, wanted: Option<Duration>) -> Duration {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let factor = 1_u32.checked_shl(pause.failures).unwrap_or(u32::MAX);
        let own = FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
        let length = wanted.map_or(own, |wanted| wanted.clamp(own, LONGEST_PAUSE));
        pause.failures = pause.failures.saturating_add(1);
        pause.not_before = (self.now)().saturating_add(length);
        length
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl<'a> Question<'a> {
    fn get(path: &'a str, patience: Duration) -> Self {
        Self {
            method: Method::GET,
            path,
            body: None,
            patience,
            judges: false,
        }
    }

    fn post(path: &'a str, body: Option<Zeroizing<String>>) -> Self {
        Self {
            method: Method::POST,
            path,
            body,
            patience: LONG,
            judges: false,
        }
    }
}

/// The pause that an answer asks for, in seconds. A date is not understood: seconds are what Clerk
/// sends.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

/// An id that can stand in a path. What cannot is the id of nothing.
fn checked<'a>(id: &'a str, prefix: &str) -> Result<&'a str, Failure> {
    let is_id = id.strip_prefix(prefix).is_some_and(|rest| {
        (1..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if is_id {
        Ok(id)
    } else {
        Err(Failure::NotFound)
    }
}

fn json_text(value: &serde_json::Value) -> Zeroizing<String> {
    Zeroizing::new(value.to_string())
}

/// Whether an error is about the secret key and not about what was asked.
fn is_about_the_key(body: &[u8]) -> bool {
    let code = || {
        let errors = Object::read(str::from_utf8(body).ok()?)?;
        let first = errors.get("errors")?.as_list()?.first()?.as_object()?;
        Some(matches!(
            first.text("code")?,
            "clerk_key_invalid" | "secret_key_invalid" | "authentication_invalid"
        ))
    };
    // An answer without a code says nothing against what was asked.
    code().unwrap_or(true)
}

fn profile(user: &Object<'_>) -> Profile {
    let own = |name: &str| {
        user.text(name)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let primary = user.text("primary_email_address_id");
    let addresses = user.get("email_addresses").and_then(Json::as_list);
    let address = addresses
        .unwrap_or_default()
        .iter()
        .filter_map(Json::as_object)
        .find(|address| primary.is_some() && address.text("id") == primary);
    let email = address
        .and_then(|address| address.text("email_address"))
        .map(str::to_owned);
    let status = address
        .and_then(|address| address.get("verification")?.as_object())
        .and_then(|verification| verification.text("status"));
    let metadata = user.get("private_metadata").and_then(Json::as_object);
    let secrets = metadata.map(|metadata| {
        metadata
            .members()
            .filter_map(|(name, value)| Some((name.to_owned(), value.as_str()?.into())))
            .collect()
    });
    Profile {
        email_verified: email.is_some().then_some(status == Some("verified")),
        email,
        first_name: own("first_name"),
        last_name: own("last_name"),
        image_url: own("image_url"),
        secrets: secrets.unwrap_or_default(),
    }
}

fn user_session(row: &Object<'_>) -> Option<UserSession> {
    let latest = row.get("latest_activity").and_then(Json::as_object);
    let activity = |name: &str| latest?.text(name).map(str::to_owned);
    Some(UserSession {
        id: row.text("id")?.to_owned(),
        user_id: row.text("user_id")?.to_owned(),
        is_active: row.text("status") == Some("active"),
        created_at: seconds(row, "created_at"),
        last_active_at: seconds(row, "last_active_at"),
        expires_at: seconds(row, "expire_at"),
        device: activity("device_type"),
        browser: activity("browser_name"),
        city: activity("city"),
        country: activity("country"),
    })
}

/// A point in time. Clerk writes milliseconds without saying so; in seconds such a number would lie
/// thousands of years ahead.
fn seconds(row: &Object<'_>, name: &str) -> Option<u64> {
    let at = u64::try_from(row.get(name)?.as_seconds()?).ok()?;
    Some(if at >= 100_000_000_000 {
        at / 1_000
    } else {
        at
    })
}
