//! Clerk's Backend API: the few questions that the host asks with its secret key. The key stays in
//! here; answers leave as typed values, never as their own text.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::clock::Stopwatch;
use super::json::{Json, Object};
use super::upstream::{Unreadable, read_body, secret_body};

mod pause;
mod records;

use pause::Pause;
pub use records::UserSession;
pub(super) use records::{Profile, Secrets};

/// The version of the API that is spoken.
const VERSION: &str = "2026-05-12";

/// The longest answer that is read, in bytes: a page of sessions has about 100 KiB.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// How long an answer may take that a caller could do without.
const SHORT: Duration = Duration::from_secs(2);

/// How long any other may take.
const LONG: Duration = Duration::from_secs(5);

/// How long a question is not repeated whose answer could not be used. It may be about one user alone, so
/// others are asked about meanwhile.
const UNUSABLE_FOR: Duration = Duration::from_secs(5);

/// The longest pause that is believed of a `Retry-After`, in seconds: a day.
const MAX_RETRY_AFTER: u64 = 86_400;

/// How many sessions are on a page.
pub(super) const PAGE: usize = 100;

/// The Backend API, asked with one secret key.
pub(super) struct Backend {
    http: Client,
    url: String,
    authorization: HeaderValue,
    pause: Pause,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// What was asked about is not there.
    NotFound,
    /// What was asked is refused.
    Refused,
    /// The answer says nothing. Another question may have a better one.
    Unusable,
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
            Self::Unusable => Some(UNUSABLE_FOR),
            Self::Limited(pause) | Self::Unavailable(pause) => Some(pause),
        }
    }
}

