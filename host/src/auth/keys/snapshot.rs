//! The snapshot that readers share, and the one fetch at a time that replaces it: whether it may start, who
//! waits for it, and how it ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jsonwebtoken::DecodingKey;
use reqwest::{Client, StatusCode};
use tokio::sync::watch;

use super::FRESH;
use crate::auth::clock::Stopwatch;
use crate::auth::jwks::KeySet;
use crate::auth::upstream::{MAX_ANSWER_BYTES, Unreadable, read_body};

/// How long the last good keys serve while the issuer is out of reach.
pub(super) const USABLE: Duration = Duration::from_hours(1);

/// The least time between two fetches that unknown key ids cause, and between two that signatures cause
/// which do not fit: anybody can make either up.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// How many unknown key ids are remembered, and how long: a key can come into use a moment before
/// it is published, and must not stay refused for it.
const REMEMBERED_UNKNOWN: usize = 256;
const UNKNOWN_FOR: Duration = Duration::from_mins(1);

/// The pause after a failed fetch, doubled with each further failure.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What readers and fetches share.
pub(super) struct Shared {
    client: Client,
    url: String,
    pub(super) stopwatch: Stopwatch,
    snapshot: ArcSwapOption<Snapshot>,
    /// Taken only where a fetch may be due, and never across an await.
    flight: Mutex<Flight>,
    /// How many fetches have ended. Waiting for a fetch is waiting for this to change.
    pub(super) finished: watch::Sender<u64>,
}

struct Snapshot {
    keys: KeySet,
    /// When the fetch began, by the stopwatch: a key withdrawn during it may still be in the set.
    fetched_at: Duration,
}

/// What decides whether a fetch may start.
#[derive(Default)]
struct Flight {
    running: bool,
    failures: u32,
    /// No fetch before this moment, after a failure.
    not_before: Duration,
    /// No fetch for an unknown key id before this moment.
    unknown_not_before: Duration,
    /// No fetch for a signature that does not fit before this moment.
    changed_not_before: Duration,
    /// Key ids that were not in the last set, and until when that is believed.
    unknown: VecDeque<(String, Duration)>,
}

pub(super) enum Found {
    Key(Arc<DecodingKey>, Duration),
    /// There are usable keys, but none of this name.
    Unknown,
    /// There are no usable keys.
    Nothing,
}

impl Shared {
    pub(super) fn new(client: Client, url: String, stopwatch: Stopwatch) -> Self {
        Self {
            client,
            url,
            stopwatch,
            snapshot: ArcSwapOption::empty(),
            flight: Mutex::default(),
            finished: watch::Sender::new(0),
        }
    }

    pub(super) fn look_up(&self, kid: &str) -> Found {
        let snapshot = self.snapshot.load();
        let Some(snapshot) = snapshot.as_ref() else {
            return Found::Nothing;
        };
        let age = self.age_of(snapshot);
        if age > USABLE {
            return Found::Nothing;
        }
        match snapshot.keys.get(kid) {
            Some(key) => Found::Key(key, age),
            None => Found::Unknown,
        }
    }

    pub(super) fn count(&self) -> usize {
        let snapshot = self.snapshot.load();
        snapshot.as_ref().map_or(0, |snapshot| snapshot.keys.len())
    }

    pub(super) fn age(&self) -> Option<Duration> {
        let snapshot = self.snapshot.load();
        snapshot.as_ref().map(|snapshot| self.age_of(snapshot))
    }

