//! Resources: functions that clients read by an address.

use super::{Address, Completers, Completion, Function};
use crate::digest::Digest;

/// A function that clients read by its address, or by any address of its template.
pub struct Resource {
    /// What it has in common with others.
    pub function: Function,
    /// The address that it would like to have.
    pub address: Address,
    /// The address that it has when several would like to have the same: `service://function`.
    pub fallback: Address,
    /// The media type of what it holds.
    pub mime_type: Option<String>,
    completers: Completers,
    /// What tells one listing of it from another.
    pub(super) listed: Digest,
}

impl Resource {
    /// A resource of this function, and what completes the variables of its address.
    pub fn new(
        function: Function,
        address: Address,
        fallback: Address,
        mime_type: Option<String>,
        completers: Completers,
    ) -> Self {
        Self {
            listed: function.listed((&function.name, &mime_type)),
            function,
            address,
            fallback,
            mime_type,
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
