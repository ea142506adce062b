//! What is so of a service at this moment, as far as callers can know: whoever was answered between two
//! changes knows what the answer has to be, and whoever was answered during one does not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Which of the two ways of a service its callers meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The one that it starts with.
    First,
    /// The other one.
    Second,
    /// It is being changed, so either.
    Either,
}

/// The way of one service, and how often that has changed.
pub(crate) struct Stage(Mutex<(u64, Way)>);

impl Default for Stage {
    fn default() -> Self {
        Self(Mutex::new((0, Way::First)))
    }
}

impl Stage {
    pub(crate) fn now(&self) -> (u64, Way) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, way: Way) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (now.0 + 1, way);
    }

    /// What an answer may be that came since then.
    pub(crate) fn since(&self, then: (u64, Way)) -> Way {
        if self.now() == then {
            then.1
        } else {
            Way::Either
        }
    }
}

/// All that changes so that callers notice.
#[derive(Default)]
pub(crate) struct Stages {
    /// `plain` is there, or not.
    pub(crate) plain: Stage,
    /// `fetcher` may reach the server elsewhere, or not.
    pub(crate) fetcher: Stage,
    /// `sleeper` has one limit of time, or another.
    pub(crate) sleeper: Stage,
    /// `versions` answers with a number: the newest that anybody has got, and the newest that was put there.
    pub(crate) seen: AtomicU64,
    /// See above.
    pub(crate) put: AtomicU64,
}

impl Stages {
    /// Notes a version that was served: from now on no older one may be.
    pub(crate) fn saw(&self, version: u64) {
        self.seen.fetch_max(version, Ordering::SeqCst);
    }
}
