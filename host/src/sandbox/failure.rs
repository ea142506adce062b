//! How a call can end without a result, in words for the caller and words for the log.

mod text;

use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use self::text::{account, bytes, seconds};
use super::admission::TooManyAside;
use super::call::RANDOM;
use super::client::NotAsked;
use super::crossing::{Crossing, INWARD};
use super::imports::http::made::MOST_MADE;
use super::limits::Limits;
use super::questions::BadQuestion;

pub use super::meter::NoMemory;

/// Why a call gave no result, and what is known of it. `Display` is for the caller: it names the limit,
/// and nothing of the host; what the guest printed is in it only where the operator wants that.
#[derive(Debug, thiserror::Error)]
#[error("{cause}{}", told(.said.as_deref()))]
pub struct Failure {
    /// Why it ended.
    pub cause: Cause,
    /// What the operator should see beyond the text for the caller: the engine's account, with the guest's
    /// backtrace, and the end of what the guest wrote to its standard error.
    pub detail: Option<String>,
    said: Option<String>,
}

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// All places are taken.
    #[error("the server is busy: every place for a call is taken; try again in a moment")]
    Busy,
    /// No place came free in time.
    #[error(
        "the server is busy: no place for it came free within {}; try again in a moment",
        seconds(*patience)
    )]
    NoPlace {
        /// For how long it has waited.
        patience: Duration,
    },
    /// The host has no memory left for calls.
    #[error("the server has no memory left for it at this moment; try again later")]
    HostFull,
    /// The host can open no more files for calls.
    #[error("the server can open no more files for it at this moment; try again later")]
    NoDescriptors,
    /// The host is stopping.
    #[error("it was stopped with the server, which is going away; try again in a moment")]
    Stopping,
    /// The deadline passed.
    #[error("it was stopped after {}, the longest a call of it may take", seconds(*limit))]
    OutOfTime {
        /// The limit that was reached.
        limit: Duration,
    },
    /// The guest computed for too long.
    #[error("it was stopped after it had computed for {}, the longest a call of it may", seconds(*limit))]
    OutOfCpu {
        /// The limit that was reached.
        limit: Duration,
    },
    /// The guest needs more memory than it may have before it does anything.
    #[error("it needs more than {} to begin with, its limit of memory", bytes(*limit))]
    OutOfMemory {
        /// The limit that was reached, in bytes.
        limit: usize,
    },
    /// The guest's tables grew too large.
    #[error("it was stopped because its tables needed more than {limit} elements, their limit")]
    OutOfTables {
        /// The limit that was reached.
        limit: usize,
    },
    /// The guest called itself too deep.
    #[error(
        "it was stopped because its calls were nested too deep for its stack of {}",
        bytes(*limit)
    )]
    OutOfStack {
        /// The limit that was reached, in bytes.
        limit: usize,
    },
    /// The guest held too many handles.
    #[error("it was stopped because it needed more than {limit} handles at once, its limit")]
    OutOfHandles {
        /// The limit that was reached.
        limit: usize,
    },
    /// The guest wrote too much to its standard error.
    #[error("it was stopped because it wrote more than {} to its standard error, its limit", bytes(*limit))]
    OutOfLog {
        /// The limit that was reached, in bytes.
        limit: usize,
    },
    /// The result is too large.
    #[error("its result is larger than {}, the limit for a result", bytes(*limit))]
    OutputTooLarge {
        /// The limit that was reached, in bytes.
        limit: usize,
    },
    /// The values of the result are too large.
    #[error(
        "the values of its result take more than {} of memory, the limit that follows from {} for a result; \
         many small values and `list<u8>` take much, a `string` takes little",
        bytes(*memory), bytes(*limit)
    )]
    ResultTooLarge {
        /// The bytes of memory that the values may take.
        memory: usize,
        /// The limit of a result.
        limit: usize,
    },
    /// The result says what its type cannot mean.
    #[error("{0}")]
    InvalidResult(String),
    /// The guest handed the host too much at once.
    #[error(
        "it was stopped because it handed the host more than {} in one call of an import",
        bytes(INWARD)
    )]
    ArgumentTooLarge,
    /// The guest asked for too much at once.
    #[error(
        "it was stopped because it asked for more than {} of random numbers at once; ask again and again for less",
        bytes(RANDOM)
    )]
    TooRandom,
    /// The guest made too many requests.
    #[error(
        "it was stopped because it made more than {MOST_MADE} requests and responses of `wasi:http` 0.3, the most that a call may"
    )]
    TooManyMade,
    /// The guest did not let go of the caller's identity.
    #[error("it kept the handle of the user it was lent; a tool must drop it before it returns")]
    KeptIdentity,
    /// The guest asked its client something, and gets no answer in this run.
    #[error(transparent)]
    NotAsked(NotAsked),
    /// The guest asked its client in a way that it must not.
    #[error("it was stopped by a fault of its own: {0}")]
    BadQuestion(BadQuestion),
    /// Too many calls wait for answers.
    #[error(transparent)]
    TooManyAsk(TooManyAside),
    /// The guest ended over something that the operator has not granted.
    #[error("it ended by a fault of its own after it was refused something: {0}")]
    Refused(String),
    /// The guest ended by itself: it panicked, left its program, or did what no program may do.
    #[error("{fault}{}", after(*.memory, *.limit))]
    Fault {
        /// What it did.
        fault: Fault,
        /// Why it was refused memory before, which may be the reason.
        memory: Option<NoMemory>,
        /// The limit of memory, in bytes.
        limit: usize,
    },
}

