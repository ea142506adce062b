//! What all calls have together: memory, and open files. What one call may use is its limit; that all of
//! them do not use more than there is, is this.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes, or files, for calls. Clones are the same ones.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Units>);

#[derive(Debug)]
struct Units {
    all: usize,
    left: AtomicUsize,
}

impl Budget {
    pub(super) fn new(all: usize) -> Self {
        Self(Arc::new(Units {
            all,
            left: AtomicUsize::new(all),
        }))
    }

    /// How many of them calls have at this moment.
    pub(super) fn used(&self) -> usize {
        let left = self.0.left.load(Ordering::Relaxed);
        self.0.all.saturating_sub(left)
    }

    /// What one call has of it, which is nothing yet.
    pub(super) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            taken: 0,
        }
    }
}

/// What one call has of the budget. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    taken: usize,
}

impl Share {
    /// Takes more of it, if there is so much.
    #[must_use]
    pub(super) fn take(&mut self, more: usize) -> bool {
        let left = &self.budget.0.left;
        let fits = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(more)
            })
            .is_ok();
        if fits {
            self.taken = self.taken.saturating_add(more);
        }
        fits
    }

    /// A share of the same budget that holds so much, for a thing that may be gone before its call.
    pub(super) fn part(&self, of: usize) -> Option<Self> {
        let mut part = self.budget.share();
        part.take(of).then_some(part)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.left.fetch_add(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_what_others_have() {
        let budget = Budget::new(10);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.take(6) && !other.take(5) && other.take(4) && !one.take(1));
        assert_eq!(budget.used(), 10);
        drop(one);
        assert!(other.take(2));
        let part = other.part(4).unwrap();
        assert!(other.part(1).is_none() && budget.used() == 10);
        drop(part);
        assert_eq!(budget.used(), 6);
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
