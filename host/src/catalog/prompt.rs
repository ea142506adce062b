//! Prompts: functions that people pick to start or steer a conversation.

use super::{Completers, Completion, Function};
use crate::digest::Digest;

/// A function that people pick to start or steer a conversation.
pub struct Prompt {
    /// What it has in common with others.
    pub function: Function,
    completers: Completers,
    /// What tells one listing of it from another.
    pub(super) listed: Digest,
}

/// What a prompt asks the person for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its author wrote about it.
    pub description: Option<&'a str>,
    /// Whether the prompt cannot do without it.
    pub required: bool,
}

impl Prompt {
    /// A prompt of this function, and what completes its arguments.
    pub fn new(function: Function, completers: Completers) -> Self {
        Self {
            listed: function.listed(arguments(&function).collect::<Vec<_>>()),
            function,
            completers,
        }
    }

    /// What it asks the person for, in the order of the WIT.
    pub fn arguments(&self) -> impl Iterator<Item = Argument<'_>> {
        arguments(&self.function)
    }

    /// The functions that complete its arguments.
    pub fn completers(&self) -> &Completers {
        &self.completers
    }

    /// What completes an argument, by any of its spellings. None if there is no such argument, or
    /// nothing that completes it.
    pub fn completion(&self, argument: &str) -> Option<Completion> {
        self.completers.of(&self.function, argument)
    }
}

fn arguments(function: &Function) -> impl Iterator<Item = Argument<'_>> {
    function.signature.params().iter().map(|param| Argument {
        name: &param.json,
        description: param.docs(),
        required: param.is_required(),
    })
}