/// What a guest did that ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It trapped. The engine does not name all traps.
    Trap(Option<Trap>),
    /// It ended its program with this exit code instead of returning.
    Exit(i32),
}

/// A cause, with the engine's account of it.
pub(super) struct Ended {
    pub(super) cause: Cause,
    pub(super) account: Option<String>,
}

/// What is known of a call when the engine ends it.
pub(super) struct Circumstances<'a> {
    pub(super) limits: &'a Limits,
    /// What its calls may be nested in, in bytes.
    pub(super) stack: usize,
    /// How its result crosses.
    pub(super) crossing: Crossing,
    /// Why it got no memory when it last asked.
    pub(super) memory: Option<NoMemory>,
    /// What the operator has not granted it.
    pub(super) refusal: Option<&'a str>,
}

impl Failure {
    pub(super) fn new(ended: Ended, stderr: &str, said: Option<String>) -> Self {
        let Ended { cause, account } = ended;
        let stderr = (!stderr.is_empty()).then(|| format!("standard error: {stderr}"));
        let detail: Vec<String> = account.into_iter().chain(stderr).collect();
        Self {
            cause,
            detail: (!detail.is_empty()).then(|| detail.join("\n")),
            said,
        }
    }
}

impl Cause {
    /// Its kind in one word, for the record of the call.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NoPlace { .. } => "no_place",
            Self::HostFull => "host_full",
            Self::NoDescriptors => "no_descriptors",
            Self::Stopping => "stopping",
            Self::OutOfTime { .. } => "out_of_time",
            Self::OutOfCpu { .. } => "out_of_cpu",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::OutOfTables { .. } => "out_of_tables",
            Self::OutOfStack { .. } => "out_of_stack",
            Self::OutOfHandles { .. } => "out_of_handles",
            Self::OutOfLog { .. } => "out_of_log",
            Self::OutputTooLarge { .. } => "output_too_large",
            Self::ResultTooLarge { .. } => "result_too_large",
            Self::InvalidResult(_) => "invalid_result",
            Self::ArgumentTooLarge => "argument_too_large",
            Self::TooRandom => "too_random",
            Self::TooManyMade => "too_many_made",
            Self::KeptIdentity => "kept_identity",
            Self::NotAsked(_) => "not_asked",
            Self::BadQuestion(_) => "bad_question",
            Self::TooManyAsk(_) => "too_many_ask",
            Self::Refused(_) => "refused",
            Self::Fault { memory, fault, .. } => match (memory, fault) {
                (Some(NoMemory::Limit), _) => "out_of_memory",
                (Some(NoMemory::Host), _) => "host_full",
                (None, Fault::Exit(_)) => "exited",
                (None, Fault::Trap(_)) => "trapped",
            },
        }
    }
}

/// A cause that is all that is known.
impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            detail: None,
            said: None,
        }
    }
}

impl From<Cause> for Ended {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            account: None,
        }
    }
}

impl Ended {
    /// Finds out what an error of the engine means.
    pub(super) fn of(error: &wasmtime::Error, circumstances: &Circumstances<'_>) -> Self {
        let cause = known(error, circumstances)
            .or_else(|| untyped(error, circumstances))
            .unwrap_or_else(|| faulted(error, circumstances));
        Self {
            cause,
            account: Some(account(error)),
        }
    }
}

