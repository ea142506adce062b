//! What the issuer knows of a caller beyond their token, asked for with the host's secret key: names
//! and addresses, secrets of their own, and whether a session has ended before its time.

use std::sync::Arc;
use std::time::Duration;

use super::backend::{Backend, Failure, Profile};
use super::cache::Cache;
use super::clock::Stopwatch;
use super::denied::{Denied, Reason};
use super::principal::Principal;
use crate::digest::Digest;

/// How long a user's profile is kept.
const PROFILE_FOR: Duration = Duration::from_mins(1);

/// How long the state of a session is kept: so long does one work on that was ended.
const SESSION_FOR: Duration = Duration::from_secs(15);

/// Looks up callers.
pub(super) struct Directory {
    backend: Arc<Backend>,
    profiles: Cache<Result<Arc<Profile>, Failure>>,
    /// The user of each active session; none of one that has ended.
    sessions: Cache<Result<Option<Arc<str>>, Failure>>,
}

impl Directory {
    pub(super) fn new(backend: Arc<Backend>, now: &Stopwatch) -> Self {
        Self {
            backend,
            profiles: Cache::new(Arc::clone(now)),
            sessions: Cache::new(Arc::clone(now)),
        }
    }

    /// A caller's profile. None is known while the API is out of reach.
    pub(super) async fn profile(&self, caller: &Principal) -> Result<Arc<Profile>, Failure> {
        let key = Digest::of(&[caller.id().as_bytes()]);
        let answer = self.profiles.get(key, || {
            let (backend, id) = (Arc::clone(&self.backend), caller.id().to_owned());
            async move {
                let answer = backend.user(&id).await.map(Arc::new);
                let good_for = kept(&answer, PROFILE_FOR);
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

/// How long an answer is kept. One that says nothing is not: the pause of the API holds its askers.
fn kept<T>(answer: &Result<T, Failure>, good_for: Duration) -> Duration {
    match answer {
        Ok(_) | Err(Failure::NotFound | Failure::Refused) => good_for,
        Err(Failure::Limited(_) | Failure::Unavailable(_)) => Duration::ZERO,
    }
}
