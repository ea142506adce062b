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
mod budget;
mod call;
mod capability;
mod capacity;
mod code_cache;
mod compiler;
mod computing;
mod crossing;
mod deadline;
mod engine;
mod failure;
mod grants;
mod imports;
mod limits;
mod machine;
mod meter;
mod program;
mod questions;
mod refusal;
mod stderr;
mod store;
mod ticker;
mod turns;
mod usage;
mod weight;

pub mod client;

use std::io;
use std::path::PathBuf;

use tokio::runtime::Handle;
use tokio::sync::watch;

pub use admission::TooManyAside;
pub use call::Invocation;
pub use capability::{Asks, Capability, no_sockets};
pub use capacity::{Capacity, DoesNotFit};
pub use code_cache::KeptCode;
pub use compiler::Compiler;
pub use failure::{Cause, Failure, Fault, NoMemory};
pub use grants::{Allowed, Bucket, BucketScope, ConfigValues, Files, Folder, Grants, Http, Origin};
pub use imports::keyvalue::{BucketServer, BucketState, BucketStore, NoServer};
pub use limits::Limits;
pub use program::{Export, Identity, NotLoaded, Program};
pub use questions::BadQuestion;
pub use turns::Turn;
pub use usage::Usage;

use crate::auth::{Auth, Party};
use admission::Admission;
use budget::Budget;
use code_cache::Kept;
use engine::Kind;
pub use engine::{STACK, STACKS};
use imports::keyvalue::Database;
use ticker::Ticker;
use turns::Turns;

/// Where calls run: places for them, memory, and the clock that ends what runs too long.
pub struct Sandbox {
    auth: Auth,
    places: Places,
    turns: Turns,
    budget: Budget,
    files: Budget,
    stack: usize,
    database: Database,
    code: Option<Kept>,
    /// Becomes true when nothing may run any longer.
    end: watch::Receiver<bool>,
    _ticker: Ticker,
}

/// Places on each engine, none of which can be taken by calls on another.
struct Places {
    small: Admission,
    large: Admission,
    concurrent: Admission,
}

/// What calls have at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Those that have a sandbox.
    pub calls: usize,
    /// Those of them that wait for their clients' answers, and keep no place meanwhile.
    pub asking: usize,
    /// Those that wait for a place.
    pub queued: usize,
    /// The bytes of memory that they have.
    pub memory: usize,
    /// The files that they have open.
    pub files: usize,
    /// The changes to buckets that are waited for.
    pub writes: usize,
}

/// How to set up a [`Compiler`] and its [`Sandbox`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// The number of calls that may run at once, while more wait for a place. Without one, as many as the
    /// machine bears.
    pub calls: Option<u32>,
    /// The bytes of memory that all calls may have together. Without them, most of what the machine has.
    pub memory: Option<usize>,
    /// What the calls within one call may be nested in, in bytes. It is a property of an engine, so it is one
    /// for all services.
    pub stack: usize,
    /// Where compiled code is kept between starts; none keeps it in memory only.
    pub cache: Option<PathBuf>,
    /// Whether components are served that have asynchronous functions.
    pub concurrent: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            calls: None,
            memory: None,
            stack: STACK,
            cache: None,
            concurrent: true,
        }
    }
}

/// Why calls cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// The machine does not bear what was asked for.
    #[error(transparent)]
    DoesNotFit(#[from] DoesNotFit),
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
    /// becomes true. It is made within a runtime.
    pub fn new(
        compiler: &Compiler,
        auth: Auth,
        store: &BucketStore,
        end: watch::Receiver<bool>,
    ) -> Result<Self, NotStarted> {
        let capacity = compiler.capacity();
        let places = |kind| Admission::new(capacity.bounds(kind));
        // One thread is left for those who do not compute.
        let threads = Handle::try_current().map_or(1, |it| it.metrics().num_workers());
        let turns = threads.saturating_sub(1).max(1);
        Ok(Self {
            _ticker: Ticker::start(compiler.engines()).map_err(NotStarted::Ticker)?,
            places: Places {
                small: places(Kind::Small),
                large: places(Kind::Large),
                concurrent: places(Kind::Concurrent),
            },
            turns: Turns::new(turns),
            budget: Budget::new(capacity.memory),
            files: Budget::new(capacity.files),
            stack: capacity.stack,
            auth,
            database: Database::new(store),
            code: compiler.code().cloned(),
            end,
        })
    }

    /// What calls have at this moment.
    pub fn load(&self) -> Load {
        let Places {
            small,
            large,
            concurrent,
        } = &self.places;
        let all = |count: fn(&Admission) -> usize| {
            let counts = [small, large, concurrent].into_iter().map(count);
            counts.fold(0, usize::saturating_add)
        };
        Load {
            calls: all(Admission::admitted),
            asking: all(Admission::aside),
            queued: all(Admission::queued),
            memory: self.budget.used(),
            files: self.files.used(),
            writes: self.database.pending(),
        }
    }

    /// The compiled code that is kept between starts; none if none is.
    pub fn code(&self) -> Option<KeptCode> {
        self.code.as_ref().map(Kept::seen)
    }

    /// Whether buckets can be used at this moment.
    pub fn buckets(&self) -> BucketState {
        self.database.state()
    }

    /// Waits until this caller may compute on for a while, such as to read large arguments.
    pub async fn turn(&self, caller: Party) -> Turn {
        self.turns.of(caller).taken().await
    }

    fn places(&self, export: &Export) -> &Admission {
        match export.kind {
            Kind::Small => &self.places.small,
            Kind::Large => &self.places.large,
            Kind::Concurrent => &self.places.concurrent,
        }
    }
}
