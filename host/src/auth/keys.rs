//! The issuer's public keys: an immutable snapshot that readers share without a lock, replaced by
//! fetches that never run two at a time. It knows when to fetch and how long keys stay good; what
//! a key set looks like is another file's business.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use reqwest::Client;
use tokio::task::AbortHandle;

use super::clock::Stopwatch;

mod snapshot;

use snapshot::{FIRST_PAUSE, Found, Shared, USABLE};

/// How old keys may get before a new set is asked for.
const FRESH: Duration = Duration::from_mins(5);

/// The age at which the keeper renews keys, so that on a host in service they never get stale.
const RENEWED: Duration = Duration::from_mins(4);

/// The issuer's keys. Dropping it ends its background work.
pub(super) struct KeyStore {
    shared: Arc<Shared>,
    keeper: OnceLock<Keeper>,
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer has no usable key of this name.
    Unknown,
    /// The keys were never loaded, or too long ago; how long to wait before asking again.
    Unavailable(Duration),
}

/// What the host can say of the issuer's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The keys are loaded and fresh.
    Loaded,
    /// The keys are old, since the issuer is out of reach; they still serve.
    Stale {
        /// Since the last success.
        age: Duration,
    },
    /// No usable keys: never loaded, or too long ago.
    NotLoaded,
}

impl Readiness {
    /// Whether tokens can be judged.
    pub fn is_serving(self) -> bool {
        match self {
            Self::Loaded | Self::Stale { .. } => true,
            Self::NotLoaded => false,
        }
    }
}

impl KeyStore {
    /// `url` is where the set is published, fixed by configuration and never taken from a token.
    pub(super) fn new(client: Client, url: String, stopwatch: Stopwatch) -> Self {
        Self {
            shared: Arc::new(Shared::new(client, url, stopwatch)),
            keeper: OnceLock::new(),
        }
    }

    /// The key of this name. `worth_a_fetch` is asked before an unknown name may cause one.
    ///
    /// A known name costs no lock and no waiting, except that an old snapshot is renewed in the
    /// background.
    pub(super) async fn key(
        &self,
        kid: &str,
        worth_a_fetch: impl FnOnce() -> bool,
    ) -> Result<Arc<DecodingKey>, NoKey> {
        let shared = &self.shared;
        match shared.look_up(kid) {
            Found::Key(key, age) => {
                if age > FRESH {
                    Shared::renew(shared);
                }
                return Ok(key);
            }
            Found::Unknown | Found::Nothing => {}
        }
        if !worth_a_fetch() {
            return Err(NoKey::Unknown);
        }
        // Looked up again after counting: a fetch that ends in between is not waited for twice.
        let seen = shared.ended();
        let has_waited = match shared.look_up(kid) {
            Found::Key(key, _) => return Ok(key),
            Found::Unknown => Shared::fetch_for_unknown(shared, kid, seen).await,
            Found::Nothing => Shared::fetch_for_all(shared, seen).await,
        };
        match shared.look_up(kid) {
            Found::Key(key, _) => Ok(key),
            Found::Unknown => {
                if has_waited {
                    shared.remember_unknown(kid);
                }
                Err(NoKey::Unknown)
            }
            Found::Nothing => Err(NoKey::Unavailable(shared.pause())),
        }
    }

    /// The key of this name, if it is another than the one that a signature was just held against: the
    /// issuer may have changed it and kept its name. `worth_a_fetch` is asked before that is found out.
    pub(super) async fn changed(
        &self,
        kid: &str,
        before: &Arc<DecodingKey>,
        worth_a_fetch: impl FnOnce() -> bool,
    ) -> Option<Arc<DecodingKey>> {
        let shared = &self.shared;
        let seen = shared.ended();
        if worth_a_fetch() {
            Shared::fetch_for_changed(shared, seen).await;
        }
        match shared.look_up(kid) {
            Found::Key(key, _) => Some(key).filter(|key| !Arc::ptr_eq(key, before)),
            Found::Unknown | Found::Nothing => None,
        }
    }

    pub(super) fn readiness(&self) -> Readiness {
        match self.shared.age() {
            Some(age) if age <= FRESH => Readiness::Loaded,
            Some(age) if age <= USABLE => Readiness::Stale { age },
            Some(_) | None => Readiness::NotLoaded,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.shared.count()
    }

    /// Starts the keeper, which renews the keys before they get stale, and waits for its first
    /// fetch to end, well or not.
    pub(super) async fn keep_fresh(&self) {
        let mut finished = self.shared.finished.subscribe();
        self.keeper
            .get_or_init(|| Keeper::start(Arc::downgrade(&self.shared)));
        if self.shared.age().is_none() {
            // The sender lives as long as `self`.
            let _ = finished.changed().await;
        }
    }
}

#[cfg(test)]
impl KeyStore {
    /// Changes whenever a fetch ends.
    pub(super) fn watch(&self) -> tokio::sync::watch::Receiver<u64> {
        self.shared.finished.subscribe()
    }
}

/// The task that renews the keys, ended by its owner.
struct Keeper(AbortHandle);

impl Keeper {
    fn start(shared: Weak<Shared>) -> Self {
        let task = tokio::spawn(async move {
            while let Some(strong) = shared.upgrade() {
                let seen = strong.ended();
                if strong.age().is_none_or(|age| age >= RENEWED) {
                    Shared::fetch_for_all(&strong, seen).await;
                }
                let (next, stopwatch) = (Self::next(&strong), strong.stopwatch.clone());
                drop(strong);
                stopwatch.reach(next).await;
            }
        });
        Self(task.abort_handle())
    }

    /// When it looks again.
    fn next(shared: &Shared) -> Duration {
        let pause = match shared.age() {
            Some(age) if age < RENEWED => RENEWED.saturating_sub(age).max(FIRST_PAUSE),
            Some(_) | None => shared.pause(),
        };
        shared.stopwatch.now().saturating_add(pause)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}
