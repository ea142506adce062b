//! Folders that a service has.

use std::path::PathBuf;

/// A folder of the machine that a service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its path for the guest.
    pub guest: String,
    /// Its path on the machine.
    pub path: PathBuf,
    /// Whether the guest may change what is in it.
    pub write: bool,
}
