//! Tokens without content: what they mean, the issuer alone can tell. They are asked about through
//! the Backend API, and only where the operator wants that.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::backend::{Backend, Failure};
use super::cache::Cache;
use super::claims::{Audience, subject};
use super::clock::Stopwatch;
use super::denied::Reason;
use super::json::{Json, Object};
use super::kind::{Kind, check_audience, check_oauth_audience};
use super::pace::{Pace, Paces};
use super::policy::Policy;
use super::principal::Principal;
use super::settings::OpaqueTokens;
use super::verifier::Refusal;
use crate::digest::Digest;

/// How long a token is known to be good: so long does a withdrawn one work on.
const GOOD_FOR: Duration = Duration::from_secs(15);

/// How long one is known to be bad.
const BAD_FOR: Duration = Duration::from_secs(5);

/// How often unknown tokens are asked about, since anybody can make one up: half of what Clerk allows
/// a host with this kind of key, so that what callers who are known need is not used up.
const PACE: Pace = Pace {
    times: 500,
    per: Duration::from_secs(10),
};
const DEVELOPMENT_PACE: Pace = Pace {
    times: 50,
    per: Duration::from_secs(10),
};

/// Judges opaque tokens.
pub(super) struct Opaque {
    backend: Arc<Backend>,
    accepted: OpaqueTokens,
    policy: Arc<Policy>,
    verdicts: Cache<Verdict>,
    paces: Arc<Paces>,
}

type Verdict = Result<Arc<Principal>, Refusal>;

/// The two forms of opaque token.
#[derive(Clone, Copy)]
pub(super) enum Form {
    OAuth,
    ApiKey,
}

impl Opaque {
    pub(super) fn new(
        backend: Arc<Backend>,
        accepted: OpaqueTokens,
        is_production: bool,
        policy: Arc<Policy>,
        now: &Stopwatch,
    ) -> Self {
        let pace = if is_production {
            PACE
        } else {
            DEVELOPMENT_PACE
        };
        Self {
            backend,
            accepted,
            policy,
            verdicts: Cache::new(Arc::clone(now)),
            paces: Arc::new(Paces::new(pace, Arc::clone(now))),
        }
    }

    /// The form of a token, if it has one and tokens of that form are accepted.
    pub(super) fn form(&self, token: &str) -> Option<Form> {
        if let Some(rest) = token.strip_prefix("oat_") {
            let is_one = rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
            (is_one && self.accepted.oauth).then_some(Form::OAuth)
        } else if let Some(rest) = token.strip_prefix("ak_") {
            let is_one = (1..=256).contains(&rest.len())
                && rest
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            (is_one && self.accepted.api_keys).then_some(Form::ApiKey)
        } else {
            None
        }
    }

    /// Judges a token of this form.
    pub(super) async fn verify(&self, form: Form, token: &str) -> Result<Principal, Refusal> {
        let verdict = self.verdicts.get(Digest::of(&[token.as_bytes()]), || {
            let (backend, paces) = (Arc::clone(&self.backend), Arc::clone(&self.paces));
            let policy = Arc::clone(&self.policy);
            let token = SecretString::from(token);
            async move {
                match ask(form, &token, &backend, &paces, &policy).await {
                    Ok(who) => (Ok(Arc::new(who)), GOOD_FOR),
                    // Nothing is known then, and the pause of the API is kept elsewhere.
                    Err(refusal) if refusal.reason == Reason::Unavailable => {
                        (Err(refusal), Duration::ZERO)
                    }
                    Err(refusal) => (Err(refusal), BAD_FOR),
                }
            }
        });
        match verdict.await {
            Some(verdict) => verdict.map(|who| Principal::clone(&who)),
            None => Err(Reason::Unavailable.into()),
        }
    }
}

async fn ask(
    form: Form,
    token: &SecretString,
    backend: &Backend,
    paces: &Paces,
    policy: &Policy,
) -> Result<Principal, Refusal> {
    let unavailable = |pause| Refusal {
        retry_after: Some(pause),
        ..Refusal::from(Reason::Unavailable)
    };
    paces.take_any().map_err(unavailable)?;
    let (path, member) = match form {
        Form::OAuth => (
            "/v1/oauth_applications/access_tokens/verify",
            "access_token",
        ),
        Form::ApiKey => ("/v1/api_keys/verify", "secret"),
    };
    let text = match backend.verify(path, member, token).await {
        Ok(text) => text,
        Err(Failure::NotFound | Failure::Refused) => return Err(Reason::Inactive.into()),
        Err(Failure::Limited(pause) | Failure::Unavailable(pause)) => {
            return Err(unavailable(pause));
        }
    };
    let Some(answer) = Object::read(&text) else {
        let failure = backend.unusable("it is not a JSON object");
        return Err(unavailable(failure.pause().unwrap_or_default()));
    };
    let who = judge(form, &answer, policy)?;
    Ok(who.with_text(claims(&text).unwrap_or_default()))
}

/// The claims that the user gave an API key.
fn claims(answer: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims<'a> {
        #[serde(borrow)]
        claims: &'a RawValue,
    }
    let Claims { claims } = serde_json::from_str(answer).ok()?;
    Some(claims.get().to_owned())
}

/// What the issuer's answer means. When the token expires is not worked out: the two forms write it
/// in different units, and the issuer says whether it has.
fn judge(form: Form, answer: &Object<'_>, policy: &Policy) -> Result<Principal, Reason> {
    let object = match form {
        Form::OAuth => "clerk_idp_oauth_access_token",
        Form::ApiKey => "api_key",
    };
    let is_false = |name: &str| answer.get(name).and_then(Json::as_bool) == Some(false);
    if answer.text("object") != Some(object) || !is_false("revoked") || !is_false("expired") {
        return Err(Reason::Inactive);
    }
    let user = subject(answer, "subject")?;
    if !user.starts_with("user_") {
        // An organization or a machine is nobody's caller.
        return Err(Reason::Kind);
    }
    let audience = Audience::read(answer.get("aud"))?;
    let kind = match form {
        Form::OAuth => {
            answer
                .text("client_id")
                .filter(|id| !id.is_empty())
                .ok_or(Reason::Claims)?;
            check_oauth_audience(&audience, policy)?;
            Kind::OAuth
        }
        Form::ApiKey => {
            // Made by the user for whoever they give it to, so it names no audience of its own.
            check_audience(&audience, policy)?;
            Kind::ApiKey
        }
    };
    Ok(Principal::opaque(kind, user, answer))
}
