//! What the operator grants a service beyond what every service has. Nothing is granted by default, and
//! no guest and no caller can change it.

mod http;

pub use self::http::{Allowed, Http, Origin};
pub(super) use self::http::{CONNECT, Prohibited, Unresolved};

/// What the operator grants a service. It may hold secrets, so it cannot be printed.
#[derive(Clone, Default)]
pub struct Grants {
    /// The variables of its environment, with their values.
    pub env: Vec<(String, String)>,
    /// The origins that it may send requests to.
    pub http: Option<Http>,
}
