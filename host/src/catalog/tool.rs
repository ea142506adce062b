//! Tools: functions that models call.

use super::Function;
use crate::digest::Digest;

/// A function that models call.
pub struct Tool {
    /// What it has in common with others.
    pub function: Function,
    /// The address of the user interface that shows its result, `ui://…` (MCP Apps).
    pub ui: Option<String>,
    /// What it does to the world.
    pub annotations: Annotations,
    /// What tells one listing of it from another.
    pub(super) listed: Digest,
}

impl Tool {
    /// A tool of this function.
    pub fn new(function: Function, annotations: Annotations, ui: Option<String>) -> Self {
        let schemas = (
            function.signature.input_schema().get(),
            function
                .signature
                .output_schema()
                .map(|schema| schema.get()),
        );
        Self {
            listed: function.listed((schemas, annotations, &ui)),
            function,
            ui,
            annotations,
        }
    }
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
