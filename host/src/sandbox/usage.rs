//! What one call has used.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::computing::{Computing, thread_time};
use super::grants::Origin;

/// How many origins are noted of a call.
const ORIGINS: usize = 16;

/// What one call has used so far. Clones are the same call's; it is read when the call has ended,
/// however it did.
#[derive(Clone, Debug, Default)]
pub struct Usage(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    /// Nanoseconds, up to the last time that the call was put aside.
    computed: AtomicU64,
    /// What the thread's clock said when the call was last taken up.
    taken_up: AtomicU64,
    memory: AtomicUsize,
    /// Where it has sent requests.
    origins: Mutex<BTreeSet<String>>,
    requests: AtomicUsize,
    sent: AtomicUsize,
    received: AtomicUsize,
}

impl Usage {
    /// The time for which the call has computed; waiting does not count.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.0.computed.load(Ordering::Relaxed))
    }

    /// The most bytes of linear memory that it had.
    pub fn memory(&self) -> usize {
        self.0.memory.load(Ordering::Relaxed)
    }

    /// The origins to which it has sent requests, the first of them if they are many.
    pub fn origins(&self) -> Vec<String> {
        let origins = self
            .0
            .origins
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        origins.iter().cloned().collect()
    }

    /// How many requests it has sent.
    pub fn requests(&self) -> usize {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// The bytes that it has sent and received with them.
    pub fn exchanged(&self) -> (usize, usize) {
        (
            self.0.sent.load(Ordering::Relaxed),
            self.0.received.load(Ordering::Relaxed),
        )
    }

    /// Notes that it sends a request.
    pub(super) fn reaches(&self, origin: &Origin) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        let mut origins = self
            .0
            .origins
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if origins.len() < ORIGINS {
            origins.insert(origin.to_string());
        }
    }

    /// Notes bytes that it sends.
    pub(super) fn sends(&self, bytes: usize) {
        self.0.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes bytes that it receives.
    pub(super) fn receives(&self, bytes: usize) {
        self.0.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes how much memory the call has. Memories only grow.
    pub(super) fn has(&self, memory: usize) {
        self.0.memory.store(memory, Ordering::Relaxed);
    }

    /// The same time as [`Self::cpu`], asked for by the call itself, while it computes.
    pub(super) fn cpu_now(&self) -> Duration {
        let taken_up = self.0.taken_up.load(Ordering::Relaxed);
        let since = nanoseconds(thread_time()).saturating_sub(taken_up);
        self.cpu() + Duration::from_nanos(since)
    }

    /// Does a piece of work, and counts the time for which it computes.
    pub(super) fn count<T>(&self, work: impl FnOnce() -> T) -> (T, Duration) {
        let computing = Computing::begin();
        let before = nanoseconds(computing.before());
        self.0.taken_up.store(before, Ordering::Relaxed);
        let done = work();
        let spent = computing.so_far();
        let computed = nanoseconds(spent);
        self.0.computed.fetch_add(computed, Ordering::Relaxed);
        (done, spent)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
