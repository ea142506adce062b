//! What the operator grants a service beyond what every service has. Nothing is granted by default, and
//! no guest and no caller can change it.

mod config;
mod files;
mod stores;

use std::collections::BTreeMap;

pub use self::config::ConfigValues;
pub use self::files::Folder;
pub use self::stores::{Bucket, BucketScope};

/// What the operator grants a service. It may hold secrets, so it cannot be printed.
#[derive(Clone, Default)]
pub struct Grants {
    /// The variables of its environment, with their values.
    pub env: Vec<(String, String)>,
    /// The values that it finds by name in `wasi:config`.
    pub config: ConfigValues,
    /// The folders that it has.
    pub files: Vec<Folder>,
    /// The buckets that it has, by their names.
    pub stores: BTreeMap<String, Bucket>,
}
