//! The pause in which the API is not asked that failed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::auth::clock::Stopwatch;

/// The pause after a failure, doubled with each further one.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// When the API may be asked again.
pub(super) struct Pause {
    stopwatch: Stopwatch,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    not_before: Duration,
}

impl Pause {
    pub(super) fn new(stopwatch: &Stopwatch) -> Self {
        Self {
            stopwatch: stopwatch.clone(),
            state: Mutex::default(),
        }
    }

    /// How long nobody should ask, if so.
    pub(super) fn left(&self) -> Option<Duration> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = state.not_before.saturating_sub(self.stopwatch.now());
        (!left.is_zero()).then_some(left)
    }

    /// The API answers again.
    pub(super) fn ended(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// Counts a failure; how long nobody asks now. A pause that the API itself wants is kept, within
    /// reason.
    pub(super) fn failed(&self, wanted: Option<Duration>) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let factor = 1_u32.checked_shl(state.failures).unwrap_or(u32::MAX);
        let own = FIRST.saturating_mul(factor).min(LONGEST);
        let length = wanted.map_or(own, |wanted| wanted.clamp(own, LONGEST));
        state.failures = state.failures.saturating_add(1);
        state.not_before = self.stopwatch.now().saturating_add(length);
        length
    }
}
