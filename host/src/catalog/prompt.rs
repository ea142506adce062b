//! Prompts: functions that people pick to start or steer a conversation.

use std::collections::HashMap;

use super::{Completers, Completion, Function};
use crate::digest::Digest;

/// A function that people pick to start or steer a conversation.
pub struct Prompt {
    /// What it has in common with others.
    pub function: Function,
    completers: Completers,
    /// Short names of its parameters, by their names in WIT.
    titles: HashMap<String, String>,
    /// What tells one listing of it from another.
    pub(super) listed: Digest,
}

/// What a prompt asks the person for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument<'a> {
    /// Its name.
    pub name: &'a str,
    /// A short name for people.
    pub title: Option<&'a str>,
    /// What its author wrote about it.
    pub description: Option<&'a str>,
    /// Whether the prompt cannot do without it.
    pub required: bool,
}

impl Prompt {
    /// A prompt of this function, what completes its arguments, and their short names, by those in WIT.
    pub fn new(
        function: Function,
        completers: Completers,
        titles: HashMap<String, String>,
    ) -> Self {
        Self {
            listed: function.listed(arguments(&function, &titles).collect::<Vec<_>>()),
            function,
            completers,
            titles,
        }
    }

    /// What it asks the person for, in the order of the WIT.
    pub fn arguments(&self) -> impl Iterator<Item = Argument<'_>> {
        arguments(&self.function, &self.titles)
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

fn arguments<'p>(
    function: &'p Function,
    titles: &'p HashMap<String, String>,
) -> impl Iterator<Item = Argument<'p>> {
    function.signature.params().iter().map(|param| Argument {
        name: &param.json,
        title: titles.get(&param.wit).map(String::as_str),
        description: param.docs(),
        required: param.is_required(),
    })
}
