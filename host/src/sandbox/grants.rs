//! What the operator grants a service beyond what every service has. Nothing is granted by default, and
//! no guest and no caller can change it.

mod config;
mod files;
mod http;
mod stores;

use std::collections::BTreeMap;

use crate::auth::Scopes;

pub use self::config::ConfigValues;
pub use self::files::{Files, Folder};
pub use self::http::{Allowed, Http, Origin};
pub(super) use self::http::{CONNECT, HEADERS, Prohibited, Unresolved};
pub use self::stores::{Bucket, BucketScope};

/// What the operator grants a service. It may hold secrets, so it cannot be printed.
#[derive(Clone, Default)]
pub struct Grants {
    /// The variables of its environment, with their values.
    pub env: Vec<(String, String)>,
    /// The secrets of the caller's own that it may ask for, by their names, and the members of the
    /// caller's private metadata that hold them.
    pub user_secrets: BTreeMap<String, String>,
    /// Whether it may look after its callers' sign-ins: refresh tokens with what the host has for that,
    /// and see and end sessions.
    pub sessions: bool,
    /// Which scopes include others, when it asks what its caller was granted.
    pub scopes: Scopes,
    /// The origins that it may send requests to.
    pub http: Option<Http>,
    /// The values that it finds by name in `wasi:config`.
    pub config: ConfigValues,
    /// The folders that it has.
    pub files: Files,
    /// The buckets that it has, by their names.
    pub stores: BTreeMap<String, Bucket>,
    /// Whether callers are told what it said last when it fails.
    pub tells_errors: bool,
}
