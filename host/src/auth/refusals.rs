//! Log lines about tokens that are refused. Anybody can have one refused, so they are bounded: some are told
//! one by one, and of a flood it is told how many there were.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::Stopwatch;
use super::pace::{Pace, Paces};
use super::token::Fingerprint;
use super::verifier::Refusal;

/// How many are told one by one.
const PACE: Pace = Pace {
    times: 100,
    per: SUMMED_UP,
};

/// How long the others are counted before it is told how many there were.
const SUMMED_UP: Duration = Duration::from_secs(10);

/// Tells of refused tokens.
pub(super) struct Refusals {
    stopwatch: Stopwatch,
    paces: Paces,
    untold: Arc<AtomicU64>,
}

impl Refusals {
    pub(super) fn new(stopwatch: &Stopwatch) -> Self {
        Self {
            stopwatch: stopwatch.clone(),
            paces: Paces::new(PACE, stopwatch),
            untold: Arc::default(),
        }
    }

    /// Tells of one, or counts it.
    pub(super) fn tell(&self, token: &Fingerprint<'_>, refusal: &Refusal) {
        let (kid, reason) = (refusal.kid.as_deref(), refusal.reason);
        if self.paces.take_any().is_ok() {
            tracing::info!(%token, kid, %reason, "token refused");
            return;
        }
        tracing::debug!(%token, kid, %reason, "token refused");
        // The first of them has the sum told.
        if self.untold.fetch_add(1, Ordering::Relaxed) == 0 {
            let (stopwatch, untold) = (self.stopwatch.clone(), Arc::clone(&self.untold));
            tokio::spawn(async move {
                let end = stopwatch.now().saturating_add(SUMMED_UP);
                stopwatch.reach(end).await;
                let count = untold.swap(0, Ordering::Relaxed);
                tracing::warn!(count, "more tokens were refused than are told one by one");
            });
        }
    }
}
