//! One call, one sandbox: compiling a component, and calling its exports, each call in a store of
//! its own that is dropped when the call ends.
//!
//! This module knows wasmtime and the WIT that a service may import. It does not know MCP or JSON, and of
//! HTTP only what services send; it learns who is calling only as a verified [`Principal`](crate::auth::Principal), and talks
//! to them through a [`Client`](client::Client).

mod admission;
#[expect(
    missing_docs,
    reason = "what is generated has the words of `wit/`, where a name may say enough"
)]
mod bindings;
mod call;
mod code_cache;
mod deadline;
mod engine;
mod failure;
mod grants;
mod imports;
mod limits;
mod program;
mod questions;
mod refusal;
mod stderr;
mod usage;

pub mod client;

use std::io;
use std::path::PathBuf;

use tokio::sync::watch;

pub use call::Invocation;
pub use failure::Failure;
pub use grants::{Allowed, Bucket, BucketScope, ConfigValues, Folder, Grants, Http, Origin};
pub use limits::Limits;
pub use program::{Compiler, Export, Identity, NotLoaded, Program};
pub use questions::BadQuestion;
pub use usage::Usage;

use crate::auth::Auth;
use admission::Admission;
use engine::Ticker;
use imports::keyvalue::Database;

/// Where calls run: a pool of slots, and the clock that ends what runs too long.
pub struct Sandbox {
    auth: Auth,
    admission: Admission,
    database: Database,
    /// Becomes true when nothing may run any longer.
    end: watch::Receiver<bool>,
    _ticker: Ticker,
}

/// How to set up a [`Compiler`] and its [`Sandbox`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// The number of calls that may run at once; more wait for a slot.
    pub slots: u32,
    /// Where compiled code is kept between starts; none keeps it in memory only.
    pub cache: Option<PathBuf>,
}

/// Why calls cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// The engine refused its settings, or the machine lacks the address space for the pool.
    #[error("the WebAssembly engine could not start with {slots} slots: {cause:#}")]
    Engine {
        /// The number of slots asked for.
        slots: u32,
        /// What the engine says.
        cause: wasmtime::Error,
    },
    /// The thread that measures running time could not be started.
    #[error("the thread that measures running time could not start: {0}")]
    Ticker(io::Error),
    /// The folder for compiled code cannot be used.
    #[error("the folder for compiled code, `{}`, cannot be used: {cause}", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        cause: io::Error,
    },
}

impl Sandbox {
    /// Starts the clock. The sandbox runs what this compiler loads, and nothing else, until `end`
    /// becomes true. What services keep in buckets lies in the folder `state`, or without one in memory.
    pub fn new(
        compiler: &Compiler,
        auth: Auth,
        state: Option<PathBuf>,
        end: watch::Receiver<bool>,
    ) -> Result<Self, NotStarted> {
        Ok(Self {
            _ticker: Ticker::start(compiler.engines()).map_err(NotStarted::Ticker)?,
            admission: Admission::new(compiler.slots()),
            auth,
            database: Database::new(state),
            end,
        })
    }

    /// How many calls have a place, and with it a store, at this moment.
    pub fn running(&self) -> usize {
        self.admission.taken()
    }
}
