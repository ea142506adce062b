//! How often something may be done, so that nobody can have the issuer asked without end on this
//! host's account.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::clock::Stopwatch;
use crate::digest::Digest;

/// How many are told apart. If there are more within one period, all of them begin anew.
const MOST: usize = 1_024;

/// So many times in any period of this length, evenly afterwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) times: u32,
    pub(super) per: Duration,
}

/// Keeps a pace for each of many.
pub(super) struct Paces {
    pace: Pace,
    now: Stopwatch,
    /// When each will have rested wholly.
    rested: Mutex<HashMap<Digest, Duration>>,
}

impl Paces {
    pub(super) fn new(pace: Pace, now: Stopwatch) -> Self {
        Self {
            pace,
            now,
            rested: Mutex::default(),
        }
    }

    /// Whether it may be done now, which counts; if not, how long to wait.
    pub(super) fn take(&self, who: Digest) -> Result<(), Duration> {
        let now = (self.now)();
        let step = self.pace.per / self.pace.times.max(1);
        let mut rested = self.rested.lock().unwrap_or_else(PoisonError::into_inner);
        if rested.len() >= MOST {
            rested.retain(|_, until| *until > now);
        }
        if rested.len() >= MOST {
            rested.clear();
        }
        let until = rested.entry(who).or_insert(now);
        let next = (*until).max(now).saturating_add(step);
        let latest = now.saturating_add(self.pace.per);
        if next > latest {
            return Err(next.saturating_sub(latest));
        }
        *until = next;
        Ok(())
    }

    /// The same for what has no name.
    pub(super) fn take_any(&self) -> Result<(), Duration> {
        self.take(Digest::of(&[]))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn each_has_its_pace() {
        let seconds = Arc::new(AtomicU64::new(0));
        let now = Arc::clone(&seconds);
        let paces = Paces::new(
            Pace {
                times: 5,
                per: Duration::from_secs(10),
            },
            Arc::new(move || Duration::from_secs(now.load(Ordering::Relaxed))),
        );
        let (ada, bob) = (Digest::of(&[b"ada"]), Digest::of(&[b"bob"]));
        for _ in 0..5 {
            assert_eq!(paces.take(ada), Ok(()));
        }
        assert_eq!(paces.take(ada), Err(Duration::from_secs(2)));
        assert_eq!(paces.take(bob), Ok(()));
        seconds.store(2, Ordering::Relaxed);
        assert_eq!(paces.take(ada), Ok(()));
        assert_eq!(paces.take(ada), Err(Duration::from_secs(2)));
        seconds.store(100, Ordering::Relaxed);
        for n in 0..u32::try_from(3 * MOST).unwrap() {
            assert_eq!(paces.take(Digest::of(&[&n.to_be_bytes()])), Ok(()));
            assert!(paces.rested.lock().unwrap().len() <= MOST);
        }
    }
}
