//! The one way from a token to a [`Principal`]: form, header, key, signature, claims, kind, in that
//! order. The signature comes before any claim, so that answers tell nothing about what else the
//! token would have failed at. Tokens without content take another way, by asking the issuer.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey};

use super::claims::Claims;
use super::clock::Clock;
use super::denied::Reason;
use super::header::Header;
use super::json::Object;
use super::keys::{KeyStore, NoKey};
use super::kind::Kind;
use super::opaque::Opaque;
use super::policy::Policy;
use super::principal::Principal;
use super::token::Segments;

/// Judges tokens.
pub(super) struct Verifier {
    pub(super) policy: Arc<Policy>,
    /// Tokens without content, where any are accepted.
    pub(super) opaque: Option<Opaque>,
    pub(super) clock: Clock,
    pub(super) keys: KeyStore,
}

/// A token that is refused, or that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    /// The key that the token names, once it is known to look like one.
    pub(super) kid: Option<String>,
    /// When to ask again, for [`Reason::Unavailable`].
    pub(super) retry_after: Option<Duration>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            kid: None,
            retry_after: None,
        }
    }
}

impl Verifier {
    /// Judges a token, once. With a known key this does not wait for anything.
    pub(super) async fn verify(&self, token: &str) -> Result<Principal, Refusal> {
        if let Some(opaque) = &self.opaque
            && let Some(form) = opaque.form(token)
        {
            return opaque.verify(form, token).await;
        }
        self.verify_content(token, 0).await
    }

    /// Judges a session token that may have expired so many seconds ago, and is good otherwise.
    pub(super) async fn verify_expired(
        &self,
        token: &str,
        late: i64,
    ) -> Result<Principal, Refusal> {
        let principal = self.verify_content(token, late).await?;
        if principal.kind() == Kind::Session {
            Ok(principal)
        } else {
            Err(Reason::Kind.into())
        }
    }

    async fn verify_content(&self, token: &str, late: i64) -> Result<Principal, Refusal> {
        let segments = Segments::split(token)?;
        let header = Header::read(&segments.header_text()?)?;
        let with_kid = |reason| Refusal {
            kid: Some(header.kid.clone()),
            ..Refusal::from(reason)
        };

        let key = self
            .keys
            .key(&header.kid, || self.claims_to_be_ours(&segments))
            .await
            .map_err(|no_key| match no_key {
                NoKey::Unknown => with_kid(Reason::UnknownKey),
                NoKey::Unavailable(pause) => Refusal {
                    retry_after: Some(pause),
                    ..with_kid(Reason::Unavailable)
                },
            })?;
        if !is_signed(&segments, &key) {
            let changed = self
                .keys
                .changed(&header.kid, &key, || self.claims_to_be_ours(&segments));
            if !changed.await.is_some_and(|key| is_signed(&segments, &key)) {
                return Err(with_kid(Reason::Signature));
            }
        }
        self.read_payload(&header, &segments, late)
            .map_err(with_kid)
    }

    /// Reads the payload of a token whose signature was verified.
    fn read_payload(
        &self,
        header: &Header,
        segments: &Segments<'_>,
        late: i64,
    ) -> Result<Principal, Reason> {
        let text = segments.payload_text()?;
        let principal = {
            let all = Object::read(&text).ok_or(Reason::Claims)?;
            let claims = Claims::check(&all, &self.policy, (self.clock)(), late)?;
            let kind = Kind::check(header, &claims, &self.policy)?;
            Principal::describe(kind, &claims)
        };
        Ok(principal.with_text(text))
    }

    /// Whether a token that no known key has signed says that it is from our issuer. **This is unverified**
    /// and decides one thing: whether it is worth asking the issuer for new keys.
    fn claims_to_be_ours(&self, segments: &Segments<'_>) -> bool {
        let Ok(text) = segments.payload_text() else {
            return false;
        };
        Object::read(&text)
            .is_some_and(|claims| claims.text("iss") == Some(self.policy.issuer.as_str()))
    }
}

/// Whether this key signed it. An error is a signature that does not even decode.
fn is_signed(segments: &Segments<'_>, key: &DecodingKey) -> bool {
    let signed = segments.signed.as_bytes();
    let verified = jsonwebtoken::crypto::verify(segments.signature, signed, key, Algorithm::RS256);
    matches!(verified, Ok(true))
}
