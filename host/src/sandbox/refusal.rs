//! What a call was refused because the operator has not granted it.

use std::sync::{Arc, OnceLock};

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
