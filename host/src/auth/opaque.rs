//! Tokens without content: what they mean, the issuer alone can tell. They are asked about through
//! the Backend API, and only where the operator wants that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::backend::{Backend, Failure, unusable};
use super::cache::Cache;
use super::claims::{Audience, is_registered, subject};
use super::clock::Stopwatch;
use super::denied::Reason;
use super::json::{Json, Object};
use super::kind::{Kind, check_audience, check_oauth_audience};
use super::pace::{Pace, Paces};
use super::party::Party;
use super::policy::Policy;
use super::principal::Principal;
use super::recent::Recent;
use super::settings::OpaqueTokens;
use super::verifier::Refusal;
use crate::digest::Digest;

/// How long a token is known to be good: so long does a withdrawn one work on.
const GOOD_FOR: Duration = Duration::from_secs(15);

/// How long one is known to be bad.
const BAD_FOR: Duration = Duration::from_secs(5);

/// How often tokens are asked about that were never good, since anybody can make one up: three tenths of
/// what Clerk allows a host with this kind of key. As much again is for those that were good lately, and
/// the rest for what is asked besides.
const PACE: Pace = Pace {
    times: 300,
    per: Duration::from_secs(10),
};
const DEVELOPMENT_PACE: Pace = Pace {
    times: 30,
    per: Duration::from_secs(10),
};

/// Judges opaque tokens.
pub(super) struct Opaque {
    accepted: OpaqueTokens,
    verdicts: Cache<Verdict>,
    asking: Arc<Asking>,
}

type Verdict = Result<Arc<Principal>, Refusal>;

/// The two forms of opaque token.
#[derive(Clone, Copy)]
pub(super) enum Form {
    OAuth,
    ApiKey,
}

/// What it takes to ask about a token.
struct Asking {
    backend: Arc<Backend>,
    policy: Arc<Policy>,
    /// The tokens that were good lately.
    known: Recent,
    /// How often they alone may be asked about.
    reserved: Paces,
    /// How often any may.
    common: Paces,
    /// How often those may that come from one place: half as often, so that whoever floods the host leaves
    /// the other half to the rest.
    parties: Paces,
}

impl Opaque {
    pub(super) fn new(
        backend: Arc<Backend>,
        accepted: OpaqueTokens,
        is_production: bool,
        policy: Arc<Policy>,
        stopwatch: &Stopwatch,
    ) -> Self {
        let pace = if is_production {
            PACE
        } else {
            DEVELOPMENT_PACE
        };
        let half = Pace {
            times: pace.times / 2,
            ..pace
        };
        Self {
            accepted,
            verdicts: Cache::new(stopwatch),
            asking: Arc::new(Asking {
                backend,
                policy,
                known: Recent::new(stopwatch),
                reserved: Paces::new(pace, stopwatch),
                common: Paces::new(pace, stopwatch),
                parties: Paces::new(half, stopwatch),
            }),
        }
    }

    /// How many answers are kept.
    pub(super) fn kept(&self) -> usize {
        self.verdicts.len()
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
    pub(super) async fn verify(
        &self,
        form: Form,
        token: &str,
        party: &Party,
    ) -> Result<Principal, Refusal> {
        let (digest, party) = (Digest::of(&[token.as_bytes()]), party.digest());
        let verdict = self.verdicts.get(digest, || {
            let (asking, token) = (Arc::clone(&self.asking), SecretString::from(token));
            async move {
                match asking.ask(form, &token, digest, party).await {
                    Ok(who) => (Ok(Arc::new(who)), GOOD_FOR),
                    Err(NotGood { refusal, for_long }) => (Err(refusal), for_long),
                }
            }
        });
        match verdict.await {
            Some(verdict) => verdict.map(|who| Principal::clone(&who)),
            None => Err(Reason::Unavailable.into()),
        }
    }
}

/// Why a token is not accepted, and how long that is known.
struct NotGood {
    refusal: Refusal,
    for_long: Duration,
}

impl From<Reason> for NotGood {
    fn from(reason: Reason) -> Self {
        Self {
            refusal: reason.into(),
            for_long: BAD_FOR,
        }
    }
}

impl NotGood {
    /// Nothing is known of it before that has passed.
    fn unavailable(pause: Duration) -> Self {
        Self {
            refusal: Refusal {
                retry_after: Some(pause),
                ..Reason::Unavailable.into()
            },
            // The pause is kept by whoever wants it.
            for_long: Duration::ZERO,
        }
    }
}

impl From<Failure> for NotGood {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotFound | Failure::Refused => Reason::Inactive.into(),
            Failure::Limited(pause) | Failure::Unavailable(pause) => Self::unavailable(pause),
            Failure::Unusable => {
                let pause = failure.pause().unwrap_or_default();
                Self {
                    for_long: pause,
                    ..Self::unavailable(pause)
                }
            }
        }
    }
}

impl Asking {
    async fn ask(
        &self,
        form: Form,
        token: &SecretString,
        digest: Digest,
        party: Digest,
    ) -> Result<Principal, NotGood> {
        self.take(&digest, party).map_err(NotGood::unavailable)?;
        let (path, member) = match form {
            Form::OAuth => (
                "/v1/oauth_applications/access_tokens/verify",
                "access_token",
            ),
            Form::ApiKey => ("/v1/api_keys/verify", "secret"),
        };
        let judged = async {
            let text = self.backend.verify(path, member, token).await?;
            let answer = Object::read(&text).ok_or_else(|| unusable("it is not a JSON object"))?;
            let who = judge(form, &answer, &self.policy)?;
            Ok(who.with_text(claims(&text)))
        };
        let judged: Result<_, NotGood> = judged.await;
        match &judged {
            Ok(_) => self.known.note(digest),
            Err(not_good) if not_good.refusal.reason == Reason::Unavailable => {}
            Err(_) => self.known.forget(&digest),
        }
        judged
    }

    /// Whether a token may be asked about now; if not, how long to wait. A flood of tokens that are made up
    /// leaves those alone that were good.
    fn take(&self, token: &Digest, party: Digest) -> Result<(), Duration> {
        if self.known.contains(token) && self.reserved.take_any().is_ok() {
            return Ok(());
        }
        self.parties.take(party)?;
        self.common.take_any()
    }
}

/// The claims that whoever made an API key gave it. Names that tokens themselves define are left out: they
/// would say what nobody has verified.
fn claims(answer: &str) -> String {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        claims: BTreeMap<String, &'a RawValue>,
    }
    let Ok(Answer { mut claims }) = serde_json::from_str(answer) else {
        return String::new();
    };
    claims.retain(|name, _| !is_registered(name));
    serde_json::to_string(&claims).unwrap_or_default()
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
