//! The engine: how memory, stacks and time are shared out among calls.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result,
};

/// How often running guests are asked to yield. A guest that spins holds its thread for one tick,
/// so this is what other callers wait behind it, and how exactly a deadline is met.
const TICK: Duration = Duration::from_millis(1);

/// The most memory that any limit can grant to one linear memory.
pub(super) const MEMORY_CEILING: usize = 256 << 20;

/// The most elements that one table can have. The largest table of an interpreter in use has fewer
/// than 8,000.
pub(super) const TABLE_CEILING: usize = 20_000;

/// A component made by a Python toolchain has about twenty core instances; the number is only
/// counted, so there is no cost in allowing every slot that many.
const CORE_INSTANCES_PER_SLOT: u32 = 20;

/// An engine with a pool of `slots` places, each of which serves one call at a time. A concurrent
/// one knows streams, futures and async functions.
pub(super) fn engine(slots: u32, concurrent: bool) -> Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    // With the page map the kernel names the pages that a call has written, and only those are
    // reset. Without it a large resident part would be cleared in whole on every call.
    let keep_resident = if PoolingAllocationConfig::is_pagemap_scan_available() {
        1 << 20
    } else {
        128 << 10
    };
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES_PER_SLOT))
        .total_memories(slots)
        .total_tables(slots.saturating_mul(3))
        .total_stacks(slots)
        .max_memory_size(MEMORY_CEILING)
        .table_elements(TABLE_CEILING)
        .linear_memory_keep_resident(keep_resident)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(100);
    let mut config = Config::new();
    config
        .concurrency_support(concurrent)
        .wasm_component_model_async(concurrent)
        .wasm_component_model_error_context(concurrent)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .parallel_compilation(true)
        .wasm_component_model_map(true)
        .wasm_component_model_fixed_length_lists(true)
        // The difference is what host functions have on a guest's stack; running out of it there
        // would end the process.
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// The thread that advances the engines' epochs on every tick. It ends when this is dropped.
pub(super) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread.
    pub(super) fn start(engines: [&Engine; 2]) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let engines = engines.map(Engine::weak);
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