    fn age_of(&self, snapshot: &Snapshot) -> Duration {
        self.stopwatch.now().saturating_sub(snapshot.fetched_at)
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ended(&self) -> u64 {
        *self.finished.borrow()
    }

    /// Starts a fetch in the background if one is due. It does not even wait for the lock: then
    /// somebody else is looking at the same question.
    pub(super) fn renew(shared: &Arc<Self>) {
        let landing = {
            let mut flight = match shared.flight.try_lock() {
                Ok(flight) => flight,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let is_due = !flight.running
                && shared.stopwatch.now() >= flight.not_before
                && shared.age().is_none_or(|age| age > FRESH);
            is_due.then(|| Landing::book(shared, &mut flight))
        };
        if let Some(landing) = landing {
            landing.take_off();
        }
    }

    /// Waits for a fetch, where one is running or may start, since nothing usable is there.
    /// `seen` is how many had ended when the caller looked. Whether there was one to wait for.
    pub(super) async fn fetch_for_all(shared: &Arc<Self>, seen: u64) -> bool {
        Self::join(shared, seen, |flight, now| now >= flight.not_before).await
    }

    /// Waits for a fetch, where one is running or may start, since this name is not in the set.
    pub(super) async fn fetch_for_unknown(shared: &Arc<Self>, kid: &str, seen: u64) -> bool {
        Self::join(shared, seen, |flight, now| {
            flight.unknown.retain(|(_, until)| now < *until);
            let may_start = now >= flight.unknown_not_before
                && now >= flight.not_before
                && !flight.unknown.iter().any(|(unknown, _)| unknown == kid);
            if may_start {
                flight.unknown_not_before = now.saturating_add(COOL_DOWN);
            }
            may_start
        })
        .await
    }

    /// Waits for a fetch, where one is running or may start, since a signature does not fit its key.
    pub(super) async fn fetch_for_changed(shared: &Arc<Self>, seen: u64) -> bool {
        Self::join(shared, seen, |flight, now| {
            let may_start = now >= flight.changed_not_before && now >= flight.not_before;
            if may_start {
                flight.changed_not_before = now.saturating_add(COOL_DOWN);
            }
            may_start
        })
        .await
    }

    /// Waits for the running fetch, or for a new one where `may_start` allows it.
    async fn join(
        shared: &Arc<Self>,
        seen: u64,
        may_start: impl FnOnce(&mut Flight, Duration) -> bool,
    ) -> bool {
        let (mut wait, landing) = {
            let mut flight = shared.flight();
            let wait = shared.finished.subscribe();
            if *wait.borrow() != seen {
                return false;
            }
            if flight.running {
                (wait, None)
            } else if may_start(&mut flight, shared.stopwatch.now()) {
                (wait, Some(Landing::book(shared, &mut flight)))
            } else {
                return false;
            }
        };
        if let Some(landing) = landing {
            landing.take_off();
        }
        // An error would mean that the store is gone, and with it whoever waits.
        wait.changed().await.is_ok()
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let response = self
            .client
            .get(&self.url)
            .header(reqwest::header::ACCEPT, "application/json")
            .send()
            .await
            .map_err(|error| FetchError::Unreachable(error.without_url()))?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let body = read_body(response, MAX_ANSWER_BYTES).await?;
        KeySet::read(&body).ok_or(FetchError::NoUsableKey)
    }

    pub(super) fn remember_unknown(&self, kid: &str) {
        let until = self.stopwatch.now().saturating_add(UNKNOWN_FOR);
        let mut flight = self.flight();
        // After a failure nobody knows which keys there are.
        if flight.failures > 0 || flight.unknown.iter().any(|(unknown, _)| unknown == kid) {
            return;
        }
        if flight.unknown.len() >= REMEMBERED_UNKNOWN {
            flight.unknown.pop_front();
        }
        flight.unknown.push_back((kid.to_owned(), until));
    }

    /// How long a caller should wait before asking again, at least a second.
    pub(super) fn pause(&self) -> Duration {
        let not_before = self.flight().not_before;
        not_before
            .saturating_sub(self.stopwatch.now())
            .max(FIRST_PAUSE)
    }
}

/// Ends a fetch however it ends, even by a panic or with the runtime: those who wait must wake.
struct Landing {
    shared: Arc<Shared>,
    arrived: bool,
}

impl Landing {
    /// Claims the one fetch that may run. It takes off once the lock is released: a runtime that
    /// is shutting down drops the task on the spot, which ends the fetch, which takes the lock.
    fn book(shared: &Arc<Shared>, flight: &mut Flight) -> Self {
        flight.running = true;
        Self {
            shared: Arc::clone(shared),
            arrived: false,
        }
    }

    /// Fetches in a task of its own: a caller who goes away must not end it, or a flood of such
    /// callers would start one after the other.
    fn take_off(mut self) {
        tokio::spawn(async move {
            let began = self.shared.stopwatch.now();
            match self.shared.fetch().await {
                Ok(keys) => self.arrive(keys, began),
                Err(error) => tracing::warn!(
                    %error,
                    url = self.shared.url,
                    "the issuer's keys could not be fetched; the last good ones serve for up to an hour"
                ),
            }
        });
    }

    fn arrive(&mut self, keys: KeySet, fetched_at: Duration) {
        tracing::debug!(keys = keys.len(), "the issuer's keys were fetched");
        let snapshot = Snapshot { keys, fetched_at };
        self.shared.snapshot.store(Some(Arc::new(snapshot)));
        self.arrived = true;
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let now = self.shared.stopwatch.now();
        let mut flight = self.shared.flight();
        flight.running = false;
        if self.arrived {
            flight.failures = 0;
            flight.not_before = Duration::ZERO;
            flight.unknown.clear();
        } else {
            let factor = 1_u32.checked_shl(flight.failures).unwrap_or(u32::MAX);
            let pause = FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
            flight.failures = flight.failures.saturating_add(1);
            flight.not_before = now.saturating_add(pause);
        }
        // Still under the lock, so that nobody sees a fetch that runs no more and has not ended.
        self.shared.finished.send_modify(|finished| *finished += 1);
    }
}

/// Why a fetch failed, for the log. The body is never quoted.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the issuer is out of reach: {0}")]
    Unreachable(reqwest::Error),
    #[error("the issuer answered {0} instead of 200")]
    Status(StatusCode),
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
    #[error("the answer is no key set with a usable RSA key of 2048 to 8192 bits")]
    NoUsableKey,
}
