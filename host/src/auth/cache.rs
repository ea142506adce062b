//! What the issuer said a moment ago: kept briefly, in bounds, and asked for once however many want
//! it. It does not know what is asked for, and keys are digests, so that no token lies in it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::clock::Stopwatch;
use crate::digest::Digest;

/// How many answers are kept at once.
const MOST: usize = 1_024;

/// Answers by what was asked. An answer goes when its time is over, whether or not anybody asks again:
/// some of them are secrets.
pub(super) struct Cache<V> {
    entries: Arc<Mutex<Entries<V>>>,
    stopwatch: Stopwatch,
}

type Entries<V> = HashMap<Digest, Entry<V>>;

/// Empty until the answer is there.
type Entry<V> = watch::Receiver<Option<Kept<V>>>;

/// An answer, and until when it is believed.
struct Kept<V> {
    value: V,
    until: Duration,
}

impl<V: Clone + Send + Sync + 'static> Cache<V> {
    pub(super) fn new(stopwatch: &Stopwatch) -> Self {
        Self {
            entries: Arc::default(),
            stopwatch: stopwatch.clone(),
        }
    }

    /// The answer, from here or from `load`, which says with it how long it may be kept from the
    /// moment of asking. It runs in a task of its own: a caller who goes away must not end what
    /// others wait for, nor start it anew for the next. None only if it panicked.
    pub(super) async fn get<F>(&self, key: Digest, load: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = (V, Duration)> + Send + 'static,
    {
        let mut entry = self.entry(key, load);
        let kept = entry.wait_for(Option::is_some).await.ok()?;
        kept.as_ref().map(|kept| kept.value.clone())
    }

    /// How many answers are kept, or on their way.
    pub(super) fn len(&self) -> usize {
        lock(&self.entries).len()
    }

    fn entry<F>(&self, key: Digest, load: impl FnOnce() -> F) -> Entry<V>
    where
        F: Future<Output = (V, Duration)> + Send + 'static,
    {
        let now = self.stopwatch.now();
        let mut entries = lock(&self.entries);
        if let Some(entry) = entries.get(&key).filter(|entry| is_good(entry, now)) {
            return entry.clone();
        }
        if entries.len() >= MOST {
            entries.retain(|_, entry| is_good(entry, now));
        }
        if entries.len() >= MOST {
            // Who waits for one of these keeps it; it is only asked for again by the next.
            entries.clear();
        }
        let (sender, entry) = watch::channel(None);
        entries.insert(key, entry.clone());
        let work = load();
        let (own, stopwatch) = (Arc::downgrade(&self.entries), self.stopwatch.clone());
        tokio::spawn(async move {
            let (value, good_for) = work.await;
            let until = now.saturating_add(good_for);
            sender.send_replace(Some(Kept { value, until }));
            tokio::select! {
                () = stopwatch.reach(until) => {}
                // It had to make room, and nobody waits for it.
                () = sender.closed() => return,
            }
            let Some(entries) = own.upgrade() else { return };
            let mut entries = lock(&entries);
            let is_same = |entry: &Entry<V>| entry.same_channel(&sender.subscribe());
            if entries.get(&key).is_some_and(is_same) {
                entries.remove(&key);
            }
        });
        entry
    }
}

fn lock<V>(entries: &Mutex<Entries<V>>) -> MutexGuard<'_, Entries<V>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether an answer is believed still, or on its way.
fn is_good<V>(entry: &Entry<V>, now: Duration) -> bool {
    match entry.borrow().as_ref() {
        Some(kept) => now < kept.until,
        None => entry.has_changed().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    /// A cache, its stopwatch, and a count of what was asked.
    fn cache() -> (Cache<usize>, Stopwatch, Arc<AtomicUsize>) {
        let stopwatch = Stopwatch::held();
        (Cache::new(&stopwatch), stopwatch, Arc::default())
    }

    fn key(n: usize) -> Digest {
        Digest::of(&[&n.to_be_bytes()])
    }

    #[tokio::test]
    async fn an_answer_is_asked_for_once_and_believed_for_its_time() {
        let (cache, stopwatch, asked) = cache();
        let answers = Arc::new(Notify::new());
        let load = || {
            let (asked, answers) = (Arc::clone(&asked), Arc::clone(&answers));
            async move {
                let count = asked.fetch_add(1, Ordering::Relaxed);
                answers.notified().await;
                (count, Duration::from_secs(15))
            }
        };
        // One who goes away does not end what others wait for.
        drop(tokio::time::timeout(Duration::ZERO, cache.get(key(0), load)).await);
        let many = futures_util::future::join_all((0..50).map(|_| cache.get(key(0), load)));
        let (many, ()) = tokio::join!(many, async {
            answers.notify_one();
        });
        assert!(many.iter().all(|value| *value == Some(0)), "{many:?}");
        stopwatch.pass(14);
        assert_eq!(cache.get(key(0), load).await, Some(0));
        stopwatch.pass(1);
        answers.notify_one();
        assert_eq!(cache.get(key(0), load).await, Some(1));
    }

    #[tokio::test]
    async fn an_answer_goes_when_its_time_is_over_though_nobody_asks() {
        let stopwatch = Stopwatch::held();
        let cache: Cache<Arc<str>> = Cache::new(&stopwatch);
        let secret: Arc<str> = "s3cret".into();
        let held = Arc::downgrade(&secret);
        let value = cache.get(key(0), || async { (secret, Duration::from_mins(1)) });
        assert_eq!(value.await.as_deref(), Some("s3cret"));
        let others_run = async || {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        };
        stopwatch.pass(59);
        others_run().await;
        assert!(held.upgrade().is_some());
        stopwatch.pass(1);
        others_run().await;
        assert!(held.upgrade().is_none());
        assert!(lock(&cache.entries).is_empty());
    }

    #[tokio::test]
    async fn no_more_is_kept_than_fits() {
        let (cache, ..) = cache();
        for n in 0..3 * MOST {
            let value = cache.get(key(n), || async move { (n, Duration::from_secs(15)) });
            assert_eq!(value.await, Some(n));
            assert!(lock(&cache.entries).len() <= MOST);
        }
    }

    #[tokio::test]
    async fn what_panics_is_no_answer_and_is_asked_for_again() {
        let (cache, ..) = cache();
        let panics = || async { panic!("as a defect would") };
        assert_eq!(cache.get(key(0), panics).await, None);
        let answers = || async { (7, Duration::ZERO) };
        assert_eq!(cache.get(key(0), answers).await, Some(7));
    }
}
