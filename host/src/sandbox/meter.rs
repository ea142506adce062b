//! The watch over the memory and the tables of one call.

use wasmtime::{Error, ResourceLimiter, Result};

use super::budget::Share;
use super::engine::{MOST_INSTANCES, MOST_MEMORIES, MOST_TABLES};
use super::failure::OutOfTables;
use super::limits::Limits;
use super::usage::Usage;

/// What an element of a table takes.
const ELEMENT: usize = size_of::<usize>();

/// Counts what a store has, refuses what is too much, and remembers that it did.
#[derive(Debug)]
pub(super) struct Meter {
    memory: usize,
    most_memory: usize,
    elements: usize,
    most_elements: usize,
    refused: Option<NoMemory>,
    share: Share,
    usage: Usage,
}

/// Why a guest was not given the memory that it asked for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMemory {
    /// It is at its limit.
    Limit,
    /// There is none left for any call.
    Host,
}

impl Meter {
    pub(super) fn new(limits: &Limits, share: Share, usage: Usage) -> Self {
        Self {
            memory: 0,
            most_memory: limits.memory,
            elements: 0,
            most_elements: limits.tables,
            refused: None,
            share,
            usage,
        }
    }

    /// Why it was refused memory when it last asked. A guest whose allocation fails ends in some trap or
    /// other, or does with less.
    pub(super) fn refused(&self) -> Option<NoMemory> {
        self.refused
    }

    /// Takes memory of the host that is not the guest's own. False if there is none left.
    #[must_use]
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        self.share.take(bytes)
    }

    /// The same for something that may be gone before the call is.
    pub(super) fn part(&self, bytes: usize) -> Option<Share> {
        self.share.part(bytes)
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        // More than the guest's own type allows is not given, and is not asked of the host.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current);
        let total = self.memory.saturating_add(more);
        self.refused = if total > self.most_memory {
            Some(NoMemory::Limit)
        } else if !self.share.take(more) {
            Some(NoMemory::Host)
        } else {
            None
        };
        if self.refused.is_some() {
            return Ok(false);
        }
        self.memory = total;
        self.usage.has(total);
        Ok(true)
    }

    /// What was allowed could not be had of the system, or what was asked for is more than any memory
    /// can be, which was never allowed.
    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        if super::failure::is_out_of_memory(&error) {
            self.refused = Some(NoMemory::Host);
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let more = desired.saturating_sub(current);
        let total = self.elements.saturating_add(more);
        if total > self.most_elements {
            return Err(OutOfTables.into());
        }
        // The engine's own ceiling is among the maxima.
        if maximum.is_some_and(|maximum| desired > maximum)
            || !self.share.take(more.saturating_mul(ELEMENT))
        {
            return Ok(false);
        }
        self.elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MOST_INSTANCES
    }

    fn tables(&self) -> usize {
        MOST_TABLES
    }

    fn memories(&self) -> usize {
        MOST_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Budget;
    use super::*;

    fn meter(budget: usize) -> Meter {
        let limits = Limits {
            memory: 100,
            tables: 10,
            ..Limits::default()
        };
        Meter::new(&limits, Budget::new(budget).share(), Usage::default())
    }

    #[test]
    fn what_is_refused_is_not_counted() {
        let mut meter = meter(1_000);
        assert!(meter.memory_growing(0, 40, Some(60)).unwrap());
        // A memory that may not become so large of itself.
        for _ in 0..10 {
            assert!(!meter.memory_growing(40, 90, Some(60)).unwrap());
        }
        assert_eq!(meter.refused(), None);
        assert!(!meter.memory_growing(0, 61, None).unwrap());
        assert_eq!(meter.refused(), Some(NoMemory::Limit));
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert_eq!((meter.refused(), meter.usage.memory()), (None, 100));
    }

    #[test]
    fn what_the_host_does_not_have_is_told_from_what_the_call_may_not() {
        let mut meter = meter(50);
        assert!(!meter.memory_growing(0, 60, None).unwrap());
        assert_eq!(meter.refused(), Some(NoMemory::Host));
        assert!(meter.memory_growing(0, 50, None).unwrap());
        meter
            .memory_grow_failed(wasmtime::format_err!("too large to be one"))
            .unwrap();
        assert_eq!(meter.refused(), None);
        meter
            .memory_grow_failed(std::io::Error::from_raw_os_error(12).into())
            .unwrap();
        assert_eq!(meter.refused(), Some(NoMemory::Host));
    }

    #[test]
    fn tables_together_have_one_limit() {
        let mut meter = meter(1_000);
        assert!(meter.table_growing(0, 4, None).unwrap());
        assert!(!meter.table_growing(4, 6, Some(5)).unwrap());
        assert!(meter.table_growing(0, 6, None).unwrap());
        let error = meter.table_growing(4, 5, None).unwrap_err();
        assert!(error.is::<OutOfTables>());
    }
}
