//! The clock of the engines.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wasmtime::Engine;

/// How often running guests are asked to yield. A guest that spins holds its thread for one tick,
/// so this is what other callers wait behind it, and how exactly a deadline is met.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// The thread that advances the engines' epochs on every tick. It ends when this is dropped.
pub(super) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread.
    pub(super) fn start<'a>(engines: impl Iterator<Item = &'a Engine>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let engines: Vec<_> = engines.map(Engine::weak).collect();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("epoch".into())
            .spawn(move || {
                // An absolute schedule: sleeping for a tick again and again would drift.
                let mut next = Instant::now();
                while !stopped.load(Ordering::Relaxed) {
                    next += TICK;
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "this thread exists to sleep; no async worker runs here"
                    )]
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                    for engine in &engines {
                        if let Some(engine) = engine.upgrade() {
                            engine.increment_epoch();
                        }
                    }
                }
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread has nothing to report; it can only have ended.
            let _ended = thread.join();
        }
    }
}
