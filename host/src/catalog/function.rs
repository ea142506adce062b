//! What tools, prompts and resources have in common: a function of a component, with its words.

use std::fmt::Debug;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Prompt, Resource, Tool};
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
    /// Its prompts, in the order of the WIT.
    pub prompts: Vec<Arc<Prompt>>,
    /// Its resources and resource templates, in the order of the WIT.
    pub resources: Vec<Arc<Resource>>,
}

/// A function that is run for a caller, whatever it is for.
pub struct Function {
    /// The service it belongs to.
    pub service: Arc<str>,
    /// Where it stands in the WIT, for the log: `acme:weather/weather@1.0.0#forecast`.
    pub origin: String,
    /// Its name in WIT, kebab-case.
    pub wit: String,
    /// The name it would like to be served under.
    pub name: String,
    /// A short name for people.
    pub title: Option<String>,
    /// What it does, for the model.
    pub description: Option<String>,
    /// Pictures of it, for people.
    pub icons: Vec<Icon>,
    /// What else a client should know of it, its `_meta`.
    pub meta: Option<Map<String, Value>>,
    /// Whether it wants to know its caller.
    pub access: Access,
    /// Whether it serves no caller whose session has ended.
    pub active_session: bool,
    /// What it takes and gives.
    pub signature: Signature,
    /// The function itself.
    pub export: Export,
    /// What one call may use.
    pub limits: Limits,
}

impl Function {
    /// The digest of what a list says of it, its name under which it is served aside.
    pub(super) fn listed(&self, more: impl Debug) -> Digest {
        let said = (
            &self.title,
            &self.description,
            &self.icons,
            &self.meta,
            more,
        );
        Digest::of(&[format!("{said:?}").as_bytes()])
    }
}

/// A picture of what is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icon {
    /// Where it is: `https:` or `data:`.
    pub src: String,
    /// Its media type.
    pub mime_type: Option<String>,
    /// The sizes it is good for, such as `48x48` or `any`.
    pub sizes: Vec<String>,
}
