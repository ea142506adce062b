//! A token in, a [`Principal`] out: who is calling, proven by the issuer's signature, or one of
//! seven classes of being turned away.
//!
//! This module knows tokens, keys, and the issuer's token endpoint and Backend API. It does not know the server's
//! HTTP, what a class means as a status, or anything of MCP but the shape of
//! `_meta.authorization`. A token never leaves it: not to a guest, a log or an error's text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use secrecy::{ExposeSecret, SecretString};

mod access;
mod backend;
mod broader;
mod cache;
mod challenge;
mod claims;
mod clock;
mod denied;
mod directory;
mod discovery;
mod header;
mod json;
mod jwks;
mod keys;
mod kind;
mod opaque;
mod organization;
mod pace;
mod party;
mod policy;
mod principal;
mod recent;
mod refusals;
mod token;
mod upstream;
mod verifier;

pub mod bearer;
pub mod session;
pub mod settings;

#[cfg(test)]
mod tests;

pub use access::{Access, Grants, NotGrants, Requirement};
pub use backend::UserSession;
pub use bearer::{Bearer, Credentials, Presented};
pub use broader::{NotScopes, Scopes};
pub use challenge::Challenge;
pub use clock::{Clock, system_clock};
pub use denied::{Class, Denied, Reason, Via};
pub use keys::Readiness;
pub use kind::Kind;
pub use organization::Organization;
pub use party::Party;
pub use principal::Principal;
pub use session::Sessions;
pub use settings::{OAuthClient, OpaqueTokens, Resource, Settings};
pub use token::MAX_TOKEN_BYTES;

use backend::Backend;
use clock::Stopwatch;
use directory::Directory;
use discovery::Discovery;
use keys::KeyStore;
use opaque::Opaque;
use policy::Policy;
use refusals::Refusals;
use settings::{MAX_SKEW, Mistake, check_issuer};
use token::Fingerprint;
use upstream::Patience;
use verifier::Verifier;

