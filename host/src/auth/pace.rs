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
    stopwatch: Stopwatch,
    /// When each will have rested wholly.
    rested: Mutex<HashMap<Digest, Duration>>,
}

impl Paces {
    pub(super) fn new(pace: Pace, stopwatch: &Stopwatch) -> Self {
        Self {
            pace,
            stopwatch: stopwatch.clone(),
            rested: Mutex::default(),
        }
    }

    /// Whether it may be done now, which counts; if not, how long to wait.
    pub(super) fn take(&self, who: Digest) -> Result<(), Duration> {
        let now = self.stopwatch.now();
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
    use super::*;

    #[test]
    fn each_has_its_pace() {
        let stopwatch = Stopwatch::held();
        let pace = Pace {
            times: 5,
            per: Duration::from_secs(10),
        };
        let paces = Paces::new(pace, &stopwatch);
        let (ada, bob) = (Digest::of(&[b"ada"]), Digest::of(&[b"bob"]));
        for _ in 0..5 {
            assert_eq!(paces.take(ada), Ok(()));
        }
        assert_eq!(paces.take(ada), Err(Duration::from_secs(2)));
        assert_eq!(paces.take(bob), Ok(()));
        stopwatch.pass(2);
        assert_eq!(paces.take(ada), Ok(()));
        assert_eq!(paces.take(ada), Err(Duration::from_secs(2)));
        stopwatch.pass(98);
        for n in 0..u32::try_from(3 * MOST).unwrap() {
            assert_eq!(paces.take(Digest::of(&[&n.to_be_bytes()])), Ok(()));
            assert!(paces.rested.lock().unwrap().len() <= MOST);
        }
    }
}
