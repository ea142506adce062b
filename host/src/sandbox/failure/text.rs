//! Words for failures.

use std::fmt::{self, Write};
use std::time::Duration;

use wasmtime::Trap;

use super::Fault;

/// How much of the engine's account is kept, in bytes. The names in it are the guest's own.
const ACCOUNT: usize = 16 << 10;

/// What the engine says, with the guest's backtrace.
pub(super) fn account(error: &wasmtime::Error) -> String {
    let mut text = Bounded {
        text: String::new(),
        left: ACCOUNT,
    };
    // It fails when the text is full.
    let _cut = write!(text, "{error:?}");
    text.text
}

/// A text that takes so much and no more.
struct Bounded {
    text: String,
    left: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.floor_char_boundary(self.left);
        self.text.push_str(text.get(..fits).unwrap_or_default());
        self.left = self.left.saturating_sub(fits);
        if fits < text.len() {
            self.left = 0;
            return Err(fmt::Error);
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trap = match self {
            Self::Exit(code) => {
                return write!(
                    f,
                    "it ended its program with exit code {code} instead of returning"
                );
            }
            Self::Trap(trap) => trap,
        };
        f.write_str("it was stopped by a fault of its own: ")?;
        match trap {
            Some(Trap::UnreachableCodeReached) => f.write_str("it panicked or aborted"),
            Some(Trap::MemoryOutOfBounds) => {
                f.write_str("it ran out of stack, or touched memory that it does not own")
            }
            Some(trap) => write!(f, "{trap}"),
            None => f.write_str("the operator's log has the cause"),
        }
    }
}

pub(super) fn seconds(limit: Duration) -> String {
    let milliseconds = limit.as_millis();
    if milliseconds.is_multiple_of(1000) {
        format!("{} s", milliseconds / 1000)
    } else {
        format!("{milliseconds} ms")
    }
}

pub(super) fn bytes(limit: usize) -> String {
    match (limit.is_multiple_of(1 << 20), limit.is_multiple_of(1 << 10)) {
        (true, _) => format!("{} MiB", limit >> 20),
        (false, true) => format!("{} KiB", limit >> 10),
        (false, false) => format!("{limit} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_cut_however_much_the_engine_says() {
        let error = wasmtime::Error::msg("é".repeat(1 << 20)).context("at first");
        let account = account(&error);
        assert!(account.len() <= ACCOUNT && account.len() > ACCOUNT - 2);
        assert!(account.starts_with("at first"));
    }
}
