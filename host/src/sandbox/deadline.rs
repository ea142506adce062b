//! The moment at which a call must have ended. It moves away while the guest waits for an answer:
//! a person may think for longer than a program may run.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::failure::OutOfTime;

/// The deadline of one call, shared by the two clocks that measure it. Clones are the same deadline.
#[derive(Clone, Debug)]
pub(super) struct Deadline(Arc<Mutex<Clock>>);

#[derive(Clone, Copy, Debug)]
enum Clock {
    Running { end: Instant },
    Stopped { left: Duration },
}

impl Deadline {
    /// The deadline of what begins now.
    pub(super) fn after(limit: Duration) -> Self {
        let end = Instant::now() + limit;
        Self(Arc::new(Mutex::new(Clock::Running { end })))
    }

    /// Whether it has passed. While the clock is stopped, it has not.
    pub(super) fn has_passed(&self) -> bool {
        self.end().is_some_and(|end| end <= Instant::now())
    }

    /// Stops the clock until what is returned is dropped.
    pub(super) fn pause(&self) -> Pause<'_> {
        self.turn(|clock, now| match clock {
            Clock::Running { end } => Clock::Stopped {
                left: end.saturating_duration_since(now),
            },
            stopped @ Clock::Stopped { .. } => stopped,
        });
        Pause(self)
    }

    /// Waits for the work, but not beyond the deadline. Only the work itself may stop the clock.
    pub(super) async fn bound<W: Future>(&self, work: W) -> Result<W::Output, OutOfTime> {
        let mut work = pin!(work);
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        poll_fn(|context| {
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            // The clock is as the work left it, and stays so until the work is polled again.
            let Some(end) = self.end() else {
                return Poll::Pending;
            };
            if timer.deadline().into_std() != end {
                timer.as_mut().reset(end.into());
            }
            // The timer may be out of budget where the work used it up, hence the look at the clock.
            if timer.as_mut().poll(context).is_ready() || end <= Instant::now() {
                return Poll::Ready(Err(OutOfTime));
            }
            Poll::Pending
        })
        .await
    }

    fn end(&self) -> Option<Instant> {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Clock::Running { end } => Some(end),
            Clock::Stopped { .. } => None,
        }
    }

    fn turn(&self, change: impl FnOnce(Clock, Instant) -> Clock) {
        let mut clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *clock = change(*clock, Instant::now());
    }
}

/// A stopped clock. It goes on when this is dropped.
#[must_use]
pub(super) struct Pause<'a>(&'a Deadline);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.turn(|clock, now| match clock {
            Clock::Stopped { left } => Clock::Running { end: now + left },
            running @ Clock::Running { .. } => running,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_clock_stands_still_in_a_pause_and_goes_on_after_it() {
        let deadline = Deadline::after(Duration::from_millis(5));
        let mut paused = false;
        let work = async {
            let pause = deadline.pause();
            let other = Deadline::after(Duration::from_millis(10));
            assert_eq!(other.bound(pending::<()>()).await, Err(OutOfTime));
            paused = !deadline.has_passed();
            drop(pause);
            pending::<()>().await;
        };
        assert_eq!(deadline.bound(work).await, Err(OutOfTime));
        assert!(paused && deadline.has_passed());
    }

    #[tokio::test]
    async fn work_that_is_dropped_in_a_pause_leaves_the_clock_running() {
        let deadline = Deadline::after(Duration::from_millis(5));
        let mut work = Box::pin(async {
            let _pause = deadline.pause();
            pending::<()>().await;
        });
        assert!((&mut work).now_or_never().is_none());
        assert_eq!(deadline.end(), None);
        drop(work);
        let end = deadline.bound(pending::<()>()).await;
        assert_eq!(end, Err(OutOfTime));
    }
}
