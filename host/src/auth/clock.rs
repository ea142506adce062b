//! The two clocks: one that tells the time of day, by which tokens are judged, and one that only
//! runs forward, by which keys age. Both are handed in, so tests decide what time it is.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time of day, in seconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The clock of this computer.
pub fn system_clock() -> Clock {
    Arc::new(|| match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |secs| -secs),
    })
}

/// The time since some fixed moment, which never goes back. Setting the computer's clock does not
/// change it, so it cannot cause a storm of fetches either. Clones show the same time.
#[derive(Clone)]
pub(super) enum Stopwatch {
    /// It runs since then.
    Running(Instant),
    /// It shows what a test says.
    #[cfg(test)]
    Held(Arc<tokio::sync::watch::Sender<Duration>>),
}

impl Stopwatch {
    /// The stopwatch of this computer, started now.
    pub(super) fn start() -> Self {
        Self::Running(Instant::now())
    }

    /// The time that it shows.
    pub(super) fn now(&self) -> Duration {
        match self {
            Self::Running(since) => since.elapsed(),
            #[cfg(test)]
            Self::Held(shown) => *shown.borrow(),
        }
    }

    /// Waits until it shows this time.
    pub(super) async fn reach(&self, moment: Duration) {
        match self {
            Self::Running(_) => tokio::time::sleep(moment.saturating_sub(self.now())).await,
            #[cfg(test)]
            Self::Held(shown) => {
                let mut shown = shown.subscribe();
                let _gone = shown.wait_for(|now| *now >= moment).await;
            }
        }
    }
}

#[cfg(test)]
impl Stopwatch {
    /// One that stands still until it is moved.
    pub(super) fn held() -> Self {
        Self::Held(Arc::new(tokio::sync::watch::Sender::new(Duration::ZERO)))
    }

    /// Moves one that is held.
    pub(super) fn pass(&self, seconds: u64) {
        match self {
            Self::Running(_) => panic!("nobody moves a stopwatch that runs"),
            Self::Held(shown) => shown.send_modify(|now| *now += Duration::from_secs(seconds)),
        }
    }
}
