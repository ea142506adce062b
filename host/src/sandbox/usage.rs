//! What one call has used.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

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

    /// Notes how much memory the call has. Memories only grow.
    pub(super) fn has(&self, memory: usize) {
        self.0.memory.store(memory, Ordering::Relaxed);
    }

    /// The same time as [`Self::cpu`], asked for by the call itself, while it computes.
    pub(super) fn cpu_now(&self) -> Duration {
        let since = thread_time().saturating_sub(self.0.taken_up.load(Ordering::Relaxed));
        self.cpu() + Duration::from_nanos(since)
    }

    /// Does the work, and counts the time for which it computes.
    pub(super) async fn count<W: Future>(&self, work: W) -> W::Output {
        let mut work = pin!(work);
        poll_fn(|context| {
            let before = thread_time();
            self.0.taken_up.store(before, Ordering::Relaxed);
            let polled = work.as_mut().poll(context);
            let spent = thread_time().saturating_sub(before);
            self.0.computed.fetch_add(spent, Ordering::Relaxed);
            polled
        })
        .await
    }
}

/// The processor time of this thread, in nanoseconds. A system without that clock counts nothing, and
/// its calls are bounded by the time on the wall alone.
fn thread_time() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |time| {
        u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX)
    })
}
