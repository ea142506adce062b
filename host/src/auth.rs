//! A token in, a [`Principal`] out: who is calling, proven by the issuer's signature, or one of
//! seven classes of being turned away.
//!
//! This module knows tokens, keys and the issuer's token endpoint. It does not know the server's
//! HTTP, what a class means as a status, or anything of MCP but the shape of
//! `_meta.authorization`. A token never leaves it: not to a guest, a log or an error's text.

use std::sync::Arc;

use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;

mod access;
mod challenge;
mod claims;
mod clock;
mod denied;
mod header;
mod json;
mod jwks;
mod keys;
mod kind;
mod organization;
mod policy;
mod principal;
mod token;
mod upstream;
mod verifier;

pub mod bearer;
pub mod session;
pub mod settings;

#[cfg(test)]
mod tests;

pub use access::{Access, Grants, NotGrants, Requirement};
pub use bearer::{Bearer, Credentials, Presented};
pub use challenge::Challenge;
pub use clock::{Clock, system_clock};
pub use denied::{Class, Denied, Reason, Via};
pub use keys::Readiness;
pub use kind::Kind;
pub use organization::Organization;
pub use principal::Principal;
pub use session::Sessions;
pub use settings::{OAuthClient, Settings};
pub use token::MAX_TOKEN_BYTES;

use clock::Stopwatch;
use keys::KeyStore;
use policy::Policy;
use settings::{MAX_SKEW, Mistake, check_issuer};
use token::Fingerprint;
use upstream::Patience;
use verifier::Verifier;

/// Tells who is calling. Clones share one state.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    verifier: Verifier,
    sessions: Sessions,
}

impl Auth {
    /// Checks the settings and prepares. Nothing is fetched before it is needed or
    /// [`Self::warm`] is called.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, SetupError> {
        check_issuer(&settings.issuer)?;
        let keys = format!("{}/.well-known/jwks.json", settings.issuer);
        Self::assemble(
            settings,
            clock,
            clock::stopwatch(),
            keys,
            Patience::default(),
        )
    }

    /// Tests choose the stopwatch, the address of the keys and the patience with it.
    fn assemble(
        settings: Settings,
        clock: Clock,
        stopwatch: Stopwatch,
        keys: String,
        patience: Patience,
    ) -> Result<Self, SetupError> {
        // One library may switch on a second back end of another; unless one is chosen here, the
        // first verification would then panic. It may be chosen already, with the same result.
        let _ = DEFAULT_PROVIDER.install_default();
        if settings.skew > MAX_SKEW || settings.skew.subsec_nanos() != 0 {
            return Err(Mistake::Skew.into());
        }
        let skew = i64::try_from(settings.skew.as_secs()).map_err(|_range| Mistake::Skew)?;
        let http = upstream::client(&keys, patience).map_err(SetupError::Client)?;
        // A development issuer has no applications that could be told apart.
        if settings.authorized_parties.is_empty() && settings.issuer.starts_with("https://") {
            tracing::warn!(
                "no authorized parties are set (`CLERK_AUTHORIZED_PARTIES`): session tokens of \
                 every application of this issuer are accepted"
            );
        }
        let sessions = Sessions {
            http: http.clone(),
            provider: settings.provider,
            issuer: settings.issuer.clone(),
            resource: settings.resource.clone(),
            client: settings.client,
        };
        let verifier = Verifier {
            policy: Policy {
                issuer: settings.issuer,
                authorized_parties: settings.authorized_parties,
                resource: settings.resource,
                id_token_audiences: settings.id_token_audiences,
                skew,
            },
            clock,
            keys: KeyStore::new(http, keys, stopwatch),
        };
        Ok(Self(Arc::new(Inner { verifier, sessions })))
    }

    /// Verifies what was presented, once: nothing presented is `None`. With a known key it does
    /// not wait for anything.
    pub async fn identify(
        &self,
        credentials: &Credentials,
    ) -> Result<Option<Arc<Principal>>, Denied> {
        let (bearer, via) = match (&credentials.header, &credentials.meta) {
            (None, Presented::Absent) => return Ok(None),
            (None, Presented::Unusable) => return Err(Denied::new(Via::Meta, Reason::Malformed)),
            (None, Presented::Token(bearer)) => (bearer, Via::Meta),
            (Some(bearer), Presented::Absent) => (bearer, Via::Header),
            (Some(bearer), Presented::Token(other)) if bearer.expose() == other.expose() => {
                (bearer, Via::Header)
            }
            // RFC 6750 §2: not more than one method in one request.
            (Some(_), Presented::Token(_) | Presented::Unusable) => {
                return Err(Denied::new(Via::Header, Reason::Conflict));
            }
        };
        let token = Fingerprint(bearer.expose());
        match self.0.verifier.verify(bearer.expose()).await {
            Ok(principal) => {
                tracing::debug!(%token, kind = principal.kind().name(), "token accepted");
                Ok(Some(Arc::new(principal.presented(via))))
            }
            Err(refusal) => {
                let kid = refusal.kid.as_deref();
                tracing::info!(%token, kid, reason = %refusal.reason, "token refused");
                Err(Denied {
                    retry_after: refusal.retry_after,
                    ..Denied::new(via, refusal.reason)
                })
            }
        }
    }

    /// The issuer whose tokens are accepted, a URL without a slash at its end.
    pub fn issuer(&self) -> &str {
        &self.0.verifier.policy.issuer
    }

    /// Whether the issuer's keys are there.
    pub fn is_ready(&self) -> Readiness {
        self.0.verifier.keys.readiness()
    }

    /// Fetches the keys and starts to keep them fresh for as long as this or a clone of it lives.
    /// It waits for the first fetch, well or not, at most a few seconds; who does not want to
    /// wait drops the future after its first poll, or spawns it.
    pub async fn warm(&self) {
        self.0.verifier.keys.keep_fresh().await;
    }

    /// What the `auth` service of the box needs.
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}

/// Why [`Auth::new`] failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] Mistake),
    /// The HTTP client could not be made, in practice for want of certificates.
    #[error(
        "no HTTPS client could be made, are the system's CA certificates installed \
         (package `ca-certificates`): {0}"
    )]
    Client(reqwest::Error),
}
