//! The two clocks: one that tells the time of day, by which tokens are judged, and one that only
//! runs forward, by which keys age. Both are handed in, so tests decide what time it is.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time of day, in seconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The time since some fixed moment, which never goes back. Setting the computer's clock does not
/// change it, so it cannot cause a storm of fetches either.
pub(super) type Stopwatch = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The clock of this computer.
pub fn system_clock() -> Clock {
    Arc::new(|| match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |secs| -secs),
    })
}

/// The stopwatch of this computer, started now.
pub(super) fn stopwatch() -> Stopwatch {
    let start = Instant::now();
    Arc::new(move || start.elapsed())
}
