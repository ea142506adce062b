//! The engines: how memory, stacks and instances are set aside for calls.

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result,
};

/// The most memory that any limit can grant to the memories of a call.
pub(super) const MEMORY_CEILING: usize = 256 << 20;

/// The most elements that any limit can grant to the tables of a call. The largest table of an
/// interpreter in use has fewer than 8,000.
pub(super) const TABLE_CEILING: usize = 100_000;

/// What a guest's calls may be nested in, in bytes, where the operator does not say otherwise.
pub const STACK: usize = 512 << 10;

/// The least and the most that the operator may say.
pub const STACKS: std::ops::RangeInclusive<usize> = (64 << 10)..=(8 << 20);

/// What the host's functions have on the same stack. Running out of it would end the process.
const STACK_OF_HOST: usize = 512 << 10;

/// What a component may consist of that takes more than most.
pub(super) const MOST_MEMORIES: usize = 4;
/// See above.
pub(super) const MOST_TABLES: usize = 24;
/// See above. A component made by a Python toolchain has about twenty.
pub(super) const MOST_INSTANCES: usize = 64;

/// Which engine a component runs on. Each has slots of its own, so that no kind takes those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What nearly all components run on.
    Small,
    /// For components with an interpreter in them, and those that were composed of others.
    Large,
    /// For components that have streams, futures or async functions. It costs every call some
    /// microseconds, so only those pay that need it.
    Concurrent,
}

/// What there is for each call of a kind. All of it is there for each, so that calls that have a slot
/// never lack the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    pub(super) memories: u32,
    tables: u32,
    instances: u32,
    /// The bytes of a memory that stay with the slot when a call has ended.
    pub(super) kept: usize,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Small, Self::Large, Self::Concurrent];

    pub(super) fn pool(self) -> Pool {
        match self {
            Self::Small => Pool {
                memories: 1,
                tables: 3,
                instances: 20,
                kept: 1 << 20,
            },
            Self::Large => Pool {
                memories: most(MOST_MEMORIES),
                tables: most(MOST_TABLES),
                instances: most(MOST_INSTANCES),
                // An interpreter's heap is written to all over.
                kept: 8 << 20,
            },
            Self::Concurrent => Pool {
                memories: most(MOST_MEMORIES),
                tables: most(MOST_TABLES),
                instances: most(MOST_INSTANCES),
                kept: 1 << 20,
            },
        }
    }

    fn is_concurrent(self) -> bool {
        match self {
            Self::Small | Self::Large => false,
            Self::Concurrent => true,
        }
    }
}

fn most(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// An engine with so many slots, each of which serves one call at a time, and has a stack of so many bytes.
pub(super) fn engine(kind: Kind, slots: u32, stack: usize) -> Result<Engine> {
    let Pool {
        memories,
        tables,
        instances,
        kept,
    } = kind.pool();
    // With the page map the kernel names the pages that a call has written, and only those are
    // reset. Without it a large resident part would be cleared in whole on every call.
    let keep_resident = if PoolingAllocationConfig::is_pagemap_scan_available() {
        kept
    } else {
        128 << 10
    };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(instances))
        .max_core_instances_per_component(instances)
        // Objects that are collected have a memory of their own.
        .total_memories(slots.saturating_mul(memories.saturating_add(1)))
        .max_memories_per_component(memories)
        .total_gc_heaps(slots)
        .total_tables(slots.saturating_mul(tables))
        .max_tables_per_component(tables)
        .total_stacks(slots)
        .max_memory_size(MEMORY_CEILING)
        .table_elements(TABLE_CEILING)
        .linear_memory_keep_resident(keep_resident)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(100);
    let is_concurrent = kind.is_concurrent();
    let mut config = Config::new();
    config
        .concurrency_support(is_concurrent)
        .wasm_component_model_async(is_concurrent)
        .wasm_component_model_error_context(is_concurrent)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .parallel_compilation(true)
        .wasm_component_model_map(true)
        .wasm_component_model_fixed_length_lists(true)
        .max_wasm_stack(stack)
        .async_stack_size(stack.saturating_add(STACK_OF_HOST))
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}