/// Tells who is calling. Clones share one state.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    verifier: Arc<Verifier>,
    refusals: Refusals,
    /// Where a secret key is set.
    directory: Option<Directory>,
    discovery: Discovery,
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
            Stopwatch::start(),
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
        check_issuer(&settings.api)?;
        let backend = match &settings.secret_key {
            Some(key) => {
                let http = upstream::client(&settings.api, patience).map_err(SetupError::Client)?;
                let backend = Backend::new(http, settings.api, key, &stopwatch);
                Some(backend.ok_or(Mistake::BackendKey)?)
            }
            None => None,
        };
        let policy = Arc::new(Policy {
            issuer: settings.issuer.clone(),
            authorized_parties: settings.authorized_parties,
            resource: settings.resource.clone(),
            id_token_audiences: settings.id_token_audiences,
            skew,
        });
        let opaque = match &backend {
            _ if settings.opaque == OpaqueTokens::default() => None,
            Some(backend) => Some(Opaque::new(
                Arc::clone(backend),
                settings.opaque,
                settings
                    .secret_key
                    .is_some_and(|key| key.expose_secret().starts_with("sk_live_")),
                Arc::clone(&policy),
                &stopwatch,
            )),
            None => return Err(Mistake::BackendKey.into()),
        };
        let limits = session::Limits::new(&stopwatch);
        let directory = backend
            .clone()
            .map(|backend| Directory::new(backend, &stopwatch));
        let refusals = Refusals::new(&stopwatch);
        let discovery = Discovery::new(http.clone(), settings.issuer.clone(), &stopwatch);
        let verifier = Arc::new(Verifier {
            policy,
            opaque,
            clock,
            keys: KeyStore::new(http.clone(), keys, stopwatch),
        });
        let sessions = Sessions {
            http,
            provider: settings.provider,
            issuer: settings.issuer,
            resource: settings.resource,
            client: settings.client,
            backend,
            verifier: Arc::clone(&verifier),
            limits,
        };
        Ok(Self(Arc::new(Inner {
            verifier,
            refusals,
            directory,
            discovery,
            sessions,
        })))
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
        let party = Party::of(None, credentials.peer);
        match self.0.verifier.verify(bearer.expose(), &party).await {
            Ok(principal) => {
                tracing::debug!(%token, kind = principal.kind().name(), "token accepted");
                Ok(Some(Arc::new(principal.presented(via))))
            }
            Err(refusal) => {
                self.0.refusals.tell(&token, &refusal);
                Err(Denied {
                    retry_after: refusal.retry_after,
                    ..Denied::new(via, refusal.reason)
                })
            }
        }
    }

    /// The caller with what the issuer knows besides, if their token lacks a name or an address and
    /// the host has a secret key. It takes at most two seconds, and what cannot be had stays absent.
    pub async fn complete(&self, caller: &Arc<Principal>) -> Arc<Principal> {
        let Some(directory) = self.0.directory.as_ref().filter(|_| caller.is_incomplete()) else {
            return Arc::clone(caller);
        };
        match directory.profile(caller).await {
            Ok(profile) => Arc::new(caller.completed(&profile)),
            Err(_unknown) => Arc::clone(caller),
        }
    }

    /// A secret of the caller's own, by its name among those that a service is granted: each with the member
    /// of the caller's private metadata, which the issuer keeps for the host, that holds it.
    pub async fn secret(
        &self,
        caller: &Principal,
        granted: &BTreeMap<String, String>,
        name: &str,
    ) -> Result<SecretString, NoSecret> {
        let member = granted.get(name).ok_or(NoSecret::NotGranted)?;
        let directory = self.0.directory.as_ref().ok_or(NoSecret::Unavailable)?;
        match directory.secrets(caller, granted).await {
            Ok(secrets) => secrets.get(member).cloned().ok_or(NoSecret::NotSet),
            Err(failure) if failure.pause().is_some() => Err(NoSecret::Unavailable),
            Err(_nobody) => Err(NoSecret::NotSet),
        }
    }

    /// Whether the session that the caller's token belongs to is active still, as of a few seconds ago.
    /// Without a secret key nobody can tell.
    pub async fn check_session(&self, caller: &Principal) -> Result<(), Denied> {
        match &self.0.directory {
            Some(directory) => directory.check_session(caller).await,
            None if caller.session_id().is_none() => Ok(()),
            None => Err(Denied::new(caller.via(), Reason::Unavailable)),
        }
    }

    /// The issuer whose tokens are accepted, a URL without a slash at its end.
    pub fn issuer(&self) -> &str {
        &self.0.verifier.policy.issuer
    }

    /// What the issuer publishes for clients that want to sign in (RFC 8414 §3), as JSON text, as of five
    /// minutes ago, and while it is out of reach of an hour ago; where there is none, how long to wait.
    pub async fn authorization_server(&self) -> Result<Arc<str>, Duration> {
        self.0.discovery.document().await
    }

    /// Whether the issuer's keys are there.
    pub fn is_ready(&self) -> Readiness {
        self.0.verifier.keys.readiness()
    }

    /// What the issuer has said that is kept for a while.
    pub fn kept(&self) -> Kept {
        let Inner {
            verifier,
            directory,
            discovery,
            ..
        } = &*self.0;
        let verdicts = verifier.opaque.as_ref().map_or(0, Opaque::kept);
        let known = directory.as_ref().map_or(0, Directory::kept);
        Kept {
            keys: verifier.keys.count(),
            answers: discovery
                .kept()
                .saturating_add(verdicts)
                .saturating_add(known),
        }
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

/// How much is kept of what the issuer has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its public keys.
    pub keys: usize,
    /// What it said of tokens, users and sessions, and of itself. Each answer goes when its time is over.
    pub answers: usize,
}

/// Why a caller's secret is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSecret {
    /// The service is granted none of this name.
    NotGranted,
    /// The caller has none of this name.
    NotSet,
    /// The issuer cannot be asked.
    Unavailable,
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
