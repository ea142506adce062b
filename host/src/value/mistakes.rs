//! What is wrong with a caller's arguments: every mistake at once, each with its place, worded so
//! that a model can correct itself.

use std::fmt;

use super::pointer::Pointer;

/// Arguments that did not decode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDecoded {
    /// The text is no JSON that can be read: a number beyond all range, a lone surrogate, nesting
    /// beyond the limit.
    Syntax(String),
    /// The arguments are JSON, but not an object.
    NotAnObject,
    /// The arguments are an object that does not fit the parameters.
    Mistakes(Vec<Mistake>),
}

impl fmt::Display for NotDecoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(problem) => write!(f, "the arguments cannot be read: {problem}"),
            Self::NotAnObject => {
                f.write_str("`arguments` must be an object with one key for each parameter")
            }
            Self::Mistakes(mistakes) => {
                for (place, mistake) in mistakes.iter().enumerate() {
                    let line_break = if place == 0 { "" } else { "\n" };
                    write!(f, "{line_break}{mistake}")?;
                }
                Ok(())
            }
        }
    }
}

/// One mistake in a caller's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it is, as a JSON pointer (RFC 6901): `/units`. Empty in the line that says how many
    /// more there are.
    pub pointer: String,
    /// What is wrong there: what was expected, and what was given.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pointer, problem } = self;
        if pointer.is_empty() {
            f.write_str(problem)
        } else {
            write!(f, "{pointer}: {problem}")
        }
    }
}

/// Collects mistakes, and words only the first few: a caller can make a million.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    found: Vec<Mistake>,
    more: usize,
}

/// As many mistakes are worded; a model that makes more has misunderstood something else.
const WORDED: usize = 20;

impl Mistakes {
    pub(super) fn add(&mut self, at: &Pointer<'_>, problem: impl FnOnce() -> String) {
        if self.found.len() < WORDED {
            self.found.push(Mistake {
                pointer: at.to_string(),
                problem: problem(),
            });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn into_list(self) -> Vec<Mistake> {
        let mut list = self.found;
        if self.more > 0 {
            list.push(Mistake {
                pointer: String::new(),
                problem: format!("and {} more", self.more),
            });
        }
        list
    }
}
