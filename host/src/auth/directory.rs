//! What the issuer knows of a caller beyond their token, asked for with the host's secret key: names
//! and addresses, secrets of their own, and whether a session has ended before its time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::backend::{Backend, Failure, Profile, Secrets};
use super::cache::Cache;
use super::clock::Stopwatch;
use super::denied::{Denied, Reason};
use super::principal::Principal;
use crate::digest::Digest;

/// How long what the issuer says of a user is kept.
const USER_FOR: Duration = Duration::from_mins(1);

/// How long the state of a session is kept: so long does one work on that was ended.
const SESSION_FOR: Duration = Duration::from_secs(15);

/// Looks up callers.
pub(super) struct Directory {
    backend: Arc<Backend>,
    profiles: Cache<Result<Arc<Profile>, Failure>>,
    /// By user and by the members that are kept: those that one service is granted.
    secrets: Cache<Result<Arc<Secrets>, Failure>>,
    /// The user of each active session; none of one that has ended.
    sessions: Cache<Result<Option<Arc<str>>, Failure>>,
}

impl Directory {
    pub(super) fn new(backend: Arc<Backend>, stopwatch: &Stopwatch) -> Self {
        Self {
            backend,
            profiles: Cache::new(stopwatch),
            secrets: Cache::new(stopwatch),
            sessions: Cache::new(stopwatch),
        }
    }

    /// How many answers are kept.
    pub(super) fn kept(&self) -> usize {
        let (profiles, secrets) = (self.profiles.len(), self.secrets.len());
        let kept = profiles.saturating_add(secrets);
        kept.saturating_add(self.sessions.len())
    }

    /// A caller's profile. None is known while the API is out of reach.
    pub(super) async fn profile(&self, caller: &Principal) -> Result<Arc<Profile>, Failure> {
        let key = Digest::of(&[caller.id().as_bytes()]);
        let answer = self.profiles.get(key, || {
            let (backend, id) = (Arc::clone(&self.backend), caller.id().to_owned());
            async move {
                let answer = backend.profile(&id).await.map(Arc::new);
                let good_for = kept(&answer, USER_FOR);
                (answer, good_for)
            }
        });
        answer
            .await
            .unwrap_or(Err(Failure::Unavailable(Duration::ZERO)))
    }

    /// A caller's secrets, as far as a service is granted them: by what names, and which members of the
    /// private metadata hold them.
    pub(super) async fn secrets(
        &self,
        caller: &Principal,
        granted: &BTreeMap<String, String>,
    ) -> Result<Arc<Secrets>, Failure> {
        let members: BTreeSet<&str> = granted.values().map(String::as_str).collect();
        let members: Vec<String> = members.into_iter().map(str::to_owned).collect();
        // Each part with its end, so that parts which together read the same are different.
        let parts = [caller.id()].into_iter();
        let parts = parts.chain(members.iter().map(String::as_str));
        let parts: Vec<Digest> = parts.map(|part| Digest::of(&[part.as_bytes()])).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Digest::as_bytes).collect();
        let answer = self.secrets.get(Digest::of(&parts), || {
            let (backend, id) = (Arc::clone(&self.backend), caller.id().to_owned());
            async move {
                let answer = backend.secrets(&id, &members).await.map(Arc::new);
                let good_for = kept(&answer, USER_FOR);
                (answer, good_for)
            }
        });
        answer
            .await
            .unwrap_or(Err(Failure::Unavailable(Duration::ZERO)))
    }

    /// Whether the session that a caller's token belongs to is active still. A token that belongs to
    /// none cannot end with one.
    pub(super) async fn check_session(&self, caller: &Principal) -> Result<(), Denied> {
        let Some(id) = caller.session_id() else {
            return Ok(());
        };
        let key = Digest::of(&[id.as_bytes()]);
        let answer = self.sessions.get(key, || {
            let (backend, id) = (Arc::clone(&self.backend), id.to_owned());
            async move {
                let answer = match backend.session(&id).await {
                    Ok(session) => Ok(session
                        .is_active
                        .then(|| Arc::from(session.user_id.as_str()))),
                    Err(Failure::NotFound) => Ok(None),
                    Err(failure) => Err(failure),
                };
                let good_for = kept(&answer, SESSION_FOR);
                (answer, good_for)
            }
        });
        match answer.await {
            Some(Ok(Some(user))) if *user == *caller.id() => Ok(()),
            Some(Ok(_ended)) => Err(Denied::new(caller.via(), Reason::SessionStatus)),
            Some(Err(failure)) => Err(Denied {
                retry_after: failure.pause(),
                ..Denied::new(caller.via(), Reason::Unavailable)
            }),
            None => Err(Denied::new(caller.via(), Reason::Unavailable)),
        }
    }
}

/// How long an answer is kept. One that cannot be used is kept so that it is not asked for again and again;
/// while the API is out of reach, its own pause holds its askers.
fn kept<T>(answer: &Result<T, Failure>, good_for: Duration) -> Duration {
    match answer {
        Ok(_) | Err(Failure::NotFound | Failure::Refused) => good_for,
        Err(failure @ Failure::Unusable) => failure.pause().unwrap_or_default(),
        Err(Failure::Limited(_) | Failure::Unavailable(_)) => Duration::ZERO,
    }
}
