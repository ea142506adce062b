//! What must not happen by accident: that a function serves more callers than before.

use std::collections::HashMap;

use super::folder::Stamp;
use crate::catalog::{Function, Service};

/// What of a service was not open, and is, or may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// The function, by its name in WIT.
    pub(super) function: String,
    /// The file beside the component that is gone, if one is.
    pub(super) gone: Option<&'static str>,
}

impl Opened {
    /// The first function that passes on somebody whom it turned away before.
    pub(super) fn between(before: (&Stamp, &Service), after: (&Stamp, &Service)) -> Option<Self> {
        let (stamp_before, before) = before;
        let (stamp, after) = after;
        let now: HashMap<&str, &Function> = functions(after)
            .map(|function| (&*function.origin, function))
            .collect();
        let function = functions(before).find(|function| {
            now.get(&*function.origin).is_some_and(|now| {
                !now.access.is_within(&function.access)
                    || (function.active_session && !now.active_session)
            })
        })?;
        Some(Self {
            function: function.wit.clone(),
            gone: stamp_before.lost(stamp),
        })
    }
}

/// All functions of a service.
pub(super) fn functions(service: &Service) -> impl Iterator<Item = &Function> {
    let tools = service.tools.iter().map(|it| &it.function);
    let prompts = service.prompts.iter().map(|it| &it.function);
    let resources = service.resources.iter().map(|it| &it.function);
    tools.chain(prompts).chain(resources)
}
