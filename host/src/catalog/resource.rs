//! Resources: functions that clients read by an address.

use super::{Address, Completers, Completion, Function};
use crate::digest::Digest;
use crate::value::content::Annotations;

/// A function that clients read by its address, or by any address of its template.
pub struct Resource {
    /// What it has in common with others.
    pub function: Function,
    /// The address that it would like to have.
    pub address: Address,
    /// The address that it has when several would like to have the same: `service://function`.
    pub fallback: Address,
    /// What it holds.
    pub held: Held,
    completers: Completers,
    /// What tells one listing of it from another.
    pub(super) listed: Digest,
}

/// What is known beforehand of what a resource holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Its media type.
    pub mime_type: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// How a client should treat it.
    pub annotations: Annotations,
}

impl Resource {
    /// A resource of this function, and what completes the variables of its address.
    pub fn new(
        function: Function,
        address: Address,
        fallback: Address,
        held: Held,
        completers: Completers,
    ) -> Self {
        Self {
            listed: function.listed((&function.name, &held)),
            function,
            address,
            fallback,
            held,
            completers,
        }
    }

    /// The functions that complete its variables of its address.
    pub fn completers(&self) -> &Completers {
        &self.completers
    }

    /// What completes a variable of the address, by any of its spellings. None if there is no such
    /// variable, or nothing that completes it.
    pub fn completion(&self, variable: &str) -> Option<Completion> {
        self.completers.of(&self.function, variable)
    }
}
