//! What a call was refused because the operator has not granted it.

use std::sync::{Arc, OnceLock};

/// The longest part of a name that is repeated in a text.
const SHOWN: usize = 64;

/// The first thing that a call was refused, in words that say how it is granted. Clones are the same
/// call's.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusal(Arc<OnceLock<String>>);

impl Refusal {
    /// Notes it. True for the first: a guest that is refused the same over and over shall not fill the log.
    pub(super) fn note(&self, what: impl FnOnce() -> String) -> bool {
        let mut first = false;
        self.0.get_or_init(|| {
            first = true;
            what()
        });
        first
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// The beginning of a name that a guest has chosen, in quotes as in a manifest.
pub(super) fn quoted(name: &str) -> String {
    format!(
        "{:?}",
        name.get(..name.floor_char_boundary(SHOWN))
            .unwrap_or_default()
    )
}
