//! How many calls the machine bears, and how much memory they may have together. All that is reserved
//! for calls follows from this, and what does not fit is refused at the start, not under load.

use std::fmt;

use super::Settings;
use super::admission::Bounds;
use super::engine::{Kind, STACK};
use super::machine::Machine;

/// What is assumed where the memory of the machine cannot be found out.
const UNKNOWN_MEMORY: usize = 2 << 30;

/// How many calls there may be at once where nobody says otherwise and the machine bears them.
const MOST_CALLS: u32 = 1_000;

/// The memory that each call should find, where nobody says how many there are; and without which there
/// is no sense in it. A small program has 1 MiB from its first moment on. What its stack has beyond the usual
/// one comes on top.
const ENOUGH: usize = 4 << 20;
const LEAST: usize = 5 << 18;

/// The mappings that are left for services, the host itself and its threads.
const OTHER_MAPPINGS: usize = 8_000;

/// The mappings that one store takes, and each of its memories.
const OF_STORE: usize = 2;
const OF_MEMORY: usize = 4;

/// What part of the descriptors that the process may have is for files that calls open. The rest is for
/// connections, and for the host's own files.
const FILES: usize = 4;

/// The descriptors of a process where nobody bounds them.
const UNKNOWN_DESCRIPTORS: usize = 1 << 20;

/// How many calls of large and of asynchronous components there may be at most.
const MOST_LARGE: u32 = 200;
const MOST_CONCURRENT: u32 = 100;

/// How many calls there may be, and what they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// How many calls of small components may run at once.
    pub(super) small: u32,
    /// How many calls of large components may.
    pub(super) large: u32,
    /// How many calls of asynchronous components may.
    pub(super) concurrent: u32,
    /// The bytes that all calls may have together.
    pub(super) memory: usize,
    /// How many files all calls may have open together.
    pub(super) files: usize,
    /// The bytes of stack that each call has.
    pub(super) stack: usize,
}

/// Why calls cannot have what was asked for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoesNotFit {
    /// There is too little memory for so many calls.
    #[error(
        "{calls} calls at once need {} MiB of memory, and there are {} MiB for them: lower `limits.calls`, or raise `limits.total_memory` if this machine has more to give",
        needed >> 20, memory >> 20
    )]
    Memory {
        /// The number of calls.
        calls: u32,
        /// The bytes that they need.
        needed: usize,
        /// The bytes there are.
        memory: usize,
    },
    /// The system tells too few mappings apart.
    #[error(
        "{calls} calls at once need {needed} memory mappings, and this system has {mappings}: lower `limits.calls`, or raise them with `sysctl -w vm.max_map_count={needed}`"
    )]
    Mappings {
        /// The number of calls.
        calls: u32,
        /// The mappings that they need.
        needed: usize,
        /// The mappings there are.
        mappings: usize,
    },
}

impl Capacity {
    /// What this machine bears, where so much is asked for.
    pub(super) fn of(machine: Machine, settings: &Settings) -> Result<Self, DoesNotFit> {
        let stack = settings.stack;
        let least = LEAST.saturating_add(stack.saturating_sub(STACK));
        let memory =
            // The rest is for the host, for what it keeps ready, and for the files of the system.
            settings.memory.unwrap_or(machine.memory.unwrap_or(UNKNOWN_MEMORY) / 3 * 2);
        let mappings = machine.mappings.unwrap_or(usize::MAX);
        let files = machine.descriptors.unwrap_or(UNKNOWN_DESCRIPTORS) / FILES;
        let split = |calls| Self::split(calls, memory, files, stack);
        let Some(calls) = settings.calls else {
            let borne = u32::try_from(memory / ENOUGH.max(least)).unwrap_or(u32::MAX);
            let mut calls = borne.clamp(1, MOST_CALLS);
            while calls > 1 && split(calls).mappings() > mappings {
                calls /= 2;
            }
            return Ok(split(calls));
        };
        let capacity = split(calls);
        let needed = least.saturating_mul(usize::try_from(calls).unwrap_or(usize::MAX));
        if needed > memory {
            return Err(DoesNotFit::Memory {
                calls,
                needed,
                memory,
            });
        }
        if capacity.mappings() > mappings {
            return Err(DoesNotFit::Mappings {
                calls,
                needed: capacity.mappings(),
                mappings,
            });
        }
        Ok(capacity)
    }

