//! A service and its tools, as a component and its documentation describe them.

use std::sync::Arc;

use crate::auth::Access;
use crate::digest::Digest;
use crate::sandbox::{Export, Limits};
use crate::value::Signature;

/// One component that is served.
pub struct Service {
    /// The name of its file, without the ending.
    pub name: Arc<str>,
    /// The SHA-256 of the component.
    pub digest: Digest,
    /// What its author wrote about it.
    pub description: Option<String>,
    /// Its tools, in the order of the WIT.
    pub tools: Vec<Arc<Tool>>,
}

/// One function that callers may call.
pub struct Tool {
    /// The service it belongs to.
    pub service: Arc<str>,
    /// Where it stands in the WIT, for the log: `acme:weather/weather@1.0.0#forecast`.
    pub origin: String,
    /// The name it would like to be served under.
    pub name: String,
    /// A short name for people.
    pub title: Option<String>,
    /// What it does, for the model.
    pub description: Option<String>,
    /// Pictures of it, for people.
    pub icons: Vec<Icon>,
    /// The address of the user interface that shows its result, `ui://…` (MCP Apps).
    pub ui: Option<String>,
    /// What it does to the world.
    pub annotations: Annotations,
    /// What it asks of its callers.
    pub access: Access,
    /// What it takes and gives.
    pub signature: Signature,
    /// The function itself.
    pub export: Export,
    /// What one call may use.
    pub limits: Limits,
}

/// A picture of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icon {
    /// Where it is: `https:` or `data:`.
    pub src: String,
    /// Its media type.
    pub mime_type: Option<String>,
    /// The sizes it is good for, such as `48x48` or `any`.
    pub sizes: Vec<String>,
}

/// What a tool does to the world; none is what MCP assumes of a tool that says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// It changes nothing.
    pub read_only: Option<bool>,
    /// It may destroy something.
    pub destructive: Option<bool>,
    /// Repeating it changes nothing more.
    pub idempotent: Option<bool>,
    /// It reaches beyond this host.
    pub open_world: Option<bool>,
}
