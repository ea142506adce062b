//! What the operator grants a service beyond what every service has. Nothing is granted by default, and
//! no guest and no caller can change it.

mod http;

use std::collections::BTreeMap;

pub use self::http::{Allowed, Http, Origin};
pub(super) use self::http::{CONNECT, Prohibited, Unresolved};

/// What the operator grants a service. It may hold secrets, so it cannot be printed.
#[derive(Clone, Default)]
pub struct Grants {
    /// The variables of its environment, with their values.
    pub env: Vec<(String, String)>,
    /// The secrets of the caller's own that it may ask for, by their names, and the members of the
    /// caller's private metadata that hold them.
    pub user_secrets: BTreeMap<String, String>,
    /// The origins that it may send requests to.
    pub http: Option<Http>,
}
