//! What a guest writes to its standard error: the end is kept for the log, the rest is counted and
//! dropped.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::failure::OutOfLog;

/// How much of the end is kept: enough for a panic or a traceback.
const KEPT: usize = 8 << 10;

/// How much a guest may offer in one write.
const PERMIT: usize = 64 << 10;

/// How many characters of its last words a caller is told.
const TOLD: usize = 300;

/// The last bytes that one guest wrote to its standard error. Clones are the same guest's.
#[derive(Clone)]
pub(super) struct Stderr(Arc<Mutex<Written>>);

struct Written {
    end: VecDeque<u8>,
    /// How many bytes more it may write.
    left: usize,
    is_over: bool,
}

impl Stderr {
    /// For a guest that may write so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Written {
            end: VecDeque::new(),
            left: limit,
            is_over: false,
        })))
    }

    /// The end of the text, with what is not UTF-8 replaced.
    pub(super) fn text(&self) -> String {
        let written = self.lock();
        let (front, back) = written.end.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }

    /// Whether it has tried to write more than it may.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    fn take(&self, bytes: &[u8]) -> Result<(), OutOfLog> {
        let mut written = self.lock();
        let fits = bytes.len().min(written.left);
        written.left = written.left.saturating_sub(fits);
        written.is_over |= fits < bytes.len();
        written
            .end
            .extend(bytes.iter().take(fits).rev().take(KEPT).rev());
        let excess = written.end.len().saturating_sub(KEPT);
        written.end.drain(..excess);
        if written.is_over {
            Err(OutOfLog)
        } else {
            Ok(())
        }
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a program says last before it dies, in one line: the message of a panic (Rust, Go), and otherwise
/// the last line, which is where tracebacks (Python) have theirs, but for those that follow with where it was
/// (JavaScript).
pub(super) fn last_words(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let of_rust = lines
        .iter()
        .rposition(|line| line.starts_with("thread '") && line.contains(" panicked at "))
        .and_then(|at| lines.get(at.saturating_add(1)));
    let of_go = || lines.iter().rfind(|line| line.starts_with("panic: "));
    let last = || {
        let is_place = |line: &str| line.starts_with("at ");
        let mut lines = lines.iter().filter(|line| !line.is_empty());
        let last = lines.clone().next_back();
        lines.rfind(|line| !is_place(line)).or(last)
    };
    let words = of_rust.or_else(of_go).or_else(last)?;
    let told: String = words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(TOLD)
        .collect();
    (!told.is_empty()).then_some(told)
}

impl IsTerminal for Stderr {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stderr {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Stderr {
    async fn ready(&mut self) {}
}

impl OutputStream for Stderr {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes)
            .map_err(|over| StreamError::Trap(over.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl AsyncWrite for Stderr {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(match self.take(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(over) => Err(io::Error::other(over)),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_the_rest_is_dropped() {
        let stderr = Stderr::new(10 * KEPT);
        stderr.take(&vec![b'a'; KEPT]).unwrap();
        stderr.take(b"the end").unwrap();
        let text = stderr.text();
        assert_eq!(text.len(), KEPT);
        assert!(text.starts_with('a') && text.ends_with("the end"));

        stderr.take(&vec![b'b'; 3 * KEPT]).unwrap();
        assert_eq!(stderr.text(), "b".repeat(KEPT));
    }

    #[test]
    fn what_may_be_written_has_an_end() {
        let stderr = Stderr::new(6);
        stderr.take(b"four").unwrap();
        assert!(!stderr.is_over());
        assert!(stderr.take(b"more").is_err() && stderr.take(b"").is_err());
        assert!(stderr.is_over());
        assert_eq!(stderr.text(), "fourmo");
    }

    #[test]
    fn the_last_words_are_what_went_wrong() {
        let of = |text: &str| last_words(text);
        let rust = "hello\n\nthread '<unnamed>' (1) panicked at src/lib.rs:26:78:\nno such city\nnote: run with `RUST_BACKTRACE=1`\n";
        assert_eq!(of(rust).as_deref(), Some("no such city"));
        let python = "Traceback (most recent call last):\n  File \"app.py\", line 3, in get\nValueError: no such city\n\n";
        assert_eq!(of(python).as_deref(), Some("ValueError: no such city"));
        let go = "panic: no such city\n\ngoroutine 1 [running]:\nmain.main()\n";
        assert_eq!(of(go).as_deref(), Some("panic: no such city"));
        let javascript = "TypeError: no such city\n    at get (/app.js:3:25)\n    at <eval>\n";
        assert_eq!(of(javascript).as_deref(), Some("TypeError: no such city"));
        assert_eq!(of("at sea\n").as_deref(), Some("at sea"));
        assert_eq!(of("\u{1b}[31mred\n").as_deref(), Some(" [31mred"));
        assert_eq!(of(&"x".repeat(1_000)).map(|it| it.len()), Some(TOLD));
        assert_eq!(of(" \n\n"), None);
    }
}
