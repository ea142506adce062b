//! What one call may use.

use std::time::Duration;

use super::engine::{MEMORY_CEILING, TABLE_CEILING};

/// What one call may use. Reaching a limit ends that call alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The time from start to end, waiting included, but neither the wait for a place nor that for a
    /// person's answer.
    pub timeout: Duration,
    /// The time for which it computes.
    pub cpu: Duration,
    /// The bytes of linear memory, over all memories of the call. What goes beyond is refused, and a
    /// program that cannot do without it ends.
    pub memory: usize,
    /// The elements of tables, over all tables of the call.
    pub tables: usize,
    /// The bytes that a result may have as JSON; the values in it are bounded accordingly.
    pub output: usize,
    /// The bytes that it may write to its standard error.
    pub log: usize,
    /// The bytes that it may send and receive over HTTP.
    pub http: usize,
    /// The handles that it may hold at once: of files, requests, streams and whatever else the host
    /// keeps for it.
    pub handles: usize,
    /// How many calls of the service may run at once; none is half of all.
    pub concurrency: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            cpu: Duration::from_secs(2),
            memory: 64 << 20,
            tables: 20_000,
            output: 4 << 20,
            log: 1 << 20,
            http: 16 << 20,
            handles: 1_000,
            concurrency: None,
        }
    }
}

impl Limits {
    /// The most that can be set.
    pub const CEILING: Self = Self {
        timeout: Duration::from_mins(5),
        cpu: Duration::from_mins(1),
        memory: MEMORY_CEILING,
        tables: TABLE_CEILING,
        output: 64 << 20,
        log: 64 << 20,
        http: 1 << 30,
        handles: 10_000,
        concurrency: None,
    };

    /// The lower one of each.
    #[must_use]
    pub fn within(self, ceiling: &Self) -> Self {
        Self {
            timeout: self.timeout.min(ceiling.timeout),
            cpu: self.cpu.min(ceiling.cpu),
            memory: self.memory.min(ceiling.memory),
            tables: self.tables.min(ceiling.tables),
            output: self.output.min(ceiling.output),
            log: self.log.min(ceiling.log),
            http: self.http.min(ceiling.http),
            handles: self.handles.min(ceiling.handles),
            concurrency: self.concurrency,
        }
    }

    /// The limits that are above a ceiling, by their names in settings and manifests. The concurrency is
    /// not among them: its ceiling is the number of places.
    pub fn above(&self, ceiling: &Self) -> Vec<&'static str> {
        [
            ("timeout", self.timeout > ceiling.timeout),
            ("cpu", self.cpu > ceiling.cpu),
            ("memory", self.memory > ceiling.memory),
            ("tables", self.tables > ceiling.tables),
            ("output", self.output > ceiling.output),
            ("log", self.log > ceiling.log),
            ("http", self.http > ceiling.http),
            ("handles", self.handles > ceiling.handles),
        ]
        .into_iter()
        .filter_map(|(limit, is_above)| is_above.then_some(limit))
        .collect()
    }
}
