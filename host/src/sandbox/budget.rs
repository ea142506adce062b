//! The memory that all calls have together. What one call may use is its limit; that all of them do not
//! use more than there is, is this.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes for calls. Clones are the same bytes.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Bytes>);

#[derive(Debug)]
struct Bytes {
    all: usize,
    left: AtomicUsize,
}

impl Budget {
    pub(super) fn new(all: usize) -> Self {
        Self(Arc::new(Bytes {
            all,
            left: AtomicUsize::new(all),
        }))
    }

    /// How many bytes calls have at this moment.
    pub(super) fn used(&self) -> usize {
        let left = self.0.left.load(Ordering::Relaxed);
        self.0.all.saturating_sub(left)
    }

    /// What one call has of it, which is nothing yet.
    pub(super) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            bytes: 0,
        }
    }
}

/// What one call has of the budget. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    bytes: usize,
}

impl Share {
    /// Takes bytes more, if there are so many.
    #[must_use]
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let left = &self.budget.0.left;
        let fits = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .is_ok();
        if fits {
            self.bytes = self.bytes.saturating_add(bytes);
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.left.fetch_add(self.bytes, Ordering::Relaxed);
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
        assert!(other.take(6) && !other.take(1));
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
