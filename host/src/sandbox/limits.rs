//! What one call may use, and the watch over its memory.

use std::time::Duration;

use wasmtime::{ResourceLimiter, Result};

use super::engine::{MEMORY_CEILING, TABLE_CEILING};
use super::usage::Usage;

/// What one call may use. Reaching a limit ends that call alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The time from start to end, waiting included, but not the wait for a person's answer.
    pub timeout: Duration,
    /// The time for which it computes.
    pub cpu: Duration,
    /// The bytes of linear memory, over all memories of the call.
    pub memory: usize,
    /// The bytes that a result may have as JSON; the values in it are bounded accordingly.
    pub output: usize,
    /// The bytes that it may send and receive over HTTP.
    pub http: usize,
    /// How many calls of the service may run at once.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            cpu: Duration::from_secs(10),
            memory: 64 << 20,
            output: 4 << 20,
            http: 16 << 20,
            concurrency: usize::MAX,
        }
    }
}

impl Limits {
    /// The most that can be set.
    pub const CEILING: Self = Self {
        timeout: Duration::from_mins(5),
        cpu: Duration::from_mins(1),
        memory: MEMORY_CEILING,
        output: 64 << 20,
        http: 1 << 30,
        concurrency: usize::MAX,
    };

    /// The lower one of each.
    #[must_use]
    pub fn within(self, ceiling: &Self) -> Self {
        Self {
            timeout: self.timeout.min(ceiling.timeout),
            cpu: self.cpu.min(ceiling.cpu),
            memory: self.memory.min(ceiling.memory),
            output: self.output.min(ceiling.output),
            http: self.http.min(ceiling.http),
            concurrency: self.concurrency.min(ceiling.concurrency),
        }
    }

    /// The budget for values that cross from guest to host at once. An element of a list costs 40
    /// units however small it is, and at least two bytes as JSON, so 20 times the output limit
    /// never refuses what the output limit would let through.
    pub(super) fn crossing(&self) -> usize {
        self.output.saturating_mul(20).max(1 << 20)
    }
}

/// Counts what a store has, refuses what is too much, and remembers that it did.
#[derive(Debug)]
pub(super) struct Meter {
    memory: usize,
    allowed: usize,
    refused: bool,
    usage: Usage,
}

impl Meter {
    pub(super) fn new(limits: &Limits, usage: Usage) -> Self {
        Self {
            memory: 0,
            allowed: limits.memory.min(MEMORY_CEILING),
            refused: false,
            usage,
        }
    }

    /// Whether the call asked for more memory than it may have. A guest whose allocation fails
    /// ends in some trap or other; this tells why.
    pub(super) fn ran_out(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        let fits = total <= self.allowed;
        if fits {
            self.memory = total;
            self.usage.has(total);
        } else {
            self.refused = true;
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        Ok(desired <= TABLE_CEILING)
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        8
    }
}
