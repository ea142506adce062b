//! How long a thread has computed. To ask the system takes a good part of what a small call takes, so it is not
//! asked twice for each.

use std::cell::Cell;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// For how long it need not be asked. Work may be taken to have computed for so much more than it has, and for
/// no longer than it took.
const GOOD: Duration = Duration::from_micros(250);

/// What the system has said last of this thread.
#[derive(Clone, Copy)]
struct Said {
    computed: Duration,
    at: Instant,
}

thread_local! {
    static LAST: Cell<Option<Said>> = const { Cell::new(None) };
}

/// A piece of work of a thread, from the moment on at which it begins.
#[derive(Clone, Copy)]
pub(super) struct Computing {
    begun: Instant,
    /// What the thread has computed before it, or a little less.
    before: Duration,
}

impl Computing {
    pub(super) fn begin() -> Self {
        let begun = Instant::now();
        let said = LAST
            .get()
            .filter(|said| begun.saturating_duration_since(said.at) < GOOD)
            .unwrap_or_else(|| ask(begun));
        Self {
            begun,
            before: said.computed,
        }
    }

    /// The time for which it has computed. Being put aside by the system is no part of that, if it was for
    /// longer than a moment.
    pub(super) fn so_far(self) -> Duration {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.begun);
        if took < GOOD {
            return took;
        }
        took.min(ask(now).computed.saturating_sub(self.before))
    }

    /// What the thread has computed before it, for who is asked by the same thread while it is done.
    pub(super) fn before(self) -> Duration {
        self.before
    }
}

fn ask(now: Instant) -> Said {
    let said = Said {
        computed: thread_time(),
        at: now,
    };
    LAST.set(Some(said));
    said
}

/// The processor time of this thread. On a system without that clock only what is short is counted, by the clock on
/// the wall, and calls are bounded by that alone.
pub(super) fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compute(time: Duration) {
        let before = thread_time();
        while thread_time().saturating_sub(before) < time {}
    }

    #[test]
    fn what_computes_is_counted_and_what_waits_is_not() {
        let long = 20 * GOOD;
        let work = Computing::begin();
        compute(long);
        assert!(work.so_far() >= long);

        let work = Computing::begin();
        #[expect(clippy::disallowed_methods, reason = "to wait is what is tested")]
        std::thread::sleep(long);
        assert!(work.so_far() < long);
    }

    #[test]
    fn many_short_pieces_are_as_much_as_they_take() {
        let (mut counted, before, begun) = (Duration::ZERO, thread_time(), Instant::now());
        while thread_time().saturating_sub(before) < 20 * GOOD {
            let work = Computing::begin();
            compute(GOOD / 10);
            counted += work.so_far();
        }
        // Each takes what it takes, and asking does, too.
        assert!(
            counted > 4 * GOOD && counted <= begun.elapsed(),
            "{counted:?}"
        );
    }
}
