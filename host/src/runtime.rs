//! The threads that everything runs on.

use std::io;
use std::num::NonZero;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};

/// A runtime for a host. Calls that compute for long may have as many threads as there are processors; one
/// thread more is for all others.
pub fn new() -> io::Result<Runtime> {
    let processors = available_parallelism().map_or(1, NonZero::get);
    Builder::new_multi_thread()
        .worker_threads(processors.saturating_add(1))
        .enable_all()
        // A guest that computes comes back to the scheduler on every tick. With the default interval, as
        // many such guests as there are threads would keep everyone else from being heard for a third of
        // a second.
        .event_interval(1)
        .build()
}
