//! Rules: what an author asks of a value beyond its type, with doc tags such as `@min 1`. They are
//! checked before a sandbox is made, and shown in the input schema.

mod bound;
mod format;
mod given;
mod pattern;
mod property;
mod sample;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use wasmtime::component::Val;

use self::given::Given;
pub(super) use self::pattern::Pattern;
use self::sample::Sample;
use super::Kind;

/// What must hold for a value beyond its type, and what stands for it when it is missing.
///
/// Most values have no rules, and those that have share them with their copies.
#[derive(Clone, Debug, Default)]
pub struct Rules(Option<Arc<Given>>);

impl Rules {
    /// The doc tags that are rules, without their `@`.
    pub const TAGS: [&str; 11] = [
        "min",
        "max",
        "min-length",
        "max-length",
        "min-items",
        "max-items",
        "pattern",
        "format",
        "default",
        "example",
        "header",
    ];

    /// How much memory the rules of one component may take, in bytes. Patterns take most: at load they
    /// become tables, so that texts are matched in linear time.
    pub const ROOM: usize = 16 << 20;

    /// Adds the rule of a doc tag (`min`, without its `@`) to a value of this kind, in place of an
    /// earlier one of the same name; examples add up. A rule on an option is about what is in it. What
    /// it takes of memory is taken from `room`.
    pub fn add(
        &mut self,
        tag: &str,
        value: &str,
        kind: &Kind,
        room: &mut usize,
    ) -> Result<(), InvalidRule> {
        let mut given = self.0.as_deref().cloned().unwrap_or_default();
        let value = value.trim();
        match given
            .set(tag, value, kind, room)
            .and_then(|()| given.agree())
        {
            Ok(()) => {
                self.0 = Some(Arc::new(given));
                Ok(())
            }
            Err(why) => Err(InvalidRule {
                tag: tag.to_owned(),
                value: value.to_owned(),
                kind: kind.wit(),
                why,
            }),
        }
    }

    /// The same rules for an option of a value of this kind.
    pub(super) fn within_option(self, kind: &Kind) -> Self {
        Self(self.0.map(|given| Arc::new(given.within_option(kind))))
    }

    /// Tells every rule that a value breaks. A value of another kind than the rules' breaks none.
    pub(super) fn check(&self, value: &Val, broken: &mut dyn FnMut(String)) {
        if let Some(given) = &self.0 {
            given.check(value, broken);
        }
    }

    /// What a missing value counts as.
    pub(super) fn fallback(&self) -> Option<&Sample> {
        self.0.as_ref()?.fallback()
    }

    /// The name of the header that mirrors the argument (`x-mcp-header`).
    pub(super) fn header(&self) -> Option<&str> {
        self.0.as_ref()?.header()
    }

    /// How many bytes a `list<u8>` must have, in words; its schema is of text and cannot say so.
    pub(super) fn byte_count(&self) -> Option<String> {
        self.0.as_ref()?.byte_count()
    }

    /// About how many bytes the rules take in a schema.
    pub(super) fn size(&self) -> usize {
        self.0.as_ref().map_or(0, |given| given.size())
    }

    /// Writes what must hold into the schema of a value of this kind, over what its type says.
    pub(super) fn write(&self, kind: &Kind, schema: &mut Map<String, Value>) {
        if let Some(given) = &self.0 {
            given.write(kind, schema);
        }
    }

    /// Writes the examples into the schema of a value, and the default if one can stand for it.
    pub(super) fn write_samples(&self, is_member: bool, schema: &mut Map<String, Value>) {
        if let Some(given) = &self.0 {
            given.write_samples(is_member, schema);
        }
    }
}

/// A doc tag that is no rule for its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidRule {
    tag: String,
    value: String,
    kind: &'static str,
    why: Why,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    Unknown,
    OtherKind,
    Malformed(String),
    NothingLeft,
    DefaultBreaks(String),
    NoRoom,
}

impl fmt::Display for InvalidRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tag,
            value,
            kind,
            why,
        } = self;
        let space = if value.is_empty() { "" } else { " " };
        write!(f, "`@{tag}{space}{value}`")?;
        match why {
            Why::Unknown => {
                let tags = Rules::TAGS.map(|tag| format!("`@{tag}`")).join(", ");
                write!(f, " is no rule; there are {tags}")
            }
            Why::OtherKind => write!(f, " does not apply to `{kind}`"),
            Why::Malformed(problem) => write!(f, ": {problem}"),
            Why::NothingLeft => f.write_str(" leaves no value, with the rules before it"),
            Why::DefaultBreaks(problem) => write!(f, " and the default do not agree: {problem}"),
            Why::NoRoom => write!(
                f,
                ": the rules of the component take more than {} MiB; leave some out",
                Rules::ROOM >> 20
            ),
        }
    }
}