    /// What is enough to look at components and call none.
    pub fn none() -> Self {
        Self::split(1, LEAST, 0, STACK)
    }

    fn split(calls: u32, memory: usize, files: usize, stack: usize) -> Self {
        // What their memories keep when nobody runs is at most a part of what calls may have.
        let kept = Kind::Large.pool().kept.max(1);
        let ready = u32::try_from(memory / 4 / kept).unwrap_or(u32::MAX).max(1);
        Self {
            small: calls,
            large: calls.min(MOST_LARGE).min(ready),
            concurrent: calls.min(MOST_CONCURRENT),
            memory,
            files,
            stack,
        }
    }

    /// How many calls of one service may run at once, if it has all places.
    pub fn most(&self) -> usize {
        self.bounds(Kind::Small).places
    }

    /// How many calls of a kind may run at once.
    pub(super) fn calls(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Small => self.small,
            Kind::Large => self.large,
            Kind::Concurrent => self.concurrent,
        }
    }

    /// Who may be where among the calls of a kind.
    pub(super) fn bounds(&self, kind: Kind) -> Bounds {
        Bounds::of(usize::try_from(self.calls(kind)).unwrap_or(usize::MAX))
    }

    fn mappings(&self) -> usize {
        Kind::ALL
            .into_iter()
            .map(|kind| {
                let memories = usize::try_from(kind.pool().memories).unwrap_or(usize::MAX);
                let each = OF_MEMORY.saturating_mul(memories).saturating_add(OF_STORE);
                self.bounds(kind).stores().saturating_mul(each)
            })
            .fold(OTHER_MAPPINGS, usize::saturating_add)
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at once ({} of large and {} of asynchronous components), {} MiB of memory and {} open files together",
            self.small,
            self.large,
            self.concurrent,
            self.memory >> 20,
            self.files
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(gibibytes: usize, mappings: usize) -> Machine {
        Machine {
            memory: Some(gibibytes << 30),
            mappings: Some(mappings),
            descriptors: Some(1024),
        }
    }

    #[test]
    fn what_a_machine_bears_follows_from_its_memory_and_its_mappings() {
        let of = |gibibytes, mappings| {
            let machine = machine(gibibytes, mappings);
            let capacity = Capacity::of(machine, &Settings::default()).unwrap();
            assert!(capacity.mappings() <= mappings || capacity.small == 1);
            (capacity.small, capacity.large, capacity.concurrent)
        };
        assert_eq!(of(64, 65_530), (1_000, 200, 100));
        assert_eq!(of(2, 65_530), (341, 42, 100));
        assert_eq!(of(2, 12_000), (85, 42, 85));
        assert_eq!(of(64, 10), (1, 1, 1));
    }

    #[test]
    fn what_is_asked_for_and_does_not_fit_is_refused_with_what_is_missing() {
        let of = |calls, memory| {
            let settings = Settings {
                calls: Some(calls),
                memory,
                ..Settings::default()
            };
            Capacity::of(machine(24, 65_530), &settings)
        };
        assert_eq!(of(5_000, None).map(|it| it.small), Ok(5_000));
        assert_eq!(
            of(1_000, Some(1 << 30)).unwrap_err().to_string(),
            "1000 calls at once need 1250 MiB of memory, and there are 1024 MiB for them: lower `limits.calls`, or raise `limits.total_memory` if this machine has more to give"
        );
        assert_eq!(
            of(10_000, None).unwrap_err().to_string(),
            "10000 calls at once need 89750 memory mappings, and this system has 65530: lower `limits.calls`, or raise them with `sysctl -w vm.max_map_count=89750`"
        );
    }
}
