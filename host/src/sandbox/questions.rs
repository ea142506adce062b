//! The questions of one call: how many they are, and under which keys they are asked.

use std::collections::HashSet;

/// The most questions that are asked at once.
const MOST_AT_ONCE: usize = 16;

/// The most questions of one call. Its time stands still while it waits for an answer, and this is
/// what keeps a guest and a client from holding a place for ever between them.
const MOST: usize = 100;

/// The longest key.
const LONGEST_KEY: usize = 64;

/// The keys that have been used in a call.
#[derive(Debug, Default)]
pub(super) struct Questions {
    keys: HashSet<String>,
}

/// What is wrong with how a guest asks. The call ends over it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuestion {
    /// Too many in one go.
    #[error(
        "it asked {0} questions at once, and {MOST_AT_ONCE} is the limit; ask the others after them"
    )]
    TooManyAtOnce(usize),
    /// Too many altogether.
    #[error(
        "it asked more than {MOST} questions, the limit for one call; ask them in several calls"
    )]
    TooMany,
    /// A key that is none, by the number of its question among those asked at once.
    #[error(
        "it asked its question {0} under a key that is not one; use 1 to {LONGEST_KEY} visible ASCII characters"
    )]
    Key(usize),
    /// A key that tells nothing apart.
    #[error("it asked twice under the key `{0}`; give every question of a call a key of its own")]
    KeyTwice(String),
}

impl Questions {
    /// Notes the keys of what is asked at once.
    pub(super) fn ask<'a>(
        &mut self,
        keys: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<(), BadQuestion> {
        if keys.len() > MOST_AT_ONCE {
            return Err(BadQuestion::TooManyAtOnce(keys.len()));
        }
        for (number, key) in (1..).zip(keys) {
            let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
            if key.is_empty() || key.len() > LONGEST_KEY || !visible {
                return Err(BadQuestion::Key(number));
            }
            if !self.keys.insert(key.to_owned()) {
                return Err(BadQuestion::KeyTwice(key.to_owned()));
            }
        }
        if self.keys.len() > MOST {
            return Err(BadQuestion::TooMany);
        }
        Ok(())
    }
}