/// What has a type of its own.
fn known(error: &wasmtime::Error, circumstances: &Circumstances<'_>) -> Option<Cause> {
    let limits = circumstances.limits;
    Some(if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        Cause::Busy
    } else if error.is::<OutOfTime>() {
        Cause::OutOfTime {
            limit: limits.timeout,
        }
    } else if error.is::<OutOfCpu>() {
        Cause::OutOfCpu { limit: limits.cpu }
    } else if error.is::<OutOfTables>() {
        Cause::OutOfTables {
            limit: limits.tables,
        }
    } else if error.is::<OutOfLog>() {
        Cause::OutOfLog { limit: limits.log }
    } else if error.is::<TooManyMade>() {
        Cause::TooManyMade
    } else if error.is::<HostFull>() || is_out_of_memory(error) {
        Cause::HostFull
    } else if error.is::<NoDescriptors>() {
        Cause::NoDescriptors
    } else if let Some(not_asked) = error.downcast_ref::<NotAsked>() {
        Cause::NotAsked(*not_asked)
    } else if let Some(bad) = error.downcast_ref::<BadQuestion>() {
        Cause::BadQuestion(bad.clone())
    } else if let Some(too_many) = error.downcast_ref::<TooManyAside>() {
        Cause::TooManyAsk(*too_many)
    } else if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
        Cause::OutOfStack {
            limit: circumstances.stack,
        }
    } else if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        Cause::OutOfHandles {
            limit: limits.handles,
        }
    } else {
        return None;
    })
}

/// What the engine and WASI have no types for. A test shows each.
fn untyped(error: &wasmtime::Error, circumstances: &Circumstances<'_>) -> Option<Cause> {
    if error.is::<Trap>() || error.is::<I32Exit>() {
        return None;
    }
    let limits = circumstances.limits;
    let text = error.root_cause().to_string();
    if text.contains("borrow handles still remain") {
        Some(Cause::KeptIdentity)
    } else if text.contains("store handle limit exceeded") {
        Some(Cause::OutOfHandles {
            limit: limits.handles,
        })
    } else if text.contains("fuel allocated for hostcalls has been exhausted") {
        let limit = limits.output;
        // Only what happens below a guest's own code has a backtrace of it.
        Some(if error.downcast_ref::<WasmBacktrace>().is_some() {
            Cause::ArgumentTooLarge
        } else if circumstances.crossing.is_text {
            Cause::OutputTooLarge { limit }
        } else {
            Cause::ResultTooLarge {
                memory: Crossing::memory(limit),
                limit,
            }
        })
    } else if text.starts_with("requested len") && text.contains("exceeds limit") {
        Some(Cause::TooRandom)
    } else if text.contains("exceeds memory limits") {
        Some(match circumstances.memory {
            Some(NoMemory::Host) => Cause::HostFull,
            Some(NoMemory::Limit) | None => Cause::OutOfMemory {
                limit: limits.memory,
            },
        })
    } else {
        None
    }
}

/// What the guest did by itself.
fn faulted(error: &wasmtime::Error, circumstances: &Circumstances<'_>) -> Cause {
    let exit = error.downcast_ref::<I32Exit>();
    let trap = error.downcast_ref::<Trap>().copied();
    if let (None, Some(refusal)) = (circumstances.memory, circumstances.refusal)
        && (exit.is_some() || trap.is_some())
    {
        return Cause::Refused(refusal.to_owned());
    }
    Cause::Fault {
        fault: exit.map_or(Fault::Trap(trap), |I32Exit(code)| Fault::Exit(*code)),
        memory: circumstances.memory,
        limit: circumstances.limits.memory,
    }
}

/// Whether the system had no memory or no mapping for it.
pub(super) fn is_out_of_memory(error: &wasmtime::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.to_string().contains("(os error 12)"))
}

/// A call has computed for as long as it may.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("out of processor time")]
pub(super) struct OutOfCpu;

/// The time of a call is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of time")]
pub(super) struct OutOfTime;

/// The tables of a call are as large as they may be.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("out of elements for tables")]
pub(super) struct OutOfTables;

/// A call has written as much to its standard error as it may.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too much standard error")]
pub(super) struct OutOfLog;

/// A call has made as many requests as it may.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many requests made")]
pub(super) struct TooManyMade;

/// There is no memory left for any call.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no memory left")]
pub(super) struct HostFull;

/// Calls have as many files open as they may.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no descriptors left")]
pub(super) struct NoDescriptors;

fn told(said: Option<&str>) -> String {
    said.map(|said| format!("; it said: {said}"))
        .unwrap_or_default()
}

fn after(memory: Option<NoMemory>, limit: usize) -> String {
    match memory {
        Some(NoMemory::Limit) => format!(
            ", after it had asked for more than {} of memory, its limit",
            bytes(limit)
        ),
        Some(NoMemory::Host) => {
            ", after it had asked for memory of which the server has none left at this moment"
                .into()
        }
        None => String::new(),
    }
}
