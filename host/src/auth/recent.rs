//! What was seen a while ago, in bounds: enough to tell those who are known from those who are not. It is
//! about digests, so no token lies in it.

use std::collections::HashSet;
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::clock::Stopwatch;
use crate::digest::Digest;

/// How many are remembered in one half.
const HALF: usize = 2_048;

/// How long a half is filled at most. What is not seen again is forgotten after one to two of these.
const PERIOD: Duration = Duration::from_mins(30);

/// What was seen lately: two halves, of which the older is dropped when the younger is full or old. What is
/// seen again and again is always in the younger one.
pub(super) struct Recent {
    stopwatch: Stopwatch,
    halves: Mutex<Halves>,
}

#[derive(Default)]
struct Halves {
    younger: HashSet<Digest>,
    older: HashSet<Digest>,
    since: Duration,
}

impl Recent {
    pub(super) fn new(stopwatch: &Stopwatch) -> Self {
        Self {
            stopwatch: stopwatch.clone(),
            halves: Mutex::default(),
        }
    }

    pub(super) fn contains(&self, what: &Digest) -> bool {
        self.with(|halves| halves.younger.contains(what) || halves.older.contains(what))
    }

    pub(super) fn note(&self, what: Digest) {
        self.with(|halves| halves.younger.insert(what));
    }

    pub(super) fn forget(&self, what: &Digest) {
        self.with(|halves| (halves.younger.remove(what), halves.older.remove(what)));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Halves) -> T) -> T {
        let now = self.stopwatch.now();
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now.saturating_sub(halves.since);
        if age >= PERIOD || halves.younger.len() >= HALF {
            halves.since = now;
            halves.older = mem::take(&mut halves.younger);
        }
        if age >= PERIOD.saturating_mul(2) {
            halves.older.clear();
        }
        act(&mut halves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: usize) -> Digest {
        Digest::of(&[&n.to_be_bytes()])
    }

    #[test]
    fn what_was_not_seen_for_a_while_is_forgotten() {
        let stopwatch = Stopwatch::held();
        let recent = Recent::new(&stopwatch);
        recent.note(digest(0));
        recent.note(digest(1));
        recent.forget(&digest(1));
        assert!(recent.contains(&digest(0)) && !recent.contains(&digest(1)));
        stopwatch.pass(1_800);
        assert!(recent.contains(&digest(0)));
        stopwatch.pass(1_800);
        assert!(!recent.contains(&digest(0)));
        recent.note(digest(0));
        stopwatch.pass(3_600);
        assert!(!recent.contains(&digest(0)));
    }

    #[test]
    fn no_more_is_remembered_than_fits_and_what_is_seen_again_stays() {
        let recent = Recent::new(&Stopwatch::held());
        for n in 1..5 * HALF {
            recent.note(digest(0));
            recent.note(digest(n));
            let halves = recent.halves.lock().unwrap();
            assert!(halves.younger.len() + halves.older.len() <= 2 * HALF + 1);
        }
        assert!(recent.contains(&digest(0)));
        assert!(!recent.contains(&digest(1)));
    }
}
