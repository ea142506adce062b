//! How a call can end without a result, in words for the caller and words for the log.

use std::time::Duration;

use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use super::client::NotAsked;
use super::limits::Limits;
use super::questions::BadQuestion;

/// Why a call gave no result. `Display` is for the caller: it names the limit, and nothing of the
/// host or of what the guest printed. [`Failure::detail`] is for the log.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No slot came free in time.
    #[error("the server is busy: every place for a call is taken; try again in a moment")]
    Busy,
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
    /// The guest asked for more memory than it may have, and ended over it.
    #[error("it was stopped because it needed more than {}, its limit of memory", bytes(*limit))]
    OutOfMemory {
        /// The limit that was reached, in bytes.
        limit: usize,
        /// What the engine and the guest said.
        detail: String,
    },
    /// The result is too large.
    #[error("its result is larger than {}, the limit for a result", bytes(*limit))]
    OutputTooLarge {
        /// The limit that was reached, in bytes.
        limit: usize,
    },
    /// A folder that the service is granted cannot be opened.
    #[error("a folder that it is granted cannot be opened; the operator's log has the cause")]
    Folders {
        /// What the system said.
        detail: String,
    },
    /// The guest ended its program.
    #[error("it ended its program with exit code {code} instead of returning")]
    Exited {
        /// The exit code.
        code: i32,
        /// What the guest said.
        detail: String,
    },
    /// The guest did not let go of the caller's identity.
    #[error("it kept the handle of the user it was lent; a tool must drop it before it returns")]
    KeptIdentity,
    /// The guest asked its client something, and gets no answer in this run.
    #[error(transparent)]
    NotAsked(NotAsked),
    /// The guest asked its client in a way that it must not.
    #[error("it was stopped by a fault of its own: {0}")]
    BadQuestion(BadQuestion),
    /// The guest ended over something that the operator has not granted.
    #[error("it ended by a fault of its own after it was refused something: {refusal}")]
    Refused {
        /// What it was refused, and how that is granted.
        refusal: String,
        /// What the engine and the guest said.
        detail: String,
    },
    /// The guest trapped: it panicked, or did what no program may do.
    #[error("it was stopped by a fault of its own: {}", fault(*trap))]
    Trapped {
        /// The kind of fault, when the engine names one.
        trap: Option<Trap>,
        /// What the engine and the guest said.
        detail: String,
    },
}

impl Failure {
    /// What the operator should see beyond the text for the caller: the engine's account, with the
    /// guest's backtrace, and the end of what the guest wrote to its standard error.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::OutOfMemory { detail, .. }
            | Self::Folders { detail }
            | Self::Exited { detail, .. }
            | Self::Refused { detail, .. }
            | Self::Trapped { detail, .. } => Some(detail),
            Self::Busy
            | Self::Stopping
            | Self::OutOfTime { .. }
            | Self::OutOfCpu { .. }
            | Self::OutputTooLarge { .. }
            | Self::KeptIdentity
            | Self::NotAsked(_)
            | Self::BadQuestion(_) => None,
        }
    }

    /// Its kind in one word, for the record of the call.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::OutOfTime { .. } => "out_of_time",
            Self::OutOfCpu { .. } => "out_of_cpu",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::OutputTooLarge { .. } => "output_too_large",
            Self::Folders { .. } => "folders",
            Self::Exited { .. } => "exited",
            Self::KeptIdentity => "kept_identity",
            Self::NotAsked(_) => "not_asked",
            Self::BadQuestion(_) => "bad_question",
            Self::Refused { .. } => "refused",
            Self::Trapped { .. } => "trapped",
        }
    }

    /// Finds out what an error of the engine means.
    pub(super) fn of(error: &wasmtime::Error, ended: &Ended, limits: &Limits) -> Self {
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Self::Busy;
        }
        if error.is::<OutOfTime>() {
            return Self::OutOfTime {
                limit: limits.timeout,
            };
        }
        if error.is::<OutOfCpu>() {
            return Self::OutOfCpu { limit: limits.cpu };
        }
        if let Some(not_asked) = error.downcast_ref::<NotAsked>() {
            return Self::NotAsked(*not_asked);
        }
        if let Some(bad) = error.downcast_ref::<BadQuestion>() {
            return Self::BadQuestion(bad.clone());
        }
        let detail = detail(error, &ended.stderr);
        if ended.ran_out_of_memory {
            return Self::OutOfMemory {
                limit: limits.memory,
                detail,
            };
        }
        let exit = error.downcast_ref::<I32Exit>();
        let trap = error.downcast_ref::<Trap>().copied();
        if let Some(refusal) = &ended.refusal
            && (exit.is_some() || trap.is_some())
        {
            return Self::Refused {
                refusal: refusal.clone(),
                detail,
            };
        }
        if let Some(I32Exit(code)) = exit {
            return Self::Exited {
                code: *code,
                detail,
            };
        }
        if trap.is_none() {
            // The engine has no types for these two.
            let text = error.root_cause().to_string();
            if text.contains("borrow handles still remain") {
                return Self::KeptIdentity;
            }
            if text.contains("fuel allocated for hostcalls has been exhausted") {
                return Self::OutputTooLarge {
                    limit: limits.output,
                };
            }
        }
        Self::Trapped { trap, detail }
    }
}

/// What a call leaves behind, for telling why it ended.
pub(super) struct Ended {
    pub(super) ran_out_of_memory: bool,
    pub(super) stderr: String,
    pub(super) refusal: Option<String>,
}

/// A call has computed for as long as it may.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("out of processor time")]
pub(super) struct OutOfCpu;

/// The time of a call is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of time")]
pub(super) struct OutOfTime;

fn detail(error: &wasmtime::Error, stderr: &str) -> String {
    if stderr.is_empty() {
        format!("{error:?}")
    } else {
        format!("{error:?}\nstandard error: {stderr}")
    }
}

fn fault(trap: Option<Trap>) -> String {
    match trap {
        Some(Trap::UnreachableCodeReached) => "it panicked or aborted".into(),
        Some(Trap::MemoryOutOfBounds) => {
            "it ran out of stack, or touched memory that it does not own".into()
        }
        Some(Trap::StackOverflow) => "it ran out of stack".into(),
        Some(trap) => trap.to_string(),
        None => "the operator's log has the cause".into(),
    }
}

fn seconds(limit: Duration) -> String {
    let milliseconds = limit.as_millis();
    if milliseconds.is_multiple_of(1000) {
        format!("{} s", milliseconds / 1000)
    } else {
        format!("{milliseconds} ms")
    }
}

fn bytes(limit: usize) -> String {
    match (limit.is_multiple_of(1 << 20), limit.is_multiple_of(1 << 10)) {
        (true, _) => format!("{} MiB", limit >> 20),
        (false, true) => format!("{} KiB", limit >> 10),
        (false, false) => format!("{limit} bytes"),
    }
}