/// What to ask.
struct Question<'a> {
    method: Method,
    path: &'a str,
    body: Option<Zeroizing<Vec<u8>>>,
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
        stopwatch: &Stopwatch,
    ) -> Option<Arc<Self>> {
        let bearer = Zeroizing::new(format!("Bearer {}", key.expose_secret()));
        let mut authorization = HeaderValue::from_str(&bearer).ok()?;
        authorization.set_sensitive(true);
        Some(Arc::new(Self {
            http,
            url,
            authorization,
            pause: Pause::new(stopwatch),
        }))
    }

    /// A user's names and addresses.
    pub(super) async fn profile(&self, id: &str) -> Result<Profile, Failure> {
        self.user(id, Profile::read).await
    }

    /// These members of a user's private metadata, and no other: what was not asked for is not kept.
    pub(super) async fn secrets(&self, id: &str, members: &[String]) -> Result<Secrets, Failure> {
        self.user(id, |user| Secrets::read(user, members)).await
    }

    async fn user<T>(&self, id: &str, read: impl FnOnce(&Object<'_>) -> T) -> Result<T, Failure> {
        let id = checked(id, "user_")?;
        let path = format!("/v1/users/{id}");
        let answer = self.ask(Question::get(&path, SHORT)).await?;
        let user = object(&answer)?;
        if user.text("id") == Some(id) {
            Ok(read(&user))
        } else {
            Err(unusable("it is about another user"))
        }
    }

    /// The active sessions of a user, the newest first.
    pub(super) async fn sessions(&self, user: &str) -> Result<Vec<UserSession>, Failure> {
        let user = checked(user, "user_")?;
        let path = format!("/v1/sessions?user_id={user}&status=active&limit={PAGE}&paginated=true");
        let answer = self.ask(Question::get(&path, LONG)).await?;
        let page = object(&answer)?;
        let Some(rows) = page.get("data").and_then(Json::as_list) else {
            return Err(unusable("it has no `data`"));
        };
        let sessions = rows
            .iter()
            .filter_map(|row| UserSession::read(row.as_object()?));
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
        let session = UserSession::read(&object(&answer)?);
        session
            .filter(|session| session.id == id)
            .ok_or_else(|| unusable("it is no such session"))
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
        let body = json_object(&[
            ("expired_token", expired.expose_secret()),
            ("refresh_token", refresh_token.expose_secret()),
            ("request_origin", origin),
            ("format", "token"),
        ]);
        let question = Question {
            judges: true,
            ..Question::post(&path, Some(body))
        };
        let answer = self.ask(question).await?;
        let token = object(&answer)?;
        token
            .text("jwt")
            .filter(|jwt| !jwt.is_empty())
            .map(SecretString::from)
            .ok_or_else(|| unusable("it has no `jwt`"))
    }

    /// What is known of an opaque token: the answer's text, for whoever knows what it must hold.
    pub(super) async fn verify(
        &self,
        path: &str,
        member: &str,
        token: &SecretString,
    ) -> Result<Zeroizing<String>, Failure> {
        let body = json_object(&[(member, token.expose_secret())]);
        self.ask(Question::post(path, Some(body))).await
    }

    /// Asks once, unless the API failed a moment ago. Only what is about the API itself counts as its
    /// failure: an answer about one user that cannot be used must not keep others from theirs.
    async fn ask(&self, question: Question<'_>) -> Result<Zeroizing<String>, Failure> {
        if let Some(pause) = self.pause.left() {
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
                .body(secret_body(body));
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let error = error.without_url();
                tracing::warn!(%error, "the issuer's Backend API is out of reach");
                return Err(Failure::Unavailable(self.pause.failed(None)));
            }
        };
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            tracing::warn!("the issuer's Backend API limits the rate of this host");
            let pause = self.pause.failed(retry_after(response.headers()));
            return Err(Failure::Limited(pause));
        }
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), "the issuer's Backend API fails");
            let pause = self.pause.failed(retry_after(response.headers()));
            return Err(Failure::Unavailable(pause));
        }
        let body = match read_body(response, MAX_ANSWER_BYTES).await {
            Ok(body) => body,
            Err(Unreadable::TooLong(_)) => {
                self.pause.ended();
                return Err(unusable("it is too long"));
            }
            Err(error @ Unreadable::Broken(_)) => {
                tracing::warn!(%error, "the answer of the issuer's Backend API could not be read");
                return Err(Failure::Unavailable(self.pause.failed(None)));
            }
        };
        if status == StatusCode::UNAUTHORIZED && (!question.judges || is_about_the_key(&body)) {
            tracing::error!(
                "the issuer's Backend API refuses this host's key: check `CLERK_SECRET_KEY`"
            );
            return Err(Failure::Unavailable(self.pause.failed(None)));
        }
        self.pause.ended();
        match status {
            StatusCode::OK => match str::from_utf8(&body) {
                Ok(text) => Ok(Zeroizing::new(text.to_owned())),
                Err(_not_text) => Err(unusable("it is not JSON")),
            },
            StatusCode::NOT_FOUND => Err(Failure::NotFound),
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::UNPROCESSABLE_ENTITY => Err(Failure::Refused),
            status => {
                tracing::debug!(status = status.as_u16(), "a status that means nothing here");
                Err(unusable("its status means nothing here"))
            }
        }
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

    fn post(path: &'a str, body: Option<Zeroizing<Vec<u8>>>) -> Self {
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

fn object(answer: &str) -> Result<Object<'_>, Failure> {
    Object::read(answer).ok_or_else(|| unusable("it is not a JSON object"))
}

/// An answer that means nothing is as good as none.
pub(super) fn unusable(what: &'static str) -> Failure {
    tracing::warn!(what, "an answer of the issuer's Backend API is unusable");
    Failure::Unusable
}

/// The JSON of an object with these members. Some are secrets, so it is written into a place that is long
/// enough from the start: a text that grows leaves what it held where it was.
fn json_object(members: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    // An escape takes six bytes at most, and quotes, colon and comma take three more.
    let longest = |text: &str| text.len().saturating_mul(6).saturating_add(3);
    let length = members
        .iter()
        .map(|(name, text)| longest(name).saturating_add(longest(text)))
        .fold(2, usize::saturating_add);
    let mut json = Zeroizing::new(Vec::with_capacity(length));
    let mut separator = b'{';
    for (name, text) in members {
        json.push(separator);
        // Writing a text to memory cannot fail.
        let _infallible = serde_json::to_writer(&mut *json, name);
        json.push(b':');
        let _infallible = serde_json::to_writer(&mut *json, text);
        separator = b',';
    }
    json.push(b'}');
    json
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
